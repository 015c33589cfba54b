//! Writing a LiME image: a range for each run of pages to dump.
//!
//! A range's header comes before its pages and names the last of them. How far a run goes is known beforehand, from the
//! set of pages to dump, so everything is placed in ascending order: what comes out of the pipeline can go to a pipe.
//! The set is copied for that, a bit for each page.
//!
//! Runs are cut exactly where pages are left out, however short the gap: LiME has no word for a page that is there and
//! was not kept. A page that could not be read is the other way round: it lies within a range and is zeros, as LiME
//! itself writes it.

use crate::record::{self, Header};
use dump_core::{
    BlockEncoder, DumpMeta, DumpWriter, EncodedBlock, EncodedSpan, Ending, Error, PageBitmap, PageSet, PageSize,
    PageWriter, Pfn, PfnRange, Placer, PlainEncoder, Result, SpanData,
};
use std::ops::Range;

/// Bytes of the set of pages copied at a time; each is eight pages.
const BYTES_PER_COPY: usize = 4096;

/// Writes a LiME image of version 1 to one output.
///
/// Pages of zeros, and those that could not be read, are holes of the file: an image takes no more room than what is
/// known of its memory. A run of them is placed when what follows it is, for a file that grows by a block of zeros at a
/// time has a byte of each.
///
/// An image that stopped early has its last range cut to the pages that came, which is the one time that something is
/// placed again; nothing else says that there should be more. A header stands before its pages, so unlike a kdump
/// file's index it cannot wait for them to land: where the output was full, the last blocks may be zeros.
pub struct LimeWriter;

impl DumpWriter for LimeWriter {
    fn prepare(
        self: Box<Self>,
        meta: &DumpMeta,
        _: &dyn PageSet,
        dumpable: &dyn PageSet,
        _: &mut dyn Placer,
    ) -> Result<Box<dyn PageWriter>> {
        let range = Placed { pages: PfnRange::default(), at: 0 };
        let kept = copy(dumpable)?;
        Ok(Box::new(LimeFile { size: meta.page_size, kept, next: Pfn(0), range, zeros: 0..0 }))
    }
}

/// An image, as far as it has got.
struct LimeFile {
    size: PageSize,
    kept: PageBitmap,
    /// The page frame after the last placed.
    next: Pfn,
    /// The range begun last; before the first, an empty one whose header would stand before the file.
    range: Placed,
    /// Bytes of the file that are zeros and not placed yet: the last ones so far.
    zeros: Range<u64>,
}

/// A range in the file.
#[derive(Clone, Copy)]
struct Placed {
    pages: PfnRange,
    /// Where its first page is in the file (bytes).
    at: u64,
}

impl Placed {
    /// Where page `pfn` of the range, or the end of the range, is in the file.
    fn offset(&self, pfn: Pfn, size: PageSize) -> u64 {
        self.at + size.bytes_of(pfn - self.pages.start)
    }

    fn place_header(&self, size: PageSize, out: &mut dyn Placer) -> Result<()> {
        let (start, end) = (size.addr_of(self.pages.start).0, size.addr_of(self.pages.end).0);
        out.index(0, self.at - record::LEN as u64, &Header { start, end }.encode())
    }
}

impl LimeFile {
    /// Places a span, or its parts where it goes on from one range to the next.
    fn place_span(&mut self, span: &EncodedSpan, out: &mut dyn Placer) -> Result<()> {
        let mut rest = span.pages;
        while !rest.is_empty() {
            if !self.range.pages.contains(rest.start) {
                self.begin(rest.start, out)?;
            }
            let here = rest.intersect(self.range.pages);
            if here.is_empty() {
                return Err(Error::bug(format!("LiME output: pages {rest} are not to be dumped")));
            }
            let (at, len) = (self.range.offset(here.start, self.size), self.size.bytes_of(here.len()));
            match &span.data {
                SpanData::Stored { data, .. } => {
                    self.place_zeros(out)?;
                    let from = data.start + self.size.bytes_of(here.start - span.pages.start) as usize;
                    out.data(0, at, from..from + len as usize)?;
                }
                SpanData::Zero | SpanData::Absent(_) if self.zeros.end == at => self.zeros.end += len,
                SpanData::Zero | SpanData::Absent(_) => {
                    self.place_zeros(out)?;
                    self.zeros = at..at + len;
                }
            }
            rest.start = here.end;
            self.next = here.end;
        }
        Ok(())
    }

    fn place_zeros(&mut self, out: &mut dyn Placer) -> Result<()> {
        let zeros = std::mem::take(&mut self.zeros);
        if zeros.is_empty() { Ok(()) } else { out.zeros(0, zeros.start, zeros.end - zeros.start) }
    }

    /// Begins a range at `pfn`, behind the one before.
    fn begin(&mut self, pfn: Pfn, out: &mut dyn Placer) -> Result<()> {
        self.place_zeros(out)?;
        let at = self.range.offset(self.range.pages.end, self.size) + record::LEN as u64;
        self.range = Placed { pages: PfnRange::new(pfn, self.kept.next_clear(pfn)), at };
        self.range.place_header(self.size, out)
    }

    /// Cuts the last range to the pages that came.
    fn cut(&mut self, out: &mut dyn Placer) -> Result<()> {
        if self.next < self.range.pages.end {
            self.range.pages.end = self.next;
            self.range.place_header(self.size, out)?;
        }
        Ok(())
    }
}

impl PageWriter for LimeFile {
    fn encoder(&self) -> Box<dyn BlockEncoder> {
        Box::new(PlainEncoder::new(self.size))
    }

    fn place(&mut self, block: &EncodedBlock, out: &mut dyn Placer) -> Result<()> {
        block.spans.iter().try_for_each(|span| self.place_span(span, out))
    }

    fn finish(&mut self, ending: Ending, out: &mut dyn Placer) -> Result<()> {
        self.place_zeros(out)?;
        match ending {
            Ending::Complete => Ok(()),
            Ending::Incomplete => self.cut(out),
        }
    }
}

/// A set of pages that outlives the call.
fn copy(pages: &dyn PageSet) -> Result<PageBitmap> {
    let span = pages.span();
    let too_far = || Error::unsupported(format!("LiME output: pages {span} are more than any machine has"));
    let mut out = PageBitmap::windowed(span).ok_or_else(too_far)?;
    let mut bytes = [0; BYTES_PER_COPY];
    let mut first = Pfn(span.start.0 / 64 * 64);
    while first < span.end {
        let run = PfnRange::at(first, 8 * BYTES_PER_COPY as u64);
        pages.write_bytes(run, &mut bytes)?;
        out.load(first, &bytes);
        first = run.end;
    }
    Ok(out)
}
