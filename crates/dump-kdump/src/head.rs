//! What is read when a file is opened: headers, notes and the 2nd bitmap, which is held.
//!
//! Every length is compared with the file's before it sizes anything.

use std::sync::Arc;

use dump_core::{
    Absence, ByteReader, Claim, DumpMeta, Error, ErrorKind, Machine, NoteBytes, Notes, Pfn, PfnRange, Ranked, ReadAt,
    Result, UtsName, bitmap_runs, is_zero,
};

use crate::codec::Codec;
use crate::desc::PageDesc;
use crate::fate::Fate;
use crate::header::{FileRange, Header, STATUS_EXCLUDED_VMEMMAP, STATUS_INCOMPLETE};
use crate::header_faults;
use crate::layout::Layout;
use crate::own_address::Gap;
use crate::retable::Retable;
use crate::table::Table;

/// Longest VMCOREINFO and erase text; the kernel's own is one page.
pub(crate) const MAX_TEXT: u64 = 16 << 20;

/// Page frames that are looked at at a time for the first that is RAM: 64 KiB of bits.
const RAM_PER_LOOK: u64 = 1 << 19;

/// All of a file but its pages.
pub(crate) struct Head {
    pub(crate) file_len: u64,
    pub(crate) header: Header,
    pub(crate) layout: Layout,
    /// What it says of itself, without large notes.
    pub(crate) meta: DumpMeta,
    /// Where those lie: offset and length (bytes).
    pub(crate) large_notes: Vec<(u64, u64)>,
    /// The 2nd bitmap.
    pub(crate) held: Arc<Ranked>,
    /// The page frames that this file answers for.
    pub(crate) part: PfnRange,
    /// Where descriptors end and data begin.
    pub(crate) table: Table,
    /// What is wrong with the headers although the file can be read.
    pub(crate) faults: Vec<Error>,
    /// Whether any of that is where the dump's parts are, so that it is in doubt which pages there are.
    pub(crate) doubts_pages: bool,
    /// Where the 1st bitmap is; the 2nd's place in files that have but one.
    pub(crate) ram_at: u64,
    /// Where the 2nd bitmap is.
    pub(crate) held_at: u64,
    /// Rank of the part's first page, which has descriptor 0.
    base: u64,
    /// Descriptors that are not believed, where the file is read to save what can be.
    pub(crate) retable: Option<Retable>,
    /// Pages of which the 2nd bitmap is damaged, where the file is read so: `held` has all RAM there.
    pub(crate) gap: Option<Gap>,
}

impl Head {
    /// Reads it.
    ///
    /// # Errors
    /// As [`KdumpFile::open`](crate::KdumpFile::open).
    pub(crate) fn read(file: &dyn ReadAt) -> Result<Head> {
        Head::of(file, Header::read(file)?)
    }

    /// Reads all but the headers.
    ///
    /// # Errors
    /// As [`read`](Head::read).
    pub(crate) fn of(file: &dyn ReadAt, header: Header) -> Result<Head> {
        let file_len = file.len()?;
        let layout = Layout::of(&header.main, header.page_size);
        let end = Pfn(header.sub.max_mapnr);
        let (ram_at, held_at) = bitmaps(&header, &layout)?;
        if layout.descriptors() > file_len {
            return Err(Error::truncated("the area of the bitmaps", layout.descriptors(), file_len));
        }
        let part = part_of(&header)?;
        let mut faults = header_faults::labels(&header, file);
        let (meta, large_notes) = meta(file, file_len, &header, &mut faults)?;
        let held = Ranked::read(file.reader().as_mut(), held_at, end)?;
        let base = held.rank(part.start);
        let (all, here) = (held.rank(end), held.rank(part.end) - base);
        let table = Table::read(file.reader().as_mut(), &header, &layout, all, here);
        let table = table.ok_or_else(|| Error::corrupt(format!("{all} pages, too many for any file")))?;
        let labels = faults.len();
        faults.extend(header_faults::places(&header, &layout, file));
        faults.extend(table.unread.clone());
        if part.is_empty() && table.end + (header.page_size.bytes() as u64) < file_len {
            let text = format!("a part of no pages (start_pfn and end_pfn are {}), but there are data", part.start);
            faults.push(Error::corrupt(text).within("sub header"));
        }
        if all == 0 && table.end + (header.page_size.bytes() as u64) < file_len {
            let text = format!("the 2nd bitmap has no page, but there are {} bytes behind it", file_len - table.end);
            faults.push(Error::corrupt(text));
        }
        let doubts_pages = faults.len() > labels;
        let held = Arc::new(held);
        Ok(Head {
            file_len,
            header,
            layout,
            meta,
            large_notes,
            held,
            part,
            table,
            faults,
            doubts_pages,
            ram_at,
            held_at,
            base,
            retable: None,
            gap: None,
        })
    }

