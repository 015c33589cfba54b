//! What the tests share: memory as a function of the address, and images of it made by hand.

// Each test binary uses its own part. Lints know functions marked #[test] as tests, not what they call.
#![allow(dead_code, clippy::unwrap_used)]

use dump_core::*;
use dump_kit::{Page, check_source};
use std::io::Write;
use std::ops::Range;

/// Physical memory, the same in all tests: zeros, text and noise by turns of 8 KiB.
pub fn byte(addr: u64) -> u8 {
    let noise = (addr.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8;
    match addr >> 13 & 3 {
        0 => 0,
        1 => b"physical memory "[(addr & 15) as usize],
        2 => (addr >> 8) as u8,
        _ => noise,
    }
}

pub fn bytes(range: Range<u64>) -> Vec<u8> {
    range.map(byte).collect()
}

/// A header by the layout that the format gives it, written down a second time; the last address is inclusive.
pub fn header(magic: &[u8; 4], version: u8, start: u64, last: u64) -> Vec<u8> {
    let mut out = magic.to_vec();
    out.extend([version, 0, 0, 0]);
    out.extend(start.to_le_bytes());
    out.extend(last.to_le_bytes());
    out.extend([0; 8]);
    out
}

pub fn lime(ranges: &[Range<u64>]) -> Vec<u8> {
    let range = |r: &Range<u64>| [header(b"EMiL", 1, r.start, r.end - 1), bytes(r.clone())].concat();
    ranges.iter().flat_map(range).collect()
}

/// As AVML does it: the snap crate's framing, then the length of what it made.
pub fn avml(ranges: &[Range<u64>]) -> Vec<u8> {
    ranges.iter().flat_map(|r| avml_range(r.start, &bytes(r.clone()))).collect()
}

pub fn avml_range(start: u64, memory: &[u8]) -> Vec<u8> {
    let mut out = header(b"AVML", 2, start, start + memory.len() as u64 - 1);
    let mut stream = snap::write::FrameEncoder::new(Vec::new());
    stream.write_all(memory).unwrap();
    let stream = stream.into_inner().unwrap();
    out.extend_from_slice(&stream);
    out.extend((stream.len() as u64).to_le_bytes());
    out
}

/// What the pages of memory in `ranges` are.
pub fn expected(ranges: &[Range<u64>], size: PageSize, end: u64) -> Vec<Page> {
    let page = |pfn: u64| {
        let (start, len) = (size.bytes_of(pfn), size.bytes());
        let mut page = vec![0; len];
        let mut held = false;
        for range in ranges {
            let (from, to) = (range.start.max(start), range.end.min(start + len as u64));
            if from < to {
                held = true;
                page[(from - start) as usize..(to - start) as usize].copy_from_slice(&bytes(from..to));
            }
        }
        if held { Ok(page) } else { Err(Absence::Hole) }
    };
    (0..end).map(page).collect()
}

/// Checks an image against memory in `ranges`, in runs of several lengths.
pub fn check_image(image: &dyn Container, ranges: &[Range<u64>], steps: &[u64]) {
    let meta = image.meta();
    let last = ranges.iter().map(|range| range.end).max().unwrap();
    assert_eq!(meta.end_pfn.0, meta.page_size.pages_for(last));
    assert_eq!((meta.machine, meta.cpus(), meta.notes.as_bytes().len()), (Machine::UNKNOWN, 0, 0));
    assert!(image.damage().is_none() && !image.states_page_size());
    let end = meta.end_pfn + 3;
    assert!(check_source(&image, end, steps) == expected(ranges, meta.page_size, end.0));
}
