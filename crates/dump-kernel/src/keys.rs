//! What vmcoreinfo says of struct pages, key by key: what of it is believed, and what a lacking key leaves unknown.

use crate::era::{CompoundMark, Field, MAX_ORDERS, SlabMark, TailMark, TypeMark, Unknown};
use crate::page::PageFacts;
use crate::symbols::KernelSymbols;
use dump_core::{Error, Result};

/// Page types that vmcoreinfo names.
pub(crate) const TYPES: [&str; 5] = [
    "PAGE_BUDDY_MAPCOUNT_VALUE",
    "PAGE_OFFLINE_MAPCOUNT_VALUE",
    "PAGE_SLAB_MAPCOUNT_VALUE",
    "PAGE_HUGETLB_MAPCOUNT_VALUE",
    "PAGE_UNACCEPTED_MAPCOUNT_VALUE",
];

/// Flags that vmcoreinfo names by their bits, each of which has one of its own. (PG_hugetlb is one of a tail's.)
const FLAGS: [&str; 6] = ["PG_lru", "PG_private", "PG_swapcache", "PG_swapbacked", "PG_slab", "PG_hwpoison"];

/// HUGETLB_PAGE_DTOR in all kernels that have it, 4.4 to 6.5 (f1e61557f023): 1 and 3 are other compound pages.
const HUGETLB_DTOR: i64 = 2;

/// Since when a kernel has these; one of an older release that has the key has it all the same.
const HWPOISON_EXPORTED: (u32, u32) = (3, 17);
const OFFLINE_EXPORTED: (u32, u32) = (5, 1);
pub(crate) const UNACCEPTED_EXPORTED: (u32, u32) = (6, 16);

/// The types of free and of offline pages as long as types are bits, of which that of offline pages is the next above that
/// of free ones: 4.18 to 6.10 (6e292b9be7f4 to ff202303c398, Linux include/linux/page-flags.h).
const BUDDY_BIT: i64 = !0x80;
const OFFLINE_BIT: i64 = !0x100;

/// PG_slab of 2.6.26 to 3.8. 3.9 exports it.
const SLAB_BEFORE_3_9: u64 = 1 << 7;

/// The number of offline pages' type. Where the key is lacking, that of free pages tells it, in kernels that have the type.
pub(crate) fn offline_number(info: &dyn KernelSymbols) -> Option<i64> {
    let is_bit = || info.number("PAGE_BUDDY_MAPCOUNT_VALUE").is_some_and(|n| n as i32 == BUDDY_BIT as i32);
    let has_type = || info.version().is_some_and(|version| version >= OFFLINE_EXPORTED);
    info.number("PAGE_OFFLINE_MAPCOUNT_VALUE").or_else(|| (has_type() && is_bit()).then_some(OFFLINE_BIT))
}

/// A flag's mask from its bit number.
pub(crate) fn flag_mask(bit: i64) -> Option<u64> {
    u32::try_from(bit).ok().and_then(|bit| 1u64.checked_shl(bit))
}

/// What vmcoreinfo says of struct pages. What it lacks is lacking in every kernel of an age, or was lost: nothing is
/// concluded from its absence unless the release says that the kernel is as old.
pub(crate) struct Keys<'a> {
    pub(crate) info: &'a dyn KernelSymbols,
    pub(crate) page: Shape,
}

