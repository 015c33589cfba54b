//! How long a guest stands still: for a capture, and for QEMU's own dump.

use anyhow::Result;

use super::gdump::Gdump;
use super::guest::{Boot, Guest, Kernel};
use super::monitor;
use crate::report::Report;

/// Memory of the guest, and how much of it is filled (MiB).
const MEM: u32 = 1024;
const RICH: u32 = 700;

/// What a capture may take of QEMU's time.
const AIM: f64 = 0.1;

/// A guest to measure on.
pub fn boot(kernel: &Kernel, mem: u32, rich: u32, timeout: u32) -> Result<Guest> {
    let boot = Boot {
        root: &kernel.root,
        arch: kernel.arch,
        busybox: kernel.busybox.clone(),
        mem,
        append: format!("WORKLOAD_MB={rich} WORKLOAD_KIND=rich"),
        lab: Vec::new(),
        qemu: String::new(),
        timeout,
    };
    Guest::boot(&boot, tempfile::Builder::new().prefix("gdump-live-").tempdir()?)
}

/// Measures both by turns.
pub fn check(kernel: &Kernel, timeout: u32, rounds: u32, gdump: &Gdump, report: &mut Report) -> Result<()> {
    let mut guest = boot(kernel, MEM, RICH, timeout)?;
    let (source, output) = (guest.source(), guest.dir().join("out"));
    let to = output.display().to_string();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        guest.monitor.events()?;
        let said = gdump.run(&["capture", "-f", "-D", "-l", "-d", "31", &source, &to])?;
        let stood = monitor::pause(&guest.monitor.events()?)?;
        guest.dump(&guest.dir().join("theirs"), "kdump-zlib")?;
        let other = monitor::pause(&guest.monitor.events()?)?;
        let own_words = said.number("stood still for")?;
        report.note(format!(
            "  round {round}: capture {stood:.3} s (gdump says {own_words:.3} s), QEMU's kdump-zlib {other:.3} s: 1/{:.1}",
            other / stood
        ));
        if round == 1 {
            for stage in ["stop", "map", "notes", "kernel", "plan", "scan", "zero", "copy", "cont"] {
                let took = said.0.lines().find(|line| line.starts_with(&format!("{stage:<17}:")));
                took.into_iter().for_each(|line| report.note(format!("    {line}")));
            }
        }
        let peak = said.after("peak memory").unwrap_or("not said");
        report.note(format!("    peak memory {peak}"));
        within_budget(peak, report);
        ours.push(stood);
        theirs.push(other);
    }
    let (ours, theirs) = (median(&mut ours), median(&mut theirs));
    let text = format!("medians: {ours:.3} s and {theirs:.3} s, {:.3} of it", ours / theirs);
    if ours <= AIM * theirs {
        report.note(format!("  {text}"));
    } else {
        report.differs(format!("{text}; the aim is {AIM}"));
    }
    Ok(())
}

/// `61234 KiB, of a budget of 524288 KiB, ...`
fn within_budget(line: &str, report: &mut Report) {
    let numbers: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers.as_slice() {
        [peak, budget, ..] if peak <= budget => {}
        _ => report.differs(format!("peak memory: {line}")),
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_one() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]).to_bits(), 2f64.to_bits());
    }
}
