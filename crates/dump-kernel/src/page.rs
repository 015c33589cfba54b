//! What one struct page says of its page frame.

use crate::era::{BuddyMark, CompoundMark, Field, PageRules, SlabMark, TailMark};
use crate::mem_map::MemMap;
use crate::memory::PhysMemory;
use crate::xlat::{KernelMemory, Translate};
use dump_core::{Pfn, PfnRange};

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
    pub(crate) fn facts(&self, pfn: Pfn, page: &[u8], next: Option<&[u8]>) -> PageFacts {
        if let TailMark::Bit0 { offset } = self.tail() {
            if word(page, offset) & 1 != 0 {
                // broken memory is marked page by page, whatever the head says
                let broken = if word(page, self.flags) & self.hwpoison != 0 { PageFacts::HWPOISON } else { 0 };
                return PageFacts::new(PageFacts::TAIL | broken, 0, 0);
            }
        }
        let flags = word(page, self.flags);
        let mapcount = self.mapcount.map_or(0, |offset| word32(page, offset));
        let slab = match self.slab {
            SlabMark::Type(mark) => mark.matches(mapcount),
            SlabMark::Flag(mask) => flags & mask != 0,
            SlabMark::None => false,
        };
        let (order, hugetlb) = match next {
            Some(next) if flags & self.head != 0 => self.compound_facts(pfn, mapcount, next),
            _ => (0, false),
        };
        let low_bit = word(page, self.mapping) & 1 != 0;
        // where nothing tells slab pages, a mapping cannot be trusted: what looks anonymous may be anything, and is kept
        let told = self.slab != SlabMark::None || !low_bit;
        let mut facts = PageFacts::new(0, order, 0);
        let mut note = |fact: u16, holds: bool| facts.bits |= if holds { fact } else { 0 };
        let swap = flags & self.swapcache != 0 && (self.swapbacked == 0 || flags & self.swapbacked != 0);
        note(PageFacts::CACHE, told && (flags & self.lru != 0 || swap));
        note(PageFacts::PRIVATE, flags & self.has_private != 0);
        note(PageFacts::ANON, told && low_bit && !slab);
        note(PageFacts::HUGETLB, hugetlb);
        note(PageFacts::HWPOISON, flags & self.hwpoison != 0);
        note(PageFacts::OFFLINE, !slab && self.offline.is_some_and(|mark| mark.matches(mapcount)));
        note(PageFacts::UNACCEPTED, self.unaccepted.is_some_and(|mark| mark.matches(mapcount)));
        if self.is_buddy(mapcount, slab) {
            let order = self.private.map_or(u64::MAX, |offset| word(page, offset));
            note(PageFacts::BUDDY, order < self.orders);
            note(PageFacts::BAD_ORDER, order >= self.orders);
            facts.free_order = if order < self.orders { order as u8 } else { 0 };
        }
        if self.unaccepted.is_some() && facts.any(PageFacts::UNACCEPTED) {
            // by convention only blocks of the largest order are left unaccepted (Linux mm/page_alloc.c)
            facts.free_order = (self.orders - 1) as u8;
        }
        facts
    }

    fn is_buddy(&self, mapcount: u32, slab: bool) -> bool {
        matches!(self.buddy(), BuddyMark::Type(mark) if !slab && mark.matches(mapcount))
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

/// Reads struct pages, window after window; one for each worker.
pub struct PageScanner<'a> {
    rules: &'a PageRules,
    map: &'a MemMap,
    memory: KernelMemory<'a>,
    bytes: Vec<u8>,
    facts: Vec<PageFacts>,
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
        PageScanner { rules, map, memory: KernelMemory::new(phys, xlat), bytes: Vec::new(), facts: Vec::new() }
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

    /// The facts of each page of a window. Where a struct page cannot be read they are [`PageFacts::UNREAD`].
    pub fn read(&mut self, window: PfnRange) -> &[PageFacts] {
        let size = self.rules.size;
        self.facts.clear();
        self.bytes.resize(window.len() as usize * size, 0);
        let first = self.map.struct_page(window.start);
        if first.is_some_and(|first| self.memory.read(first, &mut self.bytes).is_ok()) {
            for (i, page) in self.bytes.chunks_exact(size).enumerate() {
                let next = self.bytes.get((i + 1) * size..(i + 2) * size);
                self.facts.push(self.rules.facts(window.start + i as u64, page, next));
            }
        } else {
            self.read_one_by_one(window);
        }
        &self.facts
    }

    fn read_one_by_one(&mut self, window: PfnRange) {
        let size = self.rules.size;
        let mut pair = vec![0; 2 * size];
        for i in 0..window.len() {
            let pfn = window.start + i;
            let (page, next) = pair.split_at_mut(size);
            let at = self.map.struct_page(pfn);
            let facts = match at {
                Some(at) if self.memory.read(at, page).is_ok() => {
                    let after = at.checked_add(size as u64).filter(|_| i + 1 < window.len());
                    let next = after.filter(|at| self.memory.read(*at, next).is_ok()).map(|_| &*next);
                    self.rules.facts(pfn, page, next)
                }
                _ => PageFacts::new(PageFacts::UNREAD, 0, 0),
            };
            self.facts.push(facts);
        }
    }
}
