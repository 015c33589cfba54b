//! What one struct page says about its page frame.

use crate::era::{CompoundMark, Field, PageRules, TailMark};
use crate::mem_map::MemMap;
use crate::virt::KernelMemory;
use crate::words::{Be32, Be64, Le32, Le64, WordLayout};
use dump_core::{ByteOrder, Pfn, PfnRange, VirtAddr, WordSize};
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
        /// Its struct page says what cannot all be so: a free page in use, an anonymous page table, an order that no
        /// block, compound page or hugetlb page of these pages can have. None of the other facts is proof of anything, but for
        /// [`PageFacts::HWPOISON`].
        const CONTRADICTION = 1 << 9;
        /// Its struct page cannot be read, was never written, or is none: nothing is known.
        const UNREAD = 1 << 10;
        /// Of the type that unaccepted memory has in all likelihood, in a kernel that does not say.
        const MAYBE_UNACCEPTED = 1 << 11;
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

/// Of what has the mark of broken memory and a pointer that leads nowhere: no struct page, but other memory that reads as
/// one, where page tables are damaged. No level reads broken memory, so that it takes more than a bit to be believed.
const NONE_AT_ALL: PageFacts = PageFacts::UNREAD.union(PageFacts::CONTRADICTION);

/// Orders above this are garbage: 2^30 pages are 4 TiB, the largest huge page there is has 2^22.
const MAX_COMPOUND_ORDER: u64 = 30;

