//! mem_map: which struct page stands for which page frame.
//!
//! | model | how it is known | where the struct pages are |
//! |---|---|---|
//! | SPARSEMEM_EXTREME | `mem_section`, an array of pointers to roots of sections | each section says |
//! | SPARSEMEM | `mem_section`, an array of sections | each section says |
//! | FLATMEM | `mem_map`, no `mem_section` | one array |
//!
//! VMEMMAP is no model of its own here: its sections' struct pages merely lie side by side in virtual memory, and runs
//! of them become one.

use crate::arch::Arch;
use crate::symbols::KernelSymbols;
use crate::virt::KernelMemory;
use crate::words::Words;
use dump_core::{Error, PageSize, Pfn, PfnRange, Result, VirtAddr};
use std::ops::Range;

/// How the kernel keeps its struct pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryModel {
    /// One array for all of memory.
    Flat,
    /// An array for each section of memory, found in one static array of sections.
    Sparse,
    /// The same, found in roots of sections that are allocated as memory is there.
    SparseExtreme,
}

/// Consecutive page frames whose struct pages are consecutive in virtual memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemMapRun {
    /// The page frames.
    pub pages: PfnRange,
    /// The struct page of the first.
    pub first: VirtAddr,
}

/// All struct pages of a kernel.
#[derive(Clone, Debug)]
pub struct MemMap {
    model: MemoryModel,
    page_struct: u64,
    runs: Vec<MemMapRun>,
}

/// Bit 0 of `section_mem_map`: the section has struct pages (SECTION_MARKED_PRESENT).
const PRESENT: u64 = 1;

/// No machine has more sections: 64 TiB in sections of 16 MiB (ppc64) are 4 Mi.
const MAX_SECTIONS: u64 = 8 << 20;

impl MemMap {
    /// Finds the struct pages of the page frames below `end`.
    ///
    /// # Errors
    /// `MissingInfo` if vmcoreinfo lacks a key for it, or if what it names cannot be read.
    pub fn find(
        arch: &dyn Arch,
        symbols: &dyn KernelSymbols,
        memory: &mut KernelMemory<'_>,
        page_size: PageSize,
        end: Pfn,
    ) -> Result<MemMap> {
        let page_struct = symbols.size_of("page").filter(|size| *size != 0);
        let page_struct = page_struct.ok_or_else(|| Error::missing("vmcoreinfo lacks SIZE(page)"))?;
        if let (Some(table), Some(size)) = (symbols.symbol("mem_section"), symbols.size_of("mem_section")) {
            let layout = SectionLayout { entry: size, page_struct, page_size, words: memory.words() };
            let sections = Sections::new(arch, symbols, layout, end)?;
            return Ok(MemMap { model: sections.model(), page_struct, runs: sections.read(memory, table)? });
        }
        let symbol = symbols.symbol("mem_map").ok_or_else(|| {
            Error::missing("vmcoreinfo lacks SYMBOL(mem_section) with SIZE(mem_section), and SYMBOL(mem_map)")
        })?;
        let first = memory.read_pointer(symbol).map_err(|e| e.within("mem_map"))?;
        let runs = vec![MemMapRun { pages: PfnRange::new(Pfn(0), end), first }];
        Ok(MemMap { model: MemoryModel::Flat, page_struct, runs })
    }

    /// The kernel's memory model.
    pub fn model(&self) -> MemoryModel {
        self.model
    }

    /// The runs, ascending.
    pub fn runs(&self) -> &[MemMapRun] {
        &self.runs
    }

    /// The page frames of `run` that have struct pages, cut where the struct pages do not go on.
    pub fn runs_of(&self, run: PfnRange) -> impl Iterator<Item = PfnRange> + use<'_> {
        let from = self.runs.partition_point(|r| r.pages.end <= run.start);
        self.runs[from..].iter().map(move |r| r.pages.intersect(run)).take_while(|piece| !piece.is_empty())
    }

    /// The struct page of `pfn`.
    pub fn struct_page(&self, pfn: Pfn) -> Option<VirtAddr> {
        let from = self.runs.partition_point(|r| r.pages.end <= pfn);
        let run = self.runs.get(from).filter(|r| r.pages.contains(pfn))?;
        run.first.checked_add((pfn - run.pages.start).checked_mul(self.page_struct)?)
    }

    /// The page frame whose struct page is at `at`.
    pub fn pfn_of(&self, at: VirtAddr) -> Option<Pfn> {
        self.runs.iter().find_map(|run| {
            let into = at.0.checked_sub(run.first.0)?;
            let pfn = run.pages.start + into / self.page_struct;
            (into % self.page_struct == 0 && run.pages.contains(pfn)).then_some(pfn)
        })
    }
}

