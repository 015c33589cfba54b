//! Writing ELF cores. Where everything goes, and why: see `layout`.
//!
//! ```text
//! prepare  headers and notes; offsets of all pages follow from which pages there are
//! place    runs of pages at their offsets, then what lies between them and the ones before: zeros
//! finish   zeros up to the end; the flag, where pages are missing
//! ```
//!
//! Zeros are placed *after* data that lies above them. A regular file is long enough by then, so that zeros cost it a
//! look at its length and no byte; a device is rid of what it held before.

use crate::encoder::Encoder;
use crate::header::{FileHeader, INCOMPLETE, PN_XNUM, ProgramHeader, SectionHeader, Sizes};
use crate::layout::{Layout, Load};
use crate::note;
use dump_core::{
    BlockEncoder, DumpMeta, DumpWriter, EncodedBlock, EncodedSpan, Ending, Error, ErrorKind, FieldsMut, Machine,
    PageSet, PageSize, Pfn, PfnRange, Placer, Result, SpanData,
};
use goblin::elf::program_header::{PF_R, PF_W, PF_X, PT_LOAD, PT_NOTE};
use std::ops::Range;

/// Writes an ELF core in the class, byte order and machine of the source, all of it to output 0.
#[derive(Default)]
pub struct ElfWriter {
    plan: Option<Plan>,
    exact: usize,
}

impl ElfWriter {
    /// A writer for one dump, which cuts PT_LOADs where makedumpfile does: at 256 pages in a row that are left out.
    pub fn new() -> ElfWriter {
        ElfWriter::default()
    }

    /// A writer that cuts PT_LOADs at every page that is left out, as long as that makes no more than `loads` of them, so that
    /// no page reads as zeros that was not zero.
    pub fn exact(loads: usize) -> ElfWriter {
        ElfWriter { plan: None, exact: loads }
    }

    /// Bytes of the file as far as placed; once it is finished and complete, how long it is. 0 before it is prepared.
    pub fn written_len(&self) -> u64 {
        self.plan.as_ref().map_or(0, |plan| plan.reached)
    }

    /// How long the file will be (bytes), holes included. 0 before it is prepared.
    pub fn planned_len(&self) -> u64 {
        self.plan.as_ref().map_or(0, |plan| plan.layout.end)
    }

    /// Pages whose content never came: lost or unreadable in the source. They read as zeros and make the dump
    /// incomplete.
    pub fn lost_pages(&self) -> u64 {
        self.plan.as_ref().map_or(0, |plan| plan.lost)
    }

    /// Pages that were left out, but lie in gaps too short to end a PT_LOAD: they read as zeros and look as if they had
    /// been zero. 0 before it is prepared.
    pub fn gap_pages(&self) -> u64 {
        self.plan.as_ref().map_or(0, |plan| plan.layout.pages() - plan.dumpable)
    }

    /// Number of PT_LOADs. 0 before it is prepared.
    pub fn loads(&self) -> usize {
        self.plan.as_ref().map_or(0, |plan| plan.layout.loads.len())
    }
}

impl DumpWriter for ElfWriter {
    fn prepare(
        &mut self,
        meta: &DumpMeta,
        ram: &dyn PageSet,
        dumpable: &dyn PageSet,
        out: &mut dyn Placer,
    ) -> Result<()> {
        let notes = note::with_erase_info(&meta.notes, &meta.erase_info, meta.machine.order)?;
        let plan =
            Plan::new(meta, notes.len() as u64, ram, dumpable, self.exact).map_err(|e| e.within("ELF output"))?;
        plan.place_head(&notes, out)?;
        self.plan = Some(plan);
        Ok(())
    }

    /// To be called once the dump is [prepared](DumpWriter::prepare), which tells the page size.
    fn encoder(&self) -> Box<dyn BlockEncoder> {
        Box::new(Encoder::new(self.plan.as_ref().map_or(PageSize::K4, |plan| plan.page_size)))
    }

