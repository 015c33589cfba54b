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

/// What is run besides.
const QUESTIONS: &[&[&str]] = &[&["info", "dump"], &["check", "dump"]];

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
        // chroot begins in /
        for words in quick_start()? {
            program::run(self.command(&self.program).args(words))?;
        }
        for words in QUESTIONS {
            program::run(self.command(&self.program).args(*words))?;
        }
        ensure!(self.path().join("dump").metadata()?.len() > 0, "an empty dump");
        Ok(())
    }
}

/// What a newcomer runs, by the book: options and names of each gdump.
fn quick_start() -> Result<Vec<Vec<String>>> {
    let page = std::fs::read_to_string(workspace::root()?.join("docs/quickstart.md"))?;
    let block =
        page.split("```").find_map(|block| block.strip_prefix("sh\n")).context("no commands in the quick start")?;
    let words = |line: &str| {
        let words = line.strip_prefix("gdump ").with_context(|| format!("{line}: not a gdump"))?;
        Ok(words.split_whitespace().map(str::to_owned).collect())
    };
    block.lines().map(words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_start_filters_first() {
        let commands = quick_start().unwrap();
        assert_eq!(commands.len(), 3);
        assert_eq!(commands[0], ["-c", "-d", "31", "vmcore", "dump"]);
    }
}
