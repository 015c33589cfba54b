//! Prefix codes of limited length, built once per block.
//!
//! Symbols are sorted by counting, then merged as two queues, leaves and inner nodes, each ascending (van Leeuwen). No
//! parent is stored: nodes are made in ascending order of weight and taken in that order, so that each level of the
//! tree is one run of them, and the level below begins where a node's children begin. The lengths of all
//! codes follow from a dozen such steps. A page's codes take 13 000 instructions for 110 symbols in use, 2300 of which
//! pick them out of 288. The first version, with the standard library's sort and a pass over all nodes for their
//! depths, took twice the time.

use crate::bits::Entry;

/// Counts from here on share a bucket, which is sorted by comparison: four to ten symbols of a page.
const BUCKETS: usize = 64;
/// Heavier than any block, and the sum of two still fits.
const NOTHING: u32 = u32::MAX >> 1;
/// The bits of a symbol in a word that has its count above them.
const SYMBOL: u32 = 511;
/// No tree of up to 2^16 counts is deeper: its counts would be Fibonacci's numbers.
const DEEPEST: usize = 24;

/// A prefix code over fewer than `S` symbols (a power of two, at most 512), and the room in which the next is built.
pub(crate) struct Code<const S: usize> {
    /// The symbols that have codes, ascending.
    used: [u16; S],
    len: usize,
    /// Code length of each of them, in bits.
    lens: [u8; S],
    by_len: [u16; DEEPEST + 1],
    /// count << 9 | symbol, ascending.
    leaves: [u32; S],
    /// Weights of inner nodes, in the order they are made: ascending.
    nodes: [u32; S],
    /// The first inner node not yet taken when an inner node was made: its first child, if it has inner ones.
    first: [u16; S],
}

impl<const S: usize> Code<S> {
    /// Keeps an index within any of the arrays.
    const MASK: usize = S - 1;

    pub(crate) fn new() -> Code<S> {
        let by_len = [0; DEEPEST + 1];
        Code { used: [0; S], len: 0, lens: [0; S], by_len, leaves: [0; S], nodes: [0; S], first: [0; S] }
    }

    /// The symbols that have codes, ascending.
    pub(crate) fn used(&self) -> &[u16] {
        &self.used[..self.len & Self::MASK]
    }

    /// The number of symbols up to the last that has a code.
    pub(crate) fn extent(&self) -> u16 {
        self.used().last().map_or(0, |last| last + 1)
    }

    /// Code length of a used symbol, in bits.
    #[inline(always)]
    pub(crate) fn len_of(&self, symbol: u16) -> u8 {
        self.lens[usize::from(symbol) & Self::MASK]
    }

    /// Builds a code for the first `symbols` of `counts`, a power of two of them in all, in which none is longer than
    /// `limit` bits. Returns the size of all that was counted, in bits.
    #[inline(always)]
    pub(crate) fn build<const N: usize>(&mut self, counts: &[u32; N], symbols: usize, limit: usize) -> u32 {
        self.len = 0;
        for (symbol, &count) in counts.iter().enumerate().take(symbols) {
            self.used[self.len & Self::MASK] = symbol as u16;
            self.len += usize::from(count != 0);
        }
        if self.len < 2 {
            return self.pair(counts);
        }
        self.sort(counts);
        self.measure(limit)
    }

    /// For one symbol or none: two codes of one bit, since some decoders refuse incomplete codes.
    #[cold]
    fn pair<const N: usize>(&mut self, counts: &[u32; N]) -> u32 {
        let symbol = if self.len == 1 { self.used[0] } else { 0 };
        let other = u16::from(symbol == 0);
        (self.used[0], self.used[1], self.len) = (symbol.min(other), symbol.max(other), 2);
        for symbol in [symbol, other] {
            self.lens[usize::from(symbol) & Self::MASK] = 1;
        }
        self.by_len = [0; DEEPEST + 1];
        self.by_len[1] = 2;
        counts[usize::from(symbol) & (N - 1)]
    }

    /// Puts the used symbols into `leaves`.
    #[inline(always)]
    fn sort<const N: usize>(&mut self, counts: &[u32; N]) {
        let count_of = |symbol: u16| counts[usize::from(symbol) & (N - 1)];
        let bucket_of = |count: u32| (count as usize).min(BUCKETS - 1);
        let used = &self.used[..self.len & Self::MASK];
        let mut heads = [0u16; BUCKETS + 1];
        for &symbol in used {
            heads[bucket_of(count_of(symbol)) + 1] += 1;
        }
        let mut sum = 0;
        for head in &mut heads {
            sum += *head;
            *head = sum;
        }
        let frequent = usize::from(heads[BUCKETS - 1]);
        for &symbol in used {
            let count = count_of(symbol);
            let head = &mut heads[bucket_of(count)];
            self.leaves[usize::from(*head) & Self::MASK] = count << 9 | u32::from(symbol);
            *head += 1;
        }
        if let Some(frequent) = self.leaves.get_mut(frequent..self.len) {
            frequent.sort_unstable();
        }
        // behind the last: heavier than all for `merge`, no symbol for `assign`
        for i in 0..4 {
            self.leaves[(self.len + i) & Self::MASK] = u32::MAX;
        }
    }

