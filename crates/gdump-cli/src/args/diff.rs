//! `gdump diff`.

use super::file_name;
use super::raw::RawArgs;
use super::size;
use super::threads::Threads;
use std::path::PathBuf;

/// Options of `gdump diff`.
#[derive(Debug, clap::Args)]
pub struct DiffArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Count pages that one or both of the dumps lack as differences
    #[arg(long)]
    pub strict: bool,
    #[command(flatten)]
    pub raw: RawArgs,
    /// Unpack at most SIZE bytes (8G, 1T) of a compressed file or a pipe
    /// [default: 7/8 of what is free in TMPDIR]
    #[arg(long, verbatim_doc_comment, value_name = "SIZE", value_parser = size::memory)]
    pub max_unpacked: Option<u64>,
    /// Use N threads [default: the number of CPUs]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub num_threads: Option<Threads>,
    /// A dump
    #[arg(value_name = "FILE1", value_parser = file_name::any())]
    pub left: PathBuf,
    /// The dump that it is compared with
    #[arg(value_name = "FILE2", value_parser = file_name::any())]
    pub right: PathBuf,
}
