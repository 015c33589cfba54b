//! A worker's half of a kdump file: from descriptors to pages.
//!
//! ```text
//! pages that are not in the file: holes, or excluded where they are RAM
//! for each batch of dumped pages:
//!     read their descriptors at once
//!     see what each means: zeros, lost, faulty, or stored somewhere in the file
//!     for each stretch of pages stored behind one another:
//!         read it at once; hand each page over, decompressed unless the caller takes it compressed
//! ```
//!
//! Writers put pages down in order, so a batch is one read of descriptors and one or few of data. Nothing is kept
//! between batches but buffers and codecs.

use dump_core::{
    Absence, ByteReader, CodecSet, Content, Damage, Error, ErrorKind, Fault, PageChecker, PageReader, Pfn, PfnRange,
    Push, Result, Span,
};

use crate::desc::PageDesc;
use crate::fate::Fate;
use crate::head::Head;
use crate::sinks::Sinks;
use crate::stored::{StoredPages, within_page};

/// Most bytes of pages in a batch, so that its data are read at once, and most pages, so that a batch's descriptors are
/// within two pages of the file.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_PAGES: usize = 256;

/// Reads the pages of one file.
pub(crate) struct KdumpReader<'a> {
    head: &'a Head,
    input: Box<dyn ByteReader + 'a>,
    stored: StoredPages<'a>,
    /// What the descriptors of a batch mean.
    fates: Vec<Fate>,
}

