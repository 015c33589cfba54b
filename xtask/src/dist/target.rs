//! Machines that a static binary is built for, and whether this machine can build it.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::builder::PossibleValuesParser;

use crate::{program, workspace};

/// A machine, with musl, whose programs need no file of the system they run on.
pub struct Target {
    /// Its name for the compiler.
    pub triple: &'static str,
    /// Its name in `uname -m`.
    pub arch: &'static str,
    /// Its number in an ELF header, `e_machine`.
    pub machine: u16,
    /// The C compilers that make code for it, the best first; zstd and xz are in C.
    pub compilers: &'static [&'static str],
    /// The Debian package that has one.
    pub package: &'static str,
    /// What runs its programs on another machine.
    pub emulator: &'static str,
}

/// All of them.
///
/// For aarch64 a compiler for glibc does: what it compiles are functions on memory, which ask of the C library no more than
/// memcpy, malloc and the like, and take from its headers no type whose layout differs.
pub const TARGETS: &[Target] = &[
    Target {
        triple: "x86_64-unknown-linux-musl",
        arch: "x86_64",
        machine: 62,
        compilers: &["x86_64-linux-musl-gcc", "musl-gcc"],
        package: "musl-tools",
        emulator: "qemu-x86_64-static",
    },
    Target {
        triple: "aarch64-unknown-linux-musl",
        arch: "aarch64",
        machine: 183,
        compilers: &["aarch64-linux-musl-gcc", "aarch64-linux-gnu-gcc"],
        package: "gcc-aarch64-linux-gnu and libc6-dev-arm64-cross",
        emulator: "qemu-aarch64-static",
    },
];

/// Takes the names of the targets.
pub fn parser() -> PossibleValuesParser {
    PossibleValuesParser::new(TARGETS.iter().map(|target| target.triple))
}

impl Target {
    /// The C compiler.
    pub fn compiler(&self) -> Option<&'static str> {
        self.compilers.iter().copied().find(|name| program::find(name).is_some())
    }

    /// What this machine lacks to build for it.
    fn missing(&self) -> Result<Vec<String>> {
        let mut missing = Vec::new();
        if !rust_lib(self.triple)?.is_dir() {
            missing.push(format!("{}: the standard library: rustup target add {0}", self.triple));
        }
        if self.compiler().is_none() {
            let names = self.compilers.join(" or ");
            missing.push(format!("{}: a C compiler ({names}): apt-get install {}", self.triple, self.package));
        }
        Ok(missing)
    }
}

/// Fails with all that this machine lacks to build for `targets`. Nothing else is built in place of one.
pub fn need(targets: &[&Target]) -> Result<()> {
    let mut missing = Vec::new();
    for target in targets {
        missing.extend(target.missing()?);
    }
    if !linker()?.is_file() {
        missing.push(format!("the linker of the Rust toolchain, {}", linker()?.display()));
    }
    if missing.is_empty() {
        return Ok(());
    }
    bail!("static binaries cannot be built here:\n  {}", missing.join("\n  "))
}

/// The compiler's own linker: the same for all targets, and whatever else is installed.
fn linker() -> Result<PathBuf> {
    let host = workspace::rustc(&["--print", "host-tuple"])?;
    Ok(rust_lib(&host)?.with_file_name("bin").join("rust-lld"))
}

/// Where the compiler keeps the standard library of a target.
fn rust_lib(triple: &str) -> Result<PathBuf> {
    let sysroot = workspace::rustc(&["--print", "sysroot"])?;
    Ok(Path::new(&sysroot).join("lib/rustlib").join(triple).join("lib"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let none = Target { triple: "none-unknown-none", compilers: &["no-such-cc"], ..TARGETS[0] };
        let text = need(&[&none]).unwrap_err().to_string();
        for part in ["rustup target add none-unknown-none", "(no-such-cc): apt-get install musl-tools"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
