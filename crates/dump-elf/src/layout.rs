//! Where everything goes in a new core.
//!
//! ```text
//! 0          ELF header
//!            program headers: PT_NOTE, then the PT_LOADs
//!            section header 0, where e_phnum does not hold their number
//! notes_at   notes
//! data_at    memory, page after page in the order of addresses, each page once
//! end
//! ```
//!
//! As makedumpfile -E does it, there is a PT_LOAD for each segment of the source, cut where 256 or more pages in a row
//! are not dumped; or, on request, where any page is not, as long as that takes few PT_LOADs. What is left out at the
//! end of a cut is memory without file bytes (`p_filesz < p_memsz`), so that every address of the source is still
//! spoken of. Shorter gaps stay inside.
//!
//! makedumpfile fills such gaps with what memory held there. Here they are holes that read as zeros: a page is left out
//! because reading it may stop the machine (hwpoison, unaccepted) or because it is nobody's business (user data), and
//! neither changes because its neighbours are wanted. A gap costs no space where files and streams have holes.
//!
//! Segments may overlap: the kernel text has one of its own, at its own virtual address, over the one of the RAM that
//! it lies in. Memory stands in the file once all the same; overlapping PT_LOADs point at the same bytes, as those of
//! QEMU's dumps with paging do. That halves what the kernel image takes, and lets pages be placed in one pass.
//!
//! Memory begins at a multiple of 512 bytes that is *not* a multiple of the page size. Where it is one, makedumpfile
//! maps the file, by `p_memsz`: pages that were left out then read as whatever follows in the file, and after a few of
//! them it touches what it unmapped (1.7.9 ended with SIGSEGV on the dump of a small machine). Its own output is never
//! aligned.

use crate::header::{MAX_PROGRAM_HEADERS, PN_XNUM, Sizes};
use dump_core::{DumpMeta, Error, PageSet, PageSize, Pfn, PfnRange, PhysAddr, Result, Segment, VirtAddr, WordSize};

/// So many pages in a row that are not dumped end a PT_LOAD (makedumpfile's PFN_EXCLUDED).
const GAP_PAGES: u64 = 256;

/// PT_LOADs in a file, besides the PT_NOTE.
const MAX_LOADS: usize = MAX_PROGRAM_HEADERS as usize - 1;

/// PT_LOADs for each segment and each stretch of dumped pages. Segments share a stretch where they overlap: those of a
/// QEMU dump with paging a few times, made-up ones thousands of times over.
const LOADS_PER_PIECE: usize = 16;

/// Memory begins at a multiple of this in the file (bytes): a sector.
const SECTOR: u64 = 512;

/// Bytes that an ELF32 file and its addresses reach.
const ELF32_END: u64 = 1 << 32;

/// What is asked of a layout.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    /// Bytes that come between the headers and memory: the notes.
    pub notes: u64,
    /// Up to so many PT_LOADs, every page that is not dumped ends one.
    pub exact: usize,
    /// Program headers besides the PT_LOADs.
    pub others: u64,
    /// PT_LOADs at most.
    pub most: usize,
    /// Whether the class is the 64-bit one, whatever the machine is.
    pub wide: bool,
    /// Segments of the source that get no PT_LOADs for that.
    pub without: &'a [Segment],
    /// Segments that come last, over memory that others have.
    pub last: &'a [Segment],
}

impl Wish<'_> {
    /// An ordinary core with `notes` bytes of notes.
    pub fn core(notes: u64, exact: usize) -> Wish<'static> {
        Wish { notes, exact, others: 1, most: MAX_LOADS, wide: false, without: &[], last: &[] }
    }
}

/// A PT_LOAD to be. Addresses, sizes and the offset in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub paddr: u64,
    pub vaddr: u64,
    pub filesz: u64,
    pub memsz: u64,
    pub offset: u64,
}

/// Pages that follow each other in memory and in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Area {
    pub pages: PfnRange,
    /// Where the first of them begins in the file (bytes).
    pub offset: u64,
}

