//! The kernel eras: one per form that `struct page` and its description in VMCOREINFO have had since Linux 3.8.

use std::fmt;
use std::str::FromStr;

/// A kernel, named by the first version that looks like this (or, for the last, by a real dump).
///
/// Ordered by age: `era >= Era::V4_18` reads as "has the struct page of 4.18".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Era {
    /// 3.8: VMCOREINFO says nothing of buddy pages; free pages are found in the zones' lists only.
    V3_8,
    /// 3.9–3.10: `page._mapcount` and PAGE_BUDDY_MAPCOUNT_VALUE appear.
    V3_10,
    /// 3.17–4.3: PG_hwpoison, PG_head_mask (b3acc56bfe1) and `free_huge_page` (8f1d26d0e59b) are known. Order and
    /// destructor of a compound page are the list pointers of its second page.
    V3_17,
    /// 4.4–4.6: `compound_head` in the tails (1d798ca3f164); destructor id and order are u16 (f1e61557f023). The keys
    /// came in 4.7 and with stable updates.
    V4_4,
    /// 4.7–4.9: `_count` is `_refcount` (0139aa7b7fa1); destructor and order are u32.
    V4_7,
    /// 4.10–4.15: PG_waiters is bit 7 (62906027091f), PG_swapcache shares its bit with PG_owner_priv_1 (6326fec1122c)
    /// and PG_swapbacked is not exported; `init_top_pgt` (4.13); `phys_base` is a number.
    V4_14,
    /// 4.16–4.17: destructor and order are bytes.
    V4_16,
    /// 4.18–4.20: struct page reordered, `page_type` with one bit per type, cleared when set; PG_swapbacked exported.
    V4_18,
    /// 5.1–5.9: PAGE_OFFLINE_MAPCOUNT_VALUE; PG_workingset has moved the flags (4.20).
    V5_1,
    /// 5.10–6.0: SECTION_SIZE_BITS and MAX_PHYSMEM_BITS; utsname at offset 0; lockless log.
    V5_10,
    /// 6.1–6.2: kallsyms keys (6.0); from 6.2 on `mapping` aliases a slab field (130d4df57390).
    V6_1,
    /// 6.3–6.5: `folio._folio_dtor` and `_folio_order`, offsets beyond SIZE(page) (1c5509be58f6).
    V6_3,
    /// 6.6–6.8: order in the low byte of `folio._flags_1`, hugetlb a flag there (ebc1baf5c9b4, 9c5ccf2db04b).
    V6_6,
    /// 6.9: hugetlb is a page type (d99e3140a4d3).
    V6_9,
    /// 6.10: slab is a page type, PG_slab gone (46df8e73a4a3).
    V6_10,
    /// 6.11: page types moved to the top bits (8db00ad56461).
    V6_11,
    /// 6.12–6.15: the type is the top byte (4ffca5a96678).
    V6_12,
    /// 6.16–7.0: PAGE_UNACCEPTED_MAPCOUNT_VALUE.
    V6_16,
    /// 7.1: `compound_info` replaces `compound_head`; in vmemmap kernels it holds a mask, not an address.
    V7_1,
    /// 7.2, with the numbers of a Debian cloud kernel.
    V7_2,
}

impl Era {
    /// Every era, oldest first.
    pub const ALL: &'static [Era] = &[
        Era::V3_8,
        Era::V3_10,
        Era::V3_17,
        Era::V4_4,
        Era::V4_7,
        Era::V4_14,
        Era::V4_16,
        Era::V4_18,
        Era::V5_1,
        Era::V5_10,
        Era::V6_1,
        Era::V6_3,
        Era::V6_6,
        Era::V6_9,
        Era::V6_10,
        Era::V6_11,
        Era::V6_12,
        Era::V6_16,
        Era::V7_1,
        Era::V7_2,
    ];

    /// Version of the kernel written, `(major, minor)`; also its name: `(6, 12)` is "6.12".
    #[must_use]
    pub fn version(self) -> (u16, u16) {
        match self {
            Era::V3_8 => (3, 8),
            Era::V3_10 => (3, 10),
            Era::V3_17 => (3, 17),
            Era::V4_4 => (4, 4),
            Era::V4_7 => (4, 7),
            Era::V4_14 => (4, 14),
            Era::V4_16 => (4, 16),
            Era::V4_18 => (4, 18),
            Era::V5_1 => (5, 1),
            Era::V5_10 => (5, 10),
            Era::V6_1 => (6, 1),
            Era::V6_3 => (6, 3),
            Era::V6_6 => (6, 6),
            Era::V6_9 => (6, 9),
            Era::V6_10 => (6, 10),
            Era::V6_11 => (6, 11),
            Era::V6_12 => (6, 12),
            Era::V6_16 => (6, 16),
            Era::V7_1 => (7, 1),
            Era::V7_2 => (7, 2),
        }
    }

    /// `OSRELEASE` and `utsname.release`.
    #[must_use]
    pub fn release(self) -> String {
        format!("{self}.0-synth")
    }
}

impl fmt::Display for Era {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.version();
        write!(f, "{major}.{minor}")
    }
}

impl FromStr for Era {
    type Err = String;

    /// Takes the name as displayed: `"6.12"`.
    fn from_str(name: &str) -> Result<Self, String> {
        let found = Era::ALL.iter().find(|era| era.to_string() == name);
        found.copied().ok_or_else(|| format!("no era is called {name:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eras_ascend_and_have_names() {
        assert!(Era::ALL.windows(2).all(|pair| pair[0] < pair[1] && pair[0].version() < pair[1].version()));
        for era in Era::ALL {
            assert_eq!(era.to_string().parse(), Ok(*era));
        }
    }
}
