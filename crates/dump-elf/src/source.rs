//! An ELF core as a source of physical pages.

use crate::extents::{Extent, Extents};
use crate::flavor::{Evidence, Flavor};
use crate::header::{FileHeader, INCOMPLETE, ProgramHeader};
use crate::known::{NoteInfo, describe_notes};
use crate::note::{erase_info, notes};
use crate::qnx::QnxNote;
use crate::section;
use dump_core::{
    Absence, CodecSet, Content, DumpMeta, Error, PageBitmap, PageSize, PageSource, Pfn, PfnRange, PhysAddr, ReadAt,
    Result, Scratch, Segment, Span, UtsName, VirtAddr,
};
use goblin::elf::program_header::{PT_LOAD, PT_NOTE};
use std::ops::Range;

/// More bytes of notes than any dump has; device dumps (NT_VMCOREDD) take tens of MiB.
const MAX_NOTES: u64 = 256 << 20;

/// An opened ELF core: headers and notes, before its page size is known.
///
/// ELF does not state the page size of the dumped machine. The notes may (VMCOREINFO), so they are offered first, and
/// [`into_source`](ElfCore::into_source) takes the answer.
pub struct ElfCore<R> {
    input: R,
    header: FileHeader,
    loads: Vec<ProgramHeader>,
    notes: Vec<u8>,
    len: u64,
    flavor: Flavor,
    filtered: bool,
    qnx: Option<QnxNote>,
}

impl<R: ReadAt> ElfCore<R> {
    /// Reads the headers and the notes.
    ///
    /// # Errors
    /// `BadMagic` where it is no ELF core, `Unsupported` where it is one, but not a machine's memory (`/proc/kcore`, a Xen
    /// domain, a process), `Corrupt` or `Truncated` where its headers make no sense. A file that ends within its memory or
    /// its notes is not an error: what is there can be read.
    pub fn open(input: R) -> Result<ElfCore<R>> {
        let header = FileHeader::read(&input)?;
        let headers = header.program_headers(&input)?;
        let len = input.len()?;
        let (notes, last_notes) = read_notes(&input, &headers, len)?;
        let sections = section::names(&input, &header);
        let last_notes = notes.get(last_notes).unwrap_or_default();
        let evidence = Evidence { header: &header, headers: &headers, notes: &notes, last_notes, sections: &sections };
        let (flavor, filtered) = (evidence.flavor(), evidence.is_filtered());
        if let Some(refusal) = flavor.refusal() {
            return Err(refusal);
        }
        let order = header.machine.order;
        let qnx = if flavor == Flavor::QnxGuest { QnxNote::decode(last_notes, order) } else { None };
        let loads = memory(&header, &headers)?;
        check_plausible(&loads, len)?;
        Ok(ElfCore { input, header, loads, notes, len, flavor, filtered, qnx })
    }

    /// Who made it.
    pub fn flavor(&self) -> Flavor {
        self.flavor
    }

    /// Whether pages were left out when it was made.
    pub fn is_filtered(&self) -> bool {
        self.filtered
    }

    /// The notes, for people; none where QNX has something else in their place.
    pub fn describe_notes(&self) -> Vec<NoteInfo> {
        describe_notes(&self.notes, self.header.machine.order)
    }

    /// What the QNX hypervisor has in place of notes, where that makes sense.
    pub fn qnx_note(&self) -> Option<&QnxNote> {
        self.qnx.as_ref()
    }

    /// The ELF header.
    pub fn header(&self) -> &FileHeader {
        &self.header
    }

    /// The notes, those of several PT_NOTEs one after the other.
    pub fn notes(&self) -> &[u8] {
        &self.notes
    }

    /// The text of VMCOREINFO, where there is one.
    pub fn vmcoreinfo(&self) -> Option<&[u8]> {
        self.vmcoreinfo_range().and_then(|at| self.notes.get(at))
    }

    /// Where the file should end and where it does, if that is too early.
    pub fn truncation(&self) -> Option<(u64, u64)> {
        let end = self.loads.iter().filter(|h| h.filesz != 0).map(|h| h.offset + h.filesz).max().unwrap_or(0);
        (end > self.len).then_some((end, self.len))
    }

