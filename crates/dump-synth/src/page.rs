//! The struct pages of one block, as the kernels of each era would fill them.

use crate::bytes::{Endian, cut};
use crate::facts::{COMPOUND_DTOR, Compound, Facts, HUGETLB_DTOR, TRANSHUGE_DTOR, Tail};
use crate::recipe::{Kind, Line};

/// `TAIL_MAPPING`: what a tail page has in `mapping`, bit 0 clear.
const TAIL_MAPPING: u64 = 0xdead_0000_0000_0400;

/// Page order no free list has.
const BAD_ORDER: u64 = 60;

/// Addresses that struct pages point to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pointers {
    /// `free_huge_page`, the destructor of hugetlb pages.
    pub(crate) hugetlb_dtor: u64,
    /// `free_compound_page`.
    pub(crate) compound_dtor: u64,
    /// Any aligned kernel address: stands for address spaces, anon_vmas, slab caches.
    pub(crate) object: u64,
    /// Tails hold a mask in `compound_info`: the kernel has vmemmap.
    pub(crate) masks: bool,
}

/// One struct page in the making.
#[derive(Clone, Debug)]
pub(crate) struct StructPage {
    pub(crate) bytes: Vec<u8>,
    flags: u64,
    word: usize,
    endian: Endian,
}

impl StructPage {
    /// A struct page of zeros.
    fn new(facts: &Facts, endian: Endian) -> Self {
        StructPage { bytes: vec![0; facts.page_struct as usize], flags: 0, word: facts.word as usize, endian }
    }

    fn put(&mut self, offset: u64, value: u64, size: usize) {
        let start = offset as usize;
        self.bytes[start..start + size].copy_from_slice(&cut(value, size, self.endian));
    }

    /// A word, of which a machine of 32 bits keeps the low half.
    fn put_word(&mut self, offset: u64, value: u64) {
        self.put(offset, value, self.word);
    }

    fn add_flags(&mut self, flags: u64) {
        self.flags |= flags;
        self.put_word(0, self.flags);
    }
}

/// Writes struct pages of one era.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageWriter {
    pub(crate) facts: Facts,
    pub(crate) pointers: Pointers,
    pub(crate) endian: Endian,
}

impl PageWriter {
    /// A page in nobody's hands: one reference, not mapped.
    pub(crate) fn plain(&self, virt: u64) -> StructPage {
        let layout = self.facts.page;
        let mut page = StructPage::new(&self.facts, self.endian);
        page.put(layout.refcount, 1, 4);
        page.put(layout.mapcount, u64::MAX, 4);
        page.put_word(layout.lru, virt + layout.lru);
        page.put_word(layout.lru + self.facts.word, virt + layout.lru);
        page
    }

    /// The struct page over a hole: reserved, or such that a filter would drop it if it looked.
    pub(crate) fn hole(&self, virt: u64, garbage: bool) -> StructPage {
        let line = Line::new(if garbage { Kind::Anon } else { Kind::Reserved }, 0..1);
        self.head(virt, &line)
    }

    /// The struct pages of one block of `line`, whose first is at `virt`.
    pub(crate) fn block(&self, virt: u64, line: &Line) -> Vec<StructPage> {
        let size = 1u64 << line.order;
        let mut pages = vec![self.head(virt, line)];
        for index in 1..size {
            let at = virt + index * self.facts.page_struct;
            let compound = is_compound(line.kind);
            pages.push(if compound { self.tail(at, virt, index, line) } else { self.follower(at) });
        }
        pages
    }

    fn head(&self, virt: u64, line: &Line) -> StructPage {
        let layout = self.facts.page;
        let mut page = self.plain(virt);
        page.add_flags(self.head_flags(line));
        page.put(layout.refcount, references(line.kind), 4);
        page.put(layout.mapcount, i64::from(self.mapcount(line.kind)) as u64, 4);
        page.put_word(layout.mapping, self.mapping(line.kind));
        page.put_word(layout.private, self.private(line));
        page
    }

