//! The pages of a new dump: one behind the other, each once.

use dump_core::{
    BlockEncoder, EncodedBlock, EncodedSpan, Ending, Error, PageSize, PageWriter, Placer, PlainEncoder, Ranked, Result,
    SpanData,
};
use std::ops::Range;

/// Pages as far as they have got.
pub(crate) struct DmpPages {
    kept: Ranked,
    /// Where the first page begins (bytes).
    first_page: u64,
    size: PageSize,
    /// Bytes of the file that are zeros and not placed yet: the last ones so far.
    zeros: Range<u64>,
}

impl DmpPages {
    /// The pages `kept`, each of `size`, from `first_page` of the file on.
    pub fn new(kept: Ranked, first_page: u64, size: PageSize) -> DmpPages {
        DmpPages { kept, first_page, size, zeros: 0..0 }
    }

    fn place_span(&mut self, EncodedSpan { pages, data }: &EncodedSpan, out: &mut dyn Placer) -> Result<()> {
        if self.kept.bits().count(*pages) != pages.len() {
            return Err(Error::bug(format!("dmp output: pages {pages} are not to be dumped")));
        }
        let at = self.first_page + self.size.bytes_of(self.kept.rank(pages.start));
        let len = self.size.bytes_of(pages.len());
        match data {
            SpanData::Stored { data, .. } => {
                self.place_zeros(out)?;
                out.data(0, at, data.clone())
            }
            SpanData::Zero | SpanData::Absent(_) if self.zeros.end == at => {
                self.zeros.end += len;
                Ok(())
            }
            SpanData::Zero | SpanData::Absent(_) => {
                self.place_zeros(out)?;
                self.zeros = at..at + len;
                Ok(())
            }
        }
    }

    fn place_zeros(&mut self, out: &mut dyn Placer) -> Result<()> {
        let zeros = std::mem::take(&mut self.zeros);
        if zeros.is_empty() { Ok(()) } else { out.zeros(0, zeros.start, zeros.end - zeros.start) }
    }
}

impl PageWriter for DmpPages {
    fn encoder(&self) -> Box<dyn BlockEncoder> {
        Box::new(PlainEncoder::new(self.size))
    }

    fn place(&mut self, block: &EncodedBlock, out: &mut dyn Placer) -> Result<()> {
        block.spans.iter().try_for_each(|span| self.place_span(span, out))
    }

    fn finish(&mut self, _: Ending, out: &mut dyn Placer) -> Result<()> {
        self.place_zeros(out)
    }
}
