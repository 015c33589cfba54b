//! The chain of setters that chooses a fake kernel.

use crate::config::{FreeLists, KernelConfig};
use crate::era::Era;
use crate::kernel::FakeKernel;
use crate::machine::Machine;
use crate::memmodel::{MemModel, RootSymbol, StructPages};
use crate::pgtable::Leaf;
use crate::printk::FakeLog;
use crate::recipe::{Line, Recipe};

/// Chooses a fake kernel; [`KernelBuilder::build`] makes it.
#[derive(Clone, Debug)]
pub struct KernelBuilder {
    config: KernelConfig,
}

impl KernelBuilder {
    /// A kernel of `era`: SPARSEMEM_EXTREME with vmemmap in 2 MiB pages, 4-level paging, no KASLR, two CPUs, one node.
    #[must_use]
    pub fn new(era: Era) -> Self {
        let root = if era >= Era::V4_16 { RootSymbol::PointerValue } else { RootSymbol::Array };
        let config = KernelConfig {
            era,
            machine: Machine::X86_64,
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
            log: None,
        };
        KernelBuilder { config }
    }

    /// Sets the machine: the direct map is then made of its smallest pages.
    #[must_use]
    pub fn machine(mut self, machine: Machine) -> Self {
        self.config.machine = machine;
        self.config.direct_leaf = Leaf::K4;
        self
    }

    /// Sets the memory model.
    #[must_use]
    pub fn model(mut self, model: MemModel) -> Self {
        self.config.model = model;
        self
    }

    /// Adds the lines of a text recipe (see [`crate::recipe`]).
    ///
    /// # Panics
    /// On a line it does not understand.
    #[must_use]
    pub fn recipe(mut self, text: &str) -> Self {
        let more = Recipe::parse(text);
        self.config.recipe.ram.extend(more.ram);
        self.config.recipe.holes.extend(more.holes);
        self.config.recipe.lines.extend(more.lines);
        self
    }

    /// Adds one line.
    #[must_use]
    pub fn line(mut self, line: Line) -> Self {
        self.config.recipe.lines.push(line);
        self
    }

    /// Five levels of page tables (4.14 and later can; `pgtable_l5_enabled` in VMCOREINFO says so).
    #[must_use]
    pub fn five_level(mut self) -> Self {
        self.config.five_level = true;
        self
    }

    /// Moves the kernel image by `offset` bytes (a multiple of 2 MiB) and the direct map and vmemmap with it. Large
    /// offsets make `phys_base` negative.
    #[must_use]
    pub fn kaslr(mut self, offset: u64) -> Self {
        self.config.kaslr = offset;
        self
    }

    /// Virtual address of physical address 0, a multiple of 1 GiB.
    #[must_use]
    pub fn page_offset(mut self, address: u64) -> Self {
        self.config.page_offset = Some(address);
        self
    }

    /// Virtual address of the struct page of pfn 0 in vmemmap kernels, a multiple of 2 MiB.
    #[must_use]
    pub fn vmemmap(mut self, address: u64) -> Self {
        self.config.vmemmap = Some(address);
        self
    }

    /// Memory encryption bit (usually `1 << 47`), set in every page table entry.
    #[must_use]
    pub fn sme_mask(mut self, mask: u64) -> Self {
        self.config.sme_mask = mask;
        self
    }

    /// Page size of the direct map. 1 GiB pages cover holes too; smaller ones map RAM only.
    #[must_use]
    pub fn direct_leaf(mut self, leaf: Leaf) -> Self {
        self.config.direct_leaf = leaf;
        self
    }

    /// `node_data` instead of `contig_page_data` and `mem_map` (CONFIG_NUMA).
    #[must_use]
    pub fn numa(mut self) -> Self {
        self.config.numa = true;
        self
    }

    /// Overrides SECTION_SIZE_BITS (24 or more keep struct pages page-aligned) and MAX_PHYSMEM_BITS. VMCOREINFO then
    /// says them whatever the era.
    #[must_use]
    pub fn sections(mut self, size_bits: u32, physmem_bits: u32) -> Self {
        self.config.sections = Some((size_bits, physmem_bits));
        self
    }

    /// State of the free lists.
    #[must_use]
    pub fn free_lists(mut self, state: FreeLists) -> Self {
        self.config.free_lists = state;
        self
    }

    /// Number of CPUs, hence of NT_PRSTATUS notes.
    #[must_use]
    pub fn cpus(mut self, count: u32) -> Self {
        self.config.cpus = count;
        self
    }

    /// Overrides the release string: distributions write "old" numbers on new kernels.
    #[must_use]
    pub fn release(mut self, release: &str) -> Self {
        self.config.release = Some(release.to_owned());
        self
    }

    /// Leaves a key out of VMCOREINFO: `omit("NUMBER(PG_hwpoison)")`. [`FakeKernel::expected`] does not know of it.
    #[must_use]
    pub fn omit(mut self, key: &str) -> Self {
        self.config.omitted.push(key.to_owned());
        self
    }

    /// Appends a line to VMCOREINFO.
    #[must_use]
    pub fn extra(mut self, line: &str) -> Self {
        self.config.extra.push(line.to_owned());
        self
    }

    /// Adds RAM up to pfn `end`, from the first section behind the kernel's own memory on, whose pages are for what
    /// those of section 0 are for: its struct pages are mapped again and again, as those of hugetlb pages are since
    /// 5.14. A terabyte so takes no more of the host's memory than a section does; it reads as zeros.
    #[must_use]
    pub fn repeated_to(mut self, end: u64) -> Self {
        self.config.repeated_to = end;
        self
    }

    /// Puts a log into its memory, and the keys of its form into VMCOREINFO, whatever the era.
    #[must_use]
    pub fn log(mut self, log: FakeLog) -> Self {
        self.config.log = Some(log);
        self
    }

    /// Builds the memory image.
    ///
    /// # Panics
    /// When the recipe makes no sense: lines that overlap or name page frames that are not RAM, kinds the era does not
    /// have, an offset that is not aligned.
    #[must_use]
    pub fn build(self) -> FakeKernel {
        FakeKernel::build(self.config)
    }
}
