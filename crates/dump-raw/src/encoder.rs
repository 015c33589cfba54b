//! A worker's half of the writers: pages as they are, zero pages as nothing.

use dump_core::{
    BlockEncoder, Content, EncodedBlock, EncodedSpan, Error, PageSize, Pfn, PfnRange, Result, Span, SpanData, is_zero,
};

/// Passes pages on in spans as long as can be: of content, of zeros, of nothing.
///
/// Zero pages get no bytes here; what becomes of them is the writer's to say.
pub(crate) struct Encoder {
    page: usize,
}

impl Encoder {
    pub fn new(size: PageSize) -> Encoder {
        Encoder { page: size.bytes() }
    }

    fn bytes(&self, run: PfnRange, bytes: &[u8], out: &mut EncodedBlock) -> Result<()> {
        if bytes.len() as u64 != run.len().saturating_mul(self.page as u64) {
            return Err(Error::corrupt(format!("pages {run} come with {} bytes", bytes.len())));
        }
        let (mut rest, mut pfn) = (bytes, run.start);
        while !rest.is_empty() {
            let zero = rest.get(..self.page).is_some_and(is_zero);
            let alike = rest.chunks_exact(self.page).take_while(|page| is_zero(page) == zero).count();
            let (now, later) = rest.split_at(alike * self.page);
            let pages = PfnRange::at(pfn, alike as u64);
            if zero {
                out.note(pages, SpanData::Zero)
            } else {
                store(pages, now, out)
            }
            (rest, pfn) = (later, pages.end);
        }
        Ok(())
    }
}

/// Appends pages to the span before them, if they follow it: sources push page by page, and a span is a write.
fn store(pages: PfnRange, bytes: &[u8], out: &mut EncodedBlock) {
    match out.spans.last_mut() {
        Some(EncodedSpan { pages: before, data: SpanData::Stored { codec: None, data } })
            if before.end == pages.start && data.end == out.data.len() =>
        {
            out.data.extend_from_slice(bytes);
            (before.end, data.end) = (pages.end, out.data.len());
        }
        _ => out.store(pages, None, bytes),
    }
}

impl BlockEncoder for Encoder {
    fn push(&mut self, span: Span<'_>, out: &mut EncodedBlock) -> Result<()> {
        match span.content {
            Content::Bytes(bytes) => self.bytes(span.pages, bytes, out)?,
            Content::Zero => out.note(span.pages, SpanData::Zero),
            Content::Absent(why) => out.note(span.pages, SpanData::Absent(why)),
            Content::Packed { codec, .. } => {
                let what =
                    format!("page {} comes packed with {}, which was not asked for", span.pages.start, codec.name());
                return Err(Error::corrupt(what));
            }
        }
        Ok(())
    }
}

/// Checks that a span follows what was placed before it, up to page `next`, and has the bytes that it should.
pub(crate) fn check(span: &EncodedSpan, block: &EncodedBlock, next: Pfn, size: PageSize) -> Result<()> {
    let sound = match &span.data {
        SpanData::Stored { codec, data } => {
            codec.is_none() && data.end <= block.data.len() && data.len() as u64 == size.bytes_of(span.pages.len())
        }
        SpanData::Zero | SpanData::Absent(_) => true,
    };
    if span.pages.start < next || !sound {
        return Err(Error::corrupt(format!("pages {} after {next}: {:?}", span.pages, span.data)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dump_core::{Absence, CodecId};

    fn run(start: u64, pages: u64) -> PfnRange {
        PfnRange::at(Pfn(start), pages)
    }

    #[test]
    fn spans_are_as_long_as_can_be() {
        let mut memory = vec![7u8; 6 * 4096];
        memory[2 * 4096..4 * 4096].fill(0);
        let (mut encoder, mut block) = (Encoder::new(PageSize::K4), EncodedBlock::default());
        let mut push = |pages, content| encoder.push(Span { pages, content }, &mut block);
        push(run(10, 6), Content::Bytes(&memory)).unwrap();
        push(run(16, 1), Content::Bytes(&memory[..4096])).unwrap();
        push(run(17, 3), Content::Absent(Absence::Unreadable)).unwrap();
        push(run(20, 9), Content::Zero).unwrap();
        push(run(40, 1), Content::Bytes(&memory[..4096])).unwrap();
        push(run(42, 1), Content::Bytes(&memory[..4096])).unwrap();
        assert!(push(run(50, 2), Content::Bytes(&memory[..4096])).is_err());
        assert!(push(run(50, 1), Content::Packed { codec: CodecId::Lzo, bytes: &[1] }).is_err());
        let stored =
            |from: usize, pages: usize| SpanData::Stored { codec: None, data: from * 4096..(from + pages) * 4096 };
        let want = [
            (run(10, 2), stored(0, 2)),
            (run(12, 2), SpanData::Zero),
            (run(14, 3), stored(2, 3)),
            (run(17, 3), SpanData::Absent(Absence::Unreadable)),
            (run(20, 9), SpanData::Zero),
            (run(40, 1), stored(5, 1)),
            (run(42, 1), stored(6, 1)),
        ];
        let got: Vec<_> = block.spans.iter().map(|span| (span.pages, span.data.clone())).collect();
        assert_eq!(got, want);
        assert!(block.data == vec![7; 7 * 4096]);
    }

    #[test]
    fn spans_out_of_turn_or_without_their_bytes() {
        let block = EncodedBlock { spans: Vec::new(), data: vec![0; 4096] };
        let span = |pages, data| EncodedSpan { pages, data };
        let stored = |codec, data| SpanData::Stored { codec, data };
        for (span, next, ok) in [
            (span(run(5, 1), stored(None, 0..4096)), 5, true),
            (span(run(5, 1), stored(None, 0..4096)), 6, false),
            (span(run(5, 2), stored(None, 0..4096)), 5, false),
            (span(run(5, 1), stored(None, 1..4097)), 5, false),
            (span(run(5, 1), stored(Some(CodecId::Zlib), 0..4096)), 5, false),
            (span(run(5, 9), SpanData::Zero), 0, true),
            (span(run(5, 9), SpanData::Zero), 9, false),
        ] {
            assert_eq!(check(&span, &block, Pfn(next), PageSize::K4).is_ok(), ok, "{span:?}");
        }
    }
}
