//! The dumped kernel: what its vmcoreinfo exports, put to use.

use crate::arch::{Arch, MachineFacts, arch_of};
use crate::era::PageRules;
use crate::free_list::FreeLists;
use crate::mem_map::MemMap;
use crate::memory::PhysMemory;
use crate::node_spans::{NodeSpan, add_zones, node_spans};
use crate::own::{Own, OwnSymbols};
use crate::proof::Proofs;
use crate::sources::{Reach, Sources, Symbols};
use crate::symbols::KernelSymbols;
use crate::virt::KernelMemory;
use crate::vmcoreinfo::Vmcoreinfo;
use crate::words::Words;
use crate::xlat::Translate;
use dump_core::{ByteOrder, Error, ErrorKind, Machine, PageSize, Pfn, Result, Segment, UtsName, VirtAddr};
use std::sync::Arc;

/// A kernel whose memory can be read by virtual address.
pub struct Kernel {
    info: Vmcoreinfo,
    /// What there is beside it; none where vmcoreinfo is to be judged alone.
    sources: Option<Arc<Sources>>,
    words: Words,
    page_size: PageSize,
    arch: &'static dyn Arch,
    xlat: Box<dyn Translate>,
    proofs: Proofs,
}

impl Kernel {
    /// From what a dump says: its vmcoreinfo, its machine, and the virtual addresses of its segments, if any.
    ///
    /// # Errors
    /// `Unsupported` for an architecture whose page tables this version does not walk; `MissingInfo` if vmcoreinfo
    /// lacks a key that the walk needs.
    pub fn new(info: Vmcoreinfo, machine: Machine, page_size: PageSize, segments: &[Segment]) -> Result<Kernel> {
        Kernel::made(walked(machine)?, info, None, Words::of(machine), page_size, segments)
    }

    /// The same, where what vmcoreinfo lacks is taken from `sources`, which are of the same dump.
    ///
    /// # Errors
    /// As [`new`](Kernel::new).
    pub fn with_sources(
        info: Vmcoreinfo,
        sources: Arc<Sources>,
        machine: Machine,
        page_size: PageSize,
        segments: &[Segment],
    ) -> Result<Kernel> {
        Kernel::made(walked(machine)?, info, Some(sources), Words::of(machine), page_size, segments)
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
        Kernel::made(arch, info, None, words, page_size, segments)
    }

    fn made(
        arch: &'static dyn Arch,
        info: Vmcoreinfo,
        sources: Option<Arc<Sources>>,
        words: Words,
        page_size: PageSize,
        segments: &[Segment],
    ) -> Result<Kernel> {
        let symbols = Symbols::new(&info, sources.as_deref(), Reach::Files);
        let xlat = arch.page_tables(MachineFacts { symbols: &symbols, words, page_size, segments })?;
        Ok(Kernel { info, sources, words, page_size, arch, xlat, proofs: Proofs::default() })
    }

    /// The vmcoreinfo that it was made from.
    pub fn info(&self) -> &Vmcoreinfo {
        &self.info
    }

    pub(crate) fn sources(&self) -> Option<&Sources> {
        self.sources.as_deref()
    }

