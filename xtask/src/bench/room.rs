//! Is there memory for what is to be held in memory?

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::program;

use super::sample::mib;

/// Outputs, inputs made of the dump, and pages for the codec lie in `/dev/shm`: together up to this many times the dump.
/// (`-d 0`, the largest, writes as much as it reads; of a dump whose memory is mostly zero, the others hold half of it.)
const TIMES: f64 = 1.2;

/// Fails where `dir`, a tmpfs, or the machine has too little room to measure on a dump of `len` bytes.
pub fn need(dir: &Path, len: u64) -> Result<()> {
    let output = program::quiet(Command::new("df").args(["--output=avail", "-B1"]).arg(dir))?;
    let free = output.lines().last().and_then(|line| line.trim().parse().ok());
    let free = free.with_context(|| format!("df printed {output:?}"))?;
    check(dir, len, free, available(&std::fs::read_to_string("/proc/meminfo")?)?)
}

/// `free` bytes of the tmpfs, `memory` bytes that the machine could hand out.
fn check(dir: &Path, len: u64, free: u64, memory: u64) -> Result<()> {
    let wanted = len as f64 * TIMES;
    if (free as f64) < wanted {
        let (have, want) = (mib(free), wanted / 1_048_576.0);
        bail!("{}: {have:.0} MiB free, but {want:.0} are needed (mount -o remount,size=...)", dir.display());
    }
    // The dump itself has to stay in the page cache besides, which counts as available.
    let wanted = wanted + len as f64;
    if (memory as f64) < wanted {
        let (have, want) = (mib(memory), wanted / 1_048_576.0);
        bail!("{have:.0} MiB of memory are available, but {want:.0} are needed to keep the dump and the outputs there");
    }
    Ok(())
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
fn available(meminfo: &str) -> Result<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).context("/proc/meminfo has no MemAvailable")?;
    Ok(kib.parse::<u64>().context("MemAvailable")? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_room_is_one_line() {
        let (dir, mib) = (Path::new("/dev/shm"), 1 << 20);
        assert!(check(dir, 1000 * mib, 1200 * mib, 2200 * mib).is_ok());
        let little = check(dir, 1000 * mib, 1199 * mib, 9000 * mib).unwrap_err().to_string();
        assert!(little.starts_with("/dev/shm: 1199 MiB free, but 1200 are needed"), "{little}");
        let memory = check(dir, 1000 * mib, 1200 * mib, 2199 * mib).unwrap_err().to_string();
        assert!(memory.starts_with("2199 MiB of memory are available, but 2200") && !memory.contains('\n'), "{memory}");
    }

    #[test]
    fn available_memory() {
        assert_eq!(available("MemTotal:  9 kB\nMemAvailable:   23 kB\n").unwrap(), 23 * 1024);
        assert!(available("").is_err());
    }
}
