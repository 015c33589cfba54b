//! The dumped kernel: what its vmcoreinfo tells, put to use.

use crate::era::PageRules;
use crate::free_list::FreeLists;
use crate::mem_map::MemMap;
use crate::memory::PhysMemory;
use crate::symbols::KernelSymbols;
use crate::vmcoreinfo::Vmcoreinfo;
use crate::xlat::{KernelMemory, Translate, X86_64};
use dump_core::{ByteOrder, Error, Machine, PageSize, Pfn, Result, Segment, UtsName, WordSize};

/// `e_machine` of x86_64.
const EM_X86_64: u16 = 62;

/// A kernel whose memory can be read by virtual address.
pub struct Kernel {
    info: Vmcoreinfo,
    page_size: PageSize,
    xlat: X86_64,
}

impl Kernel {
    /// From what a dump tells: its vmcoreinfo, its machine, and the virtual addresses of its segments, if any.
    ///
    /// # Errors
    /// `Unsupported` for an architecture whose page tables this version does not walk; `MissingInfo` where a key that the
    /// walk needs is missing.
    pub fn new(info: Vmcoreinfo, machine: Machine, page_size: PageSize, segments: &[Segment]) -> Result<Kernel> {
        if (machine.elf_machine, machine.order, machine.word) != (EM_X86_64, ByteOrder::Little, WordSize::Bits64) {
            return Err(Error::unsupported(format!(
                "the page tables of this machine (e_machine {}) are not understood yet, only x86_64's",
                machine.elf_machine
            )));
        }
        let xlat = X86_64::new(&info, segments)?;
        Ok(Kernel { info, page_size, xlat })
    }

    /// The vmcoreinfo that it was made from.
    pub fn info(&self) -> &Vmcoreinfo {
        &self.info
    }

    /// Physical minus link address of the kernel image, as kdump headers have it.
    pub fn phys_base(&self) -> u64 {
        self.xlat.phys_base()
    }

    /// Its address translation.
    pub fn xlat(&self) -> &dyn Translate {
        &self.xlat
    }

    /// Its memory by virtual address.
    pub fn memory<'a>(&'a self, phys: &'a dyn PhysMemory) -> KernelMemory<'a> {
        KernelMemory::new(phys, &self.xlat)
    }

    /// The system's names, from `init_uts_ns`.
    ///
    /// # Errors
    /// Where vmcoreinfo does not tell where they are, or they cannot be read.
    pub fn utsname(&self, phys: &dyn PhysMemory) -> Result<UtsName> {
        let symbol =
            self.info.symbol("init_uts_ns").ok_or_else(|| Error::missing("vmcoreinfo has no SYMBOL(init_uts_ns)"))?;
        // told since 5.11, where the name became the first member (9a56493f6942); before, a kref of 4 bytes stood there
        let at = symbol.checked_add(self.info.offset_of("uts_namespace.name").unwrap_or(4));
        let mut bytes = [0; UtsName::SIZE];
        let at = at.ok_or_else(|| Error::corrupt("OFFSET(uts_namespace.name) passes 2^64"))?;
        self.memory(phys).read(at, &mut bytes).map_err(|e| e.within("init_uts_ns"))?;
        Ok(UtsName::from_bytes(&bytes))
    }

    /// Where the struct pages of the page frames below `end` are.
    ///
    /// # Errors
    /// As [`MemMap::find`].
    pub fn mem_map(&self, phys: &dyn PhysMemory, end: Pfn) -> Result<MemMap> {
        MemMap::find(&self.info, &mut self.memory(phys), self.page_size, end)
    }

    /// How it marks its pages.
    ///
    /// # Errors
    /// As [`PageRules::new`].
    pub fn page_rules(&self) -> Result<PageRules> {
        PageRules::new(&self.info)
    }

    /// Its lists of free pages.
    ///
    /// # Errors
    /// As [`FreeLists::new`].
    pub fn free_lists(&self, phys: &dyn PhysMemory) -> Result<FreeLists> {
        FreeLists::new(&self.info, &mut self.memory(phys))
    }
}
