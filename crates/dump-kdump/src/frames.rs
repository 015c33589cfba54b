//! How page frames are numbered.
//!
//! A frame's number times the page size is its physical address, on every architecture but 32-bit ARM: there mem_map
//! begins with RAM, and makedumpfile and crash number frames from phys_base, the start of RAM. (QEMU numbers them from
//! 0 there too, and no field says which. A file of QEMU's has no frames below phys_base, one of makedumpfile's begins
//! with such frames.) Everyone else counts from address 0, so files are renumbered where they are read and written.
//!
//! Sources: makedumpfile makedumpfile.h `ARCH_PFN_OFFSET`, arch/arm.c `get_phys_base_arm` (the lowest PT_LOAD); crash
//! diskdump.c `paddr_to_pfn`; QEMU dump.c.

use std::ops::Range;

use dump_core::{
    Absence, Claim, CodecSet, Container, Content, Depth, Description, DumpMeta, Error, Fault, PageBitmap, PageChecker,
    PageReader, PageSet, PageSize, PageSource, Pfn, PfnRange, PhysAddr, Push, ReadAt, Result, Span, Survey,
};

use crate::source::KdumpFile;
use crate::split::KdumpSet;

/// A file with frames counted from address 0.
///
/// # Errors
/// If its 1st bitmap cannot be read.
pub(crate) fn of_file<R: ReadAt + 'static>(file: KdumpFile<R>) -> Result<Box<dyn Container>> {
    let by = offset(&file)?;
    Ok(if by == 0 { Box::new(file) } else { Box::new(Renumbered::new(file, by)) })
}

/// The parts of a split dump with frames counted from address 0.
///
/// # Errors
/// As [`of_file`].
pub(crate) fn of_set<R: ReadAt + 'static>(set: KdumpSet<R>) -> Result<Box<dyn Container>> {
    let by = set.parts().first().map_or(Ok(0), offset)?;
    Ok(if by == 0 { Box::new(set) } else { Box::new(Renumbered::new(set, by)) })
}

/// The frame that a file calls 0.
fn offset<R: ReadAt>(file: &KdumpFile<R>) -> Result<u64> {
    let meta = file.meta();
    let Some(base) = meta.phys_base.filter(|base| meta.machine.counts_frames_from_ram() && *base != 0) else {
        return Ok(0);
    };
    let by = meta.page_size.pfn_of(PhysAddr(base));
    let first = file.first_ram()?;
    Ok(if first.is_some_and(|first| first < by) { by.0 } else { 0 })
}

/// Where RAM begins in a new file, and its frame, which the file calls 0; `None` where the machine counts from 0.
///
/// What the source states is kept where RAM begins at it, or not far above: a kernel may keep its first pages to itself.
///
/// # Errors
/// As [`PageSet::count`].
pub(crate) fn base_of_new(meta: &DumpMeta, ram: &dyn PageSet) -> Result<Option<(u64, u64)>> {
    const NEAR: u64 = 16 << 20;
    if !meta.machine.counts_frames_from_ram() {
        return Ok(None);
    }
    let Some(first) = first_of(ram)? else { return Ok(None) };
    let lowest = meta.page_size.addr_of(first).0;
    let stated = meta.phys_base.filter(|base| *base <= lowest && lowest - *base < NEAR);
    let frame = meta.page_size.pfn_of(PhysAddr(stated.unwrap_or(lowest)));
    let frame = Pfn(frame.0 & !7); // bitmaps are written in whole bytes
    Ok(Some((meta.page_size.addr_of(frame).0, frame.0)))
}

fn first_of(set: &dyn PageSet) -> Result<Option<Pfn>> {
    let (mut at, end) = (set.span().start, set.span().end);
    while at < end {
        let window = set.window(at)?;
        if let Some(first) = window.next_set(at) {
            return Ok(Some(first));
        }
        at = window.span().end.max(at + 1);
    }
    Ok(None)
}

/// A container whose frames have numbers that are `by` too low.
struct Renumbered<C> {
    inner: C,
    by: u64,
    meta: DumpMeta,
}

impl<C: Container> Renumbered<C> {
    fn new(inner: C, by: u64) -> Renumbered<C> {
        let meta = DumpMeta { end_pfn: inner.meta().end_pfn + by, ..inner.meta().clone() };
        Renumbered { inner, by, meta }
    }