    fn head_flags(&self, line: &Line) -> u64 {
        let flags = self.facts.flags;
        let anon = bit(flags.lru) | bit(flags.uptodate) | bit(flags.swapbacked);
        let cache = bit(flags.lru) | bit(flags.uptodate);
        let own = match line.kind {
            Kind::Reserved => bit(flags.reserved),
            Kind::Slab => flags.slab.map_or(0, bit),
            // Before 4.10 PG_owner_priv_1 is a bit of its own, after PG_slab.
            Kind::OwnerPriv => bit(flags.waiters.map_or(8, |_| flags.swapcache)),
            Kind::Anon | Kind::Ksm => anon,
            Kind::AnonWithWaiters => anon | bit(flags.waiters.expect("PG_waiters exists since 4.10")),
            Kind::Hugetlb => bit(flags.uptodate),
            Kind::Cache => cache,
            Kind::CachePrivate => cache | bit(flags.private),
            Kind::SwapCache => bit(flags.swapcache) | bit(flags.swapbacked) | bit(flags.uptodate),
            Kind::Hwpoison => bit(flags.hwpoison),
            Kind::Kernel | Kind::PageTable | Kind::Movable => 0,
            Kind::Free | Kind::FreeBadOrder | Kind::Unaccepted | Kind::Offline => 0,
        };
        let head = if is_compound(line.kind) && line.order > 0 { bit(flags.head) } else { 0 };
        let poison = if line.poisoned { bit(flags.hwpoison) } else { 0 };
        own | head | poison
    }

    fn mapcount(&self, kind: Kind) -> i32 {
        let types = self.facts.types;
        match kind {
            Kind::Anon | Kind::AnonWithWaiters | Kind::Ksm => 0,
            Kind::Free | Kind::FreeBadOrder => types.buddy,
            Kind::PageTable => types.table.unwrap_or(-1),
            Kind::Offline => types.offline.unwrap_or(-1),
            Kind::Hugetlb => types.hugetlb.unwrap_or(-1),
            Kind::Unaccepted => types.unaccepted.unwrap_or(-1),
            // Until 4.17 a slab's counters (21 objects, all in use) stand here.
            Kind::Slab => types.slab.unwrap_or(if types.table.is_some() { -1 } else { 0x15_0015 }),
            _ => -1,
        }
    }

    fn mapping(&self, kind: Kind) -> u64 {
        let object = self.pointers.object;
        match kind {
            Kind::Anon | Kind::AnonWithWaiters | Kind::Slab => object | 1,
            Kind::Movable => object | 2,
            Kind::Ksm => object | 3,
            Kind::Cache | Kind::CachePrivate | Kind::Hugetlb | Kind::OwnerPriv => object,
            _ => 0,
        }
    }

    fn private(&self, line: &Line) -> u64 {
        match line.kind {
            Kind::Free => line.order.into(),
            Kind::FreeBadOrder => BAD_ORDER,
            Kind::CachePrivate => self.pointers.object + 0x100,
            Kind::SwapCache => 0x0400_0000_0000_0123, // a swap entry
            _ => 0,
        }
    }

    /// A page of a buddy or unaccepted block that is not its first.
    fn follower(&self, virt: u64) -> StructPage {
        let mut page = self.plain(virt);
        page.put(self.facts.page.refcount, 0, 4);
        page
    }

    fn tail(&self, virt: u64, head: u64, index: u64, line: &Line) -> StructPage {
        let layout = self.facts.page;
        let mut page = self.follower(virt);
        let is_marked = !matches!(self.facts.tail, Tail::FirstPage(_));
        assert!(is_marked || !line.tail_garbage, "garbage in tails needs tails that say so (4.4)");
        if is_marked {
            page.put_word(layout.mapping, TAIL_MAPPING);
        }
        if line.tail_garbage {
            self.soil(&mut page, index);
        }
        self.name_head(&mut page, head, line.order);
        if index == 1 {
            self.describe(&mut page, line);
        }
        page
    }

