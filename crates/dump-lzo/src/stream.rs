//! LZO1X instructions.

use crate::window::{POSITIONS, Window, zeroed};

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

/// A block as it is written.
pub(crate) struct Stream {
    bytes: Box<[u8; SIZE + 32]>,
    at: usize,
}

impl Stream {
    pub(crate) fn new() -> Stream {
        Stream { bytes: zeroed(), at: 0 }
    }

    /// Starts a block: as if a match had been written.
    pub(crate) fn clear(&mut self) {
        self.bytes[0] = 17;
        self.at = 2;
    }

    /// Bytes so far, up to two more than will be.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.at
    }

    #[inline(always)]
    fn put<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        if let Some(to) = self.bytes[at % SIZE..].first_chunk_mut() {
            *to = bytes;
        }
    }

    /// `n` literals from `from` on.
    #[inline(always)]
    pub(crate) fn literals(&mut self, window: &Window, from: usize, n: usize) {
        if n > SHORT {
            return self.many_literals(window, from, n);
        }
        let counted = n > 3;
        self.bytes[(self.at - 2) % SIZE] += if counted { 0 } else { n as u8 };
        self.bytes[self.at % SIZE] = (n as u8).wrapping_sub(3);
        self.at += usize::from(counted);
        self.put(self.at, window.sixteen(from));
        self.at += n;
    }

    #[inline(never)]
    fn many_literals(&mut self, window: &Window, from: usize, n: usize) {
        if self.at == 2 && n <= 238 {
            self.push(17 + n as u8);
        } else if n <= 18 {
            self.push(n as u8 - 3);
        } else {
            self.push(0);
            self.push_long(n - 18);
        }
        if let Some(to) = self.bytes.get_mut(self.at..self.at + n) {
            to.copy_from_slice(window.bytes(from, from + n));
        }
        self.at += n;
    }

    /// A match of `len` bytes, 3 or more, `dist` back.
    #[inline(always)]
    pub(crate) fn matched(&mut self, len: usize, dist: usize) {
        let dist1 = dist - 1;
        if len > MIDDLE_LEN || dist1 >= MIDDLE {
            return self.long_match(len, dist1);
        }
        let near = len <= NEAR_LEN && dist1 < NEAR;
        let two = (len - 1) << 5 | (dist1 & 7) << 2 | dist1 >> 3 << 8;
        let three = 32 | (len - 2) | dist1 << 10;
        self.put(self.at, (if near { two } else { three } as u32).to_le_bytes());
        self.at += 3 - usize::from(near);
    }

    #[inline(never)]
    fn long_match(&mut self, len: usize, dist1: usize) {
        let (form, low, dist) = if dist1 < MIDDLE {
            (32, 33, dist1)
        } else {
            let dist = dist1 + 1 - MIDDLE;
            (16 | dist >> 14 << 3, 9, dist & 0x3fff)
        };
        if len <= low {
            self.push((form | (len - 2)) as u8);
        } else {
            self.push(form as u8);
            self.push_long(len - low);
        }
        self.put(self.at, (dist as u16).wrapping_shl(2).to_le_bytes());
        self.at += 2;
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.at % SIZE] = byte;
        self.at += 1;
    }

    /// `n` as the format adds bytes up: zeros for 255 each, then the rest, which is not zero.
    fn push_long(&mut self, mut n: usize) {
        while n > 255 {
            self.push(0);
            n -= 255;
        }
        self.push(n as u8);
    }

    /// Ends the block. Returns its bytes.
    pub(crate) fn finish(&mut self) -> &[u8] {
        self.put(self.at, [17, 0, 0]);
        self.at += 3;
        let mut start = 2;
        if self.bytes[0] > 17 {
            start = 1;
            self.bytes[1] = self.bytes[0];
        }
        self.bytes.get(start..self.at).unwrap_or_default()
    }
}
