//! A kdump file as a source of pages.
//!
//! Page frames are those of the file: its page number times its block size is the physical address, on every
//! architecture but one. makedumpfile and crash number 32-bit ARM's frames from the start of RAM (phys_base) while QEMU
//! numbers them from 0, and no field says which. Frames are handed on as they stand here too, so a dump converted from
//! such a file has the numbers that its maker gave it.
//!
//! Opening reads headers, notes and the 2nd bitmap, which is held; of the 1st only the pieces that are asked about, and
//! of the descriptors only those of the pages visited. Every length is compared with the file's before it sizes
//! anything.

use std::sync::{Arc, Mutex, PoisonError};

use dump_core::{
    Absence, CodecSet, Content, DumpMeta, Error, Machine, PageBitmap, PageSource, Pfn, PfnRange, ReadAt, Result,
    Scratch, Span, is_zero,
};

use crate::damage::Fault;
use crate::header::{Header, STATUS_EXCLUDED_VMEMMAP, STATUS_INCOMPLETE, Stretch};
use crate::layout::Layout;
use crate::pages::{Pages, Sinks, Worker};
use crate::rank::{self, Ranked};
use crate::{machine, note};

/// Longest notes that are read: a thousand times what a machine with a thousand CPUs has.
const MAX_NOTES: u64 = 256 << 20;

/// Longest VMCOREINFO and erase text; the kernel's own is one page.
const MAX_TEXT: u64 = 16 << 20;

/// A kdump file, or one part of a split dump.
pub struct KdumpFile<R> {
    file: R,
    file_len: u64,
    header: Header,
    layout: Layout,
    meta: DumpMeta,
    /// Where the 1st bitmap is; the 2nd's place in files that have but one.
    ram_at: u64,
    held: Arc<Ranked>,
    /// The page frames that this file answers for.
    part: PfnRange,
    /// Rank of the part's first page, which has descriptor 0.
    base: u64,
    zero_at: Option<u64>,
    workers: Mutex<Vec<Worker>>,
}

impl<R: ReadAt> KdumpFile<R> {
    /// Whether a file that begins with `bytes` is one.
    pub fn probe(bytes: &[u8]) -> bool {
        Header::probe(bytes)
    }

    /// Opens a file.
    ///
    /// # Errors
    /// `BadMagic`, `Truncated` where headers or bitmaps are cut off, `Corrupt` where they contradict each other,
    /// `Unsupported`, `Io`. A file cut off later than that opens; its pages past the end are unreadable.
    pub fn open(file: R) -> Result<KdumpFile<R>> {
        let file_len = file.len()?;
        let header = Header::read(&file)?;
        let layout = Layout::of(&header.main, header.page_size);
        let end = Pfn(header.sub.max_mapnr);
        let (ram_at, held_at) = bitmaps(&header, &layout)?;
        if layout.descriptors() > file_len {
            return Err(Error::truncated("the bitmaps", layout.descriptors(), file_len));
        }
        let part = part_of(&header)?;
        let meta = meta(&file, file_len, &header)?;
        let held = Ranked::read(&file, held_at, end)?;
        let base = held.rank(part.start);
        let zero_at = shared_zero(&file, &header, layout.descriptor(held.rank(end)));
        let (held, workers) = (Arc::new(held), Mutex::default());
        Ok(KdumpFile { file, file_len, header, layout, meta, ram_at, held, part, base, zero_at, workers })
    }

    /// Both headers as they were decoded.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Where the file's areas are.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The page frames that this file answers for, where it is a part of a split dump. Pages outside are said to be
    /// excluded, though another part may have them.
    pub fn split_range(&self) -> Option<PfnRange> {
        self.header.sub.split.then_some(self.part)
    }

    /// What the headers say that cannot be so, beyond what keeps a file from being opened.
    pub fn check_headers(&self) -> Vec<Error> {
        let sub = &self.header.sub;
        let mut wrong = Vec::new();
        if !(0..=31).contains(&sub.dump_level) {
            wrong.push(Error::corrupt(format!("dump_level {} is not from 0 to 31", sub.dump_level)));
        }
        for (what, at) in [("vmcoreinfo", sub.vmcoreinfo), ("eraseinfo", sub.erase_info)] {
            wrong.extend(read_stretch(&self.file, self.file_len, at, MAX_TEXT, what).err());
        }
        wrong.into_iter().map(|e| e.within("sub header")).collect()
    }

