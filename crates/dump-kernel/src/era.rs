//! How each era of Linux marks its pages, as tables: one row an era, newest first, the first row that the dump's own
//! keys answer for wins. A kernel newer than the last row falls to the newest row whose keys it still has. Members that
//! are words are as wide as the machine's.
//!
//! | since | what changed | commit |
//! |---|---|---|
//! | 3.9  | vmcoreinfo exports the value of a buddy page's `_mapcount` | – |
//! | 4.4  | order and destructor of a compound page: integers in the first tail, not `lru` | f1e61557f023 |
//! | 4.5  | vmcoreinfo exports `compound_head`, whose bit 0 marks a tail | – |
//! | 4.10 | PG_swapcache shares a bit with PG_owner_priv_1: swap cache only with PG_swapbacked | 6326fec1122c |
//! | 4.16 | order and destructor are bytes | 036e7aa49fb2 |
//! | 4.18 | `page_type` in the place of `_mapcount` | 6e292b9be7f4 |
//! | 5.1  | offline pages (balloon, virtio-mem, Hyper-V) have a type | e04b742f74c2 |
//! | 6.3  | order and destructor named by `struct folio` | 1c5509be58f6 |
//! | 6.6  | order in the low byte of the first tail's flags, hugetlb a flag there | ebc1baf5c9b4, 9c5ccf2db04b |
//! | 6.9  | hugetlb a page type | d99e3140a4d3 |
//! | 6.10 | slab a page type; its flag bit goes to PG_waiters and others | 46df8e73a4a3 |
//! | 6.12 | the type is the top byte alone | 4ffca5a96678 |
//! | 6.16 | unaccepted memory has a type, exported by vmcoreinfo | – |
//! | 7.1  | `compound_head` becomes `compound_info`, bit 0 as before | d50569612c29 |

use crate::arch::Arch;
use crate::keys::{Keys, Shape, TYPES, UNACCEPTED_EXPORTED, flag_mask};
use crate::page::PageFacts;
use crate::symbols::KernelSymbols;
use crate::words::Words;
use dump_core::{Error, PageSize, Result, VirtAddr};

/// How a tail page of a compound page is known from its head and from small pages: bit 0 of a word of its struct page,
/// whose other bits lead to the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TailMark {
    /// The word is the address of the head's struct page plus one.
    Head {
        /// Offset of the word (bytes).
        offset: usize,
    },
    /// The same, or a mask that makes the address of the head's struct page from the tail's.
    HeadOrMask {
        /// Offset of the word (bytes).
        offset: usize,
    },
    /// Not at all, nor needed: before 4.4 what stands in a tail is nothing that a page that is left out has.
    None,
    /// Tails have a mark, but where is not known: any page may be one.
    Unknown,
}

/// A field of the first tail's struct page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Offset (bytes).
    pub offset: usize,
    /// Width (bytes): 1, 2, 4 or 8.
    pub width: usize,
}

/// How the order of a compound page is found, and whether it is a hugetlb page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompoundMark {
    /// The order is the low byte of the first tail's flags; hugetlb is a type of the head.
    FlagsByteAndType {
        /// The type of a hugetlb head.
        hugetlb: TypeMark,
    },
    /// The order is the low byte of the first tail's flags; hugetlb is a bit of them.
    FlagsByteAndFlag {
        /// The bit, as a mask.
        hugetlb: u64,
    },
    /// Both are fields of the first tail.
    Fields {
        /// The order.
        order: Field,
        /// The destructor, and the value that it has for hugetlb pages; `None` where that is not known.
        hugetlb: Option<(Field, u64)>,
    },
    /// Not known: every page of a compound page is looked at alone.
    Unknown,
}

/// A page type, as the 4 bytes at `_mapcount` have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeMark {
    mask: u32,
    value: u32,
}

