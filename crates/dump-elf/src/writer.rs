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

use crate::header::{FileHeader, INCOMPLETE, PN_XNUM, ProgramHeader, SectionHeader, Sizes};
use crate::layout::{Layout, Load, Wish};
use dump_core::{
    BlockEncoder, DumpMeta, DumpWriter, EncodedBlock, Ending, Error, ErrorKind, FieldsMut, Machine, Notes, PageSet,
    PageSize, PageWriter, PfnRange, Placer, PlainEncoder, Result, SpanData,
};
use goblin::elf::program_header::{PF_R, PF_W, PF_X, PT_LOAD, PT_NOTE};
use std::ops::Range;

/// Writes an ELF core of the source's machine, all of it to output 0: in the class of the kernel's word size, or the
/// 64-bit one where memory is too large for the other.
#[derive(Default)]
pub struct ElfWriter {
    exact: usize,
}

impl ElfWriter {
    /// A writer for one dump, which cuts PT_LOADs where makedumpfile does: at 256 pages in a row that are left out.
    /// Shorter gaps read as zeros, as if their pages had been zero.
    pub fn new() -> ElfWriter {
        ElfWriter::default()
    }

    /// A writer that cuts PT_LOADs at every page that is left out, as long as that makes no more than `loads` of them,
    /// so that no page reads as zeros that was not zero.
    pub fn exact(loads: usize) -> ElfWriter {
        ElfWriter { exact: loads }
    }
}

impl DumpWriter for ElfWriter {
    fn prepare(
        self: Box<Self>,
        meta: &DumpMeta,
        ram: &dyn PageSet,
        dumpable: &dyn PageSet,
        out: &mut dyn Placer,
    ) -> Result<Box<dyn PageWriter>> {
        let notes = meta.notes.with_erase_info(&meta.erase_info)?;
        let layout = Layout::new(meta, ram, dumpable, &Wish::core(stream_len(&notes), self.exact));
        let ends = Ends { notes: stream_len(&notes), ..Ends::default() };
        ElfFile::begin(meta, &notes, layout.map_err(named)?, ends, dumpable, out)
    }
}

/// Bytes of all notes, with those that are not in memory.
pub(crate) fn stream_len(notes: &Notes) -> u64 {
    notes.large().stream_len() + notes.as_bytes().len() as u64
}

pub(crate) fn named(e: Error) -> Error {
    e.within("ELF output")
}

/// What stands between the headers and memory, and what program headers say of it.
#[derive(Default)]
pub(crate) struct Ends {
    /// Length of the notes (bytes), which come first.
    pub notes: u64,
    /// What comes behind them.
    pub behind: Vec<u8>,
    /// Program headers of that, offsets counted from where it begins. They follow the PT_LOADs, and where there are some,
    /// that of the notes is not the first of all: it comes ahead of the last of them, if there are notes.
    pub headers: Vec<ProgramHeader>,
}

/// A core that is laid out, and how far it has got.
pub(crate) struct ElfFile {
    /// With the word size of the headers.
    machine: Machine,
    page_size: PageSize,
    /// The source says that it is incomplete itself, and so is what comes of it.
    incomplete: bool,
    /// Whether the file is flagged incomplete as it stands.
    flagged: bool,
    layout: Layout,
    ends: Ends,
    /// Pages to come.
    dumpable: u64,
    /// The area that the next page is looked for in.
    area: usize,
    /// File offset up to which data and zeros are placed without a gap.
    settled: u64,
    placed: u64,
    /// Pages whose content never came: lost or unreadable in the source. They read as zeros and make the dump
    /// incomplete.
    lost: u64,
}

impl ElfFile {
    /// A core of that layout, of which all is placed that comes before memory.
    pub fn begin(
        meta: &DumpMeta,
        notes: &Notes,
        layout: Layout,
        ends: Ends,
        dumpable: &dyn PageSet,
        out: &mut dyn Placer,
    ) -> Result<Box<dyn PageWriter>> {
        let mut file = ElfFile {
            machine: Machine { word: layout.word, ..meta.machine },
            page_size: meta.page_size,
            incomplete: meta.incomplete,
            flagged: false,
            ends,
            dumpable: dumpable.count(dumpable.span())?,
            area: 0,
            settled: layout.data_at,
            placed: 0,
            lost: 0,
            layout,
        };
        file.place_head(notes, out)?;
        Ok(Box::new(file))
    }

