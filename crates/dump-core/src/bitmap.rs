//! A bit per page frame, in the bit order that kdump files have on disk.
//!
//! ```text
//! PageBitmap   span ──> chunk  chunk  chunk ...     2^15 pages each: all absent, all present, or
//!                                └─> 512 words      a bit a page, bit n of word n / 64 lowest first
//! ```
//!
//! Written little endian, bit `n` of the words is bit `n % 8` of byte `n / 8`, as every architecture's kdump file has
//! it. Chunks of one kind hold no words: RAM that lies far up costs nothing for what lies below, and a header that
//! claims made-up memory costs 16 bytes for each 128 MiB of it. Ranges are
//! filled, counted and scanned by whole words, here and nowhere else.

use crate::addr::{Pfn, PfnRange};
use crate::error::Result;
use crate::page_runs::{give, runs_of_bits};
use crate::zero::is_zero;
use std::ops::Deref;
use std::sync::Arc;

const WORD: u64 = 64;
const WORDS: usize = 512;

/// Pages of a chunk: 128 MiB of 4 KiB pages, 4 KiB of bits.
const CHUNK: u64 = PageBitmap::CHUNK_PAGES;

/// Page frames as the pipeline and the writers see them: counted, or looked at window by window.
///
/// A [`PageBitmap`] holds them all; something that finds them out again whenever it is asked can give the same answers
/// in less memory. Such a set is best asked in ascending order.
pub trait PageSet: Sync {
    /// The window in which pages can lie.
    fn span(&self) -> PfnRange;

    /// How many pages of `run` are in the set.
    ///
    /// # Errors
    /// A failure to compute the set; none if it is held. The same holds for the other methods.
    fn count(&self, run: PfnRange) -> Result<u64>;

    /// Writes the bits of `run` (its start a multiple of 8) to `out`, 8 pages a byte, lowest first; all of `out` is
    /// written, bits past the run or the window as 0.
    ///
    /// # Errors
    /// As [`count`](PageSet::count).
    fn write_bytes(&self, run: PfnRange, out: &mut [u8]) -> Result<()>;

    /// The part of the set around `pfn`, from a multiple of [`PageBitmap::CHUNK_PAGES`] to another or to an end of the
    /// set. To be dropped before another is asked for, since two may be more than there is memory for.
    ///
    /// # Errors
    /// As [`count`](PageSet::count).
    fn window(&self, pfn: Pfn) -> Result<PageWindow<'_>>;

    /// Calls `each` with runs of pages of the set that lie in `within`, ascending. Runs may touch: joining is left to
    /// the caller. A set may span 2^36 pages of which few are there: stretches that are all in or all out are counted,
    /// not looked at.
    ///
    /// # Errors
    /// What `each` returns; as [`count`](PageSet::count).
    fn each_run(&self, within: PfnRange, each: &mut dyn FnMut(PfnRange) -> Result<()>) -> Result<()> {
        let within = within.intersect(self.span());
        let mut bits = Vec::new();
        let mut at = within.start;
        while at < within.end {
            let end = Pfn((at.0 / PAGES_PER_LOOK + 1) * PAGES_PER_LOOK).min(within.end);
            let window = PfnRange::new(at, end);
            match self.count(window)? {
                0 => {}
                all if all == window.len() => each(window)?,
                _ => {
                    let aligned = PfnRange::new(Pfn(at.0 & !7), end); // bits come in whole bytes
                    bits.resize(aligned.len().div_ceil(8) as usize, 0);
                    self.write_bytes(aligned, &mut bits)?;
                    runs_of_bits(&bits, aligned.start, &mut |run| give(run, window, each))?;
                }
            }
            at = end;
        }
        Ok(())
    }

    /// The page after the last one of the set in `within`; `None` where there is none.
    ///
    /// # Errors
    /// As [`count`](PageSet::count).
    fn end_in(&self, within: PfnRange) -> Result<Option<Pfn>> {
        let mut last = None;
        self.each_run(within, &mut |run| {
            last = Some(run.end);
            Ok(())
        })?;
        Ok(last)
    }
}

