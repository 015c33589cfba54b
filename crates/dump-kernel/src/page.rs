//! What one struct page says about its page frame.

use crate::era::{CompoundMark, Field, PageRules};
use crate::mem_map::MemMap;
use crate::virt::KernelMemory;
use crate::words::{Be32, Be64, Le32, Le64, WordLayout};
use dump_core::{ByteOrder, Pfn, PfnRange, WordSize};
use std::marker::PhantomData;

bitflags::bitflags! {
    /// Facts of a page frame, before any dump level judges them.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct PageFacts: u16 {
        /// A tail of a compound page: what it is, its head says.
        const TAIL = 1;
        /// Free, the first of a block of the buddy allocator.
        const BUDDY = 1 << 1;
        /// Not yet accepted by a confidential guest: reading it may be fatal. The first of a block of the largest
        /// order.
        const UNACCEPTED = 1 << 2;
        /// On an LRU list or in the swap cache: page cache, unless [`PageFacts::ANON`].
        const CACHE = 1 << 3;
        /// Its file system keeps private data with it.
        const PRIVATE = 1 << 4;
        /// Anonymous memory of a process.
        const ANON = 1 << 5;
        /// A hugetlb page.
        const HUGETLB = 1 << 6;
        /// Broken memory.
        const HWPOISON = 1 << 7;
        /// Given back to the hypervisor, or not yet given by it.
        const OFFLINE = 1 << 8;
        /// Marked free with an order that no block can have.
        const BAD_ORDER = 1 << 9;
        /// Its struct page cannot be read: nothing is known.
        const UNREAD = 1 << 10;
    }
}

/// What a struct page says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageState {
    /// What holds of its page frame.
    pub facts: PageFacts,
    /// log2 of the pages of the compound page whose head this is; 0 for a small page.
    pub order: u8,
    /// log2 of the pages of the free block whose first this is, where it is [`PageFacts::BUDDY`].
    pub free_order: u8,
}

impl PageState {
    /// A page of which `facts` hold, alone.
    #[inline]
    pub fn new(facts: PageFacts) -> PageState {
        PageState { facts, order: 0, free_order: 0 }
    }
}

/// Orders above this are garbage: 2^30 pages are 4 TiB, the largest huge page there is has 2^22.
const MAX_COMPOUND_ORDER: u64 = 30;

impl PageRules {
    /// What the struct page `page` says, `next` being the one after it (the first tail, if `page` is a head).
    ///
    /// Nearly all struct pages are read for a handful of bits, so those are computed without a branch, whatever this
    /// kernel has or lacks: rules that it lacks are masks that never match. Only what is rare (heads, free blocks)
    /// branches.
    #[inline]
    pub(crate) fn state<'p, W: WordLayout>(
        &self,
        pfn: Pfn,
        page: &[u8],
        next: impl FnOnce() -> Option<&'p [u8]>,
    ) -> PageState {
        let flags = W::word(page, self.flags);
        if W::word(page, self.tail_at) & self.tail_bit != 0 {
            // broken memory is marked page by page, whatever the head says
            return PageState::new(PageFacts::TAIL | fact(PageFacts::HWPOISON, flags & self.hwpoison != 0));
        }
        let mapcount = W::u32(page, self.mapcount);
        let slab = self.slab_type.matches(mapcount) | (flags & self.slab_flag != 0);
        let anon = W::word(page, self.mapping) & 1 != 0;
        // where slab pages are not known, a mapping cannot be trusted: what looks anonymous may be anything, and is
        // kept
        let trusted = self.slab_known | !anon;
        let swap = (flags & self.swapcache != 0) & (flags & self.swapbacked == self.swapbacked);
        let unaccepted = self.unaccepted.matches(mapcount);
        let facts = fact(PageFacts::CACHE, trusted & ((flags & self.lru != 0) | swap))
            | fact(PageFacts::PRIVATE, flags & self.has_private != 0)
            | fact(PageFacts::ANON, trusted & anon & !slab)
            | fact(PageFacts::HWPOISON, flags & self.hwpoison != 0)
            | fact(PageFacts::OFFLINE, !slab & self.offline.matches(mapcount))
            | fact(PageFacts::UNACCEPTED, unaccepted);
        let mut state = PageState::new(facts);
        if flags & self.head != 0 {
            if let Some(next) = next() {
                let (order, hugetlb) = self.compound_state::<W>(pfn, mapcount, next);
                state.order = order;
                state.facts |= fact(PageFacts::HUGETLB, hugetlb);
            }
        }
        if self.buddy_type.matches(mapcount) & !slab {
            let order = W::word(page, self.private);
            let sane = order < self.orders;
            state.facts |= if sane { PageFacts::BUDDY } else { PageFacts::BAD_ORDER };
            state.free_order = if sane { order as u8 } else { 0 };
        }
        if unaccepted {
            // by convention only blocks of the largest order are left unaccepted (Linux mm/page_alloc.c)
            state.free_order = (self.orders - 1) as u8;
        }
        state
    }

    /// Order and hugetlb of a head, the order 0 where it is garbage: too large, or the head not aligned to it.
    fn compound_state<W: WordLayout>(&self, pfn: Pfn, mapcount: u32, next: &[u8]) -> (u8, bool) {
        let (order, hugetlb) = match self.compound() {
            CompoundMark::FlagsByteAndType { hugetlb } => (W::word(next, self.flags) & 0xff, hugetlb.matches(mapcount)),
            CompoundMark::FlagsByteAndFlag { hugetlb } => {
                let flags = W::word(next, self.flags);
                (flags & 0xff, flags & hugetlb != 0)
            }
            CompoundMark::Fields { order, hugetlb } => {
                (field::<W>(next, order), hugetlb.is_some_and(|(at, value)| field::<W>(next, at) == value))
            }
            CompoundMark::Unknown => (0, false),
        };
        let sane = order <= MAX_COMPOUND_ORDER && pfn.0 & ((1 << order) - 1) == 0;
        (if sane { order as u8 } else { 0 }, hugetlb)
    }
}

