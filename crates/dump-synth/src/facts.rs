//! What each kernel era looks like in memory: tables by first version, the newest row not younger than the era wins.
//!
//! Numbers are those of x86_64 (and of 32-bit kernels where words count) with the options distributions set
//! (SPARSEMEM_VMEMMAP, MEMORY_FAILURE, ARCH_USES_PG_UNCACHED until 6.12). Cross-checked with the VMCOREINFO of real
//! 6.1, 6.12 and 7.2 kernels; the rest is from the headers of the version named. Sizes of zone and pglist_data before
//! 6.1 are plausible, not copied: they vary with every configuration.

use crate::bytes::Width;
use crate::era::Era;

type Version = (u16, u16);

fn newest<T: Copy>(rows: &[(Version, T)], version: Version) -> T {
    let row = rows.iter().rev().find(|row| row.0 <= version);
    row.expect("every table begins with the oldest era").1
}

/// Offsets within struct page (bytes).
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageLayout {
    pub(crate) refcount: u64,
    pub(crate) mapping: u64,
    pub(crate) lru: u64,
    pub(crate) mapcount: u64,
    pub(crate) private: u64,
}

/// SIZE(page) of all eras with words of 8 and of 4 bytes (bytes).
const PAGE_STRUCT: u64 = 64;
const PAGE_STRUCT_32: u64 = 32;

const LAYOUTS: &[(Version, PageLayout)] = &[
    ((3, 8), PageLayout { refcount: 28, mapping: 8, lru: 32, mapcount: 24, private: 48 }),
    ((4, 18), PageLayout { refcount: 52, mapping: 24, lru: 8, mapcount: 48, private: 40 }),
];

/// The same with words of 4 bytes, counted out from the declarations in include/linux/mm_types.h.
const LAYOUTS_32: &[(Version, PageLayout)] = &[
    ((3, 8), PageLayout { refcount: 16, mapping: 4, lru: 20, mapcount: 12, private: 28 }),
    ((4, 18), PageLayout { refcount: 28, mapping: 12, lru: 4, mapcount: 24, private: 20 }),
];

/// Bit numbers in `page.flags`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags {
    pub(crate) uptodate: u32,
    pub(crate) lru: u32,
    pub(crate) reserved: u32,
    pub(crate) private: u32,
    pub(crate) head: u32,
    pub(crate) swapcache: u32,
    pub(crate) swapbacked: u32,
    pub(crate) hwpoison: u32,
    /// PG_slab, until 6.10 made it a page type.
    pub(crate) slab: Option<u32>,
    /// PG_tail, until 4.4.
    pub(crate) tail: Option<u32>,
    /// PG_waiters, since 4.10.
    pub(crate) waiters: Option<u32>,
}

#[rustfmt::skip]
const FLAGS: &[(Version, Flags)] = &[
    ((3, 8), Flags { uptodate: 3, lru: 5, reserved: 10, private: 11, head: 14, swapcache: 16, swapbacked: 19, hwpoison: 23,
                     slab: Some(7), tail: Some(15), waiters: None }),
    // PG_tail freed (1d798ca3f164).
    ((4, 4), Flags { uptodate: 3, lru: 5, reserved: 10, private: 11, head: 14, swapcache: 15, swapbacked: 18, hwpoison: 22,
                     slab: Some(7), tail: None, waiters: None }),
    // PG_waiters takes bit 7 (62906027091f); swapcache is owner_priv_1 (6326fec1122c).
    ((4, 10), Flags { uptodate: 3, lru: 5, reserved: 11, private: 12, head: 15, swapcache: 9, swapbacked: 18, hwpoison: 22,
                      slab: Some(8), tail: None, waiters: Some(7) }),
    // PG_workingset added, PG_error moved behind PG_waiters (1899ad18c607).
    ((4, 20), Flags { uptodate: 2, lru: 4, reserved: 12, private: 13, head: 16, swapcache: 10, swapbacked: 19, hwpoison: 23,
                      slab: Some(9), tail: None, waiters: Some(7) }),
    // PG_head and PG_writeback moved into the low byte, to make room for the order in folio._flags_1.
    ((6, 6), Flags { uptodate: 3, lru: 5, reserved: 14, private: 15, head: 6, swapcache: 12, swapbacked: 19, hwpoison: 23,
                     slab: Some(11), tail: None, waiters: Some(7) }),
    // PG_slab freed (46df8e73a4a3).
    ((6, 10), Flags { uptodate: 3, lru: 5, reserved: 13, private: 14, head: 6, swapcache: 11, swapbacked: 18, hwpoison: 22,
                      slab: None, tail: None, waiters: Some(7) }),
    // PG_error, PG_mappedtodisk and PG_uncached gone; as a real 6.12.107.
    ((6, 12), Flags { uptodate: 3, lru: 5, reserved: 13, private: 14, head: 6, swapcache: 10, swapbacked: 17, hwpoison: 20,
                      slab: None, tail: None, waiters: Some(7) }),
    // PG_dropbehind before PG_hwpoison; as a real 7.2.13.
    ((6, 14), Flags { uptodate: 3, lru: 5, reserved: 13, private: 14, head: 6, swapcache: 10, swapbacked: 17, hwpoison: 21,
                      slab: None, tail: None, waiters: Some(7) }),
];