impl PageRules {
    /// What the struct page `page` at `at` says, `next` being the one after it (the first tail, if `page` is a head).
    ///
    /// Nearly all struct pages are read for a handful of bits, so those are computed without a branch, whatever this
    /// kernel has or lacks: rules that it lacks are masks that never match. Only what is rare (heads, free blocks)
    /// branches.
    #[inline]
    pub(crate) fn state<'p, W: WordLayout>(
        &self,
        pfn: Pfn,
        at: u64,
        page: &[u8],
        next: impl FnOnce() -> Option<&'p [u8]>,
    ) -> PageState {
        use PageFacts as F;
        let flags = W::word(page, self.flags);
        // PAGE_POISON_PATTERN, of a struct page that the kernel did not write yet (f165b378bbdf), or damage
        if flags == W::WORDS.wrap(u64::MAX) {
            return PageState::new(F::UNREAD);
        }
        if W::word(page, self.tail_at) & self.tail_bit != 0 {
            return self.tail_state::<W>(page, flags);
        }
        let mapcount = W::u32(page, self.mapcount);
        let slab = self.slab_type.matches(mapcount) | (flags & self.slab_flag != 0);
        let mapping = W::word(page, self.mapping);
        let anon = mapping & 1 != 0;
        // where slab pages are not known, a mapping cannot be trusted: what looks anonymous may be anything, and is
        // kept
        let trusted = self.anon_known | !anon;
        let swap = (flags & self.swapcache != 0) & (flags & self.swapbacked == self.swapbacked);
        let cache = trusted & ((flags & self.lru != 0) | swap);
        let anon = trusted & anon & !slab;
        let unaccepted = self.unaccepted.matches(mapcount);
        let buddy = self.buddy_type.matches(mapcount);
        // what has a type is no page of a process or a file, but for hugetlb pages, which are on no list
        let astray = self.leads_astray(mapping);
        let broken = flags & self.hwpoison != 0;
        let typed = ((mapcount as i32) < self.typed_below) & (cache | (anon & !self.hugetlb_type.matches(mapcount)));
        let facts = fact(F::CACHE, cache)
            | fact(F::PRIVATE, flags & self.has_private != 0)
            | fact(F::ANON, anon)
            | fact(F::HWPOISON, broken & !astray)
            | fact(F::OFFLINE, !slab & self.offline.matches(mapcount))
            | fact(F::UNACCEPTED, unaccepted)
            | fact(F::BUDDY, buddy)
            | fact(F::MAYBE_UNACCEPTED, self.maybe_unaccepted.matches(mapcount))
            | fact(F::CONTRADICTION, typed | (slab & (cache | buddy)) | ((cache | anon) & astray))
            | fact(NONE_AT_ALL, broken & astray);
        let mut state = PageState::new(facts);
        if flags & self.head != 0 {
            if let Some(next) = next() {
                self.add_compound::<W>(&mut state, pfn, at, mapcount, next);
            }
        }
        if buddy | unaccepted {
            let order = if buddy { W::word(page, self.private) } else { u64::from(self.unaccepted_order) };
            let block = order < self.orders && is_aligned(pfn, order);
            let unused = flags & (self.lru | self.head) == 0 && !(buddy && self.is_referenced::<W>(page));
            state.free_order = if block { order as u8 } else { 0 };
            state.facts |= fact(F::CONTRADICTION, !(block && unused));
        }
        state
    }

    /// Whether a mapping, whose low bits are flags, is no pointer of the kernel.
    #[inline]
    fn leads_astray(&self, mapping: u64) -> bool {
        (mapping & !0x7 != 0) & (mapping & self.pointer_bits != self.pointer_bits)
    }

    /// Whether a struct page is of the slab allocator; not, where the kernel does not say how that is known.
    fn is_slab<W: WordLayout>(&self, page: &[u8]) -> bool {
        let is_tail = W::word(page, self.tail_at) & self.tail_bit != 0;
        let by_flag = W::word(page, self.flags) & self.slab_flag != 0;
        !is_tail && (by_flag || self.slab_type.matches(W::u32(page, self.mapcount)))
    }

    /// A tail: what it is, its head says, but broken memory is marked page by page.
    fn tail_state<W: WordLayout>(&self, page: &[u8], flags: u64) -> PageState {
        if flags & self.hwpoison == 0 {
            return PageState::new(PageFacts::TAIL);
        }
        let astray = match self.tail() {
            TailMark::Head { offset } | TailMark::HeadOrMask { offset } => self.leads_astray(W::word(page, offset)),
            TailMark::None | TailMark::Unknown => false,
        };
        PageState::new(PageFacts::TAIL | if astray { NONE_AT_ALL } else { PageFacts::HWPOISON })
    }

    /// Adds what the first tail `next` of a head at `at` says: the order and whether it is a hugetlb page.
    fn add_compound<W: WordLayout>(&self, state: &mut PageState, pfn: Pfn, at: u64, mapcount: u32, next: &[u8]) {
        let (order, hugetlb) = match self.compound() {
            CompoundMark::FlagsByteAndType { hugetlb } => (W::word(next, self.flags) & 0xff, hugetlb.matches(mapcount)),
            CompoundMark::FlagsByteAndFlag { hugetlb } => {
                let flags = W::word(next, self.flags);
                (flags & 0xff, flags & hugetlb != 0)
            }
            CompoundMark::Fields { order, hugetlb } => {
                (field::<W>(next, order), hugetlb.is_some_and(|(at, value)| field::<W>(next, at) == value))
            }
            CompoundMark::Unknown => return,
        };
        match self.link::<W>(next, at, order) {
            // the struct page of a tail of a hugetlb page whose struct pages share memory with the head's (5.18 to 7.0,
            // e7d324850bfc): it reads as the head
            Link::Elsewhere => {
                state.facts = PageFacts::TAIL | (state.facts & PageFacts::HWPOISON);
                return;
            }
            Link::Head if (1..=MAX_COMPOUND_ORDER).contains(&order) && is_aligned(pfn, order) => {
                state.order = order as u8;
            }
            Link::Head | Link::None => state.facts |= PageFacts::CONTRADICTION,
        }
        let can_be = 1u64.checked_shl(state.order.into()).is_some_and(|order| order & self.hugetlb_orders != 0);
        state.facts |= fact(PageFacts::HUGETLB, hugetlb) | fact(PageFacts::CONTRADICTION, hugetlb & !can_be);
    }

    /// Where a struct page says that its head is, asked of the one at `head` with this order.
    fn link<W: WordLayout>(&self, page: &[u8], head: u64, order: u64) -> Link {
        let word = |offset| W::word(page, offset);
        let is_head = |word: u64| word == head.wrapping_add(1);
        match self.tail() {
            TailMark::None | TailMark::Unknown => Link::Head,
            TailMark::Head { offset } if is_head(word(offset)) => Link::Head,
            TailMark::Head { offset } if word(offset) & 1 != 0 => Link::Elsewhere,
            TailMark::HeadOrMask { offset } => {
                let shift = (order.min(u64::from(u32::MAX)) as u32).saturating_add(self.size.ilog2());
                let mask = self.words.wrap(u64::MAX.checked_shl(shift).unwrap_or(0)) | 1;
                if is_head(word(offset)) || word(offset) == mask { Link::Head } else { Link::None }
            }
            TailMark::Head { .. } => Link::None,
        }
    }

    /// Whether anybody holds the page; not, where vmcoreinfo does not say how that is known.
    fn is_referenced<W: WordLayout>(&self, page: &[u8]) -> bool {
        self.refcount.is_some_and(|offset| W::u32(page, offset) != 0)
    }

    /// Whether `page` is one of `block`, if free, or one of its tails, its first struct page being at `head`.
    fn fits_typed<W: WordLayout>(&self, page: &[u8], head: u64, block: Block) -> bool {
        let is_tail = W::word(page, self.tail_at) & self.tail_bit != 0;
        let idle = W::word(page, self.flags) & (self.lru | self.head) == 0
            && !self.buddy_type.matches(W::u32(page, self.mapcount));
        match block.kind {
            BlockKind::Compound if self.tail_bit == 0 => idle,
            BlockKind::Compound => is_tail && self.link::<W>(page, head, block.order.into()) == Link::Head,
            BlockKind::Free => idle && !is_tail && !self.is_referenced::<W>(page),
        }
    }

    /// As [`fits_typed`](PageRules::fits_typed), for struct pages that are few.
    fn fits(&self, page: &[u8], head: VirtAddr, block: Block) -> bool {
        match (self.words.size, self.words.order) {
            (WordSize::Bits64, ByteOrder::Little) => self.fits_typed::<Le64>(page, head.0, block),
            (WordSize::Bits64, ByteOrder::Big) => self.fits_typed::<Be64>(page, head.0, block),
            (WordSize::Bits32, ByteOrder::Little) => self.fits_typed::<Le32>(page, head.0, block),
            (WordSize::Bits32, ByteOrder::Big) => self.fits_typed::<Be32>(page, head.0, block),
        }
    }
}

