//! Where the areas of a file lie; the same arithmetic for reading and writing.

use dump_core::{PageSize, Pfn};

use crate::desc::PageDesc;
use crate::header::MainHeader;

/// Offsets (bytes) of a file's areas, from three counts of its main header.
///
/// Blocks are at most 2^18 bytes and the counts at most 2^32, so nothing here but the descriptor table can overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    block: u64,
    sub_blocks: u64,
    bitmap_blocks: u64,
}

impl Layout {
    /// The layout that a header announces; its block size and sub_hdr_size are taken to be checked.
    pub fn of(main: &MainHeader, page_size: PageSize) -> Layout {
        Layout {
            block: page_size.bytes() as u64,
            sub_blocks: u64::from(main.sub_hdr_size.unsigned_abs()),
            bitmap_blocks: u64::from(main.bitmap_blocks),
        }
    }

    /// The layout of a new file: `head` bytes of sub header and what follows it, two bitmaps for pages below `end`.
    ///
    /// The bitmaps begin at a multiple of 64 KiB: crash maps them, so a dump of a machine with 4 KiB pages does not
    /// open on one with 64 KiB pages otherwise (arm64, ppc64). That is 60 KiB at most, a hole where files can have
    /// holes.
    pub fn for_new(page_size: PageSize, head: u64, end: Pfn) -> Layout {
        let block = page_size.bytes() as u64;
        let bitmaps_at = (block + head.next_multiple_of(block)).next_multiple_of(block.max(64 << 10));
        let bitmap = end.0.div_ceil(8).div_ceil(block);
        Layout { block, sub_blocks: bitmaps_at / block - 1, bitmap_blocks: 2 * bitmap }
    }

    /// Blocks from the sub header to the bitmaps.
    pub fn sub_blocks(&self) -> u64 {
        self.sub_blocks
    }

    /// Blocks of both bitmaps.
    pub fn bitmap_blocks(&self) -> u64 {
        self.bitmap_blocks
    }

    /// The sub header.
    pub fn sub_header(&self) -> u64 {
        self.block
    }

    /// The bitmap of RAM.
    pub fn bitmap1(&self) -> u64 {
        self.block * (1 + self.sub_blocks)
    }

    /// The bitmap of dumped pages, where there are two.
    pub fn bitmap2(&self) -> u64 {
        self.bitmap1() + self.bitmap_blocks * self.block / 2
    }

    /// Bytes of both bitmaps.
    pub fn bitmap_bytes(&self) -> u64 {
        self.bitmap_blocks * self.block
    }

    /// The descriptor table.
    pub fn descriptors(&self) -> u64 {
        self.bitmap1() + self.bitmap_bytes()
    }

    /// Descriptor number `rank`; with the number of descriptors, the end of the table, which is where new files have
    /// their data. `None` past any file's end.
    pub fn descriptor(&self, rank: u64) -> Option<u64> {
        let bytes = rank.checked_mul(PageDesc::SIZE as u64)?;
        self.descriptors().checked_add(bytes).filter(|end| *end <= i64::MAX as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_follow_each_other() {
        let layout = Layout::for_new(PageSize::K4, 104 + 4000, Pfn(4096 * 8 + 1));
        assert_eq!((layout.sub_blocks(), layout.bitmap_blocks()), (15, 4));
        assert_eq!((layout.bitmap1(), layout.bitmap2(), layout.descriptors()), (0x10000, 0x12000, 0x14000));
        assert_eq!(layout.descriptor(2), Some(0x14030));
        assert_eq!(layout.descriptor(u64::MAX / 24), None);
        assert_eq!(layout.descriptor(u64::MAX), None);
        let large = PageSize::from_bytes(1 << 18).unwrap();
        assert_eq!(Layout::for_new(large, 104, Pfn(1)).bitmap1(), 2 << 18);
        assert_eq!(Layout::for_new(PageSize::K4, 70 << 10, Pfn(1)).bitmap1(), 0x20000);
    }
}
