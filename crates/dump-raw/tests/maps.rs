#![allow(clippy::unwrap_used)]

//! Bare memory with gaps, in one file or several, by what its maps say.

use dump_core::{CodecSet, Container, Content, ErrorKind, MemoryMap, Pfn, PfnRange, PhysAddr};
use dump_raw::{RAW, open_mapped, open_raw};

const PAGE: u64 = 4096;

/// Each page full of its own number, from 1 on.
fn pages(count: u8) -> Vec<u8> {
    (1..=count).flat_map(|n| vec![n; PAGE as usize]).collect()
}

fn map(text: &str) -> MemoryMap {
    text.parse().unwrap()
}

/// First byte of each page frame below `end`: None where there is none, 0xff where it cannot be read.
fn first_bytes(container: &dyn Container, end: u64) -> Vec<Option<u8>> {
    let mut out = vec![None; end as usize];
    let run = PfnRange::new(Pfn(0), Pfn(end));
    let mut push = |span: dump_core::Span<'_>| {
        for (i, pfn) in (span.pages.start.0..span.pages.end.0).enumerate() {
            out[pfn as usize] = match span.content {
                Content::Bytes(bytes) => {
                    let page = &bytes[i * PAGE as usize..(i + 1) * PAGE as usize];
                    assert!(page.iter().all(|byte| *byte == page[0]));
                    Some(page[0])
                }
                Content::Absent(dump_core::Absence::Unreadable) => Some(0xff),
                Content::Absent(_) => None,
                _ => Some(0),
            };
        }
        Ok(())
    };
    container.reader().visit(run, CodecSet::NONE, &mut push).unwrap();
    out
}

#[test]
fn a_gap_and_an_order() {
    let file = |map: MemoryMap| open_mapped(vec![(String::new(), pages(5), map)]).unwrap();
    let gap = file(map("0-0x2000,0x4000-"));
    assert_eq!(first_bytes(&gap, 8), [Some(1), Some(2), None, None, Some(3), Some(4), Some(5), None]);
    assert!(gap.damage().is_none() && gap.remarks().is_empty());
    assert_eq!(gap.details()[0].text, "0x0-0x2000,0x4000-");
    let turned = file(map("0x3000-0x5000,0-0x3000"));
    assert_eq!(first_bytes(&turned, 6), [Some(3), Some(4), Some(5), Some(1), Some(2), None]);
    let base = open_raw(pages(2), PhysAddr(0x1000)).unwrap();
    assert_eq!(first_bytes(&base, 4), [None, Some(1), Some(2), None]);
}

#[test]
fn files_shorter_and_longer_than_their_maps() {
    let short = open_mapped(vec![(String::new(), pages(3), map("0-0x2000,0x4000-0x7000"))]).unwrap();
    assert_eq!(first_bytes(&short, 8), [Some(1), Some(2), None, None, Some(3), Some(0xff), Some(0xff), None]);
    let damage = short.damage().unwrap();
    assert_eq!(damage.kind(), ErrorKind::Truncated);
    assert_eq!(damage.to_string(), "its map of memory has 0x5000 bytes, the file 0x3000");
    let long = open_mapped(vec![(String::new(), pages(3), map("0-0x2000"))]).unwrap();
    assert_eq!(first_bytes(&long, 4), [Some(1), Some(2), None, None]);
    assert!(long.damage().is_none());
    assert_eq!(long.remarks()[0].to_string(), "0x1000 bytes behind what the map of memory has are left aside");
}

#[test]
fn several_files_are_one_memory() {
    let files = |second: &str| {
        let first = ("a".to_owned(), pages(2), map("0x4000-"));
        vec![first, ("b".to_owned(), pages(3), map(second))]
    };
    let both = open_mapped(files("0-0x1000,0x2000-")).unwrap();
    assert_eq!(first_bytes(&both, 7), [Some(1), None, Some(2), Some(3), Some(1), Some(2), None]);
    // what the first file lacks is not the second's
    let mut files_short = files("0x8000-");
    files_short[0].2 = map("0-0x4000");
    let short = open_mapped(files_short).unwrap();
    assert_eq!(first_bytes(&short, 9)[..4], [Some(1), Some(2), Some(0xff), Some(0xff)]);
    assert_eq!(first_bytes(&short, 9)[8], Some(1));
    assert!(short.damage().unwrap().to_string().starts_with("a: its map"));
    let e = open_mapped(files("0x5000-")).err().unwrap();
    assert!(e.to_string().contains("overlap"), "{e}");
    let e = open_mapped(vec![("a".to_owned(), Vec::new(), map("0-"))]).err().unwrap();
    assert_eq!(e.kind(), ErrorKind::Truncated);
    assert!(open_mapped(vec![("a".to_owned(), pages(1), map("0xfffffffffffff800-"))]).is_err());
}

#[test]
fn a_file_and_its_map() {
    use dump_core::{OpenOptions, Part};
    let open = |files: usize, maps: &[&str]| {
        let options = OpenOptions { raw_maps: maps.iter().map(|text| map(text)).collect(), live: false };
        let part = |i| Part { name: format!("{i}"), bytes: Box::new(pages(1)) };
        RAW.open_parts.unwrap()((0..files).map(part).collect(), &options)
    };
    assert!(open(2, &["0-0x1000", "0x1000-"]).is_ok());
    let e = open(2, &["0-"]).err().unwrap();
    assert_eq!(
        e.to_string(),
        "2 files of raw memory and 1 maps of where they lie (each file has a map of its own, in the same order)"
    );
}