#[inline]
fn fact(fact: PageFacts, holds: bool) -> PageFacts {
    PageFacts::from_bits_retain(fact.bits() * u16::from(holds))
}

fn field<W: WordLayout>(page: &[u8], field: Field) -> u64 {
    let bytes = page.get(field.offset..field.offset + field.width);
    W::WORDS.integer(bytes.unwrap_or_default())
}

/// The struct pages of a window, as they lie, in words of the layout `W`.
#[derive(Clone, Copy)]
pub struct StructPages<'a, W> {
    rules: &'a PageRules,
    window: PfnRange,
    bytes: &'a [u8],
    /// Which of them could be read, where not all could.
    there: Option<&'a [bool]>,
    layout: PhantomData<W>,
}

impl<W: WordLayout> StructPages<'_, W> {
    /// The page frames that they stand for.
    pub fn window(&self) -> PfnRange {
        self.window
    }

    /// What the struct page of one page of the window says. Where it cannot be read that is [`PageFacts::UNREAD`].
    #[inline]
    pub fn state(&self, pfn: Pfn) -> PageState {
        let (i, size) = ((pfn.0 - self.window.start.0) as usize, self.rules.size);
        let there = |i: usize| self.there.is_none_or(|there| there.get(i).copied().unwrap_or(false));
        match self.bytes.get(i * size..).and_then(|rest| rest.split_at_checked(size)) {
            Some((page, rest)) if there(i) => {
                self.rules.state::<W>(pfn, page, || rest.get(..size).filter(|_| there(i + 1)))
            }
            _ => PageState::new(PageFacts::UNREAD),
        }
    }
}

/// Looks at the struct pages of a window. Compiled for each layout of words, of which one is chosen once for each
/// window.
pub trait PageVisitor {
    /// Looks at `pages`.
    fn visit<W: WordLayout>(&mut self, pages: StructPages<'_, W>);
}

/// Struct pages as bytes, before the layout of their words is chosen.
struct Window<'a> {
    rules: &'a PageRules,
    pages: PfnRange,
    bytes: &'a [u8],
    there: Option<&'a [bool]>,
}

impl Window<'_> {
    fn show(&self, visitor: &mut impl PageVisitor) {
        let words = self.rules.words;
        match (words.size, words.order) {
            (WordSize::Bits64, ByteOrder::Little) => visitor.visit(self.typed::<Le64>()),
            (WordSize::Bits64, ByteOrder::Big) => visitor.visit(self.typed::<Be64>()),
            (WordSize::Bits32, ByteOrder::Little) => visitor.visit(self.typed::<Le32>()),
            (WordSize::Bits32, ByteOrder::Big) => visitor.visit(self.typed::<Be32>()),
        }
    }

    fn typed<W: WordLayout>(&self) -> StructPages<'_, W> {
        let Window { rules, pages, bytes, there } = *self;
        StructPages { rules, window: pages, bytes, there, layout: PhantomData }
    }
}

/// Reads struct pages, window after window; one for each worker.
pub struct PageScanner<'a> {
    rules: &'a PageRules,
    map: &'a MemMap,
    memory: KernelMemory<'a>,
}

