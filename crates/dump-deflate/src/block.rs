//! The body of a block: literals and matches in the codes of the block.

use crate::bits::{Bits, Entry, Scratch, entry, followed};
use crate::counts::Counts;
use crate::huffman::Code;
use crate::matcher::Matcher;
use crate::symbols::{DIST_BITS, DISTS, END, LEN_EXTRA, LITLENS, MIN_MATCH};
use crate::window::Window;

/// Set in the index of a literal that is not there: its entry is 0, and nothing is written.
const ABSENT: u16 = 512;
/// Of up to three or four literals in a row, those that are not there.
const ABSENT_FROM: [[u16; 4]; 5] =
    [[ABSENT; 4], [0, ABSENT, ABSENT, ABSENT], [0, 0, ABSENT, ABSENT], [0, 0, 0, ABSENT], [0; 4]];

/// What is written for each symbol.
pub(crate) struct Entries {
    /// By symbol; from [`ABSENT`] on always 0.
    litlens: [Entry; 1024],
    /// By length - 3, with the extra bits: 5 instructions a match instead of 16.
    lens: [Entry; 256],
    /// By symbol, without the extra bits.
    dists: [Entry; DISTS],
}

impl Entries {
    pub(crate) const fn new() -> Entries {
        Entries { litlens: [0; 1024], lens: [0; 256], dists: [0; DISTS] }
    }

    /// The entries of a block with its own codes. Those of symbols that do not occur are left as they were.
    #[inline(always)]
    pub(crate) fn set<const L: usize, const D: usize>(&mut self, litlens: &Code<L>, dists: &Code<D>, counts: &Counts) {
        litlens.entries(&mut self.litlens);
        dists.entries(&mut self.dists);
        let counts = counts.litlens();
        let mut at = 0;
        for (i, &bits) in LEN_EXTRA.iter().enumerate() {
            let symbol = END + 1 + i;
            let (first, next) = lens_of(i, at);
            if counts[symbol] != 0 {
                let entry = self.litlens[symbol];
                for (extra, to) in self.lens[first..next].iter_mut().enumerate() {
                    *to = followed(entry, extra as u64, u32::from(bits));
                }
            }
            at = next;
        }
    }

    /// Writes what a block was taken apart into, which begins at `start`, and its end.
    ///
    /// Few branches: literals beyond groups of four, up to two of them and most often none or one, are written whether
    /// they are there or not. A loop over them makes the whole 5 to 8 % slower.
    #[inline(never)]
    pub(crate) fn write(&self, matcher: &Matcher, window: &Window, start: usize, bits: &mut Bits, out: &mut Scratch) {
        let mut to = *bits; // a copy that lives in registers
        let mut pos = start;
        for seq in matcher.seqs() {
            self.literals(window, pos, usize::from(seq.literals), &mut to, out);
            pos += usize::from(seq.literals) + usize::from(seq.len3) + MIN_MATCH as usize;
            let dist = usize::from(seq.dist_symbol) % DISTS;
            let (mask, extra) = DIST_BITS[dist];
            to.push(self.lens[usize::from(seq.len3)]);
            to.push(self.dists[dist]);
            to.put(u64::from(seq.dist1 & mask), u32::from(extra));
            to.flush(out);
        }
        self.literals(window, pos, matcher.tail(), &mut to, out);
        to.push(self.litlens[END]);
        to.flush(out);
        *bits = to;
    }

    #[inline(always)]
    fn literals(&self, window: &Window, mut pos: usize, mut left: usize, to: &mut Bits, out: &mut Scratch) {
        while left > 2 {
            let p = pos as u16;
            let now = left.min(4);
            to.push(self.literal(window.byte::<0>(p), 0));
            to.push(self.literal(window.byte::<1>(p), 0));
            to.push(self.literal(window.byte::<2>(p), 0));
            to.push(self.literal(window.byte::<3>(p), ABSENT_FROM[now][3]));
            to.flush(out);
            pos += now;
            left -= now;
        }
        let p = pos as u16;
        let absent = &ABSENT_FROM[left];
        to.push(self.literal(window.byte::<0>(p), absent[0]));
        to.push(self.literal(window.byte::<1>(p), absent[1]));
        to.flush(out);
    }

    #[inline(always)]
    fn literal(&self, byte: u8, absent: u16) -> Entry {
        self.litlens[usize::from(byte) | usize::from(absent)]
    }
}

/// The lengths - 3 that share length symbol `i`, which begin at `at`: the last has one alone.
const fn lens_of(i: usize, at: usize) -> (usize, usize) {
    if i == LEN_EXTRA.len() - 1 { (255, 256) } else { (at, at + (1 << LEN_EXTRA[i])) }
}

/// The entries of fixed blocks.
pub(crate) static FIXED: Entries = {
    let mut fixed = Entries::new();
    let mut symbol = 0;
    while symbol < LITLENS {
        let (code, len) = match symbol {
            0..144 => (0b0011_0000 + symbol, 8),
            144..256 => (0b1_1001_0000 + symbol - 144, 9),
            256..280 => (symbol - 256, 7),
            _ => (0b1100_0000 + symbol - 280, 8),
        };
        fixed.litlens[symbol] = entry(code as u64, len);
        symbol += 1;
    }
    let (mut i, mut at) = (0, 0);
    while i < LEN_EXTRA.len() {
        let (first, next) = lens_of(i, at);
        at = first;
        while at < next {
            fixed.lens[at] = followed(fixed.litlens[END + 1 + i], (at - first) as u64, LEN_EXTRA[i] as u32);
            at += 1;
        }
        i += 1;
    }
    let mut dist = 0;
    while dist < DISTS {
        fixed.dists[dist] = entry(dist as u64, 5);
        dist += 1;
    }
    fixed
};
