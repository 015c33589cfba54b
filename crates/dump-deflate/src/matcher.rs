//! Takes a block apart into literals and matches.
//!
//! ```text
//! at p, which follows a match, or two literals in vain:
//!     compare p and p + 1, eight bytes at once, with
//!         the last place that began with the same bytes          hash table; from now on it says p
//!         8 bytes back                                           pointers and counters, word after word
//!         as far back as the last match reached                  structs in arrays differ in a few bytes
//!     score each: 2^28 for a byte that is equal, up to 8; -2^17 for a byte of distance
//!     take the best at p, or that at p + 1 if it is one byte better
//!     enough (three bytes near by, four bytes 2 KiB farther, …):
//!         extend it, note it, go behind it
//!     else:
//!         two literals; then byte by byte, until the last place of a hash repeats its bytes, or a distance three
//!         128 in vain: in steps that grow; 512 that look random: in steps of 16
//! ```
//!
//! "The same bytes" are four in blocks of structs and of text, where those are frequent that begin in the same three,
//! and the last is seldom the best; three in others. In the pages of a kernel without user data, half of which are code
//! and tables, four bytes everywhere are 1.5 % larger (0.7 to 3 % among dumps) and three everywhere 4 %.
//!
//! What counts here is branches that cannot be predicted, at 40 cycles each (a wrong guess is only noticed at the end
//! of the chain load, hash, load, load, compare), and the chain itself. So six candidates are scored without a branch
//! and the loop has one that matters per match: the best is good enough or not. Of 33 000 cycles for a page that is not
//! random, the matcher takes 20 000, of which 6500 are wrong guesses; it runs 55 000 instructions, 200 matches and 750
//! literals.

use crate::counts::Counts;
use crate::symbols::{MAX_MATCH, MIN_MATCH, dist_symbol};
use crate::window::{Window, zeroed};

/// 4096 places for 4 KiB: with 2^11 the dumps measured are up to 0.4 % larger; with 2^13 up to 0.2 % smaller, but there
/// is twice the table to clear and to keep in the cache.
const HASH_BITS: u32 = 12;
/// Room for a block's sequences, each of three bytes or more, and an index mask.
const SEQS: usize = 8192;

/// Bits of a score below those that count equal bytes.
const SCORE_BITS: u32 = 28;
/// What a byte of distance costs, as a score: 2048 of them are as bad as one byte less (an eighth of that makes pages
/// of 16 and 64 KiB 0.4 % larger). The odd number makes the low 16 bits of any score its distance. Beyond 12 288 no
/// match pays, so that no distance is too far for the format.
const PER_DISTANCE: i64 = (2 << 16) - 1;
/// The least score of a match: three bytes at a distance of 64, or of 2048 where places are known by three.
///
/// The bytes of structs and text take three to five bits each, so that a far match of three saves nothing; those of
/// code and tables take seven. With 1024 instead of 2048 dumps of kernels are 0.1 % larger, with 256 0.3 to 0.7 %. More
/// than 2048 would let matches of two bytes pass, which the format does not have.
const fn enough<const BYTES: u32>() -> i64 {
    (3 << SCORE_BITS) - if BYTES == 3 { 2048 } else { 64 } * PER_DISTANCE
}
const _: () = assert!(enough::<3>() >= 2 << SCORE_BITS && enough::<4>() >= 2 << SCORE_BITS);
/// How much better a match one byte later must be: zlib's "lazy" rule, a byte stricter, which is 2 % faster and makes
/// only text larger (0.6 %). Without any such rule pages that are not random are 4.4 % larger, and 3 % faster.
const PATIENCE: i64 = 1 << SCORE_BITS;
/// The score of equal bytes stops here. One byte later it stops at 7, since that is what one word has of both places;
/// with 7 for both, the pages of 6.1 without user data are 0.07 % larger, others as large.
const SCORED: u32 = 8;
/// Ends the bytes of a word that begins one byte later.
const LATER_END: u64 = 1 << 56;
/// A distance that is always tried: the machine word.
const WORD: u32 = 8;
/// The cost of [`WORD`].
const WORD_COST: i64 = WORD as i64 * PER_DISTANCE;

/// Literals in vain after which steps grow.
const CALM: u32 = 128;
/// Literals in vain after which they are tested for randomness.
const DOUBT: u32 = 512;
/// Steps through what looks random.
const STRIDE: u32 = 16;
/// Bytes at a block's end that decide, with the first ones, whether it is random.
const SAMPLE: u32 = 1024;

/// Literals, then a match.
#[derive(Clone, Copy, Default)]
#[repr(align(8))]
pub(crate) struct Seq {
    pub(crate) literals: u16,
    /// Distance - 1.
    pub(crate) dist1: u16,
    /// Length - 3.
    pub(crate) len3: u8,
    pub(crate) dist_symbol: u8,
}

