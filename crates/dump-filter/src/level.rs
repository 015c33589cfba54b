//! Dump levels: which classes of pages are left out.

use crate::tally::Doubt;
use dump_kernel::{BlockKind, Mark, PageFacts, PageRules, PageState, Unknown};

bitflags::bitflags! {
    /// A dump level, 0 to 31: the classes of pages that are left out.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
    pub struct DumpLevel: u32 {
        /// Pages whose bytes are all zero.
        const ZERO = 1;
        /// Page cache without private data.
        const CACHE = 2;
        /// Page cache with or without private data.
        const CACHE_PRIVATE = 4;
        /// Anonymous memory of processes and hugetlb pages.
        const USER = 8;
        /// Free pages.
        const FREE = 16;
    }
}

impl DumpLevel {
    /// A level by its number; `None` above 31.
    pub fn new(number: u32) -> Option<DumpLevel> {
        DumpLevel::from_bits(number)
    }

    /// Whether struct pages must be read to know what is left out: for every class but zero pages.
    pub fn needs_kernel(self) -> bool {
        self.intersects(DumpLevel::ZERO.complement())
    }

    /// Pages that this level leaves out and that cannot be identified in this dump.
    pub fn unknown(self, rules: &PageRules) -> impl Iterator<Item = &Unknown> {
        let is_left_out = move |unknown: &&Unknown| unknown.facts.intersects(ALWAYS_LEFT_OUT) || self.asks_for(unknown);
        rules.unknown().iter().filter(is_left_out)
    }

    /// Whether this level leaves the class out, rather than every level.
    pub fn asks_for(self, unknown: &Unknown) -> bool {
        // page cache with private data goes with that without, known as such or not
        let level = if self.contains(DumpLevel::CACHE_PRIVATE) { self.difference(DumpLevel::CACHE) } else { self };
        level.intersects(classes_of(unknown.facts))
    }
}

/// Facts of pages that every level leaves out.
const ALWAYS_LEFT_OUT: PageFacts = F::HWPOISON.union(F::OFFLINE).union(F::UNACCEPTED);

/// The classes that pages with any of `facts` may belong to.
fn classes_of(facts: PageFacts) -> DumpLevel {
    let classes = [
        (F::CACHE, DumpLevel::CACHE.union(DumpLevel::CACHE_PRIVATE)),
        // what has private data is left out with the page cache of either kind, known as such or not
        (F::PRIVATE, DumpLevel::CACHE),
        (F::ANON.union(F::HUGETLB), DumpLevel::USER),
        (F::BUDDY, DumpLevel::FREE),
    ];
    classes.into_iter().filter(|(any, _)| facts.intersects(*any)).map(|(_, class)| class).collect()
}

/// Why a page is left out. A page counts under the first that holds, in this order but for free pages, which come
/// first.
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

    /// The mark, where pages go for this reason at every level.
    pub(crate) fn mark(self) -> Option<Mark> {
        match self {
            Reason::Hwpoison => Some(Mark::Hwpoison),
            Reason::Offline => Some(Mark::Offline),
            Reason::Unaccepted => Some(Mark::Unaccepted),
            Reason::Cache | Reason::CachePrivate | Reason::User | Reason::Free => None,
        }
    }

    /// What pages that go together for this reason are.
    pub fn block(self) -> BlockKind {
        if matches!(self, Reason::Free | Reason::Unaccepted) { BlockKind::Free } else { BlockKind::Compound }
    }
}

/// A row of the policy.
struct Rule {
    /// Levels at which the row counts; empty for all.
    level: DumpLevel,
    /// The page has one of these facts,
    any: PageFacts,
    /// has all of these,
    all: PageFacts,
    /// and none of these.
    none: PageFacts,
    reason: Reason,
}

use PageFacts as F;

/// What most rows have.
const AT_ALL_LEVELS: Rule =
    Rule { level: DumpLevel::empty(), any: F::empty(), all: F::empty(), none: F::empty(), reason: Reason::Unaccepted };

