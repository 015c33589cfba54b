//! Framed snappy: chunks of at most 64 KiB of memory, each compressed on its own and with a checksum.
//!
//! | off | type | field of a chunk |
//! |---|---|---|
//! | 0 | u8 | 0xff stream identifier, 0 compressed data, 1 data as they are, 0xfe and 0x80..=0xfd to be passed over |
//! | 1 | u24 | length of what follows (bytes), little endian |
//! | 4 | u32 | data only: masked CRC-32C of the decompressed bytes |
//! | 8 | | data only; compressed ones begin with their decompressed length, a varint |
//!
//! So a stream need not be decompressed from its start: its chunks say how much memory they hold, and passing over one
//! is reading its first 13 bytes. The snap crate decompresses them and knows the checksum. Source: google/snappy,
//! framing_format.txt.

use dump_core::{Error, ErrorKind, ReadAt, Result};
use snap::read::FrameDecoder;
use std::io::{Cursor, Read};
use std::ops::Range;

/// What every stream begins with: a chunk of its own.
const IDENTIFIER: &[u8; 10] = b"\xff\x06\x00\x00sNaPpY";

/// Type and length.
const CHUNK_HEADER: u64 = 4;

/// Bytes of a chunk that say all about it: type, length, checksum, and a varint of five bytes.
const PEEK: usize = 13;

/// Decompressed bytes that a chunk may have.
const MAX_MEMORY: u64 = 1 << 16;

/// Compressed bytes that a chunk may have: snappy makes n bytes 32 + n + n/6 at worst.
const MAX_COMPRESSED: u64 = 32 + MAX_MEMORY + MAX_MEMORY / 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Identifier,
    Data,
    Skipped,
}

/// A chunk of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub kind: Kind,
    /// Where in the file (bytes).
    pub at: u64,
    /// How long it is there, with its header (bytes).
    pub len: u64,
    /// How much memory it holds (bytes), 64 KiB at most; 0 where it is no data.
    pub memory: u64,
}

impl Chunk {
    /// Reads what the chunk at `at` says about itself.
    ///
    /// # Errors
    /// `Truncated` if the file ends within the chunk, `Corrupt` if it is none that may be there, or too long.
    pub fn read(input: &dyn ReadAt, at: u64) -> Result<Chunk> {
        Chunk::decode(input, at).map_err(|e| e.within(format_args!("snappy chunk at offset {at:#x}")))
    }

    fn decode(input: &dyn ReadAt, at: u64) -> Result<Chunk> {
        let file_len = input.len()?;
        let mut peek = [0; PEEK];
        let there = usize::try_from(file_len.saturating_sub(at)).unwrap_or(PEEK).min(PEEK);
        let peek = peek.get_mut(..there).unwrap_or_default();
        input.read_exact_at(at, peek)?;
        let [kind, a, b, c, body @ ..] = &*peek else {
            return Err(Error::truncated("its header", at.saturating_add(CHUNK_HEADER), file_len));
        };
        let body_len = u64::from(u32::from_le_bytes([*a, *b, *c, 0]));
        let end = at + CHUNK_HEADER + body_len;
        if end > file_len {
            return Err(Error::truncated("it", end, file_len));
        }
        let (kind, memory) = meaning(*kind, body_len, body)?;
        Ok(Chunk { kind, at, len: CHUNK_HEADER + body_len, memory })
    }
}

/// What a chunk is and how much memory it holds; `body` is the first of its `len` bytes, or a few past them.
fn meaning(kind: u8, len: u64, body: &[u8]) -> Result<(Kind, u64)> {
    let bad = |what: String| Err(Error::corrupt(what));
    match kind {
        0xff if len == 6 && body.starts_with(&IDENTIFIER[4..]) => Ok((Kind::Identifier, 0)),
        0xff => bad("no stream identifier".to_owned()),
        0x00 if (5..=4 + MAX_COMPRESSED).contains(&len) => {
            let decompressed =
                snap::raw::decompress_len(body.get(4..).unwrap_or_default()).map_or(u64::MAX, |n| n as u64);
            match decompressed {
                ..=MAX_MEMORY => Ok((Kind::Data, decompressed)),
                _ => bad(format!("it does not decompress to at most {MAX_MEMORY} bytes")),
            }
        }
        0x01 if (4..=4 + MAX_MEMORY).contains(&len) => Ok((Kind::Data, len - 4)),
        0x00 | 0x01 => bad(format!("{len} bytes of data, which is too short or too long")),
        0x80..=0xfe => Ok((Kind::Skipped, 0)),
        _ => bad(format!("unknown type {kind:#x}")),
    }
}

