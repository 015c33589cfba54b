//! Counts of what was left out, and why, and of what was kept for lack of proof.

use crate::level::Reason;
use dump_core::Pfn;
use dump_kernel::Mark;

/// Why pages are kept that would be left out if their struct pages could be believed, or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Doubt {
    /// Their struct pages cannot be read, or not be located, lie where those of others do, or were never written.
    Unread,
    /// Their struct pages say what cannot all be so.
    Contradiction,
    /// They hold what struct pages were found with, whatever their own say.
    Walked,
    /// They have the type of unaccepted memory, which vmcoreinfo does not name.
    MaybeUnaccepted,
    /// They are broken by a key of vmcoreinfo's that something contradicts.
    Hwpoison,
    /// They are offline by such a key, or by a number that no Linux has had.
    Offline,
    /// They are unaccepted by the same.
    Unaccepted,
}

impl Doubt {
    /// Every doubt.
    pub const ALL: [Doubt; 7] = [
        Doubt::Unread,
        Doubt::Contradiction,
        Doubt::Walked,
        Doubt::MaybeUnaccepted,
        Doubt::Hwpoison,
        Doubt::Offline,
        Doubt::Unaccepted,
    ];

    /// What it is to doubt a mark.
    pub fn of_mark(mark: Mark) -> Doubt {
        match mark {
            Mark::Hwpoison => Doubt::Hwpoison,
            Mark::Offline => Doubt::Offline,
            Mark::Unaccepted => Doubt::Unaccepted,
        }
    }

    /// Whether the pages would go at every level.
    pub fn is_of_all_levels(self) -> bool {
        !matches!(self, Doubt::Unread | Doubt::Contradiction | Doubt::Walked)
    }

    /// The pages, for messages.
    pub fn class(self) -> &'static str {
        match self {
            Doubt::Unread | Doubt::Contradiction | Doubt::Walked => "some pages",
            Doubt::MaybeUnaccepted | Doubt::Unaccepted => "unaccepted pages",
            Doubt::Hwpoison => "hwpoison pages",
            Doubt::Offline => "offline pages",
        }
    }

    /// Why they are kept, for messages.
    pub fn why(self) -> &'static str {
        match self {
            Doubt::Unread => "their struct pages cannot be read, are all ones, or lie where those of others do",
            Doubt::Contradiction => "their struct pages contradict themselves",
            Doubt::Walked => "struct pages were found with them, and their own say that they are not the kernel's",
            Doubt::MaybeUnaccepted => "vmcoreinfo lacks NUMBER(PAGE_UNACCEPTED_MAPCOUNT_VALUE)",
            Doubt::Hwpoison => {
                "NUMBER(PG_hwpoison), SIZE(page) or OFFSET(page.flags) is not what the kernel's own data say"
            }
            Doubt::Offline => {
                "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE), SIZE(page) or OFFSET(page._mapcount) is not what the kernel's own \
                 data say, or that number is none that Linux has had"
            }
            Doubt::Unaccepted => {
                "NUMBER(PAGE_UNACCEPTED_MAPCOUNT_VALUE), SIZE(page) or OFFSET(page._mapcount) is not what the kernel's \
                 own data say, or that number is none that Linux has had"
            }
        }
    }
}

/// Pages that are kept for one doubt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doubtful {
    /// How many. Of a free block or compound page that is doubtful the first alone counts.
    pub pages: u64,
    /// The first.
    pub first: Option<Pfn>,
}

/// Pages left out by reason, and pages kept by doubt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    counts: [u64; Reason::ALL.len()],
    doubtful: [Doubtful; Doubt::ALL.len()],
}

impl Tally {
    /// Pages left out for `reason`.
    pub fn count(&self, reason: Reason) -> u64 {
        self.counts[reason as usize]
    }

    /// Pages left out for any reason.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Pages kept for `doubt`.
    pub fn doubtful(&self, doubt: Doubt) -> Doubtful {
        self.doubtful[doubt as usize]
    }

    /// Pages kept for any doubt.
    pub fn total_doubtful(&self) -> u64 {
        self.doubtful.iter().map(|doubtful| doubtful.pages).sum()
    }

    /// Counts `pages` more.
    pub fn add(&mut self, reason: Reason, pages: u64) {
        self.counts[reason as usize] += pages;
    }

    /// Counts `pages` as kept, the first of which is `first`.
    pub fn keep(&mut self, doubt: Doubt, first: Pfn, pages: u64) {
        let first = (pages != 0).then_some(first);
        self.merge_doubtful(doubt, Doubtful { pages, first });
    }

    /// Adds what another part of memory counted.
    pub fn merge(&mut self, other: &Tally) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        Doubt::ALL.into_iter().for_each(|doubt| self.merge_doubtful(doubt, other.doubtful(doubt)));
    }

    fn merge_doubtful(&mut self, doubt: Doubt, more: Doubtful) {
        let here = &mut self.doubtful[doubt as usize];
        here.pages += more.pages;
        here.first = [here.first, more.first].into_iter().flatten().min();
    }
}
