//! How often each symbol occurs in a block.

use crate::symbols::{DIST_EXTRA, DISTS, END, LEN_EXTRA, LEN_SYMBOL, LITLENS};

/// Bytes over 256 that occur evenly enough have no use for codes: they count as random if two of them are equal no more
/// often than one time in 208 (2^7.7; truly random ones, one in 256).
///
/// That chance is at least the one that the entropy in bits gives, 2^-H, so Huffman codes take 7.7 bits or more for
/// what passes, and their description takes most of the rest. 512 random bytes pass with five standard deviations to
/// spare.
const EVEN: u64 = 208;

/// Both alphabets in one array, so long that any `u8` indexes from the start of either without a test.
pub(crate) struct Counts([u32; LITLENS + 256]);

impl Counts {
    pub(crate) fn new() -> Counts {
        Counts([0; LITLENS + 256])
    }

    /// Sets all to 0, but the end of the block, which occurs once.
    pub(crate) fn clear(&mut self) {
        self.0[..LITLENS + DISTS].fill(0);
        self.0[END] = 1;
    }

    /// Literals, the end and lengths, the first [`LITLENS`] of them.
    pub(crate) fn litlens(&self) -> &[u32; 512] {
        self.0.first_chunk().unwrap_or(&[0; 512])
    }

    /// Distances, the first [`DISTS`] of them.
    pub(crate) fn dists(&self) -> &[u32; 256] {
        self.0[LITLENS..].first_chunk().unwrap_or(&[0; 256])
    }

    #[inline(always)]
    pub(crate) fn literal(&mut self, byte: u8, times: u32) {
        self.0[usize::from(byte)] += times;
    }

    #[inline(always)]
    pub(crate) fn literals(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.literal(byte, 1);
        }
    }

    /// A match, by its length - 3 and the symbol of its distance.
    #[inline(always)]
    pub(crate) fn matched(&mut self, len3: u8, dist_symbol: u8) {
        self.0[END + usize::from(LEN_SYMBOL[usize::from(len3)])] += 1;
        self.0[LITLENS + usize::from(dist_symbol)] += 1;
    }

    /// The number of literals, and whether they look random.
    #[inline(never)]
    pub(crate) fn evenness(&self) -> (u32, bool) {
        let (mut n, mut squares) = (0u32, 0u32);
        for &count in &self.0[..END] {
            n += count;
            squares += count * count; // at most (16 Ki)^2
        }
        (n, u64::from(squares - n) * EVEN < u64::from(n) * u64::from(n))
    }

    /// Bits that go with lengths and distances, whatever their codes.
    pub(crate) fn extra_bits(&self) -> u32 {
        let lens = self.0[END + 1..].iter().zip(LEN_EXTRA).map(|(&count, bits)| count * u32::from(bits));
        let dists = self.0[LITLENS..].iter().zip(DIST_EXTRA).map(|(&count, bits)| count * u32::from(bits));
        lens.sum::<u32>() + dists.sum::<u32>()
    }

    /// Bits of all symbols with the codes of a fixed block: 8 for each but 9 for the upper literals, 7 for the end and
    /// the shorter lengths, 5 for distances.
    pub(crate) fn fixed_bits(&self) -> u32 {
        let sum = |from: usize, to: usize| self.0[from..to].iter().sum::<u32>();
        8 * sum(0, LITLENS) + sum(144, 256) - sum(256, 280) + 5 * sum(LITLENS, LITLENS + DISTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evenness_tells_random_from_text() {
        let mut state = 1u32;
        let random: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(512)
        .collect();
        let mut counts = Counts::new();
        counts.clear();
        counts.literals(&random);
        assert_eq!(counts.evenness(), (512, true));
        // half the alphabet: 7 bits each
        counts.clear();
        random.iter().for_each(|byte| counts.literal(byte & 0x7f, 1));
        assert_eq!(counts.evenness(), (512, false));
    }
}
