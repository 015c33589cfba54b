//! Header fields by byte order and word size, read and written in the order in which they stand on disk.

use crate::error::{Error, ErrorKind, Result};
use crate::machine::{ByteOrder, WordSize};

/// A bounds-checked cursor over the bytes of a header.
#[derive(Clone)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
    order: ByteOrder,
    word: WordSize,
}

impl<'a> Fields<'a> {
    /// A cursor at the start of `bytes`.
    pub fn new(bytes: &'a [u8], order: ByteOrder, word: WordSize) -> Fields<'a> {
        Fields { bytes, at: 0, order, word }
    }

    /// Where the cursor stands (bytes).
    pub fn position(&self) -> usize {
        self.at
    }

    /// Moves the cursor to `at`; reading past the end fails then.
    #[must_use]
    pub fn at(mut self, at: usize) -> Fields<'a> {
        self.at = at;
        self
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// `Truncated`, as every method here, if the header ends before the field `name`.
    pub fn bytes(&mut self, name: &str, len: usize) -> Result<&'a [u8]> {
        let field = self.at.checked_add(len).and_then(|end| self.bytes.get(self.at..end));
        let field = field.ok_or_else(|| {
            Error::new(
                ErrorKind::Truncated,
                format!("{name} at byte {} lies past the {} bytes there are", self.at, self.bytes.len()),
            )
        })?;
        self.at += len;
        Ok(field)
    }

    /// Passes over `len` bytes.
    ///
    /// # Errors
    /// As [`bytes`](Fields::bytes).
    pub fn skip(&mut self, len: usize) -> Result<()> {
        self.bytes("padding", len).map(drop)
    }

    /// A 16-bit field.
    ///
    /// # Errors
    /// As [`bytes`](Fields::bytes).
    pub fn u16(&mut self, name: &str) -> Result<u16> {
        self.array(name)
            .map(|b| if self.order == ByteOrder::Little { u16::from_le_bytes(b) } else { u16::from_be_bytes(b) })
    }

    /// A 32-bit field.
    ///
    /// # Errors
    /// As [`bytes`](Fields::bytes).
    pub fn u32(&mut self, name: &str) -> Result<u32> {
        self.array(name)
            .map(|b| if self.order == ByteOrder::Little { u32::from_le_bytes(b) } else { u32::from_be_bytes(b) })
    }

    /// A signed 32-bit field.
    ///
    /// # Errors
    /// As [`bytes`](Fields::bytes).
    pub fn i32(&mut self, name: &str) -> Result<i32> {
        self.u32(name).map(|v| v as i32)
    }

    /// A 64-bit field.
    ///
    /// # Errors
    /// As [`bytes`](Fields::bytes).
    pub fn u64(&mut self, name: &str) -> Result<u64> {
        self.array(name)
            .map(|b| if self.order == ByteOrder::Little { u64::from_le_bytes(b) } else { u64::from_be_bytes(b) })
    }

    /// A field of the machine's word size, widened.
    ///
    /// # Errors
    /// As [`bytes`](Fields::bytes).
    pub fn word(&mut self, name: &str) -> Result<u64> {
        match self.word {
            WordSize::Bits32 => self.u32(name).map(u64::from),
            WordSize::Bits64 => self.u64(name),
        }
    }

    fn array<const N: usize>(&mut self, name: &str) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.bytes(name, N)?);
        Ok(out)
    }
}

/// The mirror of [`Fields`]: appends fields to a header.
pub struct FieldsMut {
    bytes: Vec<u8>,
    order: ByteOrder,
    word: WordSize,
}

impl FieldsMut {
    /// An empty header.
    pub fn new(order: ByteOrder, word: WordSize) -> FieldsMut {
        FieldsMut { bytes: Vec::new(), order, word }
    }

    /// Appends bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Appends zeros until the header is `len` bytes long.
    pub fn pad_to(&mut self, len: usize) -> &mut Self {
        self.bytes.resize(len.max(self.bytes.len()), 0);
        self
    }

    /// Appends a 16-bit field.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.swapped(value.to_le_bytes())
    }

    /// Appends a 32-bit field.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.swapped(value.to_le_bytes())
    }

    /// Appends a signed 32-bit field.
    pub fn i32(&mut self, value: i32) -> &mut Self {
        self.u32(value as u32)
    }

    /// Appends a 64-bit field.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.swapped(value.to_le_bytes())
    }

    /// Appends a field of the machine's word size; a 32-bit machine gets the low half.
    pub fn word(&mut self, value: u64) -> &mut Self {
        match self.word {
            WordSize::Bits32 => self.u32(value as u32),
            WordSize::Bits64 => self.u64(value),
        }
    }

    /// The header so far.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn swapped<const N: usize>(&mut self, mut le: [u8; N]) -> &mut Self {
        if self.order == ByteOrder::Big {
            le.reverse();
        }
        self.bytes(&le)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            for word in [WordSize::Bits32, WordSize::Bits64] {
                let mut out = FieldsMut::new(order, word);
                out.u16(0x102).u32(0x1020304).i32(-2).u64(5 << 40).word(0x7766_5544).bytes(b"xy");
                let bytes = out.into_bytes();
                let mut f = Fields::new(&bytes, order, word);
                assert_eq!(f.u16("a").unwrap(), 0x102);
                assert_eq!(f.u32("b").unwrap(), 0x1020304);
                assert_eq!(f.i32("c").unwrap(), -2);
                assert_eq!(f.u64("d").unwrap(), 5 << 40);
                assert_eq!(f.word("e").unwrap(), 0x7766_5544);
                assert_eq!(f.bytes("f", 2).unwrap(), b"xy");
                assert_eq!(f.u16("g").unwrap_err().kind(), ErrorKind::Truncated);
            }
        }
        let mut big = FieldsMut::new(ByteOrder::Big, WordSize::Bits64);
        big.u32(1);
        assert_eq!(big.into_bytes(), [0, 0, 0, 1]);
    }
}
