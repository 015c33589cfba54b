//! `cargo xtask capture`: the static gdump and makedumpfile in the capture kernel of a real panic, on its `/proc/vmcore`,
//! with one CPU and about 100 MB: pages, sizes, seconds and peak memory side by side.
//!
//! What runs there is `lab/capture.sh`, under `lab/measure.c`. The guest is emulated: its seconds are good for comparing
//! programs that took turns in it, not for what a machine takes.

mod measured;
mod outputs;
mod player;
mod table;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::lab::{self, KERNELS};
use crate::report::Report;
use crate::{dist, program, workspace};
use measured::Measured;
use outputs::Outputs;
use player::Player;

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
    /// How often -l -d 31 and -c -d 31 run; the least time and the most memory count
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// Also copy all memory (-c -d 1), which takes makedumpfile minutes in an emulated machine
    #[arg(long)]
    slow: bool,
    /// Where kernels and dumps go, to be found again [default: target/lab]
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// A makedumpfile to run beside gdump; may be given more than once [default: the one in PATH]
    #[arg(long, value_name = "PATH")]
    peer: Vec<String>,
    /// Another gdump than this repository's static one
    #[arg(long, value_name = "PATH", hide = true)]
    gdump: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let peers = if args.peer.is_empty() { vec!["makedumpfile".to_owned()] } else { args.peer.clone() };
    program::need(lab::PROGRAMS)?;
    program::need(&peers.iter().map(String::as_str).chain(["debugfs", "ldd"]).collect::<Vec<_>>())?;
    let scratch = tempfile::tempdir()?;
    let mut players = Vec::new();
    for (n, peer) in peers.iter().enumerate() {
        players.push(Player::peer(n, &program::find(peer).context("makedumpfile was there")?)?);
    }
    players.push(Player::gdump(&args.gdump.clone().map_or_else(dist::native, Ok)?)?);
    let files = files(args, &players, scratch.path())?;

    let mut report = Report::default();
    let wanted = |version: &str| args.kernel.is_empty() || args.kernel.iter().any(|wanted| wanted == version);
    players.iter().for_each(|player| report.note(player));
    for release in KERNELS.iter().filter(|release| wanted(release.0)) {
        report.start(&format!("\nkernel {}, {} MiB", release.0, args.mem));
        let guest = (args.mem, args.rich);
        let captured = lab::capture(release, guest, args.keep.as_deref(), "capture.sh", &files)
            .with_context(|| format!("kernel {}", release.0))?;
        compare(release.0, &captured, &players, &mut report).with_context(|| format!("kernel {}", release.0))?;
    }
    report.finish()
}

/// What goes into the capture kernel's initramfs, and where each is there.
fn files(args: &Args, players: &[Player], scratch: &Path) -> Result<Vec<(PathBuf, String)>> {
    let (measure, plan) = (scratch.join("measure"), scratch.join("plan"));
    let source = workspace::root()?.join("xtask/lab/measure.c");
    program::quiet(Command::new("gcc").args(["-O2", "-static", "-o"]).arg(&measure).arg(source))?;
    let names: Vec<&str> = players.iter().map(|player| player.folder.as_str()).collect();
    let slow = if args.slow { "yes" } else { "no" };
    std::fs::write(&plan, format!("programs='{}'\nrounds={}\nslow={slow}\n", names.join(" "), args.rounds))?;
    let mut files = vec![(measure, "/bin/measure".to_owned()), (plan, "/capture.plan".to_owned())];
    files.extend(players.iter().flat_map(Player::files));
    files.sort_by(|a, b| a.1.cmp(&b.1));
    files.dedup_by(|a, b| a.1 == b.1);
    Ok(files)
}

/// Prints all programs' rows side by side, and compares what they wrote.
fn compare(kernel: &str, captured: &lab::Captured, players: &[Player], report: &mut Report) -> Result<()> {
    captured.console.lines().filter(|line| line.starts_with("FREE ")).for_each(|line| report.note(line.trim_end()));
    let measured = Measured::all(&captured.console);
    let (ours, peers) = players.split_last().context("gdump is the last of the programs")?;
    if !measured.iter().any(|row| row.folder == ours.folder) {
        bail!("gdump did nothing in the capture kernel; its console ends: {}", end(&captured.console));
    }
    let outputs = Outputs::get(&captured.disk, players)?;
    report.note(table::of(kernel, &measured, players, &outputs));
    for row in measured.iter().filter(|row| row.folder == ours.folder && row.status != 0) {
        let good = |other: &&Measured| other.run == row.run && other.folder != row.folder && other.status == 0;
        if let Some(peer) = measured.iter().find(good) {
            report.differs(format!("{}: exit status {}, that of {} is 0", row.run, row.status, peer.folder));
        }
    }
    for peer in peers {
        outputs.compare(peer, ours, report);
    }
    Ok(())
}

fn end(console: &str) -> String {
    let lines: Vec<&str> = console.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}