impl TypeMark {
    /// From the number that vmcoreinfo gives, which may be printed as signed or not; `None` for one that pages without a
    /// type can have, which are those from -1 on.
    ///
    /// Since 6.12 a type is the top byte, 0xf0 to 0xfe, and the three below are the type's own to use (4ffca5a96678): a
    /// number whose low bytes are zero is such a type and only its top byte is compared. 0xff is no type, but that of
    /// pages that have none. Before, the whole is the type.
    pub fn new(number: i64) -> Option<TypeMark> {
        let value = i32::try_from(number).map(|n| n as u32).or_else(|_| u32::try_from(number)).ok()?;
        let top_byte_alone = value & 0x00ff_ffff == 0 && value >= TypeMark::FIRST_TOP_BYTE;
        let mark = TypeMark { mask: if top_byte_alone { 0xff00_0000 } else { u32::MAX }, value };
        ((value as i32) < -1 && !mark.matches(u32::MAX)).then_some(mark)
    }

    /// The lowest type since 6.12, that of free pages.
    const FIRST_TOP_BYTE: u32 = 0xf000_0000;

    /// Unaccepted memory's since 6.14, the eighth of the enumeration (Linux include/linux/page-flags.h).
    const UNACCEPTED: TypeMark = TypeMark { mask: 0xff00_0000, value: 0xf700_0000 };

    /// The type that no page has.
    const NEVER: TypeMark = TypeMark { mask: 0, value: 1 };

    pub(crate) fn is_top_byte(self) -> bool {
        self.mask == 0xff00_0000
    }

    /// Whether a page whose `_mapcount` is this has the type.
    #[inline]
    pub fn matches(self, mapcount: u32) -> bool {
        mapcount & self.mask == self.value
    }
}

/// How a slab page is known: its `mapping` is no mapping (since 6.2 `struct slab` lies over it, 130d4df57390).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlabMark {
    Type(TypeMark),
    Flag(u64),
}

/// How a free page of the buddy allocator is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuddyMark {
    /// By its type; its order is in `private`.
    Type(TypeMark),
    /// Only by the allocator's lists.
    Lists,
}

/// Pages that cannot be identified in this dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The facts that pages of this class have and that are not seen: a filter cannot leave such pages out.
    pub facts: PageFacts,
    /// The class, in the plural: "page cache pages".
    pub class: &'static str,
    /// The key that vmcoreinfo lacks, or each of which one is enough.
    pub key: &'static str,
}

/// How the dumped kernel marks its pages. Offsets are bytes into a struct page; flags are masks, 0 where the kernel has
/// none; types are `TypeMark::NEVER` where it has none, and offsets that belong to such marks 0.
#[derive(Clone, Debug)]
pub struct PageRules {
    pub(crate) words: Words,
    pub(crate) size: usize,
    pub(crate) flags: usize,
    pub(crate) mapping: usize,
    /// Upper bits that all pointers of the kernel have; 0 where none is known.
    pub(crate) pointer_bits: u64,
    pub(crate) mapcount: usize,
    pub(crate) private: usize,
    pub(crate) refcount: Option<usize>,
    /// Orders that hugetlb pages can have, a bit each.
    pub(crate) hugetlb_orders: u64,
    pub(crate) tail_at: usize,
    pub(crate) tail_bit: u64,
    pub(crate) head: u64,
    pub(crate) lru: u64,
    pub(crate) has_private: u64,
    pub(crate) swapcache: u64,
    pub(crate) swapbacked: u64,
    pub(crate) hwpoison: u64,
    pub(crate) slab_type: TypeMark,
    pub(crate) slab_flag: u64,
    /// Whether a mapping that looks anonymous is one: slab pages and tails can be identified, whose is none.
    pub(crate) anon_known: bool,
    pub(crate) buddy_type: TypeMark,
    pub(crate) hugetlb_type: TypeMark,
    pub(crate) offline: TypeMark,
    pub(crate) unaccepted: TypeMark,
    /// What unaccepted memory has in all likelihood, where vmcoreinfo does not say.
    pub(crate) maybe_unaccepted: TypeMark,
    /// `_mapcount` below this is a type.
    pub(crate) typed_below: i32,
    /// Orders of free blocks.
    pub(crate) orders: u64,
    /// Order of unaccepted blocks; 0 where it is not known.
    pub(crate) unaccepted_order: u8,
    tail: TailMark,
    compound: CompoundMark,
    buddy: BuddyMark,
    unknown: Vec<Unknown>,
}

