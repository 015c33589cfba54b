//! A worker's half of the writer: pages in, packed pages out.
//!
//! Each page stands on its own, so a page becomes the same bytes whatever worker packs it and whatever came before it.
//!
//! Zero pages are looked for in every span: they share one in the file, so that they cost neither packing nor room.

use dump_core::{
    BlockEncoder, CodecId, Content, EncodedBlock, EncodedSpan, Error, PageSize, Pfn, PfnRange, Result, Span, SpanData,
    is_zero,
};

use crate::codec::{self, PageCodec};

/// Packs pages of one size with one codec, or with none.
pub(crate) struct Encoder {
    page: usize,
    codec: Option<(CodecId, Box<dyn PageCodec>)>,
    /// Room for a packed page, then for one unpacked to be looked at.
    packed: Vec<u8>,
    unpacked: Vec<u8>,
    /// How many bytes of a packed page are looked at for a zero page; found out when first wanted.
    zero_len: Option<usize>,
}

impl Encoder {
    /// An encoder for pages of `page_size`; `codec` without support in this build stores pages as they are.
    pub(crate) fn new(page_size: PageSize, codec: Option<CodecId>) -> Encoder {
        let codec = codec.and_then(|id| Some((id, codec::create(id)?)));
        let page = page_size.bytes();
        let room = codec.as_ref().map_or(0, |(_, codec)| codec.room(page));
        Encoder { page, codec, packed: vec![0; room], unpacked: Vec::new(), zero_len: None }
    }

    fn bytes(&mut self, pages: PfnRange, bytes: &[u8], out: &mut EncodedBlock) -> Result<()> {
        if bytes.len() as u64 != pages.len().saturating_mul(self.page as u64) {
            return Err(Error::corrupt(format!("pages {pages} come with {} bytes", bytes.len())));
        }
        for (i, page) in bytes.chunks_exact(self.page).enumerate() {
            let pfn = pages.start + i as u64;
            if is_zero(page) {
                note_zeros(PfnRange::at(pfn, 1), out);
            } else {
                self.page(pfn, page, out)?;
            }
        }
        Ok(())
    }

    /// Stores a page packed where that is strictly smaller: readers know a raw page by its flags, and expect of a
    /// packed one that its size is less than a page's.
    fn page(&mut self, pfn: Pfn, page: &[u8], out: &mut EncodedBlock) -> Result<()> {
        let packed = match &mut self.codec {
            Some((id, codec)) => codec.pack(page, &mut self.packed)?.map(|len| (*id, len)),
            None => None,
        };
        match packed.and_then(|(id, len)| Some((id, self.packed.get(..len)?))) {
            Some((id, bytes)) => out.store(PfnRange::at(pfn, 1), Some(id), bytes),
            None => store_raw(pfn, page, out),
        }
        Ok(())
    }

    /// How many bytes a packed page may have to be looked at for zeros: twice what a zero page packs to, and 64.
    fn zero_len(&mut self) -> Result<usize> {
        let len = match (self.zero_len, &mut self.codec) {
            (Some(len), _) => len,
            (None, Some((_, codec))) => {
                2 * codec.pack(&vec![0; self.page], &mut self.packed)?.unwrap_or(self.page) + 64
            }
            (None, None) => 0,
        };
        Ok(*self.zero_len.insert(len))
    }

    /// Stores a page that comes packed: as it is where it is our codec's, so that filtering a dump again packs nothing.
    ///
    /// It might be a zero page, which the file is to share. Unpacking tells, but unpacking all would cost as much as
    /// reading them does; only pages about as small as a zero page packs to are unpacked. That finds every zero page,
    /// whatever implementation packed it: a codec has one cheapest way to say "zeros", and 64 bytes on top of twice its
    /// length leave room for a worse one. A zero page missed would be stored twice, never wrong.
    fn packed(&mut self, pages: PfnRange, id: CodecId, bytes: &[u8], out: &mut EncodedBlock) -> Result<()> {
        let ours = self.codec.as_ref().is_some_and(|(ours, _)| *ours == id);
        if pages.len() != 1 || !ours || bytes.len() >= self.page {
            let what = format!("{} bytes of {} for pages {pages}: not what was asked for", bytes.len(), id.name());
            return Err(Error::corrupt(what));
        }
        if bytes.len() <= self.zero_len()? && self.unpacks_to_zero(bytes) {
            note_zeros(pages, out);
            return Ok(());
        }
        out.store(pages, Some(id), bytes);
        Ok(())
    }

    fn unpacks_to_zero(&mut self, bytes: &[u8]) -> bool {
        self.unpacked.resize(self.page, 0);
        match &mut self.codec {
            Some((_, codec)) => codec.unpack(bytes, &mut self.unpacked).is_ok() && is_zero(&self.unpacked),
            None => false,
        }
    }
}

