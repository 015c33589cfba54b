//! Which bytes of a file hold which physical addresses.
//!
//! Ascending and disjoint, 24 bytes each, so that a look-up is a binary search however many there are: an AVML image
//! has tens of thousands.

use crate::error::{Error, Result};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
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

/// Two extents that claim the same memory and have it at different places of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// The addresses that both have.
    pub range: Range<u64>,
    /// Where the one that wins has the first of them (bytes in the file).
    pub winner: u64,
    /// Where the other has it.
    pub loser: u64,
}

impl Extents {
    /// From extents in the order in which they win where they overlap. Neighbours in memory and file become one.
    ///
    /// PT_LOADs may overlap: kexec gives the kernel text a segment of its own over the RAM segment that holds it. The
    /// first header wins, as in makedumpfile and crash.
    pub fn first_wins(by_priority: impl IntoIterator<Item = Extent>) -> Extents {
        Extents::layered(by_priority.into_iter().collect(), &mut |_| {})
    }

    /// As [`first_wins`](Extents::first_wins); hands over where extents overlap with different places in the file, one
    /// overlap at most for each extent.
    ///
    /// There are no more than twice as many extents as there were, and the time goes by their number, whatever lies
    /// over what.
    pub fn layered(mut by_priority: Vec<Extent>, overlap: &mut dyn FnMut(Overlap)) -> Extents {
        by_priority.retain(|extent| extent.start < extent.end);
        if by_priority.is_sorted_by(|a, b| a.end <= b.start) {
            by_priority.dedup_by(|next, last| last.take_up(next));
            return Extents { list: by_priority };
        }
        Sweep::of(by_priority).run(overlap)
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

impl Extent {
    /// Offset of address 0 if the extent reached down to it: what extents share that have memory at the same place.
    fn bias(&self) -> u64 {
        self.offset.wrapping_sub(self.start)
    }

    /// Appends `next` where it goes on from here in memory and file; whether it does.
    fn take_up(&mut self, next: &Extent) -> bool {
        let joins = self.end == next.start && self.bias() == next.bias();
        if joins {
            self.end = next.end;
        }
        joins
    }
}

/// An extent and its place in the order of priority.
type Layer = (Extent, u32);

/// A walk over the addresses at which extents begin and end, with those at hand that cover the current one.
struct Sweep {
    /// By first address.
    layers: Vec<Layer>,
    /// How many of them have begun.
    begun: usize,
    /// Of these, by priority and number, those that may reach further; some that ended may be among them.
    open: BinaryHeap<Reverse<(u32, usize)>>,
    at: u64,
    list: Vec<Extent>,
}

impl Sweep {
    fn of(by_priority: Vec<Extent>) -> Sweep {
        let number = |i| u32::try_from(i).unwrap_or(u32::MAX);
        let mut layers: Vec<Layer> = by_priority.into_iter().enumerate().map(|(i, e)| (e, number(i))).collect();
        layers.sort_unstable_by_key(|(extent, priority)| (extent.start, *priority));
        Sweep { layers, begun: 0, open: BinaryHeap::new(), at: 0, list: Vec::new() }
    }

    fn run(mut self, overlap: &mut dyn FnMut(Overlap)) -> Extents {
        loop {
            let next = self.layers.get(self.begun).map(|(extent, _)| extent.start);
            let Some((winner, _)) = self.winner() else {
                let Some(next) = next else { return Extents { list: self.list } };
                self.at = next;
                self.begin(overlap);
                continue;
            };
            let end = next.map_or(winner.end, |next| next.min(winner.end));
            self.give(winner, end);
            self.at = end;
            self.begin(overlap);
        }
    }

    /// The extent that has the current address.
    fn winner(&mut self) -> Option<Layer> {
        while let Some(Reverse((_, i))) = self.open.peek() {
            match self.layers.get(*i) {
                Some(layer) if layer.0.end > self.at => return Some(*layer),
                _ => self.open.pop(),
            };
        }
        None
    }

    /// Opens the extents that begin here.
    fn begin(&mut self, overlap: &mut dyn FnMut(Overlap)) {
        while let Some(layer) = self.layers.get(self.begun).copied().filter(|layer| layer.0.start <= self.at) {
            if let Some(other) = self.winner().filter(|other| other.0.bias() != layer.0.bias()) {
                let (winner, loser) = if other.1 < layer.1 { (other.0, layer.0) } else { (layer.0, other.0) };
                let range = self.at..winner.end.min(loser.end);
                let place = |extent: Extent| extent.bias().wrapping_add(self.at);
                overlap(Overlap { range, winner: place(winner), loser: place(loser) });
            }
            self.open.push(Reverse((layer.1, self.begun)));
            self.begun += 1;
        }
    }

    /// Appends the part of `winner` from the current address to `end`.
    fn give(&mut self, winner: Extent, end: u64) {
        let part = Extent { start: self.at, end, offset: winner.bias().wrapping_add(self.at) };
        if !self.list.last_mut().is_some_and(|last| last.take_up(&part)) && self.at < end {
            self.list.push(part);
        }
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
    fn overlaps_are_told_where_they_are_not_the_same_bytes() {
        let told = |list: &[(u64, u64, u64)]| {
            let list = list.iter().map(|(start, end, offset)| Extent { start: *start, end: *end, offset: *offset });
            let mut told = Vec::new();
            Extents::layered(list.collect(), &mut |o| told.push((o.range.start, o.range.end, o.winner, o.loser)));
            told
        };
        assert_eq!(told(&[(0, 10, 100), (10, 20, 500)]), []);
        assert_eq!(told(&[(4, 6, 104), (0, 10, 100)]), [], "the same bytes of the file");
        assert_eq!(told(&[(4, 6, 700), (0, 10, 100)]), [(4, 6, 700, 104)]);
        assert_eq!(told(&[(0, 10, 100), (4, 16, 700)]), [(4, 10, 104, 700)]);
        assert_eq!(told(&[(0, 4, 1), (0, 4, 5), (0, 4, 9), (0, 0, 3)]), [(0, 4, 1, 5), (0, 4, 1, 9)]);
    }

    /// Each lies in all that come after it, and the other way round: twice as many pieces as extents, in no time.
    #[test]
    fn a_hundred_thousand_in_each_other() {
        let n = 100_000;
        let inner_first = (1..=n).map(|i| Extent { start: n - i, end: n + i, offset: 10 * n * i });
        let outer_first = inner_first.clone().rev();
        assert_eq!(Extents::first_wins(inner_first).list.len() as u64, 2 * n - 1);
        assert_eq!(Extents::first_wins(outer_first).list.len(), 1);
        let staggered = (0..n).map(|i| Extent { start: i, end: n + i, offset: 10 * n * i });
        assert_eq!(Extents::first_wins(staggered).list.len() as u64, n);
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