    fn mark(&self, bits: &mut PageBitmap, mark: impl Fn(&C, &mut PageBitmap) -> Result<()>) -> Result<()> {
        let span = inner(bits.span(), self.by);
        let Some(mut found) = PageBitmap::windowed(span).filter(|_| !span.is_empty()) else { return Ok(()) };
        mark(&self.inner, &mut found)?;
        found.runs(span).for_each(|run| bits.set(outer(run, self.by)));
        Ok(())
    }
}

/// Frames as the file has them; those below its first are left out.
fn inner(run: PfnRange, by: u64) -> PfnRange {
    PfnRange::new(Pfn(run.start.0.saturating_sub(by)), Pfn(run.end.0.saturating_sub(by)))
}

/// Frames as everyone has them.
fn outer(run: PfnRange, by: u64) -> PfnRange {
    PfnRange::new(Pfn(run.start.0.saturating_add(by)), Pfn(run.end.0.saturating_add(by)))
}

impl<C: Container> PageSource for Renumbered<C> {
    fn meta(&self) -> &DumpMeta {
        &self.meta
    }

    fn mark_ram(&self, ram: &mut PageBitmap) -> Result<()> {
        self.mark(ram, C::mark_ram)
    }

    fn mark_held(&self, held: &mut PageBitmap) -> Result<()> {
        self.mark(held, C::mark_held)
    }

    fn claim(&self) -> Claim {
        self.inner.claim()
    }

    fn reader(&self) -> Box<dyn PageReader + '_> {
        Box::new(RenumberedReader { inner: self.inner.reader(), by: self.by })
    }
}

impl<C: Container> Container for Renumbered<C> {
    fn describe(&self) -> Description {
        let inner = self.inner.describe();
        Description { part: inner.part.map(|part| outer(part, self.by)), ..inner }
    }

    fn damage(&self) -> Option<&Error> {
        self.inner.damage()
    }

    fn mixes_pages_up(&self) -> bool {
        self.inner.mixes_pages_up()
    }

    fn header_faults(&self) -> &[Error] {
        self.inner.header_faults()
    }

    fn doubts_pages(&self) -> bool {
        self.inner.doubts_pages()
    }

    fn check_headers(&self) -> Vec<Error> {
        self.inner.check_headers()
    }

    fn survey(&self, depth: Depth) -> Result<Survey> {
        self.inner.survey(depth)
    }

    fn pages_in(&self, bytes: Range<u64>) -> Result<Vec<PfnRange>> {
        let pages = self.inner.pages_in(bytes)?;
        Ok(pages.into_iter().map(|run| outer(run, self.by)).collect())
    }

    fn checker(&self) -> Box<dyn PageChecker + '_> {
        Box::new(RenumberedChecker { inner: self.inner.checker(), by: self.by })
    }

    fn states_page_size(&self) -> bool {
        self.inner.states_page_size()
    }

    fn set_page_size(&mut self, _: PageSize) {}
}

/// A worker's half.
struct RenumberedReader<'a> {
    inner: Box<dyn PageReader + 'a>,
    by: u64,
}

impl PageReader for RenumberedReader<'_> {
    fn visit(&mut self, run: PfnRange, accept: CodecSet, push: Push<'_>) -> Result<()> {
        let by = self.by;
        let below = run.intersect(PfnRange::new(Pfn(0), Pfn(by)));
        if !below.is_empty() {
            push(Span { pages: below, content: Content::Absent(Absence::Hole) })?;
        }
        let inside = inner(run, by);
        if inside.is_empty() {
            return Ok(());
        }
        let push = &mut |span: Span<'_>| push(Span { pages: outer(span.pages, by), content: span.content });
        self.inner.visit(inside, accept, push)
    }
}

/// A worker's half of a check.
struct RenumberedChecker<'a> {
    inner: Box<dyn PageChecker + 'a>,
    by: u64,
}

impl PageChecker for RenumberedChecker<'_> {
    fn check(&mut self, run: PfnRange, fault: &mut dyn FnMut(Fault)) -> Result<()> {
        let by = self.by;
        let fault = &mut |found: Fault| fault(Fault { pages: outer(found.pages, by), ..found });
        self.inner.check(inner(run, by), fault)
    }
}
