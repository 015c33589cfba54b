//! An ELF core as a container of physical pages.
//!
//! PT_LOADs may overlap, and the first one wins, but a segment's missing tail (`p_filesz < p_memsz`) never hides the
//! data of another: what the file has and what is RAM are extents of their own.

use crate::flavor::{Evidence, Flavor};
use crate::format;
use crate::header::{FileHeader, INCOMPLETE, ProgramHeader};
use crate::qnx::QnxNote;
use crate::section;
use dump_core::{
    Container, Description, DumpMeta, Error, Extent, ExtentPages, Extents, Notes, PageBitmap, PageReader, PageSize,
    PageSource, PhysAddr, PlainMemory, ReadAt, Result, Segment, VirtAddr,
};
use goblin::elf::program_header::{PT_LOAD, PT_NOTE};
use std::ops::Range;

/// More bytes of notes than any dump has; device dumps (NT_VMCOREDD) take tens of MiB.
const MAX_NOTES: u64 = 256 << 20;

/// An opened ELF core.
///
/// ELF does not state the page size of the dumped machine. A core opens with pages of 4 KiB; its VMCOREINFO may have
/// another size, and whoever reads it there [sets](Container::set_page_size) it.
pub struct ElfCore<R> {
    pages: ExtentPages<PlainMemory<R>>,
    header: FileHeader,
    flavor: Flavor,
    filtered: bool,
    qnx: Option<QnxNote>,
    damage: Option<Error>,
}

impl<R: ReadAt> ElfCore<R> {
    /// Reads the headers and the notes.
    ///
    /// # Errors
    /// `BadMagic` if it is no ELF core, `Unsupported` if it is one, but not a machine's memory (`/proc/kcore`, a
    /// Xen domain, a process), `Corrupt` or `Truncated` if its headers make no sense. A file that ends within its
    /// memory or its notes is not an error: what is there can be read, and [`damage`](Container::damage) has the
    /// reason.
    pub fn open(input: R) -> Result<ElfCore<R>> {
        let header = FileHeader::read(&input)?;
        let headers = header.program_headers(&input)?;
        let len = input.len()?;
        let (notes, last_notes) = read_notes(&input, &headers, len)?;
        let notes = Notes::new(notes, header.machine.order);
        let sections = section::names(&input, &header);
        let last_notes = notes.as_bytes().get(last_notes).unwrap_or_default();
        let evidence = Evidence { header: &header, headers: &headers, notes: &notes, last_notes, sections: &sections };
        let (flavor, filtered) = (evidence.flavor(), evidence.is_filtered());
        if let Some(refusal) = flavor.refusal() {
            return Err(refusal);
        }
        let qnx = if flavor == Flavor::QnxGuest { QnxNote::decode(last_notes, header.machine.order) } else { None };
        let loads = memory(&header, &headers)?;
        check_plausible(&loads, len)?;
        let meta = meta(&header, notes, qnx.as_ref(), &loads);
        let damage = truncation(&loads, len);
        let pages = ExtentPages::of_ram(PlainMemory::new(input, in_file(&loads))?, ram(&loads), meta);
        Ok(ElfCore { pages, header, flavor, filtered, qnx, damage })
    }

    /// The same, known to be damaged.
    pub(crate) fn with_damage(self, damage: Error) -> ElfCore<R> {
        ElfCore { damage: Some(damage), ..self }
    }

    /// Who made it.
    pub fn flavor(&self) -> Flavor {
        self.flavor
    }

    /// Whether pages were left out when it was made.
    pub fn is_filtered(&self) -> bool {
        self.filtered
    }

    /// What the QNX hypervisor has in place of notes, where that makes sense.
    pub fn qnx_note(&self) -> Option<&QnxNote> {
        self.qnx.as_ref()
    }

    /// The ELF header.
    pub fn header(&self) -> &FileHeader {
        &self.header
    }
}

impl<R: ReadAt> PageSource for ElfCore<R> {
    fn meta(&self) -> &DumpMeta {
        self.pages.meta()
    }

    fn mark_ram(&self, ram: &mut PageBitmap) -> Result<()> {
        self.pages.mark_ram(ram)
    }

    fn mark_held(&self, held: &mut PageBitmap) -> Result<()> {
        self.pages.mark_held(held)
    }

    fn reader(&self) -> Box<dyn PageReader + '_> {
        self.pages.reader()
    }
}

impl<R: ReadAt> Container for ElfCore<R> {
    fn describe(&self) -> Description {
        Description { producer: Some(self.flavor.name()), ..Description::of(format::NAME) }
    }

    fn damage(&self) -> Option<&Error> {
        self.damage.as_ref()
    }

    fn states_page_size(&self) -> bool {
        false
    }

    fn set_page_size(&mut self, size: PageSize) {
        self.pages.set_page_size(size);
    }
}