impl BlockEncoder for Encoder {
    fn push(&mut self, span: Span<'_>, out: &mut EncodedBlock) -> Result<()> {
        match span.content {
            Content::Bytes(bytes) => self.bytes(span.pages, bytes, out),
            Content::Zero => {
                note_zeros(span.pages, out);
                Ok(())
            }
            Content::Packed { codec, bytes } => self.packed(span.pages, codec, bytes, out),
            Content::Absent(why) => {
                out.note(span.pages, SpanData::Absent(why));
                Ok(())
            }
        }
    }
}

/// Stores a page as it is, in the span before it where that is of such pages and ends here.
fn store_raw(pfn: Pfn, page: &[u8], out: &mut EncodedBlock) {
    if let Some(EncodedSpan { pages, data: SpanData::Stored { codec: None, data } }) = out.spans.last_mut() {
        if pages.end == pfn && data.end == out.data.len() {
            out.data.extend_from_slice(page);
            (pages.end, data.end) = (pfn + 1, out.data.len());
            return;
        }
    }
    out.store(PfnRange::at(pfn, 1), None, page);
}

/// Notes zero pages, in the span before them where that is of such pages and ends here.
fn note_zeros(run: PfnRange, out: &mut EncodedBlock) {
    match out.spans.last_mut() {
        Some(EncodedSpan { pages, data: SpanData::Zero }) if pages.end == run.start => pages.end = run.end,
        _ => out.note(run, SpanData::Zero),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dump_core::{Absence, ErrorKind};

    fn encode(encoder: &mut Encoder, spans: &[Span<'_>]) -> EncodedBlock {
        let mut out = EncodedBlock::default();
        for span in spans {
            encoder.push(*span, &mut out).unwrap();
        }
        out
    }

    fn at(start: u64, pages: u64, content: Content<'_>) -> Span<'_> {
        Span { pages: PfnRange::at(Pfn(start), pages), content }
    }

    fn kinds(block: &EncodedBlock) -> Vec<(u64, u64, &'static str)> {
        let kind = |data: &SpanData| match data {
            SpanData::Stored { codec: None, .. } => "raw",
            SpanData::Stored { codec: Some(_), .. } => "packed",
            SpanData::Zero => "zero",
            SpanData::Absent(_) => "absent",
        };
        block.spans.iter().map(|s| (s.pages.start.0, s.pages.len(), kind(&s.data))).collect()
    }

    #[test]
    fn without_a_codec_pages_join() {
        let bytes = [vec![1; 8192], vec![0; 8192], vec![2; 4096]].concat();
        let spans = [at(4, 5, Content::Bytes(&bytes)), at(9, 2, Content::Zero), at(11, 1, Content::Bytes(&[3; 4096]))];
        let sharing = encode(&mut Encoder::new(PageSize::K4, None), &spans);
        assert_eq!(kinds(&sharing), [(4, 2, "raw"), (6, 2, "zero"), (8, 1, "raw"), (9, 2, "zero"), (11, 1, "raw")]);
        assert_eq!(sharing.data.len(), 4 * 4096);
    }

    #[test]
    fn absent_pages_keep_their_reason() {
        let out = encode(&mut Encoder::new(PageSize::K4, None), &[at(1, 3, Content::Absent(Absence::Lost))]);
        assert_eq!(out.spans, [EncodedSpan { pages: PfnRange::at(Pfn(1), 3), data: SpanData::Absent(Absence::Lost) }]);
    }

    #[test]
    fn spans_that_lie_are_refused() {
        let mut encoder = Encoder::new(PageSize::K4, None);
        let mut out = EncodedBlock::default();
        let packed = Content::Packed { codec: CodecId::Zlib, bytes: &[1] };
        for span in [at(0, 2, Content::Bytes(&[0; 4096])), at(0, 1, packed)] {
            assert_eq!(encoder.push(span, &mut out).unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }

    #[test]
    fn packed_pages_pass_and_zero_pages_are_found_among_them() {
        for id in CodecId::ALL {
            let Some(mut codec) = codec::create(id) else { continue };
            for size in [4096, 65536] {
                let page_size = PageSize::from_bytes(size as u64).unwrap();
                let mut pack = |page: &[u8]| {
                    let mut out = vec![0; codec.room(size)];
                    let len = codec.pack(page, &mut out).unwrap().unwrap();
                    out.truncate(len);
                    out
                };
                let (zero, full) = (pack(&vec![0; size]), pack(&vec![7; size]));
                let spans = [
                    at(0, 1, Content::Packed { codec: id, bytes: &zero }),
                    at(1, 1, Content::Packed { codec: id, bytes: &full }),
                ];
                let out = encode(&mut Encoder::new(page_size, Some(id)), &spans);
                assert_eq!(kinds(&out), [(0, 1, "zero"), (1, 1, "packed")], "{id:?}");
                assert_eq!(out.data, full);
                for content in [Content::Zero, Content::Bytes(&vec![0; size])] {
                    let out = encode(&mut Encoder::new(page_size, Some(id)), &[at(0, 1, content)]);
                    assert_eq!(kinds(&out), [(0, 1, "zero")]);
                }
            }
        }
    }
}
