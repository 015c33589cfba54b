//! What was typed.

use clap::{ArgAction, CommandFactory, FromArgMatches, Parser};
use std::ffi::OsString;
use std::path::PathBuf;

/// Reads, filters and converts kernel crash dumps.
///
/// Reads VMCORE (/proc/vmcore, or a dump in any container and packing that gdump knows), leaves out the pages that the dump
/// level names, packs each other page on its own, and writes DUMPFILE, which crash, drgn and makedumpfile read.
#[derive(Debug, Parser)]
#[command(
    name = "gdump",
    disable_help_flag = true,
    disable_version_flag = true,
    infer_long_args = true,
    args_override_self = true,
    override_usage = USAGE,
    after_help = AFTER_HELP
)]
pub struct Args {
    /// Pack pages with zlib, which every reader knows
    #[arg(short = 'c', overrides_with_all = ["lzo", "snappy", "zstd"])]
    pub zlib: bool,
    /// Pack pages with lzo, several times faster and a third larger
    #[arg(short = 'l', overrides_with_all = ["zlib", "snappy", "zstd"])]
    pub lzo: bool,
    /// Pack pages with snappy
    #[arg(short = 'p', overrides_with_all = ["zlib", "lzo", "zstd"])]
    pub snappy: bool,
    /// Pack pages with zstd (crash 8.0 and later)
    #[arg(short = 'z', overrides_with_all = ["zlib", "lzo", "snappy"])]
    pub zstd: bool,
    /// Leave out: 1 zero pages, 2 page cache, 4 page cache with private data too, 8 user data, 16 free pages, or a sum of
    /// these; further levels are tried one by one where the dump does not fit
    #[arg(short = 'd', value_name = "LEVEL[,LEVEL...]", default_value = "0", hide_default_value = true)]
    pub dump_level: String,
    /// Write an ELF core, the same as --format elf
    #[arg(short = 'E')]
    pub elf: bool,
    /// Write FORMAT: kdump, elf, raw or lime [default: kdump]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Write the flattened form of the dump to stdout, for a pipe
    #[arg(short = 'F')]
    pub flattened: bool,
    /// Write the file that a flattened stream stands for: gdump -R [FILE] DUMPFILE, from stdin without FILE
    #[arg(short = 'R')]
    pub rearrange: bool,
    /// Split the dump to several files of about the same size
    #[arg(long)]
    pub split: bool,
    /// Boundaries between the files of a split dump are multiples of KB KiB of memory [default: 16384]
    #[arg(long, value_name = "KB")]
    pub splitblock_size: Option<String>,
    /// Write the one part of a split dump that holds the page frames A to B, B not included
    #[arg(long, value_name = "A..B")]
    pub pfn_range: Option<String>,
    /// Put the files of a split dump together
    #[arg(long)]
    pub reassemble: bool,
    /// Read VMCORE as bare memory that begins at physical address ADDR
    #[arg(long, value_name = "ADDR")]
    pub raw_base: Option<String>,
    /// Read /proc/vmcore rather than map it
    #[arg(long)]
    pub non_mmap: bool,
    /// Overwrite DUMPFILE
    #[arg(short = 'f')]
    pub force: bool,
    /// Print what the dump tells of its kernel (adds 8 to the message level)
    #[arg(short = 'D')]
    pub debug: bool,
    /// Work with N threads, of which the output does not depend [default: all CPUs]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub num_threads: Option<String>,
    /// Work within SIZE bytes of memory (64M, 1G), of which the output does not depend [default: half of what is available]
    #[arg(long, value_name = "SIZE")]
    pub max_memory: Option<String>,
    /// Hold KB KiB of page bitmap at most, and read struct pages again for each further part
    #[arg(long, value_name = "KB")]
    pub cyclic_buffer: Option<String>,
    /// Print 1 progress, 2 common messages, 4 errors, 8 debug messages, 16 the report, or a sum of these [default: 7]
    #[arg(long, value_name = "N")]
    pub message_level: Option<String>,
    /// Print makedumpfile's report of pages (adds 16 to the message level)
    #[arg(long)]
    pub show_stats: bool,
    /// Do all but the writing
    #[arg(long)]
    pub dry_run: bool,
    /// Fail where pages of a class that LEVEL names cannot be told, rather than keep them
    #[arg(long)]
    pub strict: bool,
    /// Print this help
    #[arg(short = 'h', long = "help", action = ArgAction::SetTrue)]
    pub help: bool,
    /// Print the version and the codecs
    #[arg(short = 'v', action = ArgAction::SetTrue)]
    pub version: bool,
    #[arg(value_name = "FILES", hide = true)]
    pub files: Vec<PathBuf>,
}

/// Looks at dumps: `gdump info`, `gdump check`, `gdump diff`.
#[derive(Debug, Parser)]
#[command(disable_help_flag = true, disable_version_flag = true, infer_long_args = true)]
pub struct LookArgs {
    #[arg(long)]
    pub json: bool,
    #[arg(long)]
    pub strict: bool,
    #[arg(long, value_name = "ADDR")]
    pub raw_base: Option<String>,
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub num_threads: Option<String>,
    #[arg(short = 'h', long = "help", action = ArgAction::SetTrue)]
    pub help: bool,
    pub files: Vec<PathBuf>,
}