/// What the headers and the notes say about the machine; where its memory ends is computed from its extents.
fn meta(header: &FileHeader, notes: Notes, qnx: Option<&QnxNote>, loads: &[ProgramHeader]) -> DumpMeta {
    DumpMeta {
        stated_cpus: qnx.map(|note| u32::from(note.cpus)),
        segments: loads.iter().map(segment).collect(),
        erase_info: notes.erase_info().unwrap_or_default().to_vec(),
        incomplete: header.flags & INCOMPLETE != 0,
        notes,
        ..DumpMeta::new(header.machine, PageSize::K4)
    }
}

fn segment(h: &ProgramHeader) -> Segment {
    Segment { paddr: PhysAddr(h.paddr), vaddr: VirtAddr(h.vaddr), bytes: h.memsz.max(h.filesz) }
}

fn with_bytes(loads: &[ProgramHeader]) -> impl Iterator<Item = &ProgramHeader> {
    loads.iter().filter(|h| h.filesz != 0)
}

/// Memory that the file has.
fn in_file(loads: &[ProgramHeader]) -> Extents {
    let extent = |h: &ProgramHeader| Extent { start: h.paddr, end: h.paddr + h.filesz, offset: h.offset };
    Extents::first_wins(with_bytes(loads).map(extent))
}

/// Memory that there was. It is not looked up in the file: with their addresses as offsets, neighbours become one.
fn ram(loads: &[ProgramHeader]) -> Extents {
    let extent = |h: &ProgramHeader| Extent { start: h.paddr, end: h.paddr + h.memsz.max(h.filesz), offset: h.paddr };
    Extents::first_wins(loads.iter().map(extent))
}

/// Why the file ends too early, if it does.
fn truncation(loads: &[ProgramHeader], len: u64) -> Option<Error> {
    let end = with_bytes(loads).map(|h| h.offset + h.filesz).max().unwrap_or(0);
    (end > len).then(|| Error::truncated("its memory", end, len))
}

fn check_load(h: &ProgramHeader) -> Result<()> {
    let size = h.memsz.max(h.filesz);
    if h.paddr.checked_add(size).is_none() {
        return Err(Error::corrupt(format!("p_paddr {:#x} + {size:#x} bytes exceeds 2^64", h.paddr)));
    }
    if h.filesz != 0 && h.offset.checked_add(h.filesz).is_none() {
        return Err(Error::corrupt(format!("p_offset {:#x} + p_filesz {:#x} exceeds 2^64", h.offset, h.filesz)));
    }
    Ok(())
}

/// The PT_LOADs that lie somewhere.
fn memory(header: &FileHeader, headers: &[ProgramHeader]) -> Result<Vec<ProgramHeader>> {
    let mut loads = Vec::new();
    for (i, h) in headers.iter().enumerate().filter(|(_, h)| h.kind == PT_LOAD && h.paddr != header.all_ones()) {
        check_load(h).map_err(|e| e.within(format_args!("program header {i}")))?;
        loads.push(*h);
    }
    if loads.is_empty() {
        return Err(Error::corrupt("no PT_LOAD with a physical address: the core holds no memory"));
    }
    Ok(loads)
}

/// The bytes of all PT_NOTEs, as far as the file has them, and which of them are the last one's.
fn read_notes(input: &dyn ReadAt, headers: &[ProgramHeader], len: u64) -> Result<(Vec<u8>, Range<usize>)> {
    let (mut out, mut last) = (Vec::new(), 0);
    for h in headers.iter().filter(|h| h.kind == PT_NOTE) {
        let size = h.filesz.min(len.saturating_sub(h.offset));
        if size + out.len() as u64 > MAX_NOTES {
            return Err(Error::corrupt(format!("PT_NOTE at offset {:#x}: {size} bytes of notes", h.offset)));
        }
        last = out.len().next_multiple_of(4);
        out.resize(last + size as usize, 0);
        input.read_exact_at(h.offset, &mut out[last..]).map_err(|e| e.within("notes"))?;
    }
    let end = out.len();
    Ok((out, last..end))
}

/// Memory (bytes) that headers may claim whatever the file has, and times the file's length that they may claim
/// besides: a dump that was cut off is worth what it holds, but made-up headers are not worth looking through.
const CLAIM: u64 = 1 << 38;
const CLAIM_TIMES: u64 = 4096;

fn check_plausible(loads: &[ProgramHeader], len: u64) -> Result<()> {
    let claimed = loads.iter().fold(0u64, |sum, h| sum.saturating_add(h.filesz));
    if claimed > CLAIM.max(len.saturating_mul(CLAIM_TIMES)) {
        let text = format!("program headers claim {claimed:#x} bytes of memory in a file of {len:#x}");
        return Err(Error::corrupt(text));
    }
    Ok(())
}
