//! A worker's half of writers that store pages as they are.
//!
//! Zero pages get no bytes: what is never written reads as zeros, and where dumps keep zero pages (they are half of an
//! idle machine's memory) that makes the file sparse.

use crate::addr::{PageSize, Pfn, PfnRange};
use crate::error::{Error, Result};
use crate::source::{Content, Span};
use crate::writer::{BlockEncoder, EncodedBlock, EncodedSpan, SpanData};
use crate::zero::is_zero;

/// Passes pages on in spans as long as can be, for sources push page by page and a span is a write: of content, of
/// zeros, of nothing.
pub struct PlainEncoder {
    page: usize,
}

impl PlainEncoder {
    /// For pages of one size.
    pub fn new(size: PageSize) -> PlainEncoder {
        PlainEncoder { page: size.bytes() }
    }

    fn bytes(&self, pages: PfnRange, bytes: &[u8], out: &mut EncodedBlock) -> Result<()> {
        if pages.len().checked_mul(self.page as u64) != Some(bytes.len() as u64) {
            return Err(Error::bug(format!("pages {pages} come with {} bytes", bytes.len())));
        }
        let mut from = 0;
        while from < bytes.len() {
            let zero = bytes.get(from..from + self.page).is_some_and(is_zero);
            let alike = bytes[from..].chunks_exact(self.page).take_while(|page| is_zero(page) == zero).count();
            let run = PfnRange::at(self.pfn(pages.start, from), alike as u64);
            let to = from + alike * self.page;
            match zero {
                true => zeros(run, out),
                false => store(run, &bytes[from..to], out),
            }
            from = to;
        }
        Ok(())
    }

    fn pfn(&self, first: Pfn, byte: usize) -> Pfn {
        first + (byte / self.page) as u64
    }
}

impl BlockEncoder for PlainEncoder {
    fn push(&mut self, span: Span<'_>, out: &mut EncodedBlock) -> Result<()> {
        match span.content {
            Content::Bytes(bytes) => self.bytes(span.pages, bytes, out)?,
            Content::Zero => zeros(span.pages, out),
            Content::Absent(why) => out.note(span.pages, SpanData::Absent(why)),
            Content::Compressed { codec, .. } => {
                let what =
                    format!("pages {} come compressed with {}, which was not asked for", span.pages, codec.name());
                return Err(Error::bug(what));
            }
        }
        Ok(())
    }
}

/// Stores pages, in the span before them where that is of stored pages and ends here.
fn store(run: PfnRange, bytes: &[u8], out: &mut EncodedBlock) {
    match out.spans.last_mut() {
        Some(EncodedSpan { pages, data: SpanData::Stored { codec: None, data } })
            if pages.end == run.start && data.end == out.data.len() =>
        {
            out.data.extend_from_slice(bytes);
            (pages.end, data.end) = (run.end, out.data.len());
        }
        _ => out.store(run, None, bytes),
    }
}

/// Notes zero pages, in the span before them where that is of such pages and ends here.
fn zeros(run: PfnRange, out: &mut EncodedBlock) {
    match out.spans.last_mut() {
        Some(EncodedSpan { pages, data: SpanData::Zero }) if pages.end == run.start => pages.end = run.end,
        _ => out.note(run, SpanData::Zero),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Absence, CodecId, ErrorKind};

    #[test]
    fn pages_join_and_zeros_take_no_bytes() {
        let mut out = EncodedBlock::default();
        let mut encoder = PlainEncoder::new(PageSize::K4);
        let page = |byte| [byte; 4096];
        let first = [page(1), page(2), page(0), page(0), page(3)].concat();
        let at = |start, pages, content| Span { pages: PfnRange::at(Pfn(start), pages), content };
        for span in [
            at(10, 5, Content::Bytes(&first)),
            at(15, 1, Content::Bytes(&page(4))),
            at(16, 3, Content::Zero),
            at(19, 1, Content::Bytes(&page(0))),
            at(20, 1, Content::Absent(Absence::Lost)),
            at(30, 1, Content::Bytes(&page(5))),
            at(32, 1, Content::Bytes(&page(6))),
        ] {
            encoder.push(span, &mut out).unwrap();
        }
        let stored = |data| SpanData::Stored { codec: None, data };
        let want = [
            (10, 2, stored(0..8192)),
            (12, 2, SpanData::Zero),
            (14, 2, stored(8192..16384)),
            (16, 4, SpanData::Zero),
            (20, 1, SpanData::Absent(Absence::Lost)),
            (30, 1, stored(16384..20480)),
            (32, 1, stored(20480..24576)),
        ];
        let want = want.map(|(start, pages, data)| EncodedSpan { pages: PfnRange::at(Pfn(start), pages), data });
        assert_eq!(out.spans, want);
        assert_eq!(out.data, [page(1), page(2), page(3), page(4), page(5), page(6)].concat());
    }

    #[test]
    fn spans_that_lie_are_refused() {
        for content in [Content::Bytes(&[1; 4096]), Content::Compressed { codec: CodecId::new(0, "some"), bytes: &[1] }]
        {
            let span = Span { pages: PfnRange::at(Pfn(0), 2), content };
            let e = PlainEncoder::new(PageSize::K4).push(span, &mut EncodedBlock::default()).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Bug);
        }
    }
}
