//! Dump levels: which classes of pages are left out.

use dump_kernel::{PageFacts, PageRules, Unknown};

/// A dump level, 0 to 31: an OR of the classes that are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct DumpLevel(u32);

impl DumpLevel {
    /// Pages whose bytes are all zero.
    pub const ZERO: u32 = 1;
    /// Page cache without private data.
    pub const CACHE: u32 = 2;
    /// Page cache with or without private data.
    pub const CACHE_PRIVATE: u32 = 4;
    /// Anonymous memory of processes and hugetlb pages.
    pub const USER: u32 = 8;
    /// Free pages.
    pub const FREE: u32 = 16;

    /// A level; `None` above 31.
    pub fn new(bits: u32) -> Option<DumpLevel> {
        (bits < 32).then_some(DumpLevel(bits))
    }

    /// The level as a number.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Whether any of `classes` is left out.
    pub fn any(self, classes: u32) -> bool {
        self.0 & classes != 0
    }

    /// Whether struct pages must be read to tell what is left out: for every class but zero pages.
    pub fn needs_kernel(self) -> bool {
        self.any(!DumpLevel::ZERO)
    }

    /// What this level asks for and the dump does not tell.
    pub fn unknown(self, rules: &PageRules) -> impl Iterator<Item = &Unknown> {
        rules.unknown().iter().filter(move |unknown| self.any(unknown.level))
    }
}

/// Why a page is left out. A page counts under the first that holds, in this order but for free pages, which come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Page cache without private data.
    Cache,
    /// Page cache with private data.
    CachePrivate,
    /// Anonymous memory or hugetlb.
    User,
    /// Free.
    Free,
    /// Broken memory; at every level.
    Hwpoison,
    /// Given back to the hypervisor; at every level.
    Offline,
    /// Not yet accepted by a confidential guest; at every level, for reading it can end the reader.
    Unaccepted,
}

impl Reason {
    /// Every reason, in the order of the report.
    pub const ALL: [Reason; 7] = [
        Reason::Cache,
        Reason::CachePrivate,
        Reason::User,
        Reason::Free,
        Reason::Hwpoison,
        Reason::Offline,
        Reason::Unaccepted,
    ];
}

/// A row of the policy.
struct Rule {
    /// Levels at which the row counts; 0 for all.
    level: u32,
    /// The page has one of these facts,
    any: u16,
    /// has this one too, if not 0,
    and: u16,
    /// and none of these.
    none: u16,
    reason: Reason,
}

use PageFacts as F;

/// The policy: the first row that fits decides. As makedumpfile has it (`__exclude_unnecessary_pages()`), but for two rows:
/// a broken tail page is left out, which makedumpfile 1.7.9 copies, since it looks at no tail (reading it may raise a
/// machine check, in the capture kernel of all places); and unaccepted memory is left out at every level, not only with
/// free pages, for the same reason.
const POLICY: [Rule; 7] = [
    Rule { level: 0, any: F::UNACCEPTED, and: 0, none: 0, reason: Reason::Unaccepted },
    Rule { level: DumpLevel::CACHE, any: F::CACHE, and: 0, none: F::PRIVATE | F::ANON, reason: Reason::Cache },
    Rule {
        level: DumpLevel::CACHE_PRIVATE,
        any: F::CACHE,
        and: F::PRIVATE,
        none: F::ANON,
        reason: Reason::CachePrivate,
    },
    Rule { level: DumpLevel::CACHE_PRIVATE, any: F::CACHE, and: 0, none: F::ANON, reason: Reason::Cache },
    Rule { level: DumpLevel::USER, any: F::ANON | F::HUGETLB, and: 0, none: 0, reason: Reason::User },
    Rule { level: 0, any: F::HWPOISON, and: 0, none: 0, reason: Reason::Hwpoison },
    Rule { level: 0, any: F::OFFLINE, and: 0, none: 0, reason: Reason::Offline },
];

impl Rule {
    fn fits(&self, level: DumpLevel, facts: PageFacts) -> bool {
        (self.level == 0 || level.any(self.level))
            && facts.any(self.any)
            && (self.and == 0 || facts.any(self.and))
            && !facts.any(self.none)
    }
}

/// The policy of one level, decided beforehand for every set of facts: a look-up a page, where the rows of the policy are a
/// dozen branches each.
pub struct Judge {
    level: DumpLevel,
    verdicts: Box<[Option<Reason>; F::ALL_BITS as usize + 1]>,
}

