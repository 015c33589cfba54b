//! What is written, read back by this crate and by kdmp-parser, page for page.

// Lints know functions marked #[test] as tests, not what they call.
#![allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]

mod dumps;

use dump_core::*;
use dump_kit::{Dump, MadePages, MemoryOutput, Outputs, made_page, page_at, set_of};
use dump_synth::{DmpFile, DmpKind};
use dump_win::{DmpWriter, Header, note, open};
use dumps::*;
use kdmp_parser::{Gpa, KernelDumpParser};
use std::io::Cursor;

/// Notes with the header of a dump that dump-synth made.
fn meta(file: &DmpFile, size: PageSize) -> DumpMeta {
    let header = Header::new(&file.header()).unwrap();
    let notes = note::with_header(&Notes::empty(ByteOrder::Little), &header).unwrap();
    DumpMeta { notes, ..DumpMeta::new(header.machine(), size) }
}

fn write(meta: &DumpMeta, ram: &PageBitmap, kept: &PageBitmap) -> Vec<u8> {
    let size = meta.page_size;
    let mut pages = MadePages(|pfn| Ok(made_page(size, pfn)));
    let meta = DumpMeta { end_pfn: ram.span().end, ..meta.clone() };
    Dump { meta: &meta, ram, dumpable: kept }.write(Box::new(DmpWriter), 12, &mut pages).bytes(0)
}

/// Checks `bytes` against what was put in, by two readers.
fn check(bytes: Vec<u8>, ram: &PageBitmap, kept: &PageBitmap) {
    let ours = open(bytes.clone()).unwrap();
    assert!(ours.damage().is_none() && ours.header_faults().is_empty());
    let mut held = PageBitmap::new(kept.span().end).unwrap();
    ours.mark_held(&mut held).unwrap();
    assert!(held == *kept);
    for run in kept.runs(kept.span()) {
        (run.start.0..run.end.0).for_each(|pfn| assert!(page_at(&ours, Pfn(pfn)) == Ok(page(pfn)), "{pfn:#x}"));
    }
    assert!(ours.meta().end_pfn <= ram.span().end);
    let pages: usize = kept.count(kept.span()) as usize;
    let theirs = KernelDumpParser::with_reader(Cursor::new(bytes)).unwrap();
    assert_eq!(theirs.physmem().len(), pages);
    let mut wrong = 0;
    for run in kept.runs(kept.span()) {
        for pfn in run.start.0..run.end.0 {
            let mut got = vec![0; 4096];
            theirs.phys_read_exact(Gpa::new(pfn * 4096), &mut got).unwrap();
            wrong += usize::from(got != page(pfn));
        }
    }
    assert_eq!(wrong, 0);
}

/// As many runs of RAM, of 1 to 3 pages.
fn runs(number: u64) -> Vec<(u64, u64)> {
    (0..number).map(|i| (1 + 5 * i, 2 + 5 * i + i % 3)).collect()
}

#[test]
fn full_and_bitmap_of_few_and_many_runs() {
    let file = DmpFile::new(DmpKind::Full, &RUNS);
    for number in [1, 2, 42, 43, 5000] {
        let ram = runs(number);
        let end = ram.last().unwrap().1;
        let (ram, mut kept) = (set_of(&ram, end), set_of(&ram, end));
        let bytes = write(&meta(&file, PageSize::K4), &ram, &kept);
        assert_eq!(bytes[0xf98], if number <= 42 { 1 } else { 5 }, "{number}");
        let pages = bytes[0x90..0x98].try_into().map(u64::from_le_bytes).unwrap();
        assert_eq!((bytes[0x88].into(), pages), (number.min(42), ram.count(ram.span())));
        check(bytes, &ram, &kept);
        kept.clear(PfnRange::at(Pfn(1), 1));
        let bytes = write(&meta(&file, PageSize::K4), &ram, &kept);
        assert_eq!(bytes[0xf98], 5);
        check(bytes, &ram, &kept);
    }
}