/// The policy: the first row that fits decides. As makedumpfile has it (`__exclude_unnecessary_pages()`), but for two
/// rows: a broken tail page is left out, which makedumpfile 1.7.9 copies, since it looks at no tail (reading it may
/// raise a machine check, in the capture kernel of all places); and unaccepted memory is left out at every level, not
/// only with free pages, for the same reason.
const POLICY: [Rule; 7] = [
    Rule { any: F::UNACCEPTED, reason: Reason::Unaccepted, ..AT_ALL_LEVELS },
    Rule {
        level: DumpLevel::CACHE,
        any: F::CACHE,
        none: F::PRIVATE.union(F::ANON),
        reason: Reason::Cache,
        ..AT_ALL_LEVELS
    },
    Rule {
        level: DumpLevel::CACHE_PRIVATE,
        any: F::CACHE,
        all: F::PRIVATE,
        none: F::ANON,
        reason: Reason::CachePrivate,
    },
    Rule { level: DumpLevel::CACHE_PRIVATE, any: F::CACHE, none: F::ANON, reason: Reason::Cache, ..AT_ALL_LEVELS },
    Rule { level: DumpLevel::USER, any: F::ANON.union(F::HUGETLB), reason: Reason::User, ..AT_ALL_LEVELS },
    Rule { any: F::HWPOISON, reason: Reason::Hwpoison, ..AT_ALL_LEVELS },
    Rule { any: F::OFFLINE, reason: Reason::Offline, ..AT_ALL_LEVELS },
];

impl Rule {
    fn fits(&self, level: DumpLevel, facts: PageFacts) -> bool {
        (self.level.is_empty() || level.intersects(self.level))
            && facts.intersects(self.any)
            && facts.contains(self.all)
            && !facts.intersects(self.none)
    }
}

/// Sets of facts that there are.
const FACT_SETS: usize = F::all().bits() as usize + 1;

/// The policy of one level, decided beforehand for every set of facts: a look-up a page, where the rows of the policy
/// are a dozen branches each.
pub struct Judge {
    verdicts: Box<[Option<Reason>; FACT_SETS]>,
}

impl Judge {
    /// The policy of `level`.
    pub fn new(level: DumpLevel) -> Judge {
        let mut verdicts = Box::new([None; FACT_SETS]);
        for (bits, verdict) in (0..).zip(verdicts.iter_mut()) {
            *verdict = judge(level, PageState::new(F::from_bits_retain(bits))).map(|(reason, _)| reason);
        }
        Judge { verdicts }
    }

    /// As [`judge`].
    #[inline]
    pub fn of(&self, page: PageState) -> Option<(Reason, u8)> {
        self.verdict(page.facts).map(|reason| (reason, order(reason, page)))
    }

    /// Why a page with these facts is kept, if not because this level keeps such.
    pub fn doubt(&self, facts: PageFacts) -> Option<Doubt> {
        let without = facts.difference(F::CONTRADICTION);
        match facts {
            _ if facts.contains(F::UNREAD) => Some(Doubt::Unread),
            _ if facts != without && self.verdict(without).is_some() => Some(Doubt::Contradiction),
            _ if facts.contains(F::MAYBE_UNACCEPTED) => Some(Doubt::MaybeUnaccepted),
            _ => None,
        }
    }

    #[inline]
    fn verdict(&self, facts: PageFacts) -> Option<Reason> {
        self.verdicts.get(usize::from(facts.bits())).copied().flatten()
    }
}

/// log2 of how many pages go with one that is left out for `reason`.
#[inline]
fn order(reason: Reason, page: PageState) -> u8 {
    match reason {
        Reason::Free | Reason::Unaccepted => page.free_order,
        Reason::Hwpoison if page.facts.intersects(F::TAIL | F::CONTRADICTION) => 0,
        _ => page.order,
    }
}