    /// The core as pages of `page_size`.
    pub fn into_source(self, page_size: PageSize) -> ElfSource<R> {
        let data = self.loads.iter().filter(|h| h.filesz != 0).map(|h| Extent {
            start: h.paddr,
            end: h.paddr + h.filesz,
            offset: h.offset,
        });
        let data = Extents::new(data);
        let ram = Extents::new(self.loads.iter().map(|h| Extent {
            start: h.paddr,
            end: h.paddr + h.memsz.max(h.filesz),
            offset: 0,
        }));
        let end = ram.iter().map(|extent| extent.end).max().unwrap_or(0);
        let meta = DumpMeta {
            machine: self.header.machine,
            page_size,
            end_pfn: Pfn(page_size.pages_for(end)),
            vmcoreinfo: self.vmcoreinfo_range(),
            cpus: self.cpus(),
            segments: self.loads.iter().map(segment).collect(),
            utsname: UtsName::default(),
            crash_time: 0,
            phys_base: 0,
            dump_level: 0,
            erase_info: erase_info(&self.notes, self.header.machine.order).unwrap_or_default().to_vec(),
            incomplete: self.header.flags & INCOMPLETE != 0,
            excluded_vmemmap: false,
            notes: self.notes,
        };
        ElfSource { input: self.input, meta, data, ram }
    }

    fn vmcoreinfo_range(&self) -> Option<Range<usize>> {
        notes(&self.notes, self.header.machine.order).find(|note| note.name == b"VMCOREINFO").map(|note| note.desc)
    }

    /// NT_PRSTATUS is 1; one for each CPU that was up.
    fn cpus(&self) -> u32 {
        if let Some(qnx) = &self.qnx {
            return u32::from(qnx.cpus);
        }
        let prstatus = notes(&self.notes, self.header.machine.order).filter(|n| n.name == b"CORE" && n.kind == 1);
        u32::try_from(prstatus.count()).unwrap_or(u32::MAX)
    }
}

fn segment(h: &ProgramHeader) -> Segment {
    Segment { paddr: PhysAddr(h.paddr), vaddr: VirtAddr(h.vaddr), bytes: h.memsz.max(h.filesz) }
}