    pub(crate) fn proofs(&self) -> &Proofs {
        &self.proofs
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

    /// What its dump says of the machine, segments apart, for its architecture to work with.
    pub(crate) fn facts<'a>(&self, symbols: &'a dyn KernelSymbols) -> MachineFacts<'a> {
        MachineFacts { symbols, words: self.words, page_size: self.page_size, segments: &[] }
    }

    /// Its address translation.
    pub fn xlat(&self) -> &dyn Translate {
        self.xlat.as_ref()
    }

    /// Its memory by virtual address, for one worker.
    pub fn memory<'a>(&'a self, phys: &'a dyn PhysMemory) -> KernelMemory<'a> {
        KernelMemory::new(phys, self.xlat.as_ref(), self.words)
    }

    /// All that is known of its symbols, to `use_them`: where vmcoreinfo lacks one, what there is beside it is asked,
    /// and what the kernel has in its memory is read.
    pub fn with_symbols<T>(&self, phys: &dyn PhysMemory, use_them: impl FnOnce(&dyn KernelSymbols) -> T) -> T {
        self.reaching(phys, |own| Reach::All(own), use_them)
    }

    /// Its symbols as far as `reach` goes, what it has in its memory being given to that.
    fn reaching<T>(
        &self,
        phys: &dyn PhysMemory,
        reach: impl for<'a> FnOnce(&'a dyn KernelSymbols) -> Reach<'a>,
        use_them: impl FnOnce(&dyn KernelSymbols) -> T,
    ) -> T {
        let Some(sources) = self.sources.as_deref() else { return use_them(&self.info) };
        let own = OwnSymbols { own: sources.own.get_or_init(Own::default), kernel: self, phys };
        use_them(&Symbols::new(&self.info, Some(sources), reach(&own)))
    }

    /// What `make` makes of vmcoreinfo; where that lacks something, of all that is known.
    fn ask<T>(&self, phys: &dyn PhysMemory, make: impl Fn(&dyn KernelSymbols) -> Result<T>) -> Result<T> {
        let stated = self.reaching(phys, |own| Reach::Note(own), &make);
        match stated {
            Err(e) if e.kind() == ErrorKind::MissingInfo && self.sources.is_some() => {
                self.with_symbols(phys, |symbols| make(symbols)).map_err(|_| e)
            }
            stated => stated,
        }
    }

    /// The system's names, from `init_uts_ns`.
    ///
    /// # Errors
    /// If vmcoreinfo lacks their place, or they cannot be read.
    pub fn utsname(&self, phys: &dyn PhysMemory) -> Result<UtsName> {
        let at = self.names_at(phys)?;
        let mut bytes = [0; UtsName::SIZE];
        self.memory(phys).read(at, &mut bytes).map_err(|e| e.within("init_uts_ns"))?;
        Ok(UtsName::from_bytes(&bytes))
    }

    /// Where `init_uts_ns` has the system's names.
    pub(crate) fn names_at(&self, phys: &dyn PhysMemory) -> Result<VirtAddr> {
        let symbol = self.ask(phys, |symbols| {
            symbols.symbol("init_uts_ns").ok_or_else(|| Error::missing("vmcoreinfo lacks SYMBOL(init_uts_ns)"))
        })?;
        // exported since 5.11, where the name became the first member (9a56493f6942); before, a kref of 4 bytes stood
        // there
        let is_older = self.info.version().is_some_and(|version| version < (5, 11));
        let offset = match self.info.offset_of("uts_namespace.name") {
            None if !is_older => self.with_symbols(phys, |symbols| symbols.offset_of("uts_namespace.name")),
            stated => stated,
        };
        let at = symbol.checked_add(offset.unwrap_or(4));
        at.ok_or_else(|| Error::corrupt("OFFSET(uts_namespace.name) exceeds 2^64"))
    }

    /// Where the struct pages of the page frames below `end` are.
    ///
    /// # Errors
    /// As [`MemMap::find`].
    pub fn mem_map(&self, phys: &dyn PhysMemory, end: Pfn) -> Result<MemMap> {
        self.ask(phys, |symbols| MemMap::find(self.arch, symbols, &mut self.memory(phys), self.page_size, end))
    }

    /// How it marks its pages.
    ///
    /// # Errors
    /// As [`PageRules::for_arch`].
    pub fn page_rules(&self, phys: &dyn PhysMemory) -> Result<PageRules> {
        let rules = |symbols: &dyn KernelSymbols| PageRules::for_arch(symbols, self.words, self.arch, self.page_size);
        let stated = self.ask(phys, rules)?;
        if stated.is_complete() || self.sources.is_none() {
            return Ok(stated);
        }
        // what contradicts vmcoreinfo is not believed
        Ok(self.with_symbols(phys, rules).unwrap_or(stated))
    }

    /// Which page frames are in which node; with zones, where the kernel's types say where they are.
    ///
    /// # Errors
    /// `MissingInfo` if vmcoreinfo lacks a key; if a node cannot be read, or says what cannot be.
    pub fn node_spans(&self, phys: &dyn PhysMemory) -> Result<Vec<NodeSpan>> {
        let mut spans = self.ask(phys, |symbols| node_spans(symbols, &mut self.memory(phys)))?;
        // zones are more than was asked for: nodes are right without
        let mut zoned = spans.clone();
        if self.with_symbols(phys, |symbols| add_zones(symbols, &mut self.memory(phys), &mut zoned)).is_ok() {
            spans = zoned;
        }
        Ok(spans)
    }

    /// Its lists of free pages.
    ///
    /// # Errors
    /// As [`FreeLists::new`].
    pub fn free_lists(&self, phys: &dyn PhysMemory) -> Result<FreeLists> {
        self.ask(phys, |symbols| FreeLists::new(symbols, &mut self.memory(phys)))
    }
}

/// The architecture of a machine, of those that are known.
fn walked(machine: Machine) -> Result<&'static dyn Arch> {
    arch_of(machine).ok_or_else(|| {
        let bits = 8 * machine.word.bytes();
        let order = if machine.order == ByteOrder::Big { "big" } else { "little" };
        let name = match (machine.elf_machine, machine.name()) {
            (None, _) => "an unknown machine".to_owned(),
            (Some(n), None) => format!("e_machine {n}"),
            (Some(n), Some(name)) => format!("{name} (e_machine {n}) with {order}-endian words of {bits} bits"),
        };
        Error::unsupported(format!("page tables of {name} are not supported yet"))
    })
}
