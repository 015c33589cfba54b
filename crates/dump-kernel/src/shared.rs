//! Struct pages that lie where those of other page frames lie too, or where none can: one of them errs, and which is not
//! known.
//!
//! A damaged page table, or a damaged section that has another address, may lead to the struct pages of other memory,
//! each of which is sound, or to page tables. In one case alone do page frames share memory for their struct pages: the tails of a hugetlb
//! page or of a device's memory, which are all alike, have few page frames between them, and the head's may be one of
//! these (Linux mm/hugetlb_vmemmap.c, f41f2ed43ca5).
//!
//! And it may lead to memory that is none of struct pages. What that is, its own struct pages say: the kernel takes memory
//! for struct pages at boot, or as pages of its own, which are in no list, of no process and no part of a compound page
//! (Linux mm/sparse-vmemmap.c, vmemmap_alloc_block).

use crate::era::PageRules;
use crate::footprint::Noted;
use crate::kernel::Kernel;
use crate::mapped::each_mapped;
use crate::mem_map::{MemMap, MemMapRun};
use crate::memory::PhysMemory;
use crate::page::{PageFacts, PageScanner, PageVisitor, StructPages};
use crate::words::WordLayout;
use dump_core::{PageBitmap, Pfn, PfnRange, PhysAddr};

/// Page frames (64 GiB of 4 KiB pages) above which nobody looks: it takes three bits for each beside what the budget of memory
/// has bitmaps for, and a walk of all that maps struct pages.
const MOST_FRAMES: u64 = 1 << 24;

/// Ranges of page frames beyond these are not told apart (1 MiB): the last one goes on.
const MAX_RANGES: usize = 1 << 16;

impl Kernel {
    /// `map` without struct pages that lie where others do, unless they are tails of huge pages, where page tables do, or
    /// in memory that is free or of another use by its own struct pages: their page frames are [unlocated](MemMap::unlocated). Memory from page frame `end` on is not looked at, nor is a
    /// machine that has more than 2^24 page frames.
    pub fn without_shared(&self, phys: &dyn PhysMemory, mut map: MemMap, rules: &PageRules, end: Pfn) -> MemMap {
        if end.0 > MOST_FRAMES {
            return map;
        }
        let shared = Shared { kernel: self, phys, map: &map, rules };
        let found = shared.frames(end).map_or_else(Vec::new, |frames| shared.described_in(&frames));
        map.disown(&found);
        map
    }
}

/// A look for them.
struct Shared<'a> {
    kernel: &'a Kernel,
    phys: &'a dyn PhysMemory,
    map: &'a MemMap,
    rules: &'a PageRules,
}

/// Page frames that hold struct pages and more.
struct Frames {
    /// Those that struct pages are mapped to more than once.
    twice: PageBitmap,
    /// Those that hold something else: what struct pages are found with, or what their own struct pages say.
    other: PageBitmap,
}

