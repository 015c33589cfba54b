//! Takes the pages that a level leaves out from the bitmap of dumpable pages.
//!
//! Memory is cut into windows of 128 MiB (for 4 KiB pages), whose struct pages any worker reads; a compound page or
//! free block that goes on past its window is finished afterwards, when no window is open any more. Every struct page
//! is read once, and the result does not depend on who read it: bits are only ever cleared, and counts are sums. What
//! goes on past the whole bitmap is handed back, for the caller, which has the bits that follow.
//!
//! A struct page is looked at only if its page is still in the bitmap and no head before it has settled it: a free
//! block of 1024 pages costs eleven looks, one at its first page and one beyond each smaller order, where another block
//! would begin if it were smaller than it says.

use crate::level::{DumpLevel, Judge, Reason};
use crate::tally::{Doubt, Tally};
use dump_core::{Error, ErrorKind, PageBitmap, Pfn, PfnRange, Phase, Result, Watch, WindowMut, each_worker};
use dump_kernel::{
    Block, Footprint, Kernel, MemMap, PageRules, PageScanner, PageVisitor, PhysMemory, StructPages, WordLayout,
};

/// What the scan needs to know.
pub struct Exclusion<'a> {
    /// The dumped kernel.
    pub kernel: &'a Kernel,
    /// Its physical memory.
    pub memory: &'a dyn PhysMemory,
    /// Its struct pages.
    pub map: &'a MemMap,
    /// How they are marked.
    pub rules: &'a PageRules,
    /// What they were found with, which stays.
    pub footprint: &'a Footprint,
    /// What is left out.
    pub level: DumpLevel,
}

/// The part of a compound page or free block that lies past the pages that were looked at.
pub type Rest = (Reason, PfnRange);

/// What was left out of a bitmap.
#[derive(Debug, Default)]
pub struct Excluded {
    /// How many pages, and why.
    pub tally: Tally,
    /// What goes on past the bitmap's end.
    pub beyond: Vec<Rest>,
}

/// Clears the bits of pages that are left out and counts why, on all workers of the current rayon pool.
///
/// `before` is what went on past the pages below the bitmap's first.
///
/// # Errors
/// `Interrupted` if the watcher asked to stop.
pub fn exclude(job: &Exclusion<'_>, dumpable: &mut PageBitmap, before: &[Rest], watch: &dyn Watch) -> Result<Excluded> {
    let span = dumpable.span();
    let judge = Judge::new(job.level);
    let mut excluded = Excluded::default();
    for gap in job.map.unlocated() {
        dumpable.runs(gap.intersect(span)).for_each(|run| excluded.tally.keep(Doubt::Unread, run.start, run.len()));
    }
    let windows = dumpable.windows_mut();
    watch.begin(Phase::Exclude, span.len());
    let found = each_worker(windows.into_iter(), &|next| {
        let mut scanner = PageScanner::new(job.rules, job.map, job.kernel.memory(job.memory));
        let mut found = Scanned::default();
        while let Some(mut window) = next().filter(|_| !watch.stopped()) {
            scan(job, &judge, &mut scanner, &mut window, &mut found);
            watch.advance(window.span().len());
        }
        found
    });
    watch.end();
    if watch.stopped() {
        return Err(Error::new(ErrorKind::Interrupted, "interrupted while struct pages were read"));
    }
    found.iter().for_each(|part| excluded.tally.merge(&part.tally));
    let mut rests: Vec<Rest> = before.iter().copied().chain(found.into_iter().flat_map(|part| part.rests)).collect();
    // whoever found them: where two claim a page, the first counts
    rests.sort_unstable_by_key(|(_, rest)| *rest);
    for (reason, rest) in rests {
        leave_out(dumpable, job.footprint, reason, rest, &mut excluded.tally);
        if rest.end > span.end {
            excluded.beyond.push((reason, PfnRange::new(span.end, rest.end)));
        }
    }
    Ok(excluded)
}

/// What one worker found in its windows.
#[derive(Default)]
struct Scanned {
    tally: Tally,
    /// The parts of their last compound pages that lie past their ends.
    rests: Vec<Rest>,
}

impl Scanned {
    /// Leaves out a run of pages, of which `window` may hold the first part.
    fn leave_out(&mut self, window: &mut WindowMut<'_>, footprint: &Footprint, reason: Reason, run: PfnRange) {
        leave_out(window, footprint, reason, run, &mut self.tally);
        let end = window.span().end;
        if run.end > end {
            self.rests.push((reason, PfnRange::new(end.max(run.start), run.end)));
        }
    }
}

fn scan(
    job: &Exclusion<'_>,
    judge: &Judge,
    scanner: &mut PageScanner<'_>,
    window: &mut WindowMut<'_>,
    found: &mut Scanned,
) {
    let span = window.span();
    let mut scan = Scan { job, judge, done: span.start, window, found, far: Vec::new() };
    for piece in scanner.windows(span) {
        scan.done = scan.done.max(piece.start);
        if scan.done < piece.end && scan.window.count(PfnRange::new(scan.done, piece.end)) != 0 {
            scanner.show(piece, &mut scan);
            scan.settle_far(scanner);
        }
    }
}

