//! What a block becomes in one file.

use std::ops::Range;

use dump_core::{ByteOrder, Error, FieldsMut, Result};

use crate::desc::PageDesc;

/// The pages of a block that one file holds: a range of the block's data, and descriptors.
pub(crate) struct BlockShare {
    /// Which of the block's data.
    data: Range<usize>,
    /// Where it goes in the file.
    data_at: u64,
    table: FieldsMut,
    lost: bool,
}

impl BlockShare {
    /// No pages yet; their data will begin at `data_at` of the file.
    pub(crate) fn new(data_at: u64, order: ByteOrder) -> BlockShare {
        BlockShare { data: 0..0, data_at, table: PageDesc::fields_mut(order), lost: false }
    }

    /// Appends one page whose descriptor is `desc`.
    pub(crate) fn describe(&mut self, desc: PageDesc) {
        desc.encode(&mut self.table);
    }

    /// Appends one page without content.
    pub(crate) fn lose(&mut self) {
        self.lost = true;
        self.describe(PageDesc::default());
    }

    /// Appends one page stored in `range` of the block's data. Encoders append data in the order of the pages, which
    /// makes the data of a block, or of a part of it, one range.
    pub(crate) fn store(&mut self, range: Range<usize>, flags: u32) -> Result<()> {
        if self.data.is_empty() {
            self.data = range.start..range.start;
        }
        if range.start != self.data.end {
            let what = format!("kdump output: a block's data goes on at {}, not {}", range.start, self.data.end);
            return Err(Error::bug(what));
        }
        let offset = self.data_at + self.data.len() as u64;
        self.data.end = range.end;
        self.describe(PageDesc { offset, size: range.len() as u32, flags });
        Ok(())
    }

    /// The range of the block's data, the descriptors, and whether any page is lost.
    pub(crate) fn into_parts(self) -> (Range<usize>, Vec<u8>, bool) {
        (self.data, self.table.into_bytes(), self.lost)
    }
}
