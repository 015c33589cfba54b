//! The page frames that are RAM.

use dump_core::{Error, PageBitmap, PageSet, PageSource, PageWindow, Pfn, PfnRange, Result};
use std::sync::Arc;

/// Pages looked at at a time: 64 KiB of bits.
const PAGES_PER_PIECE: u64 = 1 << 19;

/// The RAM of a source, asked of it piece by piece: it is counted and written once, so that nothing is held.
pub struct Ram<'a> {
    source: &'a dyn PageSource,
    span: PfnRange,
}

impl<'a> Ram<'a> {
    /// The RAM of `source` below `end`.
    ///
    /// # Errors
    /// `Corrupt` if that is more than any machine has.
    pub fn new(source: &'a dyn PageSource, end: Pfn) -> Result<Ram<'a>> {
        if end.0 > PageBitmap::MAX_PAGES {
            return Err(Error::corrupt(format!("memory up to page frame {end}, more than any machine has")));
        }
        Ok(Ram { source, span: PfnRange::new(Pfn(0), end) })
    }

    /// How many pages the source means to hold.
    ///
    /// # Errors
    /// As [`PageSource::mark_held`].
    pub fn count_held(&self) -> Result<u64> {
        self.sum(self.span, |bits| self.source.mark_held(bits))
    }

    fn sum(&self, run: PfnRange, mark: impl Fn(&mut PageBitmap) -> Result<()>) -> Result<u64> {
        let run = run.intersect(self.span);
        let mut sum = 0;
        for piece in pieces(run) {
            let mut bits = bitmap(piece)?;
            mark(&mut bits)?;
            sum += bits.count(piece);
        }
        Ok(sum)
    }

    /// A page that is held is RAM, whatever the 1st bitmap of a damaged file says.
    fn mark(&self, bits: &mut PageBitmap) -> Result<()> {
        self.source.mark_ram(bits)?;
        self.source.mark_held(bits)
    }
}

impl PageSet for Ram<'_> {
    fn span(&self) -> PfnRange {
        self.span
    }

    fn count(&self, run: PfnRange) -> Result<u64> {
        self.sum(run, |bits| self.mark(bits))
    }

    fn write_bytes(&self, run: PfnRange, out: &mut [u8]) -> Result<()> {
        let mut bits = bitmap(run.intersect(self.span))?;
        self.mark(&mut bits)?;
        bits.write_bytes(run.intersect(self.span), out);
        Ok(())
    }

    fn window(&self, pfn: Pfn) -> Result<PageWindow<'_>> {
        let start = pfn.0 / PAGES_PER_PIECE * PAGES_PER_PIECE;
        let mut bits = bitmap(PfnRange::at(Pfn(start), PAGES_PER_PIECE).intersect(self.span))?;
        self.mark(&mut bits)?;
        Ok(PageWindow::Part(Arc::new(bits)))
    }
}

fn bitmap(span: PfnRange) -> Result<PageBitmap> {
    let too_far = || Error::corrupt(format!("page frames {span}, more than any machine has"));
    PageBitmap::windowed(span).ok_or_else(too_far)
}

/// `run`, cut at multiples of [`PAGES_PER_PIECE`].
fn pieces(run: PfnRange) -> impl Iterator<Item = PfnRange> {
    let mut at = run.start;
    std::iter::from_fn(move || {
        let piece = PfnRange::new(at, Pfn((at.0 / PAGES_PER_PIECE + 1) * PAGES_PER_PIECE).min(run.end));
        at = piece.end;
        (!piece.is_empty()).then_some(piece)
    })
}
