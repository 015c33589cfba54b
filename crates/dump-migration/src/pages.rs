//! Pages that a stream has between other things, as one stretch of bytes: page after page in the order of the stream.
//!
//! ```text
//! stream    address │ page │ address │ page │ end │ ... │ address │ byte │ address │ byte │ address │ page
//! payload           └ page          └ page ─────────────────────── zeros ──────── zeros ──────────── └ page
//! piece     └ one ─────────────────────────               └ one ──────────────────────────  └ one
//! ```

use dump_core::{Buffer, ByteReader, Error, PageSize, ReadAt, Result, Stretch};

/// Bytes between one page and the next that follows on it in the same block: an address with flags.
pub(crate) const BETWEEN: u64 = 8;

/// Pieces that any file may have, and bytes of a file for one more: a piece and the extent for it take 40 bytes.
const FREE_PIECES: usize = 1 << 20;
const BYTES_PER_PIECE: u64 = 128;

/// Pages that a stream has in one way.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Piece {
    /// Where they begin in the payload (bytes).
    start: u64,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The first page is at this offset, the next [`BETWEEN`] behind its end.
    Data(u64),
    /// All bytes are the same.
    Fill(u8),
}

/// The payload of a stream, as it is found.
pub(crate) struct Pieces {
    list: Vec<Piece>,
    end: u64,
    page: u64,
    limit: usize,
}

impl Pieces {
    /// None yet, of pages of `page`, in a file of `file_len` bytes.
    pub fn new(file_len: u64, page: PageSize) -> Pieces {
        let limit = usize::try_from(file_len / BYTES_PER_PIECE).unwrap_or(usize::MAX).max(FREE_PIECES);
        Pieces { list: Vec::new(), end: 0, page: page.bytes() as u64, limit }
    }

    /// Adds a page at `offset` of the file; where the payload has it.
    ///
    /// # Errors
    /// `Unsupported` if there are too many pieces to hold in memory.
    pub fn push_data(&mut self, offset: u64) -> Result<u64> {
        let page = self.page;
        self.push(Kind::Data(offset), &|piece, end| match piece.kind {
            Kind::Data(first) => first.checked_add((end - piece.start) / page * (page + BETWEEN)) == Some(offset),
            Kind::Fill(_) => false,
        })
    }

    /// Adds a page of bytes that are all `byte`.
    ///
    /// # Errors
    /// As [`push_data`](Pieces::push_data).
    pub fn push_fill(&mut self, byte: u8) -> Result<u64> {
        self.push(Kind::Fill(byte), &|piece, _| piece.kind == Kind::Fill(byte))
    }

    fn push(&mut self, kind: Kind, goes_on: &dyn Fn(&Piece, u64) -> bool) -> Result<u64> {
        let start = self.end;
        if !self.list.last().is_some_and(|last| goes_on(last, start)) {
            if self.list.len() >= self.limit {
                let what = format!("more than {} runs of pages, too many to hold in memory", self.limit);
                return Err(Error::unsupported(what));
            }
            self.list.push(Piece { start, kind });
        }
        self.end += self.page;
        Ok(start)
    }
}

/// A payload that can be read.
pub(crate) struct Pages<R> {
    input: R,
    list: Vec<Piece>,
    len: u64,
    page: u64,
}

impl<R: ReadAt> Pages<R> {
    /// Of `input`, where `pieces` say.
    pub fn new(input: R, pieces: Pieces) -> Pages<R> {
        let Pieces { mut list, end, page, .. } = pieces;
        list.shrink_to_fit();
        Pages { input, list, len: end, page }
    }

    /// The piece with byte `at`, and where it ends.
    fn piece(&self, at: u64) -> Option<(Piece, u64)> {
        let after = self.list.partition_point(|piece| piece.start <= at);
        let piece = self.list.get(after.checked_sub(1)?)?;
        let end = self.list.get(after).map_or(self.len, |next| next.start);
        (at < end).then_some((*piece, end))
    }

    /// Fills `out` from `offset` on, by reads of `input`.
    fn copy(&self, input: &mut dyn ByteReader, offset: u64, mut out: &mut [u8]) -> Result<()> {
        let mut at = offset;
        while !out.is_empty() {
            let past = || Error::truncated("a read of the pages", at.saturating_add(out.len() as u64), self.len);
            let (piece, end) = self.piece(at).ok_or_else(past)?;
            let now = usize::try_from(end - at).unwrap_or(usize::MAX).min(out.len());
            let (here, later) = out.split_at_mut(now);
            match piece.kind {
                Kind::Fill(byte) => here.fill(byte),
                Kind::Data(first) => self.copy_pages(input, first, at - piece.start, here)?,
            }
            (at, out) = (at + now as u64, later);
        }
        Ok(())
    }

