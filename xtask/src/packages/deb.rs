//! A .deb, by cargo-deb, and a Debian that has it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::root::Root;
use super::{Made, built};
use crate::{program, workspace};

/// Makes it in `out`.
pub fn make(gdump: &Path, out: &Path) -> Result<Made> {
    workspace::need_cargo("deb", "cargo-deb")?;
    let (triple, target_dir) = built(gdump)?;
    let mut cargo = workspace::cargo()?;
    cargo.env("CARGO_TARGET_DIR", target_dir).env("SOURCE_DATE_EPOCH", "0");
    // what was built is as it shall be
    cargo.args(["deb", "--package", "gdump", "--no-build", "--no-strip", "--target", triple, "--output"]);
    program::run(cargo.arg(out))?;
    Ok(Made { file: newest(out, "deb")?, install })
}

/// The file in `dir` that ends in `.ending` and was written last.
pub fn newest(dir: &Path, ending: &str) -> Result<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == ending) {
            files.push((path.metadata()?.modified()?, path));
        }
    }
    files.sort();
    files.pop().map(|(_, path)| path).with_context(|| format!("{}: no .{ending} was made", dir.display()))
}

/// Installs it with the system's own means in the smallest Debian there is.
fn install(file: &Path, suite: &str) -> Result<Root> {
    program::need(&["debootstrap"])?;
    let root = Root::debian(suite)?;
    std::fs::copy(file, root.path().join("gdump.deb"))?;
    program::run(root.command("dpkg").args(["--install", "/gdump.deb"]))?;
    // nothing that it says of itself is missing
    program::run(root.command("dpkg").args(["--verify", "gdump"]))?;
    program::run(root.command("apt-get").arg("check"))?;
    Ok(root.with_program(PathBuf::from("/usr/bin/gdump")))
}
