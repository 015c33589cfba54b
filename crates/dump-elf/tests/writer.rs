//! The writer: what it writes is read back by the reader here and, by hand-counted offsets, without it.

// Lints know functions marked #[test] as tests, not what they call.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use dump_core::*;
use dump_elf::{ElfCore, ElfWriter};
use proptest::prelude::*;

#[test]
fn every_class_and_order_and_page_size_comes_back() {
    for shape in SHAPES {
        for size in SIZES {
            let toy = Toy::usual(shape, size);
            let (image, writer) = toy.write(32);
            assert_eq!(image.bytes.len() as u64, writer.planned_len());
            assert_eq!((writer.written_len(), writer.lost_pages()), (writer.planned_len(), 0));
            assert_eq!(writer.gap_pages(), 2 + 6 + 3 + 30);
            let source = open(&image, toy.meta.page_size);
            let meta = source.meta();
            assert_eq!((meta.machine, meta.end_pfn, meta.incomplete), (toy.meta.machine, toy.meta.end_pfn, false));
            assert_eq!((&meta.notes, meta.cpus), (&toy.meta.notes, 2));
            assert_eq!(meta.vmcoreinfo_text(), Some(OSRELEASE));
            let mut ram = PageBitmap::new(meta.end_pfn).unwrap();
            source.mark_ram(&mut ram).unwrap();
            assert!(ram == toy.ram, "{shape:?} {size}");
            for pfn in (0..toy.meta.end_pfn.0).map(Pfn) {
                let want = match pfn.0 {
                    _ if toy.dumpable.get(pfn) => Ok(toy.page(pfn)),
                    3..5 | 64..70 | 72..75 | 430..460 => Ok(vec![0; size as usize]), // gaps that stay
                    _ if toy.ram.get(pfn) => Err(Absence::Excluded),
                    _ => Err(Absence::Hole),
                };
                assert!(read(&source, pfn) == want, "{shape:?} {size} {pfn}");
            }
        }
    }
}

/// A segment keeps its virtual address, whole or cut, and the text's points into the file where RAM's has the pages.
#[test]
fn segments_keep_their_virtual_addresses() {
    let toy = Toy::usual(SHAPES[0], 4096);
    let (image, writer) = toy.write(64);
    assert_eq!(writer.loads(), 6);
    let loads = dump_elf_headers(&image);
    let pages: Vec<_> = loads.iter().map(|l| (l.paddr >> 12, l.filesz >> 12, l.memsz >> 12)).collect();
    assert_eq!(pages, [(420, 50, 60), (3, 27, 37), (64, 16, 336), (400, 70, 400), (800, 41, 390), (1190, 7, 10)]);
    let direct = |pfn: u64| 0xffff_8880_0000_0000 + (pfn << 12);
    let vaddrs: Vec<_> = loads.iter().map(|l| l.vaddr).collect();
    assert_eq!(vaddrs, [0xffff_ffff_8100_0000, direct(3), direct(64), direct(400), direct(800), direct(1190)]);
    assert_eq!(loads[0].offset, loads[3].offset + (20 << 12));
    assert!(loads.iter().all(|l| l.align == 0 && l.flags == 7));
}

fn dump_elf_headers(image: &Image) -> Vec<dump_elf::ProgramHeader> {
    let core = ElfCore::open(image.bytes.clone()).unwrap();
    let mut headers = core.header().program_headers(&image.bytes).unwrap();
    assert_eq!(headers.remove(0).kind, 4);
    headers
}

#[test]
fn blocks_of_any_size_give_the_same_bytes() {
    let toy = Toy::usual(SHAPES[0], 4096);
    let (want, _) = toy.write(1);
    for block in [2, 7, 64, 100_000] {
        assert!(toy.write(block).0.bytes == want.bytes, "{block}");
    }
}

/// What a device held before shows nowhere; and while blocks are placed, zeros come after data that lies above them.
#[test]
fn gaps_and_zero_pages_are_zeros_whatever_was_there() {
    for block in [1, 5, 1000] {
        let toy = Toy::usual(SHAPES[1], 4096);
        let (want, writer) = toy.write(block);
        let len = writer.planned_len() as usize;
        let (used, _) = toy.write_to(block, Image::used(len + 5000));
        assert!(used.bytes[..len] == want.bytes && used.bytes[len..] == [0xee; 5000], "{block}");
    }
}

