//! The parts of a split dump as one source.
//!
//! Each part has headers and bitmaps in full and the pages of its own range; ranges follow each other from 0 to the end
//! of memory. Parts may be given in any order. What they share is compared rather than believed: parts of two dumps of
//! one machine look much alike.

use std::sync::Arc;

use dump_core::{
    Claim, CodecSet, Container, Depth, Description, DumpMeta, Error, Fault, PageBitmap, PageChecker, PageReader,
    PageSize, PageSource, Pfn, PfnRange, Push, ReadAt, Result, Survey,
};

use crate::format;
use crate::header::{MainHeader, STATUS_INCOMPLETE};
use crate::reader::KdumpReader;
use crate::sinks::Sinks;
use crate::source::KdumpFile;

/// All parts of a split dump.
pub struct KdumpSet<R> {
    /// At least one, ascending by range.
    parts: Vec<KdumpFile<R>>,
    meta: DumpMeta,
    faults: Vec<Error>,
    /// Whether parts may be missing; their pages are lost then.
    some: bool,
}

impl<R: ReadAt> KdumpSet<R> {
    /// Puts parts together, each as [opened](KdumpFile::open); keeps one bitmap for all.
    ///
    /// # Errors
    /// `Corrupt` if a file is not a part, the parts are not of one dump, or they do not cover all of memory once.
    pub fn new(parts: Vec<KdumpFile<R>>) -> Result<KdumpSet<R>> {
        KdumpSet::with(parts, false)
    }

    /// Puts those parts together that are left; the pages of the others are lost.
    ///
    /// # Errors
    /// As [`new`](KdumpSet::new), but that parts may be missing and their headers made up.
    pub(crate) fn of_some(parts: Vec<KdumpFile<R>>) -> Result<KdumpSet<R>> {
        KdumpSet::with(parts, true)
    }

    fn with(mut parts: Vec<KdumpFile<R>>, some: bool) -> Result<KdumpSet<R>> {
        if parts.iter().any(|part| part.split_range().is_none()) {
            return Err(Error::corrupt("not all of these files are parts of a split dump"));
        }
        parts.sort_by_key(|part| part.split_range());
        let (first, others) = parts.split_first_mut().ok_or_else(|| Error::corrupt("not a part of a split dump"))?;
        let mut wrong = Vec::new();
        for part in others {
            match twin_trouble(first, part, some) {
                Some(trouble) => wrong.push(format!("the part with pfns {} {trouble}", range_of(part))),
                None => part.share_held(first.held()),
            }
        }
        let mut meta = first.meta().clone();
        meta.erase_info = erase_info(&parts);
        meta.incomplete = parts.iter().any(|part| part.meta().incomplete);
        cover_trouble(parts.iter().map(range_of), meta.end_pfn, some, &mut wrong);
        if !wrong.is_empty() {
            return Err(Error::corrupt(wrong.join("; ")).within("parts of a split dump"));
        }
        let faults = parts.iter().flat_map(Container::header_faults).cloned().collect();
        Ok(KdumpSet { parts, meta, faults, some })
    }

    /// The parts, ascending by range.
    pub fn parts(&self) -> &[KdumpFile<R>] {
        &self.parts
    }
}

impl<R: ReadAt> PageSource for KdumpSet<R> {
    fn meta(&self) -> &DumpMeta {
        &self.meta
    }

    fn mark_ram(&self, ram: &mut PageBitmap) -> Result<()> {
        self.parts.first().map_or(Ok(()), |part| part.mark_ram(ram))
    }

    fn mark_held(&self, held: &mut PageBitmap) -> Result<()> {
        match self.parts.first() {
            Some(part) if self.some => {
                part.held().bits().runs(held.span()).for_each(|run| held.set(run));
                Ok(())
            }
            _ => self.parts.iter().try_for_each(|part| part.mark_held(held)),
        }
    }

    fn claim(&self) -> Claim {
        let claims = self.parts.iter().map(PageSource::claim);
        claims.fold(Claim::default(), |sum, one| Claim {
            held: sum.held.saturating_add(one.held),
            missing: sum.missing.saturating_add(one.missing),
        })
    }

    fn reader(&self) -> Box<dyn PageReader + '_> {
        Box::new(SetReader::new(self))
    }
}

impl<R: ReadAt> Container for KdumpSet<R> {
    fn describe(&self) -> Description {
        let first = self.parts.first().map(Container::describe);
        Description { part: None, ..first.unwrap_or(Description::of(format::NAME)) }
    }

    fn damage(&self) -> Option<&Error> {
        self.parts.iter().find_map(Container::damage)
    }

    fn mixes_pages_up(&self) -> bool {
        self.parts.iter().any(Container::mixes_pages_up)
    }

    fn header_faults(&self) -> &[Error] {
        &self.faults
    }

