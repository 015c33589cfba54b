//! The kernel's memory model: where struct pages lie and how a kernel finds them.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::arena::Arena;
use crate::bytes::round_up;
use crate::facts::Facts;
use crate::memory::FakeMemory;
use crate::pgtable::{Leaf, PageTables, Shape};

/// Memory model of the fake kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemModel {
    /// FLATMEM: `mem_map` points to one array in the direct map.
    Flat,
    /// SPARSEMEM: `mem_section` is an array with one entry for every section that could exist.
    Sparse(StructPages),
    /// SPARSEMEM_EXTREME: `mem_section` is an array of pointers to pages full of entries.
    SparseExtreme(RootSymbol, StructPages),
}

/// Page frames that struct pages in vmemmap of the smallest pages are spread over at a time.
const SCATTERED: u64 = 8;

/// Where a sparse kernel keeps its struct pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StructPages {
    /// One array per section, at its direct-map address.
    DirectMap,
    /// At `vmemmap + 64 * pfn`, mapped with pages of this size (not 1 GiB); 4 KiB ones lie in descending order, so that
    /// neighbours in vmemmap are not neighbours in memory.
    Vmemmap(Leaf),
}

/// What SYMBOL(mem_section) of a SPARSEMEM_EXTREME kernel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootSymbol {
    /// The array itself, in kernel data (until 4.14).
    Array,
    /// The value of the pointer variable: the array, in the direct map (a0b1280368d1, 4.15).
    PointerValue,
    /// The address of the pointer variable (4.15-rc, and 4.14 with the pointer backported).
    PointerAddress,
}

impl MemModel {
    /// How the struct pages are reached; FLATMEM uses the direct map.
    #[must_use]
    pub fn struct_pages(self) -> StructPages {
        match self {
            MemModel::Flat => StructPages::DirectMap,
            MemModel::Sparse(pages) | MemModel::SparseExtreme(_, pages) => pages,
        }
    }

    /// Whether struct pages are in vmemmap.
    #[must_use]
    pub fn is_vmemmap(self) -> bool {
        matches!(self.struct_pages(), StructPages::Vmemmap(_))
    }
}

/// Sizes that say which section a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sections {
    /// SECTION_SIZE_BITS: log2 of a section in bytes.
    pub(crate) size_bits: u32,
    /// MAX_PHYSMEM_BITS.
    pub(crate) physmem_bits: u32,
    /// log2 of a page frame in bytes.
    pub(crate) page_shift: u32,
}

impl Sections {
    pub(crate) fn pages(self) -> u64 {
        1 << (self.size_bits - self.page_shift)
    }

    pub(crate) fn count(self) -> u64 {
        1 << (self.physmem_bits - self.size_bits)
    }
}

/// A run of struct pages that are contiguous, both virtually and physically.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    pages: u64,
    virt: u64,
    phys: u64,
}

/// Where each struct page is.
#[derive(Clone, Debug)]
pub(crate) struct MemMap {
    /// Bytes of a struct page, and of a page frame.
    page_struct: u64,
    page_size: u64,
    chunks: BTreeMap<u64, Chunk>,
}

impl MemMap {
    /// Virtual and physical address of the struct page of `pfn`, `None` where none exists.
    pub(crate) fn find(&self, pfn: u64) -> Option<(u64, u64)> {
        let (first, chunk) = self.chunks.range(..=pfn).next_back()?;
        let offset = (pfn - first) * self.page_struct;
        (pfn - first < chunk.pages).then_some((chunk.virt + offset, chunk.phys + offset))
    }

    /// Virtual addresses of the pages of struct pages behind the first one, for the block of `pages` from `first` on;
    /// from now on they are at `phys`.
    pub(crate) fn share(&mut self, first: u64, pages: u64, phys: u64) -> Vec<u64> {
        let per_page = self.page_size / self.page_struct;
        let shared = self.chunks.range_mut(first + per_page..first + pages);
        shared
            .map(|(_, chunk)| {
                assert!(chunk.pages == per_page, "only vmemmap in 4 KiB pages can be shared");
                chunk.phys = phys;
                chunk.virt
            })
            .collect()
    }