/// Pages whose bits are looked at at once: 64 KiB of bits.
const PAGES_PER_LOOK: u64 = 1 << 19;

/// A part of a [`PageSet`], held.
pub enum PageWindow<'a> {
    /// All of a set that is held anyway.
    All(&'a PageBitmap),
    /// A part that was made to be looked at.
    Part(Arc<PageBitmap>),
}

impl Deref for PageWindow<'_> {
    type Target = PageBitmap;

    fn deref(&self) -> &PageBitmap {
        match self {
            PageWindow::All(bits) => bits,
            PageWindow::Part(bits) => bits,
        }
    }
}

/// A stretch of the bitmap: its words, or one word for all of them. Bits past the window's end are never looked at.
#[derive(Clone, Debug)]
struct Chunk {
    words: Option<Box<[u64; WORDS]>>,
    uniform: u64,
}

impl Chunk {
    /// All 1 or all 0.
    const fn uniform(value: bool) -> Chunk {
        Chunk { words: None, uniform: if value { u64::MAX } else { 0 } }
    }

    fn word(&self, i: usize) -> u64 {
        self.words.as_ref().map_or(self.uniform, |words| words[i])
    }

    /// Its words, to be changed.
    fn words(&mut self) -> &mut [u64; WORDS] {
        let uniform = self.uniform;
        self.words.get_or_insert_with(|| Box::new([uniform; WORDS]))
    }

    /// Whether all its bits are known to be `value`, without a look at words.
    fn is(&self, value: bool) -> bool {
        self.words.is_none() && (self.uniform != 0) == value
    }

    /// Bits `from..to` that are 1.
    fn count(&self, from: usize, to: usize) -> u64 {
        match &self.words {
            _ if from >= to => 0,
            Some(words) => count(&words[..], from, to),
            None if self.uniform == 0 => 0,
            None => (to - from) as u64,
        }
    }

    /// Makes bits `from..to` of a chunk with `len` pages all 1 or all 0.
    fn fill(&mut self, from: usize, to: usize, len: usize, value: bool) {
        if (from, to) == (0, len) {
            *self = Chunk::uniform(value);
        } else if from < to && !self.is(value) {
            fill(self.words(), from, to, value);
        }
    }

    /// The first bit at or after `from` that is `value`.
    fn find(&self, from: usize, value: bool) -> Option<usize> {
        match &self.words {
            Some(words) => find(&words[..], from, if value { 0 } else { u64::MAX }),
            None => self.is(value).then_some(from),
        }
    }
}

/// A bit for each page frame of a window.
#[derive(Clone, Debug)]
pub struct PageBitmap {
    span: PfnRange,
    chunks: Vec<Chunk>,
}

impl PageBitmap {
    /// Pages that share a chunk of memory: boundaries between parts of a set are multiples of this.
    pub const CHUNK_PAGES: u64 = WORD * WORDS as u64;

    /// The largest window that a bitmap may span, in pages: 256 TiB of 4 KiB pages, 32 MiB of empty chunks.
    pub const MAX_PAGES: u64 = 1 << 36;

    /// Bytes on the heap that a set over `pages` pages takes at most: a bit a page, and 16 bytes for each chunk.
    pub fn most_bytes(pages: u64) -> u64 {
        pages.div_ceil(8).saturating_add(pages.div_ceil(Self::CHUNK_PAGES).saturating_mul(size_of::<Chunk>() as u64))
    }

    /// An empty set over `0..end`; `None` where that is more than any machine has (2^36 pages).
    pub fn new(end: Pfn) -> Option<PageBitmap> {
        PageBitmap::windowed(PfnRange::new(Pfn(0), end))
    }

    /// An empty set over `span`, its start rounded down to a multiple of 64.
    pub fn windowed(span: PfnRange) -> Option<PageBitmap> {
        let span = PfnRange::new(Pfn(span.start.0 / WORD * WORD), span.end);
        if span.len() > Self::MAX_PAGES {
            return None;
        }
        let chunks = usize::try_from(span.len().div_ceil(CHUNK)).ok()?;
        Some(PageBitmap { span, chunks: vec![Chunk::uniform(false); chunks] })
    }

