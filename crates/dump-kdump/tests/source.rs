//! The source on files that this crate did not write: every shape and version, odd but readable, and damaged.

#![cfg(feature = "zlib")] // the codec that most of these files use
#![allow(clippy::unwrap_used, clippy::panic)] // helpers are tests too

use std::collections::BTreeMap;

use dump_core::{
    Absence, ByteOrder, Claim, CodecId, CodecSet, Container, Damage, Error, ErrorKind, Fault, OpenOptions, PageBitmap,
    PageSize, PageSource, Pfn, PfnRange, ReadAt, Result, WordSize,
};
use dump_kdump::codec::{CODECS, Codec, ZLIB};
use dump_kdump::{FORMAT, KdumpFile};
use dump_kit::{Page, check_source, page_at};
use dump_synth::{Endian, KdumpFile as Synth, Notes, Packing, Slot, Width};
use proptest::prelude::*;

const TEXT: &str = "OSRELEASE=6.12.0-synth\nPAGESIZE=4096\n";

/// A file whose reader is watched: nobody asks for more bytes than there are, give or take a page.
struct Watched(Vec<u8>);

impl ReadAt for Watched {
    fn len(&self) -> Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        assert!(buf.len() <= self.0.len() + (256 << 10), "{} bytes at {offset:#x}", buf.len());
        self.0.read_exact_at(offset, buf)
    }
}

fn open(bytes: Vec<u8>) -> Result<KdumpFile<Watched>> {
    KdumpFile::open(Watched(bytes))
}

/// What each page below `end` holds.
fn pages(file: &dyn PageSource, end: u64) -> Vec<Page> {
    check_source(file, Pfn(end), &[7])
}

/// What is wrong with the pages of `run`.
fn faults(file: &dyn Container, run: PfnRange) -> Result<Vec<Fault>> {
    let mut found = Vec::new();
    file.checker().check(run, &mut |fault| found.push(fault))?;
    Ok(found)
}

/// What is wrong with page `pfn`, which must be something.
fn fault_at(file: &dyn Container, pfn: u64) -> (Damage, Error) {
    let fault = faults(file, PfnRange::at(Pfn(pfn), 1)).unwrap().remove(0);
    assert_eq!(fault.pages, PfnRange::at(Pfn(pfn), 1));
    (fault.damage, fault.error.unwrap())
}

fn zlib(page: &[u8]) -> Slot {
    compressed(ZLIB, 1, page)
}

fn compressed(id: CodecId, flags: u32, page: &[u8]) -> Slot {
    let mut codec = Codec::of(id).unwrap().creator().unwrap()();
    let mut out = vec![0; codec.room(page.len())];
    let len = codec.compress(page, &mut out).unwrap().unwrap();
    out.truncate(len);
    Slot::Stored(flags, out)
}

fn small() -> Synth {
    let notes = Notes::new(Endian::Little).vmcoreinfo(TEXT).into_bytes();
    Synth::new(0x100)
        .notes(notes, TEXT)
        .excluded(4..6)
        .page(2, Slot::Zero)
        .page(3, zlib(&[0xcc; 4096]))
        .page(8, Slot::Stored(0, vec![8; 4096]))
        .page(9, Slot::SameAs(3))
        .page(10, Slot::SameAs(8))
        .page(0xff, Slot::Missing)
}

fn check_small(file: &dyn PageSource) {
    let mut all: Vec<Page> = vec![Err(Absence::Hole); 0x100];
    let content: BTreeMap<usize, u8> = [(2, 0), (3, 0xcc), (8, 8), (9, 0xcc), (10, 8)].into();
    content.iter().for_each(|(pfn, byte)| all[*pfn] = Ok(vec![*byte; 4096]));
    (4..6).for_each(|pfn| all[pfn] = Err(Absence::Excluded));
    all[0xff] = Err(Absence::Lost);
    assert!(pages(file, 0x100) == all);
}

const SHAPES: [(Width, Endian, Packing); 6] = [
    (Width::W64, Endian::Little, Packing::Packed),
    (Width::W64, Endian::Big, Packing::Packed),
    (Width::W32, Endian::Little, Packing::Packed),
    (Width::W32, Endian::Little, Packing::Padded),
    (Width::W32, Endian::Big, Packing::Packed),
    (Width::W32, Endian::Big, Packing::Padded),
];