    fn place(&mut self, block: &EncodedBlock, out: &mut dyn Placer) -> Result<()> {
        self.plan.as_mut().ok_or_else(not_prepared)?.place(block, out)
    }

    fn finish(&mut self, ending: Ending, out: &mut dyn Placer) -> Result<()> {
        self.plan.as_mut().ok_or_else(not_prepared)?.finish(ending, out)
    }
}

fn not_prepared() -> Error {
    Error::corrupt("ELF output: used before it was prepared")
}

/// A file's layout and how far it has got.
struct Plan {
    machine: Machine,
    page_size: PageSize,
    /// The source says that it is incomplete itself, and so is what comes of it.
    incomplete: bool,
    layout: Layout,
    /// Length of the notes (bytes).
    notes: u64,
    /// Pages to come.
    dumpable: u64,
    /// The page frame after the last one placed, and the area that the next one is looked for in.
    next: Pfn,
    area: usize,
    /// File offset up to which data and zeros are placed without a gap.
    settled: u64,
    /// File offset after the last page placed, which may be zero and so lie past what is settled.
    reached: u64,
    placed: u64,
    lost: u64,
}

impl Plan {
    fn new(meta: &DumpMeta, notes: u64, ram: &dyn PageSet, dumpable: &dyn PageSet, exact: usize) -> Result<Plan> {
        let layout = Layout::new(meta, notes, ram, dumpable, exact)?;
        Ok(Plan {
            machine: meta.machine,
            page_size: meta.page_size,
            incomplete: meta.incomplete,
            notes,
            dumpable: dumpable.count(dumpable.span())?,
            next: Pfn(0),
            area: 0,
            settled: layout.data_at,
            reached: layout.data_at,
            placed: 0,
            lost: 0,
            layout,
        })
    }

    fn place_head(&self, notes: &[u8], out: &mut dyn Placer) -> Result<()> {
        let layout = &self.layout;
        out.index(0, 0, &self.headers())?;
        if !notes.is_empty() {
            out.index(0, layout.notes_at, notes)?;
        }
        let end = layout.notes_at + self.notes;
        if end < layout.data_at {
            out.zeros(0, end, layout.data_at - end)?;
        }
        Ok(())
    }

    /// The ELF header, the program headers, and section header 0 where it holds their number.
    fn headers(&self) -> Vec<u8> {
        let Machine { order, word, .. } = self.machine;
        let mut f = FieldsMut::new(order, word);
        f.bytes(&self.file_header(if self.incomplete { INCOMPLETE } else { 0 }).encode());
        let (offset, filesz) = (self.layout.notes_at, self.notes);
        ProgramHeader { kind: PT_NOTE, offset, filesz, memsz: filesz, ..ProgramHeader::default() }.encode(word, &mut f);
        for load in &self.layout.loads {
            program_header(load).encode(word, &mut f);
        }
        if self.layout.is_extended() {
            SectionHeader::encode_count(self.layout.program_headers() as u32, &mut f); // some millions at most
        }
        f.into_bytes()
    }

    fn file_header(&self, flags: u32) -> FileHeader {
        let sizes = Sizes::of(self.machine.word);
        let extended = self.layout.is_extended();
        FileHeader {
            machine: self.machine,
            phoff: u64::from(sizes.file),
            shoff: if extended { self.layout.section_at(sizes) } else { 0 },
            flags,
            ehsize: sizes.file,
            phentsize: sizes.program,
            phnum: if extended { PN_XNUM } else { self.layout.program_headers() as u16 },
            shentsize: if extended { sizes.section } else { 0 },
            shnum: u16::from(extended),
            shstrndx: 0,
        }
    }

    fn place(&mut self, block: &EncodedBlock, out: &mut dyn Placer) -> Result<()> {
        let mut run: Option<(u64, Range<usize>)> = None;
        for span in &block.spans {
            let at = self.admit(span, block).map_err(|e| e.within(format_args!("ELF output: pages {}", span.pages)))?;
            match (&span.data, &mut run) {
                (SpanData::Stored { data, .. }, Some((from, joined)))
                    if joined.end == data.start && *from + joined.len() as u64 == at =>
                {
                    joined.end = data.end;
                }
                (SpanData::Stored { data, .. }, run) => {
                    self.place_run(run.replace((at, data.clone())), out)?;
                }
                (SpanData::Absent(_), _) => self.lost += span.pages.len(),
                (SpanData::Zero, _) => {}
            }
        }
        self.place_run(run, out)
    }

