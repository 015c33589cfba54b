//! Bytes by offset, in and out.

use crate::error::{Error, Result};
use crate::map::MappedWindow;
use crate::stretch::Stretch;

/// Reusable memory of one worker, grown to the largest piece it was asked for, and its window into a mapped file.
#[derive(Default)]
pub struct Scratch {
    bytes: Vec<u8>,
    pub(crate) window: Option<MappedWindow>,
}

/// Bytes that a scratch has at least: a few page tables.
const LEAST: usize = 16 << 10;

impl Scratch {
    /// `len` bytes of unspecified content.
    pub fn take(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.len() < len {
            self.bytes = Vec::new(); // first: growing would hold both, and leave the smaller one's room behind
            self.bytes = vec![0; len.max(LEAST).next_power_of_two()];
        }
        &mut self.bytes[..len]
    }
}

/// Bytes by file offset. `&self`, so that all workers share one.
pub trait ReadAt: Send + Sync {
    /// Length in bytes.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io) where the length cannot be found out.
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
    /// [`Truncated`](crate::ErrorKind::Truncated) where the bytes end before `buf` is full; `Io` where reading fails.
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()>;

    /// `len` bytes at `offset`, borrowed from a mapping or copied to `scratch`. The caller bounds `len`.
    ///
    /// # Errors
    /// As [`read_exact_at`](ReadAt::read_exact_at).
    fn view<'a>(&'a self, offset: u64, len: usize, scratch: &'a mut Scratch) -> Result<&'a [u8]> {
        let buf = scratch.take(len);
        self.read_exact_at(offset, buf)?;
        Ok(buf)
    }

    /// What lies at `offset`: data, as far as is known without reading, or a hole, which reads as zeros.
    fn stretch_at(&self, offset: u64) -> Stretch {
        Stretch::Data(u64::MAX - offset)
    }
}

/// A place to write bytes by offset. `&self`, so that workers write their own parts at once.
pub trait WriteAt: Send + Sync {
    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// [`NoSpace`](crate::ErrorKind::NoSpace) where there is no room, `Io` otherwise. A part may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()>;

    /// Whether bytes must come one call at a time, in the order of placement (a stream), rather than from all workers.
    fn is_stream(&self) -> bool {
        false
    }

    /// Makes `len` bytes from `offset` on read as zeros, before anything else is written there: nothing is written where
    /// that is what they do anyway, as in a new file.
    ///
    /// # Errors
    /// As [`write_at`](WriteAt::write_at).
    fn zeros(&self, offset: u64, len: u64) -> Result<()>;
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

    fn view<'a>(&'a self, offset: u64, len: usize, scratch: &'a mut Scratch) -> Result<&'a [u8]> {
        (**self).view(offset, len, scratch)
    }

    fn stretch_at(&self, offset: u64) -> Stretch {
        (**self).stretch_at(offset)
    }
}

impl<R: ReadAt + ?Sized> ReadAt for Box<R> {
    fn len(&self) -> Result<u64> {
        (**self).len()
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        (**self).read_exact_at(offset, buf)
    }

    fn view<'a>(&'a self, offset: u64, len: usize, scratch: &'a mut Scratch) -> Result<&'a [u8]> {
        (**self).view(offset, len, scratch)
    }

    fn stretch_at(&self, offset: u64) -> Stretch {
        (**self).stretch_at(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn slices_are_read_by_offset() {
        let bytes = vec![1u8, 2, 3, 4];
        let mut scratch = Scratch::default();
        assert_eq!(bytes.view(1, 2, &mut scratch).unwrap(), [2, 3]);
        for (offset, len) in [(3, 2), (u64::MAX, 1), (5, 0)] {
            let e = bytes.view(offset, len, &mut scratch).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Truncated, "{offset} {len}");
        }
    }
}