/// The first bytes of a word: as many as a place is known by.
#[inline(always)]
fn key<const BYTES: u32>(word: u64) -> u32 {
    (word as u32) << (32 - 8 * BYTES)
}

/// The last position of each hash of three bytes, or four: as the block at hand has it. What a block of the other kind
/// left is of no use and does no harm.
///
/// 0 where there was none: a position like any other, since whatever a place holds is compared with what is there. So a
/// page starts with a clear table and no other state; clearing takes 150 cycles.
struct Table([u16; 1 << HASH_BITS]);

impl Table {
    #[inline(always)]
    fn at<const BYTES: u32>(&mut self, word: u64) -> &mut u16 {
        &mut self.0[(key::<BYTES>(word).wrapping_mul(0x9E37_79B1) >> (32 - HASH_BITS)) as usize]
    }

    #[inline(always)]
    fn replace<const BYTES: u32>(&mut self, word: u64, p: u16) -> u16 {
        std::mem::replace(self.at::<BYTES>(word), p)
    }
}

/// The score of a candidate that differs by `differ` in eight bytes and costs `cost` to point at.
#[inline(always)]
fn score(differ: u64, cost: i64) -> i64 {
    let equal_bits = differ.trailing_zeros() & !7;
    (i64::from(equal_bits) << (SCORE_BITS - 3)) - cost
}

/// What it costs to point from `pos` at `place`.
#[inline(always)]
fn cost(pos: u32, place: u16) -> i64 {
    (i64::from(pos) - i64::from(place)) * PER_DISTANCE
}

/// Whether a block is made of structs, words with zeros in them, or of text, rather than of code, dense tables or
/// noise: whether of words 72 bytes apart (so that all columns of structs of 64 bytes are seen) a quarter have no byte
/// above 0x7f.
///
/// A third instead of a quarter makes no difference, a half makes the pages of 6.1 without user data 0.5 % larger. Only
/// zero words counted: text is taken for code, which makes pages of log lines 4 % larger, with a tenth more
/// instructions.
#[inline(always)]
fn has_structs(block: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let low = |word: &[u8; 8]| u64::from_le_bytes(*word) & HIGH == 0;
    let words = block.chunks(72).filter(|chunk| chunk.first_chunk().is_some_and(low)).count();
    words * 72 * 4 >= block.len()
}

/// Where a walk in steps ended.
enum Skipped {
    /// Something repeats here, or the block is over.
    To(u32),
    /// What follows looks random to the end, and was not counted.
    RandomFrom(u32),
}

/// A block's literals and matches, and what is needed to find them.
pub(crate) struct Matcher {
    table: Table,
    seqs: Box<[Seq; SEQS]>,
    len: usize,
    /// Literals behind the last match.
    tail: usize,
    counts: Counts,
}

impl Matcher {
    pub(crate) fn new() -> Matcher {
        let table = Table([0; 1 << HASH_BITS]);
        Matcher { table, seqs: zeroed(), len: 0, tail: 0, counts: Counts::new() }
    }

    /// Forgets all places.
    pub(crate) fn clear(&mut self) {
        self.table.0.fill(0);
    }

    /// Positions became smaller by `by`.
    pub(crate) fn moved(&mut self, by: usize) {
        for place in &mut self.table.0 {
            *place = place.saturating_sub(by as u16);
        }
    }

    pub(crate) fn seqs(&self) -> &[Seq] {
        &self.seqs[..self.len % SEQS]
    }