/// Decompresses chunks, one at a time, and keeps the last that was wanted in part: pages come one after the other, and
/// there are 16 in a chunk. About 280 KiB of buffers.
pub(crate) struct Decompressor {
    decoder: FrameDecoder<Cursor<Vec<u8>>>,
    chunk: Vec<u8>,
    /// Which physical addresses `chunk` holds.
    held: Range<u64>,
}

impl Decompressor {
    pub fn new() -> Decompressor {
        Decompressor { decoder: FrameDecoder::new(Cursor::new(Vec::new())), chunk: Vec::new(), held: 0..0 }
    }

    /// Whether the memory at `addr` need not be decompressed any more.
    fn holds(&self, addr: u64) -> bool {
        self.held.contains(&addr)
    }

    /// Fills `out` with the memory from `addr` on, out of the chunks from file offset `at` on, which hold the memory
    /// from `start` on.
    ///
    /// # Errors
    /// If a chunk cannot be read or its checksum is wrong. The decompressor is of no further use then.
    pub fn read(&mut self, input: &dyn ReadAt, at: u64, start: u64, addr: u64, out: &mut [u8]) -> Result<()> {
        let (mut at, mut start) = (at, start);
        let (mut addr, mut out) = (addr, out);
        if self.holds(addr) {
            (addr, out) = self.copy(addr, out);
        }
        while !out.is_empty() {
            let chunk = Chunk::read(input, at)?;
            let end = start.saturating_add(chunk.memory);
            match usize::try_from(chunk.memory).unwrap_or(usize::MAX) {
                _ if end <= addr => {}
                whole if start == addr && whole <= out.len() => {
                    let (now, later) = out.split_at_mut(whole);
                    decompress(&mut self.decoder, input, chunk, now)?;
                    (addr, out) = (end, later);
                }
                part => {
                    self.held = 0..0;
                    self.chunk.resize(part, 0);
                    decompress(&mut self.decoder, input, chunk, &mut self.chunk)?;
                    self.held = start..end;
                    (addr, out) = self.copy(addr, out);
                }
            }
            (at, start) = (at + chunk.len, end);
        }
        Ok(())
    }

    /// Copies what `chunk` has of the memory at `addr`; returns what is left to do.
    fn copy<'a>(&self, addr: u64, out: &'a mut [u8]) -> (u64, &'a mut [u8]) {
        let from = usize::try_from(addr - self.held.start).unwrap_or(usize::MAX);
        let bytes = self.chunk.get(from..).unwrap_or_default();
        let (now, later) = out.split_at_mut(bytes.len().min(out.len()));
        now.copy_from_slice(&bytes[..now.len()]);
        (addr + now.len() as u64, later)
    }
}

