//! `cargo xtask capture`: the static gdump and makedumpfile in the capture kernel of a real panic, on its `/proc/vmcore`,
//! with one CPU and about 100 MB: pages, sizes, seconds and peak memory side by side.
//!
//! What runs there is `lab/capture.sh`. The guest is emulated: its seconds are good for comparing the two programs, not
//! for what a machine takes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use dump_witness::Kdump;

use crate::lab::{self, KERNELS};
use crate::report::Report;
use crate::{dist, program};

/// What `cargo xtask capture` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Kernel to crash; may be given more than once [default: all]
    #[arg(long, value_name = "VERSION", value_delimiter = ',', value_parser = ["5.10", "6.1", "6.12", "7.2"])]
    kernel: Vec<String>,
    /// Memory of the guest in MiB
    #[arg(long, value_name = "MB", default_value_t = 768, value_parser = clap::value_parser!(u32).range(512..))]
    mem: u32,
    /// MiB of it to fill with data that compresses to about a third, as memory in use does
    #[arg(long, value_name = "MB")]
    rich: Option<u32>,
    /// Where kernels and dumps go, to be found again [default: target/lab]
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// The makedumpfile to run beside gdump
    #[arg(long, value_name = "PATH", default_value = "makedumpfile")]
    peer: String,
    /// Another gdump than this repository's static one
    #[arg(long, value_name = "PATH", hide = true)]
    gdump: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    program::need(lab::PROGRAMS)?;
    program::need(&[&args.peer, "debugfs", "time"])?;
    let gdump = args.gdump.clone().map_or_else(dist::native, Ok)?;
    let peer = program::find(&args.peer).context("makedumpfile was there")?;
    let time = program::find("time").context("time was there")?;
    let mut files = vec![
        (gdump, "/capture/gdump/makedumpfile".to_owned()),
        (peer.clone(), "/capture/peer/makedumpfile".to_owned()),
        (time.clone(), "/bin/time-gnu".to_owned()),
    ];
    files.extend(libraries(&[peer, time])?.into_iter().map(|path| (path.clone(), path.display().to_string())));
    let mut report = Report::default();
    let wanted = |version: &str| args.kernel.is_empty() || args.kernel.iter().any(|wanted| wanted == version);
    for release in KERNELS.iter().filter(|release| wanted(release.0)) {
        let guest = (args.mem, args.rich);
        let captured = lab::capture(release, guest, args.keep.as_deref(), "capture.sh", &files)
            .with_context(|| format!("kernel {}", release.0))?;
        report.start(&format!("kernel {}, {} MiB", release.0, args.mem));
        compare(&captured, &mut report)?;
    }
    report.finish()
}

/// The libraries that programs load.
fn libraries(programs: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let text = program::quiet(Command::new("ldd").args(programs))?;
    let words = text.split_whitespace().filter(|word| word.starts_with('/') && !word.ends_with(':'));
    let mut paths: Vec<PathBuf> = words.map(PathBuf::from).collect();
    paths.sort();
    paths.dedup();
    Ok(paths)
}

/// A run of a program, as the script tells of it.
#[derive(Debug, PartialEq)]
struct Row {
    program: String,
    run: String,
    status: String,
    seconds: f64,
    /// Peak memory in KiB.
    memory: u64,
    /// Bytes of its output.
    bytes: u64,
}

/// All runs that a console tells of.
fn rows(console: &str) -> Vec<Row> {
    console.lines().filter_map(row).collect()
}

fn row(line: &str) -> Option<Row> {
    // the kernel may have begun the line
    let words: Vec<&str> = line.split_once("ROW|")?.1.trim_end().split('|').collect();
    let [program, run, status, used, bytes] = words.try_into().ok()?;
    let (seconds, memory) = used.split_once(' ')?;
    Some(Row {
        program: program.to_owned(),
        run: run.to_owned(),
        status: status.to_owned(),
        seconds: seconds.parse().ok()?,
        memory: memory.parse().ok()?,
        bytes: bytes.parse().ok()?,
    })
}

/// Prints both programs' rows side by side, and compares what they wrote.
fn compare(captured: &lab::Captured, report: &mut Report) -> Result<()> {
    captured.console.lines().filter(|line| line.starts_with("FREE ")).for_each(|line| report.note(line.trim_end()));
    let rows = rows(&captured.console);
    report.note("| run | exit | makedumpfile, s | gdump, s | times faster | MiB | MiB | peak, KiB | peak, KiB |");
    report.note("|---|---|--:|--:|--:|--:|--:|--:|--:|");
    let ours: Vec<&Row> = rows.iter().filter(|row| row.program == "gdump").collect();
    if ours.is_empty() {
        bail!("gdump did nothing in the capture kernel; its console ends: {}", end(&captured.console));
    }
    for ours in ours {
        let Some(peer) = rows.iter().find(|row| row.program == "peer" && row.run == ours.run) else { continue };
        report.note(side_by_side(peer, ours));
        if ours.status != "0" && peer.status == "0" {
            report.differs(format!("{}: exit status {}, makedumpfile's is 0", ours.run, ours.status));
        }
    }
    let dir = tempfile::tempdir()?;
    for name in ["l31", "c31", "c1"] {
        let [peer, ours] = ["peer", "gdump"].map(|who| dump(&captured.disk, &format!("{who}.{name}"), dir.path()));
        let (peer, ours) = (peer?, ours?);
        let differing: u64 = peer.kept.differences(&ours.kept).iter().map(|run| run.pages()).sum();
        match differing {
            0 => report.note(format!("{name}: both keep the same {} pages", ours.kept.count())),
            n => report.differs(format!("{name}: {n} pages are kept by one alone")),
        }
    }
    Ok(())
}

fn side_by_side(peer: &Row, ours: &Row) -> String {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    format!(
        "| `{}` | {}, {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {} | {} |",
        ours.run,
        peer.status,
        ours.status,
        peer.seconds,
        ours.seconds,
        peer.seconds / ours.seconds.max(0.01),
        mib(peer.bytes),
        mib(ours.bytes),
        peer.memory,
        ours.memory
    )
}

/// A dump on the guest's disk.
fn dump(disk: &Path, name: &str, into: &Path) -> Result<Kdump> {
    let to = into.join(name);
    let request = format!("dump /{name} {}", to.display());
    program::quiet(Command::new("debugfs").args(["-R", &request]).arg(disk))?;
    Kdump::open(&to).with_context(|| format!("{name} of the capture kernel"))
}

fn end(console: &str) -> String {
    let lines: Vec<&str> = console.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_from_a_console() {
        let console =
            "[    2.1] x\r\nROW|peer|-l -d 31|0|1.25 9000|12345\r\nROW|gdump|broken\r\nROW|gdump|-c|1|0.5 8|9";
        let rows = rows(console);
        assert_eq!(rows.len(), 2);
        let used = (rows[0].seconds, rows[0].memory, rows[0].bytes);
        assert_eq!((rows[0].run.as_str(), rows[1].status.as_str(), used), ("-l -d 31", "1", (1.25, 9000, 12345)));
    }
}