    fn place_head(&mut self, notes: &Notes, out: &mut dyn Placer) -> Result<()> {
        self.flagged = self.incomplete || out.can_rewrite();
        let layout = &self.layout;
        out.index(0, 0, &self.headers())?;
        notes.large().copy(&mut |at, bytes| out.index(0, layout.notes_at + at, bytes))?;
        if !notes.as_bytes().is_empty() {
            out.index(0, layout.notes_at + notes.large().stream_len(), notes.as_bytes())?;
        }
        let behind = layout.notes_at + self.ends.notes;
        if !self.ends.behind.is_empty() {
            out.index(0, behind, &self.ends.behind)?;
        }
        let end = behind + self.ends.behind.len() as u64;
        if end < layout.data_at {
            out.zeros(0, end, layout.data_at - end)?;
        }
        Ok(())
    }

    /// The ELF header, the program headers, and section header 0 where it holds their number.
    fn headers(&self) -> Vec<u8> {
        let Machine { order, word, .. } = self.machine;
        let mut f = FieldsMut::new(order, word);
        f.bytes(&self.file_header().encode());
        let (offset, filesz, last) = (self.layout.notes_at, self.ends.notes, &self.ends.headers);
        let notes = ProgramHeader { kind: PT_NOTE, offset, filesz, memsz: filesz, ..ProgramHeader::default() };
        if last.is_empty() {
            notes.encode(word, &mut f);
        }
        self.layout.loads.iter().for_each(|load| program_header(load).encode(word, &mut f));
        for (i, header) in last.iter().enumerate() {
            if i + 1 == last.len() && filesz != 0 {
                notes.encode(word, &mut f);
            }
            ProgramHeader { offset: offset + filesz + header.offset, ..*header }.encode(word, &mut f);
        }
        if self.layout.is_extended() {
            SectionHeader::encode_count(self.layout.program_headers() as u32, &mut f); // some millions at most
        }
        f.into_bytes()
    }

    fn file_header(&self) -> FileHeader {
        let sizes = Sizes::of(self.machine.word);
        let extended = self.layout.is_extended();
        FileHeader {
            machine: self.machine,
            phoff: u64::from(sizes.file),
            shoff: if extended { self.layout.section_at(sizes) } else { 0 },
            flags: if self.flagged { INCOMPLETE } else { 0 },
            ehsize: sizes.file,
            phentsize: sizes.program,
            phnum: if extended { PN_XNUM } else { self.layout.program_headers() as u16 },
            shentsize: if extended { sizes.section } else { 0 },
            shnum: u16::from(extended),
            shstrndx: 0,
        }
    }

    /// The file offset of pages that come after all those asked for before.
    fn offset_of(&mut self, pages: PfnRange) -> Result<u64> {
        let areas = self.layout.areas.get(self.area..).unwrap_or_default();
        self.area += areas.iter().take_while(|area| area.pages.end <= pages.start).count();
        let area = self.layout.areas.get(self.area);
        let area = area.ok_or_else(|| Error::bug(format!("ELF output: no segment holds pages {pages}")))?;
        Ok(area.offset + self.page_size.bytes_of(pages.start - area.pages.start))
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

    /// Settles the rest of the file, which is zeros.
    fn settle_all(&mut self, ending: Ending, out: &mut dyn Placer) -> Result<()> {
        match self.settle(self.layout.end, out) {
            // no room for zeros at the end of a file that is flagged incomplete already
            Err(e) if ending == Ending::Incomplete && e.kind() == ErrorKind::NoSpace => Ok(()),
            settled => settled,
        }
    }
}

impl PageWriter for ElfFile {
    fn encoder(&self) -> Box<dyn BlockEncoder> {
        Box::new(PlainEncoder::new(self.page_size))
    }

    fn place(&mut self, block: &EncodedBlock, out: &mut dyn Placer) -> Result<()> {
        let mut run: Option<(u64, Range<usize>)> = None;
        for span in &block.spans {
            let at = self.offset_of(span.pages)?;
            self.placed += span.pages.len();
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

    fn finish(&mut self, ending: Ending, out: &mut dyn Placer) -> Result<()> {
        // Where pages did not come, the file ends where it was cut off: readers fail there rather than take what is
        // missing for zeros.
        if self.placed == self.dumpable {
            self.settle_all(ending, out)?;
        }
        let flagged = self.incomplete || ending == Ending::Incomplete || self.lost != 0;
        if flagged != self.flagged {
            self.flagged = flagged;
            out.index(0, 0, &self.file_header().encode())?;
        }
        Ok(())
    }
}

fn program_header(load: &Load) -> ProgramHeader {
    let Load { paddr, vaddr, filesz, memsz, offset } = *load;
    // p_align is 0 as in /proc/vmcore: crash takes a core with aligned offsets and any other p_align for a netdump
    ProgramHeader { kind: PT_LOAD, flags: PF_R | PF_W | PF_X, offset, vaddr, paddr, filesz, memsz, align: 0 }
}