    /// Gives the sorted symbols their lengths. Returns the size of all that was counted.
    #[inline(never)]
    fn measure(&mut self, limit: usize) -> u32 {
        let bits = self.merge();
        let deepest = self.levels();
        if deepest <= limit {
            self.assign(deepest);
            return bits;
        }
        shorten(&mut self.by_len, limit);
        self.assign(limit);
        self.leaves[..self.len & Self::MASK]
            .iter()
            .map(|leaf| (leaf >> 9) * u32::from(self.len_of(*leaf as u16 & SYMBOL as u16)))
            .sum()
    }

    /// Joins the two lightest until one is left. Returns the sum of all inner nodes, which is the coded size: a leaf
    /// counts once for each node above it.
    #[inline(always)]
    fn merge(&mut self) -> u32 {
        let (leaves, nodes, first) = (&self.leaves, &mut self.nodes, &mut self.first);
        let len = self.len & Self::MASK;
        nodes[..(len + 2) & Self::MASK].fill(NOTHING);
        let (mut leaf, mut node, mut bits) = (0, 0, 0);
        for made in 0..len - 1 {
            let leaf0 = leaves[leaf & Self::MASK] >> 9;
            let leaf1 = leaves[(leaf + 1) & Self::MASK] >> 9;
            let node0 = nodes[node & Self::MASK];
            let node1 = nodes[(node + 1) & Self::MASK];
            first[made & Self::MASK] = node as u16;
            let two_leaves = leaf1 <= node0;
            let two_nodes = node1 < leaf0;
            let mut weight = leaf0.wrapping_add(node0);
            if two_leaves {
                weight = leaf0.wrapping_add(leaf1);
            }
            if two_nodes {
                weight = node0.wrapping_add(node1);
            }
            leaf += 1 + usize::from(two_leaves) - usize::from(two_nodes);
            node += 1 + usize::from(two_nodes) - usize::from(two_leaves);
            nodes[made & Self::MASK] = weight;
            bits += weight;
        }
        bits
    }

    /// Counts the leaves at each depth, from the root down. Returns the greatest.
    #[inline(always)]
    fn levels(&mut self) -> usize {
        self.by_len = [0; DEEPEST + 1];
        let (mut low, mut inner) = (self.len - 2, 1); // the level's first inner node and how many there are: the root
        let mut depth = 0;
        while inner > 0 && depth < DEEPEST {
            let below = usize::from(self.first[low & Self::MASK]);
            depth += 1;
            self.by_len[depth] = (2 * inner - (low - below)) as u16;
            (low, inner) = (below, low - below);
        }
        depth
    }

    /// Hands out lengths: the longest to the rarest symbols.
    #[inline(always)]
    fn assign(&mut self, longest: usize) {
        let mut at = 0;
        for len in (1..=longest).rev() {
            let count = usize::from(self.by_len[len]);
            // in fours, for fewer branches: what goes too far is given again by the next length, or is no symbol
            for four in 0..count.div_ceil(4) {
                for i in 0..4 {
                    let leaf = self.leaves[(at + 4 * four + i) & Self::MASK];
                    self.lens[(leaf & SYMBOL) as usize & Self::MASK] = len as u8;
                }
            }
            at += count;
        }
    }

    /// Sets the entry of each used symbol.
    #[inline(always)]
    pub(crate) fn entries<const N: usize>(&self, out: &mut [Entry; N]) {
        let mut next = [0u16; 16];
        let mut code = 0;
        for (next, count) in next[1..].iter_mut().zip(&self.by_len) {
            code = (code + count) << 1;
            *next = code;
        }
        for &symbol in self.used() {
            let len = self.len_of(symbol);
            let next = &mut next[usize::from(len & 15)];
            out[usize::from(symbol) & (N - 1)] = reversed(*next) | Entry::from(len);
            *next += 1;
        }
    }
}

