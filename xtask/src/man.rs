//! `cargo xtask man`: manual pages and completions have the options of the program and of each of its verbs, and each
//! crate's README.md has what its docs say.
//!
//! Only the program has its command line, so tests of gdump compare them; they write them if `GDUMP_BLESS` is set.

use anyhow::Result;

use crate::{crate_pages, program, workspace};

/// The tests, by what their names within gdump begin with.
const TESTS: &[&str] = &["args::manual::", "args::completions::"];

/// What `cargo xtask man` takes.
#[derive(clap::Args, Default)]
pub struct Args {
    /// Write man/, completions/ and the crates' README.md rather than compare them
    #[arg(long)]
    write: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    crate_pages::run(args.write)?;
    let mut cargo = workspace::cargo()?;
    if args.write {
        // one after the other: what bash completes with must be written before it is tried
        cargo.env("GDUMP_BLESS", "1").env("RUST_TEST_THREADS", "1");
    }
    program::run(cargo.args(["test", "--quiet", "--package", "gdump-cli", "--lib", "--"]).args(TESTS))
}