    /// Looks at all pages of `run` as reading would, and reports each that cannot be had.
    ///
    /// # Errors
    /// What touches more than pages: the bitmap unreadable, or a codec that this build leaves out.
    pub fn check(&self, run: PfnRange, scratch: &mut Scratch, fault: &mut dyn FnMut(Fault)) -> Result<()> {
        self.visit_to(run, scratch, &mut Sinks { accept: CodecSet::NONE, push: &mut |_| Ok(()), fault })
    }

    /// Why the page at `pfn` cannot be had; `None` where it can, or is not meant to be there.
    ///
    /// # Errors
    /// As [`check`](KdumpFile::check).
    pub fn page_fault(&self, pfn: Pfn, scratch: &mut Scratch) -> Result<Option<Fault>> {
        let mut found = None;
        self.check(PfnRange::at(pfn, 1), scratch, &mut |fault| found = Some(fault))?;
        Ok(found)
    }

    pub(crate) fn held(&self) -> &Arc<Ranked> {
        &self.held
    }

    /// Drops this file's bitmap for an equal one.
    pub(crate) fn share_held(&mut self, held: &Arc<Ranked>) {
        self.held = Arc::clone(held);
    }

    fn visit_to(&self, run: PfnRange, scratch: &mut Scratch, to: &mut Sinks<'_, '_>) -> Result<()> {
        // A worker taken by a thread that panicked is lost with it; the list itself is never left half changed.
        let lock = || self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut worker = lock().pop().unwrap_or_default();
        let done = self.visit_with(run, &mut worker, scratch, to);
        lock().push(worker);
        done
    }

    fn visit_with(
        &self,
        run: PfnRange,
        worker: &mut Worker,
        scratch: &mut Scratch,
        to: &mut Sinks<'_, '_>,
    ) -> Result<()> {
        let pages = Pages {
            file: &self.file,
            file_len: self.file_len,
            header: &self.header,
            layout: self.layout,
            zero_at: self.zero_at,
        };
        let inside = run.intersect(self.part);
        let mut at = run.start;
        let mut rank = self.held.rank(inside.start).saturating_sub(self.base);
        for held in self.held.bits().runs(inside) {
            self.absent(PfnRange::new(at, held.start), scratch, to.push)?;
            pages.visit(held, rank, worker, scratch, to)?;
            rank += held.len();
            at = held.end;
        }
        self.absent(PfnRange::new(at, run.end), scratch, to.push)
    }

    /// Hands over pages that are not in the file: RAM was excluded, the rest are holes.
    fn absent(&self, gap: PfnRange, scratch: &mut Scratch, push: &mut dyn FnMut(Span<'_>) -> Result<()>) -> Result<()> {
        let mut at = gap.start;
        let mut push = |end: Pfn, why| {
            let pages = PfnRange::new(at, end);
            at = at.max(end);
            if pages.is_empty() { Ok(()) } else { push(Span { pages, content: Content::Absent(why) }) }
        };
        self.ram_runs(gap, scratch, &mut |ram| {
            push(ram.start, Absence::Hole)?;
            push(ram.end, Absence::Excluded)
        })?;
        push(gap.end, Absence::Hole)
    }

    /// The runs of RAM in `run`.
    fn ram_runs(
        &self,
        run: PfnRange,
        scratch: &mut Scratch,
        each: &mut dyn FnMut(PfnRange) -> Result<()>,
    ) -> Result<()> {
        let run = run.intersect(PfnRange::new(Pfn(0), self.meta.end_pfn));
        rank::runs(&self.file, self.ram_at, run, scratch, each)
    }
}

impl<R: ReadAt> PageSource for KdumpFile<R> {
    fn meta(&self) -> &DumpMeta {
        &self.meta
    }

    fn mark_ram(&self, ram: &mut PageBitmap) -> Result<()> {
        self.ram_runs(ram.span(), &mut Scratch::default(), &mut |run| {
            ram.set(run);
            Ok(())
        })
    }

    fn mark_held(&self, held: &mut PageBitmap) -> Result<()> {
        for run in self.held.bits().runs(held.span().intersect(self.part)) {
            held.set(run);
        }
        Ok(())
    }

