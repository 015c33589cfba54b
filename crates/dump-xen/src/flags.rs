//! Where `count_info` has its flags (xen/arch/x86/include/asm/mm.h, PGC_*).
//!
//! | | before XSA-402 | since (4.13 to 4.21) | since 4.22 |
//! |---|---|---|---|
//! | allocated, xen_heap | 63, 62 | 63, 62 | 63, 62 |
//! | state: in use, offlining, offlined, free | 56:55 | 59:58 | 59:58 |
//! | broken | 57 | 60 | 60 |
//! | to be scrubbed, of a free frame | 63 | 63 | 57 |
//!
//! XSA-402 (ae09597da3, June 2022) was put into every branch that was maintained, so that no version says which it is. What
//! does is free frames: they have no references and no flags but these, and lie in blocks of an order, on lists.

use crate::crash_info::CrashInfo;
use crate::frame_table::{Frame, FrameReader};
use dump_core::{Error, Pfn, PfnRange, Result};

const ALLOCATED: u64 = 1 << 63;
const XEN_HEAP: u64 = 1 << 62;

/// The largest order of a free block that is believed (MAX_ORDER is 20).
const MAX_ORDER: u32 = 20;

/// Free frames that are looked at closely, of each layout: those that may begin a block of several, and single ones.
const MAX_BLOCKS: u32 = 4096;
const MAX_SINGLE: u32 = 1024;

/// A place of the flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    /// Which Xen has them so.
    pub name: &'static str,
    state: u32,
    broken: u64,
    scrub: u64,
}

/// What a frame's flags say of its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    InUse,
    Offlined,
    Broken,
    Free,
    /// Free, and not scrubbed yet.
    Dirty,
    /// Free or off line, and in use as well.
    Contradiction,
}

const BEFORE: Flags = Flags { name: "before XSA-402", state: 55, broken: 1 << 57, scrub: ALLOCATED };
const SINCE: Flags = Flags { name: "since XSA-402", state: 58, broken: 1 << 60, scrub: ALLOCATED };
const SINCE_4_22: Flags = Flags { name: "since 4.22", state: 58, broken: 1 << 60, scrub: 1 << 57 };

impl Flags {
    /// Every layout.
    pub const ALL: [Flags; 3] = [BEFORE, SINCE, SINCE_4_22];

    pub(crate) fn state(&self, count_info: u64) -> State {
        match count_info >> self.state & 3 {
            _ if count_info & self.broken != 0 => State::Broken,
            // Xen writes these states over all else (xen/common/page_alloc.c, mark_page_free, mark_page_offline)
            2 | 3 if count_info & !(self.scrub | 3 << self.state) != 0 => State::Contradiction,
            2 => State::Offlined,
            3 if count_info & self.scrub != 0 => State::Dirty,
            3 => State::Free,
            _ => State::InUse,
        }
    }

    /// Whether the frame is free and nothing else: no reference, no other flag.
    fn is_plainly_free(&self, count_info: u64) -> bool {
        count_info & !self.scrub == 3 << self.state
    }

