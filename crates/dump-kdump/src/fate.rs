//! What descriptors mean.

use dump_core::{Absence, Damage};

use crate::codec::Codec;
use crate::desc::PageDesc;
use crate::head::Head;
use crate::table::SharedZero;

/// What a page's descriptor means.
#[derive(Clone, Copy)]
pub(crate) enum Fate {
    /// Zeros, known without reading.
    Zero,
    /// No content, and why.
    Absent(Absence),
    /// Bytes in the file.
    Stored {
        /// How they are compressed, if they are.
        codec: Option<&'static Codec>,
        /// Where they begin (bytes).
        offset: u64,
        /// How many they are.
        size: usize,
    },
}

impl Fate {
    /// What `desc` means in the file of `head`, or what is wrong with it.
    pub(crate) fn of(desc: PageDesc, head: &Head) -> std::result::Result<Fate, (Damage, String)> {
        let PageDesc { offset, size, .. } = desc;
        if offset == 0 {
            return Err((Damage::Lost, "no offset".into()));
        }
        let (bytes, codec) = desc.stored_len(head.header.page_size.bytes())?;
        if offset < head.table.data_from {
            let what = format!("offset {offset:#x}, but data begin at {:#x}", head.table.data_from);
            return Err((Damage::BeforeData, what));
        }
        if offset.checked_add(u64::from(size)).is_none_or(|end| end > head.file_len) {
            let what = format!("offset {offset:#x} and size {size}, but the file ends at {:#x}", head.file_len);
            return Err((Damage::Offset, what));
        }
        match (codec, head.table.zero) {
            (None, SharedZero::At(zero)) if zero == offset => Ok(Fate::Zero),
            (None, SharedZero::Damaged(zero)) if zero == offset => {
                Err((Damage::SharedZero, format!("the page of zeros at offset {offset:#x} is not zeros")))
            }
            _ => Ok(Fate::Stored { codec, offset, size: bytes }),
        }
    }

    /// How many bytes the page has in the file.
    pub(crate) fn size(&self) -> usize {
        if let Fate::Stored { size, .. } = self { *size } else { 0 }
    }

    /// Whether the page after this one can be handed over, or read, together with it.
    pub(crate) fn joins(&self, next: &Fate) -> bool {
        match (self, next) {
            (Fate::Stored { offset, size, .. }, Fate::Stored { offset: next, .. }) => {
                offset.checked_add(*size as u64) == Some(*next)
            }
            (Fate::Zero, Fate::Zero) => true,
            (Fate::Absent(this), Fate::Absent(next)) => this == next,
            _ => false,
        }
    }
}
