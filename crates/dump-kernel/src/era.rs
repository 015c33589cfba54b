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

use crate::page::PageFacts;
use crate::symbols::KernelSymbols;
use crate::vmcoreinfo::Vmcoreinfo;
use crate::words::Words;
use dump_core::{Error, Result};

/// How a tail page of a compound page is known from its head and from small pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TailMark {
    /// Bit 0 of the word at this offset of its struct page.
    Bit0 {
        /// Offset (bytes).
        offset: usize,
    },
    /// Not at all: before 4.5 a tail met on its own is taken for a small page.
    None,
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
    /// From the number that vmcoreinfo gives.
    ///
    /// Since 6.12 a type is the top byte, 0xf0 to 0xfe, and the three below are the type's own to use (4ffca5a96678): a
    /// number whose low bytes are zero is such a type and only its top byte is compared. Before, the whole is the type.
    pub fn new(number: i64) -> TypeMark {
        let value = number as u32;
        let top_byte_alone = value & 0x00ff_ffff == 0 && value >= 0xf000_0000;
        TypeMark { mask: if top_byte_alone { 0xff00_0000 } else { u32::MAX }, value }
    }

    /// The type that no page has.
    const NEVER: TypeMark = TypeMark { mask: 0, value: 1 };

    /// Whether a page whose `_mapcount` is this has the type.
    #[inline]
    pub fn matches(self, mapcount: u32) -> bool {
        mapcount & self.mask == self.value
    }
}

/// How a slab page is known: its `mapping` is no mapping (since 6.2 `struct slab` lies over it, 130d4df57390).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SlabMark {
    Type(TypeMark),
    Flag(u64),
    None,
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
    /// The key that vmcoreinfo lacks.
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
    pub(crate) mapcount: usize,
    pub(crate) private: usize,
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
    /// Whether slab pages can be identified.
    pub(crate) slab_known: bool,
    pub(crate) buddy_type: TypeMark,
    pub(crate) offline: TypeMark,
    pub(crate) unaccepted: TypeMark,
    pub(crate) orders: u64,
    tail: TailMark,
    compound: CompoundMark,
    buddy: BuddyMark,
    unknown: Vec<Unknown>,
}

/// PG_slab of 2.6.26 to 3.8. 3.9 exports it, together with where `_mapcount` is; neither key means an older kernel.
const SLAB_BEFORE_3_9: u64 = 1 << 7;

/// No struct page is larger: 56 to 64 bytes, some debug options make it 96 or more.
const MAX_STRUCT_PAGE: u64 = 1024;