    /// The layout by which free frames make sense, of `runs` of frames that are memory.
    ///
    /// # Errors
    /// `MissingInfo` if none does, or more than one.
    pub(crate) fn tell(
        runs: &[PfnRange],
        frames: &mut FrameReader<'_>,
        index: &dyn Fn(Pfn) -> Option<u64>,
        crash: Option<&CrashInfo>,
    ) -> Result<Flags> {
        let mut witnesses = [Witness::default(); 3];
        let mut heads = Vec::new();
        for run in runs {
            // frames within a block that was seen have what is left of older ones
            let mut done = [run.start; 3];
            frames.visit(*run, &mut |pfn, frame| {
                let Some(frame) = frame else { return };
                for (i, (flags, witness)) in Flags::ALL.iter().zip(&mut witnesses).enumerate() {
                    if !flags.is_plainly_free(frame.count_info) {
                        continue;
                    }
                    witness.dirty += u64::from(frame.count_info & flags.scrub != 0);
                    let aligned = frame.order <= MAX_ORDER && pfn.0 & ((1 << frame.order) - 1) == 0;
                    if !aligned || pfn < done[i] {
                        continue;
                    }
                    let (seen, most) = match frame.order {
                        0 => (&mut witness.single, MAX_SINGLE),
                        _ => (&mut witness.blocks, MAX_BLOCKS),
                    };
                    if *seen < most {
                        *seen += 1;
                        heads.push((i, pfn, frame));
                    }
                    done[i] = pfn + (1 << frame.order);
                }
            });
        }
        for (i, pfn, frame) in heads {
            let listed = index(pfn).is_some_and(|own| Flags::ALL[i].is_listed(own, frame, frames));
            witnesses[i].listed += u64::from(listed);
        }
        let [before, since, since_4_22] = witnesses;
        let modern = crash.is_some_and(|crash| crash.is_since(4, 17));
        let newest = crash.is_some_and(|crash| crash.is_since(4, 22));
        // the last two differ in one flag, which only frames that are yet to be scrubbed have
        let is_latest = since.dirty == 0 && (since_4_22.dirty != 0 || newest);
        let latest = if is_latest { SINCE_4_22 } else { SINCE };
        let is_since = since.listed != 0 || since_4_22.listed != 0;
        match (before.listed != 0, is_since) {
            (true, false) if modern => Err(Error::missing("its flags are those of an older Xen than it says it is")),
            (true, false) => Ok(BEFORE),
            (false, true) => Ok(latest),
            (true, true) => Err(Error::missing("free page frames make sense in two layouts of count_info")),
            (false, false) => Err(Error::missing("no free page frame shows where count_info has its flags")),
        }
    }

    /// Whether a free frame begins a block that a list of free blocks leads to and back from.
    fn is_listed(&self, own: u64, head: Frame, frames: &mut FrameReader<'_>) -> bool {
        let mut neighbour = |index: u64, back: fn(&Frame) -> u64| match index {
            u64::MAX => Some(true), // the end of the list
            index => {
                let other = frames.by_index(index)?;
                Some(self.is_plainly_free(other.count_info) && other.order == head.order && back(&other) == own)
            }
        };
        let (next, previous) = (neighbour(head.next, |f| f.previous), neighbour(head.previous, |f| f.next));
        next == Some(true) && previous == Some(true)
    }
}

/// What speaks for a layout.
#[derive(Clone, Copy, Debug, Default)]
struct Witness {
    /// Frames to be scrubbed.
    dirty: u64,
    /// Frames that may begin a block, and single ones.
    blocks: u32,
    single: u32,
    /// Heads of blocks that are on lists.
    listed: u64,
}

/// Whether a frame belongs to a domain, by flags that never moved.
pub(crate) fn is_allocated(count_info: u64) -> bool {
    count_info & ALLOCATED != 0
}

/// Whether it is memory of Xen's own, by flags that never moved.
pub(crate) fn is_xen_heap(count_info: u64) -> bool {
    count_info & XEN_HEAP != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_the_three_layouts() {
        for (flags, free, dirty, broken, offlined) in [
            (BEFORE, 3 << 55, 3 << 55 | 1 << 63, 1 << 57 | 2 << 55, 2_u64 << 55),
            (SINCE, 3 << 58, 3 << 58 | 1 << 63, 1 << 60 | 2 << 58, 2 << 58),
            (SINCE_4_22, 3 << 58, 3 << 58 | 1 << 57, 1 << 60 | 2 << 58, 2 << 58),
        ] {
            let states = [free, dirty, broken, offlined, 1 << 63 | 1].map(|info| flags.state(info));
            assert_eq!(states, [State::Free, State::Dirty, State::Broken, State::Offlined, State::InUse], "{flags:?}");
        }
        assert_eq!(SINCE.state(1 << 57 | 1 << 63 | 2), State::InUse, "an extra page is no broken one");
        for flags in Flags::ALL {
            for state in [2, 3] {
                let referenced = state << flags.state | 2;
                assert_eq!(flags.state(referenced), State::Contradiction, "{flags:?}: free, and somebody has it");
            }
        }
    }
}
