//! A worker's half of the writer where pages are compressed: pages in, compressed pages out.
//!
//! Each page stands on its own, so a page becomes the same bytes whatever worker compresses it and whatever came before
//! it.
//!
//! Zero pages are looked for in every span: they share one in the file, so that they cost neither compressing nor room.

use dump_core::{
    BlockEncoder, CodecId, Content, EncodedBlock, Error, PageSize, Pfn, PfnRange, PlainEncoder, Result, Span, is_zero,
};

use crate::codec::PageCodec;

/// Compresses pages of one size with one codec.
pub(crate) struct CompressingEncoder {
    page: usize,
    id: CodecId,
    codec: Box<dyn PageCodec>,
    /// Takes the pages that stay as they are.
    plain: PlainEncoder,
    /// Room for a compressed page, then for one decompressed to be looked at.
    compressed: Vec<u8>,
    decompressed: Vec<u8>,
    /// How many bytes of a compressed page are looked at for a zero page; computed when first wanted.
    zero_len: Option<usize>,
}

impl CompressingEncoder {
    /// An encoder for pages of `page_size` with `codec`, whose id is `id`.
    pub(crate) fn new(page_size: PageSize, id: CodecId, codec: Box<dyn PageCodec>) -> CompressingEncoder {
        let page = page_size.bytes();
        let (plain, room) = (PlainEncoder::new(page_size), codec.room(page));
        let (compressed, decompressed) = (vec![0; room], Vec::new());
        CompressingEncoder { page, id, codec, plain, compressed, decompressed, zero_len: None }
    }

    fn bytes(&mut self, pages: PfnRange, bytes: &[u8], out: &mut EncodedBlock) -> Result<()> {
        if bytes.len() as u64 != pages.len().saturating_mul(self.page as u64) {
            return Err(Error::bug(format!("pages {pages} come with {} bytes", bytes.len())));
        }
        for (i, page) in bytes.chunks_exact(self.page).enumerate() {
            self.page(pages.start + i as u64, page, out)?;
        }
        Ok(())
    }

    /// Stores a page compressed where that is strictly smaller: readers know a raw page by its flags, and expect of a
    /// compressed one that its size is less than a page's.
    fn page(&mut self, pfn: Pfn, page: &[u8], out: &mut EncodedBlock) -> Result<()> {
        let pages = PfnRange::at(pfn, 1);
        if is_zero(page) {
            return self.plain.push(Span { pages, content: Content::Zero }, out);
        }
        let len = self.codec.compress(page, &mut self.compressed)?;
        match len.and_then(|len| self.compressed.get(..len)) {
            Some(bytes) => {
                out.store(pages, Some(self.id), bytes);
                Ok(())
            }
            None => self.plain.push(Span { pages, content: Content::Bytes(page) }, out),
        }
    }

    /// How many bytes a compressed page may have to be looked at for zeros: twice what a zero page becomes, and 64.
    fn zero_len(&mut self) -> Result<usize> {
        let len = match self.zero_len {
            Some(len) => len,
            None => 2 * self.codec.compress(&vec![0; self.page], &mut self.compressed)?.unwrap_or(self.page) + 64,
        };
        Ok(*self.zero_len.insert(len))
    }

    /// Stores a page that comes compressed: as it is where it is our codec's, so that filtering a dump again compresses
    /// nothing.
    ///
    /// It might be a zero page, which the file is to share. Decompressing shows it, but decompressing all would cost as
    /// much as reading them does; only pages about as small as a zero page becomes are decompressed. That finds every
    /// zero page, whatever implementation compressed it: a codec has one cheapest way to say "zeros", and 64 bytes on
    /// top of twice its length leave room for a worse one. A zero page missed would be stored twice, never wrong.
    fn compressed(&mut self, pages: PfnRange, id: CodecId, bytes: &[u8], out: &mut EncodedBlock) -> Result<()> {
        if pages.len() != 1 || self.id != id || bytes.len() >= self.page {
            let what = format!("{} bytes of {} for pages {pages}: not what was asked for", bytes.len(), id.name());
            return Err(Error::bug(what));
        }
        if bytes.len() <= self.zero_len()? && self.decompresses_to_zero(bytes) {
            return self.plain.push(Span { pages, content: Content::Zero }, out);
        }
        out.store(pages, Some(id), bytes);
        Ok(())
    }

    fn decompresses_to_zero(&mut self, bytes: &[u8]) -> bool {
        self.decompressed.resize(self.page, 0);
        self.codec.decompress(bytes, &mut self.decompressed).is_ok() && is_zero(&self.decompressed)
    }
}