/// Values of `_mapcount` (`page_type` since 4.18) that say what a page is; `None` where the kernel has no such value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Types {
    pub(crate) buddy: i32,
    pub(crate) table: Option<i32>,
    pub(crate) offline: Option<i32>,
    pub(crate) hugetlb: Option<i32>,
    pub(crate) slab: Option<i32>,
    pub(crate) unaccepted: Option<i32>,
}

#[rustfmt::skip]
const TYPES: &[(Version, Types)] = &[
    ((3, 8), Types { buddy: -128, table: None, offline: None, hugetlb: None, slab: None, unaccepted: None }),
    ((4, 18), Types { buddy: !0x80, table: Some(!0x400), offline: Some(!0x100), hugetlb: None, slab: None, unaccepted: None }),
    ((5, 11), Types { buddy: !0x80, table: Some(!0x200), offline: Some(!0x100), hugetlb: None, slab: None, unaccepted: None }),
    ((6, 9), Types { buddy: !0x80, table: Some(!0x200), offline: Some(!0x100), hugetlb: Some(!0x800), slab: None, unaccepted: None }),
    ((6, 10), Types { buddy: !0x80, table: Some(!0x200), offline: Some(!0x100), hugetlb: Some(!0x800), slab: Some(!0x1000),
                      unaccepted: None }),
    ((6, 11), Types { buddy: !0x4000_0000, table: Some(!0x1000_0000), offline: Some(!0x2000_0000), hugetlb: Some(!0x0400_0000),
                      slab: Some(!0x0200_0000), unaccepted: None }),
    ((6, 12), Types { buddy: 0xf0 << 24, table: Some(0xf2 << 24), offline: Some(0xf1 << 24), hugetlb: Some(0xf4 << 24),
                      slab: Some(0xf5 << 24), unaccepted: Some(0xf7 << 24) }),
];

/// Where a compound page has its order and whether it is hugetlb; offsets are from the start of the second struct page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compound {
    /// `lru.next` is the destructor's address, `lru.prev` the order.
    ListPointers,
    /// Two numbers of `size` bytes.
    Numbers { dtor: u64, order: u64, size: usize },
    /// Order in the low byte of the flags; hugetlb is this bit of them, or a page type of the head.
    FlagsByte { hugetlb: Option<u32> },
}

#[rustfmt::skip]
const COMPOUNDS: &[(Version, Compound)] = &[
    ((3, 8), Compound::ListPointers),
    ((4, 4), Compound::Numbers { dtor: 40, order: 42, size: 2 }),
    ((4, 5), Compound::Numbers { dtor: 40, order: 44, size: 4 }),
    ((4, 16), Compound::Numbers { dtor: 40, order: 41, size: 1 }),
    ((4, 18), Compound::Numbers { dtor: 16, order: 17, size: 1 }),
    ((6, 6), Compound::FlagsByte { hugetlb: Some(8) }),
    ((6, 9), Compound::FlagsByte { hugetlb: None }),
];

