//! A cell in as many parts as can be drawn: which class fills each.
//!
//! What a part is too large for is carried to the next cell that has the class: in a row of cells each of which is a
//! fortieth the kernel's, every tenth has a quarter of it. So areas are as sums are, and no class is drawn where it is
//! not. A cell of one class ends that.

/// A whole part, in what remainders are counted in.
const WHOLE: i64 = 1 << 32;

/// Fills cells, one after the other.
#[derive(Default)]
pub(crate) struct Shares {
    /// What each class is short of by now, in part.
    carried: Vec<i64>,
}

impl Shares {
    /// The classes of a cell's parts, from below; none of a cell that has nothing.
    pub(crate) fn fill(&mut self, counts: &[u64], parts: u64) -> Vec<usize> {
        let total: u128 = counts.iter().map(|count| u128::from(*count)).sum();
        let present: Vec<usize> = (0..counts.len()).filter(|i| counts.get(*i).is_some_and(|n| *n != 0)).collect();
        self.carried.resize(counts.len(), 0);
        if present.len() < 2 {
            self.carried.fill(0);
        }
        for (carried, count) in self.carried.iter_mut().zip(counts).filter(|(_, count)| **count != 0) {
            *carried += (u128::from(*count) * u128::from(parts) * WHOLE as u128 / total) as i64;
        }
        let mut filled: Vec<usize> = (0..parts).filter_map(|_| self.take(&present)).collect();
        filled.sort_unstable();
        filled
    }

    /// The class that is short of the most; of equal ones the first, so that a row is always drawn the same.
    fn take(&mut self, present: &[usize]) -> Option<usize> {
        let short = |class: &usize| self.carried.get(*class).copied();
        let most = present.iter().copied().max_by_key(|class| (short(class), std::cmp::Reverse(*class)))?;
        *self.carried.get_mut(most)? -= WHOLE;
        Some(most)
    }
}

/// The class that a cell has most of.
pub(crate) fn most(counts: &[u64]) -> Option<usize> {
    Shares::default().fill(counts, 1).first().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(counts: &[u64], parts: u64) -> Vec<usize> {
        Shares::default().fill(counts, parts)
    }

    #[test]
    fn nearest_to_the_shares() {
        assert_eq!(parts(&[0, 8, 0], 4), [1, 1, 1, 1]);
        assert_eq!(parts(&[4, 4], 4), [0, 0, 1, 1]);
        assert_eq!(parts(&[1, 1, 6], 4), [0, 2, 2, 2]);
        assert_eq!(parts(&[1, 0, 1023], 4), [2, 2, 2, 2]);
        assert_eq!(parts(&[0, 0], 4), []);
        assert_eq!(parts(&[u64::MAX, u64::MAX], 2), [0, 1]);
        assert_eq!([most(&[1, 3, 2]), most(&[2, 2]), most(&[0])], [Some(1), Some(0), None]);
    }

    /// Of 128 cells with little of a class as many quarters are drawn as there would be in all.
    #[test]
    fn areas_are_as_sums_are() {
        for little in [1, 7, 27, 124, 500] {
            let mut shares = Shares::default();
            let drawn: usize = (0..128)
                .map(|_| shares.fill(&[little, 1000 - little], 4).iter().filter(|class| **class == 0).count())
                .sum();
            assert!(drawn.abs_diff(128 * 4 * little as usize / 1000) <= 1, "{little}: {drawn}");
        }
    }

    #[test]
    fn nothing_is_drawn_where_it_is_not() {
        let mut shares = Shares::default();
        let cells = [[1, 15], [1, 15], [0, 16], [1, 15], [1, 15], [1, 15]];
        let drawn = cells.map(|cell| shares.fill(&cell, 4).first() == Some(&0));
        assert_eq!(drawn, [false, true, false, false, true, false]);
    }
}
