//! `gdump dmesg`.

use super::file_name;
use super::raw::RawArgs;
use super::size;
use std::path::PathBuf;

/// Options of `gdump dmesg`.
#[derive(Debug, clap::Args)]
pub struct DmesgArgs {
    /// Print only what was logged after dmesg -c
    #[arg(long)]
    pub partial: bool,
    /// Print which thread (T) or CPU (C) logged a line, where the kernel keeps that
    #[arg(long)]
    pub callers: bool,
    #[command(flatten)]
    pub raw: RawArgs,
    /// Unpack at most SIZE bytes (8G, 1T) of a compressed file or a pipe
    /// [default: 7/8 of what is free in TMPDIR]
    #[arg(long, verbatim_doc_comment, value_name = "SIZE", value_parser = size::memory)]
    pub max_unpacked: Option<u64>,
    /// A dump, or all parts of a split dump
    #[arg(value_name = "FILE", required = true, value_parser = file_name::any())]
    pub files: Vec<PathBuf>,
}