    /// Makes a tail look like page cache or, every other one, anonymous.
    fn soil(&self, page: &mut StructPage, index: u64) {
        let flags = self.facts.flags;
        // The low byte of the first tail's flags is the order since 6.6, so nothing is put there.
        let low = if index == 1 { 0 } else { bit(flags.lru) | bit(flags.uptodate) };
        page.add_flags(low | bit(flags.swapbacked));
        if index % 2 == 0 {
            page.put_word(self.facts.page.mapping, self.pointers.object | 1);
        }
    }

    fn name_head(&self, page: &mut StructPage, head: u64, order: u32) {
        match self.facts.tail {
            Tail::FirstPage(offset) => {
                page.add_flags(self.facts.flags.tail.map_or(0, bit));
                page.put_word(offset, head);
            }
            Tail::Info(offset) if self.pointers.masks => {
                let mask = u64::MAX << (order + self.facts.page_struct.ilog2());
                page.put_word(offset, mask | 1);
            }
            Tail::Head(offset) | Tail::Info(offset) => page.put_word(offset, head | 1),
        }
    }

    /// Writes order and destructor into the first tail.
    fn describe(&self, page: &mut StructPage, line: &Line) {
        let layout = self.facts.page;
        let order = u64::from(line.order);
        let is_hugetlb = line.kind == Kind::Hugetlb;
        match self.facts.compound {
            Compound::ListPointers => {
                let dtor = if is_hugetlb { self.pointers.hugetlb_dtor } else { self.pointers.compound_dtor };
                page.put_word(layout.lru, dtor);
                page.put_word(layout.lru + self.facts.word, order);
            }
            Compound::Numbers { dtor, order: at, size } => {
                page.put(dtor, dtor_id(line.kind), size);
                page.put(at, order, size);
            }
            Compound::FlagsByte { hugetlb } => {
                let mark = if is_hugetlb { hugetlb.map_or(0, bit) } else { 0 };
                page.add_flags(order | mark);
            }
        }
    }
}

fn dtor_id(kind: Kind) -> u64 {
    match kind {
        Kind::Hugetlb => HUGETLB_DTOR,
        Kind::Anon | Kind::AnonWithWaiters | Kind::Cache => TRANSHUGE_DTOR,
        _ => COMPOUND_DTOR,
    }
}

fn references(kind: Kind) -> u64 {
    match kind {
        Kind::Free | Kind::FreeBadOrder | Kind::Unaccepted => 0,
        Kind::Cache => 2,
        Kind::CachePrivate => 3,
        _ => 1,
    }
}

/// Whether a block of several pages is a compound page: buddy and unaccepted blocks are not.
pub(crate) fn is_compound(kind: Kind) -> bool {
    !matches!(kind, Kind::Free | Kind::FreeBadOrder | Kind::Unaccepted)
}