fn abi_of(width: Width, endian: Endian) -> (WordSize, ByteOrder) {
    let word = if width == Width::W64 { WordSize::Bits64 } else { WordSize::Bits32 };
    (word, if endian == Endian::Little { ByteOrder::Little } else { ByteOrder::Big })
}

#[test]
fn every_shape_and_version() {
    for (width, endian, packing) in SHAPES {
        for version in 0..=6 {
            for name in ["", "Unknown", "riscv128"] {
                let notes = Notes::new(endian).vmcoreinfo(TEXT).into_bytes();
                let mut synth = small().abi(width, endian, packing).version(version).notes(notes.clone(), TEXT);
                synth.utsname[4] = name.into();
                (synth.dump_level, synth.phys_base, synth.nr_cpus) = (17, 0x8000_0000, 4);
                synth.eraseinfo = b"erase x size 1\n".to_vec();
                let file = open(synth.to_bytes()).unwrap();
                let what = format!("{width:?} {endian:?} {packing:?} version {version} {name:?}");
                let abi = file.header().abi;
                assert_eq!((abi.word, abi.order), abi_of(width, endian), "{what}");
                check_small(&file);
                let meta = file.meta();
                assert_eq!((meta.end_pfn, meta.phys_base), (Pfn(0x100), Some(0x8000_0000)), "{what}");
                assert_eq!((meta.stated_cpus, meta.cpus()), (Some(4), 4), "{what}");
                assert_eq!(file.describe().version, Some(version), "{what}");
                assert_eq!(meta.dump_level, if version >= 1 { 17 } else { 0 }, "{what}");
                if version >= 4 {
                    assert_eq!(meta.notes.as_bytes(), notes, "{what}");
                    assert_eq!(meta.vmcoreinfo(), Some(TEXT.as_bytes()), "{what}");
                } else if version < 3 {
                    assert!(meta.notes.as_bytes().is_empty(), "{what}");
                }
                let erased = &file.meta().erase_info;
                assert_eq!(erased.is_empty(), version < 5, "{what}");
            }
        }
    }
}

/// What no reader needs still must be so: it is looked at and said, and the file stays readable.
#[test]
fn headers_that_cannot_be_are_said() {
    let notes = Notes::new(Endian::Little).vmcoreinfo(TEXT).into_bytes();
    let mut synth = small().abi(Width::W64, Endian::Little, Packing::Padded).version(6).notes(notes, TEXT);
    synth.eraseinfo = b"erase x size 1\n".to_vec();
    let whole = synth.to_bytes();
    assert!(open(whole.clone()).unwrap().check_headers().is_empty());
    // offsets within the 64-bit sub header
    for (offset, len, said) in [
        (8, 4, "dump_level -1"),
        (32, 8, "vmcoreinfo"),
        (40, 8, "vmcoreinfo"),
        (64, 8, "eraseinfo"),
        (72, 8, "eraseinfo"),
    ] {
        let mut bytes = whole.clone();
        bytes[4096 + offset..][..len].fill(0xff);
        let file = open(bytes).unwrap();
        check_small(&file);
        let wrong = file.check_headers();
        assert!(wrong.len() == 1 && wrong[0].to_string().contains(said), "{offset}: {wrong:?}");
    }
}

#[test]
fn shapes_are_told_apart_without_notes() {
    for (width, endian, packing) in SHAPES {
        for notes in [true, false] {
            let mut synth = small().abi(width, endian, packing);
            if !notes {
                synth = synth.notes(Vec::new(), "");
            }
            synth.utsname[4].clear();
            let file = open(synth.to_bytes()).unwrap();
            let padded = width == Width::W64 || packing == Packing::Padded;
            assert_eq!(file.header().abi.padded, padded, "{width:?} {endian:?} {packing:?} {notes}");
            assert_eq!(file.header().sub.max_mapnr, 0x100);
        }
    }
}

#[test]
fn page_sizes() {
    for size in [4096u32, 8192, 16384, 65536, 262_144] {
        let mut synth = Synth::new(0x40).page(5, Slot::Zero).page(6, zlib(&vec![6; size as usize]));
        synth.block_size = size;
        let file = open(synth.to_bytes()).unwrap();
        assert_eq!(file.meta().page_size, PageSize::from_bytes(u64::from(size)).unwrap());
        assert!(pages(&file, 0x40)[6] == Ok(vec![6; size as usize]));
    }
}

