//! `gdump map`.

use super::codec::{self, Codec};
use super::file_name;
use super::raw::RawArgs;
use super::size;
use super::threads::Threads;
use crate::plan::MapFormat;
use dump::DumpLevel;
use std::path::PathBuf;

/// Options of `gdump map`.
#[derive(Debug, clap::Args)]
pub struct MapArgs {
    /// Write the map to OUT, in the format that its name ends with: .svg, .html or .json
    ///
    /// Without this option it is drawn on stdout, in colours where that is a terminal and NO_COLOR is not set.
    #[arg(short = 'o', long = "output", value_name = "OUT", value_parser = file_name::any())]
    pub output: Option<PathBuf>,
    /// Write OUT in FORMAT: svg, html, json or text
    #[arg(long, value_name = "FORMAT", requires = "output", value_parser = format)]
    pub format: Option<MapFormat>,
    /// Print JSON
    #[arg(long, conflicts_with = "output")]
    pub json: bool,
    /// Overwrite OUT
    #[arg(short = 'f', long, requires = "output")]
    pub force: bool,
    /// Show the bytes of a dump of dump level LEVEL [default: 0]
    #[arg(short = 'd', value_name = "LEVEL", value_parser = level)]
    pub level: Option<DumpLevel>,
    /// Show the bytes of a dump with zlib (the default)
    #[arg(short = 'c', overrides_with_all = ["lzo", "snappy", "zstd", "codec"])]
    zlib: bool,
    /// Show the bytes of a dump with lzo
    #[arg(short = 'l', overrides_with_all = ["zlib", "snappy", "zstd", "codec"])]
    lzo: bool,
    /// Show the bytes of a dump with snappy
    #[arg(short = 'p', overrides_with_all = ["zlib", "lzo", "zstd", "codec"])]
    snappy: bool,
    /// Show the bytes of a dump with zstd
    #[arg(short = 'z', overrides_with_all = ["zlib", "lzo", "snappy", "codec"])]
    zstd: bool,
    /// Show the bytes of a dump with CODEC: zlib, lzo, snappy, zstd or none
    #[arg(
        long,
        value_name = "CODEC",
        hide_possible_values = true,
        value_parser = codec::parser(),
        overrides_with_all = ["zlib", "lzo", "snappy", "zstd"]
    )]
    codec: Option<Codec>,
    /// Read each page that dump level 30 keeps, and show those that are zero
    #[arg(long)]
    pub zeros: bool,
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

impl MapArgs {
    /// The codec, by whichever option was given.
    pub fn codec(&self) -> Codec {
        let letters = [(self.lzo, "lzo"), (self.snappy, "snappy"), (self.zstd, "zstd"), (self.zlib, "zlib")];
        let letter = letters.into_iter().find_map(|(given, name)| given.then(|| codec::named(name)));
        letter.or(self.codec).unwrap_or_else(|| codec::named("zlib"))
    }
}

fn format(text: &str) -> Result<MapFormat, String> {
    MapFormat::named(text).ok_or_else(|| format!("{text} is no format of maps, expected svg, html, json or text"))
}

fn level(text: &str) -> Result<DumpLevel, String> {
    let level = text.parse().ok().and_then(DumpLevel::new);
    level.ok_or_else(|| format!("dump level {text} is not a number from 0 to 31"))
}
