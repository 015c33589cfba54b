//! A .rpm, by cargo-generate-rpm, and a root whose rpm has it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::root::Root;
use super::{Made, built, deb};
use crate::{program, workspace};

/// Makes it in `out`.
pub fn make(gdump: &Path, out: &Path) -> Result<Made> {
    workspace::need_cargo("generate-rpm", "cargo-generate-rpm")?;
    let (triple, target_dir) = built(gdump)?;
    let mut cargo = workspace::cargo()?;
    cargo.args(["generate-rpm", "--package", "crates/gdump", "--target", triple, "--source-date", "0"]);
    program::run(cargo.arg("--target-dir").arg(target_dir).arg("--output").arg(out))?;
    Ok(Made { file: deb::newest(out, "rpm")?, install })
}

/// Installs it in a root that has nothing else, with a database of its own.
fn install(file: &Path, _: &str) -> Result<Root> {
    program::need(&["rpm"])?;
    let root = Root::empty()?;
    let rpm = || {
        let mut rpm = Command::new("rpm");
        rpm.arg("--root").arg(root.path());
        rpm
    };
    let file = file.canonicalize().with_context(|| file.display().to_string())?;
    program::run(rpm().arg("--initdb"))?;
    // it needs nothing, so that it asks for nothing that this root lacks
    program::run(rpm().args(["--install", "--nosignature"]).arg(&file))?;
    program::run(rpm().args(["--verify", "gdump"]))?;
    Ok(root.with_program(PathBuf::from("/usr/bin/gdump")))
}