    /// Checks that a span follows the one before and holds what it should; returns its file offset.
    fn admit(&mut self, span: &EncodedSpan, block: &EncodedBlock) -> Result<u64> {
        let (pages, bytes) = (span.pages, self.page_size.bytes_of(span.pages.len()));
        if pages.start < self.next {
            return Err(Error::corrupt(format!("placed after those below {}", self.next)));
        }
        match &span.data {
            SpanData::Stored { codec: None, data } if data.end > block.data.len() => {
                return Err(Error::corrupt(format!("bytes {data:?} of a block of {}", block.data.len())));
            }
            SpanData::Stored { codec: None, data } if data.len() as u64 != bytes => {
                return Err(Error::corrupt(format!("{} bytes", data.len())));
            }
            SpanData::Stored { codec: Some(_), .. } => return Err(Error::corrupt("packed")),
            _ => {}
        }
        let at = self.offset_of(pages).ok_or_else(|| Error::corrupt("no segment holds them"))?;
        (self.next, self.reached) = (pages.end, at + bytes);
        self.placed += pages.len();
        Ok(at)
    }

    /// The file offset of pages that come after all those asked for before.
    fn offset_of(&mut self, pages: PfnRange) -> Option<u64> {
        while self.layout.areas.get(self.area)?.pages.end <= pages.start {
            self.area += 1;
        }
        let area = self.layout.areas.get(self.area)?;
        let inside = area.pages.start <= pages.start && pages.end <= area.pages.end;
        inside.then(|| area.offset + self.page_size.bytes_of(pages.start - area.pages.start))
    }

    /// Places a run of data, then the zeros before it.
    fn place_run(&mut self, run: Option<(u64, Range<usize>)>, out: &mut dyn Placer) -> Result<()> {
        let Some((at, data)) = run else { return Ok(()) };
        let end = at + data.len() as u64;
        out.data(0, at, data)?;
        self.settle(at, out)?;
        self.settled = end;
        Ok(())
    }

    fn settle(&mut self, up_to: u64, out: &mut dyn Placer) -> Result<()> {
        if self.settled < up_to {
            out.zeros(0, self.settled, up_to - self.settled)?;
            self.settled = up_to;
        }
        Ok(())
    }

    fn finish(&mut self, ending: Ending, out: &mut dyn Placer) -> Result<()> {
        let all = self.placed == self.dumpable;
        if ending == Ending::Complete && !all {
            let what = format!("ELF output: {} pages came of the {} to dump", self.placed, self.dumpable);
            return Err(Error::corrupt(what));
        }
        if ending == Ending::Incomplete || self.lost != 0 {
            out.index(0, 0, &self.file_header(INCOMPLETE).encode())?;
        }
        if !all {
            // The file ends where it was cut off: readers fail there rather than take what is missing for zeros.
            self.reached = self.settled;
            return Ok(());
        }
        match self.settle(self.layout.end, out) {
            // no room for zeros at the end of a file that is flagged incomplete already
            Err(e) if ending == Ending::Incomplete && e.kind() == ErrorKind::NoSpace => Ok(()),
            Err(e) => Err(e),
            Ok(()) => {
                self.reached = self.layout.end;
                Ok(())
            }
        }
    }
}

fn program_header(load: &Load) -> ProgramHeader {
    let Load { paddr, vaddr, filesz, memsz, offset } = *load;
    // p_align is 0 as in /proc/vmcore: crash takes a core with aligned offsets and any other p_align for a netdump
    ProgramHeader { kind: PT_LOAD, flags: PF_R | PF_W | PF_X, offset, vaddr, paddr, filesz, memsz, align: 0 }
}