impl Keys<'_> {
    /// Whether the kernel is known to be older than `version`.
    pub(crate) fn is_before(&self, version: (u32, u32)) -> bool {
        self.info.version().is_some_and(|is| is < version)
    }

    /// Whether it may be as new.
    pub(crate) fn may_be_since(&self, version: (u32, u32)) -> bool {
        !self.is_before(version)
    }

    pub(crate) fn has(&self, number: &str) -> bool {
        self.info.number(number).is_some()
    }

    /// The offset of a member of `width` bytes, if it lies within a struct page.
    pub(crate) fn member(&self, name: &str, width: usize) -> Option<usize> {
        self.page.field(self.info.offset_of(name)?, width).map(|field| field.offset)
    }

    pub(crate) fn mapcount(&self) -> Option<usize> {
        self.member("page._mapcount", 4)
    }

    pub(crate) fn flag_mask(&self, name: &str) -> Option<u64> {
        self.info.number(name).and_then(flag_mask)
    }

    pub(crate) fn flag(&self, name: &str) -> u64 {
        self.flag_mask(name).unwrap_or(0)
    }

    /// A page type, where it can be read.
    pub(crate) fn page_type(&self, name: &str) -> Option<TypeMark> {
        self.mapcount().and_then(|_| TypeMark::new(self.info.number(name)?))
    }

    /// The type of offline pages, where it can be read.
    pub(crate) fn offline(&self) -> Option<TypeMark> {
        self.mapcount().and_then(|_| TypeMark::new(offline_number(self.info)?))
    }

    pub(crate) fn orders(&self) -> Option<u64> {
        self.info.length_of("zone.free_area").filter(|n| (1..=MAX_ORDERS).contains(n))
    }

    /// Finds what cannot be: members that overlap, flags that share a bit, types that are none or the same.
    pub(crate) fn check(&self) -> Result<()> {
        let word = self.page.word;
        // what else there is lies in unions with lru or private
        let members = [
            ("page.flags", word),
            ("page.mapping", word),
            ("page.lru", 2 * word),
            ("page.private", word),
            ("page._mapcount", 4),
            ("page._refcount", 4),
            ("page._count", 4),
        ];
        let places = members.iter().filter_map(|(name, width)| Some((*name, self.member(name, *width)?, *width)));
        differ(places, "OFFSET", |(at, width), (other, other_width)| at < other + other_width && other < at + width)?;
        let flags = FLAGS.iter().filter_map(|name| Some((*name, self.info.number(name)? as usize, 0)));
        differ(flags, "NUMBER", |(bit, _), (other, _)| bit == other)?;
        let types = TYPES.iter().filter_map(|name| Some((*name, self.info.number(name)? as usize, 0)));
        differ(types, "NUMBER", |(value, _), (other, _)| value as u32 == other as u32)?;
        let odd = |name: &str| Error::corrupt(format!("vmcoreinfo: NUMBER({name}) cannot be what it says"));
        let no_type = |name: &&&str| self.info.number(name).is_some_and(|n| TypeMark::new(n).is_none());
        let no_flag = |name: &&&str| self.has(name) && self.flag_mask(name).is_none();
        if let Some(name) = TYPES.iter().find(no_type).or_else(|| FLAGS.iter().find(no_flag)) {
            return Err(odd(name));
        }
        // the low byte there is the order (ebc1baf5c9b4)
        if self.has("PG_hugetlb") && self.flag_mask("PG_hugetlb").is_none_or(|mask| mask & 0xff != 0) {
            return Err(odd("PG_hugetlb"));
        }
        if self.info.number("HUGETLB_PAGE_DTOR").is_some_and(|id| id != HUGETLB_DTOR) {
            return Err(odd("HUGETLB_PAGE_DTOR"));
        }
        let head = self.info.number("PG_head_mask").map(|mask| mask as u64);
        let shared = |mask: u64| !mask.is_power_of_two() || FLAGS.iter().any(|name| self.flag(name) == mask);
        if head.is_some_and(shared) { Err(odd("PG_head_mask")) } else { Ok(()) }
    }

    /// How slab pages are known.
    pub(crate) fn slab(&self) -> Option<SlabMark> {
        if let Some(mark) = self.page_type("PAGE_SLAB_MAPCOUNT_VALUE") {
            return Some(SlabMark::Type(mark));
        }
        if self.has("PAGE_SLAB_MAPCOUNT_VALUE") {
            return None; // a flag no longer
        }
        let assumed = || self.is_before((3, 9)).then_some(SLAB_BEFORE_3_9);
        self.flag_mask("PG_slab").or_else(assumed).map(SlabMark::Flag)
    }

    /// How tails are known. Where `compound_head` lies is exported since 4.5 or 4.7 only, but it is there since 4.4: the
    /// first word of the union that `lru` begins, whose bit 0 none of the others may use (Linux
    /// include/linux/mm_types.h).
    pub(crate) fn tail(&self) -> TailMark {
        let offset_of = |name: &str| self.member(name, self.page.word);
        let head = || offset_of("page.compound_head").map(|offset| TailMark::Head { offset });
        let info = |name: &str| offset_of(name).map(|offset| TailMark::HeadOrMask { offset });
        let marked = info("page.compound_info").or_else(head); // 7.1 (d50569612c29); 4.5
        match marked {
            Some(mark) => mark,
            None if self.is_before((4, 4)) => TailMark::None,
            None if self.is_before((7, 1)) => {
                offset_of("page.lru").map_or(TailMark::Unknown, |offset| TailMark::Head { offset })
            }
            None => info("page.lru").unwrap_or(TailMark::Unknown),
        }
    }

    /// PG_head_mask, exported since 3.17 and by older kernels of distributions. Before, bit 14 is PG_head (or
    /// PG_compound, in kernels short of flags), which stands two or three above PG_private and so below PG_swapcache,
    /// if those are where 2.6.26 to 3.16 have them.
    pub(crate) fn head_mask(&self) -> u64 {
        let exported = self.info.number("PG_head_mask").map(|mask| mask as u64);
        let old = || match (self.info.number("PG_private"), self.info.number("PG_swapcache")) {
            (Some(11), Some(15 | 16)) if self.info.offset_of("page.compound_head").is_none() => Some(1 << 14),
            _ => None,
        };
        exported.or_else(old).unwrap_or(0)
    }

    /// The flags that a page of the swap cache has: PG_swapcache, and PG_swapbacked where the former alone is not
    /// enough.
    ///
    /// vmcoreinfo names the latter since 4.17 (1cbf29da3628). From 4.10 on PG_swapcache stands below PG_private and is
    /// others' too; PG_swapbacked then is six bits above PG_private (6326fec1122c), until flags were moved for 6.6
    /// (ebc1baf5c9b4). Before 4.10 PG_swapcache has a bit of its own, above PG_private, and needs no second.
    pub(crate) fn swap(&self) -> Option<(u64, u64)> {
        let cache = self.info.number("PG_swapcache")?;
        let backed = match (self.info.number("PG_swapbacked"), self.info.number("PG_private")) {
            (Some(backed), _) => flag_mask(backed)?,
            (None, Some(private)) if private < cache => 0,
            (None, Some(private)) if self.is_before((6, 6)) => flag_mask(private.checked_add(6)?)?,
            (None, _) => return None,
        };
        Some((flag_mask(cache)?, backed))
    }

    /// What cannot be identified, for a kernel with these marks.
    pub(crate) fn unknown(&self, tail: TailMark, compound: CompoundMark) -> Vec<Unknown> {
        use PageFacts as F;
        let no_head = self.head_mask() == 0;
        let huge = compound == CompoundMark::Unknown || no_head;
        let no_hugetlb = matches!(compound, CompoundMark::Fields { hugetlb: None, .. });
        let no_mapcount = self.mapcount().is_none();
        let no_tail = tail == TailMark::Unknown;
        let tail_key = "OFFSET(page.compound_head), OFFSET(page.compound_info) or OFFSET(page.lru)";
        let no_hwpoison =
            !self.has("PG_hwpoison") && self.may_be_since(HWPOISON_EXPORTED) && !self.info.lacks_number("PG_hwpoison");
        let no_offline = match self.has("PAGE_OFFLINE_MAPCOUNT_VALUE") {
            true => no_mapcount,
            false => self.may_be_since(OFFLINE_EXPORTED) && self.offline().is_none(),
        };
        let type_key = |name: &str, key: &'static str| match self.has(name) {
            true => "OFFSET(page._mapcount)",
            false => key,
        };
        let slab_key = type_key(
            "PAGE_SLAB_MAPCOUNT_VALUE",
            "NUMBER(PG_slab) or NUMBER(PAGE_SLAB_MAPCOUNT_VALUE), or an OSRELEASE before 3.9",
        );
        let huge_key = match (no_head, type_key("PAGE_HUGETLB_MAPCOUNT_VALUE", HUGE_KEYS)) {
            (true, _) if self.is_before((3, 17)) => {
                "NUMBER(PG_head_mask), or NUMBER(PG_private) and NUMBER(PG_swapcache)"
            }
            (true, _) => "NUMBER(PG_head_mask)",
            (false, key) => key,
        };
        let swap_key = match (self.has("PG_swapcache"), self.has("PG_private")) {
            (false, _) => "NUMBER(PG_swapcache)",
            (true, false) => "NUMBER(PG_private)",
            (true, true) => "NUMBER(PG_swapbacked), or an OSRELEASE before 6.6",
        };
        let hugetlb_key = match self.has("HUGETLB_PAGE_DTOR") {
            true => "OFFSET(page.compound_dtor) or OFFSET(folio._folio_dtor)",
            false => "NUMBER(HUGETLB_PAGE_DTOR) or SYMBOL(free_huge_page)",
        };
        let unaccepted = self.has("PAGE_UNACCEPTED_MAPCOUNT_VALUE");
        let checks = [
            (no_tail, F::CACHE, "page cache pages", tail_key),
            (no_tail, F::ANON, "anonymous pages", tail_key),
            (self.flag("PG_lru") == 0, F::CACHE, "page cache pages", "NUMBER(PG_lru)"),
            (!self.has("PG_private"), F::PRIVATE, "page cache pages without private data", "NUMBER(PG_private)"),
            (self.swap().is_none(), F::CACHE, "swap cache pages", swap_key),
            (self.slab().is_none(), F::ANON, "anonymous pages", slab_key),
            (huge, F::CACHE.union(F::ANON).union(F::HUGETLB), "tail pages of huge pages", huge_key),
            (
                no_hugetlb && !huge && !self.info.lacks_number("HUGETLB_PAGE_DTOR"),
                F::HUGETLB,
                "hugetlb pages",
                hugetlb_key,
            ),
            (no_hwpoison, F::HWPOISON, "hwpoison pages", "NUMBER(PG_hwpoison)"),
            (
                no_offline,
                F::OFFLINE,
                "offline pages",
                type_key("PAGE_OFFLINE_MAPCOUNT_VALUE", "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)"),
            ),
            (unaccepted && no_mapcount, F::UNACCEPTED, "unaccepted pages", "OFFSET(page._mapcount)"),
            (
                unaccepted && self.orders().is_none(),
                F::UNACCEPTED,
                "unaccepted pages but the first of each block",
                "LENGTH(zone.free_area)",
            ),
        ];
        let lacking = checks.into_iter().filter(|(lacking, ..)| *lacking);
        lacking.map(|(_, facts, class, key)| Unknown { facts, class, key }).collect()
    }
}