/// What readers demand of a bitmap: see bitmap.rs.
#[test]
fn the_header_of_a_bitmap() {
    let (ram, kept) = (set_of(&[(1, 100)], 100), set_of(&[(1, 50), (60, 99)], 100));
    let bytes = write(&meta(&DmpFile::new(DmpKind::Full, &RUNS), PageSize::K4), &ram, &kept);
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    assert_eq!((&bytes[0x2000..0x2008], word(0x2020), word(0x2028), word(0x2030)), (&b"FDMPDUMP"[..], 0x3000, 88, 128));
    assert_eq!((word(0x88), word(0x90), word(0x98), word(0xa0)), (1, 99, 1, 99));
    assert_eq!((word(0xfa0), bytes.len()), (0x3000 + 88 * 4096, 0x3000 + 88 * 4096));
    // the rest of the header is the source's
    let from = DmpFile::new(DmpKind::Full, &RUNS).header();
    assert!(
        bytes[..0x88] == from[..0x88]
            && bytes[0x348..0xf98] == from[0x348..0xf98]
            && bytes[0xfa8..0x2000] == from[0xfa8..]
    );
}

/// A page far up costs its bits alone.
#[test]
fn memory_of_512_gib() {
    let end = 1 << 27;
    for last in [end - 1, end - 0x8000] {
        let (ram, kept) =
            (set_of(&[(1, 0xa0), (0x100, end)], end), set_of(&[(5, 9), (0x4_0000, 0x4_0010), (last, last + 1)], end));
        let bytes = write(&meta(&DmpFile::new(DmpKind::Full, &RUNS), PageSize::K4), &ram, &kept);
        assert!(bytes.len() < 17 << 20);
        check(bytes, &ram, &kept);
    }
}

#[test]
fn larger_pages_are_several() {
    let size = PageSize::from_bytes(65536).unwrap();
    for kept in [set_of(&[(1, 3), (5, 6)], 6), set_of(&[(1, 2), (5, 6)], 6)] {
        let ram = set_of(&[(1, 3), (5, 6)], 6);
        let bytes = write(&meta(&DmpFile::new(DmpKind::Full, &RUNS), size), &ram, &kept);
        let dump = open(bytes).unwrap();
        assert!(dump.damage().is_none() && dump.header_faults().is_empty());
        for pfn in 0..6 {
            for part in 0..16 {
                let got = page_at(&dump, Pfn(16 * pfn + part));
                let (from, to) = (4096 * part as usize, 4096 * (part as usize + 1));
                assert_eq!(got.is_ok(), kept.get(Pfn(pfn)));
                assert!(got.is_err() || got == Ok(made_page(size, Pfn(pfn))[from..to].to_vec()), "{pfn} {part}");
            }
        }
    }
}

#[test]
fn full_dumps_of_32_bit_machines_alone() {
    let file = DmpFile::new(DmpKind::Full, &RUNS).narrow();
    let ram = runs(86);
    let (ram, many) = (set_of(&ram, 500), set_of(&runs(87), 500));
    let bytes = write(&meta(&file, PageSize::K4), &ram, &ram);
    let dump = open(bytes).unwrap();
    assert!(dump.damage().is_none() && dump.header_faults().is_empty());
    ram.runs(ram.span()).for_each(|run| assert!(page_at(&dump, run.start) == Ok(page(run.start.0))));
    let refused = |ram: &PageBitmap, kept: &PageBitmap| {
        let meta = meta(&file, PageSize::K4);
        let e = Dump { meta: &meta, ram, dumpable: kept }.prepare(Box::new(DmpWriter), Outputs::default()).err();
        e.unwrap().to_string()
    };
    assert_eq!(refused(&many, &many), "a 32-bit Windows crash dump has room for 86 runs of RAM, and here are more");
    let (ram, kept) = (set_of(&[(1, 9)], 9), set_of(&[(1, 8)], 9));
    assert_eq!(refused(&ram, &kept), "a 32-bit Windows crash dump has all of RAM: 7 pages of 8");
}

