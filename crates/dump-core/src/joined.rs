//! Several files as one, each at an offset of its own.

use crate::bytes::{Buffer, ByteReader, ReadAt};
use crate::error::{Error, Result};
use crate::stretch::Stretch;
use std::ops::Range;

/// A file and where it begins.
struct Member<R> {
    start: u64,
    len: u64,
    /// Where what is taken of it begins in the file.
    from: u64,
    input: R,
}

impl<R> Member<R> {
    /// Where the file has byte `offset` of all.
    fn place(&self, offset: u64) -> u64 {
        self.from.saturating_add(offset - self.start)
    }
}

/// Files at ascending offsets; what lies between them, and behind the last, is not there.
pub struct Joined<R> {
    members: Vec<Member<R>>,
}

impl<R> Default for Joined<R> {
    fn default() -> Joined<R> {
        Joined { members: Vec::new() }
    }
}

impl<R: ReadAt> Joined<R> {
    /// No files yet.
    pub fn new() -> Joined<R> {
        Joined::default()
    }

    /// Adds the bytes `part` of a file at `start`, where none before it reaches.
    pub fn push(&mut self, start: u64, part: Range<u64>, input: R) {
        let len = part.end.saturating_sub(part.start);
        self.members.push(Member { start, len, from: part.start, input });
    }

    /// The number of the file that has byte `offset`.
    fn at(&self, offset: u64) -> Option<usize> {
        let i = self.members.partition_point(|member| member.start <= offset).checked_sub(1)?;
        let member = self.members.get(i)?;
        (offset - member.start < member.len).then_some(i)
    }

    fn past(&self, offset: u64, len: usize) -> Error {
        let end =
            self.members.iter().rfind(|member| member.start <= offset).map_or(0, |member| member.start + member.len);
        Error::truncated("a read of the memory", offset.saturating_add(len as u64), end)
    }

    fn copy(&self, offset: u64, mut out: &mut [u8]) -> Result<()> {
        let mut at = offset;
        while !out.is_empty() {
            let Some(member) = self.at(at).and_then(|i| self.members.get(i)) else {
                return Err(self.past(at, out.len()));
            };
            let left = member.len - (at - member.start);
            let (here, later) = out.split_at_mut(usize::try_from(left).unwrap_or(usize::MAX).min(out.len()));
            member.input.read_exact_at(member.place(at), here)?;
            at += here.len() as u64;
            out = later;
        }
        Ok(())
    }
}

impl<R: ReadAt> ReadAt for Joined<R> {
    fn len(&self) -> Result<u64> {
        Ok(self.members.last().map_or(0, |last| last.start + last.len))
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.copy(offset, buf)
    }

    fn stretch_at(&self, offset: u64) -> Stretch {
        let Some(member) = self.at(offset).and_then(|i| self.members.get(i)) else {
            return Stretch::Data(u64::MAX - offset); // whoever reads there learns that it is not there
        };
        let left = member.len - (offset - member.start);
        match member.input.stretch_at(member.place(offset)) {
            Stretch::Hole(bytes) => Stretch::Hole(bytes.min(left)),
            Stretch::Data(bytes) => Stretch::Data(bytes.min(left)),
        }
    }

    fn reader(&self) -> Box<dyn ByteReader + '_> {
        let readers = self.members.iter().map(|member| member.input.reader()).collect();
        Box::new(JoinedReader { joined: self, readers, buffer: Buffer::default() })
    }
}

struct JoinedReader<'a, R> {
    joined: &'a Joined<R>,
    readers: Vec<Box<dyn ByteReader + 'a>>,
    buffer: Buffer,
}

impl<R: ReadAt> ByteReader for JoinedReader<'_, R> {
    fn view(&mut self, offset: u64, len: usize) -> Result<&[u8]> {
        if let Some(i) = self.joined.at(offset) {
            if let (Some(member), Some(reader)) = (self.joined.members.get(i), self.readers.get_mut(i)) {
                if member.len - (offset - member.start) >= len as u64 {
                    return reader.view(member.place(offset), len);
                }
            }
        }
        let out = self.buffer.take(len);
        self.joined.copy(offset, out)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn reads_go_from_file_to_file_but_over_no_gap() {
        let mut joined = Joined::new();
        joined.push(0, 0..4, b"abcd".to_vec());
        joined.push(4, 0..0, Vec::new());
        joined.push(4, 2..5, b"..efg.".to_vec());
        joined.push(10, 0..2, b"xy".to_vec());
        let mut reader = joined.reader();
        let mut out = vec![0; 5];
        joined.read_exact_at(1, &mut out).unwrap();
        assert_eq!((out.as_slice(), reader.view(1, 5).unwrap()), (&b"bcdef"[..], &b"bcdef"[..]));
        assert_eq!(reader.view(10, 2).unwrap(), b"xy");
        for (at, len) in [(6, 2), (7, 1), (9, 1), (11, 2), (12, 1)] {
            assert_eq!(reader.view(at, len).unwrap_err().kind(), ErrorKind::Truncated, "{at} {len}");
        }
        assert_eq!((joined.len().unwrap(), joined.stretch_at(1)), (12, Stretch::Data(3)));
    }
}
