//! Writing a raw image: memory from address 0 on, each page at its address.

use dump_core::{
    BlockEncoder, DumpMeta, DumpWriter, EncodedBlock, Ending, Error, PageSet, PageSize, PageWriter, Pfn, Placer,
    PlainEncoder, Result, SpanData,
};

/// Writes a raw image to one output.
///
/// Holes, left out pages and zeros get no bytes; what they are is not in the file, which only says zeros. So it is a
/// form to hand to tools that know no other. It has no place for a mark either: an image that stopped early looks like
/// one whose last pages are zeros, which the caller has to say.
///
/// All of the output is made zeros before the first page comes, which costs nothing for a file and a pass over it for a
/// device.
pub struct RawWriter;

impl DumpWriter for RawWriter {
    fn prepare(
        self: Box<Self>,
        meta: &DumpMeta,
        _: &dyn PageSet,
        _: &dyn PageSet,
        out: &mut dyn Placer,
    ) -> Result<Box<dyn PageWriter>> {
        let (size, end) = (meta.page_size, meta.end_pfn);
        let len = size.bytes_of(end.0);
        if len > i64::MAX as u64 {
            return Err(Error::unsupported(format!("raw output: memory up to pfn {end} is more than a file can hold")));
        }
        out.zeros(0, 0, len)?;
        Ok(Box::new(RawFile { size, end }))
    }
}

/// An image that is zeros up to its end.
struct RawFile {
    size: PageSize,
    end: Pfn,
}

impl PageWriter for RawFile {
    fn encoder(&self) -> Box<dyn BlockEncoder> {
        Box::new(PlainEncoder::new(self.size))
    }

    fn place(&mut self, block: &EncodedBlock, out: &mut dyn Placer) -> Result<()> {
        for span in &block.spans {
            if span.pages.end > self.end {
                return Err(Error::bug(format!("raw output: pages {} lie past the end of memory", span.pages)));
            }
            if let SpanData::Stored { data, .. } = &span.data {
                out.data(0, self.size.bytes_of(span.pages.start.0), data.clone())?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: Ending, _: &mut dyn Placer) -> Result<()> {
        Ok(())
    }
}