    /// Literals behind the last match.
    pub(crate) fn tail(&self) -> usize {
        self.tail
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Takes the block from `start` to `end` apart. `false` if it is random and not worth coding: then there are no
    /// sequences.
    ///
    /// The last nine bytes begin no match, so that words can be read everywhere (trying shorter ones there: 0.04 %
    /// smaller).
    pub(crate) fn parse(&mut self, window: &Window, start: usize, end: usize) -> bool {
        if has_structs(window.bytes(start as u32, end as u32)) {
            self.parse_by::<4>(window, start, end)
        } else {
            self.parse_by::<3>(window, start, end)
        }
    }

    #[inline(never)]
    fn parse_by<const BYTES: u32>(&mut self, window: &Window, start: usize, end: usize) -> bool {
        let (start, end) = (start as u32, end as u32);
        let stop = end.saturating_sub(9);
        self.counts.clear();
        let mut len = 0;
        let (mut pos, mut literals) = (start, start); // where the literals begin that no sequence has yet
        let (mut last, mut last_cost) = (1u16, PER_DISTANCE); // the last match's distance
        let mut doubted = false;
        if start == 0 && end > 0 {
            // the first byte follows nothing, and is at position 0 as the empty table says
            self.counts.literal(window.byte::<0>(0), 1);
            pos = 1;
        }
        'next: while pos < stop {
            let p = pos as u16;
            let word = window.word::<0>(p);
            let later_word = word >> 8;
            let place = self.table.replace::<BYTES>(word, p);
            let later_place = *self.table.at::<BYTES>(later_word);
            let by_word = word ^ window.word::<8>(p);
            let by_last = word ^ window.word::<0>(p.wrapping_sub(last));
            let by_hash = word ^ window.word::<0>(place);
            let later_by_hash = later_word ^ window.word::<0>(later_place) | LATER_END;

            // of the two distances the one that is better at p + 1 is tried at p: both see the same difference
            let later_by_word = score(by_word >> 8 | LATER_END, WORD_COST);
            let later_by_last = score(by_last >> 8 | LATER_END, last_cost);
            let (fixed, fixed_cost) =
                if later_by_last <= later_by_word { (by_word, WORD_COST) } else { (by_last, last_cost) };
            let here = score(fixed, fixed_cost).max(score(by_hash, cost(pos, place)));
            let later = later_by_word.max(later_by_last).max(score(later_by_hash, cost(pos + 1, later_place)));
            let wait = later > here + PATIENCE;
            let best = if wait { later } else { here };

            if best < const { enough::<BYTES>() } {
                self.counts.literal(word as u8, 1);
                self.counts.literal(later_word as u8, 1);
                *self.table.at::<BYTES>(later_word) = p.wrapping_add(1);
                pos += 2;
                // Two positions a turn share a word. What ends it is looked at again above. The distances come first:
                // they are known ten cycles before the hash, and so is a wrong guess.
                let calm = stop.min(pos + CALM);
                while pos < calm {
                    let p = pos as u16;
                    let word = window.word::<0>(p);
                    let by_word = word as u32 ^ window.word::<8>(p) as u32;
                    let by_last = word as u32 ^ window.word::<0>(p.wrapping_sub(last)) as u32;
                    let place = self.table.at::<BYTES>(word);
                    let repeats = key::<BYTES>(word ^ window.word::<0>(*place)) == 0;
                    if by_word << 8 == 0 || by_last << 8 == 0 || repeats {
                        continue 'next;
                    }
                    *place = p;
                    self.counts.literal(word as u8, 1);
                    pos += 1;
                    let word = word >> 8;
                    let place = self.table.at::<BYTES>(word);
                    let repeats = key::<BYTES>(word ^ window.word::<0>(*place)) == 0;
                    if by_word >> 8 == 0 || by_last >> 8 == 0 || repeats {
                        continue 'next;
                    }
                    *place = pos as u16;
                    self.counts.literal(word as u8, 1);
                    pos += 1;
                }
                if pos < stop {
                    match self.skip::<BYTES>(window, &mut doubted, pos - literals, pos, stop) {
                        Skipped::To(at) => pos = at,
                        Skipped::RandomFrom(from) => {
                            if self.is_random(window, start, from, end) {
                                return false;
                            }
                            pos = end;
                        }
                    }
                }
                continue;
            }

            self.counts.literal(word as u8, u32::from(wait));
            pos += u32::from(wait);
            let dist = (best & 0xffff) as u32;
            (last, last_cost) = (dist as u16, i64::from(dist) * PER_DISTANCE);
            let mut equal = ((best + last_cost) >> SCORE_BITS) as u32;
            if equal + u32::from(wait) == SCORED {
                equal = window.equal(pos, dist, equal, MAX_MATCH.min(end - pos));
            }
            let seq = Seq {
                literals: (pos - literals) as u16,
                dist1: (dist - 1) as u16,
                len3: (equal - MIN_MATCH) as u8,
                dist_symbol: dist_symbol(dist - 1),
            };
            self.counts.matched(seq.len3, seq.dist_symbol);
            self.seqs[len % SEQS] = seq;
            len += 1;
            pos += equal;
            literals = pos;
            if pos >= stop {
                break; // what lies behind the end is from other pages, and must not get into the table
            }
            // Of the places within a match, the first and the last two are noted. Without the last two: 0.2 to 0.6 %
            // larger, 2 % faster; with three more: at most 0.2 % smaller, 3 % slower. With the second,
            // which begins little that the distances do not find, structs and text are up to 0.8 % larger, since older
            // places are forgotten for it, and 2 % more instructions are run; code and tables would be 0.1 to 0.6 %
            // smaller.
            let word = window.word::<2>(pos as u16);
            *self.table.at::<BYTES>(word) = (pos - 2) as u16;
            *self.table.at::<BYTES>(word >> 8) = (pos - 1) as u16;
        }
        self.counts.literals(window.bytes(pos, end));
        self.len = len;
        self.tail = (end - literals) as usize;
        true
    }

