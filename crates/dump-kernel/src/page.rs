//! What one struct page says of its page frame.

use crate::era::{CompoundMark, Field, PageRules};
use crate::mem_map::MemMap;
use crate::memory::PhysMemory;
use crate::xlat::{KernelMemory, Translate};
use dump_core::{Pfn, PfnRange, Scratch};

/// Facts of a page frame, before any dump level judges them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageFacts {
    bits: u16,
    /// log2 of the pages of the compound page whose head this is; 0 for a small page.
    pub order: u8,
    /// log2 of the pages of the free block whose first this is, where it is [`PageFacts::BUDDY`].
    pub free_order: u8,
}

impl PageFacts {
    /// A tail of a compound page: what it is, its head says.
    pub const TAIL: u16 = 1;
    /// Free, the first of a block of the buddy allocator.
    pub const BUDDY: u16 = 1 << 1;
    /// Not yet accepted by a confidential guest: reading it may be fatal. The first of a block of the largest order.
    pub const UNACCEPTED: u16 = 1 << 2;
    /// On an LRU list or in the swap cache: page cache, unless [`PageFacts::ANON`].
    pub const CACHE: u16 = 1 << 3;
    /// Its file system keeps private data with it.
    pub const PRIVATE: u16 = 1 << 4;
    /// Anonymous memory of a process.
    pub const ANON: u16 = 1 << 5;
    /// A hugetlb page.
    pub const HUGETLB: u16 = 1 << 6;
    /// Broken memory.
    pub const HWPOISON: u16 = 1 << 7;
    /// Given back to the hypervisor, or not yet given by it.
    pub const OFFLINE: u16 = 1 << 8;
    /// Marked free with an order that no block can have.
    pub const BAD_ORDER: u16 = 1 << 9;
    /// Its struct page cannot be read: nothing is known.
    pub const UNREAD: u16 = 1 << 10;

    /// All of them.
    pub const ALL_BITS: u16 = (1 << 11) - 1;

    /// The facts that hold, ORed.
    #[inline]
    pub fn bits(self) -> u16 {
        self.bits
    }

    /// Whether any of `facts` hold.
    #[inline]
    pub fn any(self, facts: u16) -> bool {
        self.bits & facts != 0
    }

    /// Facts of the given bits and orders.
    pub fn new(bits: u16, order: u8, free_order: u8) -> PageFacts {
        PageFacts { bits, order, free_order }
    }
}

/// Orders above this are garbage: 2^30 pages are 4 TiB, the largest huge page there is has 2^22.
const MAX_COMPOUND_ORDER: u64 = 30;

