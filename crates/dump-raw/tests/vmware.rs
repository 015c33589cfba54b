//! Suspended guests of VMware, by layout.

// Lints know functions marked #[test] as tests, not what they call.
#![allow(clippy::unwrap_used)]

use dump_core::{Bytes, Container, OpenOptions, Part, Pfn, Result};
use dump_kit::{Page, check_source, contents};
use dump_raw::VMWARE;
use dump_synth::vmware::vmss;

/// Pages 0 to 2 and 16 to 19, in this order of the file: 16 and 17, 0 to 2, 18 and 19.
const REGIONS: [(u64, u64, u64); 3] = [(0, 2, 3), (16, 0, 2), (18, 5, 2)];

fn memory() -> Vec<u8> {
    (1..=7u8).flat_map(|n| vec![n; 4096]).collect()
}

fn open(files: &[Vec<u8>]) -> Result<Box<dyn Container>> {
    let part = |bytes: &Vec<u8>| Part { name: "x".to_owned(), bytes: Box::new(bytes.clone()) as Bytes };
    VMWARE.open_parts.unwrap()(files.iter().map(part).collect(), &OpenOptions::default())
}

fn firsts(pages: Vec<Page>) -> Vec<u8> {
    pages.into_iter().map(|page| page.map_or(0, |bytes| bytes[0])).collect()
}

#[test]
fn regions_of_memory_within_and_beside() {
    let mut want = vec![0; 24];
    want[..3].copy_from_slice(&[3, 4, 5]);
    want[16..20].copy_from_slice(&[1, 2, 6, 7]);
    let within = vec![vmss(&REGIONS, Some(&memory()))];
    let beside = vec![memory(), vmss(&REGIONS, None)];
    for (files, place) in [(within, "within"), (beside, "in the .vmem")] {
        let dump = open(&files).unwrap();
        assert_eq!(firsts(check_source(&dump, Pfn(24), &[1, 5])), want, "{place}");
        assert!(dump.damage().is_none());
        let details: Vec<String> = dump.details().into_iter().map(|detail| detail.text).collect();
        assert_eq!((details[0].as_str(), details[4].as_str()), (place, "2"));
        assert!(details[2].starts_with("0x10000-0x12000 at offset 0x"), "{details:?}");
    }
    let whole = open(&[vmss(&[], None), memory()]).unwrap();
    assert_eq!(firsts(contents(&whole, Pfn(8), 8)), [1, 2, 3, 4, 5, 6, 7, 0]);
    let short = open(&[vmss(&REGIONS, None), memory()[..4096 * 6].to_vec()]).unwrap();
    assert_eq!(short.damage().unwrap().to_string(), "its regions take 0x7000 bytes, 0x6000 are there");
}

#[test]
fn what_cannot_be() {
    let says = |files: &[Vec<u8>], text: &str| {
        let e = open(files).err().unwrap().to_string();
        assert!(e.contains(text), "{e}");
    };
    says(&[vmss(&REGIONS, None)], "its memory is in another file, which is not there (NAME.vmem beside");
    says(&[memory()], "no .vmss");
    says(&[vmss(&REGIONS, None), memory(), memory()], "no more files");
    says(&[vmss(&[(0, 0, 3), (2, 3, 4)], None), memory()], "overlap");
    says(&[vmss(&[(0, 0, 3), (8, 3, 0)], None), memory()], "not all are named");
    for far in [(u64::MAX, 0, 1), (0, u64::MAX, 1), (0, 0, u64::MAX)] {
        says(&[vmss(&[far], Some(&memory()))], "passes the end of all addresses");
    }
    let last = open(&[vmss(&[(0, u64::MAX >> 12, 1)], Some(&memory()))]).unwrap();
    assert!(last.damage().is_some() && contents(&last, Pfn(1), 8)[0].is_err());
    // behind 64 regions the memory begins where the last page of all offsets has no room
    let mut many: Vec<(u64, u64, u64)> = (0..64).map(|i| (i, i, 1)).collect();
    many[63].1 = u64::MAX >> 12;
    says(&[vmss(&many, Some(&memory()))], "passes the end of all addresses");
    let mut twice = vmss(&REGIONS, Some(&memory()));
    twice.copy_within(92..172, 12);
    says(&[twice], "twice");
    let mut packed = vmss(&REGIONS, Some(&memory()));
    let at = packed.windows(8).position(|bytes| bytes == b"\x3f\x06Memory").unwrap();
    packed[at] = 62;
    says(&[packed], "VMware compressed");
    let bytes = vmss(&REGIONS, Some(&memory()));
    for cut in (0..600).chain((600..bytes.len()).step_by(511)) {
        if let Ok(dump) = open(&[bytes[..cut].to_vec()]) {
            assert!(dump.damage().is_some(), "{cut}");
            contents(&dump, Pfn(24), 8);
        }
    }
    for at in 0..560 {
        for bit in [1u8, 0x40, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[at] ^= bit;
            if let Ok(dump) = open(&[bytes]) {
                contents(&dump, Pfn(24), 8);
            }
        }
    }
}