    fn doubts_pages(&self) -> bool {
        self.parts.iter().any(Container::doubts_pages)
    }

    fn survey(&self, depth: Depth) -> Result<Survey> {
        self.parts.iter().try_fold(Survey::default(), |all, part| Ok(all.and(part.survey(depth)?)))
    }

    fn checker(&self) -> Box<dyn PageChecker + '_> {
        Box::new(SetReader::new(self))
    }

    fn states_page_size(&self) -> bool {
        true
    }

    fn set_page_size(&mut self, _: PageSize) {}
}

/// A worker's half: one of each part, made when it is first used.
struct SetReader<'a, R> {
    parts: Vec<(&'a KdumpFile<R>, Option<KdumpReader<'a>>)>,
    some: bool,
}

impl<'a, R: ReadAt> SetReader<'a, R> {
    fn new(set: &'a KdumpSet<R>) -> SetReader<'a, R> {
        SetReader { parts: set.parts.iter().map(|part| (part, None)).collect(), some: set.some }
    }

    /// Hands over the pages of `run`, each from the part that answers for it; what lies past all parts is the last's,
    /// or lost with a part that is missing.
    fn visit_to(&mut self, run: PfnRange, to: &mut Sinks<'_>) -> Result<()> {
        let (mut at, count, some) = (run.start, self.parts.len(), self.some);
        for (i, (part, reader)) in self.parts.iter_mut().enumerate() {
            let reader = reader.get_or_insert_with(|| part.pages());
            let range = range_of(part);
            if some && at < range.start {
                let missing = PfnRange::new(at, range.start.min(run.end));
                reader.lost_to(missing, to)?;
                at = at.max(missing.end);
            }
            let end = if i + 1 == count && !some { run.end } else { range.end.min(run.end) };
            let share = PfnRange::new(at, end);
            if !share.is_empty() {
                reader.visit_to(share, to)?;
            }
            at = at.max(share.end);
        }
        match self.parts.last_mut() {
            Some((_, Some(reader))) if some && at < run.end => reader.lost_to(PfnRange::new(at, run.end), to),
            _ => Ok(()),
        }
    }
}

impl<R: ReadAt> PageReader for SetReader<'_, R> {
    fn visit(&mut self, run: PfnRange, accept: CodecSet, push: Push<'_>) -> Result<()> {
        self.visit_to(run, &mut Sinks { accept, push, fault: &mut |_| {} })
    }
}

impl<R: ReadAt> PageChecker for SetReader<'_, R> {
    fn check(&mut self, run: PfnRange, fault: &mut dyn FnMut(Fault)) -> Result<()> {
        self.visit_to(run, &mut Sinks { accept: CodecSet::NONE, push: &mut |_| Ok(()), fault })
    }
}

/// The lines that name what was erased, once each: every part may list all.
fn erase_info<R: ReadAt>(parts: &[KdumpFile<R>]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = Vec::new();
    for line in parts.iter().flat_map(|part| part.meta().erase_info.split_inclusive(|byte| *byte == b'\n')) {
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.concat()
}

fn range_of<R: ReadAt>(part: &KdumpFile<R>) -> PfnRange {
    part.split_range().unwrap_or_default()
}

/// How a part shows that it is of another dump than the first: headers, notes or bitmaps that differ. The incomplete
/// flag may differ, since makedumpfile sets it in the part alone that ran out of space.
fn twin_trouble<R: ReadAt>(one: &KdumpFile<R>, other: &KdumpFile<R>, made_up: bool) -> Option<&'static str> {
    let complete = |part: &KdumpFile<R>| {
        let main = part.header().main.clone();
        MainHeader { status: main.status & !STATUS_INCOMPLETE, ..main }
    };
    if one.header().abi != other.header().abi || (!made_up && complete(one) != complete(other)) {
        return Some("has a header that differs from the first part's");
    }
    let notes = made_up || one.meta().notes == other.meta().notes;
    if one.meta().end_pfn != other.meta().end_pfn || !notes {
        return Some("has notes or a max_mapnr that differ from the first part's");
    }
    let same = Arc::ptr_eq(one.held(), other.held()) || one.held() == other.held();
    (!same).then_some("has bitmaps that differ from the first part's")
}

/// Every overlap of ranges that should follow each other from 0 to `end`, and every gap unless `some` may be missing.
fn cover_trouble(ranges: impl Iterator<Item = PfnRange>, end: Pfn, some: bool, wrong: &mut Vec<String>) {
    let mut at = Pfn(0);
    for range in ranges.chain([PfnRange::new(end, end)]) {
        if range.start > at && !some {
            wrong.push(format!("none has pfns {at}..{}", range.start));
        }
        if range.start < at {
            wrong.push(format!("two have pfns {}..{}", range.start, at.min(range.end.max(range.start + 1))));
        }
        at = at.max(range.end);
    }
}
