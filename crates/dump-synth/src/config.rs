//! What can be chosen about a fake kernel.

use crate::bytes::Width;
use crate::era::Era;
use crate::facts::Facts;
use crate::machine::Machine;
use crate::memmodel::{MemModel, Sections};
use crate::pgtable::{Leaf, Shape};
use crate::printk::FakeLog;
use crate::recipe::Recipe;

/// State of the zones' free lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeLists {
    /// Every list is closed and its links agree.
    Whole,
    /// The first entry of the first list with pages has a `prev` that does not lead back.
    BrokenPrev,
    /// The last entry of the first list with pages leads to the first entry instead of the head.
    Loop,
}

/// A fake kernel to be; [`KernelBuilder`](crate::KernelBuilder) fills it in.
#[derive(Clone, Debug)]
pub(crate) struct KernelConfig {
    pub(crate) era: Era,
    pub(crate) machine: Machine,
    pub(crate) model: MemModel,
    pub(crate) recipe: Recipe,
    pub(crate) five_level: bool,
    pub(crate) kaslr: u64,
    pub(crate) page_offset: Option<u64>,
    pub(crate) vmemmap: Option<u64>,
    pub(crate) sme_mask: u64,
    pub(crate) direct_leaf: Leaf,
    pub(crate) numa: bool,
    /// SECTION_SIZE_BITS and MAX_PHYSMEM_BITS.
    pub(crate) sections: Option<(u32, u32)>,
    pub(crate) free_lists: FreeLists,
    pub(crate) cpus: u32,
    pub(crate) release: Option<String>,
    pub(crate) omitted: Vec<String>,
    pub(crate) extra: Vec<String>,
    pub(crate) repeated_to: u64,
    pub(crate) log: Option<FakeLog>,
}

impl KernelConfig {
    pub(crate) fn page_offset_or_default(&self) -> u64 {
        if !self.machine.is_x86_64() {
            return self.page_offset.unwrap_or(self.machine.page_offset);
        }
        let newer = self.era.version() >= (4, 20);
        let base = match (self.five_level, newer) {
            (false, false) => 0xffff_8800_0000_0000,
            (false, true) => 0xffff_8880_0000_0000,
            (true, false) => 0xff10_0000_0000_0000,
            (true, true) => 0xff11_0000_0000_0000,
        };
        let moved = if self.kaslr == 0 { 0 } else { 211 << 30 };
        self.page_offset.unwrap_or(base + moved)
    }

    pub(crate) fn vmemmap_or_default(&self) -> u64 {
        if !self.machine.is_x86_64() {
            return self.vmemmap.unwrap_or(self.machine.vmemmap);
        }
        let base: u64 = if self.five_level { 0xffd4_0000_0000_0000 } else { 0xffff_ea00_0000_0000 };
        let moved = if self.kaslr == 0 { 0 } else { 3331 << 30 };
        self.vmemmap.unwrap_or(base + moved)
    }

    pub(crate) fn sections_or_default(&self) -> Sections {
        let physmem_bits = match (self.model, self.five_level) {
            _ if self.machine.width == Width::W32 => 36,
            // One entry for every section of 46 bits would be 8 MiB.
            (MemModel::Sparse(_), _) => 36,
            (_, true) => 52,
            (_, false) => 46,
        };
        let (size_bits, physmem_bits) = self.sections.unwrap_or((27, physmem_bits));
        Sections { size_bits, physmem_bits, page_shift: self.page_size().trailing_zeros() }
    }

    pub(crate) fn facts(&self) -> Facts {
        Facts::of(self.era, self.machine.width)
    }

    pub(crate) fn release_or_default(&self) -> String {
        self.release.clone().unwrap_or_else(|| self.era.release())
    }

    /// Bytes of a page frame.
    pub(crate) fn page_size(&self) -> u64 {
        self.machine.page_size
    }

    /// Bytes of a word.
    pub(crate) fn word(&self) -> u64 {
        self.machine.width.bytes() as u64
    }

    /// Shape of the page tables.
    pub(crate) fn shape(&self) -> Shape {
        let five = self.machine.is_x86_64() && self.five_level;
        Shape { levels: if five { &[9; 5] } else { self.machine.levels }, ..self.machine.shape() }
    }
}