/// A 64-bit header whose microseconds would do as block_size of a 32-bit one.
#[test]
fn a_likely_number_in_the_wrong_place() {
    for name in ["x86_64", ""] {
        let mut synth = small();
        synth.utsname[4] = name.into();
        synth.status = 1;
        let mut bytes = synth.to_bytes();
        bytes[416..420].copy_from_slice(&65536u32.to_le_bytes());
        let file = open(bytes).unwrap();
        assert_eq!(file.header().abi.word, WordSize::Bits64);
        check_small(&file);
    }
}

#[test]
fn machines() {
    for (name, width, endian, elf) in [
        ("x86_64", Width::W64, Endian::Little, Some(62)),
        ("s390x", Width::W64, Endian::Big, Some(22)),
        ("aarch64", Width::W64, Endian::Little, Some(183)),
        ("armv7l", Width::W32, Endian::Little, Some(40)),
        ("ppc64", Width::W64, Endian::Big, Some(21)),
        ("loongarch64", Width::W64, Endian::Little, Some(258)),
        ("mips", Width::W32, Endian::Big, Some(8)),
        ("", Width::W64, Endian::Little, None),
    ] {
        let mut synth = small().abi(width, endian, Packing::Padded);
        synth.utsname[4] = name.into();
        let machine = open(synth.to_bytes()).unwrap().meta().machine;
        assert_eq!((machine.elf_machine, (machine.word, machine.order)), (elf, abi_of(width, endian)), "{name}");
    }
}

/// phys_base is always stated, for 0 is a place like any other; names and time are not known where they are 0.
#[test]
fn what_headers_leave_0() {
    let mut synth = small();
    (synth.phys_base, synth.nr_cpus) = (0, 0);
    let mut bytes = synth.to_bytes();
    bytes[12..402].fill(0);
    bytes[408..424].fill(0);
    let file = open(bytes.clone()).unwrap();
    let meta = file.meta();
    assert_eq!((meta.utsname, meta.crash_time, meta.phys_base, meta.cpus()), (None, None, Some(0), 0));
    bytes[12 + 65] = b'n'; // nodename
    bytes[408] = 7;
    let meta = open(bytes).unwrap().meta().clone();
    assert_eq!((meta.utsname.unwrap().fields[1][0], meta.crash_time), (b'n', Some(7)));
}

#[test]
fn the_status_names_the_codec() {
    for codec in CODECS {
        let mut synth = small();
        synth.status = codec.status_bit | 8;
        let file = open(synth.to_bytes()).unwrap();
        let description = file.describe();
        assert_eq!((description.format, description.codec), ("kdump", Some(codec.id)));
        assert!(file.meta().incomplete && description.part.is_none());
    }
    assert_eq!(open(small().to_bytes()).unwrap().describe().codec, None);
}

#[test]
fn one_bitmap_is_both() {
    let mut synth = Synth::new(0x100).page(3, Slot::Stored(0, vec![3; 4096])).page(7, Slot::Zero);
    synth.single_bitmap = true;
    let file = open(synth.to_bytes()).unwrap();
    let mut ram = PageBitmap::new(Pfn(0x100)).unwrap();
    file.mark_ram(&mut ram).unwrap();
    assert!(ram.get(Pfn(3)) && ram.get(Pfn(7)) && !ram.get(Pfn(4)));
    assert!(pages(&file, 0x100)[3] == Ok(vec![3; 4096]));
}

/// Version 3 has VMCOREINFO, but no notes to hold it.
#[test]
fn vmcoreinfo_outside_the_notes() {
    let synth = small().version(3);
    let mut bytes = synth.to_bytes();
    let at = synth.layout().notes as usize + 24;
    bytes[at..at + TEXT.len()].copy_from_slice(TEXT.as_bytes());
    assert_eq!(open(bytes).unwrap().meta().vmcoreinfo(), Some(TEXT.as_bytes()));
}