/// Runs of pages are placed at once, over spans and gaps in memory that have no bytes; their order is that of the
/// pages.
#[test]
fn runs_are_placed_whole() {
    let toy = Toy::new(SHAPES[0], 4096, &[(0, 8, 0), (600, 700, 0)], &[(1, 4), (5, 8), (601, 604), (605, 606)]);
    let mut image = Image::default();
    let ones = |pfn, push: &mut dyn FnMut(Span<'_>)| {
        push(Span { pages: PfnRange::at(pfn, 1), content: Content::Bytes(&[1; 4096]) });
    };
    let mut writer = toy.place(100, Pfn(u64::MAX), &mut image, &ones).unwrap();
    writer.finish(Ending::Complete, &mut image).unwrap();
    let at = |page: u64| 0x400 + 4096 * page;
    let pages = |page, count: u64| (at(page), 4096 * count);
    let (data, zeros) = (|(at, len)| Call::Data(at, len), |(at, len)| Call::Zeros(at, len));
    assert_eq!(
        image.calls[1..],
        [
            data(pages(1, 3)),
            zeros(pages(0, 1)),
            data(pages(5, 3)),
            zeros(pages(4, 1)),
            data(pages(9, 3)),
            zeros(pages(8, 1)),
            data(pages(13, 1)),
            zeros(pages(12, 1)),
        ]
    );
    assert_eq!((image.bytes.len() as u64, writer.gap_pages()), (at(14), 4));
}

/// Every offset by hand: ELF64, little endian.
#[test]
fn a_64_bit_file_byte_by_byte() {
    let mut toy = Toy::new(SHAPES[0], 4096, &[(0x10, 0x14, 0xffff_8880_0001_0000)], &[(0x11, 0x13)]);
    toy.meta.notes = note(ByteOrder::Little, b"CORE\0", 1, &[9; 4]);
    let (image, _) = toy.write(8);
    let le = |at: usize, len: usize| image.bytes[at..at + len].iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b));
    assert_eq!(image.bytes[..16], *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
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
    assert_eq!(image.bytes[176..200], toy.meta.notes);
    assert_eq!(image.bytes[200..0x1200], [0; 0x1200 - 200]);
    assert_eq!(image.bytes[0x1200..], [toy.page(Pfn(0x11)), toy.page(Pfn(0x12))].concat());
}