/// No struct page is larger: 56 to 64 bytes, some debug options make it 96 or more.
const MAX_STRUCT_PAGE: u64 = 1024;

/// Orders of free blocks that no kernel exceeds, for those that do not say how many they have.
pub(crate) const MAX_ORDERS: u64 = 32;

/// The upper bits that all pointers of the kernel have: the highest of all, and those below it without which the last
/// address would be none of the kernel's, as far as its text has them too.
fn pointer_bits(info: &dyn KernelSymbols, words: Words, arch: &dyn Arch) -> u64 {
    let (last, top) = (words.wrap(u64::MAX), 8 * words.bytes() - 1);
    let text = info.symbol("_stext").map_or(0, |at| at.0);
    let is_needed = |bit: &u64| !arch.is_kernel(VirtAddr(last ^ bit));
    let told = arch.is_kernel(VirtAddr(last)) && !arch.is_kernel(VirtAddr(last >> 1));
    let bits = (0..=top).rev().map(|bit| 1u64 << bit);
    let below = bits.clone().skip(1).take_while(|bit| is_needed(bit) && text & bit != 0);
    if told { bits.take(1).chain(below).fold(0, |all, bit| all | bit) } else { 0 }
}

impl PageRules {
    /// Chooses each rule by the keys that `info` has, for a kernel whose words are `words`.
    ///
    /// # Errors
    /// `MissingInfo` if it lacks even the size of a struct page, or the place of its flags and mapping; `Corrupt` if
    /// what it says of them cannot all be so.
    pub fn new(info: &dyn KernelSymbols, words: Words) -> Result<PageRules> {
        let is_size = |n: &u64| (8..=MAX_STRUCT_PAGE).contains(n) && n % words.bytes() as u64 == 0;
        let size = info.size_of("page").filter(is_size);
        let size = size.ok_or_else(|| Error::missing("vmcoreinfo lacks a usable SIZE(page)"))? as usize;
        let page = Shape { size, word: words.bytes() };
        let keys = Keys { info, page };
        keys.check()?;
        let needed = |name: &str| {
            let lacking = || Error::missing(format!("vmcoreinfo lacks a usable OFFSET({name})"));
            keys.member(name, page.word).ok_or_else(lacking)
        };
        let (flags, mapping) = (needed("page.flags")?, needed("page.mapping")?);
        let (mapcount, private) = (keys.mapcount(), keys.member("page.private", page.word));
        let buddy = match (keys.page_type("PAGE_BUDDY_MAPCOUNT_VALUE"), private) {
            (Some(mark), Some(_)) => BuddyMark::Type(mark),
            _ => BuddyMark::Lists,
        };
        let slab = keys.slab();
        let tail = keys.tail();
        let tails_known = tail != TailMark::Unknown;
        let (tail_at, tail_bit) = match tail {
            TailMark::Head { offset } | TailMark::HeadOrMask { offset } => (offset, 1),
            TailMark::None | TailMark::Unknown => (0, 0),
        };
        let compound = COMPOUND_MARKS.iter().find_map(|rule| rule(info, page)).unwrap_or(CompoundMark::Unknown);
        let hugetlb_type = match compound {
            CompoundMark::FlagsByteAndType { hugetlb } => hugetlb,
            _ => TypeMark::NEVER,
        };
        let (swapcache, swapbacked) = keys.swap().filter(|_| tails_known).unwrap_or_default();
        let orders = keys.orders();
        let type_or_never = |name: &str| keys.page_type(name).unwrap_or(TypeMark::NEVER);
        let unaccepted = type_or_never("PAGE_UNACCEPTED_MAPCOUNT_VALUE");
        let top_bytes = TYPES.iter().any(|name| keys.page_type(name).is_some_and(TypeMark::is_top_byte));
        let guess = top_bytes && unaccepted == TypeMark::NEVER && keys.may_be_since(UNACCEPTED_EXPORTED);
        Ok(PageRules {
            words,
            size,
            flags,
            mapping,
            pointer_bits: 0,
            mapcount: mapcount.unwrap_or(0),
            private: private.unwrap_or(0),
            refcount: keys.member("page._refcount", 4).or_else(|| keys.member("page._count", 4)),
            hugetlb_orders: u64::MAX,
            tail_at,
            tail_bit,
            head: keys.head_mask(),
            lru: if tails_known { keys.flag("PG_lru") } else { 0 },
            has_private: keys.flag_mask("PG_private").unwrap_or(ALL_PRIVATE),
            swapcache,
            swapbacked,
            hwpoison: keys.flag("PG_hwpoison"),
            slab_type: if let Some(SlabMark::Type(mark)) = slab { mark } else { TypeMark::NEVER },
            slab_flag: if let Some(SlabMark::Flag(mask)) = slab { mask } else { 0 },
            anon_known: slab.is_some() && tails_known,
            buddy_type: if let BuddyMark::Type(mark) = buddy { mark } else { TypeMark::NEVER },
            hugetlb_type,
            offline: keys.offline().unwrap_or(TypeMark::NEVER),
            unaccepted,
            maybe_unaccepted: if guess { TypeMark::UNACCEPTED } else { TypeMark::NEVER },
            typed_below: if mapcount.is_some() { -1 } else { i32::MIN },
            orders: orders.unwrap_or(MAX_ORDERS),
            unaccepted_order: orders.map_or(0, |orders| orders as u8 - 1),
            tail,
            compound,
            buddy,
            unknown: keys.unknown(tail, compound),
        })
    }

