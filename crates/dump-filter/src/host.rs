//! Takes what a Xen host has no use for from the bitmap of dumpable pages: memory of its guests, free memory, and what is
//! broken.
//!
//! Xen's own memory stays, and domain 0's; so does what nothing is known of, and what belongs to an owner that Xen's list of
//! domains does not have.

use dump_core::{Error, ErrorKind, PageBitmap, Pfn, PfnRange, Phase, Result, Watch, WindowMut, each_worker};
use dump_kernel::PhysMemory;
use dump_xen::{FrameReader, Owner, PageClass, XenHost};

/// Page frames of a piece that is looked at at once.
const PIECE: u64 = 2048;

/// Page frames of a host by what they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostTally {
    /// Left out: of guests other than domain 0.
    pub guests: u64,
    /// Left out: free and scrubbed.
    pub free: u64,
    /// Left out: free, with what they had before.
    pub dirty: u64,
    /// Left out: broken or taken off line.
    pub broken: u64,
    /// Kept: domain 0's.
    pub domain0: u64,
    /// Kept: Xen's, or of no owner.
    pub xen: u64,
    /// Kept: of an owner that the list of domains does not have.
    pub strangers: u64,
    /// Kept: of which nothing is known.
    pub unknown: u64,
}

impl HostTally {
    /// All that were left out.
    pub fn excluded(&self) -> u64 {
        self.guests + self.free + self.dirty + self.broken
    }

    /// Adds what another part of memory counted.
    pub fn merge(&mut self, other: &HostTally) {
        let HostTally { guests, free, dirty, broken, domain0, xen, strangers, unknown } = other;
        self.guests += guests;
        self.free += free;
        self.dirty += dirty;
        self.broken += broken;
        self.domain0 += domain0;
        self.xen += xen;
        self.strangers += strangers;
        self.unknown += unknown;
    }

    /// Counts a page of `class`; whether it is left out.
    fn count(&mut self, class: PageClass) -> bool {
        let (count, out) = match class {
            PageClass::Owned(Owner::Guest) => (&mut self.guests, true),
            PageClass::Free => (&mut self.free, true),
            PageClass::Dirty => (&mut self.dirty, true),
            PageClass::Broken | PageClass::Offlined => (&mut self.broken, true),
            PageClass::Owned(Owner::Zero) => (&mut self.domain0, false),
            PageClass::XenHeap | PageClass::Xen | PageClass::Owned(Owner::Special | Owner::Nobody) => {
                (&mut self.xen, false)
            }
            PageClass::Owned(Owner::Stranger) => (&mut self.strangers, false),
            PageClass::Unknown => (&mut self.unknown, false),
        };
        *count += 1;
        out
    }
}

/// Clears the bits of page frames that a host's dump does without, on all workers of the current rayon pool.
///
/// # Errors
/// `Interrupted` if the watcher asked to stop.
pub fn exclude_host(
    host: &XenHost,
    memory: &dyn PhysMemory,
    dumpable: &mut PageBitmap,
    watch: &dyn Watch,
) -> Result<HostTally> {
    let span = dumpable.span();
    watch.begin(Phase::Exclude, span.len());
    let found = each_worker(dumpable.windows_mut().into_iter(), &|next| {
        let mut frames = host.frames().reader(memory);
        let mut tally = HostTally::default();
        while let Some(mut window) = next().filter(|_| !watch.stopped()) {
            scan(host, &mut frames, &mut window, &mut tally);
            watch.advance(window.span().len());
        }
        tally
    });
    watch.end();
    if watch.stopped() {
        return Err(Error::new(ErrorKind::Interrupted, "interrupted while Xen's frame table was read"));
    }
    let mut tally = HostTally::default();
    found.iter().for_each(|part| tally.merge(part));
    Ok(tally)
}

fn scan(host: &XenHost, frames: &mut FrameReader<'_>, window: &mut WindowMut<'_>, tally: &mut HostTally) {
    let span = window.span();
    let mut at = span.start;
    while at < span.end {
        let piece = PfnRange::at(at, PIECE).intersect(span);
        at = piece.end;
        if window.count(piece) == 0 {
            continue;
        }
        let mut out = Out { run: PfnRange::at(piece.start, 0), window };
        host.classify(frames, piece, &mut |pfn, class| {
            if out.window.get(pfn) && tally.count(class) {
                out.add(pfn);
            }
        });
        out.clear();
    }
}

/// Pages that are left out, cleared a run at a time.
struct Out<'w, 'b> {
    run: PfnRange,
    window: &'w mut WindowMut<'b>,
}

impl Out<'_, '_> {
    fn add(&mut self, pfn: Pfn) {
        if pfn != self.run.end {
            self.clear();
            self.run = PfnRange::at(pfn, 0);
        }
        self.run.end = pfn + 1;
    }

    fn clear(&mut self) {
        self.window.clear(self.run);
    }
}
