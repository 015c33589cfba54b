//! The page frames that go into a dump, at one dump level.
//!
//! ```text
//! held by the source ─ struct pages (exclude) ─ free lists (before 3.9) ─ vmemmap ─ zero pages, for some containers ─> dumpable
//! ```
//!
//! Where the memory budget allows, all of them are computed at once and held. Else a window of them is held at a time,
//! and computed again whenever it is asked for: first in ascending order, which counts them and why pages are left out,
//! and then as often as needed. Each time costs a scan of the window's struct pages, so a budget that is too
//! small for all costs two or three scans of all struct pages in place of one.
//!
//! Which page frames of the vmemmap go depends on all other pages, and so costs one scan more where not all are held.

use crate::image::Image;
use crate::ram::Ram;
use crate::view::KernelView;
use dump_core::{Error, PageBitmap, PageSet, PageWindow, Pfn, PfnRange, Result, Watch};
use dump_filter::{
    Doubt, DumpLevel, Exclusion, HostTally, Rest, Tally, UnusedStructPages, exclude, exclude_host, exclude_listed,
};
use dump_kernel::{BuddyMark, Footprint, PhysMemory};
use dump_pipe::exclude_zero;
use dump_xen::XenHost;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const CHUNK: u64 = PageBitmap::CHUNK_PAGES;

/// What dumpable pages are computed from.
#[derive(Clone, Copy)]
pub struct Criteria<'a> {
    /// The dump.
    pub image: &'a Image,
    /// Its memory.
    pub memory: &'a dyn PhysMemory,
    /// Its kernel, if that is known.
    pub view: Option<&'a KernelView>,
    /// What is left out.
    pub level: DumpLevel,
    /// Whether page frames of the vmemmap that hold struct pages of left-out pages alone are left out.
    pub without_vmemmap: bool,
    /// The hypervisor, where what it has free or gave to guests is left out.
    pub host: Option<&'a XenHost>,
    /// Whether zero pages are left out too, for containers that cannot mark them otherwise.
    pub without_zeros: bool,
}

/// What is known about memory after its dumpable pages were computed.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Pages left out because of their struct pages.
    pub tally: Tally,
    /// Page frames of the vmemmap left out.
    pub struct_pages: u64,
    /// Pages of a Xen host by what they are, where its hypervisor was asked.
    pub host: HostTally,
    /// Zero pages left out.
    pub zero: u64,
}

/// A class of pages that cannot be identified and is kept.
#[derive(Clone, Copy, Debug)]
pub struct Unidentified<'a> {
    /// The class, in the plural: "free pages".
    pub class: &'a str,
    /// Why.
    pub why: &'a str,
    /// Whether the dump level asks for the class. Hwpoison, offline and unaccepted pages go at every level, and many a
    /// kernel without a key for them has none.
    pub asked: bool,
}

