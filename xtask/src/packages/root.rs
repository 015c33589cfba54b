//! A root of a system that has a package and, but for what it came with, nothing else.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::{program, workspace};

/// The root; gone with its value.
pub struct Root {
    dir: TempDir,
    program: PathBuf,
}

/// What a newcomer runs: the README's quick start.
const COMMANDS: &[&[&str]] = &[
    &["-c", "-d", "31", "/vmcore", "/out.kdump"],
    &["estimate", "/vmcore"],
    &["info", "/out.kdump"],
    &["check", "/out.kdump"],
];

impl Root {
    /// One with nothing in it.
    pub fn empty() -> Result<Root> {
        Ok(Root { dir: tempfile::tempdir()?, program: PathBuf::new() })
    }

    /// The smallest Debian.
    pub fn debian(suite: &str) -> Result<Root> {
        let root = Root::empty()?;
        let mut debootstrap = Command::new(program::find("debootstrap").context("no debootstrap")?);
        program::run(debootstrap.args(["--variant=minbase", suite]).arg(root.path()).arg(workspace::debian_mirror()?))?;
        Ok(root)
    }

    /// With the program at this path in it.
    pub fn with_program(self, program: PathBuf) -> Root {
        Root { program, ..self }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A command that sees nothing outside of it.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut chroot = Command::new("chroot");
        chroot.arg(self.path()).arg(program.as_ref());
        chroot.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("DEBIAN_FRONTEND", "noninteractive");
        chroot
    }

    /// Runs what a newcomer would, on a dump that is put there.
    pub fn try_gdump(&self) -> Result<()> {
        let packed = std::fs::read(workspace::root()?.join("fixtures/tiny/vmcore.zst"))?;
        std::fs::write(self.path().join("vmcore"), zstd::decode_all(&packed[..])?)?;
        for words in COMMANDS {
            program::run(self.command(&self.program).args(*words))?;
        }
        ensure!(self.path().join("out.kdump").metadata()?.len() > 0, "an empty dump");
        Ok(())
    }
}