impl PageRules {
    /// Chooses each rule by the keys that `info` has, for a kernel whose words are `words`.
    ///
    /// # Errors
    /// `MissingInfo` if it lacks even the size of a struct page, or the place of its flags and mapping.
    pub fn new(info: &Vmcoreinfo, words: Words) -> Result<PageRules> {
        let size = info.size_of("page").filter(|n| (8..=MAX_STRUCT_PAGE).contains(n));
        let size = size.ok_or_else(|| Error::missing("vmcoreinfo lacks a usable SIZE(page)"))? as usize;
        let member = |name: &str, width: usize| {
            let offset = usize::try_from(info.offset_of(name)?).ok()?;
            (offset.checked_add(width)? <= size).then_some(offset)
        };
        let word = words.bytes();
        let needed = |name: &str| {
            member(name, word).ok_or_else(|| Error::missing(format!("vmcoreinfo lacks a usable OFFSET({name})")))
        };
        let mapcount = member("page._mapcount", 4);
        let private = member("page.private", word);
        let type_mark = |name: &str| mapcount.and(info.number(name)).map(TypeMark::new);
        let flag = |name: &str| info.number(name).and_then(flag_mask).unwrap_or(0);
        let buddy = match (type_mark("PAGE_BUDDY_MAPCOUNT_VALUE"), private) {
            (Some(mark), Some(_)) => BuddyMark::Type(mark),
            _ => BuddyMark::Lists,
        };
        let slab = match (type_mark("PAGE_SLAB_MAPCOUNT_VALUE"), flag("PG_slab")) {
            (Some(mark), _) => SlabMark::Type(mark),
            (None, 0) if mapcount.is_none() => SlabMark::Flag(SLAB_BEFORE_3_9),
            (None, 0) => SlabMark::None,
            (None, mask) => SlabMark::Flag(mask),
        };
        let page = Shape { size, word };
        let tail = TAIL_MARKS.iter().find_map(|rule| rule(info, page)).unwrap_or(TailMark::None);
        let (tail_at, tail_bit) = match tail {
            TailMark::Bit0 { offset } => (offset, 1),
            TailMark::None => (0, 0),
        };
        let type_or_never = |name: &str| type_mark(name).unwrap_or(TypeMark::NEVER);
        let mut rules = PageRules {
            words,
            size,
            flags: needed("page.flags")?,
            mapping: needed("page.mapping")?,
            mapcount: mapcount.unwrap_or(0),
            private: private.unwrap_or(0),
            tail_at,
            tail_bit,
            head: head_mask(info),
            lru: flag("PG_lru"),
            has_private: info.number("PG_private").and_then(flag_mask).unwrap_or(ALL_PRIVATE),
            swapcache: flag("PG_swapcache"),
            swapbacked: swapbacked(info),
            hwpoison: flag("PG_hwpoison"),
            slab_type: if let SlabMark::Type(mark) = slab { mark } else { TypeMark::NEVER },
            slab_flag: if let SlabMark::Flag(mask) = slab { mask } else { 0 },
            slab_known: slab != SlabMark::None,
            buddy_type: if let BuddyMark::Type(mark) = buddy { mark } else { TypeMark::NEVER },
            offline: type_or_never("PAGE_OFFLINE_MAPCOUNT_VALUE"),
            unaccepted: type_or_never("PAGE_UNACCEPTED_MAPCOUNT_VALUE"),
            orders: info.length_of("zone.free_area").filter(|n| (1..=32).contains(n)).unwrap_or(32),
            tail,
            compound: COMPOUND_MARKS.iter().find_map(|rule| rule(info, page)).unwrap_or(CompoundMark::Unknown),
            buddy,
            unknown: Vec::new(),
        };
        rules.unknown = rules.find_unknown();
        Ok(rules)
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

    /// Whether a scan can find pages that are always left out, whatever the level.
    pub fn finds_always_excluded(&self) -> bool {
        self.hwpoison != 0 || self.offline != TypeMark::NEVER || self.unaccepted != TypeMark::NEVER
    }

    /// Pages that cannot be identified because vmcoreinfo lacks a key.
    pub fn unknown(&self) -> &[Unknown] {
        &self.unknown
    }

    fn find_unknown(&self) -> Vec<Unknown> {
        use PageFacts as F;
        let huge = self.compound == CompoundMark::Unknown || self.head == 0;
        let no_hugetlb = matches!(self.compound, CompoundMark::Fields { hugetlb: None, .. });
        let huge_key = if self.head == 0 { "NUMBER(PG_head_mask)" } else { "OFFSET(page.compound_order)" };
        let checks = [
            (self.lru == 0, F::CACHE, "page cache pages", "NUMBER(PG_lru)"),
            (
                self.has_private == ALL_PRIVATE,
                F::PRIVATE,
                "page cache pages without private data",
                "NUMBER(PG_private)",
            ),
            (self.swapcache == 0, F::CACHE, "swap cache pages", "NUMBER(PG_swapcache)"),
            (!self.slab_known, F::CACHE | F::ANON, "anonymous pages", "NUMBER(PG_slab)"),
            (huge, F::CACHE | F::ANON | F::HUGETLB, "tail pages of huge pages", huge_key),
            (no_hugetlb && !huge, F::HUGETLB, "hugetlb pages", "NUMBER(HUGETLB_PAGE_DTOR) or SYMBOL(free_huge_page)"),
        ];
        let lacking = checks.into_iter().filter(|(lacking, ..)| *lacking);
        lacking.map(|(_, facts, class, key)| Unknown { facts, class, key }).collect()
    }
}

/// Every flag: where PG_private is not known, any page of the page cache (which has at least PG_lru) counts as one with
/// private data, so that none with such data is taken for one without.
const ALL_PRIVATE: u64 = u64::MAX;

/// A flag's mask from its bit number.
fn flag_mask(bit: i64) -> Option<u64> {
    u32::try_from(bit).ok().and_then(|bit| 1u64.checked_shl(bit))
}

/// PG_head_mask, exported since 3.17 and by older kernels of distributions. Before, bit 14 is PG_head (or PG_compound,
/// in kernels short of flags), which stands two or three above PG_private and so below PG_swapcache, if those are where
/// 2.6.26 to 3.16 have them.
fn head_mask(info: &Vmcoreinfo) -> u64 {
    let exported = info.number("PG_head_mask").map(|mask| mask as u64);
    let old = || match (info.number("PG_private"), info.number("PG_swapcache")) {
        (Some(11), Some(15 | 16)) if info.offset_of("page.compound_head").is_none() => Some(1 << 14),
        _ => None,
    };
    exported.or_else(old).unwrap_or(0)
}

/// PG_swapbacked, or the mask 0 where PG_swapcache alone is enough.
///
/// vmcoreinfo names it since 4.17 (1cbf29da3628). From 4.10 on PG_swapcache stands below PG_private, and PG_swapbacked
/// then is six bits above it (6326fec1122c); before, PG_swapcache has a bit of its own and needs no second.
fn swapbacked(info: &Vmcoreinfo) -> u64 {
    let assumed = || {
        let (cache, private) = (info.number("PG_swapcache")?, info.number("PG_private")?);
        (cache < private).then_some(private + 6)
    };
    info.number("PG_swapbacked").or_else(assumed).and_then(flag_mask).unwrap_or(0)
}

/// Sizes that members are checked against, and have (bytes).
#[derive(Clone, Copy)]
struct Shape {
    /// A struct page.
    size: usize,
    /// A word.
    word: usize,
}

impl Shape {
    /// A field of `width` bytes; `None` where it passes the end of a struct page.
    fn field(self, offset: u64, width: usize) -> Option<Field> {
        let offset = usize::try_from(offset).ok()?;
        (offset.checked_add(width)? <= self.size).then_some(Field { offset, width })
    }

