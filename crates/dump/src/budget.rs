//! How much memory the work may take, and how it is shared out.
//!
//! ```text
//! budget = what the program uses anyway + workers + bitmaps
//!          (BASE)                         (WORKER)  (a bit a page; window by window where all do not fit)
//! ```
//!
//! A capture kernel has 100 to 500 MB for everything, and running out of it costs the dump. See docs/memory.md for
//! what was measured.

use dump_core::PageBitmap;
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
    /// now (bytes): an open input may hold bitmaps and indexes of its own.
    pub fn window(self, taken: u64, threads: usize, bitmaps: u64, most: u64, pages: u64) -> u64 {
        let base = BASE.max(taken + REST);
        let room = self.0.saturating_sub(base + threads as u64 * WORKER).min(most) / bitmaps.max(1);
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

/// Resident memory of this process (bytes).
pub fn taken() -> u64 {
    fs::read_to_string("/proc/self/status").ok().and_then(|text| kib(&text, "VmRSS:")).unwrap_or(0)
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