/// Decompresses a chunk to `out`, which is as long as the memory it holds.
fn decompress(
    decoder: &mut FrameDecoder<Cursor<Vec<u8>>>,
    input: &dyn ReadAt,
    chunk: Chunk,
    out: &mut [u8],
) -> Result<()> {
    let compressed = decoder.get_mut();
    compressed.set_position(0);
    let bytes = compressed.get_mut();
    bytes.clear();
    bytes.extend_from_slice(IDENTIFIER); // the decoder wants to have seen it once, and does not mind seeing it again
    bytes.resize(IDENTIFIER.len() + usize::try_from(chunk.len).unwrap_or(0), 0);
    input.read_exact_at(chunk.at, &mut bytes[IDENTIFIER.len()..])?;
    decoder.read_exact(out).map_err(|e| {
        let what = format!("snappy chunk at offset {:#x}: {e}", chunk.at);
        Error::new(ErrorKind::Corrupt, what)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn bytes(len: usize) -> Vec<u8> {
        (0..len).map(|i| if i % 7 == 0 { i.wrapping_mul(i) as u8 } else { (i >> 9) as u8 }).collect()
    }

    fn framed(memory: &[u8]) -> Vec<u8> {
        let mut out = snap::write::FrameEncoder::new(Vec::new());
        out.write_all(memory).unwrap();
        out.into_inner().unwrap()
    }

    fn chunks(stream: &[u8]) -> Vec<Chunk> {
        let (input, mut at, mut out) = (stream.to_vec(), 0, Vec::new());
        while at < stream.len() as u64 {
            let chunk = Chunk::read(&input, at).unwrap();
            at += chunk.len;
            out.push(chunk);
        }
        out
    }

    #[test]
    fn chunks_say_their_lengths() {
        let mut stream = framed(&bytes(150_000));
        stream.extend(b"\xfe\x03\x00\x00pad\x80\x00\x00\x00");
        stream.extend([1, 7, 0, 0, 1, 2, 3, 4, 5, 6, 7]);
        let seen: Vec<_> = chunks(&stream).iter().map(|chunk| (chunk.kind, chunk.memory)).collect();
        let data = |memory| (Kind::Data, memory);
        let skip = (Kind::Skipped, 0);
        let want = [(Kind::Identifier, 0), data(65536), data(65536), data(150_000 - 131_072), skip, skip, data(3)];
        assert_eq!(seen, want);
    }

    #[test]
    fn chunks_that_may_not_be() {
        let long = |kind: u8, len: u32| {
            let mut out = len.to_le_bytes().to_vec();
            out.insert(0, kind);
            out.truncate(4);
            out.resize(4 + len as usize, 0);
            out
        };
        let compressed = |varint: &[u8]| [&[0, 9, 0, 0, 0, 0, 0, 0], varint, &[0; 5]].concat();
        for (bytes, kind) in [
            (vec![], ErrorKind::Truncated),
            (vec![0xff, 6, 0], ErrorKind::Truncated),
            (vec![0xff, 6, 0, 0, b's'], ErrorKind::Truncated),
            (b"\xff\x06\x00\x00sNaPpy".to_vec(), ErrorKind::Corrupt),
            (b"\xff\x07\x00\x00sNaPpY!".to_vec(), ErrorKind::Corrupt),
            (long(0, 4), ErrorKind::Corrupt),
            (long(0, 76_495), ErrorKind::Corrupt),
            (long(1, 3), ErrorKind::Corrupt),
            (long(1, 65_541), ErrorKind::Corrupt),
            (long(2, 9), ErrorKind::Corrupt),
            (long(0x7f, 9), ErrorKind::Corrupt),
            (compressed(&[0x81, 0x80, 0x04]), ErrorKind::Corrupt),
            (compressed(&[0xff, 0xff, 0xff, 0xff, 0xff]), ErrorKind::Corrupt),
        ] {
            let e = Chunk::read(&bytes, 0).unwrap_err();
            assert_eq!(e.kind(), kind, "{:?}: {e}", bytes.get(..12));
            assert!(e.to_string().contains("at offset 0x0"), "{e}");
        }
        assert_eq!(Chunk::read(&compressed(&[0x80, 0x80, 0x04]), 0).unwrap().memory, 65536);
    }

    #[test]
    fn any_part_can_be_had() {
        let memory = bytes(300_000);
        let mut stream = framed(&memory[..100_000]);
        stream.extend(b"\xfe\x03\x00\x00pad");
        stream.extend(framed(&memory[100_000..])); // with an identifier in the middle, as the format allows
        let mut decompressor = Decompressor::new();
        for (from, len) in [(0, 300_000), (0, 1), (299_999, 1), (65_535, 2), (65_536, 65_536), (1000, 200_000)] {
            let mut out = vec![0xee; len];
            decompressor.read(&stream, 0, 7000, 7000 + from as u64, &mut out).unwrap();
            assert!(out == memory[from..from + len], "{from} {len}");
        }
        // What is held needs no file.
        let mut out = [0; 10];
        assert!(decompressor.holds(7000 + 200_990) && !decompressor.holds(7000));
        decompressor.read(&Vec::new(), 0, 0, 7000 + 200_990, &mut out).unwrap();
        assert_eq!(out, memory[200_990..201_000]);
    }

    #[test]
    fn a_wrong_checksum_is_noticed() {
        let mut stream = framed(&bytes(100_000));
        stream[5000] ^= 1;
        let mut out = vec![0; 100];
        assert_eq!(Decompressor::new().read(&stream, 0, 0, 0, &mut out).unwrap_err().kind(), ErrorKind::Corrupt);
        Decompressor::new().read(&stream, 0, 0, 70_000, &mut out).unwrap();
    }
}
