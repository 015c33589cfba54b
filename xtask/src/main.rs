//! `cargo xtask COMMAND`: the chores of this repository, each runnable by anyone on Debian.
//!
//! | command  | what it answers                                                                  |
//! |----------|----------------------------------------------------------------------------------|
//! | `lab`    | does gdump keep the pages makedumpfile keeps, on a real kernel's crash dump?      |
//! | `guests` | does gdump keep the right pages of a running kernel of each architecture?          |
//! | `live`   | is a capture of a running guest QEMU's own dump, soon over, and does the guest run on? |
//! | `xen`    | is a Xen host's dump filtered by what Xen says, and domain 0 what it was?         |
//! | `windows` | do LeechCore and Volatility read the Windows crash dumps that gdump writes?        |
//! | `containers` | is what QEMU saves of a guest, as read by gdump, QEMU's own dump of it?          |
//! | `remote` | is a dump in an S3 store read as a file is?                                       |
//! | `cross`  | do the tests pass on hosts of another byte order and another word size?          |
//! | `differ` | the same for a dump at hand                                                       |
//! | `capture` | what do both programs do in a real capture kernel: pages, sizes, seconds, memory? |
//! | `digests` | does a change leave every output byte as it was?                                  |
//! | `bench`  | how fast is gdump, in what memory, beside makedumpfile, or an older gdump?        |
//! | `fuzz`   | do parsers, codecs, filter and whole conversions stand any input?                 |
//! | `faults` | does gdump tell the truth about its output, whatever happens to it?              |
//! | `batch`  | do hundreds of dumps in a batch come to what single runs do, killed or not?         |
//! | `contract` | is gdump what makedumpfile's callers take it for?                                |
//! | `map`    | does a browser show what `gdump map` says?                                      |
//! | `man`    | do manual pages, completions and crates' pages say what the program and docs say?  |
//! | `dist`   | what is handed out: static binaries, pages, completions, hooks for an initramfs    |
//! | `packages` | are the packages whole, can they be installed, and the crates be published?       |
//! | `schedulers` | do the recipes for Slurm, Kubernetes and CI work?                                   |
//! | `initramfs` | do the hooks put gdump into kdump's initramfs under makedumpfile's name?        |
//! | `ci`     | may this tree be merged?                                                          |
//!
//! What gdump writes is read by dump-witness, which shares no code with it.
#![forbid(unsafe_code)]
// A program for a terminal: printing is its purpose.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod batch;
mod bench;
mod capture;
mod ci;
mod containers;
mod contract;
mod crash;
mod crate_pages;
mod cross;
mod differ;
mod digests;
mod dist;
mod drgn;
mod faults;
mod fuzz;
mod guests;
mod initramfs;
mod lab;
mod live;
mod man;
mod map;
mod packages;
mod program;
mod remote;
mod report;
mod schedulers;
mod windows;
mod workspace;
mod xen;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chores of the gdump repository.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

/// The table of commands; clap makes the help of these comments.
#[derive(Subcommand)]
enum Command {
    /// Boot real kernels, crash them, and compare gdump with makedumpfile on their dumps
    Lab(lab::Args),
    /// Boot kernels of every architecture, dump them, and hold gdump's choice against what each said of its pages
    Guests(guests::Args),
    /// Capture running guests: against QEMU's own dumps, the guest's pause beside QEMU's, and with interruptions
    Live(live::Args),
    /// Boot Xen with a Debian kernel as its domain 0, crash that, and hold gdump against Xen's own structures
    Xen(xen::Args),
    /// Have LeechCore and Volatility read the Windows crash dumps that gdump writes
    Windows(windows::Args),
    /// What QEMU saves of guests (streams, mapped-ram, libvirt's files) against QEMU's own dumps
    Containers(containers::Args),
    /// Have gdump-fleet read a dump from moto, a store that speaks S3
    Remote(remote::Args),
    /// Run the tests on hosts of another byte order and word size, emulated
    Cross(cross::Args),
    /// Run the static gdump beside makedumpfile in the capture kernel of a real panic
    Capture(capture::Args),
    /// Compare gdump with makedumpfile on one dump
    Differ(differ::Args),
    /// Print a digest of all that gdump writes, or compare two programs by it
    Digests(digests::Args),
    /// Measure gdump, makedumpfile and an older gdump in turn on one dump
    Bench(bench::Args),
    /// Feed parsers, codecs, filter and whole conversions with inputs made up by libFuzzer
    Fuzz(fuzz::Args),
    /// Kill gdump, fill its disk, fail its system calls, and judge what it leaves and says
    Faults(faults::Args),
    /// Convert hundreds of dumps in a batch, kill it again and again, and compare with single runs
    Batch(batch::Args),
    /// Hold gdump, called as makedumpfile, against makedumpfile by a table of what its callers rely on
    Contract(contract::Args),
    /// Open a map of memory in a browser, point at each of its cells, and take the screenshot of docs/
    Map(map::Args),
    /// Check that manual pages, completions and crates' pages say what the program and its docs say
    Man(man::Args),
    /// Build what is handed out: static binaries, manual pages, completions, hooks for kdump's initramfs
    Dist(dist::Args),
    /// Make packages of the static program, install each in a clean root, and see whether the crates can be published
    Packages(packages::Args),
    /// Run Slurm's recipes on a cluster of two nodes on this host, and hold Kubernetes' and CI's files against schemas
    Schedulers(schedulers::Args),
    /// Build kdump's initramfs with the hooks of packaging/ in a Debian root, and run what is in it
    Initramfs(initramfs::Args),
    /// Run all that a change must pass: tests, formatting, lints, fuzz targets, licences, manual page
    Ci,
}

fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::Lab(args) => lab::run(&args),
        Command::Remote(args) => remote::run(&args),
        Command::Cross(args) => cross::run(&args),
        Command::Guests(args) => guests::run(&args),
        Command::Live(args) => live::run(&args),
        Command::Xen(args) => xen::run(&args),
        Command::Windows(args) => windows::run(&args),
        Command::Containers(args) => containers::run(&args),
        Command::Capture(args) => capture::run(&args),
        Command::Differ(args) => differ::run(&args),
        Command::Digests(args) => digests::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Faults(args) => faults::run(&args),
        Command::Batch(args) => batch::run(&args),
        Command::Contract(args) => contract::run(&args),
        Command::Map(args) => map::run(&args),
        Command::Man(args) => man::run(&args),
        Command::Dist(args) => dist::run(&args),
        Command::Packages(args) => packages::run(&args),
        Command::Schedulers(args) => schedulers::run(&args),
        Command::Initramfs(args) => initramfs::run(&args),
        Command::Ci => ci::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }
}
