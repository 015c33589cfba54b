//! What all of memory is used for: block by block, and what of it goes into a dump.
//!
//! ```text
//! RAM ─ PageBlocks ─> blocks
//! struct pages ─ exclude at level 30, witnessed ─> pages of each class in each block ─ a page of each ─ compress ─> ClassBytes
//! ```
//!
//! The classes are the filter's own: its scan of struct pages at level 30, which leaves out all that struct pages tell, is
//! looked on at. So a class has as many pages as a dump of level 30 or 31 leaves out, and no page is counted twice. Work
//! is done window by window: what is held is the picture, whatever the machine has.

use crate::class_bytes::{ClassBytes, Picks};
use crate::conversion::plausible_ram;
use crate::dumpable::{Criteria, Dumpable, OnUnknown, Unidentified};
use crate::image::Image;
use crate::mmio::Mmio;
use crate::page_blocks::{Holes, PageBlocks};
use crate::page_class::{ClassCounts, PageClass};
use crate::ram::Ram;
use crate::view::KernelView;
use dump_core::{CodecId, Error, PageBitmap, PageSet, PageSize, PageWindow, Pfn, PfnRange, Result, Watch};
use dump_filter::{Doubt, DumpLevel, Exclusion, Reason, Rest, Tally, Witness, exclude_listed, exclude_witnessed};
use dump_kernel::{BuddyMark, Footprint, NodeSpan, PhysMemory};
use dump_pipe::exclude_zero;
use std::ops::Deref;

/// Pages of a window: 16 GiB of 4 KiB pages, 512 KiB of bits. A fixed number, so that the picture does not depend on how
/// much memory there was to make it.
const WINDOW: u64 = 1 << 22;

/// What a map is made of.
#[derive(Clone, Copy, Debug)]
pub struct MapOptions {
    /// What the dump leaves out whose bytes are shown.
    pub level: DumpLevel,
    /// How its pages are compressed.
    pub codec: Option<CodecId>,
    /// Whether pages that level 30 keeps are read, and found to be zero or not.
    pub zeros: bool,
}

/// What all of memory is used for.
pub struct ClassMap {
    /// Pages.
    pub page_size: PageSize,
    /// The page frame after the last.
    pub end: Pfn,
    /// The blocks that it is shown in.
    pub blocks: PageBlocks,
    /// Pages of each class in each block.
    pub counts: Vec<ClassCounts>,
    /// Page frames of each class, those in no block among them.
    pub totals: ClassCounts,
    /// What dump level 30 leaves out, and why; what is kept for lack of proof.
    pub tally: Tally,
    /// Whether zero pages were looked for.
    pub zeros: bool,
    /// What lies between RAM.
    pub holes: Holes,
    /// The kernel's nodes; none where it does not say.
    pub nodes: Vec<NodeSpan>,
    /// What a dump of it would be.
    pub dump: ClassBytes,
}

impl ClassMap {
    /// Of `image`, by all workers of the current rayon pool. Without a `view` there is one class of pages in the dump.
    ///
    /// # Errors
    /// As [`Conversion::new`](crate::Conversion::new).
    pub fn new(
        image: &Image,
        memory: &dyn PhysMemory,
        view: Option<&KernelView>,
        options: &MapOptions,
        unknown: OnUnknown<'_>,
        watch: &dyn Watch,
    ) -> Result<ClassMap> {
        let mut meta = image.meta().clone();
        let mmio = view.map_or(Ok(None), |view| Mmio::of(image, view))?;
        mmio.iter().for_each(|mmio| mmio.leave_out_of(&mut meta));
        let ram = plausible_ram(image, meta.end_pfn)?;
        let (blocks, holes) = PageBlocks::of(&ram)?;
        let scan = Scan::new(image, memory, view, &blocks, meta.end_pfn, unknown, watch)?;
        let mut found = scan.all(&ram, options)?;
        found.totals.add(PageClass::Hole, holes.pages);
        let dump = ClassBytes::new(image, &meta, &ram, options, found.cells.each().map(|cell| &cell.picks))?;
        let counts = found.cells.counts(&blocks);
        let nodes = view.and_then(|view| view.kernel.node_spans(memory).ok()).unwrap_or_default();
        Ok(ClassMap {
            page_size: meta.page_size,
            end: meta.end_pfn,
            blocks,
            counts,
            totals: found.totals,
            tally: found.tally,
            zeros: options.zeros,
            holes,
            nodes,
            dump,
        })
    }
}

