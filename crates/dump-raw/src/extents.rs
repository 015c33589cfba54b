//! Which ranges of physical memory a file holds, and where.

use dump_core::{Error, Result};
use std::ops::Range;

/// A range of physical memory and where the file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// First physical address.
    pub start: u64,
    /// The physical address after the last.
    pub end: u64,
    /// Where in the file it begins (bytes).
    pub offset: u64,
}

/// Extents that any file may have: 24 MiB of them.
const FREE: usize = 1 << 20;

/// A file may have one more extent for so many bytes. Ranges of one page that packs to nothing take about 300.
const BYTES_PER_EXTENT: u64 = 256;

/// Extents in the order of the file.
pub(crate) struct Found {
    list: Vec<Extent>,
    limit: usize,
}

impl Found {
    /// None yet, of a file of `file_len` bytes.
    pub fn new(file_len: u64) -> Found {
        let limit = usize::try_from(file_len / BYTES_PER_EXTENT).unwrap_or(usize::MAX);
        Found { list: Vec::new(), limit: limit.max(FREE) }
    }

    /// Appends an extent.
    ///
    /// # Errors
    /// `Unsupported` where there are too many small ones to hold in memory.
    pub fn push(&mut self, extent: Extent) -> Result<()> {
        if self.list.len() >= self.limit {
            return Err(Error::unsupported(format!("more than {} ranges, too many to hold in memory", self.limit)));
        }
        self.list.push(extent);
        Ok(())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Sorts them.
    ///
    /// # Errors
    /// As [`Extents::new`].
    pub fn sorted(self) -> Result<Extents> {
        Extents::new(self.list)
    }
}

/// Ascending, disjoint extents, 24 bytes each. Found by binary search: an image of AVML's has tens of thousands.
#[derive(Debug, Default)]
pub(crate) struct Extents {
    list: Vec<Extent>,
}

impl Extents {
    /// From extents in the order of the file.
    ///
    /// # Errors
    /// `Corrupt` where two overlap: no writer does that, and either could be the wrong one.
    pub fn new(mut list: Vec<Extent>) -> Result<Extents> {
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

    /// Where the last ends (a physical address).
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

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(start: u64, end: u64) -> Extent {
        Extent { start, end, offset: 1000 + start }
    }

    #[test]
    fn in_any_order_but_apart() {
        let extents = Extents::new(vec![extent(20, 30), extent(0, 5), extent(5, 10)]).unwrap();
        assert_eq!(extents.end(), 30);
        let starts = |range| extents.overlapping(range).map(|extent| extent.start).collect::<Vec<_>>();
        for (range, want) in [(0..1, &[0][..]), (4..6, &[0, 5]), (10..20, &[]), (9..21, &[5, 20]), (30..99, &[])] {
            assert_eq!(starts(range.clone()), want, "{range:?}");
        }
        assert_eq!(extents.from(10).next(), Some(&extent(20, 30)));
        assert!(Extents::new(vec![extent(0, 5), extent(4, 6)]).is_err());
        assert!(Extents::new(vec![extent(0, 5), extent(0, 5)]).is_err());
        assert_eq!(Extents::new(Vec::new()).unwrap().end(), 0);
    }

    #[test]
    fn no_more_than_can_be_held() {
        let mut found = Found::new(1 << 20);
        (0..FREE as u64).for_each(|i| found.push(extent(2 * i, 2 * i + 1)).unwrap());
        assert!(found.push(extent(0, 1)).is_err());
        assert_eq!(found.sorted().unwrap().iter().count(), FREE);
        assert_eq!(Found::new(1 << 40).limit, 1 << 32);
    }
}
