//! Which bytes of a file hold which physical addresses.
//!
//! Ascending and disjoint, 24 bytes each, so that a look-up is a binary search however many there are: an AVML image
//! has tens of thousands.

use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::ops::Range;

/// A range of physical memory and where the file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// First physical address.
    pub start: u64,
    /// The physical address after the last.
    pub end: u64,
    /// File offset of `start` (bytes).
    pub offset: u64,
}

/// Ascending, disjoint extents.
#[derive(Debug, Default)]
pub struct Extents {
    list: Vec<Extent>,
}

impl Extents {
    /// From extents in the order in which they win where they overlap. Neighbours in memory and file become one.
    ///
    /// PT_LOADs may overlap: kexec gives the kernel text a segment of its own over the RAM segment that holds it. The
    /// first header wins, as in makedumpfile and crash.
    pub fn first_wins(by_priority: impl IntoIterator<Item = Extent>) -> Extents {
        let mut taken = BTreeMap::new();
        for extent in by_priority {
            insert(&mut taken, extent);
        }
        let mut list: Vec<Extent> = Vec::with_capacity(taken.len());
        for extent in taken.into_values() {
            match list.last_mut() {
                Some(last) if last.end == extent.start && last.offset + (last.end - last.start) == extent.offset => {
                    last.end = extent.end;
                }
                _ => list.push(extent),
            }
        }
        Extents { list }
    }

    /// From extents in any order, none of which may overlap another.
    ///
    /// # Errors
    /// `Corrupt` if two overlap: either could be the wrong one.
    pub fn disjoint(mut list: Vec<Extent>) -> Result<Extents> {
        list.sort_by_key(|extent| extent.start);
        for (a, b) in list.iter().zip(list.iter().skip(1)) {
            if a.end > b.start {
                let what = format!(
                    "memory {:#x}..{:#x} at offset {:#x} and {:#x}..{:#x} at offset {:#x} overlap",
                    a.start, a.end, a.offset, b.start, b.end, b.offset
                );
                return Err(Error::corrupt(what));
            }
        }
        Ok(Extents { list })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Extent> {
        self.list.iter()
    }

    /// Where the last ends (a physical address); 0 where there is none.
    pub fn end(&self) -> u64 {
        self.list.last().map_or(0, |extent| extent.end)
    }

    /// Those that end past `addr`, ascending.
    pub fn from(&self, addr: u64) -> impl Iterator<Item = &Extent> {
        let first = self.list.partition_point(|extent| extent.end <= addr);
        self.list.get(first..).unwrap_or_default().iter()
    }

    /// Those that share an address with `range`, ascending.
    pub fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = &Extent> {
        self.from(range.start).take_while(move |extent| extent.start < range.end)
    }
}

/// Inserts the parts of `extent` that nothing covers yet.
fn insert(taken: &mut BTreeMap<u64, Extent>, extent: Extent) {
    let mut at = extent.start;
    if let Some((_, before)) = taken.range(..=at).next_back() {
        at = at.max(before.end);
    }
    while at < extent.end {
        let next = taken.range(at..).next().map(|(_, next)| (next.start, next.end));
        let (stop, resume) = match next {
            Some((start, end)) if start < extent.end => (start, end),
            _ => (extent.end, extent.end),
        };
        if at < stop {
            taken.insert(at, Extent { start: at, end: stop, offset: extent.offset + (at - extent.start) });
        }
        at = resume;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn extent(start: u64, end: u64) -> Extent {
        Extent { start, end, offset: 1000 + start }
    }

    proptest! {
        #[test]
        fn the_first_wins_everywhere(list in prop::collection::vec((0u64..60, 1u64..30), 0..8)) {
            let given: Vec<Extent> = list.iter().enumerate()
                .map(|(i, (start, len))| Extent { start: *start, end: start + len, offset: 1000 * i as u64 }).collect();
            let extents = Extents::first_wins(given.iter().copied());
            prop_assert!(extents.list.windows(2).all(|w| w[0].end <= w[1].start));
            for addr in 0..100 {
                let want = given.iter().find(|e| (e.start..e.end).contains(&addr)).map(|e| e.offset + addr - e.start);
                let got = extents.overlapping(addr..addr + 1).next().map(|e| e.offset + addr - e.start);
                prop_assert_eq!(got, want, "address {}", addr);
            }
        }
    }

    #[test]
    fn neighbours_in_memory_and_file_become_one() {
        let halves = [Extent { start: 8, end: 16, offset: 108 }, Extent { start: 0, end: 8, offset: 100 }];
        assert_eq!(Extents::first_wins(halves).list, [Extent { start: 0, end: 16, offset: 100 }]);
    }

    #[test]
    fn in_any_order_but_apart() {
        let extents = Extents::disjoint(vec![extent(20, 30), extent(0, 5), extent(5, 10)]).unwrap();
        assert_eq!(extents.end(), 30);
        let starts = |range| extents.overlapping(range).map(|extent| extent.start).collect::<Vec<_>>();
        for (range, want) in [(0..1, &[0][..]), (4..6, &[0, 5]), (10..20, &[]), (9..21, &[5, 20]), (30..99, &[])] {
            assert_eq!(starts(range.clone()), want, "{range:?}");
        }
        assert_eq!(extents.from(10).next(), Some(&extent(20, 30)));
        assert!(Extents::disjoint(vec![extent(0, 5), extent(4, 6)]).is_err());
        assert!(Extents::disjoint(vec![extent(0, 5), extent(0, 5)]).is_err());
        assert_eq!(Extents::disjoint(Vec::new()).unwrap().end(), 0);
    }
}
