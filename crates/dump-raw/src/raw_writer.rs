//! Writing a raw image: memory from address 0 on, each page at its address.

use crate::encoder::{self, Encoder};
use dump_core::{
    BlockEncoder, DumpMeta, DumpWriter, EncodedBlock, Ending, Error, PageSet, PageSize, Pfn, Placer, Result, SpanData,
};

/// Writes a raw image to one output.
///
/// Holes, left out pages and zeros get no bytes; what they are is not in the file, which only says zeros. So it is a
/// form to hand to tools that know no other. It has no place for a mark either: an image that stopped early looks like
/// one whose last pages are zeros, which the caller has to tell.
///
/// All of the output is made zeros before the first page comes, which costs nothing for a file and a pass over it for a
/// device.
#[derive(Default)]
pub struct RawWriter {
    plan: Option<Plan>,
}

struct Plan {
    size: PageSize,
    /// Length of the image (bytes).
    len: u64,
    /// The page frame after the last placed.
    next: Pfn,
}

impl RawWriter {
    /// A writer for one image.
    pub fn new() -> RawWriter {
        RawWriter::default()
    }

    fn plan(&mut self) -> Result<&mut Plan> {
        self.plan.as_mut().ok_or_else(|| Error::corrupt("raw output: not prepared"))
    }
}

impl DumpWriter for RawWriter {
    fn prepare(&mut self, meta: &DumpMeta, _: &dyn PageSet, _: &dyn PageSet, out: &mut dyn Placer) -> Result<()> {
        let (size, end) = (meta.page_size, meta.end_pfn);
        let len = size.bytes_of(end.0);
        if len > i64::MAX as u64 {
            return Err(Error::unsupported(format!("raw output: memory up to pfn {end} is more than a file can hold")));
        }
        self.plan = Some(Plan { size, len, next: Pfn(0) });
        out.zeros(0, 0, len)
    }

    /// To be called once the image is [prepared](DumpWriter::prepare), which tells the page size.
    fn encoder(&self) -> Box<dyn BlockEncoder> {
        Box::new(Encoder::new(self.plan.as_ref().map_or(PageSize::K4, |plan| plan.size)))
    }

    fn place(&mut self, block: &EncodedBlock, out: &mut dyn Placer) -> Result<()> {
        let plan = self.plan()?;
        for span in &block.spans {
            encoder::check(span, block, plan.next, plan.size).map_err(|e| e.within("raw output"))?;
            if plan.size.bytes_of(span.pages.end.0) > plan.len {
                return Err(Error::corrupt(format!("raw output: pages {} lie past the end of memory", span.pages)));
            }
            if let SpanData::Stored { data, .. } = &span.data {
                out.data(0, plan.size.bytes_of(span.pages.start.0), data.clone())?;
            }
            plan.next = span.pages.end;
        }
        Ok(())
    }

    fn finish(&mut self, _: Ending, _: &mut dyn Placer) -> Result<()> {
        self.plan().map(drop)
    }
}
