//! How much memory the work may take, and how it is shared out.
//!
//! ```text
//! budget = what the program uses anyway + workers + bitmaps
//!          (BASE)                         (WORKER)  (a bit a page; window by window where all do not fit)
//! ```
//!
//! A capture kernel has 100 to 500 MB for everything, and running out of it costs the dump. See docs/memory.md for
//! what was measured.

use dump_core::{Error, ErrorKind, PageBitmap, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Bytes that a run uses before it has workers or bitmaps: the program's own pages, notes and headers, one page table
/// walk.
const BASE: u64 = 6 << 20;

/// Bytes of these that are still to come once an input is open: code that has not run, a page table walk, small
/// bitmaps.
const REST: u64 = 3 << 20;

/// Bytes that each worker adds: 48 KiB of pages read, a block compressed, a codec's tables, the part of its stack that
/// it uses.
const WORKER: u64 = 288 << 10;

/// Address space of a worker's stack (bytes), the standard library's default; more than the worker ever uses of it, but
/// all of it counts where address space is limited.
const STACK: u64 = 2 << 20;

/// Address space that a run takes beside its workers, once it has begun (bytes); measured.
const LEAST_SPACE: u64 = 3 << 20;

/// Address space that each worker adds beside its stack (bytes), more than it uses of it; measured.
const WORKER_SPACE: u64 = 1 << 20;

/// Bytes of memory that the work may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget(u64);

impl Budget {
    /// `asked` bytes, or half of what is available: the other half is left to the page cache, without which writing a
    /// dump to a file is slow.
    pub fn new(asked: Option<u64>) -> Budget {
        Budget(asked.or_else(|| available().map(|bytes| bytes / 2)).unwrap_or(u64::MAX))
    }

    /// Bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// The least that any dump can be made with (bytes).
    pub fn least() -> u64 {
        BASE + WORKER + 2 * PageBitmap::most_bytes(PageBitmap::CHUNK_PAGES)
    }

    /// How many of `threads` workers fit: all, unless that leaves no room for the smallest bitmaps.
    pub fn threads(self, threads: usize) -> usize {
        let rest = self.0.saturating_sub(Budget::least() - WORKER);
        usize::try_from(rest / WORKER).unwrap_or(usize::MAX).clamp(1, threads.max(1))
    }

    /// The pages that a bitmap may span if `bitmaps` of them are held at a time beside `threads` workers, and in no
    /// more than `most` bytes: all `pages`, or as many chunks as fit, at least one. `taken` is what the process uses by
    /// now: an open input may hold bitmaps and indexes of its own.
    pub fn window(self, taken: Taken, threads: usize, bitmaps: u64, most: u64, pages: u64) -> u64 {
        let workers = threads as u64 * WORKER;
        let memory = self.0.saturating_sub(BASE.max(taken.memory + REST) + workers);
        let space = taken.space_left.saturating_sub(REST + workers);
        let room = memory.min(space).min(most) / bitmaps.max(1);
        if PageBitmap::most_bytes(pages) <= room {
            return pages;
        }
        (room / PageBitmap::most_bytes(PageBitmap::CHUNK_PAGES)).max(1) * PageBitmap::CHUNK_PAGES
    }
}

/// What finding unused pages of the vmemmap takes (bytes) for a machine with so many pages: two bits for each in parts
/// of memory that have some of it, which is a 64th of memory and in few places, unless its pages are mapped one by one.
pub fn vmemmap(pages: u64) -> u64 {
    let chunks = pages / PageBitmap::CHUNK_PAGES;
    2 * (PageBitmap::most_bytes(pages / 64 + PageBitmap::CHUNK_PAGES) + 16 * chunks)
}

/// What this process uses by now.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Resident memory (bytes).
    memory: u64,
    /// Address space that its limit leaves (bytes).
    space_left: u64,
}

impl Taken {
    /// By what the system says.
    pub fn now() -> Taken {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let left = address_space(&limits).map(|limit| limit.saturating_sub(kib(&status, "VmSize:").unwrap_or(0)));
        Taken { memory: kib(&status, "VmRSS:").unwrap_or(0), space_left: left.unwrap_or(u64::MAX) }
    }

