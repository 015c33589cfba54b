//! Streams that dump-synth made: page for page, cut off, changed.

// Lints know functions marked #[test] as tests, not what they call.
#![allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]

use dump_core::{Bytes, Container, ErrorKind, MemoryMap, OpenOptions, Pfn, Result};
use dump_kit::{Page, check_source, contents};
use dump_migration::{LIBVIRT, MIGRATION, open_saved, packed};
use dump_synth::migration::Record;
use dump_synth::{FakeMemory, MigrationStream, libvirt_head};

/// 2 MiB of RAM; the page of address `at` is full of a byte of its own, some are zeros.
fn memory() -> FakeMemory {
    let mut memory = FakeMemory::new(&[0..0x200]);
    (0..0x200u64).filter(|pfn| pfn % 5 != 0).for_each(|pfn| memory.write(pfn * 4096, &page(pfn)));
    memory
}

fn page(pfn: u64) -> Vec<u8> {
    let mut bytes = vec![(pfn % 251) as u8 + 1; 4096];
    bytes[..8].copy_from_slice(&pfn.to_le_bytes());
    bytes[4095] = 0xaa;
    bytes
}

/// What is to be read back: no page where a graphics card's memory hides it.
fn want(memory: &FakeMemory) -> Vec<Option<Vec<u8>>> {
    (0..0x210).map(|pfn| memory.page(pfn).filter(|_| !(0xa0..0xc0).contains(&pfn))).collect()
}

fn stream() -> MigrationStream {
    MigrationStream::of(&memory(), "pc-q35-7.2", "pc.ram", &[0..0x20_0000])
}

fn open(bytes: &[u8]) -> Result<Box<dyn Container>> {
    let map: Option<&MemoryMap> = None;
    let input: Bytes = Box::new(bytes.to_vec());
    Ok(Box::new(open_saved(input, map)?))
}

fn there(pages: Vec<Page>) -> Vec<Option<Vec<u8>>> {
    pages.into_iter().map(|page| page.ok()).collect()
}

#[test]
fn each_page_is_read_back() {
    let libvirt = |format, bytes: Vec<u8>, len| [libvirt_head("pc-q35-7.2", format, true, len), bytes].concat();
    let mut old = MigrationStream { machine: None, footers: false, ..stream() };
    let saved = libvirt(0, old.to_bytes(), 500);
    old.machine = Some("pc-q35-2.1".to_owned());
    let device = Some(("timer".to_owned(), b"\x7e\0\0\0\x07\xff \x7e\0\0\0\x07\x09".to_vec()));
    let with_device = MigrationStream { device, ..stream() };
    let files = [
        ("migration", stream().to_bytes()),
        ("migration", with_device.to_bytes()),
        ("migration", old.to_bytes()),
        ("migration", stream().to_mapped(0)),
        ("libvirt", saved),
        ("libvirt", libvirt(6, stream().to_mapped(4096), 4096)),
        ("libvirt", libvirt(6, stream().to_mapped(0), 4096)), // offsets from where the stream begins
    ];
    for (i, (name, bytes)) in files.iter().enumerate() {
        let dump = open(bytes).unwrap_or_else(|e| panic!("{i}: {e}"));
        assert!(there(check_source(&dump, Pfn(0x210), &[1, 7, 64])) == want(&memory()), "{i}");
        assert_eq!((dump.describe().format, dump.describe().version), (*name, Some(3)), "{i}");
        assert!(dump.damage().is_none() && dump.remarks().is_empty(), "{i}: {:?}", dump.damage());
        let row = if *name == "libvirt" { LIBVIRT } else { MIGRATION };
        assert!((row.probe)(&bytes[..64], &OpenOptions::default()));
        assert!((row.open)(Box::new(bytes.clone()), &OpenOptions::default()).is_ok());
    }
}

#[test]
fn the_last_record_of_a_page_counts() {
    let mut changed = memory();
    let mut stream = stream();
    let again = [
        (3u64, Record::Page(page(0x1003))),
        (4, Record::Fill(0)),
        (5, Record::Page(page(0x1005))),
        (6, Record::Fill(7)),
    ];
    changed.write(3 * 4096, &page(0x1003));
    changed.write(4 * 4096, &[0; 4096]);
    changed.write(5 * 4096, &page(0x1005));
    changed.write(6 * 4096, &[7; 4096]);
    stream.sections.push(again.into_iter().map(|(pfn, record)| (0, pfn * 4096, record)).collect());
    assert!(there(check_source(&open(&stream.to_bytes()).unwrap(), Pfn(0x210), &[1, 64])) == want(&changed));
    changed.write(6 * 4096, &[0; 4096]); // a mapped-ram file has no such thing
    assert!(there(check_source(&open(&stream.to_mapped(0)).unwrap(), Pfn(0x210), &[1, 64])) == want(&changed));
}