/// Every offset by hand: ELF32, big endian.
#[test]
fn a_32_bit_file_byte_by_byte() {
    let mut toy = Toy::new(SHAPES[3], 4096, &[(0x10, 0x14, 0xc001_0000)], &[(0x11, 0x13)]);
    toy.meta.notes = note(ByteOrder::Big, b"CORE\0", 1, &[9; 4]);
    toy.meta.erase_info = b"erase x size 9\n".to_vec();
    let (image, _) = toy.write(8);
    let be = |at: usize, len: usize| image.bytes[at..at + len].iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
    assert_eq!(image.bytes[..16], *b"\x7fELF\x01\x02\x01\0\0\0\0\0\0\0\0\0");
    let head = [(16, 2, 4), (18, 2, 20), (20, 4, 1), (24, 4, 0), (28, 4, 52), (32, 4, 0), (36, 4, 0), (40, 2, 52)];
    let rest = [(42, 2, 32), (44, 2, 2), (46, 2, 0), (48, 2, 0), (50, 2, 0)];
    let note = [(52, 4, 4), (56, 4, 116), (60, 4, 0), (64, 4, 0), (68, 4, 64), (72, 4, 64), (76, 4, 0), (80, 4, 0)];
    let load = [(84, 4, 1), (88, 4, 0x200), (92, 4, 0xc001_0000), (96, 4, 0x10000), (100, 4, 0x3000), (104, 4, 0x4000)];
    let tail = [(108, 4, 7), (112, 4, 0), (140, 4, 10), (144, 4, 15), (148, 4, 0)];
    for (at, len, want) in head.into_iter().chain(rest).chain(note).chain(load).chain(tail) {
        assert_eq!(be(at, len), want, "offset {at}");
    }
    assert_eq!(image.bytes[116..140], toy.meta.notes);
    assert_eq!(image.bytes[152..180], *b"ERASEINFO\0\0\0erase x size 9\n\0");
    assert_eq!(image.bytes[0x1200..], [toy.page(Pfn(0x11)), toy.page(Pfn(0x12))].concat());
    let source = open(&image, PageSize::K4);
    assert_eq!(source.meta().erase_info, toy.meta.erase_info);
    // written again, it has one such note still
    let mut again = toy.clone();
    (again.meta.notes, again.meta.erase_info) = (source.meta().notes.clone(), source.meta().erase_info.clone());
    assert!(again.write(8).0.bytes == image.bytes);
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
    let (mut file, mut writer) = (Beginning { head: Vec::new(), len: 0 }, ElfWriter::new());
    writer.prepare(&toy.meta, &toy.ram, &toy.dumpable, &mut file).unwrap();
    let mut block = EncodedBlock::default();
    for run in toy.dumpable.runs(toy.dumpable.span()) {
        block.clear();
        block.note(run, SpanData::Zero);
        writer.place(&block, &mut file).unwrap();
    }
    writer.finish(Ending::Complete, &mut file).unwrap();
    assert_eq!(file.len, writer.planned_len());
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
        let source = core.into_source(PageSize::K4);
        assert_eq!((source.meta().segments.len(), &source.meta().notes), (70_000, &toy.meta.notes));
        for i in [0, 1, 65_533, 69_999] {
            assert!(read(&source, Pfn(step * i)).is_ok() && read(&source, Pfn(step * i + 1)).is_err(), "{i}");
        }
        let head = write_zeros(toy).head;
        let section = &head[sections..sections + shdr];
        let count = 70_001u32;
        let count = if toy.meta.machine.order == ByteOrder::Big { count.to_be_bytes() } else { count.to_le_bytes() };
        assert!(
            section[info..info + 4] == count && section[..info].iter().chain(&section[info + 4..]).all(|b| *b == 0)
        );
        assert_eq!(head[sections + shdr..], toy.meta.notes);
    }
}

#[test]
fn the_last_number_that_fits_and_the_first_that_does_not() {
    for (loads, phnum, sections) in [(65_533, 65_534, 0), (65_534, 65_535, 1)] {
        let pieces: Vec<(u64, u64, u64)> = (0..loads).map(|i| (2 * i, 2 * i + 1, 0)).collect();
        let core = ElfCore::open(write_zeros(&Toy::new(SHAPES[0], 4096, &pieces, &[(0, 1)]))).unwrap();
        assert_eq!((core.header().phnum, core.header().shnum), (phnum, sections));
        assert_eq!(core.into_source(PageSize::K4).meta().segments.len() as u64, loads);
    }
}

const FLAGS_AT: usize = 48;

