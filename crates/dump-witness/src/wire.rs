//! Numbers out of a header, bounds checked, in the byte order of the dumped machine.

use anyhow::{Context, Result};

/// A header's bytes and their byte order.
#[derive(Clone, Copy)]
pub struct Wire<'a> {
    /// The header from its first byte.
    pub bytes: &'a [u8],
    /// Most significant byte first.
    pub big_endian: bool,
}

impl<'a> Wire<'a> {
    /// The `len` bytes at `at`.
    pub fn slice(&self, at: usize, len: usize) -> Result<&'a [u8]> {
        let end = at.checked_add(len).context("offset overflows")?;
        self.bytes.get(at..end).with_context(|| format!("{len} bytes at {at} lie beyond the {} read", self.bytes.len()))
    }

    /// The 16-bit number at `at`.
    pub fn u16(&self, at: usize) -> Result<u16> {
        let raw = self.slice(at, 2)?.try_into()?;
        Ok(if self.big_endian { u16::from_be_bytes(raw) } else { u16::from_le_bytes(raw) })
    }

    /// The 32-bit number at `at`.
    pub fn u32(&self, at: usize) -> Result<u32> {
        let raw = self.slice(at, 4)?.try_into()?;
        Ok(if self.big_endian { u32::from_be_bytes(raw) } else { u32::from_le_bytes(raw) })
    }

    /// The 64-bit number at `at`.
    pub fn u64(&self, at: usize) -> Result<u64> {
        let raw = self.slice(at, 8)?.try_into()?;
        Ok(if self.big_endian { u64::from_be_bytes(raw) } else { u64::from_le_bytes(raw) })
    }

    /// The number at `at` that is a word of 4 or 8 bytes.
    pub fn word(&self, at: usize, bytes: usize) -> Result<u64> {
        if bytes == 4 { self.u32(at).map(u64::from) } else { self.u64(at) }
    }
}