#[test]
fn codecs_mix_in_a_file() {
    let page: Vec<u8> = (0..4096u32).map(|i| (i / 99) as u8).collect();
    let flags = [("zlib", 1), ("lzo", 2), ("snappy", 4), ("zstd", 0x20)].map(|(name, flags)| {
        let codec = Codec::by_name(name).unwrap();
        codec.create.is_some().then_some((codec.id, flags))
    });
    let here: Vec<_> = flags.into_iter().flatten().collect();
    let mut synth = Synth::new(0x100);
    for (pfn, (id, flags)) in (10..).zip(&here) {
        synth = synth.page(pfn, compressed(*id, *flags, &page));
    }
    let all = pages(&open(synth.to_bytes()).unwrap(), 0x100);
    assert!(all[10..10 + here.len()].iter().all(|found| *found == Ok(page.clone())));
}

#[test]
fn damaged_pages_say_what_is_wrong() {
    let size = small().to_bytes().len() as i64;
    let cut = match zlib(&[1; 4096]) {
        Slot::Stored(_, bytes) => bytes[..bytes.len() - 5].to_vec(),
        _ => unreachable!(),
    };
    for (what, slot, damage, text) in [
        ("larger than a page", Slot::Raw(4096, 4097, 1), Damage::Size, "size 4097 of zlib, block_size 4096"),
        ("raw, not a page", Slot::Raw(4096, 100, 0), Damage::Size, "size 100 of an uncompressed page, block_size 4096"),
        ("empty", Slot::Raw(4096, 0, 1), Damage::Size, "size 0 of zlib"),
        ("huge", Slot::Raw(4096, u32::MAX, 0), Damage::Size, "size 4294967295"),
        ("two codecs", Slot::Raw(4096, 100, 3), Damage::Flags, "unknown flags 0x3"),
        ("past the end", Slot::Raw(size, 4096, 0), Damage::Offset, "the file ends at"),
        ("far past the end", Slot::Raw(i64::MAX, 4096, 0), Damage::Offset, "offset 0x7fffffffffffffff"),
        ("negative", Slot::Raw(-4096, 4096, 0), Damage::Offset, "offset 0xfffffffffffff000"),
        ("not zlib", Slot::Stored(1, vec![0xa5; 64]), Damage::Compressed, "64 bytes of zlib"),
        (
            "half a stream",
            Slot::Stored(1, cut.clone()),
            Damage::Compressed,
            "of zlib: cut off, or decompresses to more than a page",
        ),
        ("half a page", zlib(&[1; 2048]), Damage::Compressed, "of zlib: decompresses to less than a page"),
        ("two pages", zlib(&[1; 8192]), Damage::Compressed, "of zlib: cut off, or decompresses to more than a page"),
        ("nothing", Slot::Missing, Damage::Lost, "no offset"),
    ] {
        let file = open(small().page(7, slot).to_bytes()).unwrap();
        let (found, error) = fault_at(&file, 7);
        assert_eq!(found, damage, "{what}: {error}");
        assert!(error.to_string().contains(text), "{what}: {error}");
        assert!(error.to_string().contains("pfn 0x7"), "{what}: {error}");
        let absence = if damage == Damage::Lost { Absence::Lost } else { Absence::Unreadable };
        let all = pages(&file, 0x100);
        assert_eq!(all[7], Err(absence), "{what}");
        assert!(all[8] == Ok(vec![8; 4096]) && all[3] == Ok(vec![0xcc; 4096]), "{what}: its neighbours");
        let found = faults(&file, PfnRange::new(Pfn(0), Pfn(0x100))).unwrap();
        let found: Vec<_> = found.iter().map(|fault| fault.pages).collect();
        assert_eq!(found, [7, 0xff].map(|pfn| PfnRange::at(Pfn(pfn), 1)), "{what}");
    }
}

/// A codec left out is the build's fault, where the file is known to use it; else the page's.
#[test]
#[cfg(not(feature = "lzo"))]
fn a_codec_left_out() {
    for status in [1, 2] {
        let mut synth = small().page(7, Slot::Stored(2, vec![1; 64]));
        synth.status = status;
        let file = open(synth.to_bytes()).unwrap();
        if status == 2 {
            let e = faults(&file, PfnRange::at(Pfn(7), 1)).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Unsupported);
            assert!(e.to_string().contains("feature \"lzo\""), "{e}");
        } else {
            assert_eq!(fault_at(&file, 7).0, Damage::Compressed);
            assert_eq!(pages(&file, 0x100)[7], Err(Absence::Unreadable));
        }
    }
}

/// A medium with a bad spot: reads that touch it fail.
struct BadSpot(Vec<u8>, u64);