    /// Walks on from `pos`, `vain` literals after the last match, in growing steps; counts what it passes.
    #[cold]
    #[inline(never)]
    fn skip<const BYTES: u32>(
        &mut self,
        window: &Window,
        doubted: &mut bool,
        mut vain: u32,
        mut pos: u32,
        stop: u32,
    ) -> Skipped {
        let mut from = pos;
        let mut random = false;
        while pos < stop {
            let p = pos as u16;
            let word = window.word::<0>(p);
            let place = self.table.at::<BYTES>(word);
            if word as u32 == window.word::<0>(*place) as u32 || word as u32 == window.word::<8>(p) as u32 {
                break;
            }
            *place = p;
            if vain >= DOUBT && !*doubted {
                *doubted = true;
                self.counts.literals(window.bytes(from, pos));
                from = pos;
                (_, random) = self.counts.evenness();
            }
            let step = if random { STRIDE } else { 1 + vain / CALM };
            pos += step;
            vain += step;
        }
        if random && pos >= stop {
            return Skipped::RandomFrom(from);
        }
        pos = pos.min(stop);
        self.counts.literals(window.bytes(from, pos));
        Skipped::To(pos)
    }

    /// Whether a block is random that was last seen to look so, and repeated nothing, from `from` on. If not, all of it
    /// is counted.
    ///
    /// Random pages are a quarter to a third of those that are not zero on machines that hold packages, images or
    /// compressed memory. They take 5000 cycles so, and 15 000 if the whole page is counted and its code is built.
    #[cold]
    fn is_random(&mut self, window: &Window, start: u32, from: u32, end: u32) -> bool {
        let sampled = end.saturating_sub(SAMPLE).max(from);
        self.counts.literals(window.bytes(sampled, end));
        let (literals, random) = self.counts.evenness();
        if random && literals + (sampled - from) >= (end - start) / 32 * 31 {
            return true;
        }
        self.counts.literals(window.bytes(from, sampled));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (literals, length, distance)
    type Parsed = (usize, usize, usize);

    /// All sequences, and the literals behind them; nothing for what is random.
    fn parsed(page: &[u8]) -> Option<(Vec<Parsed>, usize)> {
        let (mut window, mut matcher) = (Window::new(), Matcher::new());
        let (start, _) = window.append(page);
        let seq = |s: &Seq| (usize::from(s.literals), usize::from(s.len3) + 3, usize::from(s.dist1) + 1);
        let coded = matcher.parse(&window, start, page.len());
        coded.then(|| (matcher.seqs().iter().map(seq).collect(), matcher.tail()))
    }

    #[test]
    fn zeros_are_one_literal_and_long_matches() {
        assert_eq!(parsed(&[0; 600]), Some((vec![(1, 258, 1), (0, 258, 1), (0, 83, 1)], 0)));
        assert_eq!(parsed(&[]), Some((vec![], 0)));
        assert_eq!(parsed(&[9; 9]), Some((vec![], 9)));
    }

    #[test]
    fn words_that_differ_in_a_byte_match_eight_bytes_back() {
        let mut page = Vec::new();
        for i in 0..8u8 {
            page.extend([0x10 + 0x13 * i, 0x52, 0x31, 0x74, 0xa5, 0x88, 0xff, 0xe1]);
        }
        let (seqs, _) = parsed(&page).unwrap();
        assert_eq!(seqs[0], (9, 7, 8));
        assert!(seqs[1..].iter().all(|seq| *seq == (1, 7, 8)), "{seqs:?}");
    }

    #[test]
    fn a_match_one_byte_later_is_waited_for() {
        // "xabc" was here, nine bytes back, but what begins with "abcdef", one byte later, is longer
        let page = b"abcdefghij01xabc23456xabcdefghijKLMNOPQRSTUV";
        assert_eq!(parsed(page), Some((vec![(22, 10, 22)], 12)));
        // by two bytes or more
        let page = b"abcde,01xabc23456xabcdeKLMNOPQRSTUV";
        assert_eq!(parsed(page), Some((vec![(17, 4, 9)], 14)));
    }

    #[test]
    fn random_blocks_are_recognised_and_others_are_not() {
        let mut state = 7u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        let mut page: Vec<u8> = std::iter::repeat_with(&mut random).take(4096).collect();
        assert_eq!(parsed(&page), None);
        // a random head, then letters that repeat nothing: one in 26 bytes is equal
        page[600..].iter_mut().for_each(|byte| *byte = b'a' + *byte % 26);
        assert!(parsed(&page).is_some());
        // a random head, then words
        for (i, word) in page[2048..].chunks_mut(8).enumerate() {
            word.copy_from_slice(&(0xffff_8880_0123_0000 + 64 * i as u64).to_le_bytes());
        }
        assert!(parsed(&page).is_some());
    }
}
