//! A bit per page frame, in the bit order that kdump files have on disk.
//!
//! Bit `n` of the window is bit `n % 64` of word `n / 64`; written little endian, that is bit `n % 8` of byte `n / 8`, as
//! every architecture's kdump file has it. Ranges and single bits go through `bitvec`; counting and scanning run over
//! whole words, here and nowhere else.

use crate::addr::{Pfn, PfnRange};
use bitvec::prelude::{BitSlice, Lsb0};
use bitvec::view::BitView;

const WORD: u64 = 64;

/// The largest window that a bitmap may span, in pages: 256 TiB of 4 KiB pages. Untouched parts cost no memory, so a dump
/// whose RAM lies far up is fine, and an address out of thin air is refused before it sizes anything.
const MAX_PAGES: u64 = 1 << 36;

/// Page frames as the writers see them: counted, or copied window by window.
///
/// A [`PageBitmap`] holds them all; something that recomputes them on demand can give the same answers in less memory.
pub trait PageSet: Sync {
    /// The window in which pages can lie.
    fn span(&self) -> PfnRange;
    /// How many pages of `run` are in the set.
    fn count(&self, run: PfnRange) -> u64;
    /// Writes the bits of `run` (its start a multiple of 8) to `out`, 8 pages a byte, lowest first; all of `out` is
    /// written, bits past the run or the window as 0.
    fn write_bytes(&self, run: PfnRange, out: &mut [u8]);
}

/// A bit for each page frame of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageBitmap {
    span: PfnRange,
    words: Vec<u64>,
}

impl PageBitmap {
    /// An empty set over `0..end`; `None` where that is more than any machine has (2^36 pages).
    pub fn new(end: Pfn) -> Option<PageBitmap> {
        PageBitmap::windowed(PfnRange::new(Pfn(0), end))
    }

    /// An empty set over `span`, its start rounded down to a multiple of 64.
    pub fn windowed(span: PfnRange) -> Option<PageBitmap> {
        let span = PfnRange::new(Pfn(span.start.0 / WORD * WORD), span.end);
        if span.len() > MAX_PAGES {
            return None;
        }
        let words = usize::try_from(span.len().div_ceil(WORD)).ok()?;
        Some(PageBitmap { span, words: vec![0; words] })
    }

    /// Whether `pfn` is in the set.
    pub fn get(&self, pfn: Pfn) -> bool {
        self.span.contains(pfn) && self.bits()[self.index(pfn)]
    }

    /// Puts the pages of `run` that lie in the window into the set.
    pub fn set(&mut self, run: PfnRange) {
        let run = run.intersect(self.span);
        if !run.is_empty() {
            let (from, to) = (self.index(run.start), self.index(run.end));
            self.words.view_bits_mut::<Lsb0>()[from..to].fill(true);
        }
    }

    /// Takes the pages of `run` out of the set; returns how many were in it.
    pub fn clear(&mut self, run: PfnRange) -> u64 {
        WindowMut { span: self.span, words: &mut self.words }.clear(run)
    }

    /// The first page at or after `from` that is in the set.
    pub fn next_set(&self, from: Pfn) -> Option<Pfn> {
        self.find(from, 0)
    }

    /// The first page at or after `from` that is not in the set; the window's end where all are.
    pub fn next_clear(&self, from: Pfn) -> Pfn {
        self.find(from, u64::MAX).unwrap_or(self.span.end)
    }

