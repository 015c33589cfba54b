//! `gdump check`.

use super::file_name;
use super::raw::RawArgs;
use super::size;
use super::threads::Threads;
use std::path::PathBuf;

/// Options of `gdump check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub raw: RawArgs,
    /// Unpack at most SIZE bytes (8G, 1T) of a compressed file or a pipe
    /// [default: 7/8 of what is free in TMPDIR]
    #[arg(long, verbatim_doc_comment, value_name = "SIZE", value_parser = size::memory)]
    pub max_unpacked: Option<u64>,
    /// Use N threads [default: the number of CPUs]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub num_threads: Option<Threads>,
    /// A dump, or the parts of a split dump; - is stdin
    #[arg(value_name = "FILE", required = true, value_parser = file_name::any())]
    pub files: Vec<PathBuf>,
}