/// What a struct page says of the head that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// That it is the one asked for, or nothing is known of links.
    Head,
    /// That it is another.
    Elsewhere,
    /// That it belongs to none.
    None,
}

/// Pages that go together because the first says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// What they are.
    pub kind: BlockKind,
    /// The first.
    pub first: Pfn,
    /// log2 of their number.
    pub order: u8,
}

/// What a block of pages is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// A compound page.
    Compound,
    /// Free, or unaccepted.
    Free,
}

impl Block {
    /// Pages that cannot belong to it if its order is smaller than its first page says: the first beyond each smaller
    /// order. (In a compound page whose tails are marked the one after that: the struct pages of hugetlb pages may
    /// repeat, and at the start of a repetition stands the head's.)
    fn looked_at(self, rules: &PageRules) -> impl Iterator<Item = Pfn> + use<> {
        let skip = u8::from(self.kind == BlockKind::Compound && rules.tail_bit != 0);
        // the first tail was looked at when the order was
        (skip..self.order).map(move |order| self.first + (1 << order) + u64::from(skip))
    }

    /// The pages.
    pub fn pages(self) -> PfnRange {
        PfnRange::at(self.first, 1 << self.order)
    }
}

#[inline]
fn is_aligned(pfn: Pfn, order: u64) -> bool {
    order < 64 && pfn.0 & ((1 << order) - 1) == 0
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
    /// Where the first lies.
    first: VirtAddr,
    bytes: &'a [u8],
    /// Which of them could be read, where not all could.
    there: Option<&'a [bool]>,
    layout: PhantomData<W>,
}

impl<'a, W: WordLayout> StructPages<'a, W> {
    /// The page frames that they stand for.
    pub fn window(&self) -> PfnRange {
        self.window
    }

    /// What the struct page of one page of the window says. Where it cannot be read that is [`PageFacts::UNREAD`].
    #[inline]
    pub fn state(&self, pfn: Pfn) -> PageState {
        let (i, size) = ((pfn.0 - self.window.start.0) as usize, self.rules.size);
        match self.bytes.get(i * size..).and_then(|rest| rest.split_at_checked(size)) {
            Some((page, rest)) if self.is_there(i) => {
                let next = || rest.get(..size).filter(|_| self.is_there(i + 1));
                self.rules.state::<W>(pfn, self.address(i), page, next)
            }
            _ => PageState::new(PageFacts::UNREAD),
        }
    }

    /// Whether the struct page of a page of the window is marked as one of the slab allocator, and can be read. A tail's
    /// is not: what it is, its head says.
    pub fn is_slab(&self, pfn: Pfn) -> bool {
        self.page(pfn).is_some_and(|page| self.rules.is_slab::<W>(page))
    }

    /// Whether the pages of `block`, whose first is in the window, are what that says; `None` if some of those that
    /// must be looked at lie outside it, and those in it are (see [`PageScanner::confirms`]).
    pub fn confirm(&self, block: Block) -> Option<bool> {
        let head = self.address((block.first.0 - self.window.start.0) as usize);
        let is_near = |pfn: &Pfn| pfn.0 / PAGES_PER_WINDOW == block.first.0 / PAGES_PER_WINDOW;
        let mut near = block.looked_at(self.rules).take_while(is_near);
        let fit = near.all(|pfn| self.page(pfn).is_some_and(|page| self.rules.fits_typed::<W>(page, head, block)));
        let all_near = block.looked_at(self.rules).last().is_none_or(|last| is_near(&last));
        (!fit || all_near).then_some(fit)
    }