/// Called with a class of pages that cannot be identified and is kept; an error ends the conversion.
pub type OnUnknown<'a> = &'a (dyn Fn(Unidentified<'_>) -> Result<()> + Sync);

/// The dumpable pages of a dump.
pub struct Dumpable<'a> {
    criteria: Criteria<'a>,
    /// What struct pages were found with.
    footprint: Footprint,
    /// What of the vmemmap is left out, or why nothing is; `None` where nothing is to be.
    vmemmap: Option<Result<PageBitmap>>,
    span: PfnRange,
    /// Pages of a window.
    window: u64,
    unknown: OnUnknown<'a>,
    /// Whether it was said that free lists cannot be read.
    lists_said: AtomicBool,
    watch: &'a dyn Watch,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The current window.
    held: Option<Arc<PageBitmap>>,
    /// Windows computed so far, in ascending order.
    windows: u64,
    /// Dumpable pages of each chunk of those.
    counts: Vec<u32>,
    /// For each window, what continues into it from those before; one more than there are.
    before: Vec<Vec<Rest>>,
    findings: Findings,
}

impl<'a> Dumpable<'a> {
    /// The pages below `end`, `window` of them at a time (all, or a multiple of [`PageBitmap::CHUNK_PAGES`]). The first
    /// window is computed at once, so that most that can go wrong does so before anything is written.
    ///
    /// # Errors
    /// `Interrupted` if the watcher asked to stop; if the source cannot be read at all; what `unknown` returns.
    pub fn new(
        criteria: Criteria<'a>,
        end: Pfn,
        window: u64,
        unknown: OnUnknown<'a>,
        watch: &'a dyn Watch,
    ) -> Result<Dumpable<'a>> {
        let state = State { before: vec![Vec::new()], ..State::default() };
        let span = PfnRange::new(Pfn(0), end);
        let (window, footprint, state) = (window.max(1), Footprint::default(), Mutex::new(state));
        let (vmemmap, lists_said) = (None, AtomicBool::new(false));
        let mut dumpable = Dumpable { criteria, footprint, vmemmap, span, window, unknown, lists_said, watch, state };
        for class in criteria.view.iter().flat_map(|view| criteria.level.unknown(&view.rules)) {
            let (why, asked) = (format!("vmcoreinfo lacks {}", class.key), criteria.level.asks_for(class));
            unknown(Unidentified { class: class.class, why: &why, asked })?;
        }
        if let Some(view) = criteria.view.filter(|_| dumpable.scanned().is_some() || criteria.without_vmemmap) {
            dumpable.footprint = Footprint::find(&view.kernel, criteria.memory, &view.map, end);
            if let Some(pfn) = criteria.image.vmcoreinfo_found_at() {
                dumpable.footprint.add(PfnRange::at(pfn, 1));
            }
        }
        if criteria.without_vmemmap {
            dumpable.leave_out_vmemmap()?;
        }
        dumpable.window(Pfn(0))?;
        Ok(dumpable)
    }

    /// Finds out what of the vmemmap is left out, by all windows. A kernel without a vmemmap keeps it.
    fn leave_out_vmemmap(&mut self) -> Result<()> {
        let Criteria { image, memory, view, .. } = self.criteria;
        let (mut before, mut only) = (Vec::new(), None);
        let unused = match view {
            Some(view) => view.kernel.vmemmap(memory, &view.map),
            None => Err(Error::missing("the kernel is not known")),
        };
        let mut unused = unused.and_then(|vmemmap| UnusedStructPages::new(vmemmap, memory, self.span.end));
        let ram = Ram::new(image.source(), self.span.end)?;
        for i in 0..self.windows() {
            let Ok(so_far) = &mut unused else { break };
            let mut found = self.scan(i, &before)?;
            before = std::mem::take(&mut found.beyond);
            if let Err(e) = add_window(so_far, &ram, &found.bits)? {
                unused = Err(e);
            }
            only = (self.windows() == 1).then_some(found);
        }
        self.vmemmap = Some(unused.map(|unused| unused.finish(&self.footprint)));
        // where all pages are held, they were now looked at
        if let Some(found) = only {
            let found = Window { beyond: before, ..found };
            self.keep(&mut self.lock(), self.finish(found)?)?;
        }
        Ok(())
    }

    /// What is known so far: about all pages, once all were computed.
    pub fn findings(&self) -> Findings {
        self.lock().findings.clone()
    }

    /// How many pages of `run` are known to be dumpable so far. At the ends of a run within a chunk of a window that is
    /// not the current one, all of the chunk's are counted.
    pub fn count_known(&self, run: PfnRange) -> u64 {
        let run = run.intersect(self.span);
        let state = self.lock();
        if let Some(bits) = state.held.as_ref().filter(|bits| bits.span().intersect(run) == run) {
            return bits.count(run);
        }
        let chunks = (run.start.0 / CHUNK) as usize..run.end.0.div_ceil(CHUNK) as usize;
        let known = chunks.start.min(state.counts.len())..chunks.end.min(state.counts.len());
        state.counts.get(known).unwrap_or_default().iter().map(|count| u64::from(*count)).sum()
    }

    /// Whether page frames of the vmemmap are left out.
    pub fn lacks_vmemmap(&self) -> bool {
        self.unused_vmemmap().is_some_and(|unused| unused.count(self.span) != 0)
    }

    /// Why none are although they were to be.
    pub fn vmemmap_kept(&self) -> Option<&Error> {
        self.vmemmap.as_ref().and_then(|unused| unused.as_ref().err())
    }

    fn unused_vmemmap(&self) -> Option<&PageBitmap> {
        self.vmemmap.as_ref().and_then(|unused| unused.as_ref().ok())
    }

    /// Pages of a window: all, or a multiple of [`PageBitmap::CHUNK_PAGES`].
    pub fn window_pages(&self) -> u64 {
        self.window
    }

    /// The kernel, where its struct pages must be read.
    fn scanned(&self) -> Option<&'a KernelView> {
        let level = self.criteria.level;
        self.criteria.view.filter(|view| level.needs_kernel() || view.rules.finds_always_excluded())
    }

    fn windows(&self) -> u64 {
        self.span.len().div_ceil(self.window)
    }

    fn window_span(&self, i: u64) -> PfnRange {
        PfnRange::at(Pfn(i.saturating_mul(self.window)), self.window).intersect(self.span)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Computes the windows below number `end` that were not yet.
    fn compute_below(&self, state: &mut State, end: u64) -> Result<()> {
        while state.windows < end {
            state.held = None; // before there are two
            let i = state.windows;
            let before = state.before.last().cloned().unwrap_or_default();
            let found = self.compute(i, &before)?;
            self.keep(state, found)?;
        }
        Ok(())
    }

    /// Holds the window after those computed so far.
    fn keep(&self, state: &mut State, found: Window) -> Result<()> {
        let chunks = found.bits.span().len().div_ceil(CHUNK);
        let first = found.bits.span().start;
        let count = |chunk| found.bits.count(PfnRange::at(first + chunk * CHUNK, CHUNK)) as u32;
        state.counts.extend((0..chunks).map(count));
        state.before.push(found.beyond);
        state.findings.tally.merge(&found.findings.tally);
        state.findings.host.merge(&found.findings.host);
        state.findings.struct_pages += found.findings.struct_pages;
        state.findings.zero += found.findings.zero;
        state.held = Some(Arc::new(found.bits));
        state.windows += 1;
        if state.windows == self.windows() {
            self.say_unknown(&state.findings.tally)?;
        }
        Ok(())
    }

    fn say_unknown(&self, tally: &Tally) -> Result<()> {
        for doubt in Doubt::ALL {
            let doubtful = tally.doubtful(doubt);
            if let Some(first) = doubtful.first {
                let why = format!("{} ({} pages, the first is pfn {first})", doubt.why(), doubtful.pages);
                let asked = self.criteria.level.needs_kernel() && !doubt.is_of_all_levels();
                (self.unknown)(Unidentified { class: doubt.class(), why: &why, asked })?;
            }
        }
        Ok(())
    }

    /// The window around `pfn`.
    fn held(&self, state: &mut State, pfn: Pfn) -> Result<Arc<PageBitmap>> {
        let i = pfn.0.min(self.span.end.0.saturating_sub(1)) / self.window;
        let at_hand = |state: &State| state.held.clone().filter(|bits| bits.span() == self.window_span(i));
        if let Some(bits) = at_hand(state) {
            return Ok(bits);
        }
        self.compute_below(state, i + 1)?;
        if let Some(bits) = at_hand(state) {
            return Ok(bits);
        }
        state.held = None;
        let before = state.before.get(i as usize).cloned().unwrap_or_default();
        let bits = Arc::new(self.compute(i, &before)?.bits);
        state.held = Some(Arc::clone(&bits));
        Ok(bits)
    }

    /// Computes window `i`, into which `before` continues.
    fn compute(&self, i: u64, before: &[Rest]) -> Result<Window> {
        self.scan(i, before).and_then(|found| self.finish(found))
    }

    /// Window `i` without what struct pages and free lists leave out.
    fn scan(&self, i: u64, before: &[Rest]) -> Result<Window> {
        let Criteria { image, level, .. } = self.criteria;
        let span = self.window_span(i);
        let too_far = || Error::corrupt(format!("memory up to page frame {}, more than any machine has", span.end));
        let mut bits = PageBitmap::windowed(span).ok_or_else(too_far)?;
        image.source().mark_held(&mut bits)?;
        let mut found = Window { bits, beyond: Vec::new(), findings: Findings::default() };
        if let Some(host) = self.criteria.host {
            found.findings.host = exclude_host(host, self.criteria.memory, &mut found.bits, self.watch)?;
        }
        if let Some(view) = self.scanned() {
            let KernelView { kernel, map, rules } = view;
            let (memory, footprint) = (self.criteria.memory, &self.footprint);
            let job = Exclusion { kernel, memory, map, rules, footprint, level };
            let excluded = exclude(&job, &mut found.bits, before, self.watch)?;
            (found.findings.tally, found.beyond) = (excluded.tally, excluded.beyond);
            if level.contains(DumpLevel::FREE) && rules.buddy() == BuddyMark::Lists {
                match exclude_listed(&job, &mut found.bits, self.span.end.0, &mut ()) {
                    Ok(tally) => found.findings.tally.merge(&tally),
                    Err(e) if !self.lists_said.swap(true, Ordering::Relaxed) => {
                        let why = e.to_string();
                        (self.unknown)(Unidentified { class: "free pages", why: &why, asked: true })?;
                    }
                    Err(_) => {}
                }
            }
        }
        Ok(found)
    }

    /// Takes the vmemmap and zero pages out of a window.
    fn finish(&self, mut found: Window) -> Result<Window> {
        let span = found.bits.span();
        if let Some(unused) = self.unused_vmemmap() {
            found.findings.struct_pages = unused.runs(span).map(|run| found.bits.clear(run)).sum();
        }
        if self.criteria.without_zeros {
            found.findings.zero = exclude_zero(self.criteria.image.source(), &mut found.bits, self.watch)?;
        }
        Ok(found)
    }
}

