//! `cargo xtask cross`: the tests on hosts of another byte order and another word size, so that nothing of a host leaks
//! into what dumps are taken for. What the host is not, an emulator of its user programs is.

use std::process::Command;

use anyhow::{Result, bail};
use clap::builder::PossibleValuesParser;

use crate::{program, workspace};

/// A host.
struct Host {
    /// Its name here.
    name: &'static str,
    /// Its name for the compiler.
    triple: &'static str,
    /// Its C compiler, which links too.
    compiler: &'static str,
    /// What runs its programs, in words.
    emulator: &'static [&'static str],
}

const HOSTS: &[Host] = &[
    Host {
        name: "s390x",
        triple: "s390x-unknown-linux-gnu",
        compiler: "s390x-linux-gnu-gcc",
        emulator: &["qemu-s390x-static", "-L", "/usr/s390x-linux-gnu"],
    },
    Host {
        name: "i686",
        triple: "i686-unknown-linux-gnu",
        compiler: "i686-linux-gnu-gcc",
        emulator: &["qemu-i386-static", "-L", "/usr/i686-linux-gnu"],
    },
];

/// Tests of the program that say nothing of the system under it.
const OF_PROGRAM: &[&str] = &["arches::", "corpus::tiny", "eras::", "matrix::"];

/// Crates that are no libraries: programs, and what runs on the host that builds.
const NO_LIBRARIES: &[&str] = &["xtask", "gdump", "gdump-bench", "dump-fuzz"];

/// What `cargo xtask cross` takes.
#[derive(clap::Args)]
pub struct Args {
    /// The host: s390x (big-endian) or i686 (words of 32 bits) [default: both]
    #[arg(value_name = "HOST", value_parser = PossibleValuesParser::new(HOSTS.iter().map(|host| host.name)))]
    host: Option<String>,
    /// Words for `cargo test` in place of all the tests there are, for instance -p dump-elf
    #[arg(last = true, value_name = "WORD")]
    words: Vec<String>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    for host in HOSTS.iter().filter(|host| args.host.as_deref().is_none_or(|name| name == host.name)) {
        println!("{}", host.name);
        host.need()?;
        if !args.words.is_empty() {
            program::run(host.test()?.args(&args.words))?;
            continue;
        }
        let others = NO_LIBRARIES.iter().flat_map(|name| ["--exclude", name]);
        program::run(host.test()?.arg("--workspace").args(others).args(["--lib", "--tests"]))?;
        println!(
            "{}: of the program's tests {}; the others ask for the system's own calls",
            host.name,
            OF_PROGRAM.join(" ")
        );
        program::run(host.test()?.args(["--package", "gdump", "--test", "main", "--"]).args(OF_PROGRAM))?;
    }
    Ok(())
}

impl Host {
    /// Fails with what is missing and how to get it.
    fn need(&self) -> Result<()> {
        program::need(&[self.compiler, self.emulator[0]])?;
        let sysroot = workspace::rustc(&["--print", "sysroot"])?;
        if !std::path::Path::new(&sysroot).join("lib/rustlib").join(self.triple).is_dir() {
            bail!("the standard library for {0} is not installed: rustup target add {0}", self.triple);
        }
        Ok(())
    }

    /// `cargo test` for it.
    fn test(&self) -> Result<Command> {
        let mut cargo = workspace::cargo()?;
        let variable = self.triple.to_uppercase().replace('-', "_");
        let emulator = self.emulator.join(" ");
        cargo.env(format!("CARGO_TARGET_{variable}_LINKER"), self.compiler);
        cargo.env(format!("CARGO_TARGET_{variable}_RUNNER"), &emulator);
        // tests start the program themselves
        cargo.env("GDUMP_EMULATOR", emulator);
        cargo.args(["test", "--quiet", "--no-fail-fast", "--target", self.triple]);
        Ok(cargo)
    }
}
