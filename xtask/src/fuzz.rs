//! `cargo xtask fuzz`: the targets of `fuzz/`, each for a while: the page encoder, and every parser of a container.
//!
//! libFuzzer comes with cargo-fuzz, whose flags want a nightly compiler; RUSTC_BOOTSTRAP lets the one at hand take
//! them. No address sanitizer: there is no unsafe code to watch, and it would need a standard library built for it.
//! What counts as a find is a panic, a broken promise (each target asserts some), and memory or time out of proportion.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::{program, workspace};

/// The targets.
const TARGETS: &[&str] = &["deflate", "kdump", "elf", "flat", "ranges"];

/// What `cargo xtask fuzz` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Targets to run [default: all]
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(TARGETS))]
    targets: Vec<String>,
    /// Seconds for each
    #[arg(long, value_name = "N", default_value_t = 180, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Longest input in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 18)]
    max_len: u32,
}

/// Runs the command. What was found lies in `fuzz/artifacts`, and the run says how to run it again.
pub fn run(args: &Args) -> Result<()> {
    let installed = program::output(workspace::cargo()?.args(["fuzz", "--version"]));
    if !installed.is_ok_and(|output| output.status.success()) {
        bail!("cargo-fuzz is not installed: cargo install cargo-fuzz --locked");
    }
    let root = workspace::root()?;
    let corpus = root.join("fuzz/corpus");
    seeds(&root, &corpus)?;
    let all: Vec<&str> = args.targets.iter().map(String::as_str).collect();
    let mut failed = Vec::new();
    for target in if all.is_empty() { TARGETS } else { &all } {
        println!("{target}: {} seconds", args.seconds);
        if let Err(error) = one(&root, target, args) {
            println!("{target}: {error:#}");
            failed.push(*target);
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("found something: {}", failed.join(", ")) }
}

/// Writes the inputs to begin with.
fn seeds(root: &Path, corpus: &Path) -> Result<()> {
    let mut cargo = workspace::cargo()?;
    cargo.args(["run", "--quiet", "--release", "--bin", "seeds", "--manifest-path"]);
    cargo.arg(root.join("fuzz/Cargo.toml")).arg("--").arg(corpus);
    program::run(&mut cargo).context("seeds")
}

fn one(root: &Path, target: &str, args: &Args) -> Result<()> {
    let mut cargo = workspace::cargo()?;
    cargo.args(["fuzz", "run", "--sanitizer", "none", target, "--"]);
    cargo.arg(format!("-max_total_time={}", args.seconds)).arg(format!("-max_len={}", args.max_len));
    cargo.args(["-rss_limit_mb=1024", "-timeout=10", "-print_final_stats=1", "-verbosity=0"]);
    program::run(cargo.current_dir(root).env("RUSTC_BOOTSTRAP", "1"))
}