    /// The number of the descriptor of `pfn`, which is of this part; that of the first page behind where it is not known.
    pub(crate) fn rank(&self, pfn: Pfn) -> u64 {
        let rank = self.held.rank(pfn).saturating_sub(self.base);
        match &self.gap {
            Some(gap) if pfn >= gap.pages.end => {
                rank.saturating_sub(self.held.bits().count(gap.pages)).saturating_add(gap.ranks.end - gap.ranks.start)
            }
            Some(gap) if pfn > gap.pages.start => gap.ranks.end,
            _ => rank,
        }
    }

    /// What page number `rank` is instead, where its descriptor is not believed.
    pub(crate) fn disbelieved(&self, rank: u64) -> Option<Fate> {
        let instead = self.retable.as_ref()?.fate(rank)?;
        Some(instead.unwrap_or(Fate::Absent(Absence::Unreadable)))
    }

    /// What the 2nd bitmap claims, and how much of that has no descriptor in the file.
    pub(crate) fn claim(&self) -> Claim {
        let held = self.pages();
        let table = self.file_len.saturating_sub(self.layout.descriptors()) / PageDesc::SIZE as u64;
        Claim { held, missing: held.saturating_sub(table) }
    }

    /// The first page frame that is RAM.
    pub(crate) fn first_ram(&self, input: &mut dyn ByteReader) -> Result<Option<Pfn>> {
        let (mut at, end) = (Pfn(0), self.meta.end_pfn);
        let mut first = None;
        while first.is_none() && at < end {
            let run = PfnRange::at(at, RAM_PER_LOOK);
            self.ram_runs(input, run, &mut |ram| {
                first.get_or_insert(ram.start);
                Ok(())
            })?;
            at = run.end;
        }
        Ok(first)
    }

    /// The codec that the header names.
    pub(crate) fn codec(&self) -> Option<&'static Codec> {
        Codec::of_status(self.header.main.status)
    }

    /// How many pages this part has, and descriptors.
    pub(crate) fn pages(&self) -> u64 {
        self.rank(self.part.end)
    }

    /// Hands over the runs of RAM in `run`.
    pub(crate) fn ram_runs(
        &self,
        input: &mut dyn ByteReader,
        run: PfnRange,
        each: &mut dyn FnMut(PfnRange) -> Result<()>,
    ) -> Result<()> {
        let run = run.intersect(PfnRange::new(Pfn(0), self.meta.end_pfn));
        bitmap_runs(input, self.ram_at, run, each)
    }
}

/// Where the bitmaps of RAM and of dumped pages are. Old files may have one, which is both.
fn bitmaps(header: &Header, layout: &Layout) -> Result<(u64, u64)> {
    let end = header.sub.max_mapnr;
    let needed = end.div_ceil(8).div_ceil(header.page_size.bytes() as u64);
    let blocks = layout.bitmap_blocks();
    if needed > blocks {
        return Err(Error::corrupt(format!(
            "max_mapnr {end:#x} needs {needed} bitmap blocks, but bitmap_blocks is {blocks}"
        )));
    }
    if needed.checked_mul(2).is_none_or(|both| both > blocks) {
        return Ok((layout.bitmap1(), layout.bitmap1()));
    }
    if blocks % 2 != 0 {
        let text = format!("bitmap_blocks {blocks} is odd, but has room for two bitmaps of {needed}");
        return Err(Error::corrupt(text));
    }
    Ok((layout.bitmap1(), layout.bitmap2()))
}

/// The page frames that a file answers for.
fn part_of(header: &Header) -> Result<PfnRange> {
    let sub = &header.sub;
    if !sub.split {
        return Ok(PfnRange::new(Pfn(0), Pfn(sub.max_mapnr)));
    }
    if sub.start_pfn > sub.end_pfn || sub.end_pfn > sub.max_mapnr {
        return Err(Error::corrupt(format!(
            "part from pfn {:#x} to {:#x} of {:#x} (start_pfn, end_pfn, max_mapnr)",
            sub.start_pfn, sub.end_pfn, sub.max_mapnr
        )));
    }
    Ok(PfnRange::new(Pfn(sub.start_pfn), Pfn(sub.end_pfn)))
}

fn check_range(file_len: u64, at: FileRange, what: &str) -> Result<()> {
    let end = at.end().ok_or_else(|| {
        Error::corrupt(format!("{what} at offset {:#x}: size {:#x} exceeds 2^64", at.offset, at.size))
    })?;
    if end > file_len { Err(Error::truncated(what, end, file_len)) } else { Ok(()) }
}

fn read_range(file: &dyn ReadAt, file_len: u64, at: FileRange, most: u64, what: &str) -> Result<Vec<u8>> {
    if at.is_empty() {
        return Ok(Vec::new());
    }
    check_range(file_len, at, what)?;
    if at.size > most {
        return Err(Error::unsupported(format!("{what} of {:#x} bytes, expected at most {most:#x}", at.size)));
    }
    let mut bytes = vec![0; at.size as usize];
    file.read_exact_at(at.offset, &mut bytes).map_err(|e| e.within(what))?;
    Ok(bytes)
}