impl ReadAt for BadSpot {
    fn len(&self) -> Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        if (offset..offset + buf.len() as u64).contains(&self.1) {
            return Err(Error::new(ErrorKind::Io, "bad spot"));
        }
        self.0.read_exact_at(offset, buf)
    }
}

#[test]
fn a_bad_spot_costs_the_pages_on_it() {
    let mut synth = Synth::new(0x100);
    for pfn in 0x10..0x30 {
        synth = synth.page(pfn, Slot::Stored(0, vec![pfn as u8; 4096]));
    }
    let layout = synth.layout();
    let in_page = KdumpFile::open(BadSpot(synth.to_bytes(), layout.data + 5 * 4096 + 7)).unwrap();
    let all = pages(&in_page, 0x100);
    for (pfn, page) in all.iter().enumerate().take(0x30).skip(0x10) {
        let expected = if pfn == 0x15 { Err(Absence::Unreadable) } else { Ok(vec![pfn as u8; 4096]) };
        assert!(*page == expected, "{pfn:#x}");
    }
    let (damage, error) = fault_at(&in_page, 0x15);
    assert_eq!((damage, error.kind()), (Damage::Read, ErrorKind::Io));
    assert!(in_page.header_faults().is_empty());
    let in_table = KdumpFile::open(BadSpot(synth.to_bytes(), layout.descriptors + 24)).unwrap();
    for (pfn, page) in pages(&in_table, 0x100).iter().enumerate().take(0x30).skip(0x10) {
        let expected = if pfn == 0x11 { Err(Absence::Unreadable) } else { Ok(vec![pfn as u8; 4096]) };
        assert!(*page == expected, "{pfn:#x}");
    }
    let (damage, error) = fault_at(&in_table, 0x11);
    assert_eq!((damage, error.kind()), (Damage::Table, ErrorKind::Io), "{error}");
    for spot in [100, 4096 + 50, layout.bitmaps + 4096] {
        assert_eq!(KdumpFile::open(BadSpot(synth.to_bytes(), spot)).err().unwrap().kind(), ErrorKind::Io, "{spot:#x}");
    }
}

/// What the system cannot read when a file is opened is no fault of the file, and is said: nothing compared it.
#[test]
fn what_cannot_be_read_at_opening_is_said_as_that() {
    let mut synth = Synth::new(0x100);
    for pfn in 0x10..0x30 {
        synth = synth.page(pfn, Slot::Stored(0, vec![pfn as u8; 4096]));
    }
    let (layout, bytes) = (synth.layout(), synth.to_bytes());
    assert!(KdumpFile::open(bytes.clone()).unwrap().header_faults().is_empty());
    for spot in [layout.bitmaps - 1, layout.descriptors + 24, layout.data] {
        let file = KdumpFile::open(BadSpot(bytes.clone(), spot)).unwrap();
        let faults = file.header_faults();
        assert!(faults.len() == 1 && faults[0].kind() == ErrorKind::Io, "{spot:#x}: {faults:?}");
        assert!(file.damage().is_none());
    }
}