#[test]
fn blocks_and_where_they_lie() {
    let memory = memory();
    let node = |range: std::ops::Range<u64>| {
        range.map(move |pfn| (pfn, if pfn % 5 == 0 { Record::Fill(0) } else { Record::Page(page(pfn)) }))
    };
    // the larger node comes first in a stream
    let sections = vec![
        node(0x80..0x200).map(|(pfn, record)| (1, (pfn - 0x80) * 4096, record)).collect(),
        node(0..0x80).map(|(pfn, record)| (2, pfn * 4096, record)).collect(),
        vec![(0, 0, Record::Page(page(1))), (3, 0, Record::Page(page(2)))],
    ];
    let names =
        [("0000:00:01.0/vga.vram", 0x1000), ("ram-node1", 0x18_0000), ("ram-node0", 0x8_0000), ("memdimm0", 0x1000)];
    let blocks = names.map(|(name, len)| (name.to_owned(), len)).to_vec();
    let stream = MigrationStream { blocks, sections, ..stream() };
    for bytes in [stream.to_bytes(), stream.to_mapped(0)] {
        let dump = open(&bytes).unwrap();
        assert!(there(check_source(&dump, Pfn(0x210), &[64])) == want(&memory));
        let details: Vec<String> =
            dump.details().into_iter().map(|detail| format!("{}: {}", detail.name, detail.text)).collect();
        let told = [
            "machine type: pc-q35-7.2",
            "RAM block: ram-node0 at 0x0-0x80000",
            "RAM block: ram-node1 at 0x80000-0xa0000",
            "RAM block: ram-node1 from 0x40000 on at 0xc0000-0x200000",
            "left out: 0000:00:01.0/vga.vram (0x1000 bytes), memdimm0 (0x1000 bytes)",
        ];
        assert_eq!(details, told);
        assert!(dump.remarks()[0].to_string().starts_with("memdimm0: where memory is plugged in is not in the stream"));
        // the user knows where
        let map: MemoryMap = "0x100000-0x300000,0x400000-".parse().unwrap();
        let dump = open_saved(Box::new(bytes), Some(&map)).unwrap();
        let pages = there(contents(&dump, Pfn(0x402), 64));
        assert_eq!(pages[0x400].as_deref(), Some(page(2).as_slice()));
        assert_eq!(pages[0x101].as_deref(), Some(page(1).as_slice()));
        assert_eq!((&pages[0], &pages[0x300]), (&None, &None));
        assert!(dump.remarks().is_empty());
    }
}

#[test]
fn what_is_not_read_is_named() {
    let raw = |flags, bytes: &[u8]| {
        let mut stream = stream();
        stream.sections[0].insert(20, (0, 0x5000, Record::Raw(flags, bytes.to_vec())));
        open(&stream.to_bytes()).err().map(|e| e.to_string())
    };
    for (flags, says) in [(0x40, "XBZRLE"), (0x100, "compressed by QEMU"), (0x80, "RDMA"), (0x200, "multifd")] {
        assert!(raw(flags, &[]).unwrap().contains(says), "{says}");
    }
    let mut none = stream();
    none.sections = vec![Vec::new()];
    assert!(open(&none.to_bytes()).err().unwrap().to_string().contains("multifd"));
    let unknown = MigrationStream { machine: Some("malta".to_owned()), ..stream() };
    let e = open(&unknown.to_bytes()).err().unwrap();
    assert_eq!(e.kind(), ErrorKind::MissingInfo);
    let map: MemoryMap = "0-".parse().unwrap();
    assert!(open_saved(Box::new(unknown.to_bytes()), Some(&map)).is_ok());
    assert!(open(b"QEVM\0\0\0\x02").is_err() && open(b"QEVM").is_err() && open(b"").is_err());
    for (format, says) in [(1, "gzip"), (4, "lzop")] {
        let file = [libvirt_head("pc-q35-7.2", format, true, 0), b"\x1f\x8b".to_vec()].concat();
        assert!(open(&file).err().unwrap().to_string().contains(says));
        let packed = packed(&file).unwrap().unwrap();
        assert_eq!((packed.format, packed.stream as usize + 2), (says, file.len()));
        assert_eq!(packed.head[28..32], [0; 4]);
    }
    assert!(packed(&stream().to_bytes()).unwrap().is_none() && packed(&Vec::new()).unwrap().is_none());
    let part = [libvirt_head("pc-q35-7.2", 0, false, 0), stream().to_bytes()].concat();
    let dump = open(&part).unwrap();
    assert!(dump.meta().incomplete && dump.damage().unwrap().to_string().contains("did not complete"));
}

/// Of a stream that was cut off, what came before is there.
#[test]
fn every_prefix() {
    let whole = want(&memory());
    for (mapped, bytes) in [(false, stream().to_bytes()), (true, stream().to_mapped(0))] {
        let (mut most, end) = (0, bytes.len());
        let steps = (0..400).chain((400..end).step_by(40_009)).chain(end.saturating_sub(20)..end);
        for cut in steps {
            let Ok(dump) = open(&bytes[..cut]) else {
                assert_eq!(most, 0, "{cut}: what could be opened before cannot be now");
                continue;
            };
            let pages = there(contents(&dump, Pfn(0x210), 64));
            let right = pages.iter().zip(&whole).filter(|(page, want)| page.is_some() && page == want).count();
            let wrong = pages.iter().zip(&whole).filter(|(page, want)| page.is_some() && page != want).count();
            assert!(wrong == 0 && right >= most, "{cut}: {wrong} wrong, {right} right");
            let complete = right == whole.iter().flatten().count();
            assert!(complete || dump.damage().is_some(), "{cut}");
            most = right;
        }
        assert!(most > 400 || mapped, "{most}");
    }
}

/// Bytes that were changed: an error, damage or other pages, no more.
#[test]
fn flipped_bytes() {
    for bytes in [stream().to_bytes(), stream().to_mapped(0)] {
        for at in (0..200).chain((200..bytes.len()).step_by(60_013)) {
            for bit in [0x01u8, 0x20, 0x80, 0xff] {
                let mut bytes = bytes.clone();
                bytes[at] ^= bit;
                if let Ok(dump) = open(&bytes) {
                    contents(&dump, Pfn(0x210), 64);
                    dump.claim();
                }
            }
        }
    }
}
