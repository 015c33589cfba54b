//! `cargo xtask fuzz`: the targets of `fuzz/`, each for a while, with the address sanitizer.
//!
//! What the targets do is in `crates/dump-fuzz`, and ordinary tests run it on all that was found before. What counts as
//! a find here is a broken promise, a panic, what the sanitizer sees (in C libraries too, which codecs are), and time or
//! memory out of proportion: an input of at most 256 KiB that takes more than ten seconds of a busy machine under the
//! sanitizer, an allocation of more than [`largest`] says, or more than a gigabyte in all, of which the sanitizer takes most.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{program, workspace};

/// libFuzzer needs flags that only this toolchain has.
const TOOLCHAIN: &str = "nightly";

/// What an input may cost, and how much of it is reported.
const LIMITS: &[&str] =
    &["-max_len=262144", "-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1", "-verbosity=0"];

/// The largest piece of memory that a target may ask for (MiB). What zstd packed with `--long=27` is unpacked with a window
/// of 128 MiB.
fn largest(target: &str) -> u32 {
    if matches!(target, "packed" | "whole") { 136 } else { 64 }
}

/// What `cargo xtask fuzz` takes.
#[derive(clap::Args)]
pub struct Args {
    /// The target to run, a file of fuzz/fuzz_targets, or "all"
    #[arg(default_value = "all")]
    target: String,
    /// Seconds for each target
    #[arg(default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
}

/// Runs the command. What was found lies in `fuzz/artifacts`, and the run says how to run it again; mended, it goes to
/// `fuzz/regressions`.
pub fn run(args: &Args) -> Result<()> {
    let root = workspace::root()?;
    let all = targets(&root)?;
    let chosen: Vec<&String> = all.iter().filter(|name| args.target == "all" || **name == args.target).collect();
    if chosen.is_empty() {
        bail!("no target {:?}; there are {}", args.target, all.join(", "));
    }
    need_cargo_fuzz()?;
    let corpus = root.join("fuzz/corpus");
    seeds(&corpus)?;
    let mut failed = Vec::new();
    for target in chosen {
        println!("{target}: {} seconds", args.seconds);
        if let Err(error) = one(&root, target, args.seconds) {
            println!("{target}: {error:#}");
            failed.push(target.as_str());
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("found something: {}", failed.join(", ")) }
}

/// The names of all targets, a file each.
fn targets(root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for file in fs::read_dir(root.join("fuzz/fuzz_targets")).context("fuzz/fuzz_targets")? {
        names.extend(file?.path().file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// Fails with what is missing and how to get it.
fn need_cargo_fuzz() -> Result<()> {
    let works = |command: &mut Command| program::output(command).is_ok_and(|output| output.status.success());
    if !works(Command::new("rustup").args(["run", TOOLCHAIN, "rustc", "--version"])) {
        bail!("the {TOOLCHAIN} toolchain is not installed: rustup toolchain install {TOOLCHAIN} --profile minimal");
    }
    if !works(cargo_fuzz().arg("--version")) {
        bail!("cargo-fuzz is not installed: cargo install cargo-fuzz --locked");
    }
    Ok(())
}

fn cargo_fuzz() -> Command {
    let mut rustup = Command::new("rustup");
    // what the cargo that runs us has set is its own
    for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN", "CARGO_TARGET_DIR", "CARGO_PROFILE_DEV_DEBUG"] {
        rustup.env_remove(name);
    }
    rustup.args(["run", TOOLCHAIN, "cargo", "fuzz"]);
    rustup
}

/// Writes the inputs to begin with.
fn seeds(corpus: &Path) -> Result<()> {
    let mut cargo = workspace::cargo()?;
    cargo.args(["run", "--quiet", "--package", "dump-fuzz", "--example", "seeds", "--"]).arg(corpus);
    program::run(&mut cargo).context("seeds")
}

fn one(root: &Path, target: &str, seconds: u32) -> Result<()> {
    let mut command = cargo_fuzz();
    command.arg("run").arg(target).arg(format!("fuzz/corpus/{target}"));
    let kept = format!("fuzz/regressions/{target}");
    if root.join(&kept).is_dir() {
        command.arg(kept);
    }
    command.arg("--").arg(format!("-max_total_time={seconds}")).args(LIMITS);
    command.arg(format!("-malloc_limit_mb={}", largest(target)));
    // what was freed is remembered, but not in hundreds of megabytes
    program::run(command.current_dir(root).env("ASAN_OPTIONS", "quarantine_size_mb=16"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_files() {
        let names = targets(&workspace::root().unwrap()).unwrap();
        assert!(
            names.iter().any(|name| name == "whole") && names.iter().any(|name| name == "page_tables"),
            "{names:?}"
        );
    }
}
