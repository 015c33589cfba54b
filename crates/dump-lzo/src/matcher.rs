//! Takes a page apart into literals and matches.
//!
//! ```text
//! at p:   compare four bytes with those as far back as the last match reached     structs in arrays, words, zeros
//!         and with the last place that began with the same four       hash table; from now on it says p
//!         equal: extend, write the literals before and the match, note its last place but one, go behind it
//!         else:  the same at p + 1, which shares the word; then on
//!         20 literals in vain: on in steps that grow, to every fourth place and the one behind it
//! ```
//!
//! What takes time is finding where the next match begins: of 14 000 cycles for a page that is not random, with 200
//! matches, writing them takes 1000. Nearly each match is a wrong guess at a branch, and behind it the chain load,
//! hash, load, load, compare. So the distance that is known without that chain is tried first, and what is equal is
//! taken as it comes.
//!
//! Rejected, by what it does to kernels of the corpus:
//!
//! - 8 bytes back instead of the last distance: up to 0.8 % larger; beside it: no smaller, 3 % slower;
//! - three bytes equal at that distance: up to 2 % smaller, 2 to 8 % slower;
//! - the candidates of p and p + 1 with one branch: 13 to 27 % slower, since each match waits for the slowest chain;
//! - every second place only: up to a tenth faster, 4 to 8 % larger;
//! - hashes of five bytes: 6 to 28 % faster, 1 to 7 % larger;
//! - the last place of a match noted too: up to 0.4 % smaller, 3 % slower.

use crate::stream::{FAR, Stream};
use crate::window::Window;

/// 4096 places for 4 KiB: 8 KiB of table to clear for each page, in 150 cycles.
const HASH_BITS: u32 = 12;

/// Literals in vain after which steps grow, and end at multiples of four: there begins what repeats in memory, more
/// often than elsewhere. Ended where they may: 0.1 to 1.3 % smaller, 3 to 9 % slower. With 16: up to 0.5 % larger, 1 to
/// 3 % faster.
const CALM: usize = 20;

/// Of so many literals in vain, as a power of two, each makes steps longer by a byte. With 3: 0.4 to 4.6 % larger, 1 to
/// 22 % faster.
const PATIENCE: u32 = 4;

/// Bytes at a page's end that begin no match, so that words can be read everywhere.
const TAIL: usize = 12;

/// The last position of each hash of four bytes, its low 16 bits.
///
/// 0 where there was none: a position like any other, since what a place holds is compared with what is there. So a
/// page starts with a clear table and no other state.
pub(crate) struct Table([u16; 1 << HASH_BITS]);

impl Table {
    pub(crate) fn new() -> Table {
        Table([0; 1 << HASH_BITS])
    }

    #[inline(always)]
    fn at(&mut self, word: u64) -> &mut u16 {
        &mut self.0[((word as u32).wrapping_mul(0x9E37_79B1) >> (32 - HASH_BITS)) as usize]
    }

    /// The last place that has the hash of `word`; from now on that is `pos`.
    ///
    /// In a page that is not `SMALL` it may be `pos` itself, for lack of a nearer one with its low 16 bits.
    #[inline(always)]
    fn replace<const SMALL: bool>(&mut self, word: u64, pos: usize) -> usize {
        let place = std::mem::replace(self.at(word), pos as u16);
        if SMALL { usize::from(place) } else { pos - usize::from((pos as u16).wrapping_sub(place)) }
    }

    /// Compresses the page of `end` bytes in `window` and returns where the block ends in `out`; `None` once it has
    /// more than `room` bytes.
    pub(crate) fn compress(&mut self, window: &Window, end: usize, room: usize, out: &mut Stream) -> Option<usize> {
        self.0.fill(0);
        // up to 64 KiB, a place is all there is to a position: a tenth faster
        if end <= 1 << 16 {
            self.parse::<true>(window, end, room, out)
        } else {
            self.parse::<false>(window, end, room, out)
        }
    }

    #[inline(never)]
    fn parse<const SMALL: bool>(
        &mut self,
        window: &Window,
        end: usize,
        room: usize,
        out: &mut Stream,
    ) -> Option<usize> {
        let stop = end.saturating_sub(TAIL);
        let mut at = out.start();
        let mut pos = 1; // the first byte follows nothing, and is at position 0 as the empty table says
        let mut literals = 0; // where those begin that are not written yet
        let mut last = 1; // the last match's distance
        'next: while pos < stop {
            let from = loop {
                let word = window.word(pos);
                let by_last = word ^ window.word(pos - last);
                if by_last as u32 == 0 {
                    *self.at(word) = pos as u16;
                    break pos - last;
                }
                let place = self.replace::<SMALL>(word, pos);
                if word as u32 == window.word(place) as u32 {
                    break place;
                }
                pos += 1;
                let word = word >> 8;
                if by_last << 24 >> 32 == 0 {
                    *self.at(word) = pos as u16;
                    break pos - last;
                }
                let place = self.replace::<SMALL>(word, pos);
                if word as u32 == window.word(place) as u32 {
                    break place;
                }
                let vain = pos - literals;
                pos = if vain < CALM { pos + 1 } else { (pos + 4 + (vain >> PATIENCE)) & !3 };
                if pos >= stop {
                    break 'next;
                }
            };
            let dist = pos - from;
            if dist.wrapping_sub(1) >= FAR {
                pos += 1; // too far for the format, or the same place again: in pages of 64 KiB and more
                continue;
            }
            let len = window.equal(pos, from, end - pos);
            let n = pos - literals;
            if at + n > room {
                return None;
            }
            at = out.literals(at, window, literals, n);
            at = out.matched(at, len, dist);
            last = dist;
            pos += len;
            literals = pos;
            if pos >= stop {
                break; // what lies behind the end is from other pages, and must not get into the table
            }
            *self.at(window.word(pos - 2)) = (pos - 2) as u16;
        }
        let n = end - literals;
        if at + n > room {
            return None;
        }
        Some(out.literals(at, window, literals, n))
    }
}
