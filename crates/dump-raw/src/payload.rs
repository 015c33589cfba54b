//! All the memory that a file holds, one block after the other, as if nothing were compressed or had a header.
//!
//! ```text
//! file      header │ block as it is │ header │ block compressed ........... │ length │ header ...
//! payload          └ piece          └        └ piece: 16 chunks └ piece ... └
//! ```
//!
//! A piece takes 24 bytes: one for a block that is stored as it is, one for each MiB of memory that is not.

use crate::snappy::Decompressor;
use dump_core::{Buffer, ByteReader, Error, ReadAt, Result, Stretch};

/// Pieces that any file may have: 24 MiB of them.
const FREE_PIECES: usize = 1 << 20;

/// A file may have one more piece for so many bytes. Blocks of one page that compresses to nothing take about 300.
const BYTES_PER_PIECE: u64 = 256;

/// A part of the payload that is stored in one way.
#[derive(Clone, Copy)]
struct Piece {
    /// Where it begins in the payload (bytes).
    start: u64,
    /// Where that is in the file: its bytes, or a chunk (bytes).
    at: u64,
    compressed: bool,
}

/// Pieces collected in the order of the file, no more than a file of its length can mean.
pub(crate) struct Pieces {
    list: Vec<Piece>,
    end: u64,
    limit: usize,
}

impl Pieces {
    /// None yet, of a file of `file_len` bytes.
    pub fn new(file_len: u64) -> Pieces {
        let limit = usize::try_from(file_len / BYTES_PER_PIECE).unwrap_or(usize::MAX);
        Pieces { list: Vec::new(), end: 0, limit: limit.max(FREE_PIECES) }
    }

    /// Where the payload ends so far.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Appends `len` bytes that stand at `at`.
    ///
    /// # Errors
    /// `Unsupported` if there are too many pieces to hold in memory.
    pub fn push_plain(&mut self, at: u64, len: u64) -> Result<()> {
        self.push(at, len, false)
    }

    /// Appends `len` bytes that are compressed in the chunks from `at` on.
    ///
    /// # Errors
    /// As [`push_plain`](Pieces::push_plain).
    pub fn push_chunks(&mut self, at: u64, len: u64) -> Result<()> {
        self.push(at, len, true)
    }

    fn push(&mut self, at: u64, len: u64, compressed: bool) -> Result<()> {
        if len == 0 {
            return Ok(());
        }
        if self.list.len() >= self.limit {
            return Err(Error::unsupported(format!("more than {} ranges, too many to hold in memory", self.limit)));
        }
        let end = self.end.checked_add(len).ok_or_else(|| Error::corrupt("more memory than 2^64 bytes"))?;
        self.list.push(Piece { start: self.end, at, compressed });
        self.end = end;
        Ok(())
    }
}

/// The payload of a file.
pub(crate) struct Payload<R> {
    input: R,
    list: Vec<Piece>,
    len: u64,
}

impl<R: ReadAt> Payload<R> {
    /// Of `input`, stored as `pieces` say.
    pub fn new(input: R, pieces: Pieces) -> Payload<R> {
        let Pieces { mut list, end, .. } = pieces;
        list.shrink_to_fit();
        Payload { input, list, len: end }
    }

    /// The piece with byte `at`, and where it ends.
    fn piece(&self, at: u64) -> Option<(Piece, u64)> {
        let after = self.list.partition_point(|piece| piece.start <= at);
        let piece = self.list.get(after.checked_sub(1)?)?;
        let end = self.list.get(after).map_or(self.len, |next| next.start);
        (at < end).then_some((*piece, end))
    }

    fn check(&self, offset: u64, len: usize) -> Result<()> {
        let end = offset.saturating_add(len as u64);
        if end > self.len { Err(Error::truncated("a read of the memory", end, self.len)) } else { Ok(()) }
    }
}

impl<R: ReadAt> ReadAt for Payload<R> {
    fn len(&self) -> Result<u64> {
        Ok(self.len)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.check(offset, buf.len())?;
        copy(self, &mut Decompressor::new(), offset, buf)
    }

    fn stretch_at(&self, offset: u64) -> Stretch {
        match self.piece(offset) {
            Some((piece, end)) if !piece.compressed => match self.input.stretch_at(piece.at + (offset - piece.start)) {
                Stretch::Hole(bytes) => Stretch::Hole(bytes.min(end - offset)),
                Stretch::Data(bytes) => Stretch::Data(bytes.min(end - offset)),
            },
            Some((_, end)) => Stretch::Data(end - offset),
            None => Stretch::Data(u64::MAX - offset), // whoever reads there learns that it ends
        }
    }