/// Sizes that sections and struct pages have.
#[derive(Clone, Copy)]
struct SectionLayout {
    /// Bytes of `struct mem_section`.
    entry: u64,
    /// Bytes of a struct page.
    page_struct: u64,
    page_size: PageSize,
    words: Words,
}

/// The sections of memory.
struct Sections<'a> {
    arch: &'a dyn Arch,
    layout: SectionLayout,
    /// Pages of a section.
    pages: u64,
    /// Sections below the end of the dump's memory.
    count: u64,
    /// Where in `struct mem_section` `section_mem_map` is (bytes).
    member: u64,
    /// Sections of a root, where there are roots.
    per_root: Option<u64>,
    end: Pfn,
}

impl<'a> Sections<'a> {
    fn new(arch: &'a dyn Arch, symbols: &dyn KernelSymbols, layout: SectionLayout, end: Pfn) -> Result<Sections<'a>> {
        let (section_bits, memory_bits) = section_bits(arch, symbols)?;
        let shift = i64::from(layout.page_size.shift());
        if !(section_bits > shift && section_bits <= memory_bits && memory_bits < 64) {
            return Err(Error::corrupt(format!(
                "vmcoreinfo: SECTION_SIZE_BITS {section_bits}, MAX_PHYSMEM_BITS {memory_bits} and pages of 2^{shift} \
                 bytes contradict each other"
            )));
        }
        let pages = 1u64 << (section_bits - shift);
        let count = end.0.div_ceil(pages);
        if count > MAX_SECTIONS {
            return Err(Error::unsupported(format!("{count} memory sections, expected at most {MAX_SECTIONS}")));
        }
        let member = section_mem_map(symbols, layout)?;
        let per_root = layout.page_size.bytes() as u64 / layout.entry;
        let roots = (1u64 << (memory_bits - section_bits)).div_ceil(per_root);
        let extreme = symbols.length_of("mem_section").is_none_or(|length| length == roots);
        Ok(Sections { arch, layout, pages, count, member, per_root: extreme.then_some(per_root), end })
    }

    fn model(&self) -> MemoryModel {
        if self.per_root.is_some() { MemoryModel::SparseExtreme } else { MemoryModel::Sparse }
    }

    /// Reads the sections; `mem_section` is the array, or a pointer to it: kernels between 83e3c48729d9 (4.15, and 4.14
    /// stable) and a0b1280368d1 export the address of the pointer. A reading in which all makes sense is preferred to
    /// one with parts that cannot be read, as a dump that was cut short has.
    fn read(&self, memory: &mut KernelMemory<'_>, table: VirtAddr) -> Result<Vec<MemMapRun>> {
        let pointer = memory.read_pointer(table).ok().filter(|at| self.arch.is_kernel(*at));
        let mut failure = None;
        for lenient in [false, true] {
            for table in [Some(table), pointer].into_iter().flatten() {
                match self.sections(memory, table, lenient) {
                    Ok(runs) => return Ok(runs),
                    Err(e) => failure = failure.or(Some(e)),
                }
            }
        }
        let failure = failure.unwrap_or_else(|| Error::missing("no table of sections"));
        Err(failure.within("mem_section"))
    }

    /// The present sections of the array at `table`; an error unless there is one and all make sense. A lenient reading
    /// passes over what cannot be read.
    fn sections(&self, memory: &mut KernelMemory<'_>, table: VirtAddr, lenient: bool) -> Result<Vec<MemMapRun>> {
        let per_root = self.per_root.unwrap_or(self.count.max(1));
        let word = self.layout.words.bytes() as u64;
        let mut runs = Vec::new();
        for root in 0..self.count.div_ceil(per_root) {
            let sections = root * per_root..self.count.min((root + 1) * per_root);
            let at = match self.per_root {
                None => Ok(table),
                Some(_) => offset(table, root * word).and_then(|at| memory.read_pointer(at)),
            };
            let read = at.and_then(|at| if at.0 == 0 { Ok(()) } else { self.root(memory, at, sections, &mut runs) });
            if let (Err(e), false) = (read, lenient) {
                return Err(e);
            }
        }
        match runs.is_empty() {
            false => Ok(runs),
            true => Err(Error::missing(format!("the table at {table} has no present section"))),
        }
    }

    /// Adds the present ones of `sections`, whose entries are at `at`; a few at a time, for a static array may be
    /// large.
    fn root(
        &self,
        memory: &mut KernelMemory<'_>,
        at: VirtAddr,
        sections: Range<u64>,
        runs: &mut Vec<MemMapRun>,
    ) -> Result<()> {
        let (mut bytes, entry) = (Vec::new(), self.layout.entry);
        for first in sections.clone().step_by(64) {
            let n = (sections.end - first).min(64);
            bytes.resize((n * entry) as usize, 0);
            memory.read(offset(at, (first - sections.start) * entry)?, &mut bytes)?;
            for (section, entry) in (first..).zip(bytes.chunks_exact(entry as usize)) {
                let coded = self.coded(entry);
                if coded & PRESENT != 0 {
                    self.add(section, coded & !self.flags(), runs)?;
                }
            }
        }
        Ok(())
    }

    /// `section_mem_map` of a `struct mem_section`.
    fn coded(&self, entry: &[u8]) -> u64 {
        let (at, words) = (self.member as usize, self.layout.words);
        entry.get(at..at + words.bytes()).map_or(0, |word| words.integer(word))
    }

    /// Low bits of `section_mem_map` that are flags. sparse_encode_mem_map() asserts SECTION_MAP_LAST_BIT <= PAGE_SIZE.
    /// makedumpfile 1.7.9 takes the low five bits off; 6.15 made it six (SECTION_IS_VMEMMAP_PREINIT), and its next
    /// kernel may make it seven.
    fn flags(&self) -> u64 {
        self.layout.page_size.bytes() as u64 - 1
    }

    /// Adds a section. What is coded is where a struct page of pfn 0 would be (sparse_encode_mem_map()).
    fn add(&self, section: u64, coded: u64, runs: &mut Vec<MemMapRun>) -> Result<()> {
        let start = Pfn(section * self.pages);
        let first = self.layout.words.wrap(coded.wrapping_add(start.0.wrapping_mul(self.layout.page_struct)));
        if !self.arch.is_kernel(VirtAddr(first)) {
            return Err(Error::corrupt(format!(
                "section {section}: struct pages at {first:#x}, which is no kernel address"
            )));
        }
        let pages = PfnRange::new(start, (start + self.pages).min(self.end));
        match runs.last_mut() {
            Some(last) if last.pages.end == start && self.follows(last, first) => last.pages.end = pages.end,
            _ => runs.push(MemMapRun { pages, first: VirtAddr(first) }),
        }
        Ok(())
    }

    fn follows(&self, last: &MemMapRun, first: u64) -> bool {
        last.first.0.wrapping_add(last.pages.len().wrapping_mul(self.layout.page_struct)) == first
    }
}

fn offset(base: VirtAddr, bytes: u64) -> Result<VirtAddr> {
    base.checked_add(bytes).ok_or_else(|| Error::corrupt(format!("{base} + {bytes:#x} exceeds 2^64")))
}

/// SECTION_SIZE_BITS and MAX_PHYSMEM_BITS, the architecture's where vmcoreinfo lacks them.
fn section_bits(arch: &dyn Arch, symbols: &dyn KernelSymbols) -> Result<(i64, i64)> {
    let usual = arch.section_bits(symbols);
    let bits = |name: &str, usual: Option<i64>| {
        let lacking = || Error::missing(format!("vmcoreinfo lacks NUMBER({name})"));
        symbols.number(name).or(usual).ok_or_else(lacking)
    };
    Ok((
        bits("SECTION_SIZE_BITS", usual.map(|bits| bits.section))?,
        bits("MAX_PHYSMEM_BITS", usual.map(|bits| bits.memory))?,
    ))
}

/// Where in `struct mem_section` the place of its struct pages is.
fn section_mem_map(symbols: &dyn KernelSymbols, layout: SectionLayout) -> Result<u64> {
    let (word, entry) = (layout.words.bytes() as u64, layout.entry);
    let member = symbols.offset_of("mem_section.section_mem_map");
    let member = member.filter(|at| at.checked_add(word).is_some_and(|end| end <= entry) && entry <= 4096);
    member.ok_or_else(|| Error::missing("vmcoreinfo lacks a usable OFFSET(mem_section.section_mem_map)"))
}
