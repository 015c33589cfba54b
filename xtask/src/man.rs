//! `cargo xtask man`: the manual page has the options of the program and of each of its verbs.
//!
//! Only the program has its command line, so a test of gdump compares them; it writes them if `GDUMP_BLESS` is set.

use anyhow::Result;

use crate::{program, workspace};

/// The test, by its name within gdump.
const TEST: &str = "args::manual::the_manual_page_has_the_options_of_the_command_line";

/// What `cargo xtask man` takes.
#[derive(clap::Args, Default)]
pub struct Args {
    /// Write the options into man/gdump.1 rather than compare them
    #[arg(long)]
    write: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let mut cargo = workspace::cargo()?;
    if args.write {
        cargo.env("GDUMP_BLESS", "1");
    }
    program::run(cargo.args(["test", "--quiet", "--package", "gdump", "--bins", "--", "--exact", TEST]))
}