/// Moves all codes longer than `limit` up to it, then the fewest others down that make room for them.
#[cold]
fn shorten(by_len: &mut [u16; DEEPEST + 1], limit: usize) {
    let (kept, longer) = by_len.split_at_mut(limit + 1);
    for count in longer {
        kept[limit] += std::mem::take(count);
    }
    let room = |len: usize| 1u32 << (limit - len);
    let taken: u32 = (1..=limit).map(|len| u32::from(kept[len]) * room(len)).sum();
    // each turn, one of the longest codes joins a shorter one a level down
    for _ in room(0)..taken {
        let Some(len) = (1..limit).rev().find(|&len| kept[len] > 0) else { return };
        kept[len] -= 1;
        kept[len + 1] += 2;
        kept[limit] -= 1;
    }
}

const REVERSED: [u8; 256] = {
    let mut t = [0; 256];
    let mut i = 0;
    while i < 256 {
        t[i] = (i as u8).reverse_bits();
        i += 1;
    }
    t
};

/// The bits of a code of up to 15 bits, the first one sent lowest, at the top of a word: as many as it has.
///
/// Two lookups take six instructions, `reverse_bits` twelve.
#[inline(always)]
fn reversed(code: u16) -> u64 {
    let [low, high] = code.to_le_bytes();
    u64::from(REVERSED[usize::from(low)]) << 56 | u64::from(REVERSED[usize::from(high)]) << 48
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::entry;
    use proptest::prelude::*;

    fn lens(counts: &[u32; 512], limit: usize) -> (u32, Vec<u8>, Code<512>) {
        let mut code = Code::new();
        let bits = code.build(counts, 288, limit);
        let lens = code.used().iter().map(|&symbol| code.len_of(symbol)).collect();
        (bits, lens, code)
    }

    fn of(head: &[u32]) -> [u32; 512] {
        let mut counts = [0; 512];
        counts[..head.len()].copy_from_slice(head);
        counts
    }

    #[test]
    fn small_codes() {
        for (counts, bits, expected) in [
            (&[][..], 0, &[1, 1][..]),
            (&[5], 5, &[1, 1]),
            (&[0, 5], 5, &[1, 1]),
            (&[1, 1], 2, &[1, 1]),
            (&[3, 1, 1], 7, &[1, 2, 2]),
            (&[1, 1, 2, 4], 14, &[3, 3, 2, 1]),
            (&[1, 1, 1, 1], 8, &[2, 2, 2, 2]),
        ] {
            let (size, lens, _) = lens(&of(counts), 15);
            assert_eq!((size, &lens[..]), (bits, expected), "{counts:?}");
        }
    }

    #[test]
    fn codes_count_up_within_a_length() {
        let (_, _, code) = lens(&of(&[1, 1, 2, 4]), 15);
        let mut entries = [0; 512];
        code.entries(&mut entries);
        assert_eq!(entries[..4], [entry(0b110, 3), entry(0b111, 3), entry(0b10, 2), entry(0b0, 1)]);
    }

    #[test]
    fn fibonacci_is_shortened() {
        let mut counts = vec![1, 1];
        while counts.len() < 20 {
            counts.push(counts[counts.len() - 1] + counts[counts.len() - 2]);
        }
        assert_eq!(*lens(&of(&counts), 24).1.iter().max().unwrap(), 19);
        for limit in [5, 7, 13, 15] {
            let (bits, lens, _) = lens(&of(&counts), limit);
            assert_eq!(usize::from(*lens.iter().max().unwrap()), limit);
            assert_eq!(lens.iter().map(|len| 1 << (limit - usize::from(*len))).sum::<u32>(), 1 << limit);
            assert_eq!(bits, counts.iter().zip(&lens).map(|(count, len)| count * u32::from(*len)).sum::<u32>());
        }
    }

    /// The least size, by joining the two lightest of a list again and again.
    fn least(counts: &[u32]) -> u32 {
        let mut heap: Vec<u32> = counts.iter().copied().filter(|count| *count > 0).collect();
        let mut bits = 0;
        while heap.len() > 1 {
            heap.sort_unstable_by(|a, b| b.cmp(a));
            let joined = heap.pop().unwrap() + heap.pop().unwrap();
            bits += joined;
            heap.push(joined);
        }
        bits
    }

    proptest! {
        #[test]
        fn codes_are_complete_and_least(
            counts in prop::collection::vec(prop_oneof![Just(0u32), 1..4u32, 0..300u32], 2..288)
        ) {
            prop_assume!(counts.iter().filter(|count| **count > 0).count() >= 2);
            let counts = of(&counts);
            let (bits, lens, code) = lens(&counts, 15);
            prop_assert_eq!(lens.iter().map(|len| 1 << (15 - len)).sum::<u32>(), 1u32 << 15);
            let size = |s: &u16| counts[usize::from(*s)] * u32::from(code.len_of(*s));
            prop_assert_eq!(bits, code.used().iter().map(size).sum::<u32>());
            if lens.iter().all(|len| *len < 15) {
                prop_assert_eq!(bits, least(&counts));
            }
        }
    }
}
