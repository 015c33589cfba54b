//! What a filter must decide about each page, from the recipe alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::FreeLists;
use crate::era::Era;
use crate::memory::FakeMemory;
use crate::recipe::{Kind, Line};

/// The classes a filter counts, in the order in which it tests (makedumpfile.md §4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// None of the others: always kept.
    Kept,
    /// In the buddy allocator; dropped by dump level bit 16.
    Free,
    /// Page cache without private data; dropped by bits 2 and 4.
    Cache,
    /// Page cache with private data; dropped by bit 4.
    CachePrivate,
    /// Anonymous and hugetlbfs pages; dropped by bit 8.
    User,
    /// As [`Class::User`], but poisoned: counted as user by bit 8, dropped as hwpoison otherwise.
    PoisonedUser,
    /// Poisoned page cache, counted as cache by bits 2 and 4, dropped as hwpoison otherwise.
    PoisonedCache,
    /// Poisoned page cache with private data, counted as such by bit 4, dropped as hwpoison otherwise.
    PoisonedCachePrivate,
    /// Poisoned and free, counted as free by bit 16, dropped as hwpoison otherwise.
    PoisonedFree,
    /// Hit by a memory error: always dropped.
    Hwpoison,
    /// Given back to the hypervisor: always dropped.
    Offline,
    /// Not accepted by the guest: always dropped, because a read can be fatal. makedumpfile drops and counts these as
    /// free pages, at level bit 16 only.
    Unaccepted,
}

impl Class {
    /// The class of the pages of `line` in a kernel of `era`, as far as that kernel identifies them.
    pub(crate) fn of(line: &Line, era: Era, lists: FreeLists) -> Self {
        // In 3.8 only the lists identify free pages.
        let tells_free = era > Era::V3_8 || lists == FreeLists::Whole;
        let clean = match line.kind {
            Kind::Free if tells_free => Class::Free,
            Kind::Cache | Kind::SwapCache => Class::Cache,
            Kind::CachePrivate => Class::CachePrivate,
            Kind::Anon | Kind::AnonWithWaiters | Kind::Ksm => Class::User,
            Kind::Hugetlb if era >= Era::V3_17 => Class::User,
            Kind::Hwpoison if era >= Era::V3_17 => Class::Hwpoison,
            Kind::Offline if era >= Era::V5_1 => Class::Offline,
            Kind::Unaccepted if era >= Era::V6_16 => Class::Unaccepted,
            _ => Class::Kept,
        };
        if line.poisoned && era >= Era::V3_17 { clean.poisoned() } else { clean }
    }

    fn poisoned(self) -> Self {
        match self {
            Class::Free => Class::PoisonedFree,
            Class::Cache => Class::PoisonedCache,
            Class::CachePrivate => Class::PoisonedCachePrivate,
            Class::User => Class::PoisonedUser,
            Class::Kept => Class::Hwpoison,
            other => other,
        }
    }

    /// The counter that a page of this class goes to at `level`, `None` when it is kept.
    fn dropped_as(self, level: u32) -> Option<Class> {
        let at =
            |bits: u32, class: Class, otherwise: Option<Class>| if level & bits != 0 { Some(class) } else { otherwise };
        let poison = Some(Class::Hwpoison);
        match self {
            Class::Kept => None,
            Class::Free => at(16, Class::Free, None),
            Class::Cache => at(2 | 4, Class::Cache, None),
            Class::CachePrivate => at(4, Class::CachePrivate, None),
            Class::User => at(8, Class::User, None),
            Class::PoisonedFree => at(16, Class::Free, poison),
            Class::PoisonedCache => at(2 | 4, Class::Cache, poison),
            Class::PoisonedCachePrivate => at(4, Class::CachePrivate, poison),
            Class::PoisonedUser => at(8, Class::User, poison),
            Class::Hwpoison | Class::Offline | Class::Unaccepted => Some(self),
        }
    }
}

/// Numbers of pages, by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Kept pages that contain only zeros; 0 without dump level bit 1.
    pub zero: u64,
    /// Page cache without private data.
    pub cache: u64,
    /// Page cache with private data.
    pub cache_private: u64,
    /// Anonymous and hugetlbfs pages.
    pub user: u64,
    /// Buddy pages.
    pub free: u64,
    /// Poisoned pages.
    pub hwpoison: u64,
    /// Offline pages.
    pub offline: u64,
    /// Unaccepted pages.
    pub unaccepted: u64,
}

impl Counts {
    fn counter(&mut self, class: Class) -> &mut u64 {
        match class {
            Class::Free => &mut self.free,
            Class::Cache => &mut self.cache,
            Class::CachePrivate => &mut self.cache_private,
            Class::User => &mut self.user,
            Class::Hwpoison => &mut self.hwpoison,
            Class::Offline => &mut self.offline,
            Class::Unaccepted => &mut self.unaccepted,
            other => panic!("{other:?} is not counted as such"),
        }
    }
}

/// What a dump at one level must look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Page frames left after filtering, zero pages included: the second bitmap of a kdump file.
    pub kept: BTreeSet<u64>,
    /// Those of `kept` that contain only zeros, at any level.
    pub zero: BTreeSet<u64>,
    /// Pages by class.
    pub counts: Counts,
}

impl Expected {
    pub(crate) fn of(memory: &FakeMemory, classes: &BTreeMap<u64, Class>, level: u32) -> Self {
        let mut expected = Expected { kept: BTreeSet::new(), zero: BTreeSet::new(), counts: Counts::default() };
        for pfn in memory.pfns() {
            let class = classes.get(&pfn).copied().unwrap_or(Class::Kept);
            match class.dropped_as(level) {
                Some(counted) => *expected.counts.counter(counted) += 1,
                None => expected.keep(pfn, memory.is_zero(pfn)),
            }
        }
        expected.counts.zero = if level & 1 == 1 { expected.zero.len() as u64 } else { 0 };
        expected
    }

    fn keep(&mut self, pfn: u64, is_zero: bool) {
        self.kept.insert(pfn);
        if is_zero {
            self.zero.insert(pfn);
        }
    }

    /// `kept` as a bitmap of `bits` bits: bit `n % 8` of byte `n / 8` is pfn `n`.
    #[must_use]
    pub fn bitmap(&self, bits: u64) -> Vec<u8> {
        let mut bytes = vec![0; bits.div_ceil(8) as usize];
        for pfn in self.kept.range(..bits) {
            bytes[(pfn / 8) as usize] |= 1 << (pfn % 8);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_drop_what_they_say() {
        let dropped = |class: Class, level| class.dropped_as(level);
        assert_eq!(dropped(Class::CachePrivate, 2), None);
        assert_eq!(dropped(Class::CachePrivate, 4), Some(Class::CachePrivate));
        assert_eq!(dropped(Class::Cache, 4), Some(Class::Cache));
        assert_eq!(dropped(Class::PoisonedUser, 16), Some(Class::Hwpoison));
        assert_eq!(dropped(Class::PoisonedUser, 8), Some(Class::User));
        assert_eq!(dropped(Class::Unaccepted, 0), Some(Class::Unaccepted));
        assert_eq!(dropped(Class::Free, 15), None);
    }
}
