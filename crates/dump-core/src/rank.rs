//! Bitmaps of a file: as runs, read a stretch at a time, and held with the rank of each page.

use crate::addr::{Pfn, PfnRange};
use crate::bitmap::PageBitmap;
use crate::bytes::ByteReader;
use crate::error::{Error, Result};
use crate::page_runs::runs_of_bits;

/// Bytes of a bitmap that are read at once.
const BYTES_PER_READ: u64 = 64 << 10;

/// Pages between the counts of a [`Ranked`]: 512 words of its bits.
const PAGES_PER_COUNT: u64 = 1 << 15;

/// Hands over the runs of pages of `pages` whose bits are set in the bitmap at `offset`, ascending. Runs may touch.
///
/// # Errors
/// What reading or `each` returns.
pub fn bitmap_runs(
    input: &mut dyn ByteReader,
    offset: u64,
    pages: PfnRange,
    each: &mut dyn FnMut(PfnRange) -> Result<()>,
) -> Result<()> {
    each_read(input, offset, pages, &mut |first, bytes| {
        runs_of_bits(bytes, first, &mut |run| {
            let run = run.intersect(pages);
            if run.is_empty() { Ok(()) } else { each(run) }
        })
    })
}

/// Hands over the bytes of the bitmap at `offset` that hold `pages`, with the page of their first bit, a multiple of
/// 64.
fn each_read(
    input: &mut dyn ByteReader,
    offset: u64,
    pages: PfnRange,
    each: &mut dyn FnMut(Pfn, &[u8]) -> Result<()>,
) -> Result<()> {
    if pages.is_empty() {
        return Ok(());
    }
    let mut first = pages.start.0 / 64 * 8;
    let end = pages.end.0.div_ceil(8);
    while first < end {
        let len = (end - first).min(BYTES_PER_READ);
        let at = offset.checked_add(first).ok_or_else(|| Error::corrupt("the bitmap exceeds 2^64"))?;
        let bytes = input.view(at, len as usize).map_err(|e| e.within("bitmap"))?;
        each(Pfn(first * 8), bytes)?;
        first += len;
    }
    Ok(())
}

/// A bitmap of the pages that a file holds, with how many lie below each.
///
/// A page's place in a file is found by that rank, so it is asked for at every visit: one count is kept for every 2^15
/// pages, and the rest is counted over 512 words at most. Untouched parts of the bitmap cost no memory.
#[derive(PartialEq, Eq)]
pub struct Ranked {
    bits: PageBitmap,
    before: Vec<u64>,
}

impl Ranked {
    /// Reads the bitmap of the pages below `end`, which the caller has found to lie in the file.
    ///
    /// # Errors
    /// `Unsupported` if `end` is more than any machine has; `Io`.
    pub fn read(input: &mut dyn ByteReader, offset: u64, end: Pfn) -> Result<Ranked> {
        let bits = PageBitmap::new(end);
        let mut bits =
            bits.ok_or_else(|| Error::unsupported(format!("{:#x} page frames, more than any machine has", end.0)))?;
        let all = PfnRange::new(Pfn(0), end);
        each_read(input, offset, all, &mut |first, bytes| {
            bits.load(first, bytes);
            Ok(())
        })?;
        Ok(Ranked::of(bits))
    }

    /// Of a set.
    pub fn of(bits: PageBitmap) -> Ranked {
        let mut sum = 0;
        let before = (0..bits.span().end.0).step_by(PAGES_PER_COUNT as usize).map(|first| {
            let before = sum;
            sum += bits.count(PfnRange::at(Pfn(first), PAGES_PER_COUNT));
            before
        });
        let before = before.collect();
        Ranked { bits, before }
    }

    /// The set itself.
    pub fn bits(&self) -> &PageBitmap {
        &self.bits
    }

    /// How many pages of the set lie below `pfn`.
    pub fn rank(&self, pfn: Pfn) -> u64 {
        let step = pfn.0.min(self.bits.span().end.0) / PAGES_PER_COUNT;
        let (first, before) = match self.before.get(step as usize) {
            Some(before) => (step * PAGES_PER_COUNT, *before),
            // At the end of a set of whole steps: count the last one.
            None => (step.saturating_sub(1) * PAGES_PER_COUNT, self.before.last().copied().unwrap_or(0)),
        };
        before + self.bits.count(PfnRange::new(Pfn(first), pfn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::ReadAt;
    use proptest::prelude::*;

    fn listed(bytes: &[u8], pages: PfnRange) -> Vec<u64> {
        let mut out = Vec::new();
        bitmap_runs(&mut *bytes.to_vec().reader(), 0, pages, &mut |run| {
            assert!(!run.is_empty());
            out.extend(run.start.0..run.end.0);
            Ok(())
        })
        .unwrap();
        out
    }

    proptest! {
        #[test]
        fn runs_are_the_bits(
            bytes in prop::collection::vec(prop::sample::select(vec![0u8, 0xff, 0xff, 1, 0x80, 0x5a]), 1..60),
            from in 0u64..200, len in 0u64..300,
        ) {
            let end = 8 * bytes.len() as u64;
            let pages = PfnRange::new(Pfn(from.min(end)), Pfn((from + len).min(end)));
            let bits = (pages.start.0..pages.end.0).filter(|i| bytes[*i as usize / 8] >> (i % 8) & 1 == 1);
            prop_assert_eq!(listed(&bytes, pages), bits.collect::<Vec<_>>());
        }
    }

    #[test]
    fn reads_join() {
        let bytes = vec![0xff; 2 * BYTES_PER_READ as usize + 10];
        let pages = PfnRange::new(Pfn(3), Pfn(8 * bytes.len() as u64 - 5));
        assert_eq!(listed(&bytes, pages).len() as u64, pages.len());
    }

    #[test]
    fn ranks() {
        let bytes: Vec<u8> = (0..3 * BYTES_PER_READ / 2).map(|i| (i % 251) as u8 & 0x0f).collect();
        for end in [
            0,
            1,
            PAGES_PER_COUNT - 1,
            PAGES_PER_COUNT,
            PAGES_PER_COUNT + 1,
            4 * PAGES_PER_COUNT,
            8 * bytes.len() as u64,
        ] {
            let ranked = Ranked::read(&mut *bytes.reader(), 0, Pfn(end)).unwrap();
            for pfn in [
                0,
                1,
                63,
                64,
                1000,
                PAGES_PER_COUNT - 1,
                PAGES_PER_COUNT,
                PAGES_PER_COUNT + 1,
                3 * PAGES_PER_COUNT + 7,
                end,
                end + 1,
                u64::MAX,
            ] {
                let below = (0..pfn.min(end)).filter(|i| bytes[*i as usize / 8] >> (i % 8) & 1 == 1);
                assert_eq!(ranked.rank(Pfn(pfn)), below.count() as u64, "{end} {pfn}");
            }
        }
    }
}
