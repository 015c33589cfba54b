//! `cargo xtask schedulers`: the recipes in packaging/schedulers, as they stand there. Slurm's run on a cluster of two nodes
//! that is started for them on this host; Kubernetes' and CI's files are held against their schemas.

mod cluster;
mod recipes;
mod schemas;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::builder::PossibleValuesParser;

use crate::report::Report;
use crate::workspace;

const CHECKS: [&str; 2] = ["schemas", "slurm"];

/// What `cargo xtask schedulers` takes.
#[derive(clap::Args)]
pub struct Args {
    /// What to try [default: all]
    #[arg(value_name = "CHECK", value_parser = PossibleValuesParser::new(CHECKS))]
    checks: Vec<String>,
    /// The gdump to run [default: the one of this tree, built for release]
    #[arg(long, value_name = "GDUMP")]
    gdump: Option<PathBuf>,
}

/// Runs the command; Slurm's part as root.
pub fn run(args: &Args) -> Result<()> {
    let gdump = workspace::gdump(args.gdump.as_deref())?;
    let mut report = Report::default();
    for check in CHECKS.iter().filter(|check| args.checks.is_empty() || args.checks.iter().any(|it| it == *check)) {
        report.start(check);
        match *check {
            "schemas" => schemas::check(&mut report)?,
            "slurm" => recipes::check(&gdump, &mut report)?,
            other => bail!("no such check: {other}"),
        }
    }
    report.finish()
}
