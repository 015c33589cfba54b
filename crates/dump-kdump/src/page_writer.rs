//! Placing the pages of a dump whose preamble is placed.

use dump_core::{
    BlockEncoder, CodecId, CodecSet, EncodedBlock, EncodedSpan, Ending, Error, PageWriter, PfnRange, Placer,
    PlainEncoder, Result, SpanData, is_zero,
};

use crate::block_share::BlockShare;
use crate::compression::Compression;
use crate::desc::PageDesc;
use crate::parts::PartOutput;
use crate::preamble::Preamble;

/// How far each part has got.
pub(crate) struct KdumpPageWriter {
    preamble: Preamble,
    compression: Option<Compression>,
    /// Where the page of zeros is, in each part.
    zero_at: u64,
    parts: Vec<PartOutput>,
    /// Whether a page got a descriptor without data.
    lost: bool,
}

impl KdumpPageWriter {
    /// For pages behind `preamble`; data begins at `data_at` with the page of zeros.
    pub(crate) fn new(preamble: Preamble, compression: Option<Compression>, data_at: u64) -> KdumpPageWriter {
        let (table_end, data_end) = (preamble.layout().descriptors(), data_at + preamble.page_size().bytes() as u64);
        let parts = preamble.parts().iter().map(|pages| PartOutput { pages: *pages, table_end, data_end }).collect();
        KdumpPageWriter { preamble, compression, zero_at: data_at, parts, lost: false }
    }

    /// Places what part number `at` holds of a block: its data in one go, then its descriptors in another.
    fn place_in(&mut self, at: usize, block: &EncodedBlock, out: &mut dyn Placer) -> Result<()> {
        let part = self.parts[at];
        let mut share = BlockShare::new(part.data_end, self.preamble.header().abi.order);
        for span in &block.spans {
            self.describe(span, span.pages.intersect(part.pages), &mut share)?;
        }
        let (data, table, lost) = share.into_parts();
        self.lost |= lost;
        self.parts[at].data_end += data.len() as u64;
        self.parts[at].table_end += table.len() as u64;
        if !data.is_empty() {
            out.data(at, part.data_end, data)?;
        }
        // a table of lost pages is zeros already, however many they are
        if is_zero(&table) { Ok(()) } else { out.index(at, part.table_end, &table) }
    }

    /// Appends the descriptors of `pages`, which are those of `span` that one part holds.
    fn describe(&self, span: &EncodedSpan, pages: PfnRange, share: &mut BlockShare) -> Result<()> {
        let page = self.preamble.page_size().bytes();
        for pfn in pages.start.0..pages.end.0 {
            match &span.data {
                SpanData::Stored { codec, data } => {
                    // Compressed pages come one by one, others many in a span.
                    let size = if codec.is_some() { data.len() } else { page };
                    let from = data.start + (pfn - span.pages.start.0) as usize * size;
                    share.store(from..from + size, self.flags(*codec)?)?;
                }
                SpanData::Zero => share.describe(PageDesc { offset: self.zero_at, size: page as u32, flags: 0 }),
                SpanData::Absent(_) => share.lose(),
            }
        }
        Ok(())
    }

    /// Flags of a page that an encoder of ours compressed with `codec`.
    fn flags(&self, codec: Option<CodecId>) -> Result<u32> {
        match (codec, self.compression) {
            (None, _) => Ok(0),
            (Some(id), Some(ours)) if ours.codec.id == id => Ok(ours.codec.desc_flag),
            (Some(id), _) => Err(Error::bug(format!("kdump output: a page compressed with {}", id.name()))),
        }
    }
}

impl PageWriter for KdumpPageWriter {
    fn encoder(&self) -> Box<dyn BlockEncoder> {
        let page_size = self.preamble.page_size();
        match self.compression {
            Some(compression) => compression.encoder(page_size),
            None => Box::new(PlainEncoder::new(page_size)),
        }
    }

    fn accepts(&self) -> CodecSet {
        self.compression.map_or(CodecSet::NONE, |compression| compression.codec.id.into())
    }

    /// Places a block in the part that holds its pages; in two where it straddles a boundary.
    fn place(&mut self, block: &EncodedBlock, out: &mut dyn Placer) -> Result<()> {
        let (Some(first), Some(last)) = (block.spans.first(), block.spans.last()) else { return Ok(()) };
        let run = PfnRange::new(first.pages.start, last.pages.end);
        for at in 0..self.parts.len() {
            if !self.parts[at].pages.intersect(run).is_empty() {
                self.place_in(at, block, out)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, ending: Ending, out: &mut dyn Placer) -> Result<()> {
        self.preamble.place_ending(if self.lost { Ending::Incomplete } else { ending }, out)
    }
}