    /// With `bytes` more.
    pub(crate) fn and(self, bytes: u64) -> Taken {
        Taken { memory: self.memory + bytes, space_left: self.space_left.saturating_sub(bytes) }
    }

    /// How many of `threads` workers the limit on address space has room for, one of them this thread.
    ///
    /// # Errors
    /// If not even this thread has room to work.
    pub fn threads(self, threads: usize) -> Result<usize> {
        self.leaves(LEAST_SPACE)?;
        let rest = self.space_left - LEAST_SPACE;
        let fit = usize::try_from(rest / (STACK + WORKER_SPACE)).unwrap_or(usize::MAX);
        Ok(threads.min(fit).max(1))
    }

    /// Sees whether the limit on address space leaves room for `least` bytes.
    ///
    /// # Errors
    /// If it does not.
    pub fn leaves(self, least: u64) -> Result<()> {
        if self.space_left >= least {
            return Ok(());
        }
        let (left, least) = (self.space_left >> 10, least >> 10);
        let text = format!("the limit on address space leaves {left} KiB, expected at least {least} KiB");
        Err(Error::new(ErrorKind::Io, text).hint("ulimit -v"))
    }
}

/// The limit on address space in a text of `/proc/self/limits` (bytes), if there is one.
fn address_space(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Peak of the resident memory of this process (bytes).
pub fn peak() -> Option<u64> {
    fs::read_to_string("/proc/self/status").ok().and_then(|text| kib(&text, "VmHWM:"))
}

/// Bytes that this process can still allocate: what the machine has available, or less if a control group allows less.
fn available() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| kib(&text, "MemAvailable:"));
    let groups =
        fs::read_to_string("/proc/self/cgroup").ok().and_then(|text| group(&text, Path::new("/sys/fs/cgroup")));
    machine.into_iter().chain(groups).min()
}

/// The value of a line of `/proc/meminfo` and its like, in bytes.
fn kib(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// What the control group in `/proc/self/cgroup`, and those around it, still allow (bytes). In version 1 of control
/// groups the memory controller has a tree of its own.
fn group(cgroup: &str, root: &Path) -> Option<u64> {
    let of = |line: &str| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let root = match controllers {
            "" => root.to_owned(),
            list if list.split(',').any(|name| name == "memory") => root.join("memory"),
            _ => return None,
        };
        limit(&root, path.trim_start_matches('/'))
    };
    cgroup.lines().filter_map(of).min()
}

/// The least that the group at `path` below `root` and its ancestors allow beyond what they use (bytes).
fn limit(root: &Path, path: &str) -> Option<u64> {
    let dir: PathBuf = root.join(path);
    let groups = dir.ancestors().take_while(|dir| dir.starts_with(root));
    groups.filter_map(free).min()
}

