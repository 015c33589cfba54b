//! `gdump info`.

use super::file_name;
use super::raw::RawArgs;
use super::size;
use std::path::PathBuf;

/// Options of `gdump info`.
#[derive(Debug, clap::Args)]
pub struct InfoArgs {
    /// Print one JSON object
    ///
    /// docs/info.md describes its fields.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub raw: RawArgs,
    /// Unpack at most SIZE bytes (8G, 1T) of a compressed file or a pipe
    /// [default: 7/8 of what is free in TMPDIR]
    #[arg(long, verbatim_doc_comment, value_name = "SIZE", value_parser = size::memory)]
    pub max_unpacked: Option<u64>,
    /// Show FILE, what qvm says of the virtual machine (/dev/qvm/GUEST/env)
    /// [default: in the notes, or NAME.gcore.env, NAME.env or env beside NAME.gcore]
    #[arg(long, verbatim_doc_comment, value_name = "FILE", value_parser = file_name::any())]
    pub qvm_env: Option<PathBuf>,
    /// A dump, or the parts of a split dump; - is stdin
    #[arg(value_name = "FILE", required = true, value_parser = file_name::any())]
    pub files: Vec<PathBuf>,
}