/// Offsets in bytes of the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub loads: Vec<Load>,
    /// Ascending, apart from each other in memory, without a gap in the file.
    pub areas: Vec<Area>,
    pub notes_at: u64,
    pub data_at: u64,
    pub end: u64,
    /// Word size of the headers: the class.
    pub word: WordSize,
    /// Program headers besides the PT_LOADs.
    others: u64,
}

impl Layout {
    /// The layout that `wish` asks for of a core that holds the pages of `dumpable`.
    ///
    /// Every page that is not dumped ends a PT_LOAD, as long as that makes few enough of them; then gaps stay inside that are shorter than 2, 4, 8 ... pages, and at last those that makedumpfile keeps.
    ///
    /// Of the two classes the one of the kernel's word size is taken, the 64-bit one too where memory or the file are
    /// too large for the other: of a 32-bit machine with memory past 4 GiB (PAE, LPAE).
    ///
    /// # Errors
    /// `Unsupported` if no file can hold it, `Corrupt` if pages to dump are no RAM.
    pub fn new(meta: &DumpMeta, ram: &dyn PageSet, dumpable: &dyn PageSet, wish: &Wish<'_>) -> Result<Layout> {
        let size = meta.page_size;
        let segments = segments(meta, ram, wish)?;
        let mut loads = cut(size, dumpable, &segments, wish)?;
        if meta.machine.maps_ram_at_its_address() {
            loads.iter_mut().filter(|load| load.vaddr == 0).for_each(|load| load.vaddr = load.paddr);
        }
        let (word, notes, others) = (meta.machine.word, wish.notes, wish.others);
        let mut layout = Layout { areas: areas(&loads, size), loads, notes_at: 0, data_at: 0, end: 0, word, others };
        let held: u64 = layout.areas.iter().map(|area| dumpable.count(area.pages)).sum::<Result<u64>>()?;
        let total = dumpable.count(dumpable.span())?;
        if held != total {
            return Err(Error::corrupt(format!("{} pages to dump are outside of RAM", total - held)));
        }
        layout.place(size, notes)?;
        if word == WordSize::Bits32 && (wish.wide || !layout.fits_32_bit()) {
            layout.widen();
            layout.place(size, notes)?;
        }
        Ok(layout)
    }

    /// Number of program headers.
    pub fn program_headers(&self) -> u64 {
        self.others + self.loads.len() as u64
    }

    /// Whether their number takes a section header to say.
    pub fn is_extended(&self) -> bool {
        self.program_headers() >= u64::from(PN_XNUM)
    }

    /// Where section header 0 stands, if there is one.
    pub fn section_at(&self, sizes: Sizes) -> u64 {
        u64::from(sizes.file) + self.program_headers() * u64::from(sizes.program)
    }

    fn place(&mut self, size: PageSize, notes: u64) -> Result<()> {
        let sizes = Sizes::of(self.word);
        let section = if self.is_extended() { u64::from(sizes.section) } else { 0 };
        self.notes_at = self.section_at(sizes) + section;
        self.data_at = (self.notes_at + notes).next_multiple_of(SECTOR);
        if self.data_at % size.bytes() as u64 == 0 {
            self.data_at += SECTOR;
        }
        let mut at = self.data_at;
        for area in &mut self.areas {
            area.offset = at;
            at = at.saturating_add(size.bytes_of(area.pages.len()));
        }
        if i64::try_from(at).is_err() {
            return Err(Error::unsupported(format!("a file of {at} bytes is too large")));
        }
        self.end = at;
        for load in &mut self.loads {
            // An offset of 0 for a load without bytes, as makedumpfile has it, ends crash where it is the first one:
            // crash takes all that comes before the lowest offset for headers.
            load.offset = match load.filesz {
                0 => self.data_at,
                _ => offset_of(&self.areas, size, load.paddr),
            };
        }
        Ok(())
    }

