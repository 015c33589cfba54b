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
use crate::witness::Witness;
use dump_core::{Error, ErrorKind, PageBitmap, Pfn, PfnRange, Phase, Result, Watch, WindowMut, each_worker};
use dump_kernel::{
    Block, Footprint, Kernel, MemMap, PageFacts, PageRules, PageScanner, PageState, PageVisitor, PhysMemory,
    StructPages, WordLayout,
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
    exclude_witnessed(job, dumpable, before, &|| (), watch).map(|(excluded, _)| excluded)
}

/// The same before witnesses, which `witness` makes; all are returned.
///
/// # Errors
/// As [`exclude`].
pub fn exclude_witnessed<W: Witness>(
    job: &Exclusion<'_>,
    dumpable: &mut PageBitmap,
    before: &[Rest],
    witness: &(dyn Fn() -> W + Sync),
    watch: &dyn Watch,
) -> Result<(Excluded, Vec<W>)> {
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
        let mut found = Scanned { tally: Tally::default(), rests: Vec::new(), witness: witness() };
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
    let mut rests: Vec<Rest> = before.to_vec();
    let mut witnesses = vec![witness()];
    for part in found {
        rests.extend(part.rests);
        witnesses.push(part.witness);
    }
    // whoever found them: where two claim a page, the first counts
    rests.sort_unstable_by_key(|(_, rest)| *rest);
    for (reason, rest) in rests {
        let (leave, tally) = (Leave::of_block(reason, rest), &mut excluded.tally);
        witnesses.iter_mut().take(1).for_each(|witness| leave_out(dumpable, job.footprint, leave, tally, witness));
        if rest.end > span.end {
            excluded.beyond.push((reason, PfnRange::new(span.end, rest.end)));
        }
    }
    Ok((excluded, witnesses))
}

/// What one worker found in its windows.
struct Scanned<W> {
    tally: Tally,
    /// The parts of their last compound pages that lie past their ends.
    rests: Vec<Rest>,
    witness: W,
}

impl<W: Witness> Scanned<W> {
    /// Leaves out a run of pages, of which `window` may hold the first part.
    fn leave_out(&mut self, window: &mut WindowMut<'_>, footprint: &Footprint, leave: Leave) {
        leave_out(window, footprint, leave, &mut self.tally, &mut self.witness);
        let (run, end) = (leave.run, window.span().end);
        if run.end > end {
            self.rests.push((leave.reason, PfnRange::new(end.max(run.start), run.end)));
        }
    }
}

/// Pages on their way out.
#[derive(Clone, Copy)]
pub(crate) struct Leave {
    reason: Reason,
    /// Whether they are a process's and go as a block.
    huge: bool,
    run: PfnRange,
}

impl Leave {
    /// Pages that go one by one.
    pub(crate) fn of(reason: Reason, run: PfnRange) -> Leave {
        Leave { reason, huge: false, run }
    }

    /// Pages that go because the first of a block does, or a part of them.
    fn of_block(reason: Reason, run: PfnRange) -> Leave {
        Leave { reason, huge: reason == Reason::User, run }
    }
}

fn scan<W: Witness>(
    job: &Exclusion<'_>,
    judge: &Judge,
    scanner: &mut PageScanner<'_>,
    window: &mut WindowMut<'_>,
    found: &mut Scanned<W>,
) {
    let span = window.span();
    let mut scan = Scan { job, judge, done: span.start, slab_end: span.start, window, found, far: Vec::new() };
    for piece in scanner.windows(span) {
        scan.done = scan.done.max(piece.start);
        if scan.done < piece.end && scan.window.count(PfnRange::new(scan.done, piece.end)) != 0 {
            scanner.show(piece, &mut scan);
            scan.settle_far(scanner);
        }
    }
}

/// The scan of a window of the bitmap.
struct Scan<'s, 'b, W> {
    job: &'s Exclusion<'s>,
    judge: &'s Judge,
    /// Pages below are settled by the head of their compound page.
    done: Pfn,
    /// Where the compound page of the slab allocator ends whose head was seen last.
    slab_end: Pfn,
    window: &'s mut WindowMut<'b>,
    found: &'s mut Scanned<W>,
    /// Blocks that are left out if the struct pages beyond those in view say that they can be.
    far: Vec<(Reason, Block)>,
}