impl PageRules {
    /// What the struct page `page` says, `next` being the one after it (the first tail, if `page` is a head).
    ///
    /// Nearly all struct pages are read for a handful of bits, so those are computed without a branch, whatever this kernel
    /// has or lacks: rules that it lacks are masks that never match. Only what is rare (heads, free blocks) branches.
    #[inline]
    pub(crate) fn facts<'p>(&self, pfn: Pfn, page: &[u8], next: impl FnOnce() -> Option<&'p [u8]>) -> PageFacts {
        let flags = word(page, self.flags);
        if word(page, self.tail_at) & self.tail_bit != 0 {
            // broken memory is marked page by page, whatever the head says
            return PageFacts::new(PageFacts::TAIL | fact(PageFacts::HWPOISON, flags & self.hwpoison != 0), 0, 0);
        }
        let mapcount = word32(page, self.mapcount);
        let slab = self.slab_type.matches(mapcount) | (flags & self.slab_flag != 0);
        let anon = word(page, self.mapping) & 1 != 0;
        // where nothing tells slab pages, a mapping cannot be trusted: what looks anonymous may be anything, and is kept
        let told = self.slab_told | !anon;
        let swap = (flags & self.swapcache != 0) & (flags & self.swapbacked == self.swapbacked);
        let unaccepted = self.unaccepted.matches(mapcount);
        let bits = fact(PageFacts::CACHE, told & ((flags & self.lru != 0) | swap))
            | fact(PageFacts::PRIVATE, flags & self.has_private != 0)
            | fact(PageFacts::ANON, told & anon & !slab)
            | fact(PageFacts::HWPOISON, flags & self.hwpoison != 0)
            | fact(PageFacts::OFFLINE, !slab & self.offline.matches(mapcount))
            | fact(PageFacts::UNACCEPTED, unaccepted);
        let mut facts = PageFacts::new(bits, 0, 0);
        if flags & self.head != 0 {
            if let Some(next) = next() {
                let (order, hugetlb) = self.compound_facts(pfn, mapcount, next);
                facts.order = order;
                facts.bits |= fact(PageFacts::HUGETLB, hugetlb);
            }
        }
        if self.buddy_type.matches(mapcount) & !slab {
            let order = word(page, self.private);
            let sane = order < self.orders;
            facts.bits |= if sane { PageFacts::BUDDY } else { PageFacts::BAD_ORDER };
            facts.free_order = if sane { order as u8 } else { 0 };
        }
        if unaccepted {
            // by convention only blocks of the largest order are left unaccepted (Linux mm/page_alloc.c)
            facts.free_order = (self.orders - 1) as u8;
        }
        facts
    }

    /// Order and hugetlb of a head, the order 0 where it is garbage: too large, or the head not aligned to it.
    fn compound_facts(&self, pfn: Pfn, mapcount: u32, next: &[u8]) -> (u8, bool) {
        let (order, hugetlb) = match self.compound() {
            CompoundMark::FlagsByteAndType { hugetlb } => (word(next, self.flags) & 0xff, hugetlb.matches(mapcount)),
            CompoundMark::FlagsByteAndFlag { hugetlb } => {
                let flags = word(next, self.flags);
                (flags & 0xff, flags & hugetlb != 0)
            }
            CompoundMark::Fields { order, hugetlb } => {
                (field(next, order), hugetlb.is_some_and(|(at, value)| field(next, at) == value))
            }
            CompoundMark::Unknown => (0, false),
        };
        let sane = order <= MAX_COMPOUND_ORDER && pfn.0 & ((1 << order) - 1) == 0;
        (if sane { order as u8 } else { 0 }, hugetlb)
    }
}

#[inline]
fn fact(bit: u16, holds: bool) -> u16 {
    bit * u16::from(holds)
}