    /// Whether every number fits 4 bytes, and memory the address space that readers compute in.
    fn fits_32_bit(&self) -> bool {
        let fits = |load: &Load| {
            let mapped = load.vaddr < ELF32_END || load.vaddr == u64::MAX; // all ones are that in either class
            load.paddr.saturating_add(load.memsz) <= ELF32_END && load.memsz < ELF32_END && mapped
        };
        self.end <= ELF32_END && self.loads.iter().all(fits)
    }

    /// Takes the 64-bit class for a 32-bit machine.
    fn widen(&mut self) {
        self.word = WordSize::Bits64;
        for load in self.loads.iter_mut().filter(|load| load.vaddr == u64::from(u32::MAX)) {
            load.vaddr = u64::MAX; // not mapped
        }
    }
}

/// The segments of the source, then one for each run of RAM that they leave out: all RAM, where the source has none.
///
/// Such runs get the virtual address 0. Nobody here knows where the kernel mapped them, and makedumpfile takes 0 as
/// just that, where it would compute the direct mapping's address from any other. (Where the kernel maps RAM at its own
/// address, 0 is one, and the loads get theirs in the end.)
fn segments(meta: &DumpMeta, ram: &dyn PageSet, wish: &Wish<'_>) -> Result<Vec<Segment>> {
    let size = meta.page_size;
    let mut segments: Vec<Segment> =
        meta.segments.iter().copied().filter(|s| s.bytes != 0 && !is_in(wish.without, s)).collect();
    let mut covered: Vec<PfnRange> = segments.iter().map(|s| pages_of(s.paddr.0, s.bytes, size)).collect();
    union(&mut covered);
    let mut left: Vec<PfnRange> = Vec::new();
    ram.each_run(ram.span(), &mut |run| {
        let first = covered.partition_point(|c| c.end <= run.start);
        let mut rest = run;
        for c in covered[first..].iter().take_while(|c| c.start < run.end) {
            append(&mut left, PfnRange::new(rest.start, c.start));
            rest = PfnRange::new(c.end.max(rest.start), rest.end);
        }
        append(&mut left, rest);
        if left.len() as u64 >= MAX_PROGRAM_HEADERS { Err(too_many()) } else { Ok(()) }
    })?;
    segments.extend(left.iter().map(|run| Segment {
        paddr: size.addr_of(run.start),
        vaddr: VirtAddr(0),
        bytes: size.bytes_of(run.len()),
    }));
    segments.extend_from_slice(wish.last);
    Ok(segments)
}

/// Whether one of `list` is the same memory.
fn is_in(list: &[Segment], segment: &Segment) -> bool {
    list.iter().any(|other| (other.paddr, other.bytes) == (segment.paddr, segment.bytes))
}

/// Appends a run that lies above those before it; joined with the last where they touch.
fn append(list: &mut Vec<PfnRange>, run: PfnRange) {
    match list.last_mut() {
        _ if run.is_empty() => {}
        Some(last) if last.end == run.start => last.end = run.end,
        _ => list.push(run),
    }
}

/// Sorts, and joins what overlaps or touches.
fn union(list: &mut Vec<PfnRange>) {
    list.sort_unstable();
    list.dedup_by(|next, last| {
        let joined = next.start <= last.end;
        if joined {
            last.end = last.end.max(next.end);
        }
        joined
    });
}

/// The pages that `bytes` bytes from `paddr` on touch.
fn pages_of(paddr: u64, bytes: u64, size: PageSize) -> PfnRange {
    PfnRange::new(size.pfn_of(PhysAddr(paddr)), Pfn(size.pages_for(paddr.saturating_add(bytes))))
}

/// The pages that have bytes in the file, their offsets yet to be found.
fn areas(loads: &[Load], size: PageSize) -> Vec<Area> {
    let in_file = loads.iter().filter(|load| load.filesz != 0);
    let mut pages: Vec<PfnRange> = in_file.map(|load| pages_of(load.paddr, load.filesz, size)).collect();
    union(&mut pages);
    pages.into_iter().map(|pages| Area { pages, offset: 0 }).collect()
}

