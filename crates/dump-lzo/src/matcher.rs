//! Takes a page apart into literals and matches.

use crate::stream::{FAR, Stream};
use crate::window::Window;

const HASH_BITS: u32 = 12;

/// The last position of each hash of four bytes, its low 16 bits.
pub(crate) struct Table([u16; 1 << HASH_BITS]);

impl Table {
    pub(crate) fn new() -> Table {
        Table([0; 1 << HASH_BITS])
    }

    #[inline(always)]
    fn at(&mut self, word: u64) -> &mut u16 {
        &mut self.0[((word as u32).wrapping_mul(0x9E37_79B1) >> (32 - HASH_BITS)) as usize]
    }

    /// Compresses the page of `end` bytes in `window`; `None` once it has more than `room` bytes.
    #[inline(never)]
    pub(crate) fn compress(&mut self, window: &Window, end: usize, room: usize, out: &mut Stream) -> Option<()> {
        self.0.fill(0);
        out.clear();
        let stop = end.saturating_sub(8);
        let mut pos = 1;
        let mut literals = 0;
        while pos < stop {
            let word = window.word::<0>(pos);
            let by_word = word ^ window.word::<8>(pos);
            let place = self.at(word);
            let mut dist = usize::from((pos as u16).wrapping_sub(*place));
            *place = pos as u16;
            let by_hash = word ^ window.word::<0>(pos.wrapping_sub(dist));
            let mut differ = by_hash;
            let e_word = by_word.trailing_zeros();
            let e_hash = by_hash.trailing_zeros();
            if e_word >= 24 && e_word + 8 >= e_hash {
                dist = 8;
                differ = by_word;
            } else if e_hash < 32 || dist.wrapping_sub(1) >= FAR {
                pos += 1 + ((pos - literals) >> 5);
                continue;
            }
            let mut len = differ.trailing_zeros() as usize / 8;
            if differ == 0 {
                len = window.equal(pos, dist, 8, end - pos);
            }
            let n = pos - literals;
            if out.len() + n > room {
                return None;
            }
            out.literals(window, literals, n);
            out.matched(len, dist);
            pos += len;
            literals = pos;
            if pos >= stop {
                break;
            }
            let word = window.word::<2>(pos);
            *self.at(word) = (pos - 2) as u16;
            *self.at(word >> 8) = (pos - 1) as u16;
        }
        let n = end - literals;
        if out.len() + n > room {
            return None;
        }
        out.literals(window, literals, n);
        Some(())
    }
}
