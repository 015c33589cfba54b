//! Dumps that are cut, flipped, or made up: an error that says where, or fewer pages; never a panic.

// Lints know functions marked #[test] as tests, not what they call.
#![allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]

mod dumps;

use dump_core::*;
use dump_kit::contents;
use dump_synth::{DmpFile, DmpKind};
use dump_win::{WindowsDump, open};
use dumps::*;

fn files() -> Vec<DmpFile> {
    let file = |kind| DmpFile::new(kind, &RUNS);
    let parts = [DmpKind::Bitmap(5), DmpKind::Ranges(8), DmpKind::Ranges(10)];
    let mut files = vec![file(DmpKind::Full), file(DmpKind::Full).narrow()];
    files.extend(parts.map(|kind| file(kind).without([2, 0x41])));
    files
}

/// Pages that are right; panics where one is wrong.
fn right(dump: &WindowsDump) -> usize {
    let pages = contents(dump, END, 9);
    pages.iter().enumerate().filter(|(pfn, got)| got.as_ref().is_ok_and(|got| *got == page(*pfn as u64))).count()
}

#[test]
fn every_prefix_has_the_pages_before_the_cut() {
    for file in files() {
        let bytes = file.to_bytes(page);
        let data = bytes.len() - 4096 * file.held().len();
        let cuts = (0..data).step_by(61).chain(data - 300..data).chain((data..bytes.len()).step_by(1111));
        for cut in cuts {
            match open(bytes[..cut].to_vec()) {
                Err(e) => {
                    assert!(cut < data, "{:?} {cut:#x}: {e}", file.kind);
                    assert!([ErrorKind::Truncated, ErrorKind::BadMagic].contains(&e.kind()), "{e}");
                    assert!(!e.to_string().contains('\n') && e.to_string().contains("offset 0x"), "{e}");
                }
                Ok(dump) => {
                    assert_eq!(dump.damage().map(Error::kind), Some(ErrorKind::Truncated), "{:?} {cut:#x}", file.kind);
                    assert_eq!(right(&dump), cut.saturating_sub(data) / 4096, "{:?} {cut:#x}", file.kind);
                    // a page that is cut counts with those that are there
                    let there = dump.claim().held - dump.claim().missing;
                    assert!((right(&dump) as u64..=right(&dump) as u64 + 1).contains(&there), "{cut:#x}: {there}");
                }
            }
        }
        assert_eq!(right(&open(bytes).unwrap()), file.held().len());
    }
}

#[test]
fn every_byte_of_what_says_where_pages_are() {
    for file in files() {
        let bytes = file.to_bytes(page);
        let data = bytes.len() - 4096 * file.held().len();
        let header = if file.narrow { 0x1000 } else { 0x2000 };
        for at in (0..0x400).step_by(3).chain(0xf80..0xfd0).chain(header..data.min(header + 0x100)) {
            for bit in [0, 3, 7] {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                match open(bytes) {
                    Err(e) => assert!(!e.to_string().contains('\n'), "{e}"),
                    Ok(dump) => {
                        contents(&dump, END, 31);
                    }
                }
            }
        }
    }
}

fn with(file: &DmpFile, fields: &[(usize, u64)]) -> Result<WindowsDump> {
    let mut bytes = file.to_bytes(page);
    fields.iter().for_each(|(at, value)| bytes[*at..at + 8].copy_from_slice(&value.to_le_bytes()));
    open(bytes)
}

fn error(file: &DmpFile, fields: &[(usize, u64)]) -> String {
    with(file, fields).err().unwrap().to_string()
}

#[test]
fn memory_that_cannot_be() {
    let full = DmpFile::new(DmpKind::Full, &RUNS);
    assert_eq!(error(&full, &[(0x88, 43)]), "PhysicalMemoryBlock at offset 0x88: 43 runs, expected at most 42");
    assert!(error(&full, &[(0xa0, 1 << 60)]).contains("expected none past 0x1000000000"));
    assert!(
        error(&full, &[(0x98, u64::MAX)])
            .starts_with("run 0 at offset 0x98: 0x8 pages from page frame 0xffffffffffffffff")
    );
    assert!(error(&full, &[(0x88, 0)]).contains("has no runs of memory"));
    // what is claimed beyond the file cannot be read, and costs nothing
    let dump = with(&full, &[(0xa0, 1 << 35)]).unwrap();
    assert!(dump.claim().missing > 1 << 34 && dump.damage().is_some());
    let faults: Vec<String> =
        with(&full, &[(0x90, 5)]).unwrap().header_faults().iter().map(ToString::to_string).collect();
    assert_eq!(faults, ["PhysicalMemoryBlock at offset 0x88: 5 pages, its runs have 27"]);
    let dump = with(&full, &[(0xa8, 4)]).unwrap();
    assert!(dump.doubts_pages() && dump.header_faults()[0].to_string().contains("the first counts"));
}

#[test]
fn bitmaps_that_cannot_be() {
    let file = DmpFile::new(DmpKind::Bitmap(5), &RUNS);
    assert!(error(&file, &[(0x2000, 0)]).contains("expected SDMPDUMP or FDMPDUMP"));
    assert!(error(&file, &[(0x2020, 0x2038)]).contains("within the bitmap"));
    assert!(error(&file, &[(0x2030, 1 << 37)]).contains("expected at most 0x1000000000"));
    assert!(error(&file, &[(0x2030, 1 << 36), (0x2020, u64::MAX)]).contains("the bitmap ends at offset"));
    let dump = with(&file, &[(0x2028, 99)]).unwrap();
    assert!(dump.doubts_pages() && right(&dump) == 27);
    assert_eq!(dump.header_faults()[0].to_string(), "bitmap header at offset 0x2000: 99 pages, its bitmap has 27");
    let far = with(&file, &[(0x2020, u64::MAX - 5)]).unwrap();
    assert!(far.damage().is_some() && right(&far) == 0);
}

#[test]
fn lists_that_cannot_be() {
    let file = DmpFile::new(DmpKind::Ranges(9), &RUNS);
    assert!(error(&file, &[(0x2000, 0)]).contains("expected 0x40 RDMPDUMP"));
    assert!(error(&file, &[(0x2010, 0)]).contains("contradicts itself"));
    assert!(error(&file, &[(0x2010, 1 << 50), (0x2018, (1 << 50) + 0x2020)]).contains("list of runs at offset 0x2000"));
    assert!(error(&file, &[(0x2038, u64::MAX)]).starts_with("run at offset 0x2030"));
    let dump = with(&file, &[(0x2040, 2)]).unwrap();
    assert!(dump.doubts_pages() && dump.header_faults()[0].to_string().contains("the first counts"));
    // a page frame that became 0 ends the list before its end
    let faults = |kind: u32, field: (usize, u64)| {
        let dump = with(&DmpFile::new(DmpKind::Ranges(kind), &RUNS), &[field]).unwrap();
        assert!(dump.doubts_pages(), "{kind}");
        dump.header_faults()[0].to_string()
    };
    assert_eq!(faults(9, (0x2040, 0)), "runs at offset 0x2050, behind the one that ends their list");
    assert_eq!(faults(10, (0x2040, 0)), "list of runs at offset 0x2000: 27 pages, its runs have 8");
    assert_eq!(faults(10, (0x2028, 30)), "list of runs at offset 0x2000: 30 pages, its runs have 27");
}
