//! `gdump repair`.

use super::file_name;
use super::size;
use super::threads::Threads;
use std::path::PathBuf;

/// Options of `gdump repair`.
#[derive(Debug, clap::Args)]
pub struct RepairArgs {
    /// Overwrite OUT
    #[arg(short = 'f', long)]
    pub force: bool,
    /// Unpack at most SIZE bytes (8G, 1T) of a compressed file or a pipe
    /// [default: 7/8 of what is free in TMPDIR]
    #[arg(long, verbatim_doc_comment, value_name = "SIZE", value_parser = size::memory)]
    pub max_unpacked: Option<u64>,
    /// Use N threads [default: the number of CPUs]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub num_threads: Option<Threads>,
    /// A damaged dump, or what is left of the parts of a split dump; - is stdin
    #[arg(value_name = "IN", required = true, value_parser = file_name::any())]
    pub inputs: Vec<PathBuf>,
    /// The dump to write, with all pages that are certain
    #[arg(value_name = "OUT", required = true, value_parser = file_name::output())]
    pub output: PathBuf,
}
