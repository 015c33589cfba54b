//! The writer: what it writes is read back by the reader here and, by hand-counted offsets, without it.

// Lints know functions marked #[test] as tests, not what they call.
#![allow(clippy::unwrap_used)]

mod toy;

use dump_core::*;
use dump_elf::{ElfCore, ElfWriter, FORMAT, ProgramHeader};
use dump_kit::{MadePages, MemoryOutput, Outputs, Page, Placement, check_source, note, page_at};
use proptest::prelude::*;
use toy::{OSRELEASE, SHAPES, SIZES, Toy};

#[test]
fn every_class_and_order_and_page_size_comes_back() {
    for shape in SHAPES {
        for size in SIZES {
            let toy = Toy::usual(shape, size);
            let bytes = toy.write(32);
            let gaps = 2 + 6 + 3 + 30;
            let pages = toy.dumpable.count(toy.dumpable.span()) + gaps;
            let memory_at = program_headers(&bytes).iter().map(|load| load.offset).min().unwrap();
            assert_eq!(bytes.len() as u64, memory_at + pages * size);
            let source = toy.open(&bytes);
            let meta = source.meta();
            assert_eq!((meta.machine, meta.end_pfn, meta.incomplete), (toy.meta.machine, toy.meta.end_pfn, false));
            assert_eq!((&meta.notes, meta.cpus(), meta.vmcoreinfo()), (&toy.meta.notes, 2, Some(OSRELEASE)));
            assert!(source.damage().is_none());
            let mut ram = PageBitmap::new(meta.end_pfn).unwrap();
            source.mark_ram(&mut ram).unwrap();
            assert!(ram == toy.ram, "{shape:?} {size}");
            let found = check_source(&source, toy.meta.end_pfn + 9, &[64]);
            for (pfn, page) in (0..).map(Pfn).zip(found) {
                assert!(page == written(&toy, pfn), "{shape:?} {size} {pfn}");
            }
        }
    }
}

/// What comes back of a page of the usual machine.
fn written(toy: &Toy, pfn: Pfn) -> Page {
    match pfn.0 {
        _ if toy.dumpable.get(pfn) => Ok(toy.page(pfn)),
        3..5 | 64..70 | 72..75 | 430..460 => Ok(vec![0; toy.meta.page_size.bytes()]), // gaps that stay
        _ if toy.ram.get(pfn) => Err(Absence::Excluded),
        _ => Err(Absence::Hole),
    }
}

/// A segment keeps its virtual address, whole or cut, and the text's points into the file where RAM's has the pages.
#[test]
fn segments_keep_their_virtual_addresses() {
    let toy = Toy::usual(SHAPES[0], 4096);
    let loads = program_headers(&toy.write(64));
    let pages: Vec<_> = loads.iter().map(|l| (l.paddr >> 12, l.filesz >> 12, l.memsz >> 12)).collect();
    assert_eq!(pages, [(420, 50, 60), (3, 27, 37), (64, 16, 336), (400, 70, 400), (800, 41, 390), (1190, 7, 10)]);
    let direct = |pfn: u64| 0xffff_8880_0000_0000 + (pfn << 12);
    let vaddrs: Vec<_> = loads.iter().map(|l| l.vaddr).collect();
    assert_eq!(vaddrs, [0xffff_ffff_8100_0000, direct(3), direct(64), direct(400), direct(800), direct(1190)]);
    assert_eq!(loads[0].offset, loads[3].offset + (20 << 12));
    assert!(loads.iter().all(|l| l.align == 0 && l.flags == 7));
}

/// The PT_LOADs.
fn program_headers(bytes: &[u8]) -> Vec<ProgramHeader> {
    let core = ElfCore::open(bytes.to_vec()).unwrap();
    let mut headers = Vec::new();
    core.header().each_program_header(&bytes.to_vec(), &mut |header| headers.push(*header)).unwrap();
    assert_eq!(headers.remove(0).kind, 4);
    headers
}