    /// The window in which pages can lie.
    pub fn span(&self) -> PfnRange {
        self.span
    }

    /// Whether `pfn` is in the set.
    pub fn get(&self, pfn: Pfn) -> bool {
        let at = pfn - self.span.start;
        self.span.contains(pfn) && self.word(at / WORD) >> (at % WORD) & 1 != 0
    }

    /// How many pages of `run` are in the set.
    pub fn count(&self, run: PfnRange) -> u64 {
        let run = run.intersect(self.span);
        let count = |i: usize| {
            let span = chunk_span(self.span, i);
            let here = run.intersect(span);
            self.chunks[i].count((here.start - span.start) as usize, (here.end - span.start) as usize)
        };
        self.chunks_of(run).map(count).sum()
    }

    /// Writes the bits of `run` (its start a multiple of 8) to `out`, 8 pages a byte, lowest first; all of `out` is
    /// written, bits past the run or the window as 0.
    pub fn write_bytes(&self, run: PfnRange, out: &mut [u8]) {
        // of a hole in memory there are many, and nothing else
        if self.count(run) == 0 {
            out.fill(0);
            return;
        }
        let mut pfn = run.start;
        for bytes in out.chunks_mut(8) {
            let word = self.bits_at(pfn, run.end).to_le_bytes();
            bytes.copy_from_slice(&word[..bytes.len()]);
            pfn = pfn + WORD;
        }
    }

    /// Puts the pages of `run` that lie in the window into the set.
    pub fn set(&mut self, run: PfnRange) {
        self.fill(run, true);
    }

    /// Takes the pages of `run` out of the set; returns how many were in it.
    pub fn clear(&mut self, run: PfnRange) -> u64 {
        let had = self.count(run);
        if had != 0 {
            self.fill(run, false);
        }
        had
    }

    /// Adds pages by their bits, 8 a byte, lowest first; bit 0 of the first byte is page `first`, a multiple of 64.
    /// Bits past the window are passed over.
    pub fn load(&mut self, first: Pfn, bytes: &[u8]) {
        if is_zero(bytes) {
            return;
        }
        for (i, eight) in bytes.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..eight.len()].copy_from_slice(eight);
            let word = u64::from_le_bytes(word);
            let at = (first - self.span.start) / WORD + i as u64;
            if word == 0 || at * WORD >= self.span.len() {
                continue;
            }
            if let Some(chunk) = self.chunks.get_mut((at * WORD / CHUNK) as usize) {
                if !chunk.is(true) {
                    chunk.words()[at as usize % WORDS] |= word;
                }
            }
        }
    }

    /// The first page at or after `from` that is in the set.
    pub fn next_set(&self, from: Pfn) -> Option<Pfn> {
        self.find(PfnRange::new(from, self.span.end), true)
    }

    /// The first page at or after `from` that is not in the set; the window's end where all are.
    pub fn next_clear(&self, from: Pfn) -> Pfn {
        self.find(PfnRange::new(from, self.span.end), false).unwrap_or(self.span.end)
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

    /// The set cut into windows of 2^15 pages, each of which may be changed on its own.
    pub fn windows_mut(&mut self) -> Vec<WindowMut<'_>> {
        let span = self.span;
        let window = |(i, chunk)| WindowMut { span: chunk_span(span, i), chunk };
        self.chunks.iter_mut().enumerate().map(window).collect()
    }

    fn fill(&mut self, run: PfnRange, value: bool) {
        let run = run.intersect(self.span);
        for i in self.chunks_of(run) {
            let span = chunk_span(self.span, i);
            let here = run.intersect(span);
            let (from, to) = ((here.start - span.start) as usize, (here.end - span.start) as usize);
            self.chunks[i].fill(from, to, span.len() as usize, value);
        }
    }

    /// The chunks that share a page with `run`, which lies in the window.
    fn chunks_of(&self, run: PfnRange) -> std::ops::Range<usize> {
        if run.is_empty() {
            return 0..0;
        }
        ((run.start - self.span.start) / CHUNK) as usize..(run.end - self.span.start).div_ceil(CHUNK) as usize
    }

    /// The first page of `run` whose bit is `value`; looks no further than the run goes.
    fn find(&self, run: PfnRange, value: bool) -> Option<Pfn> {
        let run = run.intersect(self.span);
        for i in self.chunks_of(run) {
            let start = self.span.start + i as u64 * CHUNK;
            if let Some(at) = self.chunks[i].find((run.start - start) as usize, value) {
                let pfn = start + at as u64;
                return (pfn < run.end).then_some(pfn);
            }
        }
        None
    }

    /// Word `i` of the window; 0 past its end.
    fn word(&self, i: u64) -> u64 {
        self.chunks.get((i * WORD / CHUNK) as usize).map_or(0, |chunk| chunk.word(i as usize % WORDS))
    }

    /// The 64 bits from `pfn` on, those at or past `end` cleared.
    fn bits_at(&self, pfn: Pfn, end: Pfn) -> u64 {
        let run = PfnRange::at(pfn, WORD).intersect(PfnRange::new(self.span.start, self.span.end.min(end)));
        if run.is_empty() {
            return 0;
        }
        let at = run.start - self.span.start;
        let low = self.word(at / WORD) >> (at % WORD);
        let high = match at % WORD {
            0 => 0,
            shift => self.word(at / WORD + 1) << (WORD - shift),
        };
        ((low | high) & (u64::MAX >> (WORD - run.len()))) << (run.start - pfn)
    }
}

