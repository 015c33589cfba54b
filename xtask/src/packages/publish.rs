//! Whether the crates can be published, each after those that it needs: what goes into their archives builds from them
//! alone.

use std::process::Command;

use anyhow::Result;

use crate::{program, workspace};

/// Packs and builds all crates that are published; sends nothing.
pub fn check() -> Result<()> {
    let mut cargo = workspace::cargo()?;
    cargo.args(["publish", "--workspace", "--dry-run", "--locked"]);
    if is_changed()? {
        println!("the tree has changes that are not committed; they are packed too");
        cargo.arg("--allow-dirty");
    }
    program::run(&mut cargo)?;
    println!("all crates can be published");
    Ok(())
}

/// Whether the working tree differs from its last commit.
fn is_changed() -> Result<bool> {
    let mut git = Command::new("git");
    git.arg("-C").arg(workspace::root()?).args(["status", "--porcelain"]);
    Ok(!program::quiet(&mut git)?.trim().is_empty())
}