    /// A field that is a word.
    fn word(self, offset: u64) -> Option<Field> {
        self.field(offset, self.word)
    }
}

/// A row: the mark, where the dump's keys say that its kernel has it.
type Row<T> = fn(&Vmcoreinfo, Shape) -> Option<T>;

const TAIL_MARKS: &[Row<TailMark>] = &[
    // 7.1 (d50569612c29)
    |info, page| tail_at(info, "page.compound_info", page),
    // 4.5
    |info, page| tail_at(info, "page.compound_head", page),
];

const COMPOUND_MARKS: &[Row<CompoundMark>] = &[
    // 6.9 (d99e3140a4d3), also in kernels that took it back
    |info, _| {
        info.offset_of("page._mapcount")?;
        let hugetlb = TypeMark::new(info.number("PAGE_HUGETLB_MAPCOUNT_VALUE")?);
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

fn tail_at(info: &Vmcoreinfo, member: &str, page: Shape) -> Option<TailMark> {
    page.word(info.offset_of(member)?).map(|field| TailMark::Bit0 { offset: field.offset })
}

/// Order and destructor as integers of `width` bytes; a byte where the width is not known.
fn fields(info: &Vmcoreinfo, order: u64, dtor: Option<u64>, width: Option<usize>, page: Shape) -> Option<CompoundMark> {
    let width = width.unwrap_or(1);
    let dtor = dtor.and_then(|offset| page.field(offset, width));
    let hugetlb = dtor.zip(info.number("HUGETLB_PAGE_DTOR").map(|id| id as u64));
    Some(CompoundMark::Fields { order: page.field(order, width)?, hugetlb })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::{Le32, Le64, WordLayout};

    fn rules(keys: &str) -> PageRules {
        let text = format!(
            "OSRELEASE=4.0.0\nSIZE(page)=64\nOFFSET(page.flags)=0\nOFFSET(page.mapping)=24\nOFFSET(page.lru)=8\n\
             OFFSET(page._mapcount)=48\nOFFSET(page.private)=40\nOFFSET(list_head.prev)=8\nOFFSET(list_head.next)=0\n\
             NUMBER(PG_head_mask)=65536\n{keys}"
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
        let new = TypeMark::new(-184549376); // 0xf5000000, slab of 6.12
        assert!(new.matches(0xf500_0000) && new.matches(0xf500_0001) && !new.matches(0xf600_0000));
        let old = TypeMark::new(-129); // ~0x80, buddy of 4.18
        assert!(old.matches(0xffff_ff7f) && !old.matches(0xffff_ffff));
        assert!(!TypeMark::new(-128).matches(0xffff_ff7f));
    }

    #[test]
    fn what_cannot_be_identified_is_named() {
        let known = rules("NUMBER(PG_lru)=5\nNUMBER(PG_private)=11\nNUMBER(PG_slab)=7\nNUMBER(PG_swapcache)=16\n");
        let keys: Vec<_> = known.unknown().iter().map(|u| u.key).collect();
        assert_eq!(keys, ["NUMBER(HUGETLB_PAGE_DTOR) or SYMBOL(free_huge_page)"]);
        let lacking = rules("");
        let cache = lacking.unknown().iter().find(|u| u.key == "NUMBER(PG_lru)").unwrap();
        assert_eq!((cache.facts, cache.class), (PageFacts::CACHE, "page cache pages"));
        assert_eq!(known.buddy(), BuddyMark::Lists);
    }

    #[test]
    fn offsets_outside_a_struct_page_are_not_believed() {
        let text = b"SIZE(page)=64\nOFFSET(page.flags)=60\nOFFSET(page.mapping)=24\n";
        let e = PageRules::new(&Vmcoreinfo::parse(text), Le64::WORDS).unwrap_err();
        assert!(e.to_string().contains("OFFSET(page.flags)"), "{e}");
        assert_eq!(rules("OFFSET(page.compound_head)=18446744073709551615\n").tail(), TailMark::None);
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
        assert_eq!(PageRules::new(&info, Le64::WORDS).unwrap().buddy(), BuddyMark::Lists);
    }
}