/// The program's own writer cuts at every page that is left out: none reads as zeros that was not zero.
#[test]
fn the_formats_writer_leaves_every_page_out() {
    let toy = Toy::usual(SHAPES[0], 4096);
    let output = FORMAT.output.unwrap();
    assert_eq!((output.abilities, output.bitmaps), (Abilities::FLAGS_INCOMPLETE | Abilities::FORWARD, 1));
    let writer = (output.create)(&WriteOptions::default()).unwrap();
    let bytes = toy.dump().write(writer, 16, &mut toy.pages()).bytes(0);
    assert!((FORMAT.probe)(&bytes[..PROBE_BYTES], &OpenOptions::default()));
    let source = (FORMAT.open)(Box::new(bytes), &OpenOptions::default()).unwrap();
    assert_eq!(source.describe().format, FORMAT.name);
    let found = check_source(&source, toy.meta.end_pfn, &[5]);
    for (pfn, page) in (0..).map(Pfn).zip(found) {
        assert!(page.ok() == toy.dumpable.get(pfn).then(|| toy.page(pfn)), "{pfn}");
    }
}

#[test]
fn blocks_of_any_size_give_the_same_bytes() {
    let toy = Toy::usual(SHAPES[0], 4096);
    let want = toy.write(1);
    for block in [2, 7, 64, 100_000] {
        assert!(toy.write(block) == want, "{block}");
    }
}

/// What a device held before shows nowhere; and while blocks are placed, zeros come after data that lies above them.
#[test]
fn gaps_and_zero_pages_are_zeros_whatever_was_there() {
    for block in [1, 5, 1000] {
        let toy = Toy::usual(SHAPES[1], 4096);
        let want = toy.write(block);
        let mut writing = toy.prepare(Outputs::of(MemoryOutput::holding(vec![0xee; want.len() + 5000])));
        writing.place_all(block, &mut toy.pages()).unwrap();
        assert!(zeros_lie_below_data(&writing.outputs.placements), "{block}");
        writing.finish(Ending::Complete).unwrap();
        let (used, rest) = (writing.outputs.bytes(0), want.len());
        assert!(used[..rest] == want && used[rest..] == [0xee; 5000], "{block}");
    }
}

fn zeros_lie_below_data(placements: &[Placement]) -> bool {
    let mut reached = 0;
    // zeros behind the notes come before any data
    placements.iter().skip_while(|call| !matches!(call, Placement::Data { .. })).all(|call| match *call {
        Placement::Zeros { offset, len, .. } => len > 0 && offset + len <= reached,
        Placement::Data { offset, len, .. } | Placement::Index { offset, len, .. } => {
            reached = reached.max(offset + len);
            true
        }
    })
}

/// Runs of pages are placed at once, over spans and gaps in memory that have no bytes; their order is that of the
/// pages.
#[test]
fn runs_are_placed_whole() {
    let toy = Toy::new(SHAPES[0], 4096, &[(0, 8, 0), (600, 700, 0)], &[(1, 4), (5, 8), (601, 604), (605, 606)]);
    let mut writing = toy.prepare(Outputs::default());
    let head = writing.outputs.placements.len();
    writing.place_all(100, &mut MadePages(|_| Ok(vec![1; 4096]))).unwrap();
    writing.finish(Ending::Complete).unwrap();
    let at = |page: u64| 0x400 + 4096 * page;
    let data = |page, pages: u64| Placement::Data { part: 0, offset: at(page), len: 4096 * pages };
    let zeros = |page, pages: u64| Placement::Zeros { part: 0, offset: at(page), len: 4096 * pages };
    let flag = Placement::Index { part: 0, offset: 0, len: 64 }; // cleared last
    assert_eq!(
        writing.outputs.placements[head..],
        [data(1, 3), zeros(0, 1), data(5, 3), zeros(4, 1), data(9, 3), zeros(8, 1), data(13, 1), zeros(12, 1), flag]
    );
    assert_eq!(writing.outputs.bytes(0).len() as u64, at(14));
}

