//! `cargo xtask bench`: gdump beside makedumpfile, beside an older gdump, or both, with what gdump-bench measures.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use gdump_bench::outcome::{Line, Outcome};
use gdump_bench::row::Row;
use gdump_bench::{Peer, Setup, chart, table};

use crate::{lab, program, workspace};

/// What `cargo xtask bench` takes.
#[derive(clap::Args)]
pub struct Args {
    /// The dump to filter [default: a 6.1 kernel's of 4 GiB, taken by the lab and kept in target/lab]
    vmcore: Option<PathBuf>,
    /// The makedumpfile to hold against; one built without zstd has no -z row
    #[arg(long, value_name = "PATH", default_value = "makedumpfile")]
    peer: String,
    /// Leave makedumpfile out
    #[arg(long, conflicts_with_all = ["peer", "svg"])]
    no_peer: bool,
    /// An older gdump: prints the ratio of each row to it, and fails where a row takes 3 % more time
    #[arg(long, value_name = "PATH")]
    before: Option<PathBuf>,
    /// Another gdump than this repository's
    #[arg(long, value_name = "PATH")]
    gdump: Option<PathBuf>,
    /// Runs of each program in each row; the table shows medians
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Only this row, such as "-l -d 31", "-c -d 1, one thread" or "re-filter -z -d 31"; may be given more than once
    #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true)]
    row: Vec<String>,
    /// Write the table for README and CHANGELOG to a file
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write a chart of the ratios to a file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let setup = setup(args)?;
    let mut begun = std::cell::Cell::new(false);
    let show = |outcome: &Outcome, line: &Line| {
        if !begun.replace(true) {
            println!("{}", table::head(outcome));
        }
        println!("{}", table::line(outcome, line));
    };
    let (outcome, failed) = gdump_bench::measure(&setup, show)?;
    if *begun.get_mut() {
        println!("{}", table::foot(&outcome));
    }
    write(args.markdown.as_deref(), || table::markdown(&outcome))?;
    write(args.svg.as_deref(), || chart::svg(&outcome))?;
    if !failed.is_empty() {
        bail!("not measured:\n{}", failed.join("\n"));
    }
    match outcome.slower().as_slice() {
        [] => Ok(()),
        rows => bail!("slower than before: {}", rows.join("; ")),
    }
}

/// Builds and finds what is to be measured.
fn setup(args: &Args) -> Result<Setup> {
    // Before anything is built or taken.
    let rows: Vec<Row> = args.row.iter().map(|name| Row::parse(name)).collect::<Result<_>>()?;
    program::need(gdump_bench::PROGRAMS)?;
    let peer = (!args.no_peer).then(|| peer(&args.peer)).transpose()?;
    let before = args.before.as_deref().map(|path| workspace::gdump(Some(path))).transpose()?;
    let gdump = workspace::gdump(args.gdump.as_deref())?;
    let vmcore = args.vmcore.clone().map_or_else(lab::bench_vmcore, Ok)?;
    Ok(Setup { vmcore, gdump, before, peer, runs: args.runs, rows })
}

/// makedumpfile, and the program that measures codecs alone, built now.
fn peer(name: &str) -> Result<Peer> {
    program::need(&[name])?;
    let words = ["--release", "--package", "dump-kdump", "--features", "lzo", "--example", "codec_limit"];
    program::run(workspace::cargo()?.arg("build").args(words))?;
    let program = program::find(name).with_context(|| name.to_owned())?;
    Ok(Peer { program, codec_limit: workspace::target()?.join("release/examples/codec_limit") })
}

fn write(path: Option<&Path>, text: impl Fn() -> String) -> Result<()> {
    path.map_or(Ok(()), |path| std::fs::write(path, text()).with_context(|| path.display().to_string()))
}