impl BlockEncoder for CompressingEncoder {
    fn push(&mut self, span: Span<'_>, out: &mut EncodedBlock) -> Result<()> {
        match span.content {
            Content::Bytes(bytes) => self.bytes(span.pages, bytes, out),
            Content::Compressed { codec, bytes } => self.compressed(span.pages, codec, bytes, out),
            Content::Zero | Content::Absent(_) => self.plain.push(span, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Codec, ZLIB, ZSTD};
    use dump_core::{Absence, EncodedSpan, ErrorKind, SpanData};

    /// A codec that makes half a page of pages that are all one byte, and nothing of others.
    struct Halves;

    impl PageCodec for Halves {
        fn compress(&mut self, page: &[u8], out: &mut [u8]) -> Result<Option<usize>> {
            let same = page.iter().all(|byte| *byte == page[0]);
            out[..page.len() / 2].fill(page[0]);
            Ok(same.then_some(page.len() / 2))
        }

        fn decompress(&mut self, compressed: &[u8], page: &mut [u8]) -> Result<()> {
            page.fill(compressed[0]);
            Ok(())
        }
    }

    fn halving() -> CompressingEncoder {
        CompressingEncoder::new(PageSize::K4, ZLIB, Box::new(Halves))
    }

    fn encode(encoder: &mut CompressingEncoder, spans: &[Span<'_>]) -> EncodedBlock {
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
            SpanData::Stored { codec: Some(_), .. } => "compressed",
            SpanData::Zero => "zero",
            SpanData::Absent(_) => "absent",
        };
        block.spans.iter().map(|s| (s.pages.start.0, s.pages.len(), kind(&s.data))).collect()
    }

    #[test]
    fn pages_that_do_not_become_smaller_join() {
        let mixed = [vec![1; 2048], vec![2; 2048]].concat();
        let five = [mixed.clone(), mixed.clone(), vec![2; 4096], vec![0; 8192]].concat();
        let spans = [at(4, 5, Content::Bytes(&five)), at(9, 2, Content::Zero), at(11, 1, Content::Bytes(&mixed))];
        let out = encode(&mut halving(), &spans);
        let want = [(4, 2, "raw"), (6, 1, "compressed"), (7, 4, "zero"), (11, 1, "raw")];
        assert_eq!(kinds(&out), want);
        assert_eq!(out.data.len(), 2 * 4096 + 2048 + 4096);
    }

    #[test]
    fn absent_pages_keep_their_reason() {
        let out = encode(&mut halving(), &[at(1, 3, Content::Absent(Absence::Lost))]);
        assert_eq!(out.spans, [EncodedSpan { pages: PfnRange::at(Pfn(1), 3), data: SpanData::Absent(Absence::Lost) }]);
    }

    #[test]
    fn spans_that_lie_are_refused() {
        let compressed = |codec, bytes| Content::Compressed { codec, bytes };
        for span in [
            at(0, 2, Content::Bytes(&[0; 4096])),
            at(0, 1, compressed(ZSTD, &[1])),
            at(0, 2, compressed(ZLIB, &[1])),
            at(0, 1, compressed(ZLIB, &[1; 4096])),
        ] {
            let e = halving().push(span, &mut EncodedBlock::default()).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Bug);
        }
    }

    #[test]
    fn compressed_pages_pass_and_zero_pages_are_found_among_them() {
        for (row, size) in Codec::built().flat_map(|row| [(row, 4096), (row, 65536)]) {
            let (id, create) = (row.id, row.creator().unwrap());
            let mut codec = create();
            let mut compress = |page: &[u8]| {
                let mut out = vec![0; codec.room(size)];
                let len = codec.compress(page, &mut out).unwrap().unwrap();
                out.truncate(len);
                out
            };
            let encoder = || CompressingEncoder::new(PageSize::from_bytes(size as u64).unwrap(), id, create());
            let (zero, full) = (compress(&vec![0; size]), compress(&vec![7; size]));
            let spans = [
                at(0, 1, Content::Compressed { codec: id, bytes: &zero }),
                at(1, 1, Content::Compressed { codec: id, bytes: &full }),
            ];
            let out = encode(&mut encoder(), &spans);
            assert_eq!(kinds(&out), [(0, 1, "zero"), (1, 1, "compressed")], "{id:?}");
            assert_eq!(out.data, full);
            for content in [Content::Zero, Content::Bytes(&vec![0; size])] {
                let out = encode(&mut encoder(), &[at(0, 1, content)]);
                assert_eq!(kinds(&out), [(0, 1, "zero")]);
            }
        }
    }
}
