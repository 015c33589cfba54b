//! Page frames of the vmemmap that nobody misses: those that hold struct pages of left-out pages alone.
//!
//! The struct page of a page that is not in a dump says little about what is there. A page frame goes if, wherever it
//! is mapped in the vmemmap, all struct pages in it are those of RAM that is left out, or was in the dump that is
//! filtered. One of a hole, or of a page that cannot be judged, keeps it; so does that of a zero page, which is in a
//! dump, if without bytes of its own.
//!
//! makedumpfile 1.7.9 (find_unused_vmemmap_pages()) drops the same but for what it overlooks: single pages of the
//! vmemmap (it takes struct pages to be smaller than 64 bytes), the last 2 MiB of each stretch (so that a machine of
//! 128 MiB or less loses none), vmemmaps in pages of 4 KiB, and whatever there is beside x86_64 with four levels of
//! page tables. Where a page frame is mapped twice, it looks at one place only; but it looks at no such vmemmap.

use dump_core::{Error, PageBitmap, Pfn, PfnRange, Result};
use dump_kernel::{Footprint, Holes, PhysMemory, StructPageFrames};

/// Finds page frames of the vmemmap to leave out, part of memory after part, in ascending order: any number of parts
/// comes to the same. It holds two bits for each page frame of 128 MiB that have some of the vmemmap in them.
pub struct UnusedStructPages<'a> {
    frames: StructPageFrames<'a>,
    memory: &'a dyn PhysMemory,
    holes: Holes,
    /// Page frames that hold struct pages of left-out pages.
    unused: PageBitmap,
    /// Page frames that hold others.
    used: PageBitmap,
}

impl<'a> UnusedStructPages<'a> {
    /// Of the pages of `frames` that are mapped to page frames below `end`.
    ///
    /// # Errors
    /// `Corrupt` if that is more than any machine has.
    pub fn new(frames: StructPageFrames<'a>, memory: &'a dyn PhysMemory, end: Pfn) -> Result<UnusedStructPages<'a>> {
        let bits = || PageBitmap::new(end).ok_or_else(|| Error::corrupt(format!("memory up to page frame {end}")));
        Ok(UnusedStructPages { frames, memory, holes: Holes::default(), unused: bits()?, used: bits()? })
    }

    /// Looks at the vmemmap of `pages`, of which `ram` is RAM and `dumpable` goes into the dump. `pages` begins and ends
    /// at multiples of [`PageBitmap::CHUNK_PAGES`] or at an end of memory, so that no page of the vmemmap belongs to two
    /// parts.
    ///
    /// # Errors
    /// `Corrupt` if next to nothing is mapped of what should be.
    pub fn add(&mut self, pages: PfnRange, ram: &PageBitmap, dumpable: &PageBitmap) -> Result<()> {
        let UnusedStructPages { frames, memory, holes, unused, used } = self;
        frames.visit(*memory, pages, holes, &mut |page| {
            let goes = dumpable.count(page.described) == 0 && ram.count(page.described) == page.described.len();
            let bits: &mut PageBitmap = if goes { unused } else { used };
            bits.set(PfnRange::at(page.frame, 1));
        })
    }

    /// What was found, without what struct pages are found with.
    pub fn finish(self, footprint: &Footprint) -> PageBitmap {
        let UnusedStructPages { mut unused, used, .. } = self;
        let all = used.span();
        for run in used.runs(all).chain(footprint.walked_parts_of(all)) {
            unused.clear(run);
        }
        unused
    }
}
