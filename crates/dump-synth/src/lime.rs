//! LiME images: ranges of physical memory behind 32-byte headers.
//!
//! | off | field |
//! |---|---|
//! | 0 | magic 0x4c694d45, u32 little endian |
//! | 4 | version 1, u32 |
//! | 8, 16 | first and last physical address, u64 each |
//! | 24 | reserved, zero |
//!
//! Source: formats.md §8.7. AVML writes the same, in blocks of at most 16 MiB and without blocks of zeros.

use crate::bytes::{Endian, Sink, Width};
use crate::memory::{FakeMemory, PAGE_SIZE};

/// A LiME image of these (physical address, bytes) ranges, in the order given.
#[must_use]
pub fn lime(ranges: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut sink = Sink::new(Endian::Little, Width::W64);
    for (start, bytes) in ranges {
        sink.u32(0x4c69_4d45);
        sink.u32(1);
        sink.u64(*start);
        sink.u64(*start + bytes.len() as u64 - 1);
        sink.u64(0);
        sink.raw(bytes);
    }
    sink.into_bytes()
}

/// A LiME image of all of `memory`, one range for each run of RAM.
#[must_use]
pub fn lime_of(memory: &FakeMemory) -> Vec<u8> {
    let ranges: Vec<(u64, Vec<u8>)> = memory
        .ram()
        .iter()
        .map(|run| (run.start * PAGE_SIZE, memory.bytes(run.start * PAGE_SIZE, (run.end - run.start) * PAGE_SIZE)))
        .collect();
    lime(&ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_by_offset() {
        let bytes = lime(&[(0x1000, vec![7; 0x1000])]);
        assert_eq!(bytes[..8], [0x45, 0x4d, 0x69, 0x4c, 1, 0, 0, 0]);
        assert_eq!(bytes[8..16], [0, 0x10, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[16..24], [0xff, 0x1f, 0, 0, 0, 0, 0, 0]);
        assert_eq!((bytes.len(), bytes[32]), (32 + 0x1000, 7));
    }

    #[test]
    fn one_range_per_run() {
        let bytes = lime_of(&FakeMemory::new(&[0..1, 4..6]));
        assert_eq!(bytes.len(), 2 * 32 + 3 * 4096);
        assert_eq!(bytes[32 + 4096 + 8..32 + 4096 + 16], [0, 0x40, 0, 0, 0, 0, 0, 0]);
    }
}
