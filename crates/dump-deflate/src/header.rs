//! The head of a dynamic block: the lengths of its codes, run-length coded, and coded once more.

use crate::bits::{Bits, Scratch};
use crate::huffman::Code;

/// Items: 0 to 15 are code lengths, these three repeat: the length before 3 to 6 times, 0 three to ten times, 0 from 11
/// to 138 times. The number of times less the least stands above [`ITEM_BITS`].
const AGAIN: u16 = 16;
const ZEROS: u16 = 17;
const MANY_ZEROS: u16 = 18;
const ITEM_BITS: u32 = 5;
/// Extra bits of an item.
const EXTRA: [u32; 32] = {
    let mut t = [0; 32];
    (t[AGAIN as usize], t[ZEROS as usize], t[MANY_ZEROS as usize]) = (2, 3, 7);
    t
};
/// The order in which the code lengths of items are sent.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Zeros that one item can stand for.
const MOST_ZEROS: usize = 138;
/// The item for so many zeros, and how often it is sent.
const GAPS: [(u16, u8); MOST_ZEROS + 1] = {
    let mut t = [(0, 0); MOST_ZEROS + 1];
    let mut zeros = 0;
    while zeros <= MOST_ZEROS {
        t[zeros] = match zeros as u16 {
            n @ 0..=2 => (0, n as u8),
            n @ 3..=10 => (ZEROS | (n - 3) << ITEM_BITS, 1),
            n => (MANY_ZEROS | (n - 11) << ITEM_BITS, 1),
        };
        zeros += 1;
    }
    t
};

/// Room for one item per symbol, and an index mask.
const ITEMS: usize = 512;

/// A block's head. Made from the list of symbols that have codes, where runs of the others are gaps that a table turns
/// into items without a branch; 6600 instructions for 110 symbols.
pub(crate) struct Header {
    items: [u16; ITEMS],
    len: usize,
    code: Code<32>,
    /// How many code lengths of items are sent.
    lens: usize,
    litlens: u16,
    dists: u16,
}

impl Header {
    pub(crate) fn new() -> Header {
        Header { items: [0; ITEMS], len: 0, code: Code::new(), lens: 0, litlens: 0, dists: 0 }
    }

    /// Describes the two codes of a block. Returns the bits that takes, the block's first three included.
    #[inline(never)]
    pub(crate) fn build<const L: usize, const D: usize>(&mut self, litlens: &Code<L>, dists: &Code<D>) -> u32 {
        self.len = 0;
        (self.litlens, self.dists) = (litlens.extent(), dists.extent());
        let mut lens = Lens::default();
        for &symbol in litlens.used() {
            lens.push(symbol, litlens.len_of(symbol), self);
        }
        for &symbol in dists.used() {
            lens.push(self.litlens + symbol, dists.len_of(symbol), self);
        }
        let mut counts = [0u32; 32];
        for &item in self.items() {
            counts[usize::from(item) % 32] += 1;
        }
        let bits = self.code.build(&counts, ORDER.len(), 7);
        let extra: u32 = counts.iter().zip(EXTRA).map(|(count, extra)| count * extra).sum();
        self.lens = 1 + (3..ORDER.len()).rev().find(|&i| counts[ORDER[i]] != 0).unwrap_or(3);
        3 + 5 + 5 + 4 + 3 * self.lens as u32 + bits + extra
    }

    fn items(&self) -> &[u16] {
        &self.items[..self.len % ITEMS]
    }

    #[inline(always)]
    fn push(&mut self, item: u16) {
        self.items[self.len % ITEMS] = item;
        self.len += 1;
    }

