//! Page frame numbers and addresses, each a type of its own so that one is never taken for another.

use std::fmt;
use std::ops::{Add, Sub};

/// A page frame number: `paddr >> page_shift`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pfn(pub u64);

impl Add<u64> for Pfn {
    type Output = Pfn;
    fn add(self, pages: u64) -> Pfn {
        Pfn(self.0.saturating_add(pages))
    }
}

impl Sub for Pfn {
    type Output = u64;
    /// Distance in pages; 0 where `other` lies above.
    fn sub(self, other: Pfn) -> u64 {
        self.0.saturating_sub(other.0)
    }
}

impl fmt::Display for Pfn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A half-open run of page frames, `start..end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PfnRange {
    /// First page frame of the run.
    pub start: Pfn,
    /// The page frame after the last.
    pub end: Pfn,
}

impl PfnRange {
    /// The run `start..end`; empty where `end` lies below `start`.
    pub fn new(start: Pfn, end: Pfn) -> PfnRange {
        PfnRange { start, end: end.max(start) }
    }

    /// `pages` page frames from `start`.
    pub fn at(start: Pfn, pages: u64) -> PfnRange {
        PfnRange { start, end: start + pages }
    }

    /// Number of pages.
    pub fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Whether the run holds no page.
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// Whether `pfn` lies in the run.
    pub fn contains(&self, pfn: Pfn) -> bool {
        self.start <= pfn && pfn < self.end
    }

    /// The part that both runs share; empty where they share none.
    pub fn intersect(&self, other: PfnRange) -> PfnRange {
        PfnRange::new(self.start.max(other.start), self.end.min(other.end))
    }
}

impl fmt::Display for PfnRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

/// A physical address (bytes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhysAddr(pub u64);

impl fmt::Display for PhysAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A virtual address of the dumped kernel (bytes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VirtAddr(pub u64);

impl VirtAddr {
    /// The address `bytes` further on, `None` past the end of the address space.
    pub fn checked_add(self, bytes: u64) -> Option<VirtAddr> {
        self.0.checked_add(bytes).map(VirtAddr)
    }
}

impl fmt::Display for VirtAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// The size of a page, always a power of two between 4 KiB and 256 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize {
    shift: u8,
}

impl PageSize {
    /// 4 KiB, what x86 has.
    pub const K4: PageSize = PageSize { shift: 12 };

    /// From a size in bytes; `None` unless it is a power of two between 4 KiB and 256 KiB (the widest any Linux
    /// architecture offers, and what libkdumpfile accepts in a kdump header).
    pub fn from_bytes(bytes: u64) -> Option<PageSize> {
        match bytes {
            0x1000..=0x4_0000 if bytes.is_power_of_two() => {
                u8::try_from(bytes.trailing_zeros()).ok().map(|shift| PageSize { shift })
            }
            _ => None,
        }
    }

    /// Bytes in a page.
    pub fn bytes(self) -> usize {
        1 << self.shift
    }

    /// Bytes in `pages` pages.
    pub fn bytes_of(self, pages: u64) -> u64 {
        pages.saturating_mul(1 << self.shift)
    }

    /// log2 of the size.
    pub fn shift(self) -> u8 {
        self.shift
    }

    /// The page frame that holds `addr`.
    pub fn pfn_of(self, addr: PhysAddr) -> Pfn {
        Pfn(addr.0 >> self.shift)
    }

    /// Where `pfn` begins.
    pub fn addr_of(self, pfn: Pfn) -> PhysAddr {
        PhysAddr(pfn.0 << self.shift)
    }

    /// How many pages `bytes` fill, the last one perhaps in part.
    pub fn pages_for(self, bytes: u64) -> u64 {
        bytes.div_ceil(1 << self.shift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_sizes() {
        for (bytes, ok) in
            [(0, false), (2048, false), (4096, true), (5000, false), (65536, true), (262144, true), (524288, false)]
        {
            assert_eq!(PageSize::from_bytes(bytes).is_some(), ok, "{bytes}");
        }
        assert_eq!(PageSize::K4.pages_for(4097), 2);
        assert_eq!(PageSize::K4.pfn_of(PhysAddr(0x1fff)), Pfn(1));
    }

    #[test]
    fn ranges() {
        let a = PfnRange::new(Pfn(2), Pfn(8));
        assert_eq!(a.intersect(PfnRange::new(Pfn(6), Pfn(9))), PfnRange::new(Pfn(6), Pfn(8)));
        assert!(a.intersect(PfnRange::new(Pfn(9), Pfn(10))).is_empty());
        assert_eq!(PfnRange::new(Pfn(5), Pfn(1)).len(), 0);
        assert!(a.contains(Pfn(7)) && !a.contains(Pfn(8)));
    }
}
