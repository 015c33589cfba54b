//! Bytes by offset, in and out.

use crate::error::{Error, Result};
use crate::stretch::Stretch;

/// Bytes by file offset. `&self`, so that all workers share one.
pub trait ReadAt: Send + Sync {
    /// Length in bytes.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io) if the length cannot be determined.
    fn len(&self) -> Result<u64>;

    /// Whether there are no bytes at all.
    ///
    /// # Errors
    /// As [`len`](ReadAt::len).
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `buf` from `offset` on.
    ///
    /// # Errors
    /// [`Truncated`](crate::ErrorKind::Truncated) if the bytes end before `buf` is full; `Io` if reading fails.
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()>;

    /// What lies at `offset`: data, as far as is known without reading, or a hole, which reads as zeros.
    fn stretch_at(&self, offset: u64) -> Stretch {
        Stretch::Data(u64::MAX - offset)
    }

    /// A worker's half: views of the bytes, in memory that it keeps from view to view.
    fn reader(&self) -> Box<dyn ByteReader + '_> {
        Box::new(Copied { input: self, buffer: Buffer::default() })
    }
}

/// A worker's half of a [`ReadAt`]: owns what reading needs, a buffer or a mapped window.
pub trait ByteReader: Send {
    /// `len` bytes at `offset`, borrowed from a mapping or copied to the reader's own buffer. The caller bounds `len`.
    ///
    /// # Errors
    /// As [`ReadAt::read_exact_at`].
    fn view(&mut self, offset: u64, len: usize) -> Result<&[u8]>;
}

/// Reusable memory of one worker, grown to the largest piece it was asked for.
#[derive(Default)]
pub struct Buffer {
    bytes: Vec<u8>,
}

/// Bytes that a buffer has at least: a few page tables.
const MIN_BUFFER: usize = 16 << 10;

impl Buffer {
    /// `len` bytes of unspecified content.
    pub fn take(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.len() < len {
            self.bytes = Vec::new(); // first: growing would hold both, and leave the smaller one's room behind
            self.bytes = vec![0; len.max(MIN_BUFFER).next_power_of_two()];
        }
        &mut self.bytes[..len]
    }
}

/// The reader of inputs that have no better one: copies to a buffer.
struct Copied<'a, R: ?Sized> {
    input: &'a R,
    buffer: Buffer,
}

impl<R: ReadAt + ?Sized> ByteReader for Copied<'_, R> {
    fn view(&mut self, offset: u64, len: usize) -> Result<&[u8]> {
        let bytes = self.buffer.take(len);
        self.input.read_exact_at(offset, bytes)?;
        Ok(bytes)
    }
}

/// A place to write bytes by offset. The page pipeline writes in the order of placement, one call at a time, so that
/// a stream can be one too.
pub trait WriteAt: Send + Sync {
    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// [`NoSpace`](crate::ErrorKind::NoSpace) if there is no room, `Io` otherwise. A part may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()>;

    /// Makes `len` bytes from `offset` on read as zeros, before anything else is written there: nothing is written
    /// where that is what they do anyway, as in a new file.
    ///
    /// # Errors
    /// As [`write_at`](WriteAt::write_at).
    fn zeros(&self, offset: u64, len: u64) -> Result<()>;

    /// Whether what was written can be written anew, as in a file. Where it can, a dump is flagged incomplete from its
    /// first byte on until all of it is stored; a stream is cut off where it is, and has an end of its own.
    fn can_rewrite(&self) -> bool {
        true
    }

    /// Waits until all that was written is stored, where that can be known.
    ///
    /// # Errors
    /// As [`write_at`](WriteAt::write_at), for what only now turns out not to be stored.
    fn sync(&self) -> Result<()> {
        Ok(())
    }
}

/// Bytes in memory, the content of a small file.
impl ReadAt for [u8] {
    fn len(&self) -> Result<u64> {
        Ok(<[u8]>::len(self) as u64)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let end = offset.saturating_add(buf.len() as u64);
        let from =
            usize::try_from(offset).ok().and_then(|from| self.get(from..)).and_then(|rest| rest.get(..buf.len()));
        let from = from.ok_or_else(|| Error::truncated("a read", end, <[u8]>::len(self) as u64))?;
        buf.copy_from_slice(from);
        Ok(())
    }
}

impl ReadAt for Vec<u8> {
    fn len(&self) -> Result<u64> {
        ReadAt::len(self.as_slice())
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.as_slice().read_exact_at(offset, buf)
    }
}

impl<R: ReadAt + ?Sized> ReadAt for &R {
    fn len(&self) -> Result<u64> {
        (**self).len()
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        (**self).read_exact_at(offset, buf)
    }

    fn stretch_at(&self, offset: u64) -> Stretch {
        (**self).stretch_at(offset)
    }

    fn reader(&self) -> Box<dyn ByteReader + '_> {
        (**self).reader()
    }
}

impl<R: ReadAt + ?Sized> ReadAt for Box<R> {
    fn len(&self) -> Result<u64> {
        (**self).len()
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        (**self).read_exact_at(offset, buf)
    }

    fn stretch_at(&self, offset: u64) -> Stretch {
        (**self).stretch_at(offset)
    }

    fn reader(&self) -> Box<dyn ByteReader + '_> {
        (**self).reader()
    }
}

impl<R: ReadAt + ?Sized> ReadAt for std::sync::Arc<R> {
    fn len(&self) -> Result<u64> {
        (**self).len()
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        (**self).read_exact_at(offset, buf)
    }

    fn stretch_at(&self, offset: u64) -> Stretch {
        (**self).stretch_at(offset)
    }

    fn reader(&self) -> Box<dyn ByteReader + '_> {
        (**self).reader()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn slices_are_read_by_offset() {
        let bytes = vec![1u8, 2, 3, 4];
        let mut reader = bytes.reader();
        assert_eq!(reader.view(1, 2).unwrap(), [2, 3]);
        for (offset, len) in [(3, 2), (u64::MAX, 1), (5, 0)] {
            let e = reader.view(offset, len).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Truncated, "{offset} {len}");
        }
    }
}
