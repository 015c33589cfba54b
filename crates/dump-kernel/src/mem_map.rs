//! mem_map: which struct page stands for which page frame.
//!
//! | model | how it is known | where the struct pages are |
//! |---|---|---|
//! | SPARSEMEM_EXTREME | `mem_section`, an array of pointers to roots of sections | each section says |
//! | SPARSEMEM | `mem_section`, an array of sections | each section says |
//! | FLATMEM | `mem_map`, no `mem_section` | one array |
//!
//! VMEMMAP is no model of its own here: its sections' struct pages merely lie side by side in virtual memory, and runs of
//! them become one.

use crate::symbols::KernelSymbols;
use crate::xlat::KernelMemory;
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

/// x86_64's values where vmcoreinfo does not name them: it names SECTION_SIZE_BITS since 5.13 (4f5aecdff25f), MAX_PHYSMEM_BITS
/// since 5.9 (1d50e5d0c505). The second of the latter is for 5-level page tables.
const SECTION_SIZE_BITS: i64 = 27;
const MAX_PHYSMEM_BITS: [i64; 2] = [46, 52];

impl MemMap {
    /// Finds the struct pages of the page frames below `end`.
    ///
    /// # Errors
    /// `MissingInfo` where the dump does not tell how, or what it tells cannot be read.
    pub fn find(
        symbols: &dyn KernelSymbols,
        memory: &mut KernelMemory<'_>,
        page_size: PageSize,
        end: Pfn,
    ) -> Result<MemMap> {
        let page_struct = symbols.size_of("page").filter(|size| *size != 0);
        let page_struct = page_struct.ok_or_else(|| Error::missing("vmcoreinfo has no SIZE(page)"))?;
        if let (Some(table), Some(size)) = (symbols.symbol("mem_section"), symbols.size_of("mem_section")) {
            let shape = SectionShape::new(symbols, page_size, size, page_struct, end)?;
            return Ok(MemMap { model: shape.model(), page_struct, runs: shape.read(memory, table)? });
        }
        let symbol = symbols.symbol("mem_map").ok_or_else(|| {
            Error::missing("vmcoreinfo has neither SYMBOL(mem_section) with SIZE(mem_section) nor SYMBOL(mem_map)")
        })?;
        let first = VirtAddr(memory.read_u64(symbol).map_err(|e| e.within("mem_map"))?);
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

/// Sizes and numbers of sections.
struct SectionShape {
    /// Pages of a section.
    pages: u64,
    /// Sections below the end of the dump's memory.
    count: u64,
    /// Bytes of `struct mem_section`, and where in it `section_mem_map` is.
    entry: u64,
    member: u64,
    /// Sections of a root, where there are roots.
    per_root: Option<u64>,
    /// Bytes of a struct page.
    page_struct: u64,
    end: Pfn,
    /// Low bits of `section_mem_map` that are flags.
    flags: u64,
}

impl SectionShape {
    fn new(
        symbols: &dyn KernelSymbols,
        page_size: PageSize,
        entry: u64,
        page_struct: u64,
        end: Pfn,
    ) -> Result<SectionShape> {
        let level5 = usize::from(symbols.number("pgtable_l5_enabled").unwrap_or(0) != 0);
        let section_bits = symbols.number("SECTION_SIZE_BITS").unwrap_or(SECTION_SIZE_BITS);
        let memory_bits = symbols.number("MAX_PHYSMEM_BITS").unwrap_or(MAX_PHYSMEM_BITS[level5]);
        let shift = i64::from(page_size.shift());
        if !(section_bits > shift && section_bits <= memory_bits && memory_bits < 64) {
            return Err(Error::corrupt(format!(
                "vmcoreinfo: SECTION_SIZE_BITS {section_bits}, MAX_PHYSMEM_BITS {memory_bits} and pages of 2^{shift} bytes \
                 contradict each other"
            )));
        }
        let pages = 1u64 << (section_bits - shift);
        let count = end.0.div_ceil(pages);
        if count > MAX_SECTIONS {
            return Err(Error::unsupported(format!("{count} memory sections, more than {MAX_SECTIONS}")));
        }
        let member = symbols.offset_of("mem_section.section_mem_map");
        let member = member.filter(|at| at.checked_add(8).is_some_and(|end| end <= entry) && entry <= 4096);
        let member =
            member.ok_or_else(|| Error::missing("vmcoreinfo has no usable OFFSET(mem_section.section_mem_map)"))?;
        let per_root = page_size.bytes() as u64 / entry;
        let roots = (1u64 << (memory_bits - section_bits)).div_ceil(per_root);
        let extreme = symbols.length_of("mem_section").is_none_or(|length| length == roots);
        Ok(SectionShape {
            pages,
            count,
            entry,
            member,
            per_root: extreme.then_some(per_root),
            page_struct,
            end,
            // sparse_encode_mem_map() asserts SECTION_MAP_LAST_BIT <= PAGE_SIZE. makedumpfile 1.7.9 takes the low five bits
            // off; 6.15 made it six (SECTION_IS_VMEMMAP_PREINIT), and its next kernel may make it seven.
            flags: page_size.bytes() as u64 - 1,
        })
    }

    fn model(&self) -> MemoryModel {
        if self.per_root.is_some() { MemoryModel::SparseExtreme } else { MemoryModel::Sparse }
    }

    /// Reads the sections; `mem_section` is the array, or a pointer to it: kernels between 83e3c48729d9 (4.15, and 4.14
    /// stable) and a0b1280368d1 export the address of the pointer. A reading in which all makes sense is preferred to one
    /// with parts that cannot be read, as a dump that was cut short has.
    fn read(&self, memory: &mut KernelMemory<'_>, table: VirtAddr) -> Result<Vec<MemMapRun>> {
        let pointer = memory.read_u64(table).ok().map(VirtAddr).filter(|at| is_kernel(*at));
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
        let mut runs = Vec::new();
        for root in 0..self.count.div_ceil(per_root) {
            let sections = root * per_root..self.count.min((root + 1) * per_root);
            let at = match self.per_root {
                None => Ok(table),
                Some(_) => offset(table, root * 8).and_then(|at| memory.read_u64(at).map(VirtAddr)),
            };
            let read = at.and_then(|at| if at.0 == 0 { Ok(()) } else { self.root(memory, at, sections, &mut runs) });
            if let (Err(e), false) = (read, lenient) {
                return Err(e);
            }
        }
        match runs.is_empty() {
            false => Ok(runs),
            true => Err(Error::missing(format!("no section of memory is present in the table at {table}"))),
        }
    }

    /// Adds the present ones of `sections`, whose entries are at `at`; a few at a time, for a static array may be large.
    fn root(
        &self,
        memory: &mut KernelMemory<'_>,
        at: VirtAddr,
        sections: Range<u64>,
        runs: &mut Vec<MemMapRun>,
    ) -> Result<()> {
        let mut bytes = Vec::new();
        for first in sections.clone().step_by(64) {
            let n = (sections.end - first).min(64);
            bytes.resize((n * self.entry) as usize, 0);
            memory.read(offset(at, (first - sections.start) * self.entry)?, &mut bytes)?;
            for (section, entry) in (first..).zip(bytes.chunks_exact(self.entry as usize)) {
                let at = self.member as usize;
                let coded = entry.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes);
                if coded & PRESENT != 0 {
                    self.add(section, coded & !self.flags, runs)?;
                }
            }
        }
        Ok(())
    }

    /// Adds a section. What is coded is where a struct page of pfn 0 would be (sparse_encode_mem_map()).
    fn add(&self, section: u64, coded: u64, runs: &mut Vec<MemMapRun>) -> Result<()> {
        let start = Pfn(section * self.pages);
        let first = coded.wrapping_add(start.0.wrapping_mul(self.page_struct));
        if !is_kernel(VirtAddr(first)) {
            return Err(Error::corrupt(format!("section {section}: its struct pages would be at {first:#x}")));
        }
        let pages = PfnRange::new(start, (start + self.pages).min(self.end));
        match runs.last_mut() {
            Some(last) if last.pages.end == start && self.follows(last, first) => last.pages.end = pages.end,
            _ => runs.push(MemMapRun { pages, first: VirtAddr(first) }),
        }
        Ok(())
    }

    fn follows(&self, last: &MemMapRun, first: u64) -> bool {
        last.first.0.wrapping_add(last.pages.len().wrapping_mul(self.page_struct)) == first
    }
}

fn offset(base: VirtAddr, bytes: u64) -> Result<VirtAddr> {
    base.checked_add(bytes).ok_or_else(|| Error::corrupt(format!("{base} + {bytes:#x} passes 2^64")))
}

/// Whether an address lies in the kernel's half of the address space.
fn is_kernel(at: VirtAddr) -> bool {
    at.0 >> 63 == 1
}