impl Shared<'_> {
    /// The page frames that are shared; `None` where there are none.
    fn frames(&self, end: Pfn) -> Option<Frames> {
        let new = || PageBitmap::new(end);
        let (mut seen, mut twice, mut other) = (new()?, new()?, new()?);
        let noted = Noted::new(self.kernel, self.phys);
        // it could be read before
        let _ = self.kernel.mem_map(&noted, end);
        for run in self.map.runs() {
            self.each(&noted, run, &mut |_, at, bytes| {
                let frames = self.whole(at, bytes).intersect(seen.span());
                if seen.count(frames) != 0 {
                    seen.runs(frames).for_each(|run| twice.set(run));
                }
                seen.set(frames);
            });
        }
        for run in noted.frames() {
            seen.runs(run.intersect(seen.span())).for_each(|run| other.set(run));
        }
        self.add_of_other_use(&seen, &mut other);
        let any = [&twice, &other].iter().any(|frames| frames.next_set(Pfn(0)).is_some());
        any.then_some(Frames { twice, other })
    }

    /// Adds to `other` what of `seen` is no memory of struct pages by its own.
    fn add_of_other_use(&self, seen: &PageBitmap, other: &mut PageBitmap) {
        let mut scanner = PageScanner::new(self.rules, self.map, self.kernel.memory(self.phys));
        for run in seen.runs(seen.span()) {
            let mut used = OtherUse { frames: Vec::new() };
            // a free block that begins before the run says of its first page alone that it is free
            let before = (0..64).map_while(|order| 1u64.checked_shl(order)).take_while(|pages| *pages <= run.start.0);
            let heads = before.map(|pages| Pfn(run.start.0 & !(pages - 1)));
            heads.for_each(|head| scanner.show(PfnRange::at(head, 1), &mut used));
            scanner.windows(run).for_each(|piece| scanner.show(piece, &mut used));
            let frames = used.frames.into_iter().map(|frames| frames.intersect(run));
            frames.filter(|frames| !frames.is_empty()).for_each(|frames| other.set(frames));
        }
    }

    /// The page frames whose struct pages lie in shared ones and are no tails, ascending.
    fn described_in(&self, frames: &Frames) -> Vec<PfnRange> {
        let Frames { twice, other } = frames;
        let mut scanner = PageScanner::new(self.rules, self.map, self.kernel.memory(self.phys));
        let (mut found, mut last) = (Vec::new(), None);
        for run in self.map.runs() {
            self.each(self.phys, run, &mut |into, at, bytes| {
                let whole = self.whole(at, bytes).intersect(twice.span());
                if twice.count(whole) + other.count(whole) == 0 {
                    return;
                }
                for frame in pfns(whole).filter(|frame| twice.get(*frame) || other.get(*frame)) {
                    let described = self.described(run, into + (self.kernel.page_size().addr_of(frame).0 - at.0));
                    let tails = match last {
                        Some((same, tails)) if same == frame => tails,
                        _ => !other.get(frame) && self.are_tails(&mut scanner, described),
                    };
                    last = Some((frame, tails));
                    if !tails {
                        add(&mut found, described);
                    }
                }
            });
        }
        found
    }

    /// Calls `each` with the pieces of memory that the struct pages of `run` are mapped to: how far into them they begin,
    /// where they lie, and how long they are (bytes).
    fn each(&self, phys: &dyn PhysMemory, run: &MemMapRun, each: &mut dyn FnMut(u64, PhysAddr, u64)) {
        let bytes = run.pages.len().saturating_mul(self.map.page_struct());
        each_mapped(self.kernel, phys, (run.first, bytes), each);
    }

    /// The page frames that lie whole in `bytes` of memory from `at` on: arrays that follow each other may share one.
    fn whole(&self, at: PhysAddr, bytes: u64) -> PfnRange {
        let page = self.kernel.page_size().bytes() as u64;
        PfnRange::new(Pfn(at.0.div_ceil(page)), Pfn(at.0.saturating_add(bytes) / page))
    }

    /// The page frames of `run` that have struct pages in the page `into` bytes into its own.
    fn described(&self, run: &MemMapRun, into: u64) -> PfnRange {
        let (page, size) = (self.kernel.page_size().bytes() as u64, self.map.page_struct());
        let (first, end) = (into / size, (into + page).div_ceil(size));
        PfnRange::new(run.pages.start + first, run.pages.start + end).intersect(run.pages)
    }

    /// Whether the struct pages of `described`, which fill a page, are those of tails but for the first, which may be
    /// the head's.
    fn are_tails(&self, scanner: &mut PageScanner<'_>, described: PfnRange) -> bool {
        let fill = described.len() * self.map.page_struct() == self.kernel.page_size().bytes() as u64;
        let mut tails = Tails { first: described.start, count: 0 };
        scanner.windows(described).for_each(|piece| scanner.show(piece, &mut tails));
        fill && tails.count + 1 == described.len()
    }
}

/// Facts of pages that hold no struct pages.
const OTHER_USE: PageFacts = PageFacts::BUDDY
    .union(PageFacts::UNACCEPTED)
    .union(PageFacts::CACHE)
    .union(PageFacts::ANON)
    .union(PageFacts::HUGETLB)
    .union(PageFacts::OFFLINE)
    .union(PageFacts::TAIL);

/// Page frames that hold no struct pages by what theirs say: free blocks whole.
struct OtherUse {
    frames: Vec<PfnRange>,
}

impl PageVisitor for OtherUse {
    fn visit<W: WordLayout>(&mut self, pages: StructPages<'_, W>) {
        for pfn in pfns(pages.window()) {
            let state = pages.state(pfn);
            if state.facts.intersects(OTHER_USE) {
                self.frames.push(PfnRange::at(pfn, 1 << state.free_order));
            }
        }
    }
}

/// How many struct pages behind the first are tails'.
struct Tails {
    first: Pfn,
    count: u64,
}

impl PageVisitor for Tails {
    fn visit<W: WordLayout>(&mut self, pages: StructPages<'_, W>) {
        let behind = pfns(pages.window()).filter(|pfn| *pfn != self.first);
        self.count += behind.filter(|pfn| pages.state(*pfn).facts.contains(PageFacts::TAIL)).count() as u64;
    }
}

fn pfns(run: PfnRange) -> impl Iterator<Item = Pfn> {
    (run.start.0..run.end.0).map(Pfn)
}

/// Adds `run`, which lies behind all of `ranges` or meets the last.
fn add(ranges: &mut Vec<PfnRange>, run: PfnRange) {
    let full = ranges.len() >= MAX_RANGES;
    match ranges.last_mut() {
        Some(last) if run.start <= last.end || full => last.end = last.end.max(run.end),
        _ => ranges.push(run),
    }
}