    /// All pfns that have a struct page.
    pub(crate) fn pfns(&self) -> impl Iterator<Item = u64> + '_ {
        self.chunks.iter().flat_map(|(first, chunk)| *first..first + chunk.pages)
    }
}

/// What placing the struct pages needs to know.
pub(crate) struct Placement<'a> {
    pub(crate) model: MemModel,
    pub(crate) sections: Sections,
    pub(crate) ram: &'a [Range<u64>],
    pub(crate) page_offset: u64,
    pub(crate) vmemmap: u64,
    /// Bytes of a struct page, and of a page frame.
    pub(crate) page_struct: u64,
    pub(crate) page_size: u64,
    pub(crate) shape: Shape,
}

impl Placement<'_> {
    /// Pages per contiguous run of struct pages.
    fn chunk_pages(&self) -> u64 {
        match (self.model, self.model.struct_pages()) {
            (MemModel::Flat, _) => self.ram.last().map_or(0, |run| run.end),
            (_, StructPages::DirectMap) => self.sections.pages(),
            // 2 MiB of memory, the least a kernel adds or removes, is 32 KiB of 4 KiB pages; cut into pages when
            // mapped.
            (_, StructPages::Vmemmap(Leaf::K4)) => SCATTERED * self.page_size / self.page_struct,
            (_, StructPages::Vmemmap(leaf)) => self.shape.leaf_size(leaf) / self.page_struct,
        }
    }

    /// First pfns of the runs that RAM needs, ascending.
    fn needed(&self) -> Vec<u64> {
        let size = self.chunk_pages();
        let mut firsts: Vec<u64> = self
            .ram
            .iter()
            .flat_map(|run| (run.start / size..=(run.end - 1) / size).map(move |index| index * size))
            .collect();
        firsts.dedup();
        firsts
    }

    /// Physical memory the struct pages take, alignment included (bytes).
    pub(crate) fn bytes(&self) -> u64 {
        let align = self.alignment();
        let each = round_up(self.chunk_pages() * self.page_struct, align);
        self.needed().len() as u64 * each + align
    }

    fn alignment(&self) -> u64 {
        match self.model.struct_pages() {
            StructPages::Vmemmap(Leaf::M2) => self.shape.leaf_size(Leaf::M2),
            _ => self.page_size,
        }
    }

    /// Takes memory for the struct pages and maps it where it is not the direct map.
    pub(crate) fn place(&self, memory: &mut FakeMemory, arena: &mut Arena, tables: &PageTables) -> MemMap {
        let size = self.chunk_pages();
        let mut map = MemMap { page_struct: self.page_struct, page_size: self.page_size, chunks: BTreeMap::new() };
        for first in self.needed() {
            let phys = arena.take(size * self.page_struct, self.alignment());
            match self.model.struct_pages() {
                StructPages::DirectMap => {
                    map.chunks.insert(first, Chunk { pages: size, virt: self.page_offset + phys, phys });
                }
                StructPages::Vmemmap(Leaf::K4) => self.scatter(first, phys, &mut map),
                StructPages::Vmemmap(_) => {
                    map.chunks.insert(first, Chunk { pages: size, virt: self.vmemmap_of(first), phys });
                }
            }
        }
        if let StructPages::Vmemmap(leaf) = self.model.struct_pages() {
            for chunk in map.chunks.values() {
                tables.map(memory, arena, chunk.virt, chunk.phys, chunk.pages * self.page_struct, leaf);
            }
        }
        map
    }

    fn vmemmap_of(&self, pfn: u64) -> u64 {
        self.vmemmap + pfn * self.page_struct
    }

    /// Spreads struct pages over eight page frames, last first.
    fn scatter(&self, first: u64, phys: u64, map: &mut MemMap) {
        let pages = self.page_size / self.page_struct;
        for index in 0..SCATTERED {
            let pfn = first + index * pages;
            let chunk =
                Chunk { pages, virt: self.vmemmap_of(pfn), phys: phys + (SCATTERED - 1 - index) * self.page_size };
            map.chunks.insert(pfn, chunk);
        }
    }
}