/// With words of 4 bytes; order and destructor stayed u16 in 4.5.
#[rustfmt::skip]
const COMPOUNDS_32: &[(Version, Compound)] = &[
    ((3, 8), Compound::ListPointers),
    ((4, 4), Compound::Numbers { dtor: 24, order: 26, size: 2 }),
    ((4, 16), Compound::Numbers { dtor: 24, order: 25, size: 1 }),
    ((4, 18), Compound::Numbers { dtor: 8, order: 9, size: 1 }),
    ((6, 6), Compound::FlagsByte { hugetlb: Some(8) }),
    ((6, 9), Compound::FlagsByte { hugetlb: None }),
];

/// `HUGETLB_PAGE_DTOR`, and the ids of other compound pages and of transparent huge pages (4.4 to 6.5).
pub(crate) const HUGETLB_DTOR: u64 = 2;
pub(crate) const COMPOUND_DTOR: u64 = 1;
pub(crate) const TRANSHUGE_DTOR: u64 = 3;

/// How a tail page names its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// PG_tail in the flags, the head's address in `first_page` at this offset.
    FirstPage(u64),
    /// Address of the head plus one at this offset.
    Head(u64),
    /// At this offset: mask from tail to head plus one in vmemmap kernels, else as `Head`.
    Info(u64),
}

const TAILS: &[(Version, Tail)] =
    &[((3, 8), Tail::FirstPage(48)), ((4, 4), Tail::Head(32)), ((4, 18), Tail::Head(8)), ((7, 1), Tail::Info(8))];

const TAILS_32: &[(Version, Tail)] =
    &[((3, 8), Tail::FirstPage(28)), ((4, 4), Tail::Head(20)), ((4, 18), Tail::Head(4)), ((7, 1), Tail::Info(4))];

/// Sizes and offsets of the zone structures (bytes).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ZoneLayout {
    pub(crate) pgdat: u64,
    pub(crate) nr_zones: u64,
    /// `node_start_pfn`; in FLATMEM kernels `node_mem_map` stands here and moves the others by 8.
    pub(crate) start_pfn: u64,
    pub(crate) zone: u64,
    pub(crate) free_area: u64,
    pub(crate) vm_stat: u64,
    pub(crate) spanned: u64,
    pub(crate) migrate_types: u64,
    pub(crate) nodemask: u64,
}

#[rustfmt::skip]
const ZONES: &[(Version, ZoneLayout)] = &[
    ((3, 8), ZoneLayout { pgdat: 8192, nr_zones: 7424, start_pfn: 7440, zone: 1792, free_area: 136, vm_stat: 1216, spanned: 1616,
                          migrate_types: 5, nodemask: 128 }),
    ((4, 4), ZoneLayout { pgdat: 8192, nr_zones: 7424, start_pfn: 7440, zone: 1792, free_area: 192, vm_stat: 1472, spanned: 112,
                          migrate_types: 6, nodemask: 128 }),
    ((6, 1), ZoneLayout { pgdat: 5184, nr_zones: 4288, start_pfn: 4296, zone: 1408, free_area: 192, vm_stat: 1280, spanned: 120,
                          migrate_types: 5, nodemask: 8 }),
    ((6, 12), ZoneLayout { pgdat: 174_464, nr_zones: 171_552, start_pfn: 171_560, zone: 1536, free_area: 256, vm_stat: 1344,
                           spanned: 160, migrate_types: 5, nodemask: 128 }),
    ((7, 2), ZoneLayout { pgdat: 176_256, nr_zones: 173_152, start_pfn: 173_160, zone: 1856, free_area: 256, vm_stat: 1536,
                          spanned: 160, migrate_types: 6, nodemask: 128 }),
];

/// LENGTH(zone.free_area) of all eras: orders 0 to 10.
pub(crate) const FREE_ORDERS: u64 = 11;