/// What is known of a block.
#[derive(Default)]
struct Cell {
    counts: ClassCounts,
    picks: Picks,
}

/// What is known of some blocks, from one on. What nothing is known of takes no room: each worker has its own, of few.
struct Cells {
    first: usize,
    cells: Vec<Option<Box<Cell>>>,
}

impl Cells {
    /// Of the blocks that pages of `span` may lie in.
    fn of(blocks: &PageBlocks, span: PfnRange) -> Cells {
        let first = blocks.first_from(span.start);
        let end = if span.is_empty() { first } else { blocks.first_from(Pfn(span.end.0 - 1)) + 1 };
        Cells::new(first, blocks.count().min(end).saturating_sub(first))
    }

    fn new(first: usize, len: usize) -> Cells {
        Cells { first, cells: (0..len).map(|_| None).collect() }
    }

    fn cell(&mut self, i: usize) -> Option<&mut Cell> {
        let cell = i.checked_sub(self.first).and_then(|i| self.cells.get_mut(i))?;
        Some(cell.get_or_insert_default())
    }

    fn count(&mut self, blocks: &PageBlocks, class: PageClass, run: PfnRange) {
        for (i, part) in blocks.parts(run) {
            self.cell(i).into_iter().for_each(|cell| cell.counts.add(class, part.len()));
        }
    }

    /// Takes pages for pages of the dump.
    fn pick(&mut self, blocks: &PageBlocks, class: PageClass, run: PfnRange) {
        for (i, part) in blocks.parts(run) {
            self.cell(i).into_iter().for_each(|cell| cell.picks.add(class, part));
        }
    }

    fn merge(&mut self, other: &Cells) {
        for (i, more) in (other.first..).zip(&other.cells) {
            let Some((more, here)) = more.as_ref().and_then(|more| Some((more, self.cell(i)?))) else { continue };
            here.counts.merge(&more.counts);
            here.picks.merge(&more.picks);
        }
    }

    fn each(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().flatten().map(|cell| &**cell)
    }

    /// What each block has, the rest of it being no RAM.
    fn counts(&self, blocks: &PageBlocks) -> Vec<ClassCounts> {
        let of = |(i, cell): (usize, &Option<Box<Cell>>)| {
            let mut counts = cell.as_ref().map_or(ClassCounts::default(), |cell| cell.counts);
            counts.add(PageClass::Hole, blocks.pages(i).len().saturating_sub(counts.total()));
            counts
        };
        self.cells.iter().enumerate().map(of).collect()
    }
}

/// Looks on while the pages of a window are judged.
struct Onlooker<'a> {
    blocks: &'a PageBlocks,
    /// The pages of the window that go into the dump, where that is any of those that level 30 leaves out.
    dumped: Option<&'a PageBitmap>,
    cells: Cells,
    /// Pages of the slab allocator, as far as they were not left out by others.
    slabs: Vec<PfnRange>,
}

impl Witness for Onlooker<'_> {
    fn left_out(&mut self, pages: PfnRange, reason: Reason, huge: bool) {
        let class = PageClass::of(reason, huge);
        self.cells.count(self.blocks, class, pages);
        for run in self.dumped.iter().flat_map(|dumped| dumped.runs(pages)) {
            self.cells.pick(self.blocks, class, run);
        }
    }

    fn slab(&mut self, pages: PfnRange) {
        match self.slabs.last_mut() {
            Some(last) if last.end == pages.start => last.end = pages.end,
            _ => self.slabs.push(pages),
        }
    }
}

/// What was found so far.
struct Found {
    cells: Cells,
    totals: ClassCounts,
    tally: Tally,
}