fn check_load(h: &ProgramHeader) -> Result<()> {
    let size = h.memsz.max(h.filesz);
    if h.paddr.checked_add(size).is_none() {
        return Err(Error::corrupt(format!("p_paddr {:#x} + {size:#x} bytes passes the end of memory", h.paddr)));
    }
    if h.filesz != 0 && h.offset.checked_add(h.filesz).is_none() {
        return Err(Error::corrupt(format!("p_offset {:#x} + p_filesz {:#x} passes 2^64", h.offset, h.filesz)));
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

/// Memory (bytes) that headers may claim whatever the file has, and times the file's length that they may claim besides: a
/// dump that was cut off is worth what it holds, but headers out of thin air are not worth looking through.
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

/// The pages of an ELF core.
pub struct ElfSource<R> {
    input: R,
    meta: DumpMeta,
    data: Extents,
    ram: Extents,
}

impl<R: ReadAt> ElfSource<R> {
    /// What the container knows, to be completed by who knows the kernel.
    pub fn meta_mut(&mut self) -> &mut DumpMeta {
        &mut self.meta
    }

    /// The pages that `extent` touches, in part or whole.
    fn pages(&self, extent: &Extent) -> PfnRange {
        let size = self.meta.page_size;
        PfnRange::new(size.pfn_of(PhysAddr(extent.start)), Pfn(size.pages_for(extent.end)))
    }

    /// Whole pages at the start of `run` that lie in one extent: how many, and their file offset.
    fn whole_pages(&self, run: PfnRange) -> Option<(u64, u64)> {
        let size = self.meta.page_size;
        let start = size.addr_of(run.start).0;
        let extent = self.data.overlapping(start..start + 1).next()?;
        let pages = ((extent.end - start) >> size.shift()).min(run.len());
        (pages > 0).then(|| (pages, extent.offset + (start - extent.start)))
    }

    /// Pushes pages of `run` that lie at `offset` of the file, as many as are alike there: in a hole or not. Returns how many.
    fn push_whole(&self, run: PfnRange, offset: u64, scratch: &mut Scratch, push: Push<'_>) -> Result<u64> {
        let size = self.meta.page_size;
        let (pages, hole) = self.input.stretch_at(offset).pages(size, run.len());
        let run = PfnRange::at(run.start, pages);
        if hole {
            return push(Span { pages: run, content: Content::Zero }).map(|()| pages);
        }
        let bytes = size.bytes_of(pages) as usize;
        match self.input.view(offset, bytes, scratch) {
            Ok(bytes) => push(Span { pages: run, content: Content::Bytes(bytes) })?,
            Err(_) => self.push_in_part(run, offset, scratch, push)?,
        }
        Ok(pages)
    }

    /// Pushes pages of which some cannot be read: those past the end of the file at once, others one by one.
    fn push_in_part(&self, run: PfnRange, offset: u64, scratch: &mut Scratch, push: Push<'_>) -> Result<()> {
        let size = self.meta.page_size;
        let in_file = self.input.len()?.saturating_sub(offset) >> size.shift();
        let (here, past) = if in_file < run.len() { (in_file, run.len() - in_file) } else { (run.len(), 0) };
        for i in 0..here {
            let page = PfnRange::at(run.start + i, 1);
            match self.input.view(offset + size.bytes_of(i), size.bytes(), scratch) {
                Ok(bytes) => push(Span { pages: page, content: Content::Bytes(bytes) })?,
                Err(_) => push(Span { pages: page, content: Content::Absent(Absence::Unreadable) })?,
            }
        }
        let pages = PfnRange::at(run.start + here, past);
        if pages.is_empty() { Ok(()) } else { push(Span { pages, content: Content::Absent(Absence::Unreadable) }) }
    }

    /// Pushes one page that no extent covers whole: what there is of it, the rest zeros.
    fn push_pieces(&self, pfn: Pfn, scratch: &mut Scratch, push: Push<'_>) -> Result<()> {
        let size = self.meta.page_size;
        let start = size.addr_of(pfn).0;
        let end = start.saturating_add(size.bytes() as u64); // the last page of all ends with the address space
        let pages = PfnRange::at(pfn, 1);
        let mut pieces = self.data.overlapping(start..end).peekable();
        if pieces.peek().is_none() {
            let ram = self.ram.overlapping(start..end).next().is_some();
            let why = if ram { Absence::Excluded } else { Absence::Hole };
            return push(Span { pages, content: Content::Absent(why) });
        }
        let page = scratch.take(size.bytes());
        page.fill(0);
        for piece in pieces {
            let (from, to) = (piece.start.max(start), piece.end.min(end));
            let at = (from - start) as usize..(to - start) as usize;
            if self.input.read_exact_at(piece.offset + (from - piece.start), &mut page[at]).is_err() {
                return push(Span { pages, content: Content::Absent(Absence::Unreadable) });
            }
        }
        push(Span { pages, content: Content::Bytes(page) })
    }
}

type Push<'p> = &'p mut dyn FnMut(Span<'_>) -> Result<()>;

impl<R: ReadAt> PageSource for ElfSource<R> {
    fn meta(&self) -> &DumpMeta {
        &self.meta
    }

    fn mark_ram(&self, ram: &mut PageBitmap) -> Result<()> {
        self.ram.iter().for_each(|extent| ram.set(self.pages(extent)));
        Ok(())
    }

    fn mark_held(&self, held: &mut PageBitmap) -> Result<()> {
        self.data.iter().for_each(|extent| held.set(self.pages(extent)));
        Ok(())
    }

    fn visit(&self, run: PfnRange, _: CodecSet, scratch: &mut Scratch, push: Push<'_>) -> Result<()> {
        let mut rest = run;
        while !rest.is_empty() {
            let pages = match self.whole_pages(rest) {
                Some((pages, offset)) => self.push_whole(PfnRange::at(rest.start, pages), offset, scratch, push)?,
                None => {
                    self.push_pieces(rest.start, scratch, push)?;
                    1
                }
            };
            rest.start = rest.start + pages;
        }
        Ok(())
    }
}
