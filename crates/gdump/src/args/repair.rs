//! `gdump repair`.

use super::threads::Threads;
use std::path::PathBuf;

/// Options of `gdump repair`.
#[derive(Debug, clap::Args)]
pub struct RepairArgs {
    /// Overwrite OUT
    #[arg(short = 'f', long)]
    pub force: bool,
    /// Use N threads [default: the number of CPUs]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub num_threads: Option<Threads>,
    /// A damaged dump, or what is left of the parts of a split dump; - is stdin
    #[arg(value_name = "IN", required = true)]
    pub inputs: Vec<PathBuf>,
    /// The dump to write, with all pages that are certain
    #[arg(value_name = "OUT", required = true)]
    pub output: PathBuf,
}