    fn page(&self, pfn: Pfn) -> Option<&'a [u8]> {
        let (i, size) = (pfn.0.checked_sub(self.window.start.0)? as usize, self.rules.size);
        self.bytes.get(i * size..i * size + size).filter(|_| self.is_there(i))
    }

    #[inline]
    fn is_there(&self, i: usize) -> bool {
        self.there.is_none_or(|there| there.get(i).copied().unwrap_or(false))
    }

    #[inline]
    fn address(&self, i: usize) -> u64 {
        W::WORDS.wrap(self.first.0.wrapping_add((i * self.rules.size) as u64))
    }
}

/// Struct pages are read this many at a time: 32 KiB of 64-byte ones. A power of two, so that a compound page's head
/// and its first tail always fall into one window.
const PAGES_PER_WINDOW: u64 = 512;

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
    first: VirtAddr,
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
        let Window { rules, pages, first, bytes, there } = *self;
        StructPages { rules, window: pages, first, bytes, there, layout: PhantomData }
    }
}

/// Reads struct pages, window after window; one for each worker.
pub struct PageScanner<'a> {
    rules: &'a PageRules,
    map: &'a MemMap,
    memory: KernelMemory<'a>,
    /// A struct page outside the window.
    page: Vec<u8>,
}

impl<'a> PageScanner<'a> {
    /// Struct pages are read this many at a time.
    pub const PAGES_PER_WINDOW: u64 = PAGES_PER_WINDOW;

    /// A scanner of the struct pages that `map` finds in `memory`.
    pub fn new(rules: &'a PageRules, map: &'a MemMap, memory: KernelMemory<'a>) -> PageScanner<'a> {
        PageScanner { rules, map, memory, page: Vec::new() }
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
        let first = self.map.struct_page(window.start);
        let shown = first.is_some_and(|first| {
            let mut see = |bytes: &[u8]| Window { rules, pages: window, first, bytes, there: None }.show(visitor);
            self.memory.show(first, len, &mut see).is_ok()
        });
        if !shown {
            let (bytes, there) = self.read_one_by_one(window);
            let first = first.unwrap_or(VirtAddr(0));
            Window { rules, pages: window, first, bytes: &bytes, there: Some(&there) }.show(visitor);
        }
    }

    /// Whether the pages of `block` are what its first page says, as far as they lie outside the window of `first`.
    pub fn confirms(&mut self, block: Block) -> bool {
        let window = block.first.0 / Self::PAGES_PER_WINDOW;
        self.fit(block, block.looked_at(self.rules).filter(|pfn| pfn.0 / Self::PAGES_PER_WINDOW != window))
    }

    /// Whether `block`, which a list says is free, is: nobody holds its first page, and no other block is in it.
    pub fn is_free(&mut self, block: Block) -> bool {
        self.fit(block, std::iter::once(block.first).chain(block.looked_at(self.rules)))
    }

    fn fit(&mut self, block: Block, mut pages: impl Iterator<Item = Pfn>) -> bool {
        let Some(head) = self.map.struct_page(block.first) else { return false };
        let mut page = std::mem::take(&mut self.page);
        page.resize(self.rules.size, 0);
        let fit = pages.all(|pfn| {
            let at = self.map.struct_page(pfn);
            at.is_some_and(|at| self.memory.read(at, &mut page).is_ok()) && self.rules.fits(&page, head, block)
        });
        self.page = page;
        fit
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
    use dump_core::{Error, PageSize, PhysAddr, Result};
    use std::ops::Range;

    /// Struct pages from 0 on, of which some bytes cannot be read, and a node with them.
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
            match at.0 {
                POINTER => buf.copy_from_slice(&BASE.to_le_bytes()),
                SPANNED => buf.copy_from_slice(&1000u64.to_le_bytes()),
                _ => {}
            }
            Ok(())
        }
    }

    /// Where physical address 0 is mapped, and where a pointer there is, and how many struct pages there are.
    const BASE: u64 = 0xffff_8000_0000_0000;
    const POINTER: u64 = 0x10_0000;
    const SPANNED: u64 = POINTER + 16;

    /// Virtual is physical but for the base.
    struct Flat;

    impl Translate for Flat {
        fn translate(&self, _: &mut dyn PhysReader, _: &mut TableCache, at: VirtAddr) -> Result<Mapping> {
            Ok(Mapping { virt: at, phys: PhysAddr(at.0 - BASE), bytes: 0x1000 - at.0 % 0x1000 })
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
            SYMBOL(contig_page_data)=ffff800000100000\nOFFSET(pglist_data.node_mem_map)=0\n\
            OFFSET(pglist_data.node_start_pfn)=8\nOFFSET(pglist_data.node_spanned_pages)=16\n";
        let info = Vmcoreinfo::parse(keys);
        let words = Le64::WORDS;
        let rules = PageRules::new(&info, words).unwrap();
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