/// The file offset of an address that lies in an area.
fn offset_of(areas: &[Area], size: PageSize, paddr: u64) -> u64 {
    let pfn = size.pfn_of(PhysAddr(paddr));
    let at = areas.partition_point(|area| area.pages.end <= pfn);
    areas.get(at).map_or(0, |area| area.offset + (paddr - size.addr_of(area.pages.start).0))
}

fn too_many() -> Error {
    Error::unsupported(format!("memory in more than {MAX_PROGRAM_HEADERS} separate ranges"))
}

/// Cuts segments to loads, exactly if that takes few enough.
fn cut(size: PageSize, dumpable: &dyn PageSet, segments: &[Segment], wish: &Wish<'_>) -> Result<Vec<Load>> {
    let Wish { exact, most, .. } = *wish;
    if exact != 0 {
        match Cutter::new(size, dumpable, 1, exact)?.cut(segments) {
            Ok((gap, loads)) if gap < GAP_PAGES => return Ok(loads),
            _ => {}
        }
    }
    let mut cutter = Cutter::new(size, dumpable, GAP_PAGES, most)?;
    cutter.limit = most.min(LOADS_PER_PIECE.saturating_mul(segments.len() + cutter.stretches.len()));
    cutter.cut(segments).map(|(_, loads)| loads)
}

/// Cuts segments to loads.
struct Cutter<'a> {
    size: PageSize,
    dumpable: &'a dyn PageSet,
    /// Pages that are dumped, with gaps shorter than `gap` pages between them.
    stretches: Vec<PfnRange>,
    gap: u64,
    /// The number of stretches, and of loads, that there may be.
    limit: usize,
}