impl Judge {
    /// The policy of `level`.
    pub fn new(level: DumpLevel) -> Judge {
        let mut verdicts = Box::new([None; F::ALL_BITS as usize + 1]);
        for (bits, verdict) in (0..=F::ALL_BITS).zip(verdicts.iter_mut()) {
            *verdict = judge(level, PageFacts::new(bits, 0, 0)).map(|(reason, _)| reason);
        }
        Judge { level, verdicts }
    }

    /// Whether free pages are left out.
    pub fn asks_free(&self) -> bool {
        self.level.any(DumpLevel::FREE)
    }

    /// As [`judge`].
    #[inline]
    pub fn of(&self, facts: PageFacts) -> Option<(Reason, u64)> {
        let reason = self.verdicts.get(usize::from(facts.bits())).copied().flatten()?;
        Some((reason, pages(reason, facts)))
    }
}

/// How many pages go with one that is left out for `reason`.
#[inline]
fn pages(reason: Reason, facts: PageFacts) -> u64 {
    match reason {
        Reason::Free | Reason::Unaccepted => 1 << facts.free_order,
        Reason::Hwpoison if facts.any(F::TAIL) => 1,
        _ => 1 << facts.order,
    }
}

/// Whether a page with these facts is left out at `level`: why, and how many pages from it on.
pub fn judge(level: DumpLevel, facts: PageFacts) -> Option<(Reason, u64)> {
    if facts.any(F::TAIL) {
        return facts.any(F::HWPOISON).then(|| (Reason::Hwpoison, pages(Reason::Hwpoison, facts)));
    }
    if level.any(DumpLevel::FREE) && facts.any(F::BUDDY | F::BAD_ORDER) {
        return facts.any(F::BUDDY).then(|| (Reason::Free, pages(Reason::Free, facts)));
    }
    let rule = POLICY.iter().find(|rule| rule.fits(level, facts))?;
    Some((rule.reason, pages(rule.reason, facts)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_at_each_level() {
        let cases: &[(u16, u32, Reason)] = &[
            (F::CACHE, 2 | 4, Reason::Cache),
            (F::CACHE | F::PRIVATE, 4, Reason::CachePrivate),
            (F::CACHE | F::ANON, 8, Reason::User),
            (F::ANON, 8, Reason::User),
            (F::HUGETLB, 8, Reason::User),
            (F::BUDDY, 16, Reason::Free),
        ];
        for level in 0..32 {
            for (bits, levels, reason) in cases {
                let got = judge(DumpLevel(level), PageFacts::new(*bits, 0, 0));
                let want = (level & levels != 0).then_some((*reason, 1));
                assert_eq!(got, want, "facts {bits:#x} at level {level}");
            }
            for (bits, reason) in [(F::HWPOISON, Reason::Hwpoison), (F::OFFLINE, Reason::Offline)] {
                assert_eq!(judge(DumpLevel(level), PageFacts::new(bits, 0, 0)), Some((reason, 1)));
            }
            assert_eq!(judge(DumpLevel(level), PageFacts::new(F::UNACCEPTED, 0, 10)), Some((Reason::Unaccepted, 1024)));
            assert_eq!(judge(DumpLevel(level), PageFacts::new(F::TAIL, 0, 0)), None);
            assert_eq!(judge(DumpLevel(level), PageFacts::new(F::UNREAD, 0, 0)), None);
        }
    }

    #[test]
    fn what_is_decided_beforehand_is_what_the_policy_says() {
        for level in (0..32).map(DumpLevel) {
            let judged = Judge::new(level);
            for bits in 0..=F::ALL_BITS {
                let facts = PageFacts::new(bits, 3, 5);
                assert_eq!(judged.of(facts), judge(level, facts), "facts {bits:#x} at level {level:?}");
            }
        }
    }

    #[test]
    fn a_whole_compound_or_block_goes_at_once() {
        let level = DumpLevel(31);
        assert_eq!(judge(level, PageFacts::new(F::ANON, 9, 0)), Some((Reason::User, 512)));
        assert_eq!(judge(level, PageFacts::new(F::BUDDY, 0, 10)), Some((Reason::Free, 1024)));
    }

    #[test]
    fn a_free_page_of_impossible_order_is_kept() {
        assert_eq!(judge(DumpLevel(31), PageFacts::new(F::BAD_ORDER | F::CACHE, 0, 0)), None);
    }

    /// makedumpfile 1.7.9 passes over every tail, and so copies a broken one whose compound page stays in the dump.
    #[test]
    fn a_broken_tail_page_is_left_out_alone() {
        let facts = PageFacts::new(F::TAIL | F::HWPOISON, 0, 0);
        assert_eq!(judge(DumpLevel(0), facts), Some((Reason::Hwpoison, 1)));
    }
}