#[test]
fn headers_that_are_refused() {
    let kind = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = small().to_bytes();
        change(&mut bytes);
        open(bytes).map(drop).map_err(|e| (e.kind(), e.to_string()))
    };
    let set = |at: usize, value: u64, len: usize| {
        kind(&move |bytes: &mut Vec<u8>| bytes[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]))
    };
    let expect = |result: std::result::Result<(), (ErrorKind, String)>, kind, text: &str| {
        let (found, message) = result.unwrap_err();
        assert_eq!(found, kind, "{message}");
        assert!(message.contains(text), "{message}");
    };
    expect(kind(&|b| b[..8].copy_from_slice(b"KDUMP  x")), ErrorKind::BadMagic, "KDUMP");
    expect(kind(&|b| b[..8].copy_from_slice(b"DISKDUMP")), ErrorKind::Unsupported, "diskdump");
    expect(kind(&|b| b.truncate(0)), ErrorKind::BadMagic, "KDUMP");
    expect(kind(&|b| b.truncate(300)), ErrorKind::Truncated, "the header");
    expect(kind(&|b| b.truncate(4100)), ErrorKind::Truncated, "sub header");
    expect(kind(&|b| b.truncate(9000)), ErrorKind::Truncated, "the bitmaps");
    for block_size in [0, 1, 2048, 4097, 12288, 1 << 19, 1 << 31, u64::from(u32::MAX)] {
        expect(set(428, block_size, 4), ErrorKind::Corrupt, "block_size"); // K1
    }
    expect(set(8, u64::MAX, 4), ErrorKind::Corrupt, "header_version");
    expect(set(436, 1 << 31, 4), ErrorKind::Truncated, "the bitmaps"); // K2
    for sub_hdr_size in [0, 1 << 31, u64::from(u32::MAX)] {
        expect(set(432, sub_hdr_size, 4), ErrorKind::Corrupt, "sub_hdr_size"); // K3
    }
    expect(set(432, i32::MAX as u64, 4), ErrorKind::Truncated, "the bitmaps");
    for max_mapnr in [65537, 1 << 40, u64::MAX] {
        expect(set(4096 + 96, max_mapnr, 8), ErrorKind::Corrupt, "max_mapnr"); // K4
    }
    for (start, end) in [(5u64, 4u64), (0, 0x101), (u64::MAX, 0)] {
        // K5
        let part = kind(&|b| {
            b[4096 + 12] = 1;
            b[4096 + 80..4096 + 88].copy_from_slice(&start.to_le_bytes());
            b[4096 + 88..4096 + 96].copy_from_slice(&end.to_le_bytes());
        });
        expect(part, ErrorKind::Corrupt, "part from pfn");
    }
    for nr_cpus in [u64::from(u32::MAX), 1 << 20] {
        expect(set(460, nr_cpus, 4), ErrorKind::Corrupt, "nr_cpus"); // K6
    }
}