/// The scan of all struct pages.
struct Scan<'a> {
    image: &'a Image,
    memory: &'a dyn PhysMemory,
    view: Option<&'a KernelView>,
    footprint: Footprint,
    blocks: &'a PageBlocks,
    end: Pfn,
    unknown: OnUnknown<'a>,
    watch: &'a dyn Watch,
}

impl<'a> Scan<'a> {
    fn new(
        image: &'a Image,
        memory: &'a dyn PhysMemory,
        view: Option<&'a KernelView>,
        blocks: &'a PageBlocks,
        end: Pfn,
        unknown: OnUnknown<'a>,
        watch: &'a dyn Watch,
    ) -> Result<Scan<'a>> {
        for class in view.iter().flat_map(|view| PageClass::told_by().unknown(&view.rules)) {
            let (why, asked) = (format!("vmcoreinfo lacks {}", class.key), PageClass::told_by().asks_for(class));
            if asked {
                unknown(Unidentified { class: class.class, why: &why, asked })?;
            }
        }
        let mut footprint = Footprint::default();
        if let Some(view) = view {
            footprint = Footprint::find(&view.kernel, memory, &view.map, end);
            if let Some(pfn) = image.vmcoreinfo_found_at() {
                footprint.add(PfnRange::at(pfn, 1));
            }
        }
        Ok(Scan { image, memory, view, footprint, blocks, end, unknown, watch })
    }

    /// Looks at all windows.
    fn all(&self, ram: &Ram<'_>, options: &MapOptions) -> Result<Found> {
        let all = PfnRange::new(Pfn(0), self.end);
        let (totals, tally) = (ClassCounts::default(), Tally::default());
        let mut found = Found { cells: Cells::new(0, self.blocks.count()), totals, tally };
        let dumped = self.dumped(options.level)?;
        let mut before = Vec::new();
        let mut at = all.start;
        while at < all.end {
            let window = PfnRange::at(at, WINDOW).intersect(all);
            let here = dumped.as_ref().map(|dumped| dumped.window(at)).transpose()?;
            before = self.window(window, &before, here.as_ref(), options.zeros, ram, &mut found)?;
            at = window.end;
        }
        found.cells.each().for_each(|cell| found.totals.merge(&cell.counts));
        self.say_doubts(&found.tally)?;
        Ok(found)
    }

    /// The pages of a dump of `level`, where those are more than what level 30 keeps.
    fn dumped(&self, level: DumpLevel) -> Result<Option<Dumpable<'a>>> {
        let Scan { image, memory, view, .. } = *self;
        if view.is_none() || level.contains(PageClass::told_by()) {
            return Ok(None);
        }
        let criteria =
            Criteria { image, memory, view, level, host: None, without_vmemmap: false, without_zeros: false };
        // what cannot be identified is said by the scan of level 30
        Dumpable::new(criteria, self.end, WINDOW, &|_| Ok(()), self.watch).map(Some)
    }

    /// Adds what a window says, into which `before` goes on; returns what goes on into the next.
    fn window(
        &self,
        span: PfnRange,
        before: &[Rest],
        dumped: Option<&PageWindow<'_>>,
        zeros: bool,
        ram: &Ram<'_>,
        found: &mut Found,
    ) -> Result<Vec<Rest>> {
        let mut bits = bitmap(span)?;
        self.image.source().mark_held(&mut bits)?;
        self.add_excluded(span, ram, &bits, found)?;
        let (slabs, beyond) = self.judge(&mut bits, before, dumped.map(Deref::deref), found)?;
        let plain = match zeros {
            true => Some(self.without_zeros(&bits)?),
            false => None,
        };
        self.add_kept(&bits, &slabs, plain.as_ref(), found);
        Ok(beyond)
    }

    /// Adds RAM that is not `held`.
    fn add_excluded(&self, span: PfnRange, ram: &Ram<'_>, held: &PageBitmap, found: &mut Found) -> Result<()> {
        ram.each_run(span, &mut |run| {
            let there = pieces(run, held).filter(|(is_held, _)| !is_held);
            there.for_each(|(_, piece)| found.cells.count(self.blocks, PageClass::Excluded, piece));
            Ok(())
        })
    }

    /// Takes out of `bits` what level 30 leaves out, and adds it; returns the slab allocator's pages.
    fn judge(
        &self,
        bits: &mut PageBitmap,
        before: &[Rest],
        dumped: Option<&PageBitmap>,
        found: &mut Found,
    ) -> Result<(PageBitmap, Vec<Rest>)> {
        let span = bits.span();
        let mut slabs = bitmap(span)?;
        let Some(KernelView { kernel, map, rules }) = self.view else { return Ok((slabs, Vec::new())) };
        let (memory, footprint, level) = (self.memory, &self.footprint, PageClass::told_by());
        let job = Exclusion { kernel, memory, map, rules, footprint, level };
        let onlooker =
            || Onlooker { blocks: self.blocks, dumped, cells: Cells::of(self.blocks, span), slabs: Vec::new() };
        let (excluded, mut onlookers) = exclude_witnessed(&job, bits, before, &onlooker, self.watch)?;
        found.tally.merge(&excluded.tally);
        if rules.buddy() == BuddyMark::Lists {
            let mut last = onlooker();
            match exclude_listed(&job, bits, self.end.0, &mut last) {
                Ok(tally) => found.tally.merge(&tally),
                Err(e) if span.start == Pfn(0) => {
                    let why = e.to_string();
                    (self.unknown)(Unidentified { class: "free pages", why: &why, asked: true })?;
                }
                Err(_) => {}
            }
            onlookers.push(last);
        }
        for onlooker in onlookers {
            found.cells.merge(&onlooker.cells);
            onlooker.slabs.into_iter().for_each(|run| slabs.set(run));
        }
        Ok((slabs, excluded.beyond))
    }

    /// Those of `bits` that are not zero.
    fn without_zeros(&self, bits: &PageBitmap) -> Result<PageBitmap> {
        let mut plain = bits.clone();
        exclude_zero(self.image.source(), &mut plain, self.watch)?;
        Ok(plain)
    }

    /// Adds what level 30 keeps. All of it goes into a dump of any level.
    fn add_kept(&self, bits: &PageBitmap, slabs: &PageBitmap, plain: Option<&PageBitmap>, found: &mut Found) {
        let rest = if self.view.is_some() { PageClass::Kernel } else { PageClass::Unclassified };
        for run in bits.runs(bits.span()) {
            for (is_plain, run) in pieces(run, plain.unwrap_or(bits)) {
                for (is_slab, run) in pieces(run, slabs) {
                    let class = match (is_plain, is_slab) {
                        (false, _) => PageClass::Zero,
                        (true, true) => PageClass::Slab,
                        (true, false) => rest,
                    };
                    found.cells.count(self.blocks, class, run);
                    found.cells.pick(self.blocks, class, run);
                }
            }
        }
    }

    fn say_doubts(&self, tally: &Tally) -> Result<()> {
        for doubt in Doubt::ALL.into_iter().filter(|doubt| !doubt.is_of_all_levels()) {
            let doubtful = tally.doubtful(doubt);
            if let Some(first) = doubtful.first {
                let why = format!("{} ({} pages, the first is pfn {first})", doubt.why(), doubtful.pages);
                (self.unknown)(Unidentified { class: doubt.class(), why: &why, asked: true })?;
            }
        }
        Ok(())
    }
}

fn bitmap(span: PfnRange) -> Result<PageBitmap> {
    let too_far = || Error::corrupt(format!("memory up to page frame {}, more than any machine has", span.end));
    PageBitmap::windowed(span).ok_or_else(too_far)
}

/// `run` cut into pieces that are in `bits`, whose span has it, or not.
fn pieces(run: PfnRange, bits: &PageBitmap) -> impl Iterator<Item = (bool, PfnRange)> + use<'_> {
    let mut at = run.start;
    std::iter::from_fn(move || {
        let start = Some(at).filter(|at| *at < run.end)?;
        let is_in = bits.get(start);
        at = if is_in { bits.next_clear(start) } else { bits.next_set(start).unwrap_or(run.end) }.min(run.end);
        Some((is_in, PfnRange::new(start, at)))
    })
}