/// Whether a page in this state is left out at `level`: why, and log2 of how many pages from it on.
pub fn judge(level: DumpLevel, page: PageState) -> Option<(Reason, u8)> {
    let facts = page.facts;
    if facts.intersects(F::TAIL | F::CONTRADICTION) {
        return facts.contains(F::HWPOISON).then(|| (Reason::Hwpoison, order(Reason::Hwpoison, page)));
    }
    if level.contains(DumpLevel::FREE) && facts.contains(F::BUDDY) {
        return Some((Reason::Free, order(Reason::Free, page)));
    }
    let rule = POLICY.iter().find(|rule| rule.fits(level, facts))?;
    Some((rule.reason, order(rule.reason, page)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(facts: F, order: u8, free_order: u8) -> PageState {
        PageState { facts, order, free_order }
    }

    #[test]
    fn each_class_at_each_level() {
        let cases: &[(F, u32, Reason)] = &[
            (F::CACHE, 2 | 4, Reason::Cache),
            (F::CACHE | F::PRIVATE, 4, Reason::CachePrivate),
            (F::CACHE | F::ANON, 8, Reason::User),
            (F::ANON, 8, Reason::User),
            (F::HUGETLB, 8, Reason::User),
            (F::BUDDY, 16, Reason::Free),
        ];
        for level in (0..32).filter_map(DumpLevel::new) {
            for (facts, levels, reason) in cases {
                let got = judge(level, PageState::new(*facts));
                let want = (level.bits() & levels != 0).then_some((*reason, 0));
                assert_eq!(got, want, "{facts:?} at {level:?}");
            }
            for (facts, reason) in [(F::HWPOISON, Reason::Hwpoison), (F::OFFLINE, Reason::Offline)] {
                assert_eq!(judge(level, PageState::new(facts)), Some((reason, 0)));
            }
            assert_eq!(judge(level, state(F::UNACCEPTED, 0, 10)), Some((Reason::Unaccepted, 10)));
            assert_eq!(judge(level, PageState::new(F::TAIL)), None);
            assert_eq!(judge(level, PageState::new(F::UNREAD)), None);
        }
    }

    #[test]
    fn what_is_decided_beforehand_is_what_the_policy_says() {
        for level in (0..32).filter_map(DumpLevel::new) {
            let judged = Judge::new(level);
            for facts in (0..=F::all().bits()).filter_map(F::from_bits) {
                let page = state(facts, 3, 5);
                assert_eq!(judged.of(page), judge(level, page), "{facts:?} at {level:?}");
            }
        }
    }

    #[test]
    fn a_whole_compound_or_block_goes_at_once() {
        let level = DumpLevel::all();
        assert_eq!(judge(level, state(F::ANON, 9, 0)), Some((Reason::User, 9)));
        assert_eq!(judge(level, state(F::BUDDY, 0, 10)), Some((Reason::Free, 10)));
    }

    #[test]
    fn what_contradicts_itself_is_kept_and_doubtful_where_it_would_be_left_out() {
        let judge = |level| Judge::new(DumpLevel::new(level).unwrap());
        let free = F::BUDDY | F::CONTRADICTION;
        assert_eq!((judge(31).of(PageState::new(free)), judge(31).doubt(free)), (None, Some(Doubt::Contradiction)));
        assert_eq!((judge(15).of(PageState::new(free)), judge(15).doubt(free)), (None, None));
        let broken = PageState { facts: free | F::HWPOISON, order: 9, free_order: 3 };
        assert_eq!(judge(31).of(broken), Some((Reason::Hwpoison, 0)), "broken memory is not read, whatever else it is");
    }

    /// makedumpfile 1.7.9 passes over every tail, and so copies a broken one whose compound page stays in the dump.
    #[test]
    fn a_broken_tail_page_is_left_out_alone() {
        let page = PageState::new(F::TAIL | F::HWPOISON);
        assert_eq!(judge(DumpLevel::empty(), page), Some((Reason::Hwpoison, 0)));
    }

    #[test]
    fn levels_by_what_cannot_be_identified() {
        let level = |bits| DumpLevel::new(bits).unwrap();
        for (facts, want) in [(F::CACHE, 6), (F::PRIVATE, 2), (F::HUGETLB, 8), (F::CACHE | F::ANON, 14), (F::BUDDY, 16)]
        {
            assert_eq!(classes_of(facts), level(want), "{facts:?}");
        }
        assert_eq!((DumpLevel::new(32), DumpLevel::ZERO.needs_kernel(), level(3).needs_kernel()), (None, false, true));
    }
}