fn bit(number: u32) -> u64 {
    1 << number
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Width;
    use crate::era::Era;

    const VIRT: u64 = 0xffff_ea00_0000_8000;

    fn writer(era: Era) -> PageWriter {
        let object = 0xffff_8880_0012_3400;
        PageWriter {
            facts: Facts::of(era, Width::W64),
            endian: Endian::Little,
            pointers: Pointers { hugetlb_dtor: 0xd1, compound_dtor: 0xd2, object, masks: true },
        }
    }

    fn block(era: Era, kind: Kind, order: u32) -> Vec<StructPage> {
        writer(era).block(VIRT, &Line::new(kind, 0..1 << order).order(order))
    }

    fn word(page: &StructPage, at: usize) -> u64 {
        u64::from_le_bytes(page.bytes[at..at + 8].try_into().unwrap())
    }

    fn half(page: &StructPage, at: usize) -> u32 {
        u32::from_le_bytes(page.bytes[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn hugetlb_of_3_10() {
        let pages = block(Era::V3_10, Kind::Hugetlb, 9);
        assert_eq!(pages.len(), 512);
        assert_eq!(word(&pages[0], 0), 1 << 14 | 1 << 3);
        assert_eq!((word(&pages[1], 32), word(&pages[1], 40)), (0xd1, 9)); // lru.next, lru.prev
        assert_eq!((word(&pages[5], 0), word(&pages[5], 48)), (1 << 15, VIRT)); // PG_tail, first_page
    }

    #[test]
    fn transparent_huge_page_of_4_4_and_4_7() {
        let old = block(Era::V4_4, Kind::Anon, 9);
        assert_eq!(old[1].bytes[40..44], [3, 0, 9, 0]);
        assert_eq!(word(&old[2], 32), VIRT | 1);
        let new = block(Era::V4_7, Kind::Anon, 9);
        assert_eq!(new[1].bytes[40..48], [3, 0, 0, 0, 9, 0, 0, 0]);
    }

    #[test]
    fn buddy_pages() {
        let old = block(Era::V3_10, Kind::Free, 3);
        assert_eq!((half(&old[0], 24), word(&old[0], 48)), (0xffff_ff80, 3));
        let typed = block(Era::V4_18, Kind::Free, 3);
        assert_eq!((half(&typed[0], 48), word(&typed[0], 40)), (0xffff_ff7f, 3));
        assert_eq!(half(&block(Era::V6_11, Kind::Free, 0)[0], 48), 0xbfff_ffff);
        assert_eq!(half(&block(Era::V6_12, Kind::Free, 0)[0], 48), 0xf000_0000);
        assert_eq!(half(&typed[1], 48), 0xffff_ffff);
    }

    #[test]
    fn hugetlb_of_the_folio_kernels() {
        let dtor = block(Era::V6_3, Kind::Hugetlb, 9);
        assert_eq!(dtor[1].bytes[16..18], [2, 9]); // folio offsets 80 and 81
        let flag = block(Era::V6_6, Kind::Hugetlb, 9);
        assert_eq!(word(&flag[1], 0), 0x109);
        let kind = block(Era::V6_9, Kind::Hugetlb, 9);
        assert_eq!((word(&kind[1], 0), half(&kind[0], 48)), (9, 0xffff_f7ff));
    }

    #[test]
    fn slab_looks_anonymous() {
        let flagged = block(Era::V6_9, Kind::Slab, 0);
        assert_eq!((word(&flagged[0], 0), word(&flagged[0], 24) & 1), (1 << 11, 1));
        let typed = block(Era::V6_10, Kind::Slab, 0);
        assert_eq!((word(&typed[0], 0), half(&typed[0], 48)), (0, 0xffff_efff));
    }

    #[test]
    fn tails_of_7_1() {
        let masked = block(Era::V7_1, Kind::Anon, 9);
        assert_eq!(word(&masked[3], 8), 0xffff_ffff_ffff_8001);
        let mut flat = writer(Era::V7_1);
        flat.pointers.masks = false;
        let pages = flat.block(VIRT, &Line::new(Kind::Anon, 0..4).order(2));
        assert_eq!(word(&pages[3], 8), VIRT | 1);
    }

    #[test]
    fn soiled_tails_keep_their_order() {
        let line = Line { tail_garbage: true, ..Line::new(Kind::Kernel, 0..8).order(3) };
        let pages = writer(Era::V6_12).block(VIRT, &line);
        assert_eq!(word(&pages[1], 0) & 0xff, 3);
        assert_ne!(word(&pages[2], 0) & 1 << 5, 0);
        assert_eq!((word(&pages[2], 24) & 1, word(&pages[2], 8) & 1), (1, 1));
    }

    #[test]
    fn words_of_four_bytes_big_endian() {
        let mut writer = writer(Era::V4_18);
        (writer.facts, writer.endian) = (Facts::of(Era::V4_18, Width::W32), Endian::Big);
        let pages = writer.block(0xc100_0000, &Line::new(Kind::Hugetlb, 0..4).order(2));
        assert_eq!(pages[1].bytes.len(), 32);
        assert_eq!(pages[0].bytes[..4], [0, 0, 0x80, 8]); // PG_head, PG_uptodate
        assert_eq!(pages[2].bytes[4..8], [0xc1, 0, 0, 1]); // compound_head
        assert_eq!(pages[1].bytes[8..10], [2, 2]); // destructor, order
    }
}