    fn visit(
        &self,
        run: PfnRange,
        accept: CodecSet,
        scratch: &mut Scratch,
        push: &mut dyn FnMut(Span<'_>) -> Result<()>,
    ) -> Result<()> {
        self.visit_to(run, scratch, &mut Sinks { accept, push, fault: &mut |_| {} })
    }
}

/// Where the bitmaps of RAM and of dumped pages are. Old files may have one, which is both.
fn bitmaps(header: &Header, layout: &Layout) -> Result<(u64, u64)> {
    let end = header.sub.max_mapnr;
    let needed = end.div_ceil(8).div_ceil(header.page_size.bytes() as u64);
    let blocks = layout.bitmap_blocks();
    if needed > blocks {
        return Err(Error::corrupt(format!(
            "max_mapnr {end:#x} needs {needed} bitmap blocks of {blocks} (bitmap_blocks)"
        )));
    }
    let second =
        if needed.checked_mul(2).is_some_and(|both| both <= blocks) { layout.bitmap2() } else { layout.bitmap1() };
    Ok((layout.bitmap1(), second))
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

/// The first page of data, if that is one of zeros: makedumpfile and QEMU put the one there that zero pages share. Seen
/// once, its descriptors need no reading.
fn shared_zero(file: &dyn ReadAt, header: &Header, data_at: Option<u64>) -> Option<u64> {
    let mut page = vec![0; header.page_size.bytes()];
    file.read_exact_at(data_at?, &mut page).ok()?;
    is_zero(&page).then_some(data_at?)
}

fn read_stretch(file: &dyn ReadAt, file_len: u64, at: Stretch, most: u64, what: &str) -> Result<Vec<u8>> {
    if at.is_empty() {
        return Ok(Vec::new());
    }
    let end = at.end().ok_or_else(|| Error::corrupt(format!("{what} at {:#x}, {:#x} bytes", at.offset, at.size)))?;
    if end > file_len {
        return Err(Error::truncated(what, end, file_len));
    }
    if at.size > most {
        return Err(Error::unsupported(format!("{what} of {:#x} bytes, more than {most:#x}", at.size)));
    }
    let mut bytes = vec![0; at.size as usize];
    file.read_exact_at(at.offset, &mut bytes).map_err(|e| e.within(what))?;
    Ok(bytes)
}

/// What the headers and notes say of the machine.
fn meta(file: &dyn ReadAt, file_len: u64, header: &Header) -> Result<DumpMeta> {
    let (main, sub, order) = (&header.main, &header.sub, header.abi.order);
    let mut notes = read_stretch(file, file_len, sub.notes, MAX_NOTES, "notes")?;
    let cpus = note::cpus(&notes, order);
    let mut vmcoreinfo = note::vmcoreinfo(&notes, order);
    if vmcoreinfo.is_none() && !sub.vmcoreinfo.is_empty() {
        // Version 3 has the text without notes, other files may point past theirs: the note is made up for it.
        let text = read_stretch(file, file_len, sub.vmcoreinfo, MAX_TEXT, "vmcoreinfo")?;
        vmcoreinfo = Some(note::append_vmcoreinfo(&mut notes, &text, order));
    }
    let elf_machine = machine::elf_machine(&main.utsname.machine());
    Ok(DumpMeta {
        machine: Machine { elf_machine, order, word: header.abi.word },
        page_size: header.page_size,
        end_pfn: Pfn(sub.max_mapnr),
        notes,
        vmcoreinfo,
        cpus: if cpus != 0 { cpus } else { main.nr_cpus.unsigned_abs() },
        segments: Vec::new(),
        utsname: main.utsname,
        crash_time: main.tv_sec,
        phys_base: sub.phys_base,
        dump_level: sub.dump_level as u32,
        // makedumpfile puts it at the end of the file, which is what a file that was cut off lacks first
        erase_info: read_stretch(file, file_len, sub.erase_info, MAX_TEXT, "eraseinfo").unwrap_or_default(),
        incomplete: main.status & STATUS_INCOMPLETE != 0,
        excluded_vmemmap: main.status & STATUS_EXCLUDED_VMEMMAP != 0,
    })
}
