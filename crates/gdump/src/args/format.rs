//! Formats of the output.

use clap::ValueEnum;

/// Formats that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// kdump-compressed.
    Kdump,
    /// An ELF core.
    Elf,
    /// Memory byte for byte, from address 0.
    Raw,
    /// LiME.
    Lime,
}
