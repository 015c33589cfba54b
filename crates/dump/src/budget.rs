//! How much memory the work may take, and how it is shared out.
//!
//! ```text
//! budget = what the program takes anyway + workers + bitmaps
//!          (BASE)                          (WORKER)  (a bit a page; window by window where all do not fit)
//! ```
//!
//! A capture kernel has 100 to 500 MB for everything, and what runs out of it loses the dump. See docs/memory.md for what was
//! measured.

use dump_core::PageBitmap;
use std::fs;
use std::path::{Path, PathBuf};

/// What a run takes before it has workers or bitmaps: the program's own pages, notes and headers, one page table walk.
const BASE: u64 = 6 << 20;

/// What of it is yet to come when an input has been opened: code that has not run, a page table walk, bitmaps of pieces.
const REST: u64 = 3 << 20;

/// What each worker adds: 48 KiB of pages read, a block packed, a codec's tables, the part of its stack that it uses.
const WORKER: u64 = 288 << 10;

/// Bytes of memory that the work may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget(u64);

impl Budget {
    /// What was asked for, or else half of what can be had: the other half is the page cache's, without which writing a dump
    /// to a file is slow.
    pub fn new(asked: Option<u64>) -> Budget {
        Budget(asked.or_else(|| available().map(|bytes| bytes / 2)).unwrap_or(u64::MAX))
    }

    /// Bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// The least that any dump can be made in.
    pub fn least() -> u64 {
        BASE + WORKER + 2 * PageBitmap::most_bytes(PageBitmap::CHUNK_PAGES)
    }

    /// How many of `threads` workers there may be: all, unless a few bitmaps of the smallest kind then had no room left.
    pub fn threads(self, threads: usize) -> usize {
        let rest = self.0.saturating_sub(Budget::least() - WORKER);
        usize::try_from(rest / WORKER).unwrap_or(usize::MAX).clamp(1, threads.max(1))
    }

    /// The pages that a bitmap may span where `bitmaps` of them are held at a time beside `threads` workers, in `most` bytes
    /// if that is less: all `pages`, or as many chunks as fit, at least one. `taken` is what the process has by now (bytes): an
    /// opened input may hold bitmaps and indexes of its own.
    pub fn window(self, taken: u64, threads: usize, bitmaps: u64, most: u64, pages: u64) -> u64 {
        let base = BASE.max(taken + REST);
        let room = self.0.saturating_sub(base + threads as u64 * WORKER).min(most) / bitmaps.max(1);
        if PageBitmap::most_bytes(pages) <= room {
            return pages;
        }
        (room / PageBitmap::most_bytes(PageBitmap::CHUNK_PAGES)).max(1) * PageBitmap::CHUNK_PAGES
    }
}

/// The memory that this process has (bytes), as the kernel counts it.
pub fn taken() -> u64 {
    fs::read_to_string("/proc/self/status").ok().and_then(|text| kib(&text, "VmRSS:")).unwrap_or(0)
}

/// The most memory that this process had at a time so far (bytes), as the kernel counts it.
pub fn peak() -> Option<u64> {
    fs::read_to_string("/proc/self/status").ok().and_then(|text| kib(&text, "VmHWM:"))
}

/// Bytes that this process can still get: what the machine has available, less where a control group allows less.
fn available() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| kib(&text, "MemAvailable:"));
    let groups =
        fs::read_to_string("/proc/self/cgroup").ok().and_then(|text| group(&text, Path::new("/sys/fs/cgroup")));
    machine.into_iter().chain(groups).min()
}

/// A line of `/proc/meminfo` and its like, in bytes.
fn kib(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// What the control group of `/proc/self/cgroup`, and those around it, still allow. Of the first version of control groups
/// the memory controller has a tree of its own.
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

/// The least that the group at `path` below `root` and its ancestors allow beyond what they use. Page cache that they could
/// give back counts as free.
fn limit(root: &Path, path: &str) -> Option<u64> {
    let mut dir: PathBuf = root.join(path);
    let mut least = None;
    loop {
        let number = |names: &[&str]| {
            names.iter().find_map(|name| fs::read_to_string(dir.join(name)).ok()?.trim().parse::<u64>().ok())
        };
        if let Some(max) = number(&["memory.max", "memory.limit_in_bytes"]) {
            let used = number(&["memory.current", "memory.usage_in_bytes"]).unwrap_or(0);
            let stat = fs::read_to_string(dir.join("memory.stat")).unwrap_or_default();
            let cache = |key: &str| stat.lines().find_map(|line| line.strip_prefix(key)?.trim().parse::<u64>().ok());
            let cache = cache("inactive_file ").unwrap_or(0);
            let free = max.saturating_sub(used.saturating_sub(cache));
            least = Some(least.map_or(free, |least: u64| least.min(free)));
        }
        if dir == root || !dir.pop() || !dir.starts_with(root) {
            return least;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn shares() {
        let tib = (1u64 << 40) / 4096;
        // 1 TiB of 4 KiB pages is 32 MiB of bitmap
        assert_eq!(Budget(96 * MIB).window(0, 2, 1, u64::MAX, tib), tib);
        assert_eq!(Budget(64 * MIB).window(0, 2, 1, u64::MAX, tib), tib);
        for budget in [8, 24, 32] {
            let budget = Budget(budget * MIB);
            let window = budget.window(0, 2, 1, u64::MAX, tib);
            assert!(window < tib && window % PageBitmap::CHUNK_PAGES == 0);
            assert!(BASE + 2 * WORKER + PageBitmap::most_bytes(window) <= budget.bytes());
        }
        assert!(Budget(64 * MIB).window(0, 2, 2, u64::MAX, tib) < tib);
        assert!(Budget(64 * MIB).window(40 * MIB, 2, 1, u64::MAX, tib) < tib);
        assert_eq!(Budget(0).window(0, 2, 1, u64::MAX, tib), PageBitmap::CHUNK_PAGES);
        assert_eq!(Budget(u64::MAX).window(0, 2, 1, u64::MAX, tib), tib);
        assert_eq!(Budget(u64::MAX).threads(64), 64);
        assert_eq!(Budget(7 * MIB).threads(64), 3);
        assert_eq!(Budget(u64::MAX).window(0, 2, 1, 4 << 20, tib), 1020 * PageBitmap::CHUNK_PAGES);
        assert_eq!(Budget(0).threads(64), 1);
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
