//! What a page frame is used for: one class each, the first that fits.

use dump_filter::{DumpLevel, Reason};

/// What a page frame is used for.
///
/// Each has one class: a hole is nothing else; of RAM, what the dump does not hold is excluded; of the rest, what dump level
/// 30 leaves out has the class that the filter leaves it out for; what is left is zero, if it was read and is, or else
/// what its struct page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PageClass {
    /// Free: on the lists of the page allocator.
    Free,
    /// Anonymous memory of processes, in small pages.
    User,
    /// Memory of processes in blocks: hugetlb pages and anonymous compound pages.
    Huge,
    /// Page cache without private data.
    Cache,
    /// Page cache with private data of its file system.
    CachePrivate,
    /// The slab allocator's: kernel objects.
    Slab,
    /// All else that the kernel has, and what is kept for lack of proof.
    Kernel,
    /// Kept by every level but 1, and nothing but zeros; known only where pages were read.
    Zero,
    /// Never read: broken, offline, or not accepted by a confidential guest.
    Unreadable,
    /// RAM that the dump does not hold: left out when it was made.
    Excluded,
    /// No RAM.
    Hole,
    /// In the dump, of a kernel that is not known.
    Unclassified,
}

impl PageClass {
    /// Every class.
    pub const ALL: [PageClass; 12] = [
        PageClass::Free,
        PageClass::User,
        PageClass::Huge,
        PageClass::Cache,
        PageClass::CachePrivate,
        PageClass::Slab,
        PageClass::Kernel,
        PageClass::Zero,
        PageClass::Unreadable,
        PageClass::Excluded,
        PageClass::Hole,
        PageClass::Unclassified,
    ];

    /// Its name, for machines.
    pub fn name(self) -> &'static str {
        match self {
            PageClass::Free => "free",
            PageClass::User => "user",
            PageClass::Huge => "huge",
            PageClass::Cache => "cache",
            PageClass::CachePrivate => "private_cache",
            PageClass::Slab => "slab",
            PageClass::Kernel => "kernel",
            PageClass::Zero => "zero",
            PageClass::Unreadable => "unreadable",
            PageClass::Excluded => "excluded",
            PageClass::Hole => "hole",
            PageClass::Unclassified => "unclassified",
        }
    }

    /// What it is, for people.
    pub fn meaning(self) -> &'static str {
        match self {
            PageClass::Free => "on the lists of the page allocator",
            PageClass::User => "anonymous memory of processes",
            PageClass::Huge => "hugetlb and compound pages of processes",
            PageClass::Cache => "page cache without private data",
            PageClass::CachePrivate => "page cache with private data of its file system",
            PageClass::Slab => "kernel objects of the slab allocator",
            PageClass::Kernel => "all else that the kernel has",
            PageClass::Zero => "what dump level 30 keeps and is nothing but zeros",
            PageClass::Unreadable => "broken, offline or not accepted: never read",
            PageClass::Excluded => "RAM that is not in the dump",
            PageClass::Hole => "no RAM",
            PageClass::Unclassified => "in the dump, of a kernel that is not known",
        }
    }

    /// The class of pages that are left out for `reason`; `huge` where they are a process's and go as a block.
    pub fn of(reason: Reason, huge: bool) -> PageClass {
        match reason {
            Reason::Free => PageClass::Free,
            Reason::User if huge => PageClass::Huge,
            Reason::User => PageClass::User,
            Reason::Cache => PageClass::Cache,
            Reason::CachePrivate => PageClass::CachePrivate,
            Reason::Hwpoison | Reason::Offline | Reason::Unaccepted => PageClass::Unreadable,
        }
    }

    /// Classes of pages that are RAM.
    pub fn is_ram(self) -> bool {
        self != PageClass::Hole
    }

    /// What leaves all pages of the other classes in a dump.
    pub(crate) fn told_by() -> DumpLevel {
        DumpLevel::ZERO.complement()
    }
}

/// Pages of each class, in the order of [`PageClass::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassCounts([u64; PageClass::ALL.len()]);

impl ClassCounts {
    /// Pages of `class`.
    pub fn of(&self, class: PageClass) -> u64 {
        self.0[class as usize]
    }

    /// Pages of all classes.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The classes that have pages, with how many.
    pub fn each(&self) -> impl Iterator<Item = (PageClass, u64)> + use<'_> {
        PageClass::ALL.into_iter().zip(self.0).filter(|(_, pages)| *pages != 0)
    }

    pub(crate) fn add(&mut self, class: PageClass, pages: u64) {
        self.0[class as usize] += pages;
    }

    pub(crate) fn merge(&mut self, other: &ClassCounts) {
        self.0.iter_mut().zip(other.0).for_each(|(here, more)| *here += more);
    }
}