    /// The pages of `run` that are in the set, as maximal runs in ascending order.
    pub fn runs(&self, run: PfnRange) -> Runs<'_> {
        Runs { bits: self, rest: run.intersect(self.span) }
    }

    /// The shortest run from `from` on that holds `pages` pages of the set, or all that are left.
    pub fn take(&self, from: Pfn, pages: u64) -> PfnRange {
        let start = self.next_set(from).unwrap_or(self.span.end);
        let (mut at, mut left) = (start, pages);
        while left > 0 {
            let Some(first) = self.next_set(at) else { break };
            let run = PfnRange::new(first, self.next_clear(first));
            at = first + run.len().min(left);
            left -= run.len().min(left);
        }
        PfnRange::new(start, at)
    }

    /// The set cut into windows of `pages` pages (rounded up to 64), each of which may be changed on its own.
    pub fn windows_mut(&mut self, pages: u64) -> Vec<WindowMut<'_>> {
        let words = usize::try_from(pages.div_ceil(WORD).max(1)).unwrap_or(usize::MAX);
        let (mut start, end) = (self.span.start, self.span.end);
        self.words
            .chunks_mut(words)
            .map(|words| {
                let span = PfnRange::at(start, words.len() as u64 * WORD);
                start = span.end;
                WindowMut { span: PfnRange::new(span.start, span.end.min(end)), words }
            })
            .collect()
    }

    fn bits(&self) -> &BitSlice<u64, Lsb0> {
        self.words.view_bits()
    }

    fn index(&self, pfn: Pfn) -> usize {
        (pfn - self.span.start) as usize
    }

    /// The first page at or after `from` whose bit, XORed with `flip`'s, is 1.
    fn find(&self, from: Pfn, flip: u64) -> Option<Pfn> {
        let from = from.max(self.span.start);
        let at = self.index(from);
        let mut mask = u64::MAX << (at % 64);
        for (i, word) in self.words.iter().enumerate().skip(at / 64) {
            let hits = (word ^ flip) & mask;
            if hits != 0 {
                let pfn = self.span.start + i as u64 * WORD + u64::from(hits.trailing_zeros());
                return (pfn < self.span.end).then_some(pfn);
            }
            mask = u64::MAX;
        }
        None
    }
}

impl PageSet for PageBitmap {
    fn span(&self) -> PfnRange {
        self.span
    }

    fn count(&self, run: PfnRange) -> u64 {
        count(&self.words, self.span, run)
    }

    fn write_bytes(&self, run: PfnRange, out: &mut [u8]) {
        let mut pfn = run.start;
        for bytes in out.chunks_mut(8) {
            let word = self.word_at(pfn, run.end).to_le_bytes();
            bytes.copy_from_slice(&word[..bytes.len()]);
            pfn = pfn + WORD;
        }
    }
}

impl PageBitmap {
    /// The 64 bits from `pfn` on, those at or past `end` cleared.
    fn word_at(&self, pfn: Pfn, end: Pfn) -> u64 {
        let whole = PfnRange::at(pfn, WORD);
        let run = whole.intersect(PfnRange::new(self.span.start, self.span.end.min(end)));
        if run.is_empty() {
            return 0;
        }
        let at = self.index(run.start);
        let low = self.words[at / 64] >> (at % 64);
        let high = match (at % 64, self.words.get(at / 64 + 1)) {
            (0, _) | (_, None) => 0,
            (shift, Some(word)) => word << (64 - shift),
        };
        let bits = (low | high) & (u64::MAX >> (WORD - run.len()));
        bits << (run.start - pfn)
    }
}

/// A part of a [`PageBitmap`] that one worker changes.
pub struct WindowMut<'a> {
    span: PfnRange,
    words: &'a mut [u64],
}

impl WindowMut<'_> {
    /// The page frames of this part.
    pub fn span(&self) -> PfnRange {
        self.span
    }

    /// Whether `pfn` is in the set.
    pub fn get(&self, pfn: Pfn) -> bool {
        let at = pfn - self.span.start;
        self.span.contains(pfn) && self.words[(at / WORD) as usize] >> (at % WORD) & 1 != 0
    }

    /// How many pages of `run` are in the set.
    pub fn count(&self, run: PfnRange) -> u64 {
        count(self.words, self.span, run)
    }

    /// Takes the pages of `run` that lie in this part out of the set; returns how many were in it.
    pub fn clear(&mut self, run: PfnRange) -> u64 {
        let run = run.intersect(self.span);
        if run.len() == 1 {
            let at = run.start - self.span.start;
            let word = &mut self.words[(at / WORD) as usize];
            let had = *word >> (at % WORD) & 1;
            *word &= !(1 << (at % WORD));
            return had;
        }
        let had = count(self.words, self.span, run);
        if had != 0 {
            let (from, to) = ((run.start - self.span.start) as usize, (run.end - self.span.start) as usize);
            self.words.view_bits_mut::<Lsb0>()[from..to].fill(false);
        }
        had
    }
}

/// Runs of pages that are in a set. See [`PageBitmap::runs`].
pub struct Runs<'a> {
    bits: &'a PageBitmap,
    rest: PfnRange,
}

