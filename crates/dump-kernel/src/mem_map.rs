//! mem_map: which struct page stands for which page frame.
//!
//! | model | how it is known | where the struct pages are |
//! |---|---|---|
//! | SPARSEMEM_EXTREME | `mem_section`, an array of pointers to roots of sections | each section says |
//! | SPARSEMEM | `mem_section`, an array of sections | each section says |
//! | DISCONTIGMEM | `node_data` and `pglist_data.node_mem_map`, no `mem_section` | one array for each node |
//! | FLATMEM | `contig_page_data` and `pglist_data.node_mem_map`, no `mem_section` | one array |
//!
//! How far the array of a node goes, and which page frame it begins with, its node says: memory need not begin at 0, and
//! a dump may have more than the kernel's memory, what a graphics card has for one. Such page frames have no struct page.
//!
//! VMEMMAP is no model of its own here: its sections' struct pages merely lie side by side in virtual memory, and runs
//! of them become one.

use crate::arch::Arch;
use crate::node_arrays::NodeArrays;
use crate::nodes::at as offset;
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
    /// An array for each node of memory (before 5.14: bb1c50d3967f).
    Discontiguous,
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
    /// The page frame after the last that was looked for.
    end: Pfn,
    runs: Vec<MemMapRun>,
    /// Page frames whose struct pages the kernel has, and where cannot be found out; ascending.
    unlocated: Vec<PfnRange>,
}

/// Bit 0 of `section_mem_map`: the section has struct pages (SECTION_MARKED_PRESENT).
const PRESENT: u64 = 1;

/// Places at which struct pages that no section has are looked for.
const MAX_PLACES: u64 = 4096;

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
            return Sections::new(arch, symbols, layout, end)?.read(memory, table);
        }
        let (model, runs) = NodeArrays { arch, page_struct, end }.read(symbols, memory)?;
        Ok(MemMap { model, page_struct, end, runs, unlocated: Vec::new() })
    }

    /// The kernel's memory model.
    pub fn model(&self) -> MemoryModel {
        self.model
    }

    /// The runs, ascending.
    pub fn runs(&self) -> &[MemMapRun] {
        &self.runs
    }

    /// Page frames whose struct pages the kernel has, and where cannot be found out; ascending.
    pub fn unlocated(&self) -> &[PfnRange] {
        &self.unlocated
    }

    /// Takes the struct pages of `lost`, ascending, for unlocated.
    pub(crate) fn disown(&mut self, lost: &[PfnRange]) {
        let mut runs = Vec::with_capacity(self.runs.len());
        for run in &self.runs {
            let mut keep = |pages: PfnRange| {
                let into = (pages.start - run.pages.start) * self.page_struct;
                // where the end of virtual memory is passed, nothing was read
                let first = run.first.checked_add(into).filter(|_| !pages.is_empty());
                runs.extend(first.map(|first| MemMapRun { pages, first }));
            };
            let mut at = run.pages.start;
            let from = lost.partition_point(|lost| lost.end <= run.pages.start);
            for lost in lost[from..].iter().map(|lost| lost.intersect(run.pages)).take_while(|lost| !lost.is_empty()) {
                keep(PfnRange::new(at, lost.start));
                at = lost.end;
            }
            keep(PfnRange::new(at, run.pages.end));
        }
        self.runs = runs;
        self.unlocated.extend(lost);
        self.unlocated.sort_unstable();
    }

    /// Where all struct pages are, as addresses and bytes.
    pub fn struct_pages(&self) -> impl Iterator<Item = (VirtAddr, u64)> + use<'_> {
        self.runs.iter().map(|run| (run.first, run.pages.len().saturating_mul(self.page_struct)))
    }

    /// The page frame after the last that was looked for.
    pub(crate) fn end(&self) -> Pfn {
        self.end
    }

    /// Bytes of a struct page.
    pub(crate) fn page_struct(&self) -> u64 {
        self.page_struct
    }

    /// Where the struct page of page frame 0 is, or would be: the same for all runs where they are one stretch of
    /// virtual memory, in the order of the page frames, and `None` where they are not.
    pub(crate) fn base(&self) -> Option<VirtAddr> {
        let mut bases = self.runs.iter().map(|run| {
            let into = run.pages.start.0.checked_mul(self.page_struct)?;
            run.first.0.checked_sub(into).map(VirtAddr)
        });
        let first = bases.next()??;
        bases.all(|base| base == Some(first)).then_some(first)
    }

    /// Whether memory is mapped where the struct pages of `pages` would be, if they were where those of all others say;
    /// looked for at no more than 4096 places, evenly. `None` where the struct pages are not one stretch.
    pub fn would_be_mapped(&self, memory: &mut KernelMemory<'_>, pages: PfnRange) -> Option<bool> {
        let base = self.base()?;
        let step = usize::try_from(pages.len() / MAX_PLACES).unwrap_or(usize::MAX).max(1);
        let last = pages.len().checked_sub(1);
        let mut places = (0..pages.len()).step_by(step).chain(last).map(|i| pages.start + i);
        Some(places.any(|pfn| {
            let at = pfn.0.checked_mul(self.page_struct).and_then(|into| base.checked_add(into));
            at.is_some_and(|at| memory.translate(at).is_ok())
        }))
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
    /// The models that the array may be of.
    models: &'static [MemoryModel],
    end: Pfn,
}

