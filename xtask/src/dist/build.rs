//! One build of a static binary, of which nothing depends on where it is made.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::target::Target;
use crate::{program, workspace};

/// Where a tree is, and where what is built of it goes.
pub struct Build {
    /// The tree.
    pub root: PathBuf,
    /// cargo's directory for it.
    pub target_dir: PathBuf,
}

/// For the C compiler. Of zstd's block compressors only the one of its level 1 is in use; the others are a tenth of the
/// program.
const C_FLAGS: &str = "-g0 -U_FORTIFY_SOURCE -DZSTD_EXCLUDE_DFAST_BLOCK_COMPRESSOR -DZSTD_EXCLUDE_GREEDY_BLOCK_COMPRESSOR \
    -DZSTD_EXCLUDE_LAZY_BLOCK_COMPRESSOR -DZSTD_EXCLUDE_LAZY2_BLOCK_COMPRESSOR -DZSTD_EXCLUDE_BTLAZY2_BLOCK_COMPRESSOR \
    -DZSTD_EXCLUDE_BTOPT_BLOCK_COMPRESSOR -DZSTD_EXCLUDE_BTULTRA_BLOCK_COMPRESSOR";
/// For the Rust compiler: its own linker, so that no other's version matters; functions with the same code are one, and
/// relocations take a bit each.
const RUST_FLAGS: &[&str] = &["-Clinker=rust-lld", "-Clink-arg=--icf=all", "-Clink-arg=--pack-dyn-relocs=relr"];

/// Variables of the environment that change what is built: all that begin so.
const CHANGING: &[&str] = &[
    "RUSTFLAGS",
    "CARGO_ENCODED_",
    "CARGO_BUILD_",
    "CARGO_PROFILE_",
    "CARGO_TARGET_",
    "RUSTC",
    "CC",
    "CFLAGS",
    "AR",
    "ZSTD_",
    "LZMA_",
];

impl Build {
    /// Builds the program `name` for a target; where the binary is.
    pub fn run(&self, name: &str, target: &Target) -> Result<PathBuf> {
        let mut cargo = workspace::cargo()?;
        for (name, _) in std::env::vars_os() {
            if CHANGING.iter().any(|start| name.to_string_lossy().starts_with(start)) {
                cargo.env_remove(name);
            }
        }
        let of_target = target.triple.replace('-', "_");
        cargo.current_dir(&self.root);
        cargo.env("CARGO_ENCODED_RUSTFLAGS", self.rust_flags()?.join("\x1f"));
        cargo.env("CARGO_INCREMENTAL", "0").env("SOURCE_DATE_EPOCH", "0");
        cargo.env(format!("CC_{of_target}"), target.compiler().context("no C compiler")?);
        cargo.env(format!("CFLAGS_{of_target}"), C_FLAGS);
        cargo.args(["build", "--release", "--locked", "--package", name, "--target", target.triple]);
        program::run(cargo.arg("--target-dir").arg(&self.target_dir))?;
        Ok(self.target_dir.join(target.triple).join("release").join(name))
    }

    /// [`RUST_FLAGS`], and paths that are the same everywhere.
    fn rust_flags(&self) -> Result<Vec<String>> {
        let mut flags = vec![remapped(&self.root, "/gdump")];

        // crates.io may be reached by one of several names, each with a folder of its own
        for source in std::fs::read_dir(cargo_home()?.join("registry/src"))? {
            flags.push(remapped(&source?.path(), "/crates"));
        }
        flags.extend(RUST_FLAGS.iter().map(ToString::to_string));
        Ok(flags)
    }
}

fn remapped(from: &Path, to: &str) -> String {
    format!("--remap-path-prefix={}={to}", from.display())
}

fn cargo_home() -> Result<PathBuf> {
    let home = || std::env::home_dir().map(|home| home.join(".cargo"));
    std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home).context("neither CARGO_HOME nor HOME is set")
}

/// Copies what git tracks, and new files that it does not ignore.
pub fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    let git = |command: &str| Command::new("git").arg("-C").arg(from).args(command.split(' ')).output();
    let files = git("ls-files -z --cached --others --exclude-standard").context("git lists the tree")?;
    program::checked(&Command::new("git"), &files)?;
    for file in String::from_utf8(files.stdout)?.split('\0').filter(|file| !file.is_empty()) {
        let (from, to) = (from.join(file), to.join(file));
        if from.is_file() {
            std::fs::create_dir_all(to.parent().context("a file has a folder")?)?;
            std::fs::copy(&from, &to).with_context(|| from.display().to_string())?;
        }
    }
    Ok(())
}