/// What the headers and notes say about the machine, and where notes lie that were not read. Notes that cannot be read
/// are a fault, not an error: the pages are there without them.
fn meta(
    file: &dyn ReadAt,
    file_len: u64,
    header: &Header,
    faults: &mut Vec<Error>,
) -> Result<(DumpMeta, Vec<(u64, u64)>)> {
    let (main, sub, abi) = (&header.main, &header.sub, header.abi);
    let elf_machine = Machine::elf_machine_by_name(&main.utsname.machine());
    let machine = Machine { elf_machine, order: abi.order, word: abi.word }.of_kernel();
    let (notes, large) = notes(file, file_len, header, faults)?;
    // makedumpfile puts it at the end of the file, which is what a file that was cut off lacks first
    let erase_info = read_range(file, file_len, sub.erase_info, MAX_TEXT, "eraseinfo");
    faults.extend(erase_info.as_ref().err().filter(|e| e.kind() == ErrorKind::Io).cloned());
    let meta = DumpMeta {
        end_pfn: Pfn(sub.max_mapnr),
        notes,
        stated_cpus: Some(main.nr_cpus.unsigned_abs()),
        utsname: Some(main.utsname).filter(|names| *names != UtsName::default()),
        crash_time: Some(main.tv_sec).filter(|time| *time != 0),
        phys_base: Some(sub.phys_base),
        // what is none says nothing of what was left out, and is not passed on
        dump_level: sub.level().unwrap_or(0),
        erase_info: erase_info.unwrap_or_default(),
        incomplete: main.status & STATUS_INCOMPLETE != 0,
        excluded_vmemmap: main.status & STATUS_EXCLUDED_VMEMMAP != 0,
        ..DumpMeta::new(machine, header.page_size)
    };
    Ok((meta, large))
}

/// The notes, and where those lie that are too large to be read. Version 3 has VMCOREINFO without notes, other files may point past theirs: the note is made up for it.
fn notes(
    file: &dyn ReadAt,
    file_len: u64,
    header: &Header,
    faults: &mut Vec<Error>,
) -> Result<(Notes, Vec<(u64, u64)>)> {
    let (sub, order) = (&header.sub, header.abi.order);
    let mut fault = |e: Error| faults.push(e.within("sub header"));
    let place = (sub.notes.offset, sub.notes.size);
    let found = if sub.notes.is_empty() { Ok(()) } else { check_range(file_len, sub.notes, "notes") };
    let found = found.and_then(|()| NoteBytes::read(file, &[place], file_len, order));
    let found = found.unwrap_or_else(|e| {
        fault(e);
        NoteBytes::default()
    });
    let partly = found.unwritten();
    let NoteBytes { bytes, large, fault: left_out, .. } = found;
    left_out.into_iter().for_each(&mut fault);
    // no writer points at what it did not write
    let unwritten = |what: &str, at: FileRange| {
        Error::corrupt(format!("{what} at offset {:#x}, of {:#x} bytes, are all zeros", at.offset, at.size))
    };
    if !bytes.is_empty() && large.is_empty() && is_zero(&bytes) {
        fault(unwritten("notes", sub.notes));
    } else if let Some(what) = partly {
        fault(Error::corrupt(format!(
            "notes at offset {:#x}, of {:#x} bytes: {what}",
            sub.notes.offset, sub.notes.size
        )));
    }
    let mut notes = Notes::new(bytes, order);
    // what cannot be there is one of the labels' faults
    let text_at = Some(sub.vmcoreinfo).filter(|at| !at.is_empty() && header_faults::outside(*at, file_len).is_none());
    if let Some(at) = text_at.filter(|_| notes.vmcoreinfo_range().is_none()) {
        let text = read_range(file, file_len, at, MAX_TEXT, "vmcoreinfo").map_err(&mut fault).unwrap_or_default();
        if is_zero(&text) {
            fault(unwritten("the bytes of vmcoreinfo", at));
        } else {
            notes.push(b"VMCOREINFO", &text)?;
        }
    }
    if let Some(zeros) = notes.vmcoreinfo_range().and_then(|at| zeros_in_text(notes.as_bytes().get(at)?)) {
        fault(Error::corrupt(format!(
            "vmcoreinfo: {zeros:#x} bytes of the text are zeros: they were not written, or got lost"
        )));
    }
    Ok((notes, large))
}

/// How many bytes of a text are zeros that nobody writes: within it, or as many behind it as a sector has.
fn zeros_in_text(text: &[u8]) -> Option<usize> {
    const SECTOR: usize = 512;
    let end = text.iter().rposition(|byte| *byte != 0)? + 1;
    let within = text.get(..end)?.iter().filter(|byte| **byte == 0).count();
    let behind = Some(text.len() - end).filter(|len| *len >= SECTOR).unwrap_or(0);
    Some(within + behind).filter(|zeros| *zeros != 0)
}
