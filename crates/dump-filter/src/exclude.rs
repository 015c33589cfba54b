//! Takes the pages that a level leaves out from the bitmap of dumpable pages.
//!
//! Memory is cut into windows of 128 MiB (for 4 KiB pages), whose struct pages any worker reads; a compound page or
//! free block that goes on past its window is finished afterwards, when no window is open any more. Every struct page
//! is read once, and the result does not depend on who read it: bits are only ever cleared, and counts are sums. What
//! goes on past the whole bitmap is handed back, for the caller, which has the bits that follow.
//!
//! A struct page is looked at only if its page is still in the bitmap and no head before it has settled it: a free
//! block of 1024 pages costs one look.

use crate::level::{DumpLevel, Judge, Reason};
use crate::tally::Tally;
use dump_core::{Error, ErrorKind, PageBitmap, Pfn, PfnRange, Phase, Result, Watch, WindowMut, each_worker};
use dump_kernel::{
    Kernel, MemMap, PageFacts, PageRules, PageScanner, PageVisitor, PhysMemory, StructPages, WordLayout,
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
    let windows = dumpable.windows_mut();
    watch.begin(Phase::Exclude, span.len());
    let found = each_worker(windows.into_iter(), &|next| {
        let mut scanner = PageScanner::new(job.rules, job.map, job.kernel.memory(job.memory));
        let mut found = Scanned::default();
        while let Some(mut window) = next().filter(|_| !watch.stopped()) {
            scan(&judge, &mut scanner, &mut window, &mut found);
            watch.advance(window.span().len());
        }
        found
    });
    watch.end();
    if watch.stopped() {
        return Err(Error::new(ErrorKind::Interrupted, "interrupted while struct pages were read"));
    }
    let mut excluded = Excluded::default();
    found.iter().for_each(|part| excluded.tally.merge(&part.tally));
    let mut rests: Vec<Rest> = before.iter().copied().chain(found.into_iter().flat_map(|part| part.rests)).collect();
    // whoever found them: where two claim a page, the first counts
    rests.sort_unstable_by_key(|(_, rest)| *rest);
    for (reason, rest) in rests {
        excluded.tally.add(reason, dumpable.clear(rest));
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

fn scan(judge: &Judge, scanner: &mut PageScanner<'_>, window: &mut WindowMut<'_>, found: &mut Scanned) {
    let span = window.span();
    let mut scan = Scan { judge, done: span.start, window, found };
    for piece in scanner.windows(span) {
        scan.done = scan.done.max(piece.start);
        if scan.done < piece.end && scan.window.count(PfnRange::new(scan.done, piece.end)) != 0 {
            scanner.show(piece, &mut scan);
        }
    }
}

/// The scan of a window of the bitmap.
struct Scan<'s, 'b> {
    judge: &'s Judge,
    /// Pages below are settled by the head of their compound page.
    done: Pfn,
    window: &'s mut WindowMut<'b>,
    found: &'s mut Scanned,
}

impl PageVisitor for Scan<'_, '_> {
    /// Judges those pages that are not settled yet.
    fn visit<W: WordLayout>(&mut self, pages: StructPages<'_, W>) {
        self.done = scan_pages(self.judge, pages, self.done, self.window, self.found);
    }
}

/// Judges `pages` from `done` on; returns the first page that is not settled by what stands in them.
fn scan_pages<W: WordLayout>(
    judge: &Judge,
    pages: StructPages<'_, W>,
    mut done: Pfn,
    window: &mut WindowMut<'_>,
    found: &mut Scanned,
) -> Pfn {
    let (span, end) = (window.span(), pages.window().end);
    let mut leave_out = LeaveOut { window, run: None };
    while done < end {
        let pfn = done;
        done = pfn + 1;
        // a hole's struct page may hold anything (RAM that was never there); one that is left out already, too
        if !leave_out.window.get(pfn) {
            continue;
        }
        let state = pages.state(pfn);
        match judge.of(state) {
            Some((reason, pages)) => {
                let run = PfnRange::at(pfn, pages);
                leave_out.push(reason, run, &mut found.tally);
                done = run.end;
                if run.end > span.end {
                    found.rests.push((reason, PfnRange::new(span.end, run.end)));
                }
            }
            None if state.facts.contains(PageFacts::UNREAD) => found.tally.unread += 1,
            None if judge.asks_free() && state.facts.contains(PageFacts::BAD_ORDER) => found.tally.add_bad_order(pfn),
            None => {}
        }
    }
    leave_out.flush(&mut found.tally);
    done
}

/// Pages on their way out: neighbours that go for one reason go at once, for small pages of one kind come by the
/// hundred.
struct LeaveOut<'w, 'b> {
    window: &'w mut WindowMut<'b>,
    run: Option<Rest>,
}

impl LeaveOut<'_, '_> {
    #[inline]
    fn push(&mut self, reason: Reason, run: PfnRange, tally: &mut Tally) {
        match &mut self.run {
            Some((other, before)) if *other == reason && before.end == run.start => before.end = run.end,
            _ => {
                self.flush(tally);
                self.run = Some((reason, run));
            }
        }
    }

    fn flush(&mut self, tally: &mut Tally) {
        if let Some((reason, run)) = self.run.take() {
            tally.add(reason, self.window.clear(run));
        }
    }
}