/// What one group allows beyond what it uses (bytes). Page cache that it could give back counts as free.
fn free(dir: &Path) -> Option<u64> {
    let file = |name: &str| fs::read_to_string(dir.join(name)).ok();
    let number = |names: &[&str]| names.iter().find_map(|name| file(name)?.trim().parse::<u64>().ok());
    let max = number(&["memory.max", "memory.limit_in_bytes"])?;
    let used = number(&["memory.current", "memory.usage_in_bytes"]).unwrap_or(0);
    let stat = file("memory.stat").unwrap_or_default();
    let cache = stat.lines().find_map(|line| line.strip_prefix("inactive_file ")?.trim().parse().ok());
    Some(max.saturating_sub(used.saturating_sub(cache.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const NOTHING: Taken = Taken { memory: 0, space_left: u64::MAX };

    #[test]
    fn shares() {
        let tib = (1u64 << 40) / 4096;
        // 1 TiB of 4 KiB pages is 32 MiB of bitmap
        assert_eq!(Budget(96 * MIB).window(NOTHING, 2, 1, u64::MAX, tib), tib);
        assert_eq!(Budget(64 * MIB).window(NOTHING, 2, 1, u64::MAX, tib), tib);
        for budget in [8, 24, 32] {
            let budget = Budget(budget * MIB);
            let window = budget.window(NOTHING, 2, 1, u64::MAX, tib);
            assert!(window < tib && window % PageBitmap::CHUNK_PAGES == 0);
            assert!(BASE + 2 * WORKER + PageBitmap::most_bytes(window) <= budget.bytes());
        }
        assert!(Budget(64 * MIB).window(NOTHING, 2, 2, u64::MAX, tib) < tib);
        assert!(Budget(64 * MIB).window(Taken { memory: 40 * MIB, ..NOTHING }, 2, 1, u64::MAX, tib) < tib);
        assert_eq!(Budget(0).window(NOTHING, 2, 1, u64::MAX, tib), PageBitmap::CHUNK_PAGES);
        assert_eq!(Budget(u64::MAX).window(NOTHING, 2, 1, u64::MAX, tib), tib);
        assert_eq!(Budget(u64::MAX).threads(64), 64);
        assert_eq!(Budget(7 * MIB).threads(64), 3);
        // a chunk is 4 KiB of bits, and what leads to it, which is less where words are of 32 bits
        let chunks = (4 << 20) / PageBitmap::most_bytes(PageBitmap::CHUNK_PAGES);
        assert!((1020..=1021).contains(&chunks));
        assert_eq!(Budget(u64::MAX).window(NOTHING, 2, 1, 4 << 20, tib), chunks * PageBitmap::CHUNK_PAGES);
        assert_eq!(Budget(0).threads(64), 1);
    }

    #[test]
    fn address_space_is_shared_too() {
        let tib = (1u64 << 40) / 4096;
        let left = |space_left| Taken { memory: 0, space_left };
        assert_eq!(NOTHING.threads(64).unwrap(), 64);
        assert_eq!(left(LEAST_SPACE + 3 * (STACK + WORKER_SPACE)).threads(64).unwrap(), 3);
        assert_eq!(left(LEAST_SPACE).threads(64).unwrap(), 1);
        let e = left(LEAST_SPACE - 1).threads(64).unwrap_err().to_string();
        assert!(e.contains("ulimit -v"), "{e}");
        let window = Budget(u64::MAX).window(left(16 * MIB), 2, 1, u64::MAX, tib);
        assert!(window < tib && PageBitmap::most_bytes(window) + REST + 2 * WORKER <= 16 * MIB);
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax address space  14336000  unlimited  bytes\n";
        assert_eq!(address_space(limits), Some(14_336_000));
        assert_eq!(address_space(&limits.replace("14336000", "unlimited")), None);
    }

    #[test]
    fn meminfo() {
        let text = "MemTotal:       16000 kB\nMemFree:   10 kB\nMemAvailable:    1234 kB\n";
        assert_eq!(kib(text, "MemAvailable:"), Some(1234 * 1024));
        assert_eq!(kib("MemAvailable: many kB\n", "MemAvailable:"), None);
    }

    #[test]
    fn the_tightest_group_counts() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("outer/inner");
        fs::create_dir_all(&inner).unwrap();
        let write = |path: &str, text: &str| fs::write(root.path().join(path), text).unwrap();
        write("outer/inner/memory.max", "max\n");
        assert_eq!(group("0::/outer/inner\n", root.path()), None);
        write("outer/memory.max", "1000000\n");
        write("outer/memory.current", "300000\n");
        write("outer/memory.stat", "anon 1\ninactive_file 100000\n");
        assert_eq!(group("0::/outer/inner\n", root.path()), Some(800_000));
        write("outer/inner/memory.max", "500000\n");
        assert_eq!(group("0::/outer/inner\n", root.path()), Some(500_000));
        // the first version: the controller's own tree
        fs::create_dir_all(root.path().join("memory/job")).unwrap();
        write("memory/job/memory.limit_in_bytes", "70000\n");
        write("memory/job/memory.usage_in_bytes", "20000\n");
        assert_eq!(group("3:cpu:/\n2:memory,x:/job\n", root.path()), Some(50_000));
    }
}