    /// The same for an architecture: where its addresses tell the kernel's from others', a mapping must be one of the
    /// kernel's; hugetlb pages have the orders that its page tables can map.
    ///
    /// # Errors
    /// As [`new`](PageRules::new).
    pub fn for_arch(info: &dyn KernelSymbols, words: Words, arch: &dyn Arch, page_size: PageSize) -> Result<PageRules> {
        let hugetlb_orders = arch.hugetlb_orders(page_size).iter().fold(0, |all, order| all | 1 << order);
        let hugetlb_orders = if hugetlb_orders == 0 { u64::MAX } else { hugetlb_orders };
        let pointer_bits = pointer_bits(info, words, arch);
        Ok(PageRules { pointer_bits, hugetlb_orders, ..PageRules::new(info, words)? })
    }

    /// The kernel's words.
    pub fn words(&self) -> Words {
        self.words
    }

    /// Bytes of a struct page.
    pub fn struct_page_size(&self) -> usize {
        self.size
    }

    /// How free pages are known.
    pub fn buddy(&self) -> BuddyMark {
        self.buddy
    }

    /// How tails are known.
    pub fn tail(&self) -> TailMark {
        self.tail
    }

    /// How compound pages are known.
    pub fn compound(&self) -> CompoundMark {
        self.compound
    }

    /// Whether a scan can find pages that are always left out, whatever the level, or that should be.
    pub fn finds_always_excluded(&self) -> bool {
        self.hwpoison != 0
            || [self.offline, self.unaccepted, self.maybe_unaccepted].iter().any(|mark| *mark != TypeMark::NEVER)
    }

    /// Whether all that there is to know of pages is known.
    pub(crate) fn is_complete(&self) -> bool {
        self.unknown.is_empty() && self.refcount.is_some() && self.buddy != BuddyMark::Lists
    }

    /// Pages that cannot be identified because vmcoreinfo lacks a key.
    pub fn unknown(&self) -> &[Unknown] {
        &self.unknown
    }
}

