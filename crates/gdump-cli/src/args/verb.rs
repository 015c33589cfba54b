//! Verbs: the first word, if it is exactly one of these.

use super::batch::BatchArgs;
use super::capture::CaptureArgs;
use super::check::CheckArgs;
use super::diff::DiffArgs;
use super::dmesg::DmesgArgs;
use super::estimate::EstimateArgs;
use super::info::InfoArgs;
use super::map::MapArgs;
use super::repair::RepairArgs;
use clap::Subcommand;
use std::path::{Path, PathBuf};

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
    /// Say how large a dump would be at each dump level with each codec, and how long making it would take
    Estimate(Box<EstimateArgs>),
    /// Draw what all of memory is used for, and where the bytes of a dump go
    Map(Box<MapArgs>),
    /// Save what is certain of a damaged dump
    Repair(RepairArgs),
    /// Write a dump of a running guest, whose memory is read while it stands still
    Capture(Box<CaptureArgs>),
    /// Convert many dumps, as many at a time as the machine carries; what is done is not done again
    Batch(Box<BatchArgs>),
}

impl Verb {
    /// Whether no more is asked than whether the options are well-formed.
    pub fn checks_params(&self) -> bool {
        matches!(self, Verb::Capture(args) if args.convert.check_params)
    }

    /// The file names, in the order of the command line.
    pub(super) fn files(&self) -> Vec<&Path> {
        match self {
            Verb::Info(InfoArgs { files, .. })
            | Verb::Check(CheckArgs { files, .. })
            | Verb::Dmesg(DmesgArgs { files, .. }) => files.iter().map(PathBuf::as_path).collect(),
            Verb::Estimate(args) => args.files.iter().map(PathBuf::as_path).collect(),
            Verb::Map(args) => args.files.iter().chain(&args.output).map(PathBuf::as_path).collect(),
            Verb::Capture(args) => args.convert.files.iter().map(PathBuf::as_path).collect(),
            Verb::Batch(args) => args.files(),
            Verb::Diff(args) => vec![&args.left, &args.right],
            Verb::Repair(args) => args.inputs.iter().chain([&args.output]).map(PathBuf::as_path).collect(),
        }
    }
}