    /// Fills `out` with the bytes from `from` on of pages, of which the first is at `first`.
    fn copy_pages(&self, input: &mut dyn ByteReader, first: u64, from: u64, mut out: &mut [u8]) -> Result<()> {
        let mut from = from;
        while !out.is_empty() {
            let (number, within) = (from / self.page, from % self.page);
            // as many pages as are wanted, with what lies between them, in one read
            let wanted = (within + out.len() as u64).div_ceil(self.page);
            let at = first.saturating_add(number * (self.page + BETWEEN)).saturating_add(within);
            let bytes = out.len() as u64 + (wanted - 1) * BETWEEN;
            let view = input.view(at, usize::try_from(bytes).unwrap_or(usize::MAX))?;
            let mut rest = view;
            let mut left = (self.page - within) as usize;
            while !out.is_empty() {
                let now = left.min(out.len()).min(rest.len());
                let (here, later) = out.split_at_mut(now);
                here.copy_from_slice(rest.get(..now).unwrap_or_default());
                rest = rest.get(now + BETWEEN as usize..).unwrap_or_default();
                from += now as u64;
                (out, left) = (later, self.page as usize);
            }
        }
        Ok(())
    }
}

impl<R: ReadAt> ReadAt for Pages<R> {
    fn len(&self) -> Result<u64> {
        Ok(self.len)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.copy(self.input.reader().as_mut(), offset, buf)
    }

    fn stretch_at(&self, offset: u64) -> Stretch {
        match self.piece(offset) {
            Some((Piece { kind: Kind::Fill(0), .. }, end)) => Stretch::Hole(end - offset),
            Some((_, end)) => Stretch::Data(end - offset),
            None => Stretch::Data(u64::MAX - offset), // whoever reads there learns that it ends
        }
    }

    fn reader(&self) -> Box<dyn ByteReader + '_> {
        Box::new(PagesReader { pages: self, input: self.input.reader(), buffer: Buffer::default() })
    }
}

struct PagesReader<'a, R> {
    pages: &'a Pages<R>,
    input: Box<dyn ByteReader + 'a>,
    buffer: Buffer,
}

impl<R: ReadAt> ByteReader for PagesReader<'_, R> {
    fn view(&mut self, offset: u64, len: usize) -> Result<&[u8]> {
        let end = offset.saturating_add(len as u64);
        if end > self.pages.len {
            return Err(Error::truncated("a read of the pages", end, self.pages.len));
        }
        let out = self.buffer.take(len);
        self.pages.copy(self.input.as_mut(), offset, out)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_lie_apart_read_as_one() {
        let page = PageSize::K4;
        let (mut file, mut pieces, mut want) = (vec![0xee; 3], Pieces::new(0, page), Vec::new());
        let mut data = |pieces: &mut Pieces, want: &mut Vec<u8>, n: u8, gap: usize| {
            file.extend(vec![0xee; gap]);
            pieces.push_data(file.len() as u64).unwrap();
            let bytes: Vec<u8> = (0..4096u32).map(|i| (i / 16) as u8 ^ n).collect();
            file.extend_from_slice(&bytes);
            want.extend(bytes);
        };
        data(&mut pieces, &mut want, 1, 8);
        data(&mut pieces, &mut want, 2, 8);
        for byte in [0, 0, 7] {
            pieces.push_fill(byte).unwrap();
            want.extend([byte; 4096]);
        }
        data(&mut pieces, &mut want, 3, 9);
        data(&mut pieces, &mut want, 4, 8);
        data(&mut pieces, &mut want, 5, 7);
        assert_eq!(pieces.list.len(), 5);
        let pages = Pages::new(file, pieces);
        let mut reader = pages.reader();
        for (from, len) in [(0, want.len()), (100, 8000), (4095, 2), (8191, 1), (8190, 13000), (20480, 12288), (5, 0)] {
            assert!(reader.view(from as u64, len).unwrap() == &want[from..from + len], "{from} {len}");
            let mut out = vec![0; len];
            pages.read_exact_at(from as u64, &mut out).unwrap();
            assert!(out == want[from..from + len], "{from} {len}");
        }
        assert_eq!(pages.stretch_at(8192), Stretch::Hole(8192));
        assert_eq!(pages.stretch_at(16384), Stretch::Data(4096));
        assert!(reader.view(want.len() as u64 - 1, 2).is_err() && reader.view(u64::MAX, 2).is_err());
    }

    #[test]
    fn no_more_than_can_be_held() {
        let mut pieces = Pieces::new(0, PageSize::K4);
        for i in 0..FREE_PIECES {
            pieces.push_fill((i % 2) as u8).unwrap();
        }
        assert!(pieces.push_fill(0).is_err());
    }
}
