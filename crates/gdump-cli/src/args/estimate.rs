//! `gdump estimate`.

use super::file_name;
use super::levels::DumpLevels;
use super::raw::RawArgs;
use super::size;
use super::threads::Threads;
use std::path::PathBuf;

/// Options of `gdump estimate`.
#[derive(Debug, clap::Args)]
pub struct EstimateArgs {
    /// Print JSON, with all levels unless -d is given
    #[arg(long)]
    pub json: bool,
    /// Show these dump levels [default: 0, 1, 2, 4, 8, 16, 17, 23, 27, 30, 31]
    #[arg(short = 'd', value_name = "LEVEL[,LEVEL...]")]
    pub levels: Option<DumpLevels>,
    /// Say what fits into SIZE (bytes, or with K, M, G or T after it units of 1024)
    ///
    /// For each codec it is the dump level that leaves out the fewest pages.
    #[arg(long, value_name = "SIZE", value_parser = size::memory)]
    pub free: Option<u64>,
    /// Say what fits into what is free on the file system of DIR
    #[arg(long, value_name = "DIR", conflicts_with = "free", value_parser = file_name::any())]
    pub path: Option<PathBuf>,
    /// Take what the dump's vmcoreinfo lacks from VMLINUX, its kernel's ELF file
    #[arg(short = 'x', value_name = "VMLINUX", value_parser = file_name::any())]
    pub vmlinux: Option<PathBuf>,
    /// Take what the dump's vmcoreinfo lacks from VMCOREINFO, a text file
    #[arg(short = 'i', value_name = "VMCOREINFO", value_parser = file_name::any())]
    pub vmcoreinfo: Option<PathBuf>,
    #[command(flatten)]
    pub raw: RawArgs,
    /// Unpack at most SIZE bytes (8G, 1T) of a compressed file or a pipe
    /// [default: 7/8 of what is free in TMPDIR]
    #[arg(long, verbatim_doc_comment, value_name = "SIZE", value_parser = size::memory)]
    pub max_unpacked: Option<u64>,
    /// Use at most SIZE bytes of memory (512M, 2G) for page bitmaps and buffers
    #[arg(long, value_name = "SIZE", value_parser = size::memory)]
    pub max_memory: Option<u64>,
    /// Use N threads [default: the number of CPUs]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub num_threads: Option<Threads>,
    /// A dump, or the parts of a split dump; - is stdin
    #[arg(value_name = "FILE", required = true, value_parser = file_name::any())]
    pub files: Vec<PathBuf>,
}