    fn reader(&self) -> Box<dyn ByteReader + '_> {
        let (input, decompressor) = (self.input.reader(), Decompressor::new());
        Box::new(PayloadReader { payload: self, input, decompressor, buffer: Buffer::default() })
    }
}

/// A worker's half: borrows what is stored as it is from the file, decompresses or puts together the rest.
struct PayloadReader<'a, R> {
    payload: &'a Payload<R>,
    input: Box<dyn ByteReader + 'a>,
    decompressor: Decompressor,
    buffer: Buffer,
}

impl<R: ReadAt> ByteReader for PayloadReader<'_, R> {
    fn view(&mut self, offset: u64, len: usize) -> Result<&[u8]> {
        self.payload.check(offset, len)?;
        if let Some((piece, end)) = self.payload.piece(offset) {
            if !piece.compressed && end - offset >= len as u64 {
                return self.input.view(piece.at + (offset - piece.start), len);
            }
        }
        let out = self.buffer.take(len);
        if let Err(e) = copy(self.payload, &mut self.decompressor, offset, out) {
            self.decompressor = Decompressor::new(); // one that failed is of no further use
            return Err(e);
        }
        Ok(out)
    }
}

/// Fills `out` from `offset` on, all of which lies in the payload.
fn copy<R: ReadAt>(
    payload: &Payload<R>,
    decompressor: &mut Decompressor,
    offset: u64,
    mut out: &mut [u8],
) -> Result<()> {
    let mut at = offset;
    while !out.is_empty() {
        let Some((piece, end)) = payload.piece(at) else {
            return Err(Error::truncated("a read of the memory", at.saturating_add(out.len() as u64), payload.len));
        };
        let now = usize::try_from(end - at).unwrap_or(usize::MAX).min(out.len());
        let (here, later) = out.split_at_mut(now);
        match piece.compressed {
            false => payload.input.read_exact_at(piece.at + (at - piece.start), here)?,
            true => decompressor.read(&payload.input, piece.at, piece.start, at, here)?,
        }
        (at, out) = (at + now as u64, later);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dump_core::ErrorKind;
    use std::io::Write;

    #[test]
    fn pieces_of_both_kinds_are_one_payload() {
        let memory: Vec<u8> = (0..200_000u32).map(|i| (i / 5) as u8).collect();
        let mut file = vec![0xee; 9];
        let mut pieces = Pieces::new(0);
        for (from, to, compressed) in [(0, 10, false), (10, 150_000, true), (150_000, 200_000, false)] {
            let at = file.len() as u64;
            let bytes = &memory[from..to];
            match compressed {
                false => {
                    pieces.push_plain(at, bytes.len() as u64).unwrap();
                    file.extend_from_slice(bytes);
                }
                true => {
                    pieces.push_chunks(at, bytes.len() as u64).unwrap();
                    let mut stream = snap::write::FrameEncoder::new(Vec::new());
                    stream.write_all(bytes).unwrap();
                    file.extend(stream.into_inner().unwrap());
                }
            }
            file.extend([0xee; 3]);
        }
        let payload = Payload::new(file, pieces);
        let mut reader = payload.reader();
        for (from, len) in [(0, 200_000), (9, 2), (0, 10), (149_999, 2), (150_000, 50_000), (70_000, 5), (5, 0)] {
            assert!(reader.view(from as u64, len).unwrap() == &memory[from..from + len], "{from} {len}");
            let mut bytes = vec![0; len];
            payload.read_exact_at(from as u64, &mut bytes).unwrap();
            assert!(bytes == memory[from..from + len], "{from} {len}");
        }
        for (from, len) in [(199_999, 2), (200_000, 1), (u64::MAX, 5)] {
            assert_eq!(reader.view(from, len).unwrap_err().kind(), ErrorKind::Truncated);
        }
        assert_eq!(payload.stretch_at(5), Stretch::Data(5));
        assert_eq!(payload.stretch_at(11), Stretch::Data(149_989));
    }

    #[test]
    fn no_more_than_can_be_held() {
        let mut pieces = Pieces::new(1 << 20);
        (0..FREE_PIECES as u64).for_each(|i| pieces.push_plain(2 * i, 1).unwrap());
        assert_eq!(pieces.push_plain(0, 1).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(pieces.end(), FREE_PIECES as u64);
        assert_eq!(Pieces::new(1 << 38).limit, 1 << 30);
        let mut pieces = Pieces::new(1 << 20);
        pieces.push_plain(0, u64::MAX).unwrap();
        assert_eq!(pieces.push_chunks(0, 1).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
