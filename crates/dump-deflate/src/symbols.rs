//! The alphabets of RFC 1951, section 3.2.5, as tables.

/// The literal/length symbol that ends a block.
pub(crate) const END: usize = 256;
/// Literals, the end and 29 lengths; the last two never occur.
pub(crate) const LITLENS: usize = 288;
/// Distances; the last two never occur.
pub(crate) const DISTS: usize = 32;
/// The shortest and the longest match, in bytes.
pub(crate) const MIN_MATCH: u32 = 3;
pub(crate) const MAX_MATCH: u32 = 258;

/// Extra bits of symbol 257 + i.
pub(crate) const LEN_EXTRA: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];

/// Extra bits of a distance symbol.
pub(crate) const DIST_EXTRA: [u8; DISTS] = {
    let mut t = [0; DISTS];
    let mut s = 4;
    while s < 30 {
        t[s] = (s / 2 - 1) as u8;
        s += 1;
    }
    t
};

/// Symbol - 256 of a length - 3.
pub(crate) const LEN_SYMBOL: [u8; 256] = {
    let mut t = [0u8; 256];
    let (mut symbol, mut len) = (0, 0);
    while symbol < 28 {
        let mut i = 0;
        while i < 1 << LEN_EXTRA[symbol] {
            t[len] = symbol as u8 + 1;
            (len, i) = (len + 1, i + 1);
        }
        symbol += 1;
    }
    t[255] = 29; // 258 has its own symbol
    t
};

/// By distance symbol: mask and number of extra bits. A symbol's first distance - 1 has these bits clear.
pub(crate) const DIST_BITS: [(u16, u16); DISTS] = {
    let mut t = [(0, 0); DISTS];
    let mut s = 0;
    while s < DISTS {
        t[s] = ((1 << DIST_EXTRA[s]) - 1, DIST_EXTRA[s] as u16);
        s += 1;
    }
    t
};

/// Symbol of distance - 1 below 256, then of distance - 1 by its bits from 7 up.
const DIST_SYMBOL: [u8; 512] = {
    let mut t = [0u8; 512];
    let mut i = 0;
    while i < 512 {
        let d = if i < 256 { i } else { (i - 256) << 7 };
        t[i] = if d < 2 {
            d as u8
        } else {
            let top = d.ilog2() as usize;
            (2 * top + (d >> (top - 1) & 1)) as u8
        };
        i += 1;
    }
    t
};

/// The symbol of a distance - 1.
#[inline(always)]
pub(crate) fn dist_symbol(dist1: u32) -> u8 {
    let i = if dist1 < 256 { dist1 } else { 256 + (dist1 >> 7) };
    DIST_SYMBOL[(i & 511) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        let base = |symbol: usize| (0..256).find(|&l| usize::from(LEN_SYMBOL[l]) + 256 == symbol).unwrap() + 3;
        // RFC 1951's table
        let first = [
            3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195,
            227, 258,
        ];
        for (i, &first) in first.iter().enumerate() {
            assert_eq!(base(257 + i), first);
        }
    }

    #[test]
    fn distances() {
        let first = [
            1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073,
            4097, 6145, 8193, 12289, 16385, 24577,
        ];
        for d in 1..=32768u32 {
            let symbol = first.iter().rposition(|&f| f <= d).unwrap();
            assert_eq!(usize::from(dist_symbol(d - 1)), symbol, "distance {d}");
            assert_eq!((d - 1) as u16 & DIST_BITS[symbol].0, (d - first[symbol]) as u16);
        }
    }
}
