//! `cargo xtask live`: captures of running guests, held against QEMU's own dumps of them at the same stop; the time that
//! a guest stands still beside what QEMU's own dump takes; and interruptions, after which the guest must run.

mod death;
mod equality;
pub mod gdump;
pub mod guest;
mod interruption;
mod monitor;
mod pause;
mod trouble;

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::report::Report;
use crate::{lab, program, workspace};
use gdump::Gdump;
use guest::Kernel;

/// What booting a guest needs beside its emulator and its compiler.
const PROGRAMS: &[&str] = &["apt-get", "bash", "busybox", "cpio", "dpkg-deb", "kill", "mkfs.ext4", "python3", "zstd"];

/// What `cargo xtask live` takes.
#[derive(clap::Args)]
pub struct Args {
    /// The checks to make, whose names begin with one of these [default: all]
    #[arg(value_name = "CHECK")]
    checks: Vec<String>,
    /// Name the checks there are, and no more
    #[arg(long)]
    list: bool,
    /// Where kernels go, to be found again [default: target/lab]
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// The gdump to check [default: this repository's, built for release]
    #[arg(long, value_name = "BIN")]
    gdump: Option<PathBuf>,
    /// Seconds that a guest may take to boot; emulation is slow
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u32,
    /// Times that both pauses are measured
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: u32,
    /// Captures that are interrupted
    #[arg(long, value_name = "N", default_value_t = 200)]
    interruptions: u32,
    /// Another order of interruptions
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// A check by its name.
enum Check {
    Equality(&'static equality::Case),
    Pause,
    Interruptions,
    Death,
}

impl Check {
    fn all() -> impl Iterator<Item = Check> {
        let cases = equality::CASES.iter().map(Check::Equality);
        cases.chain([Check::Pause, Check::Interruptions, Check::Death])
    }

    fn name(&self) -> String {
        match self {
            Check::Equality(case) => case.name(),
            Check::Pause => "pause".to_owned(),
            Check::Interruptions => "interruptions".to_owned(),
            Check::Death => "death".to_owned(),
        }
    }

    fn arch(&self) -> &'static str {
        match self {
            Check::Equality(case) => case.arch,
            _ => "amd64",
        }
    }

    fn run(&self, args: &Args, kernel: &Kernel, gdump: &Gdump, report: &mut Report) -> Result<()> {
        match self {
            Check::Equality(case) => equality::check(case, kernel, args.timeout, gdump, report),
            Check::Pause => pause::check(kernel, args.timeout, args.rounds, gdump, report),
            Check::Interruptions => {
                interruption::check(kernel, args.timeout, (args.seed, args.interruptions), gdump, report)
            }
            Check::Death => death::check(args.seed, gdump, report),
        }
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let wanted = |name: &str| args.checks.is_empty() || args.checks.iter().any(|wanted| name.starts_with(wanted));
    let checks: Vec<Check> = Check::all().filter(|check| wanted(&check.name())).collect();
    if args.list {
        checks.iter().for_each(|check| println!("{}", check.name()));
        return Ok(());
    }
    if checks.is_empty() {
        bail!("no such check; --list names them");
    }
    program::need(PROGRAMS)?;
    let gdump = Gdump { program: workspace::gdump(args.gdump.as_deref())? };
    let keep = lab::keep(args.keep.as_deref())?;
    let mut report = Report::default();
    for check in checks {
        report.start(&check.name());
        let kernel = Kernel::get(check.arch(), &keep)?;
        if let Err(error) = check.run(args, &kernel, &gdump, &mut report) {
            report.differs(format!("{}: {error:#}", check.name()));
        }
    }
    report.finish()
}
