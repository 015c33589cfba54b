//! Which bytes of the file hold which physical addresses.
//!
//! PT_LOADs may overlap: kexec gives the kernel text a segment of its own over the RAM segment that holds it. The first
//! header wins, as in makedumpfile and crash, but a segment's missing tail (`p_filesz < p_memsz`) never hides the data
//! of another. Built once into ascending, disjoint extents, so that a look-up is a binary search however many there
//! are.

use std::collections::BTreeMap;
use std::ops::Range;

/// A stretch of physical memory and where the file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// First physical address.
    pub start: u64,
    /// The physical address after the last.
    pub end: u64,
    /// File offset of `start`.
    pub offset: u64,
}

/// Ascending, disjoint extents.
#[derive(Debug, Default)]
pub(crate) struct Extents {
    list: Vec<Extent>,
}

impl Extents {
    /// From extents in the order in which they win where they overlap.
    pub fn new(by_priority: impl IntoIterator<Item = Extent>) -> Extents {
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

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Extent> {
        self.list.iter()
    }

    /// Those that share an address with `range`, ascending.
    pub fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = &Extent> {
        let from = self.list.partition_point(|extent| extent.end <= range.start);
        self.list[from..].iter().take_while(move |extent| extent.start < range.end)
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

    proptest! {
        #[test]
        fn the_first_wins_everywhere(list in prop::collection::vec((0u64..60, 1u64..30), 0..8)) {
            let given: Vec<Extent> = list.iter().enumerate()
                .map(|(i, (start, len))| Extent { start: *start, end: start + len, offset: 1000 * i as u64 }).collect();
            let extents = Extents::new(given.iter().copied());
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
        assert_eq!(Extents::new(halves).list, [Extent { start: 0, end: 16, offset: 100 }]);
    }
}
