//! /proc/kpageflags: what a kernel says of each of its pages (Linux, include/uapi/linux/kernel-page-flags.h).

use anyhow::{Result, ensure};

const LRU: u64 = 1 << 5;
const SLAB: u64 = 1 << 7;
const BUDDY: u64 = 1 << 10;
const ANON: u64 = 1 << 12;
const SWAPCACHE: u64 = 1 << 13;
const SWAPBACKED: u64 = 1 << 14;
const COMPOUND_HEAD: u64 = 1 << 15;
const COMPOUND_TAIL: u64 = 1 << 16;
const HUGE: u64 = 1 << 17;
const HWPOISON: u64 = 1 << 19;
const NOPAGE: u64 = 1 << 20;
const OFFLINE: u64 = 1 << 23;
/// Of those that only hackers of the kernel are to use.
const PRIVATE: u64 = 1 << 35;

/// What a page is for, by the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// There is no struct page.
    Absent,
    /// Free, in the buddy allocator.
    Free,
    /// Taken away from the guest.
    Offline,
    /// Hardware found it bad.
    Poisoned,
    /// In the page cache, with private data or not.
    Cache { private: bool },
    /// A process's.
    User,
    /// The kernel's own.
    Kernel,
}

impl Use {
    /// Whether a dump at `level` leaves it out.
    pub fn is_left_out(self, level: u32) -> bool {
        let bits = match self {
            Use::Absent | Use::Kernel => 0,
            Use::Poisoned | Use::Offline => return true,
            Use::Free => 16,
            Use::User => 8,
            Use::Cache { private: true } => 4,
            Use::Cache { private: false } => 2 | 4,
        };
        level & bits != 0
    }
}

/// The uses of all pages, by pfn, from the words that the guest read.
///
/// # Errors
/// If `bytes` are not such words.
pub fn uses(bytes: &[u8], big_endian: bool) -> Result<Vec<Use>> {
    ensure!(!bytes.is_empty() && bytes.len() % 8 == 0, "{} bytes of /proc/kpageflags", bytes.len());
    let (mut head, mut uses) = (0, Vec::with_capacity(bytes.len() / 8));
    for word in bytes.chunks_exact(8) {
        let word = <[u8; 8]>::try_from(word)?;
        let flags = if big_endian { u64::from_be_bytes(word) } else { u64::from_le_bytes(word) };
        // a tail of a compound page is what its head is
        head = if flags & COMPOUND_TAIL == 0 { flags } else { head | flags & COMPOUND_HEAD };
        uses.push(use_of(flags, head));
    }
    Ok(uses)
}

fn use_of(flags: u64, head: u64) -> Use {
    let has = |flag| head & flag != 0;
    if flags & NOPAGE != 0 {
        Use::Absent
    } else if flags & HWPOISON != 0 {
        Use::Poisoned
    } else if flags & BUDDY != 0 {
        Use::Free
    } else if flags & OFFLINE != 0 {
        Use::Offline
    } else if has(HUGE) || has(ANON) && !has(SLAB) {
        Use::User
    } else if has(LRU) || has(SWAPCACHE) && has(SWAPBACKED) {
        Use::Cache { private: has(PRIVATE) }
    } else {
        Use::Kernel
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_what_its_head_is() {
        let words = [COMPOUND_HEAD | ANON | LRU, COMPOUND_TAIL, LRU | PRIVATE, LRU, BUDDY, 0, NOPAGE, HWPOISON];
        let want = [
            Use::User,
            Use::User,
            Use::Cache { private: true },
            Use::Cache { private: false },
            Use::Free,
            Use::Kernel,
            Use::Absent,
            Use::Poisoned,
        ];
        let bytes = |order: fn(u64) -> [u8; 8]| words.into_iter().flat_map(order).collect::<Vec<u8>>();
        assert_eq!(uses(&bytes(u64::to_le_bytes), false).unwrap(), want);
        assert_eq!(uses(&bytes(u64::to_be_bytes), true).unwrap(), want);
        assert!(uses(&[0; 12], false).is_err());
    }

    #[test]
    fn levels_are_those_of_the_manual() {
        let left_out = |of: Use| (0..32).filter(|level| of.is_left_out(*level)).count();
        assert_eq!(left_out(Use::Kernel), 0);
        assert_eq!(left_out(Use::Cache { private: false }), 24);
        assert_eq!([Use::Free, Use::User, Use::Cache { private: true }].map(left_out), [16; 3]);
        assert_eq!(left_out(Use::Poisoned), 32);
    }
}
