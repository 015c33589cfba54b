//! Where in memory the bytes of a file lie that does not say it.

use crate::addr::PhysAddr;
use crate::error::{Error, Result};
use crate::extents::Extent;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// Ranges of physical memory in the order in which a file has them, one right behind the other.
///
/// As text, `0-3G,4G-`: the first address of each range and the one after its last, in bytes, after 0x hexadecimal, or
/// with K, M, G or T behind. The last range may do without an end: it takes all that is left of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryMap {
    ranges: Vec<Range<u64>>,
    /// Where the rest of the file begins.
    rest: Option<u64>,
}

/// What a map makes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// Its ranges, the file's first byte being at offset 0; they may pass the end of the file.
    pub extents: Vec<Extent>,
    /// Bytes that the map has and the file has not.
    pub missing: u64,
    /// Bytes that the file has and the map has not.
    pub left: u64,
}

impl MemoryMap {
    /// All of a file from `base` on.
    pub fn from_base(base: PhysAddr) -> MemoryMap {
        MemoryMap { ranges: Vec::new(), rest: Some(base.0) }
    }

    /// `ranges`, and behind them in the file what lies from `rest` on.
    ///
    /// # Errors
    /// `Corrupt` if there is none, one is empty, or two overlap.
    pub fn new(ranges: Vec<Range<u64>>, rest: Option<u64>) -> Result<MemoryMap> {
        let mut sorted = ranges.clone();
        sorted.extend(rest.map(|rest| rest..u64::MAX));
        if sorted.is_empty() {
            return Err(Error::corrupt("a map of memory without a range"));
        }
        if let Some(Range { start, end }) = sorted.iter().find(|range| range.start >= range.end) {
            return Err(Error::corrupt(format!(
                "{start:#x}-{end:#x} is no range of memory: it ends where it begins, or before"
            )));
        }
        sorted.sort_by_key(|range| range.start);
        match sorted.windows(2).find(|pair| pair[0].end > pair[1].start) {
            Some([a, b]) => {
                // a range without an end reaches over all that comes behind it
                let end = |range: &Range<u64>| {
                    if range.end == u64::MAX { String::new() } else { format!("{:#x}", range.end) }
                };
                let what = format!("{:#x}-{} and {:#x}-{} overlap", a.start, end(a), b.start, end(b));
                Err(Error::corrupt(what))
            }
            _ => Ok(MemoryMap { ranges, rest }),
        }
    }

    /// Bytes of the ranges that have an end.
    pub fn bytes(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }

    /// The ranges in the order of the file, the last as long as makes `len` bytes of all; what is longer than that is cut
    /// off. They are as many bytes as the map has, where that is less.
    pub fn ranges(&self, len: u64) -> Vec<Range<u64>> {
        let mut left = len;
        let mut out = Vec::new();
        let rest = self.rest.map(|rest| rest..u64::MAX);
        for range in self.ranges.iter().cloned().chain(rest) {
            let bytes = (range.end - range.start).min(left);
            left -= bytes;
            if bytes > 0 {
                out.push(range.start..range.start + bytes);
            }
        }
        out
    }

    /// The ranges of a file of `len` bytes.
    ///
    /// # Errors
    /// `Corrupt` if the last range would pass the end of all addresses.
    pub fn of_file(&self, len: u64) -> Result<Mapped> {
        let mut offset = 0;
        let mut extents = Vec::new();
        for Range { start, end } in self.ranges.iter().cloned() {
            extents.push(Extent { start, end, offset });
            offset += end - start;
        }
        let left = len.saturating_sub(offset);
        let Some(start) = self.rest.filter(|_| left > 0) else {
            return Ok(Mapped { extents, missing: offset.saturating_sub(len), left });
        };
        let passes = || Error::corrupt(format!("{left:#x} bytes from address {start:#x} on exceed 2^64"));
        let end = start.checked_add(left).ok_or_else(passes)?;
        extents.push(Extent { start, end, offset });
        Ok(Mapped { extents, missing: 0, left: 0 })
    }
}

impl FromStr for MemoryMap {
    type Err = Error;