impl<'a> Cutter<'a> {
    fn new(size: PageSize, dumpable: &'a dyn PageSet, gap: u64, limit: usize) -> Result<Cutter<'a>> {
        let mut cutter = Cutter { size, dumpable, stretches: Vec::new(), gap, limit };
        dumpable.each_run(dumpable.span(), &mut |run| {
            cutter.add(run);
            Ok(())
        })?;
        Ok(cutter)
    }

    fn add(&mut self, run: PfnRange) {
        match self.stretches.last_mut() {
            Some(last) if run.start - last.end < self.gap => last.end = run.end,
            _ => self.stretches.push(run),
        }
        while self.stretches.len() > self.limit {
            self.widen();
        }
    }

    /// Keeps gaps up to twice as long. A dump in too many pieces is one that no reader opens; gaps are but zeros.
    fn widen(&mut self) {
        self.gap = self.gap.saturating_mul(2);
        let gap = self.gap;
        self.stretches.dedup_by(|next, last| {
            let joined = next.start - last.end < gap;
            if joined {
                last.end = next.end;
            }
            joined
        });
    }

    /// The loads of all segments, in their order, offsets yet to be found, and the length of the shortest gap that cut.
    ///
    /// # Errors
    /// `Unsupported` if there are more segments than a core may have loads.
    fn cut(mut self, segments: &[Segment]) -> Result<(u64, Vec<Load>)> {
        loop {
            let mut loads = Vec::new();
            for segment in segments {
                self.cut_one(segment, &mut loads)?;
                if loads.len() > self.limit {
                    break;
                }
            }
            if loads.len() <= self.limit {
                return Ok((self.gap, loads));
            }
            if self.gap == u64::MAX {
                return Err(too_many());
            }
            self.widen();
        }
    }

    /// Appends the loads of one segment, as far as the limit goes.
    fn cut_one(&self, segment: &Segment, loads: &mut Vec<Load>) -> Result<()> {
        let pages = pages_of(segment.paddr.0, segment.bytes, self.size);
        let first = self.stretches.partition_point(|stretch| stretch.end <= pages.start);
        let (mut start, mut filled) = (pages.start, pages.start);
        for stretch in self.stretches[first..].iter().take_while(|stretch| stretch.start < pages.end) {
            let Some(held) = self.held(*stretch, pages)? else { continue };
            // closer only at the start of the segment, where a short gap stays inside as anywhere else
            if held.start - filled >= self.gap {
                loads.push(self.load(segment, start, filled, held.start));
                start = held.start;
            }
            filled = held.end;
            if loads.len() > self.limit {
                return Ok(());
            }
        }
        loads.push(self.load(segment, start, filled, pages.end));
        Ok(())
    }

    /// What a stretch has in `pages`, up to its last page that is dumped; `None` where it has but a gap there.
    fn held(&self, stretch: PfnRange, pages: PfnRange) -> Result<Option<PfnRange>> {
        let part = stretch.intersect(pages);
        if stretch.end <= pages.end {
            return Ok(Some(part)); // a stretch ends with a page that is dumped
        }
        let tail = Pfn(part.end.0.saturating_sub(self.gap)).max(part.start);
        let end = self.dumpable.end_in(PfnRange::new(tail, part.end))?;
        Ok(end.map(|end| PfnRange::new(part.start, end)))
    }

    /// Pages `start..end` of a segment, of which those below `filled` have bytes in the file.
    fn load(&self, segment: &Segment, start: Pfn, filled: Pfn, end: Pfn) -> Load {
        let first = segment.paddr.0;
        let last = first.saturating_add(segment.bytes);
        let [start, filled, end] = [start, filled, end].map(|pfn| self.size.bytes_of(pfn.0).clamp(first, last));
        Load {
            paddr: start,
            vaddr: moved(segment.vaddr, start - first),
            filesz: filled - start,
            memsz: end - start,
            offset: 0,
        }
    }
}

/// A virtual address `by` bytes further on. 0 and all ones (kexec-tools, for memory that a 32-bit kernel has not
/// mapped) are no addresses and stay what they are.
fn moved(vaddr: VirtAddr, by: u64) -> u64 {
    const UNMAPPED: u64 = u32::MAX as u64;
    match vaddr.0 {
        unknown @ (0 | UNMAPPED | u64::MAX) => unknown,
        vaddr => vaddr.wrapping_add(by),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dump_core::{ByteOrder, ErrorKind, Machine, PageBitmap};
    use proptest::prelude::*;

    fn meta(word: WordSize, segments: &[(u64, u64, u64)]) -> DumpMeta {
        let segment = |&(paddr, vaddr, bytes)| Segment { paddr: PhysAddr(paddr), vaddr: VirtAddr(vaddr), bytes };
        let machine = Machine { elf_machine: Some(62), order: ByteOrder::Little, word };
        let mut meta = DumpMeta::new(machine, PageSize::K4);
        meta.segments = segments.iter().map(segment).collect();
        meta
    }

    fn laid(meta: &DumpMeta, notes: u64, ram: &PageBitmap, dumpable: &PageBitmap, exact: usize) -> Result<Layout> {
        Layout::new(meta, ram, dumpable, &Wish::core(notes, exact))
    }

    fn set(runs: &[(u64, u64)]) -> PageBitmap {
        let mut set = PageBitmap::new(Pfn(runs.iter().map(|run| run.1).max().unwrap_or(0))).unwrap();
        runs.iter().for_each(|(start, end)| set.set(PfnRange::new(Pfn(*start), Pfn(*end))));
        set
    }

    /// p_paddr, p_filesz and p_memsz in pages, p_offset in pages from where memory begins.
    fn shape(layout: &Layout) -> Vec<(u64, u64, u64, u64)> {
        let page = |l: &Load| (l.paddr >> 12, l.filesz >> 12, l.memsz >> 12, (l.offset - layout.data_at) >> 12);
        layout.loads.iter().map(page).collect()
    }

    /// Pages that have bytes in the file, those of short gaps with them.
    fn pages(layout: &Layout) -> u64 {
        layout.areas.iter().map(|area| area.pages.len()).sum()
    }

    fn lay(segments: &[(u64, u64)], dumpable: &[(u64, u64)]) -> Layout {
        let segments: Vec<_> = segments.iter().map(|(start, end)| (start << 12, 0, (end - start) << 12)).collect();
        laid(&meta(WordSize::Bits64, &segments), 0, &set(&[]), &set(dumpable), 0).unwrap()
    }

    #[test]
    fn gaps_of_256_pages_cut_and_shorter_ones_stay() {
        for (gap, want) in [
            (255, vec![(0, 355, 400, 0)]),
            (256, vec![(0, 50, 306, 0), (306, 50, 94, 50)]),
            (257, vec![(0, 50, 307, 0), (307, 50, 93, 50)]),
        ] {
            let dumpable = [(0, 50), (50 + gap, 100 + gap)];
            assert_eq!(shape(&lay(&[(0, 400)], &dumpable)), want, "inside, {gap}");
        }
        for (gap, want) in [(255, vec![(0, 256, 300, 0)]), (256, vec![(0, 0, 256, 0), (256, 1, 44, 0)])] {
            assert_eq!(shape(&lay(&[(0, 300)], &[(gap, gap + 1)])), want, "at the start, {gap}");
        }
    }

    #[test]
    fn every_gap_cuts_where_that_takes_few_loads() {
        let segments: Vec<_> = vec![(0, 0, 400 << 12)];
        let dumpable = set(&[(0, 50), (51, 60), (64, 100), (399, 400)]);
        let lay = |exact| shape(&laid(&meta(WordSize::Bits64, &segments), 0, &set(&[]), &dumpable, exact).unwrap());
        let all = [(0, 50, 51, 0), (51, 9, 13, 50), (64, 36, 335, 59), (399, 1, 1, 95)];
        assert_eq!(lay(4), all);
        assert_eq!(lay(3), [(0, 60, 64, 0), (64, 36, 335, 60), (399, 1, 1, 96)]);
        assert_eq!(lay(2), [(0, 100, 399, 0), (399, 1, 1, 100)]);
        assert_eq!(lay(0), [(0, 100, 399, 0), (399, 1, 1, 100)]);
    }

    #[test]
    fn tails_have_memory_without_bytes_however_short() {
        assert_eq!(shape(&lay(&[(0, 10), (10, 20)], &[(0, 9), (10, 20)])), [(0, 9, 10, 0), (10, 10, 10, 9)]);
        assert_eq!(
            shape(&lay(&[(0, 10), (600, 620), (900, 901)], &[(601, 602)])),
            [(0, 0, 10, 0), (600, 2, 20, 0), (900, 0, 1, 0)]
        );
        // a short gap over the border of two segments is a tail of the first and stays inside the second
        assert_eq!(shape(&lay(&[(0, 10), (10, 20)], &[(0, 8), (12, 20)])), [(0, 8, 10, 0), (10, 10, 10, 8)]);
        assert_eq!(lay(&[(0, 10)], &[]).end, 512);
    }

    #[test]
    fn overlapping_segments_share_their_bytes() {
        let layout =
            lay(&[(300, 400), (0, 1000), (350, 1100), (310, 320)], &[(0, 10), (290, 312), (330, 390), (1099, 1100)]);
        let want = [
            (300, 90, 100, 20),
            (0, 10, 290, 0),
            (290, 100, 710, 10),
            (350, 40, 749, 70),
            (1099, 1, 1, 110),
            (310, 2, 10, 30),
        ];
        assert_eq!(shape(&layout), want);
        assert_eq!(pages(&layout), 111);
        assert_eq!(layout.end, layout.data_at + (111 << 12));
        // a segment that lies in a gap of another
        assert_eq!(shape(&lay(&[(0, 100), (20, 30)], &[(0, 10), (90, 100)])), [(0, 100, 100, 0), (20, 0, 10, 0)]);
    }

    #[test]
    fn fractions_of_pages_keep_their_addresses() {
        let segments =
            [(0x1800, 0xffff_0000_0000_1800, 0x700), (0x2000, 7, 0x1080), (0x3080, 0, 0x10), (0x9fc00, 0, 0x400)];
        let layout = laid(&meta(WordSize::Bits64, &segments), 0x10, &set(&[]), &set(&[(1, 4)]), 0).unwrap();
        let at = layout.data_at;
        let loads: Vec<_> = layout.loads.iter().map(|l| (l.paddr, l.vaddr, l.filesz, l.memsz, l.offset - at)).collect();
        assert_eq!(
            loads,
            [
                (0x1800, 0xffff_0000_0000_1800, 0x700, 0x700, 0x800),
                (0x2000, 7, 0x1080, 0x1080, 0x1000),
                (0x3080, 0, 0x10, 0x10, 0x2080),
                (0x9fc00, 0, 0, 0x400, 0),
            ]
        );
        assert_eq!((pages(&layout), layout.notes_at, at), (3, 64 + 5 * 56, 0x200));
    }

    /// makedumpfile would map it then, and read what is not there.
    #[test]
    fn memory_never_begins_at_a_page() {
        for notes in (0..9000).step_by(100) {
            let layout = laid(&meta(WordSize::Bits64, &[]), notes, &set(&[(0, 9)]), &set(&[(0, 9)]), 0).unwrap();
            let at = layout.data_at;
            assert!(at % SECTOR == 0 && at % 4096 != 0 && at >= layout.notes_at + notes, "{notes}");
            assert!(at - layout.notes_at - notes <= 2 * SECTOR);
        }
    }

    #[test]
    fn ram_that_no_segment_covers_gets_its_own() {
        let ram = set(&[(0, 100), (200, 300), (400, 410)]);
        let layout = laid(&meta(WordSize::Bits64, &[(10 << 12, 7, 50 << 12)]), 0, &ram, &ram, 0).unwrap();
        assert_eq!(
            shape(&layout).iter().map(|l| (l.0, l.1)).collect::<Vec<_>>(),
            [(10, 50), (0, 10), (60, 40), (200, 100), (400, 10)]
        );
        assert_eq!(layout.loads.iter().map(|l| l.vaddr).collect::<Vec<_>>(), [7, 0, 0, 0, 0]);
        let wide = set(&[(0, 1000)]);
        let all = laid(&meta(WordSize::Bits64, &[]), 0, &wide, &set(&[(0, 1), (600, 601)]), 0).unwrap();
        assert_eq!(shape(&all), [(0, 1, 600, 0), (600, 1, 400, 1)]);
        assert_eq!(all.loads.iter().map(|l| l.vaddr).collect::<Vec<_>>(), [0, 0]);
        let e = laid(&meta(WordSize::Bits64, &[]), 0, &ram, &set(&[(0, 102)]), 0).unwrap_err();
        assert_eq!((e.kind(), e.to_string().contains("2 pages")), (ErrorKind::Corrupt, true), "{e}");
    }

    #[test]
    fn thirty_two_bits_end_at_4_gib() {
        let narrow =
            |segment, pages: &[(u64, u64)]| laid(&meta(WordSize::Bits32, &[segment]), 4096, &set(&[]), &set(pages), 0);
        assert_eq!(narrow((0xffff_f000, 0xffff_f000, 0x1000), &[]).unwrap().word, WordSize::Bits32);
        let high = narrow((0x3000_0000, 0xffff_ffff, 0xcfff_f000), &[(0x3_0000, 0x3_0001), (0xf_fffe, 0xf_ffff)]);
        let high = high.unwrap();
        assert_eq!(high.word, WordSize::Bits32);
        assert_eq!(high.loads.iter().map(|l| l.vaddr).collect::<Vec<_>>(), [0xffff_ffff; 2]);
        for (segment, pages) in [
            ((0xffff_f000, 0, 0x2000), vec![]),
            ((1 << 32, 0, 0x1000), vec![]),
            ((0, 1 << 32, 0x1000), vec![]),
            ((0, 0, 1 << 32), vec![]),
            ((0, 0xc000_0000, 0xffff_f000), vec![(0, 1), (0xf_fffe, 0xf_ffff)]),
            ((0, 0, 0xffff_f000), vec![(0, 0xf_ffff)]), // memory fits, the file does not
        ] {
            let layout = narrow(segment, &pages).unwrap();
            let loads = layout.loads.len() as u64;
            assert_eq!((layout.word, layout.notes_at), (WordSize::Bits64, 64 + 56 * (1 + loads)), "{segment:x?}");
        }
    }

    #[test]
    fn too_many_pieces_are_joined() {
        let runs: Vec<(u64, u64)> = (0..64).map(|i| (i * 10, i * 10 + 1)).collect();
        let (dumpable, segments) =
            (set(&runs), meta(WordSize::Bits64, &[(0, 0, 640 << 12), (0, 0, 320 << 12)]).segments);
        let cut =
            |limit| Cutter::new(PageSize::K4, &dumpable, 2, limit).unwrap().cut(&segments).map(|(_, loads)| loads);
        assert_eq!(cut(96).unwrap().len(), 96);
        assert_eq!(cut(95).unwrap().len(), 2);
        assert_eq!(cut(2).unwrap().len(), 2);
        assert_eq!(cut(1).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    proptest! {
        /// Every page of every segment is spoken of once by its loads, and stands where its area has it; every page to
        /// dump has bytes; no load ends its bytes with a page that is not dumped.
        #[test]
        fn loads_tell_the_truth(
            segments in prop::collection::vec((0u64..2000, 1u64..1500), 1..5),
            runs in prop::collection::vec((0u64..3000, 1u64..300), 0..8),
        ) {
            let segments: Vec<_> = segments.into_iter().map(|(start, len)| (start, start + len)).collect();
            let mut dumpable = PageBitmap::new(Pfn(3500)).unwrap();
            for (start, end) in &segments {
                for (at, len) in &runs {
                    dumpable.set(PfnRange::at(Pfn(*at), *len).intersect(PfnRange::new(Pfn(*start), Pfn(*end))));
                }
            }
            let kept: Vec<_> = dumpable.runs(dumpable.span()).map(|run| (run.start.0, run.end.0)).collect();
            let layout = lay(&segments, &kept);
            let mut loads = layout.loads.iter().peekable();
            for (start, end) in segments {
                let mut at = start << 12;
                while at < end << 12 {
                    let load = loads.next().unwrap();
                    prop_assert_eq!(load.paddr, at);
                    at += load.memsz;
                    let (first, filled) = (load.paddr >> 12, (load.paddr + load.filesz) >> 12);
                    prop_assert!(load.filesz == 0 || dumpable.get(Pfn(filled - 1)));
                    prop_assert_eq!(dumpable.count(PfnRange::new(Pfn(filled), Pfn(at >> 12))), 0);
                    let placed = layout.areas.iter().any(|area| {
                        let inside = area.pages.contains(Pfn(first)) && area.pages.end.0 >= filled;
                        inside && area.offset + ((first - area.pages.start.0) << 12) == load.offset
                    });
                    prop_assert!(load.filesz == 0 || placed);
                }
                prop_assert_eq!(at, end << 12);
            }
            prop_assert!(loads.next().is_none());
            let follow = |a: &Area, b: &Area| {
                a.pages.end < b.pages.start && a.offset + (a.pages.len() << 12) == b.offset
            };
            prop_assert!(layout.areas.windows(2).all(|w| follow(&w[0], &w[1])));
        }
    }
}
