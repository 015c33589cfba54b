//! The pages of a source as smaller pages: QEMU writes 64 KiB pages for every arm64 guest, whatever the guest's own
//! are.

use crate::addr::{PageSize, Pfn, PfnRange};
use crate::bitmap::PageBitmap;
use crate::codec::CodecSet;
use crate::error::Result;
use crate::meta::DumpMeta;
use crate::source::{Claim, Content, PageReader, PageSource, Push, Span};

/// A source whose pages are cut to pieces of another page size.
pub struct Repaged<S> {
    source: S,
    meta: DumpMeta,
    /// log2 of the pieces of a page.
    shift: u8,
}

impl<S: PageSource> Repaged<S> {
    /// The pages of `source` as pages of `page_size`; the source itself where those are not smaller than its own.
    ///
    /// # Errors
    /// Gives the source back if there is nothing to cut.
    pub fn new(source: S, page_size: PageSize) -> std::result::Result<Repaged<S>, S> {
        match source.meta().page_size.shift().checked_sub(page_size.shift()) {
            None | Some(0) => Err(source),
            Some(shift) => {
                let mut meta = source.meta().clone();
                meta.page_size = page_size;
                meta.end_pfn = Pfn(meta.end_pfn.0 << shift);
                Ok(Repaged { source, meta, shift })
            }
        }
    }

    /// The pages of the source that hold `run`.
    fn outer(&self, run: PfnRange) -> PfnRange {
        PfnRange::new(Pfn(run.start.0 >> self.shift), Pfn(run.end.0.div_ceil(1 << self.shift)))
    }

    /// The pieces of `run`, which are pages of the source.
    fn inner(&self, run: PfnRange) -> PfnRange {
        PfnRange::new(Pfn(run.start.0 << self.shift), Pfn(run.end.0 << self.shift))
    }

    fn mark(&self, bits: &mut PageBitmap, mark: impl Fn(&mut PageBitmap) -> Result<()>) -> Result<()> {
        let Some(mut outer) = PageBitmap::windowed(self.outer(bits.span())) else { return Ok(()) };
        mark(&mut outer)?;
        outer.runs(outer.span()).for_each(|run| bits.set(self.inner(run)));
        Ok(())
    }
}

impl<S: PageSource> PageSource for Repaged<S> {
    fn meta(&self) -> &DumpMeta {
        &self.meta
    }

    fn mark_ram(&self, ram: &mut PageBitmap) -> Result<()> {
        self.mark(ram, |outer| self.source.mark_ram(outer))
    }

    fn mark_held(&self, held: &mut PageBitmap) -> Result<()> {
        self.mark(held, |outer| self.source.mark_held(outer))
    }

    fn claim(&self) -> Claim {
        let Claim { held, missing } = self.source.claim();
        let pieces = 1 << self.shift;
        Claim { held: held.saturating_mul(pieces), missing: missing.saturating_mul(pieces) }
    }

    fn reader(&self) -> Box<dyn PageReader + '_> {
        Box::new(RepagedReader { source: self, reader: self.source.reader() })
    }
}

/// A worker's half: cuts what the source's own reader pushes.
struct RepagedReader<'a, S> {
    source: &'a Repaged<S>,
    reader: Box<dyn PageReader + 'a>,
}

impl<S: PageSource> PageReader for RepagedReader<'_, S> {
    fn visit(&mut self, run: PfnRange, _: CodecSet, push: Push<'_>) -> Result<()> {
        let source = self.source;
        let size = source.meta.page_size;
        self.reader.visit(source.outer(run), CodecSet::NONE, &mut |span| {
            let inner = source.inner(span.pages);
            let pages = inner.intersect(run);
            let content = match span.content {
                Content::Bytes(bytes) => {
                    let from = size.bytes_of(pages.start - inner.start) as usize;
                    let len = size.bytes_of(pages.len()) as usize;
                    Content::Bytes(bytes.get(from..from + len).unwrap_or_default())
                }
                other => other,
            };
            if pages.is_empty() { Ok(()) } else { push(Span { pages, content }) }
        })
    }
}

impl<S: PageSource + ?Sized> PageSource for Box<S> {
    fn meta(&self) -> &DumpMeta {
        (**self).meta()
    }

    fn mark_ram(&self, ram: &mut PageBitmap) -> Result<()> {
        (**self).mark_ram(ram)
    }

    fn mark_held(&self, held: &mut PageBitmap) -> Result<()> {
        (**self).mark_held(held)
    }

    fn claim(&self) -> Claim {
        (**self).claim()
    }

    fn reader(&self) -> Box<dyn PageReader + '_> {
        (**self).reader()
    }
}

impl<S: PageSource + ?Sized> PageSource for &S {
    fn meta(&self) -> &DumpMeta {
        (**self).meta()
    }

    fn mark_ram(&self, ram: &mut PageBitmap) -> Result<()> {
        (**self).mark_ram(ram)
    }

    fn mark_held(&self, held: &mut PageBitmap) -> Result<()> {
        (**self).mark_held(held)
    }

    fn claim(&self) -> Claim {
        (**self).claim()
    }

    fn reader(&self) -> Box<dyn PageReader + '_> {
        (**self).reader()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::source::{Absence, read_pages};

    /// Two pages of 64 KiB; the first 32 bytes of each 4 KiB hold their number.
    struct Large(DumpMeta);

    impl PageSource for Large {
        fn meta(&self) -> &DumpMeta {
            &self.0
        }
        fn mark_ram(&self, ram: &mut PageBitmap) -> Result<()> {
            ram.set(PfnRange::new(Pfn(1), Pfn(3)));
            Ok(())
        }
        fn mark_held(&self, held: &mut PageBitmap) -> Result<()> {
            self.mark_ram(held)
        }
        fn reader(&self) -> Box<dyn PageReader + '_> {
            Box::new(LargeReader)
        }
    }

    struct LargeReader;

    impl PageReader for LargeReader {
        fn visit(&mut self, run: PfnRange, _: CodecSet, push: Push<'_>) -> Result<()> {
            for pfn in run.start.0..run.end.0 {
                let bytes: Vec<u8> = (0..16u8).flat_map(|i| vec![pfn as u8 * 16 + i; 4096]).collect();
                let content =
                    if (1..3).contains(&pfn) { Content::Bytes(&bytes) } else { Content::Absent(Absence::Hole) };
                push(Span { pages: PfnRange::at(Pfn(pfn), 1), content })?;
            }
            Ok(())
        }
    }

    #[test]
    fn pages_are_cut() {
        let mut meta = DumpMeta::new(Machine::UNKNOWN, PageSize::from_bytes(65536).unwrap());
        meta.end_pfn = Pfn(3);
        let source = Repaged::new(Large(meta), PageSize::K4).ok().unwrap();
        assert_eq!(source.meta().end_pfn, Pfn(48));
        let mut bits = PageBitmap::new(Pfn(48)).unwrap();
        source.mark_ram(&mut bits).unwrap();
        assert_eq!(bits.runs(bits.span()).collect::<Vec<_>>(), [PfnRange::new(Pfn(16), Pfn(48))]);
        let mut out = vec![0; 3 * 4096];
        let run = PfnRange::at(Pfn(31), 3);
        let mut reader = source.reader();
        let mut read = |run, out: &mut [u8]| read_pages(reader.as_mut(), PageSize::K4, run, out).unwrap();
        assert_eq!(read(run, &mut out), None);
        assert_eq!([out[0], out[4096], out[8192]], [31, 32, 33]);
        assert_eq!(read(PfnRange::at(Pfn(15), 2), &mut out[..8192]), Some(Absence::Hole));
    }
}
