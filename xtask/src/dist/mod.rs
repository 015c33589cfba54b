//! `cargo xtask dist`: what is handed out: static binaries, manual pages, completions, hooks for kdump's initramfs.
//!
//! A binary is the same, byte for byte, wherever its tree lies; `--check` builds it a second time elsewhere and compares.

mod binary;
mod build;
mod target;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::{man, program, workspace};
use build::Build;
use target::{TARGETS, Target};

/// What is built for each target, and its size at most: what kdump reserves counts each byte of gdump in the initramfs
/// several times. gdump-fleet stays out of initramfs.
const PROGRAMS: [(&str, usize); 2] = [("gdump", 11 << 19), ("gdump-fleet", 12 << 20)];

/// What is handed out with the binaries, as it stands in the repository.
const FILES: &[&str] = &[
    "man",
    "completions",
    "packaging",
    "docs",
    "README.md",
    "CHANGELOG.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "LICENSE-GPL",
];

/// What `cargo xtask dist` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Build for this target; may be given more than once [default: all]
    #[arg(long, value_name = "TARGET", value_parser = target::parser())]
    target: Vec<String>,
    /// Build each a second time, in a copy of the tree, and compare
    #[arg(long)]
    check: bool,
    /// Where it all goes [default: target/dist]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let wanted = |target: &&Target| args.target.is_empty() || args.target.iter().any(|name| name == target.triple);
    let targets: Vec<&Target> = TARGETS.iter().filter(wanted).collect();
    target::need(&targets)?;
    man::run(&man::Args::default()).context("manual pages and completions are not those of this program")?;
    let out = args.out.clone().map_or_else(|| workspace::target().map(|target| target.join("dist")), Ok)?;
    let here = Build { root: workspace::root()?, target_dir: workspace::target()?.join("dist-build") };
    let mut sums = String::new();
    for target in targets {
        for (program, most) in PROGRAMS {
            let built = here.run(program, target)?;
            binary::check(target, &built, &here.root, most)?;
            if args.check {
                elsewhere(program, target, &built)?;
            }
            let name = format!("{}/{program}", target.arch);
            sums.push_str(&put(&built, &out, &name)?);
        }
    }
    for file in FILES {
        copy(&here.root.join(file), &out)?;
    }
    std::fs::write(out.join("SHA256SUMS"), &sums)?;
    println!("{}:\n{sums}", out.display());
    Ok(())
}

/// The static gdump for this machine.
pub fn native() -> Result<PathBuf> {
    let target = TARGETS.iter().find(|target| target.arch == std::env::consts::ARCH);
    let target = target.with_context(|| format!("no static binary is built for {}", std::env::consts::ARCH))?;
    target::need(&[target])?;
    Build { root: workspace::root()?, target_dir: workspace::target()?.join("dist-build") }.run("gdump", target)
}

/// Builds in a copy of the tree, and compares.
fn elsewhere(program: &str, target: &Target, built: &Path) -> Result<()> {
    let dir = tempfile::Builder::new().prefix("another place for gdump ").tempdir()?;
    let root = dir.path().join("tree");
    build::copy_tree(&workspace::root()?, &root)?;
    let again = Build { root, target_dir: dir.path().join("out") }.run(program, target)?;
    let [here, there] = [built, &again].map(std::fs::read);
    let (here, there) = (here?, there?);
    let at = here.iter().zip(&there).position(|(a, b)| a != b);
    ensure!(
        here == there,
        "{} {program}: two builds of one tree differ: {} and {} bytes, the first difference at {at:?}",
        target.triple,
        here.len(),
        there.len()
    );
    println!("{}: the same bytes from {} and from a copy of it", target.triple, workspace::root()?.display());
    Ok(())
}

/// Puts a file into `out` as `name`; its line for `sha256sum --check`.
fn put(file: &Path, out: &Path, name: &str) -> Result<String> {
    let to = out.join(name);
    std::fs::create_dir_all(to.parent().context("a file has a folder")?)?;
    std::fs::copy(file, &to).with_context(|| to.display().to_string())?;
    let digest = Sha256::digest(std::fs::read(&to)?);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{hex}  {name}\n"))
}

/// Copies a file or a folder with its modes.
fn copy(from: &Path, into: &Path) -> Result<()> {
    program::quiet(Command::new("cp").args(["-r", "--preserve=mode"]).arg(from).arg(into)).map(|_| ())
}