/// Every flag: where PG_private is not known, any page of the page cache (which has at least PG_lru) counts as one with
/// private data, so that none with such data is taken for one without.
const ALL_PRIVATE: u64 = u64::MAX;

/// A row: the mark, where the dump's keys say that its kernel has it.
type Row<T> = fn(&dyn KernelSymbols, Shape) -> Option<T>;

const COMPOUND_MARKS: &[Row<CompoundMark>] = &[
    // 6.9 (d99e3140a4d3), also in kernels that took it back
    |info, page| {
        page.field(info.offset_of("page._mapcount")?, 4)?;
        let hugetlb = TypeMark::new(info.number("PAGE_HUGETLB_MAPCOUNT_VALUE")?)?;
        Some(CompoundMark::FlagsByteAndType { hugetlb })
    },
    // 6.6 (ebc1baf5c9b4, 9c5ccf2db04b, de53c05f2ae3)
    |info, _| Some(CompoundMark::FlagsByteAndFlag { hugetlb: flag_mask(info.number("PG_hugetlb")?)? }),
    // 6.3 (1c5509be58f6): offsets into struct folio, whose second page is the first tail
    |info, page| {
        let tail = |name| info.offset_of(name)?.checked_sub(page.size as u64);
        fields(info, tail("folio._folio_order")?, tail("folio._folio_dtor"), Some(1), page)
    },
    // 4.4 (f1e61557f023): 16 or 32 bits; bytes since 4.16 (036e7aa49fb2). The two stand side by side: their distance is
    // their width.
    |info, page| {
        let (order, dtor) = (info.offset_of("page.compound_order")?, info.offset_of("page.compound_dtor"));
        let width = dtor.and_then(|dtor| usize::try_from(order.checked_sub(dtor)?).ok());
        fields(info, order, dtor, width.filter(|width| [1, 2, 4, 8].contains(width)), page)
    },
    // up to 4.3: lru.prev and lru.next of the first tail. No key is different in a 4.4 whose vmcoreinfo lacks
    // compound_order, and there lru.prev is something else: the release decides.
    |info, page| {
        info.version().filter(|version| *version < (4, 4))?;
        let lru = info.offset_of("page.lru")?;
        let next = lru.checked_add(info.offset_of("list_head.next").unwrap_or(0))?;
        let prev = lru.checked_add(info.offset_of("list_head.prev").unwrap_or(page.word as u64))?;
        let hugetlb = info.symbol("free_huge_page").and_then(|addr| Some((page.word(next)?, addr.0)));
        Some(CompoundMark::Fields { order: page.word(prev)?, hugetlb })
    },
];

