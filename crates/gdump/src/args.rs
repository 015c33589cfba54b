//! What was typed.

use clap::{ArgAction, CommandFactory, FromArgMatches, Parser};
use std::ffi::OsString;
use std::path::PathBuf;

/// Reads, filters and converts kernel crash dumps.
///
/// Reads VMCORE (/proc/vmcore or a copy of it, also packed with zstd), leaves out the pages that the dump level names, packs
/// each other page on its own, and writes DUMPFILE, which crash, drgn and makedumpfile read.
#[derive(Debug, Parser)]
#[command(
    name = "gdump",
    disable_help_flag = true,
    disable_version_flag = true,
    infer_long_args = true,
    args_override_self = true,
    override_usage = "gdump [-c|-l|-p|-z] [-d LEVEL[,LEVEL...]] [OPTIONS] VMCORE DUMPFILE",
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
    /// Overwrite DUMPFILE
    #[arg(short = 'f')]
    pub force: bool,
    /// Print what the dump tells of its kernel (adds 8 to the message level)
    #[arg(short = 'D')]
    pub debug: bool,
    /// Work with N threads, of which the output does not depend [default: all CPUs]
    #[arg(long, value_name = "N")]
    pub num_threads: Option<String>,
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
    #[arg(value_name = "VMCORE DUMPFILE", hide = true)]
    pub files: Vec<PathBuf>,
}

const AFTER_HELP: &str = "\
Options may stand before, between and after the files, be joined (-cd 31) and, if long, be cut short.
LZO support:\n  enabled\nsnappy support:\n  enabled\nzstd support:\n  enabled
Exit status: 0 all is done; 1 it is not, and a DUMPFILE that was begun is flagged incomplete.";

/// What was asked for.
pub enum Parsed {
    /// The help text.
    Help(String),
    /// The version.
    Version,
    /// Work.
    Run(Box<Args>),
}

/// Parses the command line; the error is one line.
pub fn parse(words: impl Iterator<Item = OsString>) -> Result<Parsed, String> {
    let words: Vec<OsString> = words.collect();
    let mut command = Args::command();
    if words.len() < 2 {
        return Err("VMCORE and DUMPFILE are missing (see gdump --help)".to_owned());
    }
    let args = command.try_get_matches_from_mut(words).and_then(|m| Args::from_arg_matches(&m)).map_err(one_line)?;
    Ok(match args {
        _ if args.help => Parsed::Help(command.render_long_help().to_string()),
        _ if args.version => Parsed::Version,
        args => Parsed::Run(Box::new(args)),
    })
}

/// The version and the codecs, in the form of `makedumpfile -v`.
pub fn version() -> String {
    format!("gdump: version {}\nlzo\tenabled\nsnappy\tenabled\nzstd\tenabled\n", env!("CARGO_PKG_VERSION"))
}

/// The first line of clap's message, which says what is wrong; the rest is a usage that `--help` prints too.
fn one_line(e: clap::Error) -> String {
    let text = e.to_string();
    let line = text.lines().next().unwrap_or_default();
    format!("{} (see gdump --help)", line.trim_start_matches("error: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Args {
        match parse(line.split(' ').map(OsString::from)) {
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
        let args = run("gdump --num 3 --mes=7 --show a b --dry");
        assert_eq!((args.num_threads.as_deref(), args.message_level.as_deref()), (Some("3"), Some("7")));
        assert!(args.show_stats && args.dry_run);
    }

    #[test]
    fn help_wins_over_all_and_errors_are_one_line() {
        assert!(matches!(parse(["gdump", "-v", "--help"].map(OsString::from).into_iter()), Ok(Parsed::Help(_))));
        for words in [&["gdump"][..], &["gdump", "--nonsense"], &["gdump", "--d", "a", "b"], &["gdump", "-d"]] {
            let e = parse(words.iter().map(OsString::from)).err().unwrap();
            assert_eq!(e.lines().count(), 1, "{words:?}: {e}");
        }
    }
}