/// `section_mem_map` of section `number`: address of the struct page of pfn 0 as this section would have it, plus
/// flags; 0 for an absent section.
pub(crate) fn coded_map(map: &MemMap, sections: Sections, number: u64, flags: u64) -> u64 {
    let first = number * sections.pages();
    let present = (first..first + sections.pages()).find_map(|pfn| Some((pfn, map.find(pfn)?.0)));
    present.map_or(0, |(pfn, virt)| virt.wrapping_sub(pfn * map.page_struct) | flags)
}

/// Entries in one page of a SPARSEMEM_EXTREME kernel.
pub(crate) fn per_root(facts: &Facts, page_size: u64) -> u64 {
    page_size / facts.section_struct
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    fn placement(model: MemModel, ram: &[Range<u64>]) -> Placement<'_> {
        let sections = Sections { size_bits: 24, physmem_bits: 36, page_shift: 12 };
        Placement {
            model,
            sections,
            ram,
            page_offset: 0xffff_8880_0000_0000,
            vmemmap: 0xffff_ea00_0000_0000,
            page_struct: 64,
            page_size: 4096,
            shape: Machine::X86_64.shape(),
        }
    }

    fn placed(model: MemModel, ram: &[Range<u64>]) -> MemMap {
        let mut memory = FakeMemory::new(&[0..0x4000]);
        let tables = PageTables { root: 0, shape: Machine::X86_64.shape(), encryption: 0 };
        placement(model, ram).place(&mut memory, &mut Arena::new(0x1000..0x400_0000), &tables)
    }

    #[test]
    fn flat_covers_holes() {
        let map = placed(MemModel::Flat, &[0..0x10, 0x100..0x180]);
        assert_eq!(map.find(0x80), Some((0xffff_8880_0000_3000, 0x3000)));
        assert_eq!(map.find(0x180), None);
    }

    #[test]
    fn sections_decode_to_their_struct_pages() {
        let map = placed(MemModel::Sparse(StructPages::DirectMap), &[0x1000..0x1800, 0x3000..0x3001]);
        let sections = Sections { size_bits: 24, physmem_bits: 36, page_shift: 12 };
        assert_eq!(coded_map(&map, sections, 0, 7), 0);
        assert_eq!(coded_map(&map, sections, 2, 7), 0);
        let coded = coded_map(&map, sections, 3, 7);
        assert_eq!(coded & 31, 7);
        assert_eq!(Some((coded & !31).wrapping_add(0x3000 * 64)), map.find(0x3000).map(|at| at.0));
    }

    #[test]
    fn vmemmap_sections_all_code_the_same_base() {
        let map = placed(MemModel::Sparse(StructPages::Vmemmap(Leaf::M2)), &[0..0x800, 0x1000..0x1001]);
        let sections = Sections { size_bits: 24, physmem_bits: 36, page_shift: 12 };
        assert_eq!(coded_map(&map, sections, 1, 3), 0xffff_ea00_0000_0003);
    }

    #[test]
    fn small_pages_are_scattered() {
        let map = placed(MemModel::Sparse(StructPages::Vmemmap(Leaf::K4)), &[0..0x10]);
        assert_eq!(map.find(0), Some((0xffff_ea00_0000_0000, 0x8000)));
        assert_eq!(map.find(64), Some((0xffff_ea00_0000_1000, 0x7000)));
        assert_eq!(map.find(512), None);
    }
}