impl<'a> PageScanner<'a> {
    /// Struct pages are read this many at a time: 32 KiB of 64-byte ones. A power of two, so that a compound page's
    /// head and its first tail always fall into one window.
    pub const PAGES_PER_WINDOW: u64 = 512;

    /// A scanner of the struct pages that `map` finds in `memory`.
    pub fn new(rules: &'a PageRules, map: &'a MemMap, memory: KernelMemory<'a>) -> PageScanner<'a> {
        PageScanner { rules, map, memory }
    }

    /// The windows of `run`: pieces that do not cross a multiple of
    /// [`PAGES_PER_WINDOW`](Self::PAGES_PER_WINDOW) and have struct pages.
    pub fn windows(&self, run: PfnRange) -> impl Iterator<Item = PfnRange> + use<'a> {
        let map = self.map;
        map.runs_of(run).flat_map(move |piece| {
            let mut at = piece.start;
            std::iter::from_fn(move || {
                let end = Pfn((at.0 / Self::PAGES_PER_WINDOW + 1) * Self::PAGES_PER_WINDOW).min(piece.end);
                let window = PfnRange::new(at, end);
                at = end;
                (!window.is_empty()).then_some(window)
            })
        })
    }

    /// Shows the struct pages of a window to `visitor`, once: those that could be read.
    pub fn show(&mut self, window: PfnRange, visitor: &mut impl PageVisitor) {
        let rules = self.rules;
        let len = window.len() as usize * rules.size;
        let shown = self.map.struct_page(window.start).is_some_and(|first| {
            let mut see = |bytes: &[u8]| Window { rules, pages: window, bytes, there: None }.show(visitor);
            self.memory.show(first, len, &mut see).is_ok()
        });
        if !shown {
            let (bytes, there) = self.read_one_by_one(window);
            Window { rules, pages: window, bytes: &bytes, there: Some(&there) }.show(visitor);
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
    use crate::arch::X86_64;
    use crate::memory::{PhysMemory, PhysReader};
    use crate::vmcoreinfo::Vmcoreinfo;
    use crate::xlat::{Mapping, TableCache, Translate};
    use dump_core::{Error, PageSize, PhysAddr, Result, VirtAddr};
    use std::ops::Range;

    /// Struct pages from 0 on, of which some bytes cannot be read.
    struct Broken(Range<u64>);

    impl PhysMemory for Broken {
        fn reader(&self) -> Box<dyn PhysReader + '_> {
            Box::new(BrokenReader(self.0.clone()))
        }
    }

    struct BrokenReader(Range<u64>);

    impl PhysReader for BrokenReader {
        fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<()> {
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
        fn translate(&self, _: &mut dyn PhysReader, _: &mut TableCache, at: VirtAddr) -> Result<Mapping> {
            Ok(Mapping { virt: at, phys: PhysAddr(at.0), bytes: 0x1000 - at.0 % 0x1000 })
        }
    }

    struct Unread(Vec<Pfn>);

    impl PageVisitor for Unread {
        fn visit<W: WordLayout>(&mut self, pages: StructPages<'_, W>) {
            let window = pages.window();
            let pfns = (window.start.0..window.end.0).map(Pfn);
            self.0.extend(pfns.filter(|pfn| pages.state(*pfn).facts.contains(PageFacts::UNREAD)));
        }
    }

    #[test]
    fn what_cannot_be_read_is_unread_and_its_neighbours_are_not() {
        let keys =
            b"OSRELEASE=6.1.0\nSIZE(page)=64\nOFFSET(page.flags)=0\nOFFSET(page.mapping)=24\nOFFSET(page.lru)=8\n\
            SYMBOL(mem_map)=9000\n";
        let info = Vmcoreinfo::parse(keys);
        let words = Le64::WORDS;
        let rules = PageRules::new(&info, words).unwrap();
        // mem_map reads as the pointer 0: struct pages begin at physical address 0
        let all = Broken(0..0);
        let mut memory = KernelMemory::new(&all, &Flat, words);
        let map = MemMap::find(&X86_64, &info, &mut memory, PageSize::K4, Pfn(1000)).unwrap();
        let broken = Broken(64 * 100..64 * 101 + 1);
        let mut scanner = PageScanner::new(&rules, &map, KernelMemory::new(&broken, &Flat, words));
        let mut unread = Unread(Vec::new());
        for window in scanner.windows(PfnRange::new(Pfn(0), Pfn(1000))).collect::<Vec<_>>() {
            scanner.show(window, &mut unread);
        }
        assert_eq!(unread.0, [Pfn(100), Pfn(101)]);
    }
}
