//! Sparse fake physical memory: only pages that were written are stored, the rest reads as zeros.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::bytes::{Endian, cut};

/// Bytes in a page frame, unless asked otherwise.
pub const PAGE_SIZE: u64 = 4096;

/// One page's content.
pub type PageBytes = [u8; PAGE_SIZE as usize];

/// Physical memory with holes.
#[derive(Clone, Debug)]
pub struct FakeMemory {
    ram: Vec<Range<u64>>,
    page_size: u64,
    pages: BTreeMap<u64, Box<[u8]>>,
}

impl FakeMemory {
    /// Memory that exists in the pfn ranges of `ram`, which may come in any order and touch, but not overlap.
    ///
    /// # Panics
    /// When two ranges overlap.
    #[must_use]
    pub fn new(ram: &[Range<u64>]) -> Self {
        FakeMemory::with_pages(ram, PAGE_SIZE)
    }

    /// The same in page frames of `page_size` bytes.
    ///
    /// # Panics
    /// When two ranges overlap.
    #[must_use]
    pub fn with_pages(ram: &[Range<u64>], page_size: u64) -> Self {
        let mut sorted: Vec<Range<u64>> = ram.iter().filter(|run| !run.is_empty()).cloned().collect();
        sorted.sort_by_key(|run| run.start);
        let overlap = sorted.windows(2).find(|pair| pair[1].start < pair[0].end);
        assert!(overlap.is_none(), "RAM ranges overlap: {overlap:x?}");
        FakeMemory { ram: sorted, page_size, pages: BTreeMap::new() }
    }

    /// The pfn ranges that exist, ascending.
    #[must_use]
    pub fn ram(&self) -> &[Range<u64>] {
        &self.ram
    }

    /// Whether page frame `pfn` exists.
    #[must_use]
    pub fn is_ram(&self, pfn: u64) -> bool {
        self.ram.iter().any(|run| run.contains(&pfn))
    }

    /// One past the highest pfn.
    #[must_use]
    pub fn max_pfn(&self) -> u64 {
        self.ram.last().map_or(0, |run| run.end)
    }

    /// All pfns that exist, ascending.
    pub fn pfns(&self) -> impl Iterator<Item = u64> + '_ {
        self.ram.iter().cloned().flatten()
    }

    /// The pages of `run` that were written, ascending; all others are zero.
    pub fn written(&self, run: Range<u64>) -> impl Iterator<Item = (u64, &[u8])> {
        self.pages.range(run).map(|(pfn, page)| (*pfn, &**page))
    }

    /// Content of page frame `pfn`, `None` for a hole.
    #[must_use]
    pub fn page(&self, pfn: u64) -> Option<Vec<u8>> {
        let content = || self.pages.get(&pfn).map_or_else(|| vec![0; self.page_size as usize], |page| page.to_vec());
        self.is_ram(pfn).then(content)
    }

    /// Whether page frame `pfn` exists and holds only zeros.
    #[must_use]
    pub fn is_zero(&self, pfn: u64) -> bool {
        self.is_ram(pfn) && self.pages.get(&pfn).is_none_or(|page| page.iter().all(|byte| *byte == 0))
    }

    /// Copies memory from physical address `at` into `buf`; false, with `buf` undefined, when part of it is a hole.
    #[must_use]
    pub fn read(&self, at: u64, buf: &mut [u8]) -> bool {
        let mut done = 0;
        while done < buf.len() {
            let (pfn, offset) = self.split(at + done as u64);
            let Some(page) = self.page(pfn) else { return false };
            let step = (buf.len() - done).min(page.len() - offset);
            buf[done..done + step].copy_from_slice(&page[offset..offset + step]);
            done += step;
        }
        true
    }

    /// Bytes of `size` at physical address `at`.
    ///
    /// # Panics
    /// When part of it is a hole.
    #[must_use]
    pub fn bytes(&self, at: u64, size: u64) -> Vec<u8> {
        let mut buf = vec![0; size as usize];
        assert!(self.read(at, &mut buf), "{size} bytes at {at:#x} are not all RAM");
        buf
    }

    /// The little-endian number of `size` (at most 8) bytes at `at`.
    ///
    /// # Panics
    /// When part of it is a hole.
    #[must_use]
    pub fn number(&self, at: u64, size: u64) -> u64 {
        self.number_in(at, size, Endian::Little)
    }

    /// Writes `bytes` at physical address `at`.
    ///
    /// # Panics
    /// When part of it is a hole.
    pub fn write(&mut self, at: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let (pfn, offset) = self.split(at + done as u64);
            assert!(self.is_ram(pfn), "write to pfn {pfn:#x}, which is a hole");
            let size = self.page_size as usize;
            let page = self.pages.entry(pfn).or_insert_with(|| vec![0; size].into_boxed_slice());
            let step = (bytes.len() - done).min(page.len() - offset);
            page[offset..offset + step].copy_from_slice(&bytes[done..done + step]);
            done += step;
        }
    }

    /// Writes the number `value` of `size` bytes at `at`, cut to that size.
    pub(crate) fn write_number(&mut self, at: u64, value: u64, size: u64, endian: Endian) {
        self.write(at, &cut(value, size as usize, endian));
    }

    /// The number of `size` bytes at `at`.
    pub(crate) fn number_in(&self, at: u64, size: u64, endian: Endian) -> u64 {
        let mut bytes = self.bytes(at, size);
        if endian == Endian::Big {
            bytes.reverse();
        }
        bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
    }

    fn split(&self, at: u64) -> (u64, usize) {
        (at / self.page_size, (at % self.page_size) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_across_pages_and_stops_at_holes() {
        let mut memory = FakeMemory::new(&[4..6, 0..2]);
        memory.write(0x0ffe, &[1, 2, 3, 4]);
        assert_eq!(memory.number(0x0ffe, 4), 0x0403_0201);
        assert!(!memory.read(0x1ffc, &mut [0; 8]));
        assert_eq!((memory.max_pfn(), memory.is_ram(3)), (6, false));
        assert!(memory.is_zero(5) && !memory.is_zero(0) && !memory.is_zero(2));
        assert_eq!(memory.pfns().collect::<Vec<_>>(), [0, 1, 4, 5]);
    }

    #[test]
    #[should_panic(expected = "overlap")]
    fn refuses_overlapping_ranges() {
        let _ = FakeMemory::new(&[0..3, 2..5]);
    }
}