/// Order and destructor as integers of `width` bytes; a byte where the width is not known.
fn fields(
    info: &dyn KernelSymbols,
    order: u64,
    dtor: Option<u64>,
    width: Option<usize>,
    page: Shape,
) -> Option<CompoundMark> {
    let width = width.unwrap_or(1);
    let dtor = dtor.and_then(|offset| page.field(offset, width));
    let hugetlb = dtor.zip(info.number("HUGETLB_PAGE_DTOR").map(|id| id as u64));
    Some(CompoundMark::Fields { order: page.field(order, width)?, hugetlb })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmcoreinfo::Vmcoreinfo;
    use crate::words::{Le32, Le64, WordLayout};

    fn rules(keys: &str) -> PageRules {
        let text = format!(
            "OSRELEASE=4.0.0\nSIZE(page)=64\nOFFSET(page.flags)=0\nOFFSET(page.mapping)=24\nOFFSET(page.lru)=8\n\
             OFFSET(page._mapcount)=48\nOFFSET(page.private)=40\nOFFSET(list_head.prev)=8\nOFFSET(list_head.next)=0\n\
             NUMBER(PG_head_mask)=32768\n{keys}"
        );
        PageRules::new(&Vmcoreinfo::parse(text.as_bytes()), Le64::WORDS).unwrap()
    }

    #[test]
    fn compound_marks_by_era() {
        let byte = |offset| Field { offset, width: 1 };
        let word = |offset| Field { offset, width: 8 };
        let u32_at = |offset| Field { offset, width: 4 };
        let cases = [
            ("", CompoundMark::Fields { order: word(16), hugetlb: None }),
            (
                "SYMBOL(free_huge_page)=ffffffff81123450\n",
                CompoundMark::Fields { order: word(16), hugetlb: Some((word(8), 0xffff_ffff_8112_3450)) },
            ),
            (
                "OFFSET(page.compound_order)=20\nOFFSET(page.compound_dtor)=16\nNUMBER(HUGETLB_PAGE_DTOR)=2\n",
                CompoundMark::Fields { order: u32_at(20), hugetlb: Some((u32_at(16), 2)) },
            ),
            (
                "OFFSET(page.compound_order)=17\nOFFSET(page.compound_dtor)=16\nNUMBER(HUGETLB_PAGE_DTOR)=2\n",
                CompoundMark::Fields { order: byte(17), hugetlb: Some((byte(16), 2)) },
            ),
            (
                "OFFSET(folio._folio_order)=81\nOFFSET(folio._folio_dtor)=80\nNUMBER(HUGETLB_PAGE_DTOR)=2\n",
                CompoundMark::Fields { order: byte(17), hugetlb: Some((byte(16), 2)) },
            ),
            ("NUMBER(PG_hugetlb)=8\n", CompoundMark::FlagsByteAndFlag { hugetlb: 256 }),
            (
                "NUMBER(PG_hugetlb)=8\nNUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=-2049\n",
                CompoundMark::FlagsByteAndType { hugetlb: TypeMark { mask: u32::MAX, value: 0xffff_f7ff } },
            ),
        ];
        for (keys, want) in cases {
            assert_eq!(rules(keys).compound(), want, "{keys}");
        }
    }

    #[test]
    fn types_compare_their_top_byte_since_6_12() {
        let mark = |number| TypeMark::new(number).unwrap();
        let new = mark(-184549376); // 0xf5000000, slab of 6.12
        assert!(new.matches(0xf500_0000) && new.matches(0xf500_0001) && !new.matches(0xf600_0000));
        let old = mark(-129); // ~0x80, buddy of 4.18
        assert!(old.matches(0xffff_ff7f) && !old.matches(0xffff_ffff));
        assert!(!mark(-128).matches(0xffff_ff7f));
        assert_eq!(TypeMark::new(0xf500_0000), Some(new), "printed without its sign");
        for mapcount in [-1, 0, 5, i64::from(u32::MAX), i64::MIN, 1 << 40, -0x0100_0000, 0xff00_0000] {
            assert_eq!(TypeMark::new(mapcount), None, "{mapcount} pages without a type have");
        }
    }

    #[test]
    fn what_cannot_be_identified_is_named() {
        let known = rules(
            "NUMBER(PG_lru)=5\nNUMBER(PG_private)=11\nNUMBER(PG_slab)=7\nNUMBER(PG_swapcache)=16\n\
             NUMBER(PG_hwpoison)=23\n",
        );
        let keys: Vec<_> = known.unknown().iter().map(|u| u.key).collect();
        assert_eq!(keys, ["NUMBER(HUGETLB_PAGE_DTOR) or SYMBOL(free_huge_page)"]);
        let lacking = rules("");
        let cache = lacking.unknown().iter().find(|u| u.key == "NUMBER(PG_lru)").unwrap();
        assert_eq!((cache.facts, cache.class), (PageFacts::CACHE, "page cache pages"));
        assert_eq!(known.buddy(), BuddyMark::Lists);
    }

    /// What kallsyms shows that a kernel was built without.
    struct Without<'a>(Vmcoreinfo, &'a str);

    impl KernelSymbols for Without<'_> {
        fn symbol(&self, name: &str) -> Option<VirtAddr> {
            self.0.symbol(name)
        }
        fn size_of(&self, ty: &str) -> Option<u64> {
            self.0.size_of(ty)
        }
        fn offset_of(&self, member: &str) -> Option<u64> {
            self.0.offset_of(member)
        }
        fn length_of(&self, array: &str) -> Option<u64> {
            self.0.length_of(array)
        }
        fn number(&self, name: &str) -> Option<i64> {
            self.0.number(name)
        }
        fn version(&self) -> Option<(u32, u32)> {
            self.0.version()
        }
        fn lacks_number(&self, name: &str) -> bool {
            name == self.1
        }
    }

    /// Without CONFIG_HUGETLB_PAGE two numbers are lacking. That they are proves nothing; that the function is does, and
    /// the type of offline pages follows from that of free ones.
    #[test]
    fn a_kernel_without_hugetlb_pages() {
        let rules = |keys: &str, lacking: &str| {
            let text = format!(
                "SIZE(page)=64\nOFFSET(page.flags)=0\nOFFSET(page.mapping)=24\nOFFSET(page.lru)=8\n\
                 OFFSET(page._mapcount)=48\nOFFSET(page.private)=40\nOFFSET(page.compound_head)=8\n\
                 OFFSET(page.compound_order)=17\nOFFSET(page.compound_dtor)=16\nNUMBER(PG_head_mask)=65536\n\
                 NUMBER(PG_lru)=4\nNUMBER(PG_private)=13\nNUMBER(PG_swapcache)=10\nNUMBER(PG_swapbacked)=19\n\
                 NUMBER(PG_slab)=9\nNUMBER(PG_hwpoison)=23\nNUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129\n{keys}"
            );
            PageRules::new(&Without(Vmcoreinfo::parse(text.as_bytes()), lacking), Le64::WORDS).unwrap()
        };
        let unknown = |keys: &str, lacking: &str| {
            rules(keys, lacking).unknown().iter().map(|unknown| unknown.class).collect::<Vec<_>>()
        };
        let (new, dtor) = ("OSRELEASE=6.1.0\n", "NUMBER(HUGETLB_PAGE_DTOR)=2\n");
        assert_eq!(unknown(new, "HUGETLB_PAGE_DTOR"), [""; 0]);
        assert_eq!(unknown(new, ""), ["hugetlb pages"]);
        assert!(rules(new, "").offline.matches(0xffff_feff), "a balloon's pages all the same");
        assert_eq!(unknown(&format!("{new}{dtor}"), ""), [""; 0]);
        assert_eq!(unknown("OSRELEASE=5.0.0\n", ""), ["hugetlb pages"]);
        assert_eq!(unknown(dtor, ""), ["offline pages"], "of no release that is known");
    }

    #[test]
    fn offsets_outside_a_struct_page_are_not_believed() {
        let text = b"SIZE(page)=64\nOFFSET(page.flags)=60\nOFFSET(page.mapping)=24\n";
        let e = PageRules::new(&Vmcoreinfo::parse(text), Le64::WORDS).unwrap_err();
        assert!(e.to_string().contains("OFFSET(page.flags)"), "{e}");
    }

    #[test]
    fn tails_are_known_without_their_key() {
        let tail = |release: &str, keys: &str| {
            let text = format!(
                "OSRELEASE={release}\nSIZE(page)=64\nOFFSET(page.flags)=0\nOFFSET(page.mapping)=24\n\
                 NUMBER(PG_lru)=5\nNUMBER(PG_slab)=7\nNUMBER(PG_head_mask)=32768\n{keys}"
            );
            PageRules::new(&Vmcoreinfo::parse(text.as_bytes()), Le64::WORDS).unwrap()
        };
        let (lru, head) = ("OFFSET(page.lru)=8\n", "OFFSET(page.compound_head)=32\n");
        assert_eq!(tail("4.0.0", lru).tail(), TailMark::None);
        assert_eq!(tail("4.4.0", lru).tail(), TailMark::Head { offset: 8 });
        assert_eq!(tail("6.1.0", head).tail(), TailMark::Head { offset: 32 });
        assert_eq!(
            tail("6.1.0", &format!("{lru}OFFSET(page.compound_head)=99999999999\n")).tail(),
            TailMark::Head { offset: 8 }
        );
        assert_eq!(tail("7.1.0", lru).tail(), TailMark::HeadOrMask { offset: 8 });
        let lost = tail("6.1.0", "");
        assert_eq!((lost.tail(), lost.lru, lost.anon_known), (TailMark::Unknown, 0, false));
    }

    #[test]
    fn what_cannot_all_be_so_is_refused() {
        let base = "SIZE(page)=64\nOFFSET(page.flags)=0\nOFFSET(page.mapping)=24\nOFFSET(page._mapcount)=48\n";
        for (keys, named) in [
            ("OFFSET(page.lru)=16\n", "OFFSET(page.lru)"),
            ("NUMBER(PG_lru)=4\nNUMBER(PG_private)=4\n", "NUMBER(PG_private)"),
            ("NUMBER(PG_lru)=64\n", "NUMBER(PG_lru)"),
            ("NUMBER(PG_head_mask)=65537\n", "NUMBER(PG_head_mask)"),
            ("NUMBER(PG_lru)=4\nNUMBER(PG_head_mask)=16\n", "NUMBER(PG_head_mask)"),
            ("NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-1\n", "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)"),
            ("NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-16777216\n", "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)"),
            ("NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=4278190080\n", "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)"),
            ("NUMBER(PG_hugetlb)=3\n", "NUMBER(PG_hugetlb)"),
            ("NUMBER(PG_hugetlb)=64\n", "NUMBER(PG_hugetlb)"),
            ("NUMBER(HUGETLB_PAGE_DTOR)=3\n", "NUMBER(HUGETLB_PAGE_DTOR)"),
            (
                "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129\nNUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-129\n",
                "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)",
            ),
        ] {
            let e = PageRules::new(&Vmcoreinfo::parse(format!("{base}{keys}").as_bytes()), Le64::WORDS).unwrap_err();
            assert!(e.to_string().contains(named), "{keys}: {e}");
        }
    }

    #[test]
    fn swapcache_needs_swapbacked_where_its_bit_is_shared() {
        assert_eq!(rules("NUMBER(PG_private)=11\nNUMBER(PG_swapcache)=16\n").swapbacked, 0);
        assert_eq!(rules("NUMBER(PG_private)=11\nNUMBER(PG_swapcache)=8\n").swapbacked, 1 << 17);
        assert_eq!(
            rules("NUMBER(PG_swapbacked)=18\nNUMBER(PG_private)=11\nNUMBER(PG_swapcache)=8\n").swapbacked,
            1 << 18
        );
    }

    #[test]
    fn words_of_32_bits_are_four_bytes() {
        let text =
            b"OSRELEASE=3.10.0\nSIZE(page)=32\nOFFSET(page.flags)=0\nOFFSET(page.mapping)=4\nOFFSET(page.lru)=20\n\
            OFFSET(page.private)=28\nOFFSET(page._mapcount)=12\nNUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-128\n\
            SYMBOL(free_huge_page)=c0101230\n";
        let info = Vmcoreinfo::parse(text);
        let rules = PageRules::new(&info, Le32::WORDS).unwrap();
        let word = |offset| Field { offset, width: 4 };
        assert_eq!(rules.compound(), CompoundMark::Fields { order: word(24), hugetlb: Some((word(20), 0xc010_1230)) });
        assert!(matches!(rules.buddy(), BuddyMark::Type(_)), "private is the last word");
        let e = PageRules::new(&info, Le64::WORDS).unwrap_err();
        assert!(e.to_string().contains("OFFSET(page.mapping)"), "no word of 8 bytes lies at 4: {e}");
    }
}
