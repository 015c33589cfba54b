//! Page tables of machines whose dumps do not say where the kernel's linear mapping begins, nor of which of several
//! kinds the tables are.
//!
//! vmcoreinfo has the virtual address of the top page table, `swapper_pg_dir`, which lies in the linear mapping: for
//! each place that it could be at, and for each kind, the walk is tried, and right is the one that comes back to the
//! table where it started.

use super::Space;
use crate::memory::PhysReader;
use crate::symbols::KernelSymbols;
use crate::xlat::{Mapping, TableCache, Translate};
use dump_core::{Error, ErrorKind, PhysAddr, Result, Segment, VirtAddr};
use std::sync::OnceLock;

/// A kind of page tables.
pub(super) trait Walk: Copy + Send + Sync {
    /// The walk from the top table at `root` on.
    fn walk(self, root: PhysAddr, memory: &mut dyn PhysReader, cache: &mut TableCache, at: VirtAddr)
    -> Result<Mapping>;
}

/// Page tables of one of several kinds, at one of several places.
pub(super) struct SelfMapped<W> {
    /// Virtual address of the kernel's own top table.
    table: VirtAddr,
    /// Kinds, and places of the top table.
    candidates: Vec<(W, PhysAddr)>,
    /// Whether the candidates are of the kernel's own table; else another top table, a process's, maps that.
    is_own: bool,
    chosen: OnceLock<Option<(W, PhysAddr)>>,
}

impl<W: Walk> SelfMapped<W> {
    /// The kernel's own page tables, with `swapper_pg_dir` at `table`.
    pub(super) fn own(table: VirtAddr, candidates: Vec<(W, PhysAddr)>) -> SelfMapped<W> {
        SelfMapped { table, candidates, is_own: true, chosen: OnceLock::new() }
    }

    /// The page tables of which a CPU's register has the top one, for each kind that they may be of.
    pub(super) fn other(table: VirtAddr, candidates: Vec<(W, PhysAddr)>) -> SelfMapped<W> {
        SelfMapped { table, candidates, is_own: false, chosen: OnceLock::new() }
    }

    fn choose(&self, memory: &mut dyn PhysReader) -> Option<(W, PhysAddr)> {
        let mut lies = |walk: W, root: PhysAddr| {
            let found = walk.walk(root, memory, &mut TableCache::default(), self.table);
            found.ok().map(|mapping| mapping.phys)
        };
        let comes_back = |(walk, root): &(W, PhysAddr)| match lies(*walk, *root) {
            Some(own) if self.is_own => own == *root,
            Some(own) => lies(*walk, own) == Some(own),
            None => false,
        };
        self.candidates.iter().copied().find(comes_back)
    }
}

impl<W: Walk> Translate for SelfMapped<W> {
    fn root(&self) -> Option<PhysAddr> {
        let (_, root) = self.chosen.get().copied().flatten()?;
        Some(root)
    }

    fn translate(&self, memory: &mut dyn PhysReader, cache: &mut TableCache, at: VirtAddr) -> Result<Mapping> {
        match *self.chosen.get_or_init(|| self.choose(memory)) {
            Some((walk, root)) => walk.walk(root, memory, cache, at),
            None => {
                let text = "no page table that it can be maps it to itself, whatever PAGE_OFFSET and physical start of \
                            RAM are taken";
                Err(Error::new(ErrorKind::NoMemory, format!("SYMBOL(swapper_pg_dir) {}: {text}", self.table)))
            }
        }
    }
}

/// Whose page tables an address of 32 bits goes by, where PAGE_OFFSET is one of several from 0x40000000 to 0xc0000000 and
/// the kernel has so many bytes below it.
pub(super) fn space_of_32_bits(at: VirtAddr, below: u64) -> Space {
    match at.0 {
        at if at < 0x4000_0000 - below => Space::Process,
        at if at < 0xc000_0000 - below => Space::Either,
        _ => Space::Kernel,
    }
}

/// Where segments have `at`, at a few places at most: there may be millions of them, and they may overlap.
pub(super) fn places_of(at: VirtAddr, segments: &[Segment]) -> impl Iterator<Item = PhysAddr> + '_ {
    let into = move |segment: &Segment| at.0.checked_sub(segment.vaddr.0).filter(|into| *into < segment.bytes);
    let places = segments.iter().filter_map(move |segment| segment.paddr.0.checked_add(into(segment)?));
    places.take(4).map(PhysAddr)
}

/// `at` in a page of 2^`shift` bytes at `page`.
pub(super) fn mapping(at: VirtAddr, page: u64, shift: u32) -> Mapping {
    let size = 1u64 << shift;
    let into = at.0 & (size - 1);
    Mapping { virt: at, phys: PhysAddr((page & !(size - 1)) + into), bytes: size - into }
}

/// The kernel's top page table.
pub(super) fn swapper_pg_dir(symbols: &dyn KernelSymbols) -> Result<VirtAddr> {
    symbols.symbol("swapper_pg_dir").ok_or_else(|| Error::missing("vmcoreinfo lacks SYMBOL(swapper_pg_dir)"))
}

/// That a walk found no mapping.
pub(super) fn not_mapped(at: VirtAddr, level: usize) -> Error {
    Error::new(ErrorKind::NoMemory, format!("virtual address {at} is not mapped (page table level {level})"))
}

#[cfg(test)]
pub(super) mod fake {
    //! Memory for walks.

    use super::*;
    use crate::arch::{Arch, MachineFacts};
    use crate::vmcoreinfo::Vmcoreinfo;
    use crate::words::Words;
    use dump_core::{ByteOrder, PageSize};
    use std::collections::HashMap;

    /// Entries of page tables; what is not there is 0.
    pub(in crate::arch) struct Tables(HashMap<u64, u8>);

    impl Tables {
        /// Of entries `(physical address, value)` of so many bytes.
        pub(in crate::arch) fn new(bytes: usize, order: ByteOrder, entries: &[(u64, u64)]) -> Tables {
            let put = |&(at, value): &(u64, u64)| {
                let all = if order == ByteOrder::Little { value.to_le_bytes() } else { value.to_be_bytes() };
                let used = if order == ByteOrder::Little { &all[..bytes] } else { &all[8 - bytes..] };
                (at..).zip(used.to_vec()).collect::<Vec<_>>()
            };
            Tables(entries.iter().flat_map(put).collect())
        }
    }

    impl PhysReader for Tables {
        fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<()> {
            let held = |at| self.0.get(&at).copied().unwrap_or(0);
            (at.0..).zip(buf).for_each(|(at, byte)| *byte = held(at));
            Ok(())
        }
    }

    /// The page tables of a dump with this vmcoreinfo.
    pub(in crate::arch) fn page_tables(
        arch: &dyn Arch,
        text: &str,
        words: Words,
        page_size: u64,
        segments: &[Segment],
    ) -> Result<Box<dyn Translate>> {
        let info = Vmcoreinfo::parse(text.as_bytes());
        let page_size = PageSize::from_bytes(page_size).unwrap();
        arch.page_tables(MachineFacts { symbols: &info, words, page_size, segments })
    }

    /// Where `at` lies, and how many bytes from there on do; the message where it lies nowhere.
    pub(in crate::arch) fn walk(
        xlat: &dyn Translate,
        tables: &mut Tables,
        at: u64,
    ) -> std::result::Result<(u64, u64), String> {
        let found = xlat.translate(tables, &mut TableCache::default(), VirtAddr(at));
        found.map(|mapping| (mapping.phys.0, mapping.bytes)).map_err(|e| e.to_string())
    }
}
