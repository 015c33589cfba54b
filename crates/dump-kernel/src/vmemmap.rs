//! The vmemmap (SPARSEMEM_VMEMMAP): struct pages of all page frames at one stretch of virtual memory, in the order of
//! the page frames, and which page frames it is mapped to.
//!
//! ```text
//! page frame  0       64      128     192                  (64 bytes a struct page, 4 KiB a page)
//! vmemmap     | page  | page  | page  | page  | ...        the struct page of pfn n is at base + n * size
//!                 |       └──┐    └┐     └┐
//! memory          F          G     G      G                struct pages of a hugetlb page may share a page frame
//! ```

use crate::kernel::Kernel;
use crate::mem_map::{MemMap, MemoryModel};
use crate::memory::PhysMemory;
use dump_core::{Error, Pfn, PfnRange, Result, VirtAddr};

/// The page frames of a kernel's vmemmap.
#[derive(Clone, Copy)]
pub struct StructPageFrames<'a> {
    kernel: &'a Kernel,
    map: &'a MemMap,
    /// Where the struct page of page frame 0 is, or would be.
    base: VirtAddr,
}

/// A page of the vmemmap, which lies in a page frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StructPageFrame {
    /// The page frame that it is mapped to.
    pub frame: Pfn,
    /// The page frames whose struct pages lie in it, wholly or in part, there or not.
    pub described: PfnRange,
}

/// How many pages of a vmemmap are looked at in vain, beside as many as are mapped.
///
/// A vmemmap has holes where a section is there in part (2 MiB of memory can come and go), and none that are larger
/// than what is there; a damaged table of sections may name any number of sections.
#[derive(Clone, Copy, Debug)]
pub struct Holes {
    left: u64,
}

impl Default for Holes {
    fn default() -> Holes {
        Holes { left: 1 << 16 }
    }
}

/// How many pages that are not mapped each page that is mapped makes up for.
const HOLES_PER_PAGE: u64 = 8;

impl Kernel {
    /// Its vmemmap, whose struct pages are those of `map`.
    ///
    /// # Errors
    /// `Unsupported` if it has none; `MissingInfo` if that cannot be found out.
    pub fn vmemmap<'a>(&'a self, phys: &dyn PhysMemory, map: &'a MemMap) -> Result<StructPageFrames<'a>> {
        let none = |why: &str| Error::unsupported(format!("the kernel has no vmemmap: {why}"));
        match map.model() {
            MemoryModel::Flat => return Err(none("its struct pages are one array (FLATMEM)")),
            MemoryModel::Discontiguous => return Err(none("its struct pages are an array a node (DISCONTIGMEM)")),
            MemoryModel::Sparse | MemoryModel::SparseExtreme => {}
        }
        let page = self.page_size().bytes() as u64;
        let base = map.base().filter(|base| base.0 % page == 0);
        let base = base.ok_or_else(|| none("its struct pages are not one stretch of virtual memory"))?;
        if self.maps_linearly(phys, map)? {
            return Err(none("its struct pages are in the direct mapping of memory"));
        }
        Ok(StructPageFrames { kernel: self, map, base })
    }

    /// Whether struct pages lie where all of memory is mapped one to one. A kernel with sections and without vmemmap
    /// takes them from there, and those of neighbouring sections may be neighbours there.
    fn maps_linearly(&self, phys: &dyn PhysMemory, map: &MemMap) -> Result<bool> {
        let mut memory = self.memory(phys);
        let pages = map.struct_pages().map(|(first, _)| first);
        let mapped = pages.take(1 << 10).find_map(|first| Some((first, memory.translate(first).ok()?.phys)));
        let (at, lies) = mapped.ok_or_else(|| Error::missing("the vmemmap is not mapped"))?;
        // something else that memory has
        let other = memory.translate(self.names_at(phys)?)?.phys;
        let there = self.words().wrap(at.0.wrapping_sub(lies.0).wrapping_add(other.0));
        Ok(memory.translate(VirtAddr(there)).is_ok_and(|mapping| mapping.phys == other))
    }
}

impl StructPageFrames<'_> {
    /// Calls `each` with the pages of the vmemmap that have struct pages of `pages`, ascending; with some twice, where
    /// sections meet within a page. `holes` are those of all of it.
    ///
    /// # Errors
    /// `Corrupt` if next to nothing is mapped of what should be.
    pub fn visit(
        &self,
        phys: &dyn PhysMemory,
        pages: PfnRange,
        holes: &mut Holes,
        each: &mut dyn FnMut(StructPageFrame),
    ) -> Result<()> {
        let mut memory = self.kernel.memory(phys);
        let (size, page) = (self.kernel.page_size(), self.kernel.page_size().bytes() as u64);
        // where struct pages were not located, they are where all others are
        let unlocated = self.map.unlocated().iter().map(|run| run.intersect(pages)).filter(|run| !run.is_empty());
        for run in self.map.runs_of(pages).chain(unlocated) {
            let (Some(first), Some(end)) = (self.struct_page(run.start), self.struct_page(run.end)) else { continue };
            let (mut at, end) = (first - first % page, end);
            while at < end {
                let mapped = memory.translate(VirtAddr(at)).ok();
                let bytes =
                    mapped.map_or(page, |mapping| mapping.bytes.max(page)).min((end - at).next_multiple_of(page));
                for into in (0..bytes).step_by(page as usize) {
                    let described = self.described(at + into, page);
                    match mapped {
                        Some(mapping) => {
                            each(StructPageFrame { frame: size.pfn_of(mapping.phys) + into / page, described })
                        }
                        None => holes.left = holes.left.checked_sub(1).ok_or_else(|| mostly_holes(at))?,
                    }
                }
                if mapped.is_some() {
                    holes.left = holes.left.saturating_add(bytes / page * HOLES_PER_PAGE);
                }
                at += bytes;
            }
        }
        Ok(())
    }

    /// Where the struct page of `pfn` is; `None` past the end of virtual memory.
    fn struct_page(&self, pfn: Pfn) -> Option<u64> {
        self.base.0.checked_add(pfn.0.checked_mul(self.map.page_struct())?)
    }

    fn described(&self, at: u64, bytes: u64) -> PfnRange {
        let (into, size) = (at - self.base.0, self.map.page_struct());
        PfnRange::new(Pfn(into / size), Pfn((into + bytes).div_ceil(size)))
    }
}

fn mostly_holes(at: u64) -> Error {
    Error::corrupt(format!("the vmemmap is hardly mapped at all, at {at:#x} no more than before"))
}