/// Adds to `unused` what a window of `dumpable` pages says, of those that are `ram`: a piece at a time, so that RAM takes
/// no window of its own. The inner error is one of the vmemmap.
fn add_window(unused: &mut UnusedStructPages<'_>, ram: &Ram<'_>, dumpable: &PageBitmap) -> Result<Result<()>> {
    let (mut at, end) = (dumpable.span().start, dumpable.span().end);
    while at < end {
        let piece = ram.window(at)?;
        let here = PfnRange::new(at, piece.span().end.min(end));
        if let Err(e) = unused.add(here, &piece, dumpable) {
            return Ok(Err(e));
        }
        at = here.end;
    }
    Ok(Ok(()))
}

/// A window, computed.
struct Window {
    bits: PageBitmap,
    beyond: Vec<Rest>,
    findings: Findings,
}

impl PageSet for Dumpable<'_> {
    fn span(&self) -> PfnRange {
        self.span
    }

    fn count(&self, run: PfnRange) -> Result<u64> {
        let run = run.intersect(self.span);
        if run.is_empty() {
            return Ok(0);
        }
        let mut state = self.lock();
        self.compute_below(&mut state, (run.end.0 - 1) / self.window + 1)?;
        let (mut sum, mut at) = (0, run.start);
        while at < run.end {
            let chunk = PfnRange::at(Pfn(at.0 / CHUNK * CHUNK), CHUNK).intersect(self.span);
            let here = chunk.intersect(run);
            sum += match state.counts.get((at.0 / CHUNK) as usize) {
                Some(count) if here == chunk => u64::from(*count),
                _ => self.held(&mut state, at)?.count(here),
            };
            at = here.end;
        }
        Ok(sum)
    }

    fn write_bytes(&self, run: PfnRange, out: &mut [u8]) -> Result<()> {
        out.fill(0);
        let mut state = self.lock();
        let (all, mut at) = (run.intersect(self.span), run.start);
        while at < all.end {
            let bits = self.held(&mut state, at)?;
            let here = PfnRange::new(at, bits.span().end.min(all.end));
            let from = (here.start - run.start) as usize / 8;
            let to = out.len().min(from + here.len().div_ceil(8) as usize);
            bits.write_bytes(here, out.get_mut(from..to).unwrap_or_default());
            at = here.end.max(at + 1);
        }
        Ok(())
    }

    fn window(&self, pfn: Pfn) -> Result<PageWindow<'_>> {
        self.held(&mut self.lock(), pfn).map(PageWindow::Part)
    }
}
