//! Deflate's bit order: bits enter a byte from its low end.

use crate::window::BLOCK;

/// Bytes of a block on their way out, with room for a whole word behind the last one. A coded block is shorter than a
/// stored one, a few bytes more than what it stands for; twice as many make an index mask.
pub(crate) type Scratch = [u8; SIZE + 8];
const SIZE: usize = BLOCK * 2;

/// A code (or a code with its extra bits) ready to be written: the bits at the top of the word in the order they are
/// sent, their number (at most 20) in the low five bits. 0 writes nothing.
pub(crate) type Entry = u64;

/// The entry of a code of `len` bits, given with its last bit lowest, as RFC 1951 counts codes.
pub(crate) const fn entry(code: u64, len: u32) -> Entry {
    code.reverse_bits() | len as u64
}

/// The entry of `of` followed by `n` more bits.
#[inline(always)]
pub(crate) const fn followed(of: Entry, value: u64, n: u32) -> Entry {
    (of & !31) >> n | (value << 1) << (63 - n) | ((of & 31) + n as u64)
}

/// Bits on their way into the scratch buffer.
///
/// The newest bit is the top bit of `word`, so that one shift makes room for a code and one `or` puts it there, its
/// length included: a literal takes six instructions, with its lookup; filled from the low end, eight.
#[derive(Clone, Copy, Default)]
pub(crate) struct Bits {
    /// Whole bytes written.
    at: usize,
    /// The upper bits count, at most 59 after [`push`](Bits::push) and 63 after [`put`](Bits::put); what lies below is
    /// left over from entries.
    word: u64,
    /// The low byte is the number of bits that count; the rest is left over from entries.
    len: u64,
}

impl Bits {
    #[inline(always)]
    pub(crate) fn push(&mut self, entry: Entry) {
        self.word = self.word >> (entry & 63) | entry;
        self.len = self.len.wrapping_add(entry);
    }

    /// Appends the `n` low bits of `value`, which has no others; n ≤ 48.
    #[inline(always)]
    pub(crate) fn put(&mut self, value: u64, n: u32) {
        self.word = self.word >> (n & 63) | value << (n.wrapping_neg() & 63);
        self.len = self.len.wrapping_add(u64::from(n));
    }

    /// Writes whole bytes; at most seven bits stay.
    #[inline(always)]
    pub(crate) fn flush(&mut self, out: &mut Scratch) {
        let word = self.word >> (self.len.wrapping_neg() & 63);
        if let Some(to) = out[self.at & (SIZE - 1)..].first_chunk_mut() {
            *to = word.to_le_bytes();
        }
        self.at += usize::from(self.len as u8 >> 3);
        self.len &= 7;
    }

    /// Bits that wait for a whole byte. After a flush.
    pub(crate) fn waiting(&self) -> usize {
        self.len as usize
    }

    /// Fills the last byte with zero bits. After a flush.
    pub(crate) fn align(&mut self, out: &mut Scratch) {
        self.put(0, self.waiting().wrapping_neg() as u32 & 7);
        self.flush(out);
    }

    /// The bytes written since the last call. After a flush.
    pub(crate) fn take<'a>(&mut self, out: &'a Scratch) -> &'a [u8] {
        out.get(..std::mem::take(&mut self.at)).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_enter_from_the_low_end() {
        let mut out = [0; SIZE + 8];
        let mut bits = Bits::default();
        bits.put(0b1, 1);
        bits.put(0b10, 2);
        bits.push(entry(0b110, 3)); // sent 1, 1, 0
        bits.push(followed(entry(0b10, 2), 0b101, 3)); // sent 1, 0, then 101 from its low end
        bits.push(0);
        bits.put(0, 0);
        bits.flush(&mut out);
        assert_eq!(bits.waiting(), 3);
        bits.align(&mut out);
        // read from the low end: 1, 01, 110, 10, 101
        assert_eq!(bits.take(&out), [0b0101_1101, 0b101]);
        assert_eq!(bits.take(&out), []);
    }
}
