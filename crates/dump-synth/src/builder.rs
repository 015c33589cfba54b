//! What can be chosen about a fake kernel, and the chain of setters that chooses it.

use crate::era::Era;
use crate::facts::Facts;
use crate::kernel::FakeKernel;
use crate::memmodel::{MemModel, RootSymbol, Sections, StructPages};
use crate::pgtable::Leaf;
use crate::recipe::{Line, Recipe};

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

/// Chooses a fake kernel; [`KernelBuilder::build`] makes it.
#[derive(Clone, Debug)]
pub struct KernelBuilder {
    pub(crate) era: Era,
    pub(crate) model: MemModel,
    pub(crate) recipe: Recipe,
    pub(crate) five_level: bool,
    pub(crate) kaslr: u64,
    pub(crate) page_offset: Option<u64>,
    pub(crate) vmemmap: Option<u64>,
    pub(crate) sme_mask: u64,
    pub(crate) direct_leaf: Leaf,
    pub(crate) numa: bool,
    pub(crate) sections: Option<Sections>,
    pub(crate) free_lists: FreeLists,
    pub(crate) cpus: u32,
    pub(crate) release: Option<String>,
    pub(crate) omitted: Vec<String>,
    pub(crate) extra: Vec<String>,
    pub(crate) repeated_to: u64,
}

impl KernelBuilder {
    /// A kernel of `era`: SPARSEMEM_EXTREME with vmemmap in 2 MiB pages, 4-level paging, no KASLR, two CPUs, one node.
    #[must_use]
    pub fn new(era: Era) -> Self {
        let root = if era >= Era::V4_16 { RootSymbol::PointerValue } else { RootSymbol::Array };
        KernelBuilder {
            era,
            model: MemModel::SparseExtreme(root, StructPages::Vmemmap(Leaf::M2)),
            recipe: Recipe::default(),
            five_level: false,
            kaslr: 0,
            page_offset: None,
            vmemmap: None,
            sme_mask: 0,
            direct_leaf: Leaf::G1,
            numa: false,
            sections: None,
            free_lists: FreeLists::Whole,
            cpus: 2,
            release: None,
            omitted: Vec::new(),
            extra: Vec::new(),
            repeated_to: 0,
        }
    }

    /// Sets the memory model.
    #[must_use]
    pub fn model(mut self, model: MemModel) -> Self {
        self.model = model;
        self
    }

    /// Adds the lines of a text recipe (see [`crate::recipe`]).
    ///
    /// # Panics
    /// On a line it does not understand.
    #[must_use]
    pub fn recipe(mut self, text: &str) -> Self {
        let more = Recipe::parse(text);
        self.recipe.ram.extend(more.ram);
        self.recipe.holes.extend(more.holes);
        self.recipe.lines.extend(more.lines);
        self
    }

    /// Adds one line.
    #[must_use]
    pub fn line(mut self, line: Line) -> Self {
        self.recipe.lines.push(line);
        self
    }

    /// Five levels of page tables (4.14 and later can; `pgtable_l5_enabled` in VMCOREINFO says so).
    #[must_use]
    pub fn five_level(mut self) -> Self {
        self.five_level = true;
        self
    }

    /// Moves the kernel image by `offset` bytes (a multiple of 2 MiB) and the direct map and vmemmap with it. Large offsets
    /// make `phys_base` negative.
    #[must_use]
    pub fn kaslr(mut self, offset: u64) -> Self {
        self.kaslr = offset;
        self
    }

    /// Virtual address of physical address 0, a multiple of 1 GiB.
    #[must_use]
    pub fn page_offset(mut self, address: u64) -> Self {
        self.page_offset = Some(address);
        self
    }

    /// Virtual address of the struct page of pfn 0 in vmemmap kernels, a multiple of 2 MiB.
    #[must_use]
    pub fn vmemmap(mut self, address: u64) -> Self {
        self.vmemmap = Some(address);
        self
    }

    /// Memory encryption bit (usually `1 << 47`), set in every page table entry.
    #[must_use]
    pub fn sme_mask(mut self, mask: u64) -> Self {
        self.sme_mask = mask;
        self
    }

    /// Page size of the direct map. 1 GiB pages cover holes too; smaller ones map RAM only.
    #[must_use]
    pub fn direct_leaf(mut self, leaf: Leaf) -> Self {
        self.direct_leaf = leaf;
        self
    }

    /// `node_data` instead of `contig_page_data` and `mem_map` (CONFIG_NUMA).
    #[must_use]
    pub fn numa(mut self) -> Self {
        self.numa = true;
        self
    }

    /// Overrides SECTION_SIZE_BITS (24 or more keep struct pages page-aligned) and MAX_PHYSMEM_BITS. VMCOREINFO then says
    /// them whatever the era.
    #[must_use]
    pub fn sections(mut self, size_bits: u32, physmem_bits: u32) -> Self {
        self.sections = Some(Sections { size_bits, physmem_bits });
        self
    }

    /// State of the free lists.
    #[must_use]
    pub fn free_lists(mut self, state: FreeLists) -> Self {
        self.free_lists = state;
        self
    }

    /// Number of CPUs, hence of NT_PRSTATUS notes.
    #[must_use]
    pub fn cpus(mut self, count: u32) -> Self {
        self.cpus = count;
        self
    }

    /// Overrides the release string: distributions write "old" numbers on new kernels.
    #[must_use]
    pub fn release(mut self, release: &str) -> Self {
        self.release = Some(release.to_owned());
        self
    }

    /// Leaves a key out of VMCOREINFO: `omit("NUMBER(PG_hwpoison)")`. [`FakeKernel::expected`] does not know of it.
    #[must_use]
    pub fn omit(mut self, key: &str) -> Self {
        self.omitted.push(key.to_owned());
        self
    }

    /// Appends a line to VMCOREINFO.
    #[must_use]
    pub fn extra(mut self, line: &str) -> Self {
        self.extra.push(line.to_owned());
        self
    }

    /// Adds RAM up to pfn `end`, from the first section behind the kernel's own memory on, whose pages are for what those of
    /// section 0 are for: its struct pages are mapped again and again, as those of hugetlb pages are since 5.14. A terabyte so
    /// takes no more of the host's memory than a section does; it reads as zeros.
    #[must_use]
    pub fn repeated_to(mut self, end: u64) -> Self {
        self.repeated_to = end;
        self
    }

    /// Builds the memory image.
    ///
    /// # Panics
    /// When the recipe makes no sense: lines that overlap or name page frames that are not RAM, kinds the era does not have,
    /// an offset that is not aligned.
    #[must_use]
    pub fn build(self) -> FakeKernel {
        FakeKernel::build(self)
    }

    pub(crate) fn page_offset_or_default(&self) -> u64 {
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
        let base: u64 = if self.five_level { 0xffd4_0000_0000_0000 } else { 0xffff_ea00_0000_0000 };
        let moved = if self.kaslr == 0 { 0 } else { 3331 << 30 };
        self.vmemmap.unwrap_or(base + moved)
    }

    pub(crate) fn sections_or_default(&self) -> Sections {
        let physmem_bits = match (self.model, self.five_level) {
            // One entry for every section of 46 bits would be 8 MiB.
            (MemModel::Sparse(_), _) => 36,
            (_, true) => 52,
            (_, false) => 46,
        };
        self.sections.unwrap_or(Sections { size_bits: 27, physmem_bits })
    }

    pub(crate) fn facts(&self) -> Facts {
        Facts::of(self.era)
    }

    pub(crate) fn release_or_default(&self) -> String {
        self.release.clone().unwrap_or_else(|| self.era.release())
    }
}