/// What was found in a table of sections.
#[derive(Default)]
struct Found {
    runs: Vec<MemMapRun>,
    /// What could not be read, or cannot be.
    unlocated: Vec<PfnRange>,
    failure: Option<Error>,
}

impl<'a> Sections<'a> {
    fn new(arch: &'a dyn Arch, symbols: &dyn KernelSymbols, layout: SectionLayout, end: Pfn) -> Result<Sections<'a>> {
        let (section_bits, memory_bits) = section_bits(arch, symbols, layout.page_size)?;
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
        let all = 1u64 << (memory_bits - section_bits);
        let models: &[_] = match symbols.length_of("mem_section") {
            Some(length) if length == all.div_ceil(layout.per_root()) => &[MemoryModel::SparseExtreme],
            Some(length) if length == all => &[MemoryModel::Sparse],
            Some(length) if symbols.number("MAX_PHYSMEM_BITS").is_some() => {
                return Err(Error::corrupt(format!(
                    "vmcoreinfo: LENGTH(mem_section) {length}, SIZE(mem_section) {}, SECTION_SIZE_BITS {section_bits} \
                     and MAX_PHYSMEM_BITS {memory_bits} contradict each other",
                    layout.entry
                )));
            }
            // as many as the kernel's bits, which it does not say and older ones had fewer of
            _ => &[MemoryModel::SparseExtreme, MemoryModel::Sparse],
        };
        Ok(Sections { arch, layout, pages, count, member, models, end })
    }

    /// Reads the sections; `mem_section` is the array, or a pointer to it: kernels between 83e3c48729d9 (4.15, and 4.14
    /// stable) and a0b1280368d1 export the address of the pointer. A reading in which all makes sense is preferred to
    /// one with parts that cannot be read, as a dump that was cut short has, or that make no sense.
    fn read(&self, memory: &mut KernelMemory<'_>, table: VirtAddr) -> Result<MemMap> {
        let pointer = memory.read_pointer(table).ok().filter(|at| self.arch.is_kernel(*at));
        let tables = [Some(table), pointer].into_iter().flatten();
        let readings = tables.flat_map(|table| self.models.iter().map(move |model| (table, *model)));
        let mut best: Option<(MemoryModel, Found)> = None;
        let mut failure = None;
        for (table, model) in readings {
            let mut found = self.sections(memory, table, model);
            match found.failure.take() {
                Some(e) => failure = failure.or(Some(e)),
                None => {
                    best = Some((model, found));
                    break;
                }
            }
            let lost = |found: &Found| found.unlocated.iter().map(|run| run.len()).sum::<u64>();
            if !found.runs.is_empty() && best.as_ref().is_none_or(|(_, best)| lost(&found) < lost(best)) {
                best = Some((model, found));
            }
        }
        let Some((model, Found { runs, unlocated, .. })) = best else {
            let failure = failure.unwrap_or_else(|| Error::missing("no table of sections"));
            return Err(failure.within("mem_section"));
        };
        Ok(MemMap { model, page_struct: self.layout.page_struct, end: self.end, runs, unlocated })
    }

    /// The present sections of the array at `table`.
    fn sections(&self, memory: &mut KernelMemory<'_>, table: VirtAddr, model: MemoryModel) -> Found {
        let per_root = if model == MemoryModel::SparseExtreme { self.layout.per_root() } else { self.count.max(1) };
        let word = self.layout.words.bytes() as u64;
        let mut found = Found::default();
        for root in 0..self.count.div_ceil(per_root) {
            let sections = root * per_root..self.count.min((root + 1) * per_root);
            let at = match model {
                MemoryModel::SparseExtreme => offset(table, root * word).and_then(|at| self.root_pointer(memory, at)),
                _ => Ok(Some(table)),
            };
            match at {
                Ok(Some(at)) => self.root(memory, at, sections, &mut found),
                Ok(None) => {}
                Err(e) => found.lose(self.pages_of(sections), e),
            }
        }
        found.untangle(self.layout);
        if found.runs.is_empty() && found.failure.is_none() {
            found.failure = Some(Error::missing(format!("the table at {table} has no present section")));
        }
        found
    }

    /// The pointer to a root; `None` where there is none.
    fn root_pointer(&self, memory: &mut KernelMemory<'_>, at: VirtAddr) -> Result<Option<VirtAddr>> {
        let root = memory.read_pointer(at)?;
        let sound = self.arch.is_kernel(root) && root.0 % self.layout.words.bytes() as u64 == 0;
        if root.0 != 0 && !sound {
            return Err(Error::corrupt(format!("the pointer at {at} to sections is {root}, which cannot be")));
        }
        Ok((root.0 != 0).then_some(root))
    }

    /// Adds the present ones of `sections`, whose entries are at `at`; a few at a time, for a static array may be
    /// large.
    fn root(&self, memory: &mut KernelMemory<'_>, at: VirtAddr, sections: Range<u64>, found: &mut Found) {
        let (mut bytes, entry) = (Vec::new(), self.layout.entry);
        for first in sections.clone().step_by(64) {
            let n = (sections.end - first).min(64);
            bytes.resize((n * entry) as usize, 0);
            let from = offset(at, (first - sections.start) * entry);
            if let Err(e) = from.and_then(|from| memory.read(from, &mut bytes)) {
                found.lose(self.pages_of(first..first + n), e);
                continue;
            }
            for (section, entry) in (first..).zip(bytes.chunks_exact(entry as usize)) {
                let coded = self.coded(entry);
                if coded & PRESENT != 0 {
                    self.add(section, coded & !self.flags(), found);
                }
            }
        }
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

    fn pages_of(&self, sections: Range<u64>) -> PfnRange {
        PfnRange::new(Pfn(sections.start * self.pages), Pfn(sections.end * self.pages).min(self.end))
    }

    /// Adds a section. What is coded is where a struct page of pfn 0 would be (sparse_encode_mem_map()).
    fn add(&self, section: u64, coded: u64, found: &mut Found) {
        let pages = self.pages_of(section..section + 1);
        let first = self.layout.words.wrap(coded.wrapping_add(pages.start.0.wrapping_mul(self.layout.page_struct)));
        if !self.arch.is_kernel(VirtAddr(first)) {
            let text = format!("section {section}: struct pages at {first:#x}, which is no kernel address");
            return found.lose(pages, Error::corrupt(text));
        }
        match found.runs.last_mut() {
            Some(last) if last.pages.end == pages.start && last.end(self.layout) == Some(first) => {
                last.pages.end = pages.end;
            }
            _ => found.runs.push(MemMapRun { pages, first: VirtAddr(first) }),
        }
    }
}

impl SectionLayout {
    /// Sections of a root.
    fn per_root(self) -> u64 {
        (self.page_size.bytes() as u64 / self.entry.max(1)).max(1)
    }
}

impl MemMapRun {
    /// Where its struct pages end.
    fn end(&self, layout: SectionLayout) -> Option<u64> {
        self.first.0.checked_add(self.pages.len().checked_mul(layout.page_struct)?)
    }
}

impl Found {
    fn lose(&mut self, pages: PfnRange, why: Error) {
        self.failure.get_or_insert(why);
        match self.unlocated.last_mut() {
            Some(last) if last.end == pages.start => last.end = pages.end,
            _ => self.unlocated.push(pages),
        }
    }

    /// Takes out runs that lay claim to the same struct pages: one of them errs, and which is not known.
    fn untangle(&mut self, layout: SectionLayout) {
        let mut by_address: Vec<usize> = (0..self.runs.len()).collect();
        by_address.sort_by_key(|i| self.runs[*i].first);
        let mut tangled = vec![false; self.runs.len()];
        let mut reach: Option<(usize, u64)> = None;
        for i in by_address {
            let end = self.runs[i].end(layout).unwrap_or(u64::MAX);
            if let Some((other, _)) = reach.filter(|(_, reach)| *reach > self.runs[i].first.0) {
                (tangled[i], tangled[other]) = (true, true);
            }
            if reach.is_none_or(|(_, reach)| end > reach) {
                reach = Some((i, end));
            }
        }
        let mut is_tangled = tangled.into_iter();
        let (lost, runs) = std::mem::take(&mut self.runs).into_iter().partition(|_| is_tangled.next() == Some(true));
        self.runs = runs;
        let lost: Vec<MemMapRun> = lost;
        for run in lost {
            let at = run.first;
            self.lose(run.pages, Error::corrupt(format!("two sections' struct pages are at {at}")));
        }
        self.unlocated.sort_unstable();
    }
}

/// SECTION_SIZE_BITS and MAX_PHYSMEM_BITS, the architecture's where vmcoreinfo lacks them.
fn section_bits(arch: &dyn Arch, symbols: &dyn KernelSymbols, page_size: PageSize) -> Result<(i64, i64)> {
    let usual = arch.section_bits(symbols, page_size);
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
