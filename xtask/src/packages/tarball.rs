//! A tarball: bin/, share/man and so on, to be unpacked in /usr/local. The same bytes whenever it is made.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::root::Root;
use super::{Made, version};
use crate::{program, workspace};

/// What goes where, below the folder that the tarball has all in.
const FILES: &[(&str, &str)] = &[
    ("man/gdump.1", "share/man/man1/gdump.1"),
    ("man/makedumpfile.8", "share/man/man8/gdump-makedumpfile.8"),
    ("completions/gdump.bash", "share/bash-completion/completions/gdump"),
    ("completions/_gdump", "share/zsh/site-functions/_gdump"),
    ("completions/gdump.fish", "share/fish/vendor_completions.d/gdump.fish"),
    ("packaging", "share/gdump/packaging"),
    ("docs", "share/doc/gdump/docs"),
    ("README.md", "share/doc/gdump/README.md"),
    ("CHANGELOG.md", "share/doc/gdump/CHANGELOG.md"),
    ("LICENSE-GPL", "share/doc/gdump/LICENSE-GPL"),
];

/// Makes it in `out`.
pub fn make(gdump: &Path, out: &Path) -> Result<Made> {
    let name = format!("gdump-{}-{}-linux", version(), std::env::consts::ARCH);
    let scratch = tempfile::tempdir()?;
    let top = scratch.path().join(&name);
    copy(gdump, &top.join("bin/gdump"))?;
    let here = workspace::root()?;
    for (from, to) in FILES {
        copy(&here.join(from), &top.join(to))?;
    }
    let file = out.join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--mode=u+w,go-w,a+rX"]);
    // gzip's header has no time
    tar.env("GZIP", "").args(["--use-compress-program", "gzip -9n", "-cf"]).arg(&file);
    program::run(tar.arg("-C").arg(scratch.path()).arg(&name))?;
    Ok(Made { file, install })
}

/// Copies a file or a folder.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let above = to.parent().context("below a folder")?;
    std::fs::create_dir_all(above)?;
    program::run(Command::new("cp").arg("-rT").arg(from).arg(to))
}

/// Unpacks it in an otherwise empty root.
fn install(file: &Path, _: &str) -> Result<Root> {
    let root = Root::empty()?;
    let usr = root.path().join("usr/local");
    std::fs::create_dir_all(&usr)?;
    program::run(Command::new("tar").arg("-xf").arg(file).args(["--strip-components=1", "-C"]).arg(&usr))?;
    Ok(root.with_program(PathBuf::from("/usr/local/bin/gdump")))
}