/// The little-endian word at `offset`, which the rules have checked against the size of a struct page.
#[inline]
fn word(page: &[u8], offset: usize) -> u64 {
    page.get(offset..offset + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

#[inline]
fn word32(page: &[u8], offset: usize) -> u32 {
    page.get(offset..offset + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn field(page: &[u8], field: Field) -> u64 {
    let bytes = page.get(field.offset..field.offset + field.width).unwrap_or_default();
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// The struct pages of a window, as they lie.
#[derive(Clone, Copy)]
pub struct StructPages<'a> {
    rules: &'a PageRules,
    window: PfnRange,
    bytes: &'a [u8],
    /// Bit by bit which of them could be read, where not all could.
    there: Option<&'a [bool]>,
}

impl StructPages<'_> {
    /// The page frames that they stand for.
    pub fn window(&self) -> PfnRange {
        self.window
    }

    /// The facts of one page of the window. Where its struct page cannot be read they are [`PageFacts::UNREAD`].
    #[inline]
    pub fn facts(&self, pfn: Pfn) -> PageFacts {
        let (i, size) = ((pfn.0 - self.window.start.0) as usize, self.rules.size);
        let there = |i: usize| self.there.is_none_or(|there| there.get(i).copied().unwrap_or(false));
        match self.bytes.get(i * size..).and_then(|rest| rest.split_at_checked(size)) {
            Some((page, rest)) if there(i) => self.rules.facts(pfn, page, || rest.get(..size).filter(|_| there(i + 1))),
            _ => PageFacts::new(PageFacts::UNREAD, 0, 0),
        }
    }
}

/// Reads struct pages, window after window; one for each worker.
pub struct PageScanner<'a> {
    rules: &'a PageRules,
    map: &'a MemMap,
    memory: KernelMemory<'a>,
    scratch: Scratch,
}

impl<'a> PageScanner<'a> {
    /// Struct pages are read this many at a time: 32 KiB of 64-byte ones. A power of two, so that a compound page's head and
    /// its first tail always fall into one window.
    pub const WINDOW: u64 = 512;

    /// A scanner of the struct pages that `map` finds.
    pub fn new(
        rules: &'a PageRules,
        map: &'a MemMap,
        phys: &'a dyn PhysMemory,
        xlat: &'a dyn Translate,
    ) -> PageScanner<'a> {
        PageScanner { rules, map, memory: KernelMemory::new(phys, xlat), scratch: Scratch::default() }
    }

    /// The windows of `run`: pieces that do not cross a multiple of [`WINDOW`](Self::WINDOW) and have struct pages.
    pub fn windows(&self, run: PfnRange) -> impl Iterator<Item = PfnRange> + use<'a> {
        let map = self.map;
        map.runs_of(run).flat_map(move |piece| {
            let mut at = piece.start;
            std::iter::from_fn(move || {
                let end = Pfn((at.0 / Self::WINDOW + 1) * Self::WINDOW).min(piece.end);
                let window = PfnRange::new(at, end);
                at = end;
                (!window.is_empty()).then_some(window)
            })
        })
    }

    /// Shows the struct pages of a window to `see`, once: those that could be read.
    pub fn show(&mut self, window: PfnRange, see: &mut dyn FnMut(StructPages<'_>)) {
        let rules = self.rules;
        let len = window.len() as usize * rules.size;
        let shown = self.map.struct_page(window.start).is_some_and(|first| {
            let mut see = |bytes: &[u8]| see(StructPages { rules, window, bytes, there: None });
            self.memory.show(first, len, &mut self.scratch, &mut see).is_ok()
        });
        if !shown {
            let (bytes, there) = self.read_one_by_one(window);
            see(StructPages { rules, window, bytes: &bytes, there: Some(&there) });
        }
    }

    fn read_one_by_one(&mut self, window: PfnRange) -> (Vec<u8>, Vec<bool>) {
        let size = self.rules.size;
        let mut bytes = vec![0; window.len() as usize * size];
        let there = bytes.chunks_exact_mut(size).enumerate().map(|(i, page)| {
            let at = self.map.struct_page(window.start + i as u64);
            at.is_some_and(|at| self.memory.read(at, page).is_ok())
        });
        let there = there.collect();
        (bytes, there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmcoreinfo::Vmcoreinfo;
    use dump_core::{Error, PhysAddr, Result};

    /// Struct pages from 0x1000 on, of which some bytes cannot be read.
    struct Broken(std::ops::Range<u64>);

    impl PhysMemory for Broken {
        fn read(&self, at: PhysAddr, buf: &mut [u8]) -> Result<()> {
            let end = at.0 + buf.len() as u64;
            if at.0 < self.0.end && end > self.0.start {
                return Err(Error::missing("not there"));
            }
            buf.fill(0);
            Ok(())
        }
    }

    /// Virtual is physical.
    struct Flat;

    impl Translate for Flat {
        fn translate(
            &self,
            _: &dyn PhysMemory,
            _: &mut crate::xlat::TableCache,
            at: dump_core::VirtAddr,
        ) -> Result<crate::xlat::Mapping> {
            Ok(crate::xlat::Mapping { virt: at, phys: PhysAddr(at.0), bytes: 0x1000 - at.0 % 0x1000 })
        }
    }

    #[test]
    fn what_cannot_be_read_is_unread_and_its_neighbours_are_not() {
        let keys =
            b"OSRELEASE=6.1.0\nSIZE(page)=64\nOFFSET(page.flags)=0\nOFFSET(page.mapping)=24\nOFFSET(page.lru)=8\n\
            SYMBOL(mem_map)=9000\n";
        let info = Vmcoreinfo::parse(keys);
        let rules = PageRules::new(&info).unwrap();
        // mem_map reads as the pointer 0: struct pages begin at physical address 0
        let all = Broken(0..0);
        let mut memory = KernelMemory::new(&all, &Flat);
        let map = MemMap::find(&info, &mut memory, dump_core::PageSize::K4, Pfn(1000)).unwrap();
        let broken = Broken(64 * 100..64 * 101 + 1);
        let mut scanner = PageScanner::new(&rules, &map, &broken, &Flat);
        let mut unread = Vec::new();
        for window in scanner.windows(PfnRange::new(Pfn(0), Pfn(1000))).collect::<Vec<_>>() {
            scanner.show(window, &mut |pages| {
                assert_eq!(pages.window(), window);
                let pfns = (window.start.0..window.end.0).map(Pfn);
                unread.extend(pfns.filter(|pfn| pages.facts(*pfn).any(PageFacts::UNREAD)));
            });
        }
        assert_eq!(unread, [Pfn(100), Pfn(101)]);
    }
}