#[test]
fn what_is_cut_off_reads_as_cut_off() {
    let toy = Toy::usual(SHAPES[0], 4096);
    let mut image = Image::default();
    let mut writer = toy.place(16, Pfn(420), &mut image, &|pfn, push| toy.bytes(pfn, push)).unwrap();
    let e = writer.finish(Ending::Complete, &mut image).unwrap_err();
    assert!(e.kind() == ErrorKind::Corrupt && e.to_string().contains("of the 120 to dump"), "{e}");
    assert_eq!(image.bytes[FLAGS_AT], 0);
    writer.finish(Ending::Incomplete, &mut image).unwrap();
    assert_eq!(image.bytes[FLAGS_AT], 1);
    assert_eq!(writer.written_len(), image.bytes.len() as u64);
    assert!(writer.written_len() < writer.planned_len());
    let source = open(&image, PageSize::K4);
    assert!(source.meta().incomplete);
    let (mut there, mut lost) = (0, 0);
    for pfn in toy.dumpable.runs(toy.dumpable.span()).flat_map(|run| run.start.0..run.end.0).map(Pfn) {
        match read(&source, pfn) {
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

#[test]
fn lost_pages_and_lost_sources_flag_the_dump() {
    let toy = Toy::usual(SHAPES[0], 4096);
    for why in [Absence::Unreadable, Absence::Lost, Absence::Excluded, Absence::Hole] {
        let mut image = Image::default();
        let content = |pfn: Pfn, push: &mut dyn FnMut(Span<'_>)| match pfn.0 {
            10 | 1196 => push(Span { pages: PfnRange::at(pfn, 1), content: Content::Absent(why) }),
            _ => toy.bytes(pfn, push),
        };
        let mut writer = toy.place(16, Pfn(u64::MAX), &mut image, &content).unwrap();
        writer.finish(Ending::Complete, &mut image).unwrap();
        assert_eq!((writer.lost_pages(), image.bytes[FLAGS_AT]), (2, 1));
        assert_eq!(image.bytes.len() as u64, writer.planned_len());
        let source = open(&image, PageSize::K4);
        assert_eq!((read(&source, Pfn(10)), read(&source, Pfn(11))), (Ok(vec![0; 4096]), Ok(toy.page(Pfn(11)))));
    }
    let mut again = toy;
    again.meta.incomplete = true;
    assert_eq!(again.write(100).0.bytes[FLAGS_AT], 1);
}

/// There is room for the pages, but not for the zeros after them: flagged, and that is enough.
#[test]
fn no_room_at_the_end() {
    let toy = Toy::new(SHAPES[0], 4096, &[(0, 9, 0)], &[(0, 9)]); // page 8 is zero
    let mut image = Image { full_after: Some(5), ..Image::default() };
    let mut writer = toy.place(100, Pfn(u64::MAX), &mut image, &|pfn, push| toy.bytes(pfn, push)).unwrap();
    assert_eq!(writer.finish(Ending::Complete, &mut image).unwrap_err().kind(), ErrorKind::NoSpace);
    writer.finish(Ending::Incomplete, &mut image).unwrap();
    assert_eq!(image.bytes[FLAGS_AT], 1);
    assert_eq!(read(&open(&image, PageSize::K4), Pfn(7)), Ok(toy.page(Pfn(7))));
}

#[test]
fn misuse_is_refused() {
    let toy = Toy::usual(SHAPES[0], 4096);
    let mut image = Image::default();
    let mut block = EncodedBlock::default();
    let mut writer = ElfWriter::new();
    assert!(writer.place(&block, &mut image).is_err() && writer.finish(Ending::Complete, &mut image).is_err());
    assert_eq!((writer.written_len(), writer.planned_len(), writer.gap_pages(), writer.loads()), (0, 0, 0, 0));
    for (start, pages, data, says) in [
        (29, 2, SpanData::Zero, "no segment"),
        (50, 1, SpanData::Zero, "no segment"),
        (5000, 1, SpanData::Zero, "no segment"),
        (10, 1, SpanData::Stored { codec: None, data: 0..8192 }, "8192 bytes"),
        (10, 3, SpanData::Stored { codec: None, data: 0..12288 }, "of a block of 8192"),
        (10, 1, SpanData::Stored { codec: Some(CodecId::Lzo), data: 0..9 }, "packed"),
    ] {
        writer.prepare(&toy.meta, &toy.ram, &toy.dumpable, &mut image).unwrap();
        block.clear();
        block.data.resize(8192, 1);
        block.note(PfnRange::at(Pfn(start), pages), data);
        let e = writer.place(&block, &mut image).unwrap_err();
        assert!(e.kind() == ErrorKind::Corrupt && e.to_string().contains(says), "{e}");
    }
    writer.prepare(&toy.meta, &toy.ram, &toy.dumpable, &mut image).unwrap();
    block.clear();
    block.note(PfnRange::at(Pfn(70), 1), SpanData::Zero);
    writer.place(&block, &mut image).unwrap();
    let e = writer.place(&block, &mut image).unwrap_err();
    assert!(e.to_string().contains("0x46..0x47: placed after those below 0x47"), "{e}");
}

#[test]
fn nothing_to_dump_is_a_core_still() {
    let toy = Toy::new(SHAPES[0], 4096, &[(0, 100, 0), (200, 300, 0)], &[]);
    let (image, writer) = toy.write(1);
    assert_eq!((image.bytes.len(), writer.loads()), (1024, 2));
    let source = open(&image, PageSize::K4);
    assert_eq!((read(&source, Pfn(0)), read(&source, Pfn(150))), (Err(Absence::Excluded), Err(Absence::Hole)));
}

#[test]
fn memory_past_4_gib_does_not_fit_a_32_bit_core() {
    let toy = Toy::new(SHAPES[2], 4096, &[(0, 16, 0), (1 << 20, (1 << 20) + 16, 0)], &[(0, 1)]);
    let e = ElfWriter::new().prepare(&toy.meta, &toy.ram, &toy.dumpable, &mut Image::default()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported);
    assert!(e.to_string().starts_with("ELF output: 0x10000 bytes of memory at 0x100000000"), "{e}");
}

/// A fake kernel's vmcore, filtered as makedumpfile would: text over RAM, as kexec-tools arranges it.
#[test]
fn a_fake_kernel_filtered_and_read_again() {
    let kernel = dump_synth::KernelBuilder::new(dump_synth::Era::V6_12)
        .recipe("ram 0x100..0x1000\nanon 0x300..0x380\nfree 0x400 order=9\ncache 0x390..0x3a0\nzero 0x3b0..0x3b8")
        .build();
    let source = ElfCore::open(kernel.vmcore()).unwrap().into_source(PageSize::K4);
    let kept = kernel.expected(31).kept;
    let mut toy = Toy::usual(SHAPES[0], 4096);
    toy.meta = source.meta().clone();
    (toy.ram, toy.dumpable) = (PageBitmap::new(toy.meta.end_pfn).unwrap(), PageBitmap::new(toy.meta.end_pfn).unwrap());
    source.mark_ram(&mut toy.ram).unwrap();
    kept.iter().for_each(|pfn| toy.dumpable.set(PfnRange::at(Pfn(*pfn), 1)));
    let mut image = Image::default();
    let content = |pfn: Pfn, push: &mut dyn FnMut(Span<'_>)| {
        let page = kernel.memory().page(pfn.0).unwrap();
        push(Span { pages: PfnRange::at(pfn, 1), content: Content::Bytes(&page) });
    };
    let mut writer = toy.place(64, Pfn(u64::MAX), &mut image, &content).unwrap();
    writer.finish(Ending::Complete, &mut image).unwrap();
    let back = open(&image, PageSize::K4);
    assert_eq!((&back.meta().notes, back.meta().cpus), (&toy.meta.notes, toy.meta.cpus));
    assert_eq!(back.meta().segments[0].vaddr, toy.meta.segments[0].vaddr);
    for pfn in toy.meta.segments.iter().flat_map(|s| (s.paddr.0 >> 12)..((s.paddr.0 + s.bytes) >> 12)) {
        match read(&back, Pfn(pfn)) {
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
        let mut toy = Toy::new(SHAPES[if narrow { 2 } else { 1 }], 4096, &[(0, 5000, 0)], &[]);
        let segment = |&(paddr, vaddr, bytes, a, b): &(u64, u64, u64, u32, u32)| Segment {
            paddr: PhysAddr(paddr >> a),
            vaddr: VirtAddr(vaddr),
            bytes: bytes >> b,
        };
        toy.meta.segments = list.iter().map(segment).collect();
        dumped.iter().for_each(|(start, len)| toy.dumpable.set(PfnRange::at(Pfn(*start), *len)));
        let (mut image, mut writer) = (Image::default(), ElfWriter::new());
        if let Err(e) = writer.prepare(&toy.meta, &toy.ram, &toy.dumpable, &mut image) {
            prop_assert!(narrow && e.kind() == ErrorKind::Unsupported, "{}", e);
            return Ok(());
        }
        for run in toy.dumpable.runs(toy.dumpable.span()) {
            let mut block = EncodedBlock::default();
            block.note(run, SpanData::Zero);
            writer.place(&block, &mut image).unwrap();
        }
        writer.finish(Ending::Complete, &mut image).unwrap();
        let bytes: u64 = toy.meta.segments.iter().map(|s| s.bytes.min(u64::MAX - s.paddr.0)).fold(0, u64::wrapping_add);
        let loads = dump_elf_headers(&image);
        let made = loads.iter().filter(|l| l.vaddr == 0 && !toy.meta.segments.iter().any(|s| s.vaddr.0 == 0));
        let made = made.map(|l| l.memsz).fold(0, u64::wrapping_add);
        prop_assert_eq!(loads.iter().map(|l| l.memsz).fold(0, u64::wrapping_add), bytes.wrapping_add(made));
    }
}
