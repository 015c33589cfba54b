//! Memory cut into blocks of page frames, few enough to be looked at: rows of 128, of which those without RAM are left
//! out.
//!
//! ```text
//! pfn ─> block = pfn >> shift ─> row = block / 128 ─> its place among the rows that have RAM ─> cell
//! ```
//!
//! Blocks are of the smallest power of two of pages with which there are 24 rows at most. A machine of 16 TiB with holes in
//! it so has no more cells than one of 64 MiB, and neither takes more memory.

use dump_core::{PageSet, Pfn, PfnRange, Result};
use std::cmp::Reverse;

/// Rows that there are at most: with 128 blocks each they fill a screen, and not more.
const MAX_ROWS: usize = 24;

/// log2 of the blocks of a row.
const ROW_SHIFT: u32 = 7;

/// The largest holes that are kept.
const MAX_HOLES: usize = 10;

/// Blocks of page frames, in rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageBlocks {
    /// log2 of the pages of a block.
    shift: u32,
    /// The rows that have RAM, by number, ascending.
    rows: Vec<u64>,
    /// The page frame after the last.
    end: Pfn,
}

/// What lies between RAM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holes {
    /// The largest, largest first, and of equal ones the lowest.
    pub largest: Vec<PfnRange>,
    /// How many there are.
    pub count: u64,
    /// Their page frames.
    pub pages: u64,
}

impl PageBlocks {
    /// Blocks of a row.
    pub const COLUMNS: u64 = 1 << ROW_SHIFT;

    /// The blocks of `ram`, and the holes in it: what lies below RAM and is none.
    ///
    /// # Errors
    /// A failure to list it.
    pub(crate) fn of(ram: &dyn PageSet) -> Result<(PageBlocks, Holes)> {
        let mut blocks = PageBlocks { shift: 0, rows: Vec::new(), end: ram.span().end };
        let (mut holes, mut at) = (Holes::default(), Pfn(0));
        ram.each_run(ram.span(), &mut |run| {
            blocks.add(run);
            holes.add(PfnRange::new(at, run.start));
            at = run.end;
            Ok(())
        })?;
        holes.add(PfnRange::new(at, blocks.end));
        Ok((blocks, holes))
    }

    /// Adds RAM behind all that was added before.
    fn add(&mut self, run: PfnRange) {
        if run.is_empty() {
            return;
        }
        loop {
            let (first, last) = (self.row_of(run.start), self.row_of(Pfn(run.end.0 - 1)));
            let first = self.rows.last().map_or(first, |row| first.max(row + 1));
            if (last + 1).saturating_sub(first) <= (MAX_ROWS - self.rows.len()) as u64 {
                return self.rows.extend(first..=last);
            }
            self.shift += 1;
            self.rows.iter_mut().for_each(|row| *row /= 2);
            self.rows.dedup();
        }
    }

    fn row_of(&self, pfn: Pfn) -> u64 {
        pfn.0 >> self.shift >> ROW_SHIFT
    }

    /// Pages of a block.
    pub fn pages_per_block(&self) -> u64 {
        1 << self.shift
    }

    /// How many there are in the rows that have RAM.
    pub fn count(&self) -> usize {
        self.rows.len() << ROW_SHIFT
    }