#[test]
fn memory_without_a_header() {
    let (meta, ram) = (DumpMeta::new(Machine::UNKNOWN, PageSize::K4), set_of(&[(1, 9)], 9));
    let e =
        Dump { meta: &meta, ram: &ram, dumpable: &ram }.prepare(Box::new(DmpWriter), Outputs::default()).err().unwrap();
    assert_eq!(e.kind(), ErrorKind::MissingInfo);
}

/// A dump that stopped ends before what its header speaks of, and says so when it is read.
#[test]
fn one_that_stopped() {
    for kept in [set_of(&[(1, 100)], 100), set_of(&[(1, 90)], 100)] {
        let ram = set_of(&[(1, 100)], 100);
        let meta = meta(&DmpFile::new(DmpKind::Full, &RUNS), PageSize::K4);
        let mut pages = MadePages(|pfn| Ok(made_page(PageSize::K4, pfn)));
        let outputs = Outputs::of(MemoryOutput::default());
        let mut writing =
            Dump { meta: &meta, ram: &ram, dumpable: &kept }.prepare(Box::new(DmpWriter), outputs).unwrap();
        (0..4).for_each(|_| assert!(writing.place_next(12, &mut pages).unwrap()));
        writing.finish(Ending::Incomplete).unwrap();
        let dump = open(writing.outputs.bytes(0)).unwrap();
        assert_eq!(dump.damage().unwrap().kind(), ErrorKind::Truncated);
        let there = (1..100).filter(|pfn| page_at(&dump, Pfn(*pfn)) == Ok(page(*pfn))).count();
        assert_eq!(there, 48);
    }
}

/// From dump to dump, by way of the notes: what a dump has comes back with its header.
#[test]
fn a_dump_of_a_dump() {
    for kind in [DmpKind::Full, DmpKind::Bitmap(6), DmpKind::Ranges(9)] {
        let file = DmpFile::new(kind, &RUNS);
        let file = if kind == DmpKind::Full { file } else { file.without([2, 0x102]) };
        let source = open(file.to_bytes(page)).unwrap();
        let mut sets = [source.meta().end_pfn; 2].map(|end| PageBitmap::new(end).unwrap());
        source.mark_ram(&mut sets[0]).unwrap();
        source.mark_held(&mut sets[1]).unwrap();
        let write = |source: &dyn PageSource| {
            let dump = Dump { meta: source.meta(), ram: &sets[0], dumpable: &sets[1] };
            dump.write(Box::new(DmpWriter), 7, source.reader().as_mut()).bytes(0)
        };
        let first = write(&source);
        check(first.clone(), &sets[0], &sets[1]);
        assert!(write(&open(first.clone()).unwrap()) == first, "{kind:?}");
    }
}

#[test]
fn one_header_among_the_notes() {
    let header = |build: u8| {
        let mut bytes = DmpFile::new(DmpKind::Full, &RUNS).header();
        bytes[12] = build;
        Header::new(&bytes).unwrap()
    };
    let mut notes = Notes::empty(ByteOrder::Little);
    notes.push(b"CORE", &[1; 7]).unwrap();
    notes.push(b"VMCOREINFO", b"OSRELEASE=6.1\n").unwrap();
    let one = note::with_header(&notes, &header(1)).unwrap();
    assert_eq!((note::header(&one), one.iter().count()), (Some(header(1)), 3));
    let other = note::with_header(&one, &header(2)).unwrap();
    assert_eq!((note::header(&other), other.iter().count()), (Some(header(2)), 3));
    assert_eq!(other.vmcoreinfo(), Some(&b"OSRELEASE=6.1\n"[..]));
    assert_eq!(note::header(&notes), None);
}
