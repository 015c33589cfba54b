//! `cargo xtask packages`: a tarball, a .deb and a .rpm of the static program, each installed in a clean root and run
//! there; and whether the crates can be published.

mod deb;
mod publish;
mod root;
mod rpm;
mod tarball;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{dist, program, workspace};
use root::Root;

/// What `cargo xtask packages` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Make the packages and no more
    #[arg(long)]
    make: bool,
    /// Debian's release that the .deb is installed in
    #[arg(long, value_name = "NAME", default_value = "bookworm")]
    suite: String,
    /// Where they go [default: target/packages]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// A package that was made.
struct Made {
    /// Its file.
    file: PathBuf,
    /// Installs it in a root made for that, and gives the root.
    install: fn(&Path, &str) -> Result<Root>,
}

/// Runs the command; as root, unless it only makes them.
pub fn run(args: &Args) -> Result<()> {
    let program = dist::native()?;
    let out = args.out.clone().map_or_else(|| workspace::target().map(|target| target.join("packages")), Ok)?;
    std::fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
    let made = [tarball::make(&program, &out)?, deb::make(&program, &out)?, rpm::make(&program, &out)?];
    for package in &made {
        let bytes = std::fs::metadata(&package.file)?.len();
        println!("{}: {bytes} bytes", package.file.display());
    }
    if args.make {
        return Ok(());
    }
    program::need(&["chroot"])?;
    for package in &made {
        let root = (package.install)(&package.file, &args.suite)?;
        root.try_gdump().with_context(|| package.file.display().to_string())?;
        println!("{}: installed and run in a clean root", package.file.display());
    }
    publish::check()
}

/// The name of the program's target for cargo's tools, and the folder that they look for it in.
fn built(program: &Path) -> Result<(&str, &Path)> {
    // dist-build/TRIPLE/release/gdump
    let release = program.parent().context("a program lies in a folder")?;
    let of_target = release.parent().context("which lies in the target's")?;
    let triple = of_target.file_name().and_then(|name| name.to_str()).context("whose name is the target's")?;
    Ok((triple, of_target.parent().context("which lies in cargo's")?))
}

/// The version of the packages.
fn version() -> &'static str {
    // that of the workspace's crates: xtask's own is 0.0.0
    include_str!("../../../Cargo.toml")
        .lines()
        .find_map(|line| line.strip_prefix("version = "))
        .map_or("0", |version| version.trim_matches('"'))
}
