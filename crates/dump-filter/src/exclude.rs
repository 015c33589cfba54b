//! Takes the pages that a level leaves out from the bitmap of dumpable pages.
//!
//! Memory is cut into windows of 128 MiB (for 4 KiB pages), whose struct pages any worker reads; a compound page or free
//! block that goes on past its window is finished afterwards, when no window is open any more. Every struct page is read
//! once, and the result does not depend on who read it: bits are only ever cleared, and counts are sums.

use crate::level::{DumpLevel, Reason, judge};
use crate::tally::Tally;
use dump_core::{Error, ErrorKind, PageBitmap, PfnRange, Phase, Result, Watch, WindowMut};
use dump_kernel::{Kernel, MemMap, PageFacts, PageRules, PageScanner, PhysMemory};
use rayon::prelude::*;

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

/// Clears the bits of pages that are left out and counts why, on all workers of the current rayon pool.
///
/// # Errors
/// `Interrupted` where the watcher asked to stop.
pub fn exclude(job: &Exclusion<'_>, dumpable: &mut PageBitmap, watch: &dyn Watch) -> Result<Tally> {
    let windows = dumpable.windows_mut();
    watch.begin(Phase::Exclude, windows.iter().map(|window| window.span().len()).sum());
    let found: Vec<Found> = windows
        .into_par_iter()
        .map_init(
            || PageScanner::new(job.rules, job.map, job.memory, job.kernel.xlat()),
            |scanner, mut window| {
                let mut found = Found::default();
                if !watch.stopped() {
                    scan(job.level, scanner, &mut window, &mut found);
                    watch.advance(window.span().len());
                }
                found
            },
        )
        .collect();
    watch.end();
    if watch.stopped() {
        return Err(Error::new(ErrorKind::Interrupted, "interrupted while struct pages were read"));
    }
    let mut tally = Tally::default();
    for part in &found {
        tally.merge(&part.tally);
    }
    for (reason, rest) in found.iter().filter_map(|part| part.rest) {
        tally.add(reason, dumpable.clear(rest));
    }
    Ok(tally)
}

/// What the scan of one window found.
#[derive(Default)]
struct Found {
    tally: Tally,
    /// The part of its last compound page that lies past its end.
    rest: Option<(Reason, PfnRange)>,
}

fn scan(level: DumpLevel, scanner: &mut PageScanner<'_>, window: &mut WindowMut<'_>, found: &mut Found) {
    let span = window.span();
    let mut done = span.start; // pages below are settled by the head of their compound page
    for piece in scanner.windows(span) {
        let todo = PfnRange::new(piece.start.max(done), piece.end);
        if window.count(todo) == 0 {
            continue;
        }
        let facts = scanner.read(piece);
        while done < piece.end {
            let pfn = done.max(piece.start);
            let here = facts[(pfn - piece.start) as usize];
            done = pfn + 1;
            // a hole's struct page may hold anything (RAM that was never there); one that is left out already, too
            if !window.get(pfn) {
                continue;
            }
            match judge(level, here) {
                Some((reason, pages)) => {
                    let run = PfnRange::at(pfn, pages);
                    found.tally.add(reason, window.clear(run));
                    done = run.end;
                    if run.end > span.end {
                        found.rest = Some((reason, PfnRange::new(span.end, run.end)));
                    }
                }
                None if here.any(PageFacts::UNREAD) => found.tally.unread += 1,
                None if level.any(DumpLevel::FREE) && here.any(PageFacts::BAD_ORDER) => found.tally.add_bad_order(pfn),
                None => {}
            }
        }
    }
}
