//! Places in this repository, and the gdump built from it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::program;

/// The repository's root.
pub fn root() -> Result<PathBuf> {
    // Asked at run time, not with env!: the program then holds no path of the machine it was built on.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").context("run me as `cargo xtask`")?;
    let root = Path::new(&manifest).parent().context("the xtask crate has no parent folder")?;
    Ok(root.to_path_buf())
}

/// Where cargo puts what it builds.
pub fn target() -> Result<PathBuf> {
    let root = root()?;
    Ok(root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into())))
}

/// The cargo that runs us, working in the repository's root.
pub fn cargo() -> Result<Command> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()?);
    Ok(cargo)
}

/// What the compiler answers.
pub fn rustc(words: &[&str]) -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    Ok(program::quiet(Command::new(rustc).current_dir(root()?).args(words))?.trim().to_owned())
}

/// The gdump to test: `given`, or this repository's, built now.
pub fn gdump(given: Option<&Path>) -> Result<PathBuf> {
    built("gdump", given)
}

/// The program `name` to test: `given`, or this repository's, built now.
pub fn built(name: &str, given: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = given {
        if !path.is_file() {
            bail!("{}: no such program", path.display());
        }
        return path.canonicalize().with_context(|| path.display().to_string());
    }
    program::run(cargo()?.args(["build", "--release", "--package", name]))?;
    Ok(target()?.join("release").join(name))
}

/// Installs a command of cargo's, `cargo NAME`, of the crate `of`, where it is missing.
pub fn need_cargo(name: &str, of: &str) -> Result<()> {
    if program::output(cargo()?.args([name, "--version"])).is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    program::run(cargo()?.args(["install", of, "--locked"]))
}

/// The Debian mirror that this machine's apt uses.
pub fn debian_mirror() -> Result<String> {
    let uris = program::quiet(Command::new("apt-get").args(["indextargets", "--format", "$(REPO_URI)"]))?;
    let of_debian = |uri: &&str| uri.trim_end_matches('/').ends_with("/debian");
    Ok(uris.lines().find(of_debian).context("this machine's apt names no Debian mirror")?.to_owned())
}
