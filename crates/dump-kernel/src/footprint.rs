//! Where in memory lies what struct pages are found with: page tables on the way, tables of sections, the struct pages
//! themselves, the kernel's names. All of it was the running kernel's when it crashed, so that none of it can be free or
//! a process's, and a dump without it is one that nobody can read.

use crate::kernel::Kernel;
use crate::mapped::each_mapped;
use crate::mem_map::MemMap;
use crate::memory::{PhysMemory, PhysReader};
use dump_core::{PageSize, Pfn, PfnRange, PhysAddr, Result};
use std::sync::{Mutex, PoisonError};

/// Page frames that a kernel's struct pages are found with.
#[derive(Clone, Debug, Default)]
pub struct Footprint {
    /// What was read on the way to them.
    walked: Runs,
    /// The same, and the struct pages.
    runs: Runs,
}

/// Runs beyond these are not kept (1 MiB): struct pages of machines of terabytes whose memory is in pieces of a page.
const MAX_RUNS: usize = 1 << 16;

/// Fewer runs than twice these are not worth putting in order.
const LEAST_RUNS: usize = 1 << 10;

impl Footprint {
    /// The footprint of `map` in `phys`, whose page frames are below `end`: what is read for it, read again.
    pub fn find(kernel: &Kernel, phys: &dyn PhysMemory, map: &MemMap, end: Pfn) -> Footprint {
        let noted = Noted::new(kernel, phys);
        // what cannot be read leaves nothing to keep, and was said when it was first read
        let _ = (kernel.mem_map(&noted, end), kernel.utsname(&noted));
        let mut runs = Runs::default();
        for run in map.struct_pages() {
            let mut note = |_, at, bytes| runs.push(pages_of(kernel.page_size(), at, bytes));
            each_mapped(kernel, &noted, run, &mut note);
        }
        let mut walked = noted.into_runs();
        walked.merge();
        // whatever became of struct pages in very many pieces
        runs.all.extend(&walked.all);
        runs.merge();
        Footprint { walked, runs }
    }

    /// Adds `run`.
    pub fn add(&mut self, run: PfnRange) {
        for runs in [&mut self.walked, &mut self.runs] {
            runs.push(run);
            runs.merge();
        }
    }

    /// The page frames, ascending.
    pub fn runs(&self) -> &[PfnRange] {
        &self.runs.all
    }

    /// Those in `run`.
    pub fn parts_of(&self, run: PfnRange) -> impl Iterator<Item = PfnRange> + use<'_> {
        self.runs.parts_of(run)
    }

    /// Those in `run` that hold what struct pages are found with, rather than struct pages.
    pub fn walked_parts_of(&self, run: PfnRange) -> impl Iterator<Item = PfnRange> + use<'_> {
        self.walked.parts_of(run)
    }
}

/// Runs of page frames, put in order whenever there are twice as many as there were.
#[derive(Clone, Debug, Default)]
struct Runs {
    all: Vec<PfnRange>,
    /// How many there were when they were put in order last.
    merged: usize,
}

impl Runs {
    fn push(&mut self, run: PfnRange) {
        let count = self.all.len();
        match self.all.last_mut() {
            _ if run.is_empty() => {}
            Some(last) if last.start <= run.start && run.start <= last.end => last.end = last.end.max(run.end),
            _ if count >= MAX_RUNS => {}
            _ => self.all.push(run),
        }
        if self.all.len() > 2 * self.merged.max(LEAST_RUNS) {
            self.merge();
        }
    }

    /// Those in `run`, where they are in order.
    fn parts_of(&self, run: PfnRange) -> impl Iterator<Item = PfnRange> + use<'_> {
        let from = self.all.partition_point(|own| own.end <= run.start);
        self.all[from..].iter().map(move |own| own.intersect(run)).take_while(|part| !part.is_empty())
    }

    /// Puts them in order, with gaps between them.
    fn merge(&mut self) {
        self.all.sort_unstable();
        self.all.dedup_by(|next, last| {
            let joins = next.start <= last.end;
            last.end = if joins { last.end.max(next.end) } else { last.end };
            joins
        });
        self.merged = self.all.len();
    }
}

fn pages_of(size: PageSize, at: PhysAddr, bytes: u64) -> PfnRange {
    let first = size.pfn_of(at);
    PfnRange::at(first, size.pages_for(at.0 - size.addr_of(first).0 + bytes))
}

/// Memory that notes what is read of it.
pub(crate) struct Noted<'a> {
    inner: &'a dyn PhysMemory,
    page_size: PageSize,
    read: Mutex<Runs>,
}

impl<'a> Noted<'a> {
    /// Of `phys`, in page frames of `kernel`.
    pub(crate) fn new(kernel: &Kernel, phys: &'a dyn PhysMemory) -> Noted<'a> {
        Noted { inner: phys, page_size: kernel.page_size(), read: Mutex::default() }
    }

    /// The page frames that were read.
    pub(crate) fn frames(self) -> Vec<PfnRange> {
        self.into_runs().all
    }

    fn into_runs(self) -> Runs {
        self.read.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, run: PfnRange) {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).push(run);
    }
}

impl PhysMemory for Noted<'_> {
    fn reader(&self) -> Box<dyn PhysReader + '_> {
        Box::new(NotedReader { inner: self.inner.reader(), memory: self })
    }
}

struct NotedReader<'a> {
    inner: Box<dyn PhysReader + 'a>,
    memory: &'a Noted<'a>,
}

impl PhysReader for NotedReader<'_> {
    fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<()> {
        self.inner.read(at, buf)?;
        self.memory.push(pages_of(self.memory.page_size, at, buf.len() as u64));
        Ok(())
    }
}
