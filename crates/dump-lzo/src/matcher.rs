//! Takes a page apart into literals and matches.
//!
//! ```text
//! at p:   compare four bytes with those 8 bytes back          pointers and counters, word after word
//!         and with the last place that began with the same    hash table; from now on it says p
//!         equal: extend, write the literals before and the match, note its last place but one, go behind it
//!         else:  the same at p + 1, which shares the word; then on, by a byte more for each 16 literals in vain
//! ```
//!
//! Two candidates and no more: the last match's distance as a third makes output 1 % smaller and takes a tenth more time.

use crate::stream::{FAR, Stream};
use crate::window::Window;

/// 4096 places for 4 KiB: 8 KiB of table to clear for each page.
const HASH_BITS: u32 = 12;

/// Of so many literals in vain, as a power of two, each makes steps longer by a byte. With 3, kernels of the corpus become 4 %
/// larger and are packed a tenth faster.
const PATIENCE: u32 = 4;

/// Bytes at a page's end that begin no match, so that words can be read everywhere.
const TAIL: usize = 12;

/// The last position of each hash of four bytes, its low 16 bits.
///
/// 0 where there was none: a position like any other, since what a place holds is compared with what is there. So a page
/// starts with a clear table and no other state.
pub(crate) struct Table([u16; 1 << HASH_BITS]);

impl Table {
    pub(crate) fn new() -> Table {
        Table([0; 1 << HASH_BITS])
    }

    #[inline(always)]
    fn at(&mut self, word: u64) -> &mut u16 {
        &mut self.0[((word as u32).wrapping_mul(0x9E37_79B1) >> (32 - HASH_BITS)) as usize]
    }

    /// How far back the last place is that has the hash of `word`; from now on that is `pos`.
    #[inline(always)]
    fn dist(&mut self, word: u64, pos: usize) -> usize {
        let place = std::mem::replace(self.at(word), pos as u16);
        usize::from((pos as u16).wrapping_sub(place))
    }

    /// Compresses the page of `end` bytes in `window`; `None` once it has more than `room` bytes.
    #[inline(never)]
    pub(crate) fn compress(&mut self, window: &Window, end: usize, room: usize, out: &mut Stream) -> Option<usize> {
        self.0.fill(0);
        let mut at = out.start();
        let stop = end.saturating_sub(TAIL);
        let mut pos = 1;
        let mut literals = 0;
        'next: while pos < stop {
            let dist = loop {
                let word = window.word::<0>(pos);
                let by_word = word ^ window.word::<8>(pos);
                if by_word as u32 == 0 {
                    *self.at(word) = pos as u16;
                    break 8;
                }
                let dist = self.dist(word, pos);
                if word as u32 == window.word::<0>(pos.wrapping_sub(dist)) as u32 {
                    break dist;
                }
                pos += 1;
                let word = word >> 8;
                if by_word << 24 >> 32 == 0 {
                    *self.at(word) = pos as u16;
                    break 8;
                }
                let dist = self.dist(word, pos);
                if word as u32 == window.word::<0>(pos.wrapping_sub(dist)) as u32 {
                    break dist;
                }
                pos += 1 + ((pos - literals) >> PATIENCE);
                if pos >= stop {
                    break 'next;
                }
            };
            if dist.wrapping_sub(1) >= FAR {
                pos += 1; // too far for the format, in pages of 64 KiB and more, or none: the same place again
                continue;
            }
            let len = window.equal(pos, dist, end - pos);
            let n = pos - literals;
            if at + n > room {
                return None;
            }
            at = out.literals(at, window, literals, n);
            at = out.matched(at, len, dist);
            pos += len;
            literals = pos;
            if pos >= stop {
                break;
            }
            *self.at(window.word::<2>(pos)) = (pos - 2) as u16;
        }
        let n = end - literals;
        if at + n > room {
            return None;
        }
        Some(out.literals(at, window, literals, n))
    }
}
