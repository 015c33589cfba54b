//! Hands out pieces of a range of physical memory, front to back.

use std::ops::Range;

use crate::bytes::round_up;

/// A range of physical addresses being used up.
#[derive(Debug)]
pub(crate) struct Arena {
    next: u64,
    end: u64,
}

impl Arena {
    pub(crate) fn new(range: Range<u64>) -> Self {
        Arena { next: range.start, end: range.end }
    }

    /// `size` bytes at a multiple of `align`.
    pub(crate) fn take(&mut self, size: u64, align: u64) -> u64 {
        let start = round_up(self.next, align);
        assert!(start + size <= self.end, "the fake kernel's own memory is too small for {size:#x} more bytes");
        self.next = start + size;
        start
    }
}
