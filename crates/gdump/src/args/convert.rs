//! `gdump [OPTIONS] VMCORE DUMPFILE`.

use super::codec::{self, Codec};
use super::format;
use super::levels::DumpLevels;
use super::message_level::message_level;
use super::number::address;
use super::pfn_range::pfn_range;
use super::size;
use super::threads::Threads;
use crate::messages::MessageLevel;
use dump::{Format, PfnRange, PhysAddr};
use std::path::PathBuf;

/// Options of everything but the verbs; makedumpfile's, where it has them.
#[derive(Debug, clap::Args)]
pub struct ConvertArgs {
    /// Compress each page with zlib, which every reader supports
    #[arg(short = 'c', overrides_with_all = ["lzo", "snappy", "zstd", "codec"])]
    zlib: bool,
    /// Compress each page with lzo, which is faster than zlib and compresses less
    #[arg(short = 'l', overrides_with_all = ["zlib", "snappy", "zstd", "codec"])]
    lzo: bool,
    /// Compress each page with snappy
    #[arg(short = 'p', overrides_with_all = ["zlib", "lzo", "zstd", "codec"])]
    snappy: bool,
    /// Compress each page with zstd (crash 8.0 or later)
    #[arg(short = 'z', overrides_with_all = ["zlib", "lzo", "snappy", "codec"])]
    zstd: bool,
    /// Compress each page with NAME: zlib, lzo, snappy, zstd or none
    /// [default: none, or with --reassemble as the parts are]
    #[arg(
        long,
        verbatim_doc_comment,
        hide_possible_values = true,
        value_name = "NAME",
        value_parser = codec::parser(),
        overrides_with_all = ["zlib", "lzo", "snappy", "zstd"]
    )]
    codec: Option<Codec>,
    /// Exclude pages: the sum of 1 (zero pages), 2 (page cache),
    /// 4 (page cache with private data as well), 8 (user data) and 16 (free pages);
    /// if the dump does not fit at one LEVEL, the next is tried [default: 0]
    #[arg(
        short = 'd',
        verbatim_doc_comment,
        value_name = "LEVEL[,LEVEL...]",
        default_value = "0",
        hide_default_value = true,
        allow_negative_numbers = true
    )]
    pub levels: DumpLevels,
    /// Write an ELF core; the same as --format elf
    #[arg(short = 'E')]
    pub elf: bool,
    /// Write FORMAT: kdump, elf, raw (memory from address 0) or lime [default: kdump]
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, value_parser = format::parser())]
    pub format: Option<&'static Format>,
    /// Write the dump to stdout in the flattened format, for a pipe
    #[arg(short = 'F')]
    pub flattened: bool,
    /// Turn a flattened dump, from FILE or stdin, into a regular one
    #[arg(short = 'R')]
    pub rearrange: bool,
    /// Split the dump into several files of about the same size
    #[arg(long)]
    pub split: bool,
    /// Split at multiples of KB KiB of memory [default: 16384]
    #[arg(long, value_name = "KB", value_parser = size::kib)]
    pub splitblock_size: Option<u64>,
    /// Write only the part of a split dump with page frames A up to, not including, B
    #[arg(long, value_name = "A..B", value_parser = pfn_range)]
    pub pfn_range: Option<PfnRange>,
    /// Join the parts of a split dump
    #[arg(long)]
    pub reassemble: bool,
    /// Read a VMCORE without headers as raw memory starting at physical address ADDR
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub raw_base: Option<PhysAddr>,
    /// Use read(2), not mmap(2), on /proc/vmcore
    #[arg(long)]
    pub non_mmap: bool,
    /// Overwrite DUMPFILE
    #[arg(short = 'f')]
    pub force: bool,
    /// Print debug messages about the crashed kernel (adds 8 to the message level)
    #[arg(short = 'D')]
    pub debug: bool,
    /// Use N threads; the output is the same for any N [default: the number of CPUs]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub num_threads: Option<Threads>,
    /// Use at most SIZE bytes of memory (64M, 1G); the output is the same for any SIZE
    /// [default: half of the available memory]
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "SIZE",
        value_parser = size::memory,
    )]
    pub max_memory: Option<u64>,
    /// Hold at most KB KiB of page bitmap, rereading struct pages for each part of memory
    #[arg(long, value_name = "KB", value_parser = size::kib)]
    pub cyclic_buffer: Option<u64>,
    /// Print the sum of 1 (progress), 2 (common messages), 4 (errors), 8 (debug messages)
    /// and 16 (page report) [default: 7]
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "N",
        value_parser = message_level,
    )]
    message_level: Option<MessageLevel>,
    /// Print makedumpfile's page report (adds 16 to the message level)
    #[arg(long)]
    show_stats: bool,
    /// Do everything but write DUMPFILE
    #[arg(long)]
    pub dry_run: bool,
    /// Fail if pages of a class in LEVEL cannot be identified, rather than keep them
    #[arg(long)]
    pub strict: bool,
    /// Print the version and the codecs
    #[arg(short = 'v')]
    pub version: bool,
    /// VMCORE and DUMPFILE, or what the mode takes.
    #[arg(value_name = "FILES", hide = true)]
    pub files: Vec<PathBuf>,
}

impl ConvertArgs {
    /// The codec, by whichever option was given last.
    pub fn codec(&self) -> Option<Codec> {
        let letters = [(self.zlib, "zlib"), (self.lzo, "lzo"), (self.snappy, "snappy"), (self.zstd, "zstd")];
        let letter = letters.into_iter().find_map(|(given, name)| given.then(|| codec::named(name)));
        letter.or(self.codec)
    }

    /// Which messages are printed.
    pub fn messages(&self) -> MessageLevel {
        let mut level = self.message_level.unwrap_or_default();
        level.set(MessageLevel::DEBUG, self.debug || level.contains(MessageLevel::DEBUG));
        level.set(MessageLevel::REPORT, self.show_stats || level.contains(MessageLevel::REPORT));
        level
    }
}
