//! Flattened ("makedumpfile -F") streams: a file as (offset, bytes) records in any order.
//!
//! | off | content |
//! |---|---|
//! | 0 | `makedumpfile`, 4 NULs; type 1 and version 1, both i64 big endian; zeros up to 4096 |
//! | 4096 | records: offset and size (i64 big endian each), then the bytes |
//! | end | a record of offset -1 and size -1 |
//!
//! Source: formats.md §2. Later records win over earlier ones where they overlap; gaps are zeros.

use crate::bytes::{Endian, Sink, Width, overlay};

/// A flattened stream to be.
#[derive(Clone, Debug, Default)]
pub struct FlatStream {
    records: Vec<(u64, Vec<u8>)>,
    unterminated: bool,
}

impl FlatStream {
    /// A stream without records.
    #[must_use]
    pub fn new() -> Self {
        FlatStream::default()
    }

    /// `file` in records of `size` bytes (the last one shorter), taken in the order `order` puts their indexes into.
    ///
    /// # Panics
    /// When `size` is 0.
    #[must_use]
    pub fn of(file: &[u8], size: usize, order: impl FnOnce(&mut Vec<usize>)) -> Self {
        let chunks: Vec<&[u8]> = file.chunks(size).collect();
        let mut indexes: Vec<usize> = (0..chunks.len()).collect();
        order(&mut indexes);
        indexes.iter().fold(FlatStream::new(), |flat, index| flat.record((index * size) as u64, chunks[*index]))
    }

    /// Adds a record.
    #[must_use]
    pub fn record(mut self, offset: u64, bytes: &[u8]) -> Self {
        self.records.push((offset, bytes.to_vec()));
        self
    }

    /// Leaves out the end marker.
    #[must_use]
    pub fn unterminated(mut self) -> Self {
        self.unterminated = true;
        self
    }

    /// The stream.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut sink = Sink::new(Endian::Big, Width::W64);
        sink.text("makedumpfile", 16);
        sink.u64(1);
        sink.u64(1);
        sink.pad_to(4096);
        for (offset, bytes) in &self.records {
            sink.u64(*offset);
            sink.u64(bytes.len() as u64);
            sink.raw(bytes);
        }
        if !self.unterminated {
            sink.u64(u64::MAX);
            sink.u64(u64::MAX);
        }
        sink.into_bytes()
    }

    /// The file the stream stands for.
    #[must_use]
    pub fn rearranged(&self) -> Vec<u8> {
        let mut file = Vec::new();
        for (offset, bytes) in &self.records {
            overlay(&mut file, *offset, bytes);
        }
        file
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_records_and_marker() {
        let bytes = FlatStream::new().record(0x1000, b"abc").to_bytes();
        assert_eq!(&bytes[..16], b"makedumpfile\0\0\0\0");
        assert_eq!(bytes[16..32], [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(bytes[32..4096], [0; 4064]);
        assert_eq!(bytes[4096..4112], [0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
        assert_eq!(&bytes[4112..4115], b"abc");
        assert_eq!(bytes[4115..], [0xff; 16]);
    }

    #[test]
    fn later_records_win() {
        let flat = FlatStream::new().record(2, b"xyz").record(0, b"ab").record(3, b"Y");
        assert_eq!(flat.rearranged(), b"abxYz");
        assert_eq!(flat.unterminated().to_bytes().len(), 4096 + 3 * 16 + 6);
    }

    #[test]
    fn a_file_in_reversed_records() {
        let flat = FlatStream::of(b"0123456789", 4, |order| order.reverse());
        assert_eq!(flat.rearranged(), b"0123456789");
        assert_eq!(&flat.to_bytes()[4096 + 16..4096 + 18], b"89");
    }
}