impl Iterator for Runs<'_> {
    type Item = PfnRange;

    fn next(&mut self) -> Option<PfnRange> {
        let start = self.bits.next_set(self.rest.start).filter(|pfn| *pfn < self.rest.end)?;
        let end = self.bits.next_clear(start).min(self.rest.end);
        self.rest.start = end;
        Some(PfnRange::new(start, end))
    }
}

/// Bits of `run` that are 1 in `words`, which hold `span`.
fn count(words: &[u64], span: PfnRange, run: PfnRange) -> u64 {
    let run = run.intersect(span);
    if run.is_empty() {
        return 0;
    }
    let (from, to) = ((run.start - span.start) as usize, (run.end - span.start) as usize);
    let (first, last) = (from / 64, (to - 1) / 64);
    let head = u64::MAX << (from % 64);
    let tail = u64::MAX >> (63 - (to - 1) % 64);
    if first == last {
        return u64::from((words[first] & head & tail).count_ones());
    }
    let middle: u64 = words[first + 1..last].iter().map(|word| u64::from(word.count_ones())).sum();
    u64::from((words[first] & head).count_ones()) + middle + u64::from((words[last] & tail).count_ones())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(a: u64, b: u64) -> PfnRange {
        PfnRange::new(Pfn(a), Pfn(b))
    }

    #[test]
    fn is_written_lowest_bit_first() {
        let mut bits = PageBitmap::new(Pfn(20)).unwrap();
        bits.set(range(1, 3));
        bits.set(range(9, 10));
        bits.set(range(19, 40));
        let mut out = [0xff; 4];
        bits.write_bytes(range(0, 20), &mut out);
        assert_eq!(out, [0b110, 0b10, 0b1000, 0]);
        bits.write_bytes(range(8, 18), &mut out);
        assert_eq!(out, [0b10, 0, 0, 0]);
    }

    #[test]
    fn a_window_out_of_thin_air_is_refused() {
        assert!(PageBitmap::new(Pfn(1 << 40)).is_none());
        assert!(PageBitmap::windowed(range(1 << 50, (1 << 50) + 100)).is_some());
    }

    proptest! {
        #[test]
        fn does_what_a_list_of_bools_does(
            len in 1u64..300, base in prop::sample::select(vec![0u64, 64, 128]),
            ops in prop::collection::vec((any::<bool>(), 0u64..300, 0u64..300), 0..12), from in 0u64..300, n in 1u64..80,
        ) {
            let mut model = vec![false; len as usize];
            let mut bits = PageBitmap::windowed(range(base, base + len)).unwrap();
            for (on, a, b) in ops {
                let run = range(base + a.min(b), base + a.max(b));
                let slots = a.min(b).min(len) as usize..a.max(b).min(len) as usize;
                let had = model[slots.clone()].iter().filter(|x| **x).count() as u64;
                prop_assert_eq!(bits.count(run), had);
                if on { bits.set(run) } else { prop_assert_eq!(bits.clear(run), had) }
                model[slots].fill(on);
            }
            let at = |i: u64| model.get(i as usize).copied().unwrap_or(false);
            for i in 0..len { prop_assert_eq!(bits.get(Pfn(base + i)), at(i)); }
            let next = (from..len).find(|i| at(*i)).map(|i| Pfn(base + i));
            prop_assert_eq!(bits.next_set(Pfn(base + from)), next);
            let listed: Vec<u64> = bits.runs(range(base, base + len)).flat_map(|r| r.start.0 - base..r.end.0 - base).collect();
            prop_assert_eq!(listed, (0..len).filter(|i| at(*i)).collect::<Vec<_>>());
            let block = bits.take(Pfn(base + from), n);
            prop_assert_eq!(bits.count(block), n.min((from..len).filter(|i| at(*i)).count() as u64));
            let mut out = vec![0u8; (len as usize).div_ceil(8)];
            bits.write_bytes(range(base, base + len), &mut out);
            for i in 0..len { prop_assert_eq!(out[i as usize / 8] >> (i % 8) & 1 == 1, at(i)); }
            let whole: u64 = bits.windows_mut(100).iter().map(|w| w.count(w.span())).sum();
            prop_assert_eq!(whole, (0..len).filter(|i| at(*i)).count() as u64);
        }
    }
}