impl<T: Witness> PageVisitor for Scan<'_, '_, T> {
    /// Judges those pages that are not settled yet.
    fn visit<W: WordLayout>(&mut self, pages: StructPages<'_, W>) {
        self.done = scan_pages(self, pages);
    }
}

impl<W: Witness> Scan<'_, '_, W> {
    fn settle_far(&mut self, scanner: &mut PageScanner<'_>) {
        for (reason, block) in self.far.drain(..) {
            match scanner.confirms(block) {
                true => self.found.leave_out(self.window, self.job.footprint, Leave::of_block(reason, block.pages())),
                false => self.found.tally.keep(Doubt::Contradiction, block.first, 1),
            }
        }
    }
}

/// Judges `pages` from `scan.done` on; returns the first page that is not settled by what stands in them.
fn scan_pages<T: Witness, W: WordLayout>(scan: &mut Scan<'_, '_, T>, pages: StructPages<'_, W>) -> Pfn {
    let Scan { job, judge, slab_end, window, found, far, .. } = scan;
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
            } else if T::LISTENS && is_slab(pages, pfn, state, slab_end) {
                leaving.found.witness.slab(PfnRange::at(pfn, 1));
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
            Some(true) if order == 0 => leaving.push(Leave::of(reason, block.pages())),
            Some(true) => leaving.push(Leave::of_block(reason, block.pages())),
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

/// Whether a page that is kept is one of the slab allocator: a tail is what its head is, which ends at `slab_end`.
fn is_slab<W: WordLayout>(pages: StructPages<'_, W>, pfn: Pfn, state: PageState, slab_end: &mut Pfn) -> bool {
    if state.facts.contains(PageFacts::TAIL) {
        return pfn < *slab_end;
    }
    let is_slab = pages.is_slab(pfn);
    *slab_end = if is_slab { pfn + (1 << state.order) } else { pfn };
    is_slab
}

/// Pages on their way out: neighbours that go for one reason go at once, for small pages of one kind come by the
/// hundred.
struct Leaving<'w, 'b, W> {
    window: &'w mut WindowMut<'b>,
    footprint: &'w Footprint,
    found: &'w mut Scanned<W>,
    run: Option<Leave>,
}

impl<W: Witness> Leaving<'_, '_, W> {
    #[inline]
    fn push(&mut self, leave: Leave) {
        let alike = |other: &Leave| other.reason == leave.reason && (!W::LISTENS || other.huge == leave.huge);
        match &mut self.run {
            Some(before) if alike(before) && before.run.end == leave.run.start => before.run.end = leave.run.end,
            _ => {
                self.flush();
                self.run = Some(leave);
            }
        }
    }

    fn flush(&mut self) {
        if let Some(leave) = self.run.take() {
            self.found.leave_out(self.window, self.footprint, leave);
        }
    }
}

/// Bits of pages, of all or of some.
pub(crate) trait Bits {
    fn span(&self) -> PfnRange;
    fn clear(&mut self, run: PfnRange) -> u64;
    fn count(&self, run: PfnRange) -> u64;
    fn each_run(&self, within: PfnRange, each: &mut dyn FnMut(PfnRange));
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

    fn each_run(&self, within: PfnRange, each: &mut dyn FnMut(PfnRange)) {
        self.runs(within).for_each(each);
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

    fn each_run(&self, within: PfnRange, each: &mut dyn FnMut(PfnRange)) {
        WindowMut::each_run(self, within, each);
    }
}

/// Clears the bits of pages on their way out, but for those that struct pages were found with, and counts both.
pub(crate) fn leave_out(
    bits: &mut impl Bits,
    footprint: &Footprint,
    leave: Leave,
    tally: &mut Tally,
    witness: &mut impl Witness,
) {
    let run = leave.run.intersect(bits.span());
    let mut at = run.start;
    for own in footprint.parts_of(run) {
        clear(bits, Leave { run: PfnRange::new(at, own.start), ..leave }, tally, witness);
        tally.keep(Doubt::Walked, own.start, bits.count(own));
        at = own.end;
    }
    clear(bits, Leave { run: PfnRange::new(at, run.end), ..leave }, tally, witness);
}

fn clear<W: Witness>(bits: &mut impl Bits, leave: Leave, tally: &mut Tally, witness: &mut W) {
    let Leave { reason, huge, run } = leave;
    if W::LISTENS {
        bits.each_run(run, &mut |there| witness.left_out(there, reason, huge));
    }
    tally.add(reason, bits.clear(run));
}
