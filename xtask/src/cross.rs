//! `cargo xtask cross`: the tests on hosts of another byte order and another word size, so that nothing of a host leaks
//! into what dumps are taken for. What the host is not, an emulator of its user programs is; 32-bit programs run by
//! themselves on a 64-bit CPU of their kind whose kernel lets them.

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
    /// Its loader, in words, which runs them where this CPU can.
    loader: Option<&'static [&'static str]>,
}

const HOSTS: &[Host] = &[
    Host {
        name: "s390x",
        triple: "s390x-unknown-linux-gnu",
        compiler: "s390x-linux-gnu-gcc",
        emulator: &["qemu-s390x-static", "-L", "/usr/s390x-linux-gnu"],
        loader: None,
    },
    Host {
        name: "i686",
        triple: "i686-unknown-linux-gnu",
        compiler: "i686-linux-gnu-gcc",
        emulator: &["qemu-i386-static", "-L", "/usr/i686-linux-gnu"],
        loader: Some(&["/usr/i686-linux-gnu/lib/ld-linux.so.2", "--library-path", "/usr/i686-linux-gnu/lib"]),
    },
];

/// Tests of the program that say nothing of the system under it.
const OF_PROGRAM: &[&str] = &["arches::", "corpus::tiny", "eras::", "matrix::"];

/// Crates that are no libraries: programs, and what runs on the host that builds.
const NO_LIBRARIES: &[&str] = &["xtask", "gdump", "gdump-cli", "gdump-fleet", "gdump-bench", "dump-fuzz"];

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
        host.need()?;
        println!("{}, by {}", host.name, host.runner()[0]);
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
        program::need(&[self.compiler, self.runner()[0]])?;
        let sysroot = workspace::rustc(&["--print", "sysroot"])?;
        if !std::path::Path::new(&sysroot).join("lib/rustlib").join(self.triple).is_dir() {
            bail!("the standard library for {0} is not installed: rustup target add {0}", self.triple);
        }
        Ok(())
    }

    /// What runs its programs here.
    fn runner(&self) -> &'static [&'static str] {
        let runs = |loader: &&[&str]| {
            program::output(Command::new(loader[0]).arg("--version")).is_ok_and(|output| output.status.success())
        };
        self.loader.filter(runs).unwrap_or(self.emulator)
    }

    /// `cargo test` for it.
    fn test(&self) -> Result<Command> {
        let mut cargo = workspace::cargo()?;
        let variable = self.triple.to_uppercase().replace('-', "_");
        let runner = self.runner().join(" ");
        cargo.env(format!("CARGO_TARGET_{variable}_LINKER"), self.compiler);
        cargo.env(format!("CARGO_TARGET_{variable}_RUNNER"), &runner);
        // tests start the program themselves
        cargo.env("GDUMP_EMULATOR", runner);
        cargo.args(["test", "--quiet", "--no-fail-fast", "--target", self.triple]);
        Ok(cargo)
    }
}