    #[inline(never)]
    pub(crate) fn write(&self, last: bool, bits: &mut Bits, out: &mut Scratch) {
        let mut to = *bits; // a copy that lives in registers
        to.put(u64::from(last) | 0b10 << 1, 3);
        to.put(u64::from(self.litlens - 257), 5);
        to.put(u64::from(self.dists - 1), 5);
        to.put(self.lens as u64 - 4, 4);
        to.flush(out);
        let mut lens = [0; 32];
        for &item in self.code.used() {
            lens[usize::from(item) % 32] = self.code.len_of(item);
        }
        for order in ORDER[..self.lens].chunks(10) {
            for &item in order {
                to.put(u64::from(lens[item]), 3);
            }
            to.flush(out);
        }
        let mut entries = [0; 32];
        self.code.entries(&mut entries);
        for items in self.items().chunks(4) {
            for &item in items {
                let symbol = usize::from(item) % 32;
                to.push(entries[symbol]);
                to.put(u64::from(item >> ITEM_BITS), EXTRA[symbol]);
            }
            to.flush(out);
        }
        *bits = to;
    }
}

/// The sequence of all code lengths, as it becomes items.
#[derive(Default)]
struct Lens {
    next: u16,
    before: u8,
    /// How often `before` came again since it was last sent in full.
    again: u16,
}

impl Lens {
    /// The next length that is not 0, that of symbol `at`.
    #[inline(always)]
    fn push(&mut self, at: u16, len: u8, to: &mut Header) {
        let mut gap = usize::from(at - self.next);
        self.next = at + 1;
        let same = (gap == 0) & (len == self.before);
        self.before = len;
        while gap > MOST_ZEROS {
            to.push(GAPS[MOST_ZEROS].0);
            gap -= MOST_ZEROS;
        }
        // none, one or two items, written as two
        let (zeros, times) = GAPS[gap];
        to.items[to.len % ITEMS] = zeros;
        to.items[(to.len + 1) % ITEMS] = zeros;
        to.len += usize::from(times);

        self.again = if same { self.again + 1 } else { 0 };
        match self.again {
            0..3 => to.push(u16::from(len)),
            3 => {
                // the third time: one item for all of them
                to.len -= 2;
                to.push(AGAIN);
            }
            4.. => {
                to.items[(to.len - 1) % ITEMS] += 1 << ITEM_BITS;
                if self.again == 6 {
                    self.again = 0;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(lens: &[(u16, u8)]) -> Vec<(u16, u16)> {
        let mut header = Header::new();
        let mut sequence = Lens::default();
        for &(at, len) in lens {
            sequence.push(at, len, &mut header);
        }
        header.items().iter().map(|item| (item % 32, item / 32)).collect()
    }

    #[test]
    fn runs_become_items() {
        for (lens, expected) in [
            (&[(0, 5)][..], &[(5, 0)][..]),
            (&[(1, 5)], &[(0, 0), (5, 0)]),
            (&[(2, 5)], &[(0, 0), (0, 0), (5, 0)]),
            (&[(3, 5)], &[(17, 0), (5, 0)]),
            (&[(10, 5)], &[(17, 7), (5, 0)]),
            (&[(11, 5)], &[(18, 0), (5, 0)]),
            (&[(138, 5)], &[(18, 127), (5, 0)]),
            (&[(139, 5)], &[(18, 127), (0, 0), (5, 0)]),
            (&[(256, 1)], &[(18, 127), (18, 107), (1, 0)]),
        ] {
            assert_eq!(items(lens), expected, "{lens:?}");
        }
        for (times, expected) in [
            (3, &[(7, 0), (7, 0), (7, 0)][..]),
            (4, &[(7, 0), (16, 0)]),
            (7, &[(7, 0), (16, 3)]),
            (8, &[(7, 0), (16, 3), (7, 0)]),
            (10, &[(7, 0), (16, 3), (16, 0)]),
            (13, &[(7, 0), (16, 3), (16, 3)]),
        ] {
            let lens: Vec<(u16, u8)> = (0..times).map(|at| (at, 7)).collect();
            assert_eq!(items(&lens), expected, "{times} times");
        }
    }
}