const USAGE: &str = "\
gdump [-c|-l|-p|-z|-E] [-d LEVEL[,LEVEL...]] [OPTIONS] VMCORE DUMPFILE
       gdump -F [OPTIONS] VMCORE | ssh HOST gdump -R DUMPFILE
       gdump --split [OPTIONS] VMCORE DUMPFILE DUMPFILE...
       gdump --reassemble [OPTIONS] PART... DUMPFILE
       gdump info [--json] FILE...
       gdump check FILE...
       gdump diff [--strict] FILE FILE";

const AFTER_HELP: &str = "\
Options may stand before, between and after the files, be joined (-cd 31) and, if long, be cut short.
Several VMCOREs are the parts of a split dump. VMCORE may be - for stdin.
LZO support:\n  enabled\nsnappy support:\n  enabled\nzstd support:\n  enabled
Exit status: 0 all is done; 1 it is not, and a DUMPFILE that was begun is flagged incomplete.";

/// What looks at dumps, by the first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// What a file is.
    Info,
    /// Whether it is whole.
    Check,
    /// Whether two hold the same.
    Diff,
}

/// What was asked for.
pub enum Parsed {
    /// The help text.
    Help(String),
    /// The version.
    Version,
    /// A conversion.
    Run(Box<Args>),
    /// A look.
    Look(Verb, Box<LookArgs>),
}

/// Parses the command line; the error is one line.
pub fn parse(words: impl Iterator<Item = OsString>) -> Result<Parsed, String> {
    let words: Vec<OsString> = words.collect();
    let verb = match words.get(1).and_then(|word| word.to_str()) {
        None => return Err("VMCORE and DUMPFILE are missing (see gdump --help)".to_owned()),
        Some("info") => Some(Verb::Info),
        Some("check") => Some(Verb::Check),
        Some("diff") => Some(Verb::Diff),
        Some(_) => None,
    };
    if let Some(verb) = verb {
        let args: LookArgs = matches(LookArgs::command(), words.into_iter().skip(1))?;
        return Ok(if args.help { help() } else { Parsed::Look(verb, Box::new(args)) });
    }
    let args: Args = matches(Args::command(), words.into_iter())?;
    Ok(match args {
        _ if args.help => help(),
        _ if args.version => Parsed::Version,
        args => Parsed::Run(Box::new(args)),
    })
}

fn help() -> Parsed {
    Parsed::Help(Args::command().render_long_help().to_string())
}

fn matches<T: FromArgMatches>(command: clap::Command, words: impl Iterator<Item = OsString>) -> Result<T, String> {
    command.try_get_matches_from(words).and_then(|matches| T::from_arg_matches(&matches)).map_err(|e| one_line(&e))
}

/// The version and the codecs, in the form of `makedumpfile -v`.
pub fn version() -> String {
    format!("gdump: version {}\nlzo\tenabled\nsnappy\tenabled\nzstd\tenabled\n", env!("CARGO_PKG_VERSION"))
}

/// The first line of clap's message, which says what is wrong; the rest is a usage that `--help` prints too.
fn one_line(e: &clap::Error) -> String {
    let text = e.to_string();
    let line = text.lines().next().unwrap_or_default();
    format!("{} (see gdump --help)", line.trim_start_matches("error: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> impl Iterator<Item = OsString> {
        line.split(' ').map(OsString::from)
    }

    fn run(line: &str) -> Args {
        match parse(words(line)) {
            Ok(Parsed::Run(args)) => *args,
            Ok(_) => panic!("{line}: not a run"),
            Err(e) => panic!("{line}: {e}"),
        }
    }

    #[test]
    fn options_stand_anywhere_and_join() {
        for line in [
            "gdump -c -d 31 a b",
            "gdump a -cd 31 b",
            "gdump a b -cd31",
            "gdump -d 1 -d 31 -l -c a b",
            "gdump -z a -c b -d=31",
        ] {
            let args = run(line);
            assert!(args.zlib && !args.lzo && !args.zstd, "{line}");
            assert_eq!((args.dump_level.as_str(), args.files.len()), ("31", 2), "{line}");
        }
        let args = run("gdump --num 3 --mes=7 --show a b --dry --splitblock 1024 --split");
        assert_eq!((args.num_threads.as_deref(), args.message_level.as_deref()), (Some("3"), Some("7")));
        assert!(args.show_stats && args.dry_run && args.split && args.splitblock_size.is_some());
    }

    #[test]
    fn verbs_are_taken_only_as_the_first_word() {
        assert!(matches!(parse(words("gdump info --json a")), Ok(Parsed::Look(Verb::Info, args)) if args.json));
        assert!(matches!(parse(words("gdump diff a b")), Ok(Parsed::Look(Verb::Diff, _))));
        assert_eq!(run("gdump -c info check").files.len(), 2);
        assert_eq!(run("gdump ./info check").files.len(), 2);
    }

    #[test]
    fn help_wins_over_all_and_errors_are_one_line() {
        assert!(matches!(parse(words("gdump -v --help")), Ok(Parsed::Help(_))));
        assert!(matches!(parse(words("gdump check -h")), Ok(Parsed::Help(_))));
        for line in ["gdump", "gdump --nonsense", "gdump --m 1 a b", "gdump -d", "gdump info --nonsense"] {
            let e = parse(words(line)).err().unwrap_or_else(|| panic!("{line} is taken"));
            assert_eq!(e.lines().count(), 1, "{line}: {e}");
        }
    }
}