/// The pages of chunk `i` of a window.
fn chunk_span(span: PfnRange, i: usize) -> PfnRange {
    PfnRange::at(span.start + i as u64 * CHUNK, CHUNK).intersect(span)
}

impl PageSet for PageBitmap {
    fn span(&self) -> PfnRange {
        self.span
    }

    fn count(&self, run: PfnRange) -> Result<u64> {
        Ok(PageBitmap::count(self, run))
    }

    fn write_bytes(&self, run: PfnRange, out: &mut [u8]) -> Result<()> {
        PageBitmap::write_bytes(self, run, out);
        Ok(())
    }

    fn window(&self, _: Pfn) -> Result<PageWindow<'_>> {
        Ok(PageWindow::All(self))
    }
}

/// Equal as sets, however the chunks hold them.
impl PartialEq for PageBitmap {
    fn eq(&self, other: &PageBitmap) -> bool {
        let words = 0..self.span.len().div_ceil(WORD);
        let bits = |set: &PageBitmap, i: u64| set.bits_at(set.span.start + i * WORD, set.span.end);
        self.span == other.span && words.into_iter().all(|i| bits(self, i) == bits(other, i))
    }
}

impl Eq for PageBitmap {}

/// A part of a [`PageBitmap`] that one worker changes.
pub struct WindowMut<'a> {
    span: PfnRange,
    chunk: &'a mut Chunk,
}

impl WindowMut<'_> {
    /// The page frames of this part.
    pub fn span(&self) -> PfnRange {
        self.span
    }

    /// Whether `pfn` is in the set.
    pub fn get(&self, pfn: Pfn) -> bool {
        let at = (pfn - self.span.start) as usize;
        self.span.contains(pfn) && self.chunk.word(at / 64) >> (at % 64) & 1 != 0
    }

    /// How many pages of `run` are in the set.
    pub fn count(&self, run: PfnRange) -> u64 {
        let (from, to) = self.within(run);
        self.chunk.count(from, to)
    }

    /// Takes the pages of `run` that lie in this part out of the set; returns how many were in it.
    pub fn clear(&mut self, run: PfnRange) -> u64 {
        let (from, to) = self.within(run);
        let had = self.chunk.count(from, to);
        if had != 0 {
            self.chunk.fill(from, to, self.span.len() as usize, false);
        }
        had
    }

    /// Calls `each` with the maximal runs of pages of `run` that lie in this part and are in the set, ascending.
    pub fn each_run(&self, run: PfnRange, each: &mut dyn FnMut(PfnRange)) {
        let (mut from, to) = self.within(run);
        while from < to {
            let Some(start) = self.chunk.find(from, true).filter(|start| *start < to) else { break };
            from = self.chunk.find(start, false).map_or(to, |end| end.min(to));
            each(PfnRange::new(self.span.start + start as u64, self.span.start + from as u64));
        }
    }

    fn within(&self, run: PfnRange) -> (usize, usize) {
        let run = run.intersect(self.span);
        ((run.start - self.span.start) as usize, (run.end - self.span.start) as usize)
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
        let start = self.bits.find(self.rest, true)?;
        let end = self.bits.find(PfnRange::new(start, self.rest.end), false).unwrap_or(self.rest.end);
        self.rest.start = end;
        Some(PfnRange::new(start, end))
    }
}

