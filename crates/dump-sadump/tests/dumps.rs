//! Dumps that dump-synth made: page for page, cut off, changed.

// Lints know functions marked #[test] as tests, not what they call.
#![allow(clippy::unwrap_used)]

use dump_core::{Bytes, Container, ErrorKind, Machine, OpenOptions, Pfn, Result};
use dump_kit::{Page, check_source, contents};
use dump_sadump::{SADUMP, is_media_backup, open_sadump};
use dump_synth::{FakeMemory, sadump::SadumpFile};

fn memory() -> FakeMemory {
    let mut memory = FakeMemory::new(&[0..0x9f, 0x100..0x140]);
    let pfns: Vec<u64> = memory.pfns().collect();
    pfns.iter().for_each(|pfn| memory.write(pfn * 4096, &[(pfn % 251) as u8 + 1; 4096]));
    memory
}

fn want(memory: &FakeMemory) -> Vec<Option<Vec<u8>>> {
    (0..0x150).map(|pfn| memory.page(pfn)).collect()
}

fn there(pages: Vec<Page>) -> Vec<Option<Vec<u8>>> {
    pages.into_iter().map(|page| page.ok()).collect()
}

fn open(files: &[Vec<u8>]) -> Result<Box<dyn Container>> {
    let file = |(i, bytes): (usize, &Vec<u8>)| (format!("d{i}"), Box::new(bytes.clone()) as Bytes);
    Ok(Box::new(open_sadump(files.iter().enumerate().map(file).collect())?))
}

#[test]
fn each_form_is_read_back() {
    let file = SadumpFile::of(&memory());
    let old = SadumpFile { version: 0, ..file.clone() };
    let mut turned = file.disks(&[4096 * 10, 4096 * 11 + 100]);
    turned.rotate_left(1);
    let forms = [
        (vec![file.partition_bytes()], "a single partition", 1),
        (vec![old.partition_bytes()], "a single partition", 0),
        (vec![file.backup_bytes()], "a media backup", 1),
        (file.disks(&[]), "a disk set", 1),
        (file.disks(&[4096 * 10]), "a disk set", 1),
        (turned, "a disk set", 1),
    ];
    for (files, kind, version) in forms {
        let dump = open(&files).unwrap();
        assert!(there(check_source(&dump, Pfn(0x150), &[1, 7, 64])) == want(&memory()), "{kind}");
        let what = dump.describe();
        assert_eq!((what.format, what.producer, what.version), ("sadump", Some(kind), Some(version)));
        assert!(dump.damage().is_none() && dump.header_faults().is_empty(), "{:?}", dump.header_faults());
        let meta = dump.meta();
        assert_eq!(
            (Some(meta.machine), meta.cpus(), meta.crash_time),
            (Machine::by_name("x86_64"), 2, Some(1_709_209_815))
        );
        let note = meta.notes.iter().next().unwrap();
        let registers = meta.notes.desc(&note).unwrap();
        assert_eq!(registers.len(), 336);
        let register = |i: usize| u64::from_le_bytes(registers[112 + i * 8..120 + i * 8].try_into().unwrap());
        assert_eq!([10, 16, 17, 18, 19].map(register), [77, 0xffff_ffff_8100_0000, 0x10, 0x46, 0xffff_8880_1234_0000]);
        assert!(dump.details().iter().any(|detail| detail.text.contains("rip 0xffffffff81001000, page table 0x2000")));
        let probed = (SADUMP.probe)(&files[0][..64], &OpenOptions::default());
        assert!(probed || is_media_backup(&files[0]));
    }
}

#[test]
fn pages_that_were_left_out() {
    let mut file = SadumpFile::of(&memory());
    file.dumped.retain(|pfn| pfn % 3 != 0);
    file.pages = file.dumped.iter().flat_map(|pfn| memory().page(*pfn).unwrap()).collect();
    let dump = open(&[file.partition_bytes()]).unwrap();
    let pages = there(check_source(&dump, Pfn(0x150), &[64]));
    let all = want(&memory());
    assert!((0..0x150).all(|pfn| pages[pfn] == all[pfn].clone().filter(|_| pfn % 3 != 0)));
}

