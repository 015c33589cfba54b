//! Bitmaps of a file: as runs read in pieces, and held with the rank of each page.

use dump_core::{Error, PageBitmap, Pfn, PfnRange, ReadAt, Result, Scratch};

/// Bytes of a bitmap read at once, and how far apart the counts of a [`Ranked`] are: 2^15 pages of its 512 words.
const PIECE: usize = 64 << 10;
const STEP: u64 = 1 << 15;

/// Hands over the runs of pages of `pages` whose bits are set in the bitmap at `offset`, ascending. A run may come in
/// several pieces.
///
/// # Errors
/// What reading or `each` returns.
pub(crate) fn runs(
    file: &dyn ReadAt,
    offset: u64,
    pages: PfnRange,
    scratch: &mut Scratch,
    each: &mut dyn FnMut(PfnRange) -> Result<()>,
) -> Result<()> {
    pieces(file, offset, pages, scratch, &mut |first, bytes| {
        runs_in(bytes, first, &mut |run| {
            let run = run.intersect(pages);
            if run.is_empty() { Ok(()) } else { each(run) }
        })
    })
}

/// Hands over the bytes of the bitmap at `offset` that hold `pages`, with the page of their first bit, a multiple of 64.
fn pieces(
    file: &dyn ReadAt,
    offset: u64,
    pages: PfnRange,
    scratch: &mut Scratch,
    each: &mut dyn FnMut(Pfn, &[u8]) -> Result<()>,
) -> Result<()> {
    if pages.is_empty() {
        return Ok(());
    }
    let mut first = pages.start.0 / 64 * 8;
    let end = pages.end.0.div_ceil(8);
    while first < end {
        let len = (end - first).min(PIECE as u64);
        let at = offset.checked_add(first).ok_or_else(|| Error::corrupt("a bitmap past any file's end"))?;
        let bytes = file.view(at, len as usize, scratch).map_err(|e| e.within("bitmap"))?;
        each(Pfn(first * 8), bytes)?;
        first += len;
    }
    Ok(())
}

/// The runs of set bits in `bytes`, lowest bit first, of which bit 0 is page `first`.
fn runs_in(bytes: &[u8], first: Pfn, each: &mut dyn FnMut(PfnRange) -> Result<()>) -> Result<()> {
    let mut open = None;
    for (i, chunk) in bytes.chunks(8).enumerate() {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let (word, base, mut at) = (u64::from_le_bytes(word), first + 64 * i as u64, 0);
        // Each turn ends a stretch of equal bits within the word; one that reaches the word's end goes on in the next.
        while at < 64 {
            let rest = word >> at;
            at += match open {
                None => rest.trailing_zeros(),
                Some(_) => rest.trailing_ones(),
            };
            if at < 64 {
                let here = base + u64::from(at);
                match open.take() {
                    None => open = Some(here),
                    Some(start) => each(PfnRange::new(start, here))?,
                }
            }
        }
    }
    match open {
        Some(start) => each(PfnRange::new(start, first + 8 * bytes.len() as u64)),
        None => Ok(()),
    }
}

/// The bitmap of dumped pages, with how many lie below each.
///
/// A page's descriptor is found by that rank, so it is asked for at every visit: one count is kept for every 2^15
/// pages, and the rest is counted over 512 words at most. Untouched parts of the bitmap cost no memory.
#[derive(PartialEq, Eq)]
pub(crate) struct Ranked {
    bits: PageBitmap,
    before: Vec<u64>,
}

impl Ranked {
    /// Reads the bitmap of the pages below `end`, which the caller has found to lie in the file.
    ///
    /// # Errors
    /// `Unsupported` where `end` is more than any machine has; `Io`.
    pub(crate) fn read(file: &dyn ReadAt, offset: u64, end: Pfn) -> Result<Ranked> {
        let bits = PageBitmap::new(end);
        let mut bits = bits.ok_or_else(|| Error::unsupported(format!("{:#x} page frames", end.0)))?;
        let all = PfnRange::new(Pfn(0), end);
        pieces(file, offset, all, &mut Scratch::default(), &mut |first, bytes| {
            bits.load(first, bytes);
            Ok(())
        })?;
        let mut sum = 0;
        let before = (0..end.0).step_by(STEP as usize).map(|first| {
            let before = sum;
            sum += bits.count(PfnRange::at(Pfn(first), STEP));
            before
        });
        let before = before.collect();
        Ok(Ranked { bits, before })
    }

    /// The set itself.
    pub(crate) fn bits(&self) -> &PageBitmap {
        &self.bits
    }

    /// How many pages of the set lie below `pfn`.
    pub(crate) fn rank(&self, pfn: Pfn) -> u64 {
        let step = pfn.0.min(self.bits.span().end.0) / STEP;
        let (first, before) = match self.before.get(step as usize) {
            Some(before) => (step * STEP, *before),
            // At the end of a set of whole steps: count the last one.
            None => (step.saturating_sub(1) * STEP, self.before.last().copied().unwrap_or(0)),
        };
        before + self.bits.count(PfnRange::new(Pfn(first), pfn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn listed(bytes: &[u8], pages: PfnRange) -> Vec<u64> {
        let mut out = Vec::new();
        runs(&bytes.to_vec(), 0, pages, &mut Scratch::default(), &mut |run| {
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
    fn pieces_join() {
        let bytes = vec![0xff; 2 * PIECE + 10];
        let pages = PfnRange::new(Pfn(3), Pfn(8 * bytes.len() as u64 - 5));
        assert_eq!(listed(&bytes, pages).len() as u64, pages.len());
    }

    #[test]
    fn ranks() {
        let bytes: Vec<u8> = (0..3 * PIECE / 2).map(|i| (i % 251) as u8 & 0x0f).collect();
        for end in [0, 1, STEP - 1, STEP, STEP + 1, 4 * STEP, 8 * bytes.len() as u64] {
            let ranked = Ranked::read(&bytes, 0, Pfn(end)).unwrap();
            for pfn in [0, 1, 63, 64, 1000, STEP - 1, STEP, STEP + 1, 3 * STEP + 7, end, end + 1, u64::MAX] {
                let below = (0..pfn.min(end)).filter(|i| bytes[*i as usize / 8] >> (i % 8) & 1 == 1);
                assert_eq!(ranked.rank(Pfn(pfn)), below.count() as u64, "{end} {pfn}");
            }
        }
    }
}