/// Every offset by hand: ELF64, little endian.
#[test]
fn a_64_bit_file_byte_by_byte() {
    let mut toy = Toy::new(SHAPES[0], 4096, &[(0x10, 0x14, 0xffff_8880_0001_0000)], &[(0x11, 0x13)]);
    toy.meta.notes = Notes::new(note(ByteOrder::Little, b"CORE\0", 1, &[9; 4]), ByteOrder::Little);
    let bytes = toy.write(8);
    let le = |at: usize, len: usize| bytes[at..at + len].iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b));
    assert_eq!(bytes[..16], *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    let head = [(16, 2, 4), (18, 2, 62), (20, 4, 1), (24, 8, 0), (32, 8, 64), (40, 8, 0), (48, 4, 0), (52, 2, 64)];
    let rest = [(54, 2, 56), (56, 2, 2), (58, 2, 0), (60, 2, 0), (62, 2, 0)];
    let note = [(64, 4, 4), (68, 4, 0), (72, 8, 176), (80, 8, 0), (88, 8, 0), (96, 8, 24), (104, 8, 24), (112, 8, 0)];
    let load = [
        (120, 4, 1),
        (124, 4, 7),
        (128, 8, 0x200),
        (136, 8, 0xffff_8880_0001_0000),
        (144, 8, 0x10000),
        (152, 8, 0x3000),
        (160, 8, 0x4000),
        (168, 8, 0),
    ];
    for (at, len, want) in head.into_iter().chain(rest).chain(note).chain(load) {
        assert_eq!(le(at, len), want, "offset {at}");
    }
    assert_eq!(bytes[176..200], *toy.meta.notes.as_bytes());
    assert_eq!(bytes[200..0x1200], [0; 0x1200 - 200]);
    assert_eq!(bytes[0x1200..], [toy.page(Pfn(0x11)), toy.page(Pfn(0x12))].concat());
}

/// Every offset by hand: ELF32, big endian.
#[test]
fn a_32_bit_file_byte_by_byte() {
    let mut toy = Toy::new(SHAPES[3], 4096, &[(0x10, 0x14, 0xc001_0000)], &[(0x11, 0x13)]);
    toy.meta.notes = Notes::new(note(ByteOrder::Big, b"CORE\0", 1, &[9; 4]), ByteOrder::Big);
    toy.meta.erase_info = b"erase x size 9\n".to_vec();
    let bytes = toy.write(8);
    let be = |at: usize, len: usize| bytes[at..at + len].iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
    assert_eq!(bytes[..16], *b"\x7fELF\x01\x02\x01\0\0\0\0\0\0\0\0\0");
    let head = [(16, 2, 4), (18, 2, 20), (20, 4, 1), (24, 4, 0), (28, 4, 52), (32, 4, 0), (36, 4, 0), (40, 2, 52)];
    let rest = [(42, 2, 32), (44, 2, 2), (46, 2, 0), (48, 2, 0), (50, 2, 0)];
    let note = [(52, 4, 4), (56, 4, 116), (60, 4, 0), (64, 4, 0), (68, 4, 64), (72, 4, 64), (76, 4, 0), (80, 4, 0)];
    let load = [(84, 4, 1), (88, 4, 0x200), (92, 4, 0xc001_0000), (96, 4, 0x10000), (100, 4, 0x3000), (104, 4, 0x4000)];
    let tail = [(108, 4, 7), (112, 4, 0), (140, 4, 10), (144, 4, 15), (148, 4, 0)];
    for (at, len, want) in head.into_iter().chain(rest).chain(note).chain(load).chain(tail) {
        assert_eq!(be(at, len), want, "offset {at}");
    }
    assert_eq!(bytes[116..140], *toy.meta.notes.as_bytes());
    assert_eq!(bytes[152..180], *b"ERASEINFO\0\0\0erase x size 9\n\0");
    assert_eq!(bytes[0x1200..], [toy.page(Pfn(0x11)), toy.page(Pfn(0x12))].concat());
    let source = toy.open(&bytes);
    assert_eq!(source.meta().erase_info, toy.meta.erase_info);
    // written again, it has one such note still
    let mut again = toy.clone();
    (again.meta.notes, again.meta.erase_info) = (source.meta().notes.clone(), source.meta().erase_info.clone());
    assert!(again.write(8) == bytes);
}

/// A file of which only the beginning is kept; all else reads as zeros.
struct Beginning {
    head: Vec<u8>,
    len: u64,
}

impl Placer for Beginning {
    fn data(&mut self, _: usize, _: u64, _: std::ops::Range<usize>) -> Result<()> {
        unreachable!("all pages are zero")
    }