#[test]
fn blocks_of_another_size() {
    let file = SadumpFile { block: 8192, ..SadumpFile::of(&memory()) };
    // 0x4f pages of 8 KiB and half of one: as many as there are bytes for
    let file = SadumpFile { dumped: (0..8).collect(), ram: (0..8).collect(), max_mapnr: 0x80, ..file };
    for bytes in [file.partition_bytes(), file.disks(&[]).remove(0)] {
        let dump = open(&[bytes]).unwrap();
        assert_eq!(dump.meta().page_size.bytes(), 8192);
        let pages = there(check_source(&dump, Pfn(0x80), &[3]));
        assert_eq!(pages[1].as_ref().unwrap()[..4096], [3; 4096]);
        assert!(pages[8].is_none() && dump.header_faults().is_empty());
    }
}

#[test]
fn disks_of_other_sets() {
    let file = SadumpFile::of(&memory());
    let disks = file.disks(&[4096 * 10, 4096 * 50]);
    let says = |files: &[Vec<u8>], text: &str| {
        let e = open(files).err().unwrap().to_string();
        assert!(e.contains(text), "{e}");
    };
    says(&disks[1..], "disk 2 of a disk set where disk 1 is wanted (all disks of a set are given together)");
    says(&[disks[0].clone(), disks[2].clone()], "d1: disk 3 of a disk set where disk 2 is wanted");
    says(&[disks[0].clone(), disks[0].clone()], "disk 1 of a disk set where disk 2");
    says(&[file.partition_bytes(), file.partition_bytes()], "no disk of a disk set");
    let mut other = disks[1].clone();
    other[104] ^= 1;
    says(&[disks[0].clone(), other], "another disk set");
    let lone = open(&disks[..1]).unwrap();
    assert_eq!(lone.damage().unwrap().to_string(), "a set of 3 disks, of which 1 are given");
    let pages = there(contents(&lone, Pfn(0x150), 64));
    assert_eq!(pages.iter().flatten().count(), 10);
}

#[test]
fn every_prefix_and_flipped_fields() {
    let bytes = SadumpFile::of(&memory()).partition_bytes();
    let (whole, mut most) = (want(&memory()), 0);
    for cut in (0..40_000).step_by(257).chain((40_000..bytes.len()).step_by(4096 + 1)) {
        match open(&[bytes[..cut].to_vec()]) {
            Err(e) => {
                assert!(most == 0 && matches!(e.kind(), ErrorKind::Truncated | ErrorKind::BadMagic), "{cut}: {e}")
            }
            Ok(dump) => {
                let pages = there(contents(&dump, Pfn(0x150), 64));
                assert!(pages.iter().zip(&whole).all(|(page, want)| page.is_none() || page == want), "{cut}");
                let count = pages.iter().flatten().count();
                assert!(count >= most && dump.damage().is_some(), "{cut}");
                most = count;
            }
        }
    }
    assert!(most > 200, "{most}");
    // headers are at 0 and 4096, the sub header at 8192
    for at in (0..200).chain(4096..4096 + 120).chain(8192..8300) {
        for bit in [0x01u8, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[at] ^= bit;
            if let Ok(dump) = open(&[bytes]) {
                contents(&dump, Pfn(0x150), 64);
            }
        }
    }
    let mut none = SadumpFile::of(&memory());
    none.cpus.clear();
    let dump = open(&[none.partition_bytes()]).unwrap();
    assert!(dump.header_faults()[0].to_string().contains("0 processors") && dump.meta().cpus() == 0);
    assert!(there(contents(&dump, Pfn(0x150), 64)) == whole);
}
