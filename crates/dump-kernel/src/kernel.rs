//! The dumped kernel: what its vmcoreinfo exports, put to use.

use crate::arch::{Arch, MachineFacts, arch_of};
use crate::era::PageRules;
use crate::free_list::FreeLists;
use crate::mem_map::MemMap;
use crate::memory::PhysMemory;
use crate::symbols::KernelSymbols;
use crate::virt::KernelMemory;
use crate::vmcoreinfo::Vmcoreinfo;
use crate::words::Words;
use crate::xlat::Translate;
use dump_core::{Error, Machine, PageSize, Pfn, Result, Segment, UtsName, VirtAddr};

/// A kernel whose memory can be read by virtual address.
pub struct Kernel {
    info: Vmcoreinfo,
    words: Words,
    page_size: PageSize,
    arch: &'static dyn Arch,
    xlat: Box<dyn Translate>,
}

impl Kernel {
    /// From what a dump says: its vmcoreinfo, its machine, and the virtual addresses of its segments, if any.
    ///
    /// # Errors
    /// `Unsupported` for an architecture whose page tables this version does not walk; `MissingInfo` if vmcoreinfo
    /// lacks a key that the walk needs.
    pub fn new(info: Vmcoreinfo, machine: Machine, page_size: PageSize, segments: &[Segment]) -> Result<Kernel> {
        let arch = arch_of(machine).ok_or_else(|| {
            let name = machine.elf_machine.map_or("an unknown machine".to_owned(), |n| format!("e_machine {n}"));
            Error::unsupported(format!("page tables of {name} are not supported yet"))
        })?;
        Kernel::with_arch(arch, info, Words::of(machine), page_size, segments)
    }

    /// The same for an architecture of the caller's choice, which need not be one of [`ARCHES`](crate::arch::ARCHES).
    ///
    /// # Errors
    /// As [`new`](Kernel::new).
    pub fn with_arch(
        arch: &'static dyn Arch,
        info: Vmcoreinfo,
        words: Words,
        page_size: PageSize,
        segments: &[Segment],
    ) -> Result<Kernel> {
        let xlat = arch.page_tables(MachineFacts { symbols: &info, words, page_size, segments })?;
        Ok(Kernel { info, words, page_size, arch, xlat })
    }

    /// The vmcoreinfo that it was made from.
    pub fn info(&self) -> &Vmcoreinfo {
        &self.info
    }

    /// Its architecture.
    pub fn arch(&self) -> &'static dyn Arch {
        self.arch
    }

    /// Its words.
    pub fn words(&self) -> Words {
        self.words
    }

    /// Its pages.
    pub fn page_size(&self) -> PageSize {
        self.page_size
    }

    /// Its address translation.
    pub fn xlat(&self) -> &dyn Translate {
        self.xlat.as_ref()
    }

    /// Its memory by virtual address, for one worker.
    pub fn memory<'a>(&'a self, phys: &'a dyn PhysMemory) -> KernelMemory<'a> {
        KernelMemory::new(phys, self.xlat.as_ref(), self.words)
    }

    /// The system's names, from `init_uts_ns`.
    ///
    /// # Errors
    /// If vmcoreinfo lacks their place, or they cannot be read.
    pub fn utsname(&self, phys: &dyn PhysMemory) -> Result<UtsName> {
        let at = self.names_at()?;
        let mut bytes = [0; UtsName::SIZE];
        self.memory(phys).read(at, &mut bytes).map_err(|e| e.within("init_uts_ns"))?;
        Ok(UtsName::from_bytes(&bytes))
    }

    /// Where `init_uts_ns` has the system's names.
    pub(crate) fn names_at(&self) -> Result<VirtAddr> {
        let symbol =
            self.info.symbol("init_uts_ns").ok_or_else(|| Error::missing("vmcoreinfo lacks SYMBOL(init_uts_ns)"))?;
        // exported since 5.11, where the name became the first member (9a56493f6942); before, a kref of 4 bytes stood
        // there
        let at = symbol.checked_add(self.info.offset_of("uts_namespace.name").unwrap_or(4));
        at.ok_or_else(|| Error::corrupt("OFFSET(uts_namespace.name) exceeds 2^64"))
    }

    /// Where the struct pages of the page frames below `end` are.
    ///
    /// # Errors
    /// As [`MemMap::find`].
    pub fn mem_map(&self, phys: &dyn PhysMemory, end: Pfn) -> Result<MemMap> {
        MemMap::find(self.arch, &self.info, &mut self.memory(phys), self.page_size, end)
    }

    /// How it marks its pages.
    ///
    /// # Errors
    /// As [`PageRules::for_arch`].
    pub fn page_rules(&self) -> Result<PageRules> {
        PageRules::for_arch(&self.info, self.words, self.arch)
    }

    /// Its lists of free pages.
    ///
    /// # Errors
    /// As [`FreeLists::new`].
    pub fn free_lists(&self, phys: &dyn PhysMemory) -> Result<FreeLists> {
        FreeLists::new(&self.info, &mut self.memory(phys))
    }
}