/// Makes bits `from..to`, at least one, all 1 or all 0.
fn fill(words: &mut [u64], from: usize, to: usize, value: bool) {
    let (first, last) = (from / 64, (to - 1) / 64);
    let head = u64::MAX << (from % 64);
    let tail = u64::MAX >> (63 - (to - 1) % 64);
    let mut put = |i: usize, mask: u64| {
        let word = &mut words[i];
        *word = if value { *word | mask } else { *word & !mask };
    };
    if first == last {
        return put(first, head & tail);
    }
    put(first, head);
    put(last, tail);
    words[first + 1..last].fill(if value { u64::MAX } else { 0 });
}

/// Bits `from..to` of `words` that are 1; `from` lies below `to`.
fn count(words: &[u64], from: usize, to: usize) -> u64 {
    let (first, last) = (from / 64, (to - 1) / 64);
    let head = u64::MAX << (from % 64);
    let tail = u64::MAX >> (63 - (to - 1) % 64);
    if first == last {
        return u64::from((words[first] & head & tail).count_ones());
    }
    let middle: u64 = words[first + 1..last].iter().map(|word| u64::from(word.count_ones())).sum();
    u64::from((words[first] & head).count_ones()) + middle + u64::from((words[last] & tail).count_ones())
}

/// The first bit at or after `from` that, XORed with `flip`'s, is 1.
fn find(words: &[u64], from: usize, flip: u64) -> Option<usize> {
    let mut mask = u64::MAX << (from % 64);
    for (i, word) in words.iter().enumerate().skip(from / 64) {
        let hits = (word ^ flip) & mask;
        if hits != 0 {
            return Some(64 * i + hits.trailing_zeros() as usize);
        }
        mask = u64::MAX;
    }
    None
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

    /// The largest window, all of it present, is a few MiB of chunks: counted and searched without a word.
    #[test]
    fn uniform_stretches_cost_nothing() {
        let end = 1 << 36;
        let mut bits = PageBitmap::new(Pfn(end)).unwrap();
        bits.set(range(5, end));
        assert_eq!((bits.count(range(0, end)), bits.next_clear(Pfn(5))), (end - 5, Pfn(end)));
        assert!(bits.chunks[1..].iter().all(|chunk| chunk.is(true)));
    }

    #[test]
    fn equal_sets_are_equal_however_they_came_to_be() {
        let mut whole = PageBitmap::new(Pfn(CHUNK + 100)).unwrap();
        let mut pieces = whole.clone();
        whole.set(range(0, CHUNK + 100));
        pieces.set(range(0, 77));
        assert_ne!(whole, pieces);
        pieces.set(range(77, CHUNK + 100));
        assert_eq!(whole, pieces);
    }

    /// What a list of bools does, over three chunks: `len`, the runs and `from` in units of 331 pages.
    fn check(
        len: u64,
        base: u64,
        ops: &[(bool, u64, u64)],
        from: u64,
        n: u64,
    ) -> std::result::Result<(), TestCaseError> {
        let mut model = vec![false; len as usize];
        let mut bits = PageBitmap::windowed(range(base, base + len)).unwrap();
        for (on, a, b) in ops {
            let run = range(base + a.min(b), base + a.max(b));
            let slots = (*a.min(b)).min(len) as usize..(*a.max(b)).min(len) as usize;
            let had = model[slots.clone()].iter().filter(|x| **x).count() as u64;
            prop_assert_eq!(bits.count(run), had);
            if *on {
                bits.set(run);
            } else {
                prop_assert_eq!(bits.clear(run), had);
            }
            model[slots].fill(*on);
        }
        let at = |i: u64| model.get(i as usize).copied().unwrap_or(false);
        let all = || (0..len).filter(|i| at(*i));
        for i in (0..len).step_by(7) {
            prop_assert_eq!(bits.get(Pfn(base + i)), at(i));
        }
        prop_assert_eq!(bits.next_set(Pfn(base + from)), (from..len).find(|i| at(*i)).map(|i| Pfn(base + i)));
        let next_clear = (from..len).find(|i| !at(*i)).unwrap_or(len);
        prop_assert_eq!(bits.next_clear(Pfn(base + from)), Pfn(base + next_clear));
        let listed = bits.runs(range(base, base + len)).flat_map(|r| r.start.0 - base..r.end.0 - base);
        prop_assert!(listed.eq(all()));
        let block = bits.take(Pfn(base + from), n);
        prop_assert_eq!(bits.count(block), n.min((from..len).filter(|i| at(*i)).count() as u64));
        let mut out = vec![0u8; (len as usize).div_ceil(8)];
        bits.write_bytes(range(base, base + len), &mut out);
        prop_assert!((0..len).all(|i| (out[i as usize / 8] >> (i % 8) & 1 == 1) == at(i)));
        let mut loaded = PageBitmap::windowed(range(base, base + len)).unwrap();
        loaded.load(Pfn(base), &out);
        prop_assert_eq!(&loaded, &bits);
        let whole: u64 = bits.windows_mut().iter().map(|w| w.count(w.span())).sum();
        prop_assert_eq!(whole, all().count() as u64);
        Ok(())
    }

    fn joined(set: &dyn PageSet, within: PfnRange) -> Vec<PfnRange> {
        let mut list: Vec<PfnRange> = Vec::new();
        let mut join = |run: PfnRange| {
            assert!(!run.is_empty() && list.last().is_none_or(|last| last.end <= run.start));
            match list.last_mut() {
                Some(last) if last.end == run.start => last.end = run.end,
                _ => list.push(run),
            }
            Ok(())
        };
        set.each_run(within, &mut join).unwrap();
        list
    }

    #[test]
    fn a_wide_set_with_little_in_it() {
        let mut set = PageBitmap::new(Pfn(1 << 36)).unwrap();
        let runs = [(5, PAGES_PER_LOOK * 3 + 7), (1 << 35, (1 << 35) + 1), ((1 << 36) - 9, 1 << 36)];
        let runs = runs.map(|(start, end)| range(start, end));
        runs.iter().for_each(|run| set.set(*run));
        assert_eq!(joined(&set, set.span()), runs);
    }

    proptest! {
        #[test]
        fn any_set_lists_the_runs_that_a_bitmap_lists(
            base in prop::sample::select(vec![0u64, 64, PAGES_PER_LOOK - 128]),
            runs in prop::collection::vec((0u64..400, 0u64..130), 0..8), from in 0u64..400, len in 0u64..400,
        ) {
            let mut set = PageBitmap::windowed(PfnRange::at(Pfn(base), 500)).unwrap();
            for (at, len) in runs {
                set.set(PfnRange::at(Pfn(base + at), len));
            }
            let within = PfnRange::at(Pfn(base + from), len);
            let want: Vec<_> = set.runs(within).collect();
            prop_assert_eq!(set.end_in(within).unwrap(), want.last().map(|run| run.end));
            prop_assert_eq!(joined(&set, within), want);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn does_what_a_list_of_bools_does(
            len in 1u64..300,
            scale in prop::sample::select(vec![1u64, 331]),
            base in prop::sample::select(vec![0u64, 64, 128]),
            ops in prop::collection::vec((any::<bool>(), 0u64..300, 0u64..300), 0..12),
            from in 0u64..300,
            n in 1u64..80,
        ) {
            let ops: Vec<_> = ops.into_iter().map(|(on, a, b)| (on, a * scale, b * scale)).collect();
            check(len * scale, base, &ops, from * scale, n * scale)?;
        }
    }
}
