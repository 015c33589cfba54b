//! A LiME image: ranges of memory, each behind a header.
//!
//! LiME writes one range for each line of `/proc/iomem` that is RAM, pages it could not read as zeros. AVML writes
//! ranges of at most 16 MiB and leaves out those that are all zero.

use crate::extents::{Extent, Found};
use crate::meta;
use crate::pages::{Pages, Plain, Push};
use crate::record::{self, Format, Header};
use dump_core::{CodecSet, DumpMeta, Error, PageBitmap, PageSize, PageSource, PfnRange, ReadAt, Result, Scratch};

/// The pages of a LiME image.
pub struct LimeSource<R> {
    memory: Plain<R>,
    meta: DumpMeta,
    damage: Option<Error>,
}

impl<R: ReadAt> LimeSource<R> {
    /// Reads the headers of all ranges.
    ///
    /// A file that ends early, or that stops making sense after its first range, can be read up to there: see
    /// [`damage`](LimeSource::damage).
    ///
    /// # Errors
    /// `BadMagic` where it is no LiME image, `Unsupported` where it is of another version, `Corrupt` or `Truncated`
    /// where not even the first range makes sense, `Corrupt` where ranges overlap.
    pub fn open(input: R, page_size: PageSize) -> Result<LimeSource<R>> {
        let mut found = Found::new(input.len()?);
        let damage = index(&input, &mut found).err();
        if found.is_empty() {
            return Err(damage.unwrap_or_else(|| record::empty(Format::Lime)));
        }
        let extents = found.sorted().map_err(|e| e.within("LiME image"))?;
        let meta = meta::unknown(page_size, extents.end());
        Ok(LimeSource { memory: Plain { input, extents }, meta, damage })
    }

    /// What is wrong with the file and where, if anything is. The ranges before that can be read, and of a range that
    /// the file cuts off, what it has; the rest is as if it were not RAM.
    pub fn damage(&self) -> Option<&Error> {
        self.damage.as_ref()
    }

    /// What the container knows, to be completed by who knows the kernel.
    pub fn meta_mut(&mut self) -> &mut DumpMeta {
        &mut self.meta
    }

    fn pages(&self) -> Pages<'_> {
        Pages { memory: &self.memory, size: self.meta.page_size }
    }
}

/// Appends the ranges in the order of the file; those before a failure stay there.
fn index(input: &dyn ReadAt, found: &mut Found) -> Result<()> {
    let len = input.len()?;
    let mut at = 0;
    while at < len {
        at = index_range(input, at, len, found).map_err(|e| e.within(Format::Lime.at(at)))?;
    }
    Ok(())
}

/// Appends the range whose header stands at `at`, as far as the file has it; returns where the next one stands.
fn index_range(input: &dyn ReadAt, at: u64, len: u64, found: &mut Found) -> Result<u64> {
    let header = Header::read(input, at, Format::Lime)?;
    let offset = at + record::LEN as u64;
    let there = header.len().min(len - offset); // the header was read, so the file reaches so far
    if there > 0 {
        found.push(Extent { start: header.start, end: header.start + there, offset })?;
    }
    if there < header.len() {
        return Err(Error::truncated("its memory", offset.saturating_add(header.len()), len));
    }
    Ok(offset + there)
}

impl<R: ReadAt> PageSource for LimeSource<R> {
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
