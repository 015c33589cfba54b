//! What a dump holds beyond its machine's memory: QEMU writes every block of a guest's memory that it has, the frame
//! buffer of a graphics card too, which may lie far above all RAM.
//!
//! The kernel knows no such memory: it has no section for it, and nothing is mapped where its struct pages would be. Both
//! must say so, for a key of vmcoreinfo or a table of sections may be wrong. Only whole stretches of page frames beyond
//! the last section with struct pages count as that: between sections there may be RAM that the kernel was told to leave
//! alone, and a stretch that begins below is RAM that goes on. A kernel without sections (FLATMEM) has struct pages up to
//! its last page of RAM, and says nothing of what comes after; one whose struct pages are not one stretch (SPARSEMEM
//! without VMEMMAP) has no second witness.

use crate::image::Image;
use crate::ram::Ram;
use crate::view::KernelView;
use dump_core::{DumpMeta, PageSet, Pfn, PfnRange, Result};
use dump_kernel::MemoryModel;

/// Page frames that a dump holds beyond memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mmio {
    /// The first of them.
    pub first: Pfn,
    /// How many there are.
    pub pages: u64,
    /// Where memory ends.
    pub memory_end: Pfn,
}

impl Mmio {
    /// Of `image`, whose kernel is `view`; `None` where there are none, or the dump is not sound, which leaves it in
    /// doubt.
    ///
    /// # Errors
    /// If its RAM cannot be listed.
    pub(crate) fn of(image: &Image, view: &KernelView) -> Result<Option<Mmio>> {
        if view.map.model() == MemoryModel::Flat || !image.is_sound() {
            return Ok(None);
        }
        let located = view.map.runs().last().map(|run| run.pages.end);
        let unlocated = view.map.unlocated().last().map(|run| run.end);
        let end = image.meta().end_pfn;
        match located.max(unlocated).filter(|described| *described < end) {
            Some(described) => {
                let memory = image.memory();
                let mut memory = view.kernel.memory(&memory);
                let mut is_outside = |run| view.map.would_be_mapped(&mut memory, run) == Some(false);
                beyond(&Ram::new(image.source(), end)?, described, &mut is_outside)
            }
            None => Ok(None),
        }
    }

    /// Takes them out of what an output states.
    pub(crate) fn leave_out_of(&self, meta: &mut DumpMeta) {
        meta.end_pfn = self.memory_end;
        let first = meta.page_size.addr_of(self.first);
        meta.segments = meta.segments.iter().copied().filter(|segment| segment.paddr < first).collect();
    }
}

/// The stretches of `ram` that lie wholly beyond `described`, where sections end, and beyond the last of which
/// `is_outside` says that it is memory all the same.
fn beyond(ram: &dyn PageSet, described: Pfn, is_outside: &mut dyn FnMut(PfnRange) -> bool) -> Result<Option<Mmio>> {
    let Some(last) = ram.end_in(PfnRange::new(Pfn(0), described))? else { return Ok(None) };
    let none = |memory_end| Mmio { first: ram.span().end, pages: 0, memory_end };
    let mut found = none(last);
    ram.each_run(PfnRange::new(described, ram.span().end), &mut |run| {
        let goes_on = found.pages == 0 && run.start == found.memory_end;
        if goes_on || !is_outside(run) {
            found = none(run.end);
        } else {
            found.first = found.first.min(run.start);
            found.pages += run.len();
        }
        Ok(())
    })?;
    Ok(Some(found).filter(|found| found.pages != 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dump_core::PageBitmap;

    fn found_but(mapped: &[u64], ram: &[(u64, u64)], described: u64) -> Option<(u64, u64, u64)> {
        let mut bits = PageBitmap::new(Pfn(1 << 30)).unwrap();
        ram.iter().for_each(|(from, to)| bits.set(PfnRange::new(Pfn(*from), Pfn(*to))));
        let found = beyond(&bits, Pfn(described), &mut |run| !mapped.contains(&run.start.0)).unwrap();
        found.map(|found| (found.first.0, found.pages, found.memory_end.0))
    }

    fn found(ram: &[(u64, u64)], described: u64) -> Option<(u64, u64, u64)> {
        found_but(&[], ram, described)
    }

    #[test]
    fn what_has_struct_pages_is_memory_whatever_sections_say() {
        let ram = [(0, 0x1000), (0x4000, 0x5000), (0x8000, 0x9000)];
        assert_eq!(found_but(&[0x4000], &ram, 0x2000), Some((0x8000, 0x1000, 0x5000)));
        assert_eq!(found_but(&[0x8000], &ram, 0x2000), None);
    }

    #[test]
    fn whole_stretches_beyond_the_last_section() {
        // a frame buffer of 16 MiB and pages of 64 KiB
        assert_eq!(found(&[(0, 0x2000), (0x2000_8000, 0x2000_8100)], 0x2000), Some((0x2000_8000, 0x100, 0x2000)));
        // memory need not fill its last section
        assert_eq!(found(&[(0, 0x1f80), (0x2100, 0x2200), (0x3000, 0x3001)], 0x2000), Some((0x2100, 0x101, 0x1f80)));
    }

    #[test]
    fn what_may_be_ram_stays() {
        // a kernel that was told of half of it (mem=)
        assert_eq!(found(&[(0, 0x4000)], 0x2000), None);
        assert_eq!(found(&[(0, 0x4000), (0x5000, 0x5001)], 0x2000), Some((0x5000, 1, 0x4000)));
        // a hole between sections
        assert_eq!(found(&[(0, 0x100), (0x800, 0x900), (0x1800, 0x2000)], 0x2000), None);
        // nothing that is described
        assert_eq!(found(&[(0x5000, 0x5001)], 0x2000), None);
        assert_eq!(found(&[], 0x2000), None);
    }
}