    fn index(&mut self, _: usize, offset: u64, bytes: &[u8]) -> Result<()> {
        let at = offset as usize;
        self.head.resize(self.head.len().max(at + bytes.len()), 0);
        self.head[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn zeros(&mut self, _: usize, offset: u64, len: u64) -> Result<()> {
        self.len = self.len.max(offset + len);
        Ok(())
    }

    fn can_rewrite(&self) -> bool {
        true
    }
}

impl ReadAt for Beginning {
    fn len(&self) -> Result<u64> {
        Ok(self.len)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        buf.fill(0);
        let from = self.head.len().min(offset as usize);
        let n = buf.len().min(self.head.len() - from);
        buf[..n].copy_from_slice(&self.head[from..from + n]);
        Ok(())
    }
}

fn write_zeros(toy: &Toy) -> Beginning {
    let mut file = Beginning { head: Vec::new(), len: 0 };
    let writer = Box::new(ElfWriter::new());
    let mut writer = writer.prepare(&toy.meta, &toy.ram, &toy.dumpable, &mut file).unwrap();
    let mut block = EncodedBlock::default();
    for run in toy.dumpable.runs(toy.dumpable.span()) {
        block.clear();
        block.note(run, SpanData::Zero);
        writer.place(&block, &mut file).unwrap();
    }
    writer.finish(Ending::Complete, &mut file).unwrap();
    file
}

#[test]
fn seventy_thousand_runs() {
    // one page in 257, which makes a load each; a 32-bit machine has no room for that, but may have as many segments
    let sparse: Vec<(u64, u64)> = (0..70_000).map(|i| (257 * i, 257 * i + 1)).collect();
    let wide = Toy::new(SHAPES[1], 4096, &[(0, 257 * 70_000, 0)], &sparse);
    let pieces: Vec<(u64, u64, u64)> = (0..70_000).map(|i| (2 * i, 2 * i + 1, 0)).collect();
    let all: Vec<(u64, u64)> = pieces.iter().map(|piece| (piece.0, piece.1)).collect();
    let narrow = Toy::new(SHAPES[2], 4096, &pieces, &all);
    for (toy, step, [ehdr, phdr, shdr, info]) in [(&wide, 257, [64, 56, 64, 44]), (&narrow, 2, [52, 32, 40, 28])] {
        let file = write_zeros(toy);
        let sections = ehdr + 70_001 * phdr;
        let core = ElfCore::open(file).unwrap();
        let header = *core.header();
        assert_eq!((header.phnum, header.shnum, header.shoff), (0xffff, 1, sections as u64));
        assert_eq!(usize::from(header.shentsize), shdr);
        assert!(core.damage().is_none());
        assert_eq!((core.meta().segments.len(), &core.meta().notes), (70_000, &toy.meta.notes));
        for i in [0, 1, 65_533, 69_999] {
            assert!(page_at(&core, Pfn(step * i)).is_ok() && page_at(&core, Pfn(step * i + 1)).is_err(), "{i}");
        }
        let head = write_zeros(toy).head;
        let section = &head[sections..sections + shdr];
        let count = 70_001u32;
        let count = if toy.meta.machine.order == ByteOrder::Big { count.to_be_bytes() } else { count.to_le_bytes() };
        assert!(
            section[info..info + 4] == count && section[..info].iter().chain(&section[info + 4..]).all(|b| *b == 0)
        );
        assert_eq!(head[sections + shdr..], *toy.meta.notes.as_bytes());
    }
}

#[test]
fn the_last_number_that_fits_and_the_first_that_does_not() {
    for (loads, phnum, sections) in [(65_533, 65_534, 0), (65_534, 65_535, 1)] {
        let pieces: Vec<(u64, u64, u64)> = (0..loads).map(|i| (2 * i, 2 * i + 1, 0)).collect();
        let core = ElfCore::open(write_zeros(&Toy::new(SHAPES[0], 4096, &pieces, &[(0, 1)]))).unwrap();
        assert_eq!((core.header().phnum, core.header().shnum), (phnum, sections));
        assert_eq!(core.meta().segments.len() as u64, loads);
    }
}

const FLAGS_AT: usize = 48;

#[test]
fn what_is_cut_off_reads_as_cut_off() {
    let toy = Toy::usual(SHAPES[0], 4096);
    let mut writing = toy.prepare(Outputs::default());
    (0..4).for_each(|_| assert!(writing.place_next(16, &mut toy.pages()).unwrap()));
    assert_eq!(writing.outputs.bytes(0)[FLAGS_AT], 1, "flagged until all is there");
    writing.finish(Ending::Incomplete).unwrap();
    let bytes = writing.outputs.bytes(0);
    assert_eq!(bytes[FLAGS_AT], 1);
    assert!(bytes.len() < toy.write(16).len());
    let source = toy.open(&bytes);
    assert!(source.meta().incomplete && source.damage().is_some());
    let (mut there, mut lost) = (0, 0);
    for pfn in toy.dumpable.runs(toy.dumpable.span()).flat_map(|run| run.start.0..run.end.0).map(Pfn) {
        match page_at(&source, pfn) {
            Ok(bytes) => {
                assert!(bytes == toy.page(pfn) && lost == 0, "{pfn}");
                there += 1;
            }
            Err(why) => {
                assert_eq!(why, Absence::Unreadable);
                lost += 1;
            }
        }
    }
    assert_eq!((there, lost), (64, 56));
}

/// The patch for a file that another program cut off is what the writer itself would have written.
#[test]
fn the_flag_of_an_incomplete_file() {
    for shape in SHAPES {
        let toy = Toy::usual(shape, 4096);
        let bytes = toy.write(16);
        let patch = (FORMAT.incomplete_flag.unwrap())(&bytes).unwrap();
        let mut patched = bytes.clone();
        patched[patch.offset as usize..][..patch.bytes.len()].copy_from_slice(&patch.bytes);
        assert!(toy.open(&patched).meta().incomplete && !toy.open(&bytes).meta().incomplete);
        let mut again = toy.clone();
        again.meta.incomplete = true;
        assert!(again.write(100) == patched && patch.min_len == 0, "{shape:?}");
        assert_eq!((FORMAT.incomplete_flag.unwrap())(&vec![0; 99]).unwrap_err().kind(), ErrorKind::BadMagic);
    }
}

#[test]
fn lost_pages_flag_the_dump() {
    let toy = Toy::usual(SHAPES[0], 4096);
    let whole = toy.write(16);
    for why in [Absence::Unreadable, Absence::Lost, Absence::Excluded, Absence::Hole] {
        let page = |pfn: Pfn| if [10, 1196].contains(&pfn.0) { Err(why) } else { Ok(toy.page(pfn)) };
        let bytes = toy.dump().write(Box::new(ElfWriter::new()), 16, &mut MadePages(page)).bytes(0);
        assert_eq!((bytes[FLAGS_AT], bytes.len()), (1, whole.len()));
        let source = toy.open(&bytes);
        assert_eq!([10, 11].map(|pfn| page_at(&source, Pfn(pfn))), [Ok(vec![0; 4096]), Ok(toy.page(Pfn(11)))]);
    }
}

/// There is room for the pages, but not for the zeros after them: flagged, and that is enough.
#[test]
fn no_room_at_the_end() {
    let toy = Toy::new(SHAPES[0], 4096, &[(0, 9, 0)], &[(0, 9)]); // page 8 is zero
    let room = toy.write(100).len() as u64 - 4096;
    let mut writing = toy.prepare(Outputs::of(MemoryOutput::full_at(room)));
    writing.place_all(100, &mut toy.pages()).unwrap();
    assert_eq!(writing.finish(Ending::Complete).unwrap_err().kind(), ErrorKind::NoSpace);
    writing.finish(Ending::Incomplete).unwrap();
    let bytes = writing.outputs.bytes(0);
    assert_eq!(bytes[FLAGS_AT], 1);
    assert_eq!(page_at(&toy.open(&bytes), Pfn(7)), Ok(toy.page(Pfn(7))));
}

/// Wherever the room ends, what fits reads as it should, and the rest as cut off.
#[test]
fn no_room_anywhere() {
    let toy = Toy::new(SHAPES[0], 4096, &[(0, 9, 0)], &[(0, 9)]);
    let whole = toy.write(2);
    let memory_at = whole.len() as u64 - 9 * 4096;
    for room in (memory_at..whole.len() as u64).step_by(1000) {
        let mut writing = toy.prepare(Outputs::of(MemoryOutput::full_at(room)));
        let placed = writing.place_all(2, &mut toy.pages());
        assert!(placed.is_ok() || placed.unwrap_err().kind() == ErrorKind::NoSpace);
        writing.finish(Ending::Incomplete).unwrap();
        let source = toy.open(&writing.outputs.bytes(0));
        assert!(source.meta().incomplete);
        for (pfn, page) in (0..9).map(|pfn| (pfn, page_at(&source, Pfn(pfn)))) {
            let fits = memory_at + (pfn + 1) * 4096 <= room;
            assert!(page == Ok(toy.page(Pfn(pfn))) || (!fits && page == Err(Absence::Unreadable)), "{room} {pfn}");
        }
    }
}

/// What no dump should come to: the driver checks what it promised, the writer says what it cannot place.
#[test]
fn pages_past_all_segments_are_a_bug() {
    let toy = Toy::usual(SHAPES[0], 4096);
    let mut outputs = Outputs::default();
    let writer = Box::new(ElfWriter::new());
    let mut writer = writer.prepare(&toy.meta, &toy.ram, &toy.dumpable, &mut outputs).unwrap();
    let mut block = EncodedBlock::default();
    block.note(PfnRange::at(Pfn(5000), 1), SpanData::Zero);
    assert_eq!(writer.place(&block, &mut outputs).unwrap_err().kind(), ErrorKind::Bug);
}

/// s390x maps RAM at its physical address, which begins at 0: drgn would read every piece at 0 otherwise. Elsewhere 0 says
/// that the address is not known.
#[test]
fn zero_is_a_virtual_address_on_s390x_alone() {
    for (shape, mapped) in [(SHAPES[1], true), (SHAPES[0], false)] {
        let mut toy = Toy::new(shape, 4096, &[(0, 1200, 0)], &[(0, 30), (400, 430), (1500, 1510)]);
        toy.ram.set(PfnRange::new(Pfn(1400), Pfn(1600)));
        let loads = program_headers(&toy.write(64));
        assert_eq!(loads.iter().map(|l| l.paddr >> 12).collect::<Vec<_>>(), [0, 400, 1400]);
        for load in loads {
            assert_eq!(load.vaddr, if mapped { load.paddr } else { 0 });
        }
    }
}

#[test]
fn nothing_to_dump_is_a_core_still() {
    let toy = Toy::new(SHAPES[0], 4096, &[(0, 100, 0), (200, 300, 0)], &[]);
    let bytes = toy.write(1);
    assert_eq!((bytes.len(), program_headers(&bytes).len()), (1024, 2));
    let found = check_source(&toy.open(&bytes), Pfn(400), &[3, 100]);
    assert_eq!((&found[0], &found[150]), (&Err(Absence::Excluded), &Err(Absence::Hole)));
}

/// A 32-bit machine with memory past 4 GiB has a 64-bit core, one without a 32-bit one; what is not mapped stays so.
#[test]
fn memory_past_4_gib_takes_the_64_bit_class() {
    let unmapped = u64::from(u32::MAX);
    let far = Toy::new(
        SHAPES[2],
        4096,
        &[(0, 16, 0), (1 << 20, (1 << 20) + 16, unmapped)],
        &[(0, 1), (1 << 20, (1 << 20) + 2)],
    );
    let near = Toy::new(SHAPES[2], 4096, &[(0, 16, 0), (1 << 18, (1 << 18) + 16, u64::MAX)], &[(0, 1)]);
    for (toy, class, vaddr) in [(far, WordSize::Bits64, u64::MAX), (near, WordSize::Bits32, unmapped)] {
        let bytes = toy.write(64);
        let back = ElfCore::open(bytes.clone()).unwrap();
        assert_eq!((back.header().machine.word, back.meta().machine), (class, toy.meta.machine));
        assert_eq!(program_headers(&bytes)[1].vaddr, vaddr);
        for pfn in toy.dumpable.runs(toy.dumpable.span()).flat_map(|run| run.start.0..run.end.0).map(Pfn) {
            assert_eq!(page_at(&back, pfn), written(&toy, pfn));
        }
    }
}

/// Segments in each other by the thousand, of which every other page is dumped: no more PT_LOADs than there is reason
/// for.
#[test]
fn segments_in_each_other_make_no_more_loads_than_they_are() {
    let segments: Vec<(u64, u64, u64)> = (0..2000).map(|i| (i, 100_000 - i, 0)).collect();
    let dumpable: Vec<(u64, u64)> = (2000..3000).map(|i| (i * 30, i * 30 + 1)).collect();
    let toy = Toy::new(SHAPES[0], 4096, &segments, &dumpable);
    for exact in [0, 1024] {
        let begun = std::time::Instant::now();
        let mut outputs = Outputs::default();
        let writer = Box::new(ElfWriter::exact(exact));
        writer.prepare(&toy.meta, &toy.ram, &toy.dumpable, &mut outputs).map(drop).unwrap();
        assert!(begun.elapsed() < std::time::Duration::from_secs(2));
        let loads = program_headers(&outputs.bytes(0)).len();
        assert!((2000..=16 * 3000).contains(&loads), "{loads}");
    }
}

/// A fake kernel's vmcore, filtered as makedumpfile would: text over RAM, as kexec-tools arranges it.
#[test]
fn a_fake_kernel_filtered_and_read_again() {
    let kernel = dump_synth::KernelBuilder::new(dump_synth::Era::V6_12)
        .recipe("ram 0x100..0x1000\nanon 0x300..0x380\nfree 0x400 order=9\ncache 0x390..0x3a0\nzero 0x3b0..0x3b8")
        .build();
    let source = ElfCore::open(kernel.vmcore()).unwrap();
    let kept = kernel.expected(31).kept;
    let mut toy = Toy::usual(SHAPES[0], 4096);
    toy.meta = source.meta().clone();
    (toy.ram, toy.dumpable) = (PageBitmap::new(toy.meta.end_pfn).unwrap(), PageBitmap::new(toy.meta.end_pfn).unwrap());
    source.mark_ram(&mut toy.ram).unwrap();
    kept.iter().for_each(|pfn| toy.dumpable.set(PfnRange::at(Pfn(*pfn), 1)));
    let bytes = toy.dump().write(Box::new(ElfWriter::new()), 64, source.reader().as_mut()).bytes(0);
    let back = toy.open(&bytes);
    assert_eq!((&back.meta().notes, back.meta().cpus()), (&toy.meta.notes, toy.meta.cpus()));
    assert_eq!(back.meta().segments[0].vaddr, toy.meta.segments[0].vaddr);
    for pfn in toy.meta.segments.iter().flat_map(|s| (s.paddr.0 >> 12)..((s.paddr.0 + s.bytes) >> 12)) {
        match page_at(&back, Pfn(pfn)) {
            Ok(bytes) if kept.contains(&pfn) => assert!(bytes == kernel.memory().page(pfn).unwrap(), "{pfn:#x}"),
            Ok(bytes) => assert!(is_zero(&bytes), "{pfn:#x}"),
            Err(why) => assert!(why == Absence::Excluded && !kept.contains(&pfn), "{pfn:#x}"),
        }
    }
}

proptest! {
    /// Segments out of thin air: an error, or a core that says what they said.
    #[test]
    fn any_segments(
        list in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>(), 0u32..64, 0u32..64), 0..6),
        narrow in any::<bool>(), dumped in prop::collection::vec((0u64..4000, 1u64..600), 0..4),
    ) {
        let mut toy = Toy::new(SHAPES[if narrow { 2 } else { 0 }], 4096, &[(0, 5000, 0)], &[]);
        let segment = |&(paddr, vaddr, bytes, a, b): &(u64, u64, u64, u32, u32)| Segment {
            paddr: PhysAddr(paddr >> a),
            vaddr: VirtAddr(vaddr),
            bytes: bytes >> b,
        };
        toy.meta.segments = list.iter().map(segment).collect();
        dumped.iter().for_each(|(start, len)| toy.dumpable.set(PfnRange::at(Pfn(*start), *len)));
        let mut outputs = Outputs::default();
        let writer = Box::new(ElfWriter::new());
        let mut writer = match writer.prepare(&toy.meta, &toy.ram, &toy.dumpable, &mut outputs) {
            Ok(writer) => writer,
            Err(e) => {
                prop_assert!(e.kind() == ErrorKind::Unsupported, "{}", e);
                return Ok(());
            }
        };
        for run in toy.dumpable.runs(toy.dumpable.span()) {
            let mut block = EncodedBlock::default();
            block.note(run, SpanData::Zero);
            writer.place(&block, &mut outputs).unwrap();
        }
        writer.finish(Ending::Complete, &mut outputs).unwrap();
        let bytes: u64 = toy.meta.segments.iter().map(|s| s.bytes.min(u64::MAX - s.paddr.0)).fold(0, u64::wrapping_add);
        let loads = program_headers(&outputs.bytes(0));
        let made = loads.iter().filter(|l| l.vaddr == 0 && !toy.meta.segments.iter().any(|s| s.vaddr.0 == 0));
        let made = made.map(|l| l.memsz).fold(0, u64::wrapping_add);
        prop_assert_eq!(loads.iter().map(|l| l.memsz).fold(0, u64::wrapping_add), bytes.wrapping_add(made));
    }
}
