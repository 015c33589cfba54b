//! Byte order, word width, and a growing buffer that knows both.
//!
//! Kept apart from `dump-core` on purpose (see the crate's documentation): the fakes must not share layout code with
//! the parsers they test.

/// Byte order of a produced file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endian {
    /// Least significant byte first (x86_64, arm64, ppc64le).
    Little,
    /// Most significant byte first (s390x, ppc64).
    Big,
}

/// Size of a `long` on the dumped machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Four bytes; ELFCLASS32.
    W32,
    /// Eight bytes; ELFCLASS64.
    W64,
}

impl Width {
    /// Size of a word in bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Width::W32 => 4,
            Width::W64 => 8,
        }
    }
}

/// `value` as `size` bytes (1, 2, 4 or 8) in `endian` order.
///
/// # Panics
/// When the value needs more bytes, negative numbers being sign-extended beforehand.
pub(crate) fn encode(value: u64, size: usize, endian: Endian) -> Vec<u8> {
    let little = value.to_le_bytes();
    let extension = if value >> 63 == 1 { 0xff } else { 0 };
    assert!(little[size..].iter().all(|byte| *byte == extension), "{value:#x} does not fit into {size} bytes");
    let mut bytes = little[..size].to_vec();
    if endian == Endian::Big {
        bytes.reverse();
    }
    bytes
}

/// The low `size` bytes of `value` in `endian` order: what a machine with such words keeps of it.
pub(crate) fn cut(value: u64, size: usize, endian: Endian) -> Vec<u8> {
    let mut bytes = value.to_le_bytes()[..size].to_vec();
    if endian == Endian::Big {
        bytes.reverse();
    }
    bytes
}

/// Rounds `value` up to a multiple of `align` (any positive number).
pub(crate) fn round_up(value: u64, align: u64) -> u64 {
    value.div_ceil(align) * align
}

/// A buffer written front to back, whose cursor can also be moved forward over zeros.
#[derive(Debug)]
pub(crate) struct Sink {
    bytes: Vec<u8>,
    endian: Endian,
    width: Width,
}

impl Sink {
    pub(crate) fn new(endian: Endian, width: Width) -> Self {
        Sink { bytes: Vec::new(), endian, width }
    }

    pub(crate) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.number(value.into(), 2);
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.number(value.into(), 4);
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.number(i64::from(value) as u64, 4);
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.number(value, 8);
    }

    /// A `long` of the dumped machine.
    pub(crate) fn word(&mut self, value: u64) {
        self.number(value, self.width.bytes());
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// `text` in a field of `size` bytes, NUL padded.
    pub(crate) fn text(&mut self, text: &str, size: usize) {
        assert!(text.len() <= size, "{text:?} does not fit into {size} bytes");
        let end = self.bytes.len() + size;
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.resize(end, 0);
    }

    /// Zeros up to `offset`.
    pub(crate) fn pad_to(&mut self, offset: u64) {
        assert!(offset >= self.len(), "already at {:#x}, cannot go back to {offset:#x}", self.len());
        self.bytes.resize(offset as usize, 0);
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn number(&mut self, value: u64, size: usize) {
        self.bytes.extend(encode(value, size, self.endian));
    }
}

/// Copies `bytes` into `target` at `offset`, growing it with zeros where needed.
pub(crate) fn overlay(target: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let start = offset as usize;
    let end = start + bytes.len();
    if target.len() < end {
        target.resize(end, 0);
    }
    target[start..end].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_both_orders_and_signs() {
        assert_eq!(encode(0x1234, 4, Endian::Little), [0x34, 0x12, 0, 0]);
        assert_eq!(encode(0x1234, 4, Endian::Big), [0, 0, 0x12, 0x34]);
        assert_eq!(encode(-2i64 as u64, 4, Endian::Little), [0xfe, 0xff, 0xff, 0xff]);
    }

    #[test]
    #[should_panic(expected = "does not fit")]
    fn refuses_a_value_that_does_not_fit() {
        encode(0x1_0000_0000, 4, Endian::Little);
    }

    #[test]
    fn a_full_u32_fits_a_word_of_32_bits() {
        assert_eq!(encode(0xffff_ffff, 4, Endian::Little), [0xff; 4]);
    }
}
