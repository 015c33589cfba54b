//! A cell in as many parts as can be drawn: which class fills each.

/// Parts of a cell, from below: as many of each class as are nearest to its share, those with the largest remainders
/// rounded up. No part of a cell that has nothing.
pub(crate) fn parts(counts: &[u64], parts: u64) -> Vec<usize> {
    let total: u64 = counts.iter().sum();
    if total == 0 {
        return Vec::new();
    }
    let whole = |count: &u64| (u128::from(*count) * u128::from(parts) / u128::from(total)) as u64;
    let rest = |count: &u64| (u128::from(*count) * u128::from(parts) % u128::from(total)) as u64;
    let mut shares: Vec<u64> = counts.iter().map(whole).collect();
    let left = parts - shares.iter().sum::<u64>();
    let mut by_rest: Vec<usize> = (0..counts.len()).collect();
    // of equal remainders the first class, so that the same cell is always drawn the same
    by_rest.sort_by_key(|i| (std::cmp::Reverse(counts.get(*i).map_or(0, rest)), *i));
    for i in by_rest.into_iter().take(left as usize) {
        if let Some(share) = shares.get_mut(i) {
            *share += 1;
        }
    }
    shares.iter().enumerate().flat_map(|(class, share)| (0..*share).map(move |_| class)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_to_the_shares() {
        assert_eq!(parts(&[0, 8, 0], 4), [1, 1, 1, 1]);
        assert_eq!(parts(&[4, 4], 4), [0, 0, 1, 1]);
        assert_eq!(parts(&[1, 1, 6], 4), [0, 2, 2, 2]);
        assert_eq!(parts(&[1, 0, 1023], 4), [2, 2, 2, 2]);
        assert_eq!(parts(&[0, 0], 4), []);
        assert_eq!(parts(&[u64::MAX / 2, u64::MAX / 2], 2), [0, 1]);
    }
}