/// The scan of a window of the bitmap.
struct Scan<'s, 'b> {
    job: &'s Exclusion<'s>,
    judge: &'s Judge,
    /// Pages below are settled by the head of their compound page.
    done: Pfn,
    window: &'s mut WindowMut<'b>,
    found: &'s mut Scanned,
    /// Blocks that are left out if the struct pages beyond those in view say that they can be.
    far: Vec<(Reason, Block)>,
}

impl PageVisitor for Scan<'_, '_> {
    /// Judges those pages that are not settled yet.
    fn visit<W: WordLayout>(&mut self, pages: StructPages<'_, W>) {
        self.done = scan_pages(self, pages);
    }
}

impl Scan<'_, '_> {
    fn settle_far(&mut self, scanner: &mut PageScanner<'_>) {
        for (reason, block) in self.far.drain(..) {
            match scanner.confirms(block) {
                true => self.found.leave_out(self.window, self.job.footprint, reason, block.pages()),
                false => self.found.tally.keep(Doubt::Contradiction, block.first, 1),
            }
        }
    }
}

/// Judges `pages` from `scan.done` on; returns the first page that is not settled by what stands in them.
fn scan_pages<W: WordLayout>(scan: &mut Scan<'_, '_>, pages: StructPages<'_, W>) -> Pfn {
    let Scan { job, judge, window, found, far, .. } = scan;
    let (mut done, end) = (scan.done, pages.window().end);
    let mut leaving = Leaving { window, footprint: job.footprint, found, run: None };
    while done < end {
        let pfn = done;
        done = pfn + 1;
        // a hole's struct page may hold anything (RAM that was never there); one that is left out already, too
        if !leaving.window.get(pfn) {
            continue;
        }
        let state = pages.state(pfn);
        let Some((reason, order)) = judge.of(state) else {
            if let Some(doubt) = judge.doubt(state.facts) {
                leaving.found.tally.keep(doubt, pfn, 1);
            }
            continue;
        };
        if let Some(mark) = reason.mark().filter(|mark| !job.kernel.stands_by(job.memory, job.map, job.rules, *mark)) {
            leaving.found.tally.keep(Doubt::of_mark(mark), pfn, 1);
            continue;
        }
        let block = Block { kind: reason.block(), first: pfn, order };
        let confirmed = if order == 0 { Some(true) } else { pages.confirm(block) };
        match confirmed {
            Some(true) => leaving.push(reason, block.pages()),
            None => far.push((reason, block)),
            Some(false) => {
                leaving.found.tally.keep(Doubt::Contradiction, pfn, 1);
                continue;
            }
        }
        done = block.pages().end;
    }
    leaving.flush();
    done
}

/// Pages on their way out: neighbours that go for one reason go at once, for small pages of one kind come by the
/// hundred.
struct Leaving<'w, 'b> {
    window: &'w mut WindowMut<'b>,
    footprint: &'w Footprint,
    found: &'w mut Scanned,
    run: Option<Rest>,
}

impl Leaving<'_, '_> {
    #[inline]
    fn push(&mut self, reason: Reason, run: PfnRange) {
        match &mut self.run {
            Some((other, before)) if *other == reason && before.end == run.start => before.end = run.end,
            _ => {
                self.flush();
                self.run = Some((reason, run));
            }
        }
    }

    fn flush(&mut self) {
        if let Some((reason, run)) = self.run.take() {
            self.found.leave_out(self.window, self.footprint, reason, run);
        }
    }
}

/// Bits of pages, of all or of some.
pub(crate) trait Bits {
    fn span(&self) -> PfnRange;
    fn clear(&mut self, run: PfnRange) -> u64;
    fn count(&self, run: PfnRange) -> u64;
}

impl Bits for PageBitmap {
    fn span(&self) -> PfnRange {
        PageBitmap::span(self)
    }

    fn clear(&mut self, run: PfnRange) -> u64 {
        PageBitmap::clear(self, run)
    }

    fn count(&self, run: PfnRange) -> u64 {
        PageBitmap::count(self, run)
    }
}

impl Bits for WindowMut<'_> {
    fn span(&self) -> PfnRange {
        WindowMut::span(self)
    }

    fn clear(&mut self, run: PfnRange) -> u64 {
        WindowMut::clear(self, run)
    }

    fn count(&self, run: PfnRange) -> u64 {
        WindowMut::count(self, run)
    }
}

/// Clears the bits of `run`, but for those that struct pages were found with, and counts both.
pub(crate) fn leave_out(bits: &mut impl Bits, footprint: &Footprint, reason: Reason, run: PfnRange, tally: &mut Tally) {
    let run = run.intersect(bits.span());
    let mut at = run.start;
    for own in footprint.parts_of(run) {
        tally.add(reason, bits.clear(PfnRange::new(at, own.start)));
        tally.keep(Doubt::Walked, own.start, bits.count(own));
        at = own.end;
    }
    tally.add(reason, bits.clear(PfnRange::new(at, run.end)));
}
