//! A bit per page frame, as the format stores it: bit n of byte n/8, lowest first.

use bitvec::prelude::{BitVec, Lsb0};
use std::ops::Range;

/// A bitmap of pfns.
pub struct Bitmap {
    /// As they are on disk, whatever the host's words are.
    bits: BitVec<u8, Lsb0>,
}

/// A run of pfns that one of two bitmaps has and the other has not.
#[derive(Debug, PartialEq)]
pub struct Difference {
    /// The pfns, half open.
    pub pfns: Range<u64>,
    /// The first bitmap has them; else the second.
    pub in_first: bool,
}

impl Bitmap {
    /// Takes the bits of `bytes`; what lies past `len` bits is padding and dropped.
    pub fn new(bytes: Vec<u8>, len: u64) -> Self {
        let mut bits = BitVec::from_vec(bytes);
        bits.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        bits.set_uninitialized(false);
        Self { bits }
    }

    /// The bytes as they are on disk.
    pub fn bytes(&self) -> &[u8] {
        self.bits.as_raw_slice()
    }

    /// Whether `pfn` is set; false past the end.
    pub fn get(&self, pfn: u64) -> bool {
        usize::try_from(pfn).ok().and_then(|pfn| self.bits.get(pfn)).is_some_and(|bit| *bit)
    }

    fn byte(&self, index: u64) -> u8 {
        usize::try_from(index).ok().and_then(|index| self.bytes().get(index)).copied().unwrap_or(0)
    }

    /// How many pfns are set.
    pub fn count(&self) -> u64 {
        self.bits.count_ones() as u64
    }

    /// The pfns set, ascending.
    pub fn ones(&self) -> impl Iterator<Item = u64> + '_ {
        self.bits.iter_ones().map(|pfn| pfn as u64)
    }

    /// How many pfns below each byte are set: what turns a pfn into its rank with one addition.
    pub fn ranks(&self) -> Vec<u64> {
        let counts = self.bytes().iter().map(|byte| u64::from(byte.count_ones()));
        counts.scan(0, |below, count| Some(std::mem::replace(below, *below + count))).collect()
    }

    /// The rank of `pfn` given [`Bitmap::ranks`]; `None` if it is not set.
    pub fn rank(&self, ranks: &[u64], pfn: u64) -> Option<u64> {
        let at = usize::try_from(pfn).ok()?;
        let below = *ranks.get(at / 8)?;
        let in_byte = self.bits.get(at / 8 * 8..at)?.count_ones();
        self.get(pfn).then_some(below + in_byte as u64)
    }

    /// Where `self` and `other` differ, as ascending runs.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let bytes = self.bytes().len().max(other.bytes().len()) as u64;
        let mut runs: Vec<Difference> = Vec::new();
        for index in (0..bytes).filter(|index| self.byte(*index) != other.byte(*index)) {
            for pfn in index * 8..index * 8 + 8 {
                if self.get(pfn) != other.get(pfn) {
                    Difference::extend(&mut runs, pfn, self.get(pfn));
                }
            }
        }
        runs
    }
}

impl Difference {
    /// Adds `pfn`, higher than all before, to the last of `runs`, or starts a run with it.
    fn extend(runs: &mut Vec<Self>, pfn: u64, in_first: bool) {
        match runs.last_mut() {
            Some(run) if run.pfns.end == pfn && run.in_first == in_first => run.pfns.end += 1,
            _ => runs.push(Self { pfns: pfn..pfn + 1, in_first }),
        }
    }

    /// How many pfns it has.
    pub fn pages(&self) -> u64 {
        self.pfns.end - self.pfns.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_beyond_the_length_are_dropped() {
        let map = Bitmap::new(vec![0xff, 0xff, 0xff], 11);
        assert_eq!(map.count(), 11);
        assert!(map.get(10) && !map.get(11) && !map.get(1 << 40));
    }

    #[test]
    fn ones_and_ranks_agree() {
        let map = Bitmap::new(vec![0b1000_0001, 0, 0b0001_0010], 24);
        let ranks = map.ranks();
        let pairs: Vec<_> = map.ones().map(|pfn| (pfn, map.rank(&ranks, pfn))).collect();
        assert_eq!(pairs, [(0, Some(0)), (7, Some(1)), (17, Some(2)), (20, Some(3))]);
        assert_eq!(map.rank(&ranks, 1), None);
    }

    #[test]
    fn differences_are_runs_per_side() {
        let one = Bitmap::new(vec![0b1111_0000, 0b0000_0001], 16);
        let two = Bitmap::new(vec![0b0000_0010, 0b0000_0001, 1], 17);
        let runs = one.differences(&two);
        let expected = [(1..2, false), (4..8, true), (16..17, false)];
        assert_eq!(runs, expected.map(|(pfns, in_first)| Difference { pfns, in_first }));
    }
}
