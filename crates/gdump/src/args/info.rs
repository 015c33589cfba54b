//! `gdump info`.

use super::number::address;
use dump::PhysAddr;
use std::path::PathBuf;

/// Options of `gdump info`.
#[derive(Debug, clap::Args)]
pub struct InfoArgs {
    /// Print one JSON object
    ///
    /// docs/info.md describes its fields.
    #[arg(long)]
    pub json: bool,
    /// Read a FILE without headers as raw memory starting at physical address ADDR
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub raw_base: Option<PhysAddr>,
    /// A dump, or the parts of a split dump; - is stdin
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}