impl<'a> KdumpReader<'a> {
    /// Of the file of `head`, whose bytes are `input`.
    pub(crate) fn new(head: &'a Head, input: Box<dyn ByteReader + 'a>) -> KdumpReader<'a> {
        KdumpReader { head, input, stored: StoredPages::new(head), fates: Vec::new() }
    }

    /// Hands over the pages of `run`.
    pub(crate) fn visit_to(&mut self, run: PfnRange, to: &mut Sinks<'_>) -> Result<()> {
        let head = self.head;
        let inside = run.intersect(head.part);
        let (mut at, mut rank) = (run.start, head.rank(inside.start));
        for held in head.held.bits().runs(inside) {
            self.absent(PfnRange::new(at, held.start), to)?;
            let lost = head.gap.as_ref().map_or(PfnRange::at(held.end, 0), |gap| gap.pages.intersect(held));
            let known = if lost.is_empty() { held } else { PfnRange::new(held.start, lost.start) };
            self.held(known, rank, to)?;
            rank += known.len();
            if !lost.is_empty() {
                to.push(lost, Content::Absent(Absence::Lost))?;
                let behind = PfnRange::new(lost.end, held.end);
                rank = head.rank(lost.end);
                self.held(behind, rank, to)?;
                rank += behind.len();
            }
            at = held.end;
        }
        self.absent(PfnRange::new(at, run.end), to)
    }

    /// Hands over the pages of `run`, which a file that is missing had.
    pub(crate) fn lost_to(&mut self, run: PfnRange, to: &mut Sinks<'_>) -> Result<()> {
        let (head, mut at) = (self.head, run.start);
        for held in head.held.bits().runs(run) {
            self.absent(PfnRange::new(at, held.start), to)?;
            to.push(held, Content::Absent(Absence::Lost))?;
            at = held.end;
        }
        self.absent(PfnRange::new(at, run.end), to)
    }

    /// Hands over pages that are not in the file: RAM was excluded, the rest are holes.
    fn absent(&mut self, gap: PfnRange, to: &mut Sinks<'_>) -> Result<()> {
        let mut at = gap.start;
        let mut push = |end: Pfn, why| {
            let pages = PfnRange::new(at, end);
            at = at.max(end);
            if pages.is_empty() { Ok(()) } else { (to.push)(Span { pages, content: Content::Absent(why) }) }
        };
        self.head.ram_runs(self.input.as_mut(), gap, &mut |ram| {
            push(ram.start, Absence::Hole)?;
            push(ram.end, Absence::Excluded)
        })?;
        push(gap.end, Absence::Hole)
    }

    /// Hands over `pages`, all of which the file means to hold; the first has descriptor number `rank`.
    fn held(&mut self, pages: PfnRange, rank: u64, to: &mut Sinks<'_>) -> Result<()> {
        let step = (BATCH_BYTES / self.head.header.page_size.bytes()).clamp(1, BATCH_PAGES) as u64;
        let mut at = pages.start;
        while at < pages.end {
            let batch = PfnRange::new(at, (at + step).min(pages.end));
            let rank = rank.saturating_add(at - pages.start);
            self.read_fates(batch, rank, to)?;
            self.push_batch(batch.start, rank, to)?;
            at = batch.end;
        }
        Ok(())
    }

    /// Fills `fates` with one for each page of `batch`. Descriptors past the end of the file make their pages
    /// unreadable.
    fn read_fates(&mut self, batch: PfnRange, rank: u64, to: &mut Sinks<'_>) -> Result<()> {
        let (head, size) = (self.head, PageDesc::SIZE as u64);
        let at = head.layout.descriptor(rank).unwrap_or(u64::MAX);
        let there = batch.len().min(head.file_len.saturating_sub(at) / size);
        self.fates.clear();
        if self.input.view(at, (there * size) as usize).is_ok() {
            self.add_fates(PfnRange::at(batch.start, there), rank, at, to)?;
        } else {
            // One bad sector must not take the descriptors around it along: one by one then.
            (0..there).try_for_each(|i| {
                self.add_fates(PfnRange::at(batch.start + i, 1), rank.saturating_add(i), at + i * size, to)
            })?;
        }
        for pfn in batch.start.0 + self.fates.len() as u64..batch.end.0 {
            let at = at.saturating_add((pfn - batch.start.0) * size);
            to.fault(Pfn(pfn), Damage::Table, past_the_end(Pfn(pfn), at.saturating_add(size), head.file_len));
            self.fates.push(Fate::Absent(Absence::Unreadable));
        }
        Ok(())
    }

    /// Adds to `fates` those of `pages`, whose descriptors, from number `rank` on, are at `at`.
    fn add_fates(&mut self, pages: PfnRange, rank: u64, at: u64, to: &mut Sinks<'_>) -> Result<()> {
        let head = self.head;
        let pfns = (pages.start.0..pages.end.0).map(Pfn);
        match self.input.view(at, pages.len() as usize * PageDesc::SIZE) {
            Ok(bytes) => {
                let mut f = PageDesc::fields(bytes, head.header.abi.order);
                let descs = pfns.map_while(|pfn| Some((pfn, PageDesc::decode(&mut f).ok()?)));
                let ranked = descs.zip(rank..);
                self.fates.extend(ranked.map(|((pfn, desc), rank)| match head.disbelieved(rank) {
                    Some(instead) => instead,
                    None => fate(pfn, desc, head, to),
                }));
            }
            Err(e) if e.kind() == ErrorKind::Unreachable => return Err(e),
            Err(e) => {
                for pfn in pfns {
                    let e = e.clone().within(format_args!("page descriptor of pfn {pfn} at offset {at:#x}"));
                    to.fault(pfn, Damage::Table, e);
                    self.fates.push(Fate::Absent(Absence::Unreadable));
                }
            }
        }
        Ok(())
    }

    /// Hands over the pages from `at` on that `fates` are of; the first has descriptor number `rank`.
    fn push_batch(&mut self, mut at: Pfn, rank: u64, to: &mut Sinks<'_>) -> Result<()> {
        let start = at;
        let fates = std::mem::take(&mut self.fates);
        for group in fates.chunk_by(Fate::joins) {
            let run = PfnRange::at(at, group.len() as u64);
            match group.first() {
                Some(Fate::Zero) => to.push(run, Content::Zero)?,
                Some(Fate::Absent(why)) => to.push(run, Content::Absent(*why))?,
                _ => self.push_stored(at, rank.saturating_add(at - start), group, to)?,
            }
            at = run.end;
        }
        self.fates = fates;
        Ok(())
    }

    /// Hands over pages whose data follow each other, from `first` on, which has descriptor number `rank`.
    fn push_stored(&mut self, first: Pfn, rank: u64, group: &[Fate], to: &mut Sinks<'_>) -> Result<()> {
        let Some(Fate::Stored { offset, .. }) = group.first() else { return Ok(()) };
        let beside = self.stored.beside(rank, group, self.input.as_mut());
        match self.input.view(*offset, group.iter().map(Fate::size).sum()) {
            Ok(bytes) => self.stored.push_all(first, group, bytes, beside, to),
            Err(e) if e.kind() == ErrorKind::Unreachable => Err(e),
            Err(e) if group.len() == 1 => to.unreadable(first, Damage::Read, within_page(e, first, *offset)),
            // One bad sector must not take the pages around it along: one by one then.
            Err(_) => {
                let mut pages = group.chunks(1).enumerate();
                pages.try_for_each(|(i, page)| self.push_stored(first + i as u64, rank + i as u64, page, to))
            }
        }
    }
}

/// What a descriptor means; a fault where that is nothing good.
fn fate(pfn: Pfn, desc: PageDesc, head: &Head, to: &mut Sinks<'_>) -> Fate {
    Fate::of(desc, head).unwrap_or_else(|(damage, what)| {
        to.fault(pfn, damage, Error::corrupt(format!("page descriptor of pfn {pfn}: {what}")));
        Fate::Absent(if damage == Damage::Lost { Absence::Lost } else { Absence::Unreadable })
    })
}

fn past_the_end(pfn: Pfn, end: u64, file_len: u64) -> Error {
    Error::truncated(&format!("page descriptor of pfn {pfn}"), end, file_len)
}

impl PageReader for KdumpReader<'_> {
    fn visit(&mut self, run: PfnRange, accept: CodecSet, push: Push<'_>) -> Result<()> {
        self.visit_to(run, &mut Sinks { accept, push, fault: &mut |_| {} })
    }
}

impl PageChecker for KdumpReader<'_> {
    fn check(&mut self, run: PfnRange, fault: &mut dyn FnMut(Fault)) -> Result<()> {
        self.visit_to(run, &mut Sinks { accept: CodecSet::NONE, push: &mut |_| Ok(()), fault })
    }
}
