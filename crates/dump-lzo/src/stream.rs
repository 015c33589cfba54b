//! LZO1X instructions.

use crate::window::{POSITIONS, Window, copy, zeroed};

/// The farthest that the two-byte form of a match reaches.
const NEAR: usize = 2048;
/// The farthest that the three-byte form reaches which can be as long as [`MIDDLE_LEN`].
const MIDDLE: usize = 16384;
/// The farthest that any form reaches.
pub(crate) const FAR: usize = 49151;
/// The longest of two bytes.
const NEAR_LEN: usize = 8;
/// The longest of three bytes.
const MIDDLE_LEN: usize = 33;
/// Literals with a count of one byte or less, that are copied as one.
const SHORT: usize = 16;
/// Room for any page as literals; twice as much as a page makes an index mask.
const SIZE: usize = POSITIONS * 2;

/// A block as it is written. Who writes keeps the place where it ends, in a register.
pub(crate) struct Stream {
    bytes: Box<[u8; SIZE + 32]>,
}

impl Stream {
    pub(crate) fn new() -> Stream {
        Stream { bytes: zeroed() }
    }

    /// Starts a block, as if a match had been written, and returns its end.
    pub(crate) fn start(&mut self) -> usize {
        self.bytes[0] = 17;
        2
    }

    #[inline(always)]
    fn put<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        if let Some(to) = self.bytes[at % SIZE..].first_chunk_mut() {
            *to = bytes;
        }
    }

    /// `n` literals from `from` on, behind a match that ends at `at`. Returns the new end.
    #[inline(always)]
    pub(crate) fn literals(&mut self, at: usize, window: &Window, from: usize, n: usize) -> usize {
        if n > SHORT {
            return self.many_literals(at, window, from, n);
        }
        // a branch: without it 3 % slower, with the one in `matched`
        let mut at = at;
        if n > 3 {
            self.bytes[at % SIZE] = n as u8 - 3;
            at += 1;
        } else {
            self.bytes[(at - 2) % SIZE] += n as u8; // rides with the match
        }
        self.put(at, window.sixteen(from));
        at + n
    }

    #[inline(never)]
    fn many_literals(&mut self, at: usize, window: &Window, from: usize, n: usize) -> usize {
        let at = if at == 2 && n <= 238 {
            self.push(at, 17 + n as u8)
        } else if n <= 18 {
            self.push(at, n as u8 - 3)
        } else {
            let at = self.push(at, 0);
            self.push_long(at, n - 18)
        };
        if let Some(to) = self.bytes.get_mut(at..at + n) {
            copy(window.bytes(from, from + n), to);
        }
        at + n
    }

    /// A match of `len` bytes, 3 or more, `dist` back. Returns the new end.
    #[inline(always)]
    pub(crate) fn matched(&mut self, at: usize, len: usize, dist: usize) -> usize {
        let dist1 = dist - 1;
        if (len > MIDDLE_LEN) | (dist1 >= MIDDLE) {
            return self.long_match(at, len, dist1);
        }
        if len <= NEAR_LEN && dist1 < NEAR {
            let two = (len - 1) << 5 | (dist1 & 7) << 2 | dist1 >> 3 << 8;
            self.put(at, (two as u16).to_le_bytes());
            at + 2
        } else {
            let three = 32 | (len - 2) | dist1 << 10;
            self.put(at, (three as u32).to_le_bytes());
            at + 3
        }
    }

    #[inline(never)]
    fn long_match(&mut self, at: usize, len: usize, dist1: usize) -> usize {
        let (form, low, dist) = if dist1 < MIDDLE {
            (32, 33, dist1)
        } else {
            let dist = dist1 + 1 - MIDDLE;
            (16 | dist >> 14 << 3, 9, dist & 0x3fff)
        };
        let at = if len <= low {
            self.push(at, (form | (len - 2)) as u8)
        } else {
            let at = self.push(at, form as u8);
            self.push_long(at, len - low)
        };
        self.put(at, (dist as u16).wrapping_shl(2).to_le_bytes());
        at + 2
    }

    fn push(&mut self, at: usize, byte: u8) -> usize {
        self.bytes[at % SIZE] = byte;
        at + 1
    }

    /// `n` as the format adds bytes up: zeros for 255 each, then the rest, which is not zero.
    fn push_long(&mut self, mut at: usize, mut n: usize) -> usize {
        while n > 255 {
            at = self.push(at, 0);
            n -= 255;
        }
        self.push(at, n as u8)
    }

    /// Ends the block that reaches to `at`. Returns its bytes.
    pub(crate) fn finish(&mut self, at: usize) -> &[u8] {
        self.put(at, [17, 0, 0]);
        let mut start = 2;
        if self.bytes[0] > 17 {
            start = 1;
            self.bytes[1] = self.bytes[0];
        }
        self.bytes.get(start..at + 3).unwrap_or_default()
    }
}