/// Values that contradict the others keep no page from being read, and are said.
#[test]
fn header_fields_that_contradict_each_other_are_said() {
    let whole = small().to_bytes();
    assert!(open(whole.clone()).unwrap().check_headers().is_empty());
    let text = |at: usize, value: u64, len: usize| {
        let mut bytes = whole.clone();
        bytes[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
        let file = open(bytes).unwrap();
        let faults: Vec<String> = file.header_faults().iter().map(ToString::to_string).collect();
        faults.join("; ")
    };
    let sub = 4096;
    for (at, value, len, says) in [
        (424, 0x41, 4, "main header: status has unknown bits 0x40"),
        (436, 4, 4, "main header: bitmap_blocks is 4, but max_mapnr 0x100 needs 2"),
        (440, 0x101, 4, "main header: max_mapnr is 0x101, but max_mapnr_64 0x100"),
        (sub + 56, 1 << 20, 8, "sub header: notes ends at offset"), // K7
        (sub + 56, u64::MAX, 8, "sub header: notes at offset"),
        (sub + 48, u64::MAX, 8, "sub header: notes at offset"),
        (sub + 56, 5000, 8, "main header: sub_hdr_size 1 has bitmaps at 0x2000, but notes end at"),
        (sub + 40, 1 << 40, 8, "sub header: vmcoreinfo ends at offset"),
    ] {
        let found = text(at, value, len);
        assert!(found.contains(says), "{says}: {found}");
    }
    // one block too many: what should be the bitmap of RAM lies before it
    let found = text(432, 2, 4);
    assert!(
        found.contains("sub_hdr_size 2 has bitmaps at 0x3000, but there is something else between them"),
        "{found}"
    );
}

#[test]
fn an_odd_number_of_blocks_is_no_two_bitmaps() {
    let mut bytes = small().to_bytes();
    bytes[436] = 3;
    let e = open(bytes).err().unwrap();
    assert!(e.kind() == ErrorKind::Corrupt && e.to_string().contains("bitmap_blocks 3 is odd"), "{e}");
}

#[test]
fn a_part_of_no_pages_has_no_data() {
    let mut part = small();
    part.split = Some(0..0);
    let file = open(part.to_bytes()).unwrap();
    assert!(file.header_faults()[0].to_string().contains("a part of no pages"), "{:?}", file.header_faults());
}

/// makedumpfile's field of old, where the new one was left 0.
#[test]
fn max_mapnr_of_old_counts_where_the_new_one_is_0() {
    let mut bytes = small().to_bytes();
    bytes[4096 + 96..4096 + 104].fill(0);
    let file = open(bytes).unwrap();
    assert_eq!(file.meta().end_pfn, Pfn(0x100));
    check_small(&file);
}

/// 32-bit programs with a 64-bit time_t: the timestamp is wider, all else is as it was. Names or no names.
#[test]
fn wide_timestamps_of_32_bit_programs() {
    for (packing, machine, status_at) in [(Packing::Padded, "armv7l", 424), (Packing::Packed, "i686", 420)] {
        for named in [true, false] {
            for endian in [Endian::Little, Endian::Big] {
                let mut synth = small().abi(Width::W32, endian, packing);
                synth.wide_time = true;
                synth.status = 1;
                synth.utsname[4] = if named && endian == Endian::Little { machine.into() } else { String::new() };
                let bytes = synth.to_bytes();
                let file = open(bytes.clone()).unwrap();
                let header = file.header();
                assert_eq!((header.abi.word, header.abi.padded), (WordSize::Bits32, packing == Packing::Padded));
                assert_eq!((header.main.tv_sec, header.main.status), (synth.seconds, 1));
                assert_eq!((FORMAT.incomplete_flag.unwrap())(&bytes).unwrap().offset, status_at);
                assert_eq!(header.main.encode(header.abi)[..], bytes[..header.abi.main_len()]);
                check_small(&file);
            }
        }
    }
}

/// As a stream leaves them of which a record is missing.
#[test]
fn a_sub_header_and_notes_that_were_not_written_are_said() {
    let whole = small().to_bytes();
    let size = u64::from_le_bytes(whole[4096 + 56..4096 + 64].try_into().unwrap()) as usize;
    let said = |from: usize, len: usize| {
        let mut bytes = whole.clone();
        bytes[from..from + len].fill(0);
        let file = open(bytes).unwrap();
        file.header_faults().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let faults = said(4096, 104);
    assert!(faults.iter().any(|fault| fault.starts_with("sub header: all zeros")), "{faults:?}");
    let faults = said(4096 + 104, size);
    assert!(faults.iter().any(|fault| fault.starts_with("sub header: notes at offset 0x1068")), "{faults:?}");
    assert!(said(4096 + 104, 0).is_empty());
    // a part of them
    let faults = said(4096 + 104, 16);
    assert!(faults.iter().any(|fault| fault.contains("begin with 0x10 zeros")), "{faults:?}");
    let text = whole.windows(10).position(|bytes| bytes == b"OSRELEASE=").unwrap();
    let faults = said(text + 12, 2);
    assert!(faults.iter().any(|fault| fault.contains("vmcoreinfo: 0x2 bytes of the text are zeros")), "{faults:?}");
}

/// A text that cannot be there is said once.
#[test]
fn a_text_that_ends_past_the_file_is_said_once() {
    let mut bytes = small().to_bytes();
    bytes[4096 + 40..4096 + 48].copy_from_slice(&(1u64 << 40).to_le_bytes());
    // nor are there notes
    bytes[4096 + 48..4096 + 64].fill(0);
    let file = open(bytes).unwrap();
    let said = file.header_faults().iter().filter(|fault| fault.to_string().contains("vmcoreinfo ends at offset"));
    assert_eq!(said.count(), 1, "{:?}", file.header_faults());
}

/// Headers of one word size around a kernel of the other.
#[test]
fn the_kernels_word_size_is_its_own() {
    let mut synth = small();
    synth.utsname[4] = "i686".into();
    let file = open(synth.to_bytes()).unwrap();
    assert_eq!((file.header().abi.word, file.meta().machine.word), (WordSize::Bits64, WordSize::Bits32));
    assert!(file.header_faults()[0].to_string().contains("a 32-bit Little endian machine, i686, in 64-bit"));
    check_small(&file);
}

/// makedumpfile counts the frames of 32-bit ARM from phys_base, QEMU from 0.
#[test]
fn frames_of_arm_are_counted_from_the_start_of_ram() {
    let shape = |synth: Synth| {
        let mut synth = synth.abi(Width::W32, Endian::Little, Packing::Padded);
        synth.utsname[4] = "armv7l".into();
        synth.phys_base = 0x8000_0000;
        synth
    };
    let page = |byte| Slot::Stored(0, vec![byte; 4096]);
    let base = 0x8_0000;
    let makedumpfile = shape(Synth::new(0x100)).page(3, page(3)).page(0x20, page(9)).excluded(0..2);
    let qemu =
        shape(Synth::new(base + 0x100)).page(base + 3, page(3)).page(base + 0x20, page(9)).excluded(base..base + 2);
    for synth in [makedumpfile, qemu] {
        let file = (dump_kdump::FORMAT.open)(Box::new(synth.to_bytes()), &OpenOptions::default()).unwrap();
        assert_eq!(file.meta().end_pfn, Pfn(base + 0x100));
        let pages = [0, 3, base, base + 2, base + 3, base + 0x20].map(|pfn| page_at(&file, Pfn(pfn)));
        let [zero, three, excluded, hole, low, high] = pages;
        assert_eq!(
            [zero, three, excluded, hole],
            [Absence::Hole, Absence::Hole, Absence::Excluded, Absence::Hole].map(Err)
        );
        assert_eq!([low, high], [Ok(vec![3; 4096]), Ok(vec![9; 4096])]);
        let mut held = PageBitmap::new(file.meta().end_pfn).unwrap();
        file.mark_held(&mut held).unwrap();
        let runs: Vec<_> = held.runs(held.span()).collect();
        assert_eq!(runs, [PfnRange::at(Pfn(base + 3), 1), PfnRange::at(Pfn(base + 0x20), 1)]);
        assert!(faults(file.as_ref(), PfnRange::at(Pfn(base + 3), 1)).unwrap().is_empty());
    }
}

#[test]
fn what_a_bitmap_claims_is_counted_without_reading() {
    let whole = small().to_bytes();
    let file = open(whole.clone()).unwrap();
    let held = file.claim().held;
    assert_eq!(file.claim(), Claim { held, missing: 0 });
    let table = small().layout().descriptors as usize;
    assert_eq!(open(whole[..table + 30].to_vec()).unwrap().claim(), Claim { held, missing: held - 1 });
}

/// Opens and reads all of it; whatever the file says, an error is the worst.
fn survive(bytes: Vec<u8>) -> Result<()> {
    let file = open(bytes)?;
    let mut bits = PageBitmap::new(Pfn(0x1000)).unwrap();
    file.mark_ram(&mut bits)?;
    file.mark_held(&mut bits)?;
    let end = file.meta().end_pfn.min(Pfn(0x1_0000));
    faults(&file, PfnRange::new(Pfn(0), end))?;
    let last = PfnRange::new(Pfn(file.meta().end_pfn.0.saturating_sub(100)), file.meta().end_pfn + 100);
    file.reader().visit(last, CodecSet::from(ZLIB), &mut |_| Ok(()))
}

#[test]
fn every_truncation() {
    for (width, endian, packing) in SHAPES {
        let synth = small().abi(width, endian, packing);
        let (bytes, layout) = (synth.to_bytes(), synth.layout());
        for len in (0..bytes.len()).filter(|len| len % 13 == 0 || *len as u64 >= layout.descriptors) {
            let done = survive(bytes[..len].to_vec());
            // Without its bitmaps a file is nothing; without data it is one whose pages are gone.
            assert_eq!(done.is_ok(), len as u64 >= layout.descriptors, "{len:#x} {done:?}");
        }
    }
}

#[test]
fn every_header_field_at_its_limits() {
    let values = [0u32, 1, 2, 0xfff, 0x1000, 0x4_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_f000, u32::MAX];
    for (width, endian, packing) in SHAPES {
        let synth = small().abi(width, endian, packing);
        let (bytes, layout) = (synth.to_bytes(), synth.layout());
        let table = layout.descriptors as usize;
        let fields = (400..464).chain(4096..4096 + 140).chain(table..table + 6 * 24).step_by(4);
        for at in fields {
            for value in values {
                for swapped in [value.to_le_bytes(), value.to_be_bytes()] {
                    let mut bytes = bytes.clone();
                    bytes[at..at + 4].copy_from_slice(&swapped);
                    let _ = survive(bytes);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn any_damage(
        shape in prop::sample::select(SHAPES.to_vec()),
        changes in prop::collection::vec((0usize..16_700, any::<u8>()), 1..20),
        headers in prop::collection::vec((8usize..464, any::<u8>()), 0..3),
    ) {
        let (width, endian, packing) = shape;
        let mut bytes = small().abi(width, endian, packing).to_bytes();
        for (at, byte) in changes.into_iter().chain(headers) {
            if at >= 8 {
                bytes[at] = byte;
            }
        }
        let _ = survive(bytes);
    }
}
