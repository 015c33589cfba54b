//! Ranges of a file that belong to pages.

use std::ops::Range;

/// Ranges in the order of their pages. Those that follow each other are one: a sound file has one in all, so this is
/// small unless writers put pages down in another order, and then still less than the table is.
#[derive(Default)]
pub(crate) struct Areas {
    list: Vec<Range<u64>>,
}

/// Ranges in the order of the file.
pub(crate) struct SortedAreas {
    /// Ascending and disjoint.
    pub(crate) list: Vec<Range<u64>>,
    /// Where one begins within another, the first of these.
    pub(crate) overlap: Option<u64>,
}

impl Areas {
    /// Appends a range, which is not empty.
    pub(crate) fn push(&mut self, range: Range<u64>) {
        match self.list.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.list.push(range),
        }
    }

    /// All of them, joined where they touch or overlap.
    pub(crate) fn sorted(mut self) -> SortedAreas {
        self.list.sort_unstable_by_key(|range| (range.start, range.end));
        let (mut list, mut overlap): (Vec<Range<u64>>, _) = (Vec::new(), None);
        for range in self.list {
            match list.last_mut() {
                Some(last) if range.start <= last.end => {
                    if range.start < last.end {
                        overlap = overlap.or(Some(range.start));
                    }
                    last.end = last.end.max(range.end);
                }
                _ => list.push(range),
            }
        }
        SortedAreas { list, overlap }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(ranges: &[Range<u64>]) -> SortedAreas {
        let mut areas = Areas::default();
        ranges.iter().for_each(|range| areas.push(range.clone()));
        areas.sorted()
    }

    #[test]
    fn order_does_not_count_but_overlaps_do() {
        let found = sorted(&[5..9, 9..10, 0..5, 20..30]);
        assert_eq!((found.list, found.overlap), (vec![0..10, 20..30], None));
        let found = sorted(&[0..10, 20..30, 25..26, 3..4]);
        assert_eq!((found.list, found.overlap), (vec![0..10, 20..30], Some(3)));
    }
}
