//! Verbs: the first word, if it is exactly one of these.

use super::check::CheckArgs;
use super::diff::DiffArgs;
use super::dmesg::DmesgArgs;
use super::info::InfoArgs;
use super::repair::RepairArgs;
use clap::Subcommand;

/// What inspects dumps, and saves damaged ones.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show what the headers of a dump say: format, codec, machine, kernel, dump level, pages
    Info(InfoArgs),
    /// Read a whole dump and report damage
    Check(CheckArgs),
    /// Compare the memory in two dumps
    Diff(DiffArgs),
    /// Print the log of the dumped kernel
    Dmesg(DmesgArgs),
    /// Save what is certain of a damaged dump
    Repair(RepairArgs),
}