/// One era's numbers, gathered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// Bytes of a word.
    pub(crate) word: u64,
    /// SIZE(page).
    pub(crate) page_struct: u64,
    pub(crate) page: PageLayout,
    pub(crate) flags: Flags,
    pub(crate) types: Types,
    pub(crate) compound: Compound,
    pub(crate) tail: Tail,
    pub(crate) zone: ZoneLayout,
    /// SIZE(mem_section): four words with page_ext, two without.
    pub(crate) section_struct: u64,
    /// Low bits the kernel sets in `section_mem_map` of a present section.
    pub(crate) section_flags: u64,
}

impl Facts {
    pub(crate) fn of(era: Era, width: Width) -> Self {
        let version = era.version();
        let word = width.bytes() as u64;
        let (layouts, compounds, tails, page_struct) = match width {
            Width::W32 => (LAYOUTS_32, COMPOUNDS_32, TAILS_32, PAGE_STRUCT_32),
            Width::W64 => (LAYOUTS, COMPOUNDS, TAILS, PAGE_STRUCT),
        };
        Facts {
            word,
            page_struct,
            page: newest(layouts, version),
            flags: newest(FLAGS, version),
            types: newest(TYPES, version),
            compound: newest(compounds, version),
            tail: newest(tails, version),
            zone: newest(ZONES, version),
            section_struct: word * newest(&[((3, 8), 2), ((6, 12), 4), ((7, 1), 2)], version),
            // present | has mem_map; online since 4.13; early since 5.3.
            section_flags: newest(&[((3, 8), 0b11), ((4, 13), 0b111), ((5, 3), 0b1111)], version),
        }
    }

    /// Order of the blocks of unaccepted memory, the largest there is.
    pub(crate) fn max_order() -> u32 {
        FREE_ORDERS as u32 - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NUMBER() lines of the real dumps under shared/corpus.
    #[test]
    fn agrees_with_real_kernels() {
        let debian13 = Facts::of(Era::V6_12, Width::W64);
        assert_eq!((debian13.types.buddy, debian13.types.offline), (-268_435_456, Some(-251_658_240)));
        assert_eq!((debian13.types.slab, debian13.types.hugetlb), (Some(-184_549_376), Some(-201_326_592)));
        assert_eq!((debian13.flags.lru, debian13.flags.private, debian13.flags.swapcache), (5, 14, 10));
        assert_eq!((debian13.flags.swapbacked, debian13.flags.hwpoison, 1 << debian13.flags.head), (17, 20, 64));
        let debian14 = Facts::of(Era::V7_2, Width::W64);
        assert_eq!((debian14.types.unaccepted, debian14.flags.hwpoison), (Some(-150_994_944), 21));
        let tiny = Facts::of(Era::V6_1, Width::W64);
        assert_eq!((tiny.types.buddy, tiny.types.offline), (-129, Some(-257)));
        assert_eq!(
            (tiny.flags.lru, tiny.flags.private, tiny.flags.slab, 1 << tiny.flags.head),
            (4, 13, Some(9), 65536)
        );
    }

    /// makedumpfile guesses PG_swapbacked as PG_private + 6 for 4.10 to 4.17.
    #[test]
    fn swapbacked_stands_where_it_is_guessed() {
        let flags = Facts::of(Era::V4_14, Width::W64).flags;
        assert_eq!(flags.swapbacked, flags.private + 6);
        assert!(flags.swapcache < flags.private);
    }

    #[test]
    fn zone_members_do_not_overlap() {
        for era in Era::ALL {
            let zone = Facts::of(*era, Width::W64).zone;
            let lists = zone.free_area + FREE_ORDERS * (zone.migrate_types * 16 + 8);
            assert!(lists <= zone.vm_stat && zone.vm_stat + 8 <= zone.zone, "{era}");
            assert!(3 * zone.zone <= zone.nr_zones && zone.start_pfn >= zone.nr_zones + 4, "{era}");
            assert!(zone.spanned + 8 <= zone.free_area || zone.spanned >= zone.vm_stat + 8, "{era}");
        }
    }
}