/// Keys of which each era has those of a row of [`COMPOUND_MARKS`].
const HUGE_KEYS: &str = "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE), NUMBER(PG_hugetlb), OFFSET(folio._folio_order), \
                         OFFSET(page.compound_order), or OFFSET(page.lru) and an OSRELEASE before 4.4";

/// That no two of some keys' values collide.
fn differ(
    values: impl Iterator<Item = (&'static str, usize, usize)>,
    kind: &str,
    collide: impl Fn((usize, usize), (usize, usize)) -> bool,
) -> Result<()> {
    let values: Vec<_> = values.collect();
    for (i, (name, value, width)) in values.iter().enumerate() {
        let other = values[..i].iter().find(|(_, other, of)| collide((*value, *width), (*other, *of)));
        if let Some((other, ..)) = other {
            return Err(Error::corrupt(format!(
                "vmcoreinfo: {kind}({other}) and {kind}({name}) contradict each other"
            )));
        }
    }
    Ok(())
}

/// Sizes that members are checked against, and have (bytes).
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// A struct page.
    pub(crate) size: usize,
    /// A word.
    pub(crate) word: usize,
}

impl Shape {
    /// A field of `width` bytes; `None` where no compiler puts one, or it passes the end of a struct page.
    pub(crate) fn field(self, offset: u64, width: usize) -> Option<Field> {
        let offset = usize::try_from(offset).ok()?;
        let aligned = offset % width.min(self.word).max(1) == 0;
        (aligned && offset.checked_add(width)? <= self.size).then_some(Field { offset, width })
    }

    /// A field that is a word.
    pub(crate) fn word(self, offset: u64) -> Option<Field> {
        self.field(offset, self.word)
    }
}