    fn from_str(text: &str) -> Result<MemoryMap> {
        let wrong = || Error::corrupt("expected ranges of memory such as 0-3G,4G-");
        let (mut ranges, mut rest) = (Vec::new(), None);
        for part in text.split(',') {
            let (first, end) = part.split_once('-').ok_or_else(wrong)?;
            let start = address(first).ok_or_else(wrong)?;
            match end {
                _ if rest.is_some() => return Err(Error::corrupt("only the last range can do without an end")),
                "" => rest = Some(start),
                end => ranges.push(start..address(end).ok_or_else(wrong)?),
            }
        }
        MemoryMap::new(ranges, rest)
    }
}

impl fmt::Display for MemoryMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let closed = self.ranges.iter().map(|range| format!("{:#x}-{:#x}", range.start, range.end));
        let all: Vec<String> = closed.chain(self.rest.map(|rest| format!("{rest:#x}-"))).collect();
        f.write_str(&all.join(","))
    }
}

/// Decimal, or hexadecimal after 0x, in units of a letter behind it.
fn address(text: &str) -> Option<u64> {
    let units = [('K', 10), ('M', 20), ('G', 30), ('T', 40)];
    let unit = |(letter, shift): &(char, u32)| {
        text.strip_suffix([*letter, letter.to_ascii_lowercase()]).map(|digits| (digits, *shift))
    };
    let (digits, shift) = units.iter().find_map(unit).unwrap_or((text, 0));
    let number = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    number.ok().filter(|_| !digits.contains('+'))?.checked_mul(1 << shift)
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init)] // a list of ranges that has one
mod tests {
    use super::*;

    fn map(text: &str) -> MemoryMap {
        text.parse().unwrap()
    }

    #[test]
    fn as_people_write_them() {
        let firecracker = MemoryMap::new(vec![0..3 << 30], Some(4 << 30)).unwrap();
        for text in ["0-3G,4G-", "0-0xC0000000,0x100000000-", "0-3072m,4194304K-", "0x0-3g,4294967296-"] {
            assert_eq!(map(text), firecracker, "{text}");
        }
        assert_eq!(firecracker.to_string(), "0x0-0xc0000000,0x100000000-");
        assert_eq!(map(&firecracker.to_string()), firecracker);
        assert_eq!(map("0x80000000-"), MemoryMap::from_base(PhysAddr(1 << 31)));
        for bad in
            ["", "0", "-", "0-,4G-", "4G-0", "0-0", "0-2G,1G-", "0-2G,1G-3G", "x-1", "0-+1", "0-1,", "17179869184G-"]
        {
            assert!(bad.parse::<MemoryMap>().is_err(), "{bad}");
        }
        let e = "0-2G,1G-".parse::<MemoryMap>().unwrap_err();
        assert_eq!(e.to_string(), "0x0-0x80000000 and 0x40000000- overlap");
    }

    #[test]
    fn ranges_are_in_the_order_of_the_file() {
        let mapped = map("4G-5G,0-2G").of_file(3 << 30).unwrap();
        let want =
            [Extent { start: 4 << 30, end: 5 << 30, offset: 0 }, Extent { start: 0, end: 2 << 30, offset: 1 << 30 }];
        assert_eq!((mapped.extents.as_slice(), mapped.missing, mapped.left), (&want[..], 0, 0));
        assert_eq!(map("4G-5G,0-2G").ranges(2 << 30), [4 << 30..5 << 30, 0..1 << 30]);
        assert_eq!(map("0-2G,4G-").ranges(1 << 30), [0..1 << 30]);
    }

    #[test]
    fn files_that_are_shorter_or_longer() {
        let told =
            |text: &str, len| map(text).of_file(len).map(|mapped| (mapped.extents.len(), mapped.missing, mapped.left));
        assert_eq!(told("0-16,32-", 20).unwrap(), (2, 0, 0));
        assert_eq!(told("0-16,32-", 16).unwrap(), (1, 0, 0));
        assert_eq!(told("0-16,32-", 9).unwrap(), (1, 7, 0));
        assert_eq!(told("0-16,32-48", 40).unwrap(), (2, 0, 8));
        assert!(told("0xfffffffffffffff0-", 17).is_err());
    }
}