    /// The page frames of each row that has RAM, ascending, whether or not they go on past the last.
    pub fn rows(&self) -> impl Iterator<Item = PfnRange> + use<'_> {
        let pages = self.pages_per_block() << ROW_SHIFT;
        self.rows.iter().map(move |row| PfnRange::at(Pfn(row * pages), pages))
    }

    /// The page frames of block `i`; none where it lies past the last.
    pub fn pages(&self, i: usize) -> PfnRange {
        let row = self.rows.get(i >> ROW_SHIFT).copied().unwrap_or(u64::MAX >> ROW_SHIFT >> self.shift);
        let block = (row << ROW_SHIFT) + (i as u64 & (Self::COLUMNS - 1));
        PfnRange::at(Pfn(block << self.shift), self.pages_per_block()).intersect(PfnRange::new(Pfn(0), self.end))
    }

    /// The first block that ends behind `pfn`.
    pub(crate) fn first_from(&self, pfn: Pfn) -> usize {
        let row = self.row_of(pfn);
        let i = self.rows.partition_point(|other| *other < row);
        match self.rows.get(i) {
            Some(here) if *here == row => i << ROW_SHIFT | (pfn.0 >> self.shift & (Self::COLUMNS - 1)) as usize,
            _ => i << ROW_SHIFT,
        }
    }

    /// The parts of `run` that lie in one block each, with the number of that. What lies in no block is passed over.
    pub(crate) fn parts(&self, run: PfnRange) -> impl Iterator<Item = (usize, PfnRange)> + use<'_> {
        let mut i = self.first_from(run.start);
        std::iter::from_fn(move || {
            let here = (i < self.count()).then(|| self.pages(i).intersect(run)).filter(|here| !here.is_empty())?;
            i += 1;
            Some((i - 1, here))
        })
    }
}

impl Holes {
    fn add(&mut self, hole: PfnRange) {
        if hole.is_empty() {
            return;
        }
        self.count += 1;
        self.pages += hole.len();
        let place = self.largest.partition_point(|other| Reverse(other.len()) <= Reverse(hole.len()));
        if place < MAX_HOLES {
            self.largest.insert(place, hole);
            self.largest.truncate(MAX_HOLES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dump_core::PageBitmap;

    fn blocks(end: u64, ram: &[(u64, u64)]) -> (PageBlocks, Holes) {
        let mut bits = PageBitmap::new(Pfn(end)).unwrap();
        ram.iter().for_each(|(from, to)| bits.set(PfnRange::new(Pfn(*from), Pfn(*to))));
        PageBlocks::of(&bits).unwrap()
    }

    #[test]
    fn as_small_as_they_can_be() {
        for (end, pages, rows) in
            [(1, 1, 1), (3072, 1, 24), (3073, 2, 13), (16384, 8, 16), (1 << 28, 1 << 17, 16), (1 << 32, 1 << 21, 16)]
        {
            let (blocks, holes) = blocks(end, &[(0, end)]);
            assert_eq!((blocks.pages_per_block(), blocks.rows().count(), holes.count), (pages, rows, 0), "{end}");
            let all: u64 = (0..blocks.count()).map(|i| blocks.pages(i).len()).sum();
            assert_eq!(all, end);
        }
    }

    /// Of a machine whose RAM is far apart, what is between takes no row.
    #[test]
    fn holes_take_no_rows() {
        let far = 1 << 32;
        let (blocks, holes) = blocks(far + 1000, &[(16, 1000), (2000, 2048), (far, far + 1000)]);
        assert_eq!((blocks.pages_per_block(), blocks.rows().count()), (1, 8 + 1 + 8));
        let largest: Vec<_> = holes.largest.iter().map(|hole| (hole.start.0, hole.end.0)).collect();
        assert_eq!(largest, [(2048, far), (1000, 2000), (0, 16)]);
        assert_eq!((holes.count, holes.pages), (3, far - 2048 + 1016));
    }

    #[test]
    fn each_page_is_in_one_block() {
        let (blocks, _) = blocks(100_000, &[(0, 100), (20_000, 30_000), (99_000, 100_000)]);
        let mut at = 20_000;
        for (i, part) in blocks.parts(PfnRange::new(Pfn(20_000), Pfn(30_000))) {
            assert_eq!((part.start.0, blocks.pages(i).intersect(part)), (at, part));
            at = part.end.0;
        }
        assert_eq!(at, 30_000);
        assert_eq!(blocks.parts(PfnRange::new(Pfn(99_990), Pfn(100_000))).map(|(_, part)| part.len()).sum::<u64>(), 10);
    }
}
