//! A raw image: the bytes of memory, one after the other, and nothing else.

use crate::extents::{Extent, Extents};
use crate::meta;
use crate::pages::{Pages, Plain, Push};
use dump_core::{
    CodecSet, DumpMeta, Error, ErrorKind, PageBitmap, PageSize, PageSource, PfnRange, PhysAddr, ReadAt, Result, Scratch,
};

/// The pages of a raw image (what LiME calls "padded", a guest's memory file, a device's memory read out).
///
/// All of it counts as memory that is there: an image cannot tell a hole from zeros.
pub struct RawSource<R> {
    memory: Plain<R>,
    meta: DumpMeta,
}

impl<R: ReadAt> RawSource<R> {
    /// All bytes of `input`, the first of which lay at physical address `base`. Neither that nor the length need be
    /// whole pages.
    ///
    /// # Errors
    /// `Truncated` where there is no byte, `Corrupt` where the memory would pass the end of all addresses.
    pub fn new(input: R, base: PhysAddr, page_size: PageSize) -> Result<RawSource<R>> {
        let len = input.len()?;
        if len == 0 {
            return Err(Error::new(ErrorKind::Truncated, "raw image: empty"));
        }
        let end = base.0.checked_add(len).ok_or_else(|| {
            Error::corrupt(format!("raw image: {len:#x} bytes from address {base} pass the end of memory"))
        })?;
        let extents = Extents::new(vec![Extent { start: base.0, end, offset: 0 }])?;
        Ok(RawSource { memory: Plain { input, extents }, meta: meta::unknown(page_size, end) })
    }

    /// What the container knows, to be completed by who knows the kernel.
    pub fn meta_mut(&mut self) -> &mut DumpMeta {
        &mut self.meta
    }

    fn pages(&self) -> Pages<'_> {
        Pages { memory: &self.memory, size: self.meta.page_size }
    }
}

impl<R: ReadAt> PageSource for RawSource<R> {
    fn meta(&self) -> &DumpMeta {
        &self.meta
    }

    fn mark_ram(&self, ram: &mut PageBitmap) -> Result<()> {
        self.pages().mark(ram);
        Ok(())
    }

    fn mark_held(&self, held: &mut PageBitmap) -> Result<()> {
        self.mark_ram(held)
    }

    fn visit(&self, run: PfnRange, _: CodecSet, scratch: &mut Scratch, push: Push<'_>) -> Result<()> {
        self.pages().visit(run, scratch, push)
    }
}
