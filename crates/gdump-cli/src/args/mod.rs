//! The command line: its options, and their values as the types that the program works with.
//!
//! ```text
//! gdump [OPTIONS] VMCORE DUMPFILE    ConvertArgs, makedumpfile's options
//! gdump VERB [OPTIONS] FILE...       Verb, a struct of options each
//! ```
//!
//! A verb is one only as the first word: `gdump -c info check` makes a dump of a file named info.

mod batch;
mod capture;
mod check;
mod codec;
#[cfg(test)]
mod completions;
mod convert;
mod diff;
mod dmesg;
#[cfg(test)]
mod documents;
mod estimate;
mod file_name;
mod format;
mod info;
mod levels;
#[cfg(test)]
mod manual;
mod map;
mod message_level;
mod number;
mod pfn_range;
mod raw;
mod refusal;
mod refused;
mod repair;
mod shard;
mod size;
mod threads;
mod verb;
mod xen;

pub use batch::BatchArgs;
pub use capture::{CaptureArgs, Via};
pub use check::CheckArgs;
pub use codec::Codec;
pub use convert::ConvertArgs;
pub use diff::DiffArgs;
pub use dmesg::DmesgArgs;
pub use estimate::EstimateArgs;
pub use format::FormatName;
pub use info::InfoArgs;
pub use map::MapArgs;
pub use raw::RawArgs;
pub use repair::RepairArgs;
pub use shard::Shard;
pub use threads::Threads;
pub use verb::Verb;
pub use xen::XenArgs;

use clap::error::ErrorKind;
use clap::{ArgAction, Command, CommandFactory, Error, FromArgMatches, Parser};
use rustix::process::Pid;
use std::ffi::OsString;
use std::path::PathBuf;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "gdump",
    about = ABOUT,
    args_conflicts_with_subcommands = true,
    args_override_self = true,
    disable_help_flag = true,
    disable_help_subcommand = true,
    disable_version_flag = true,
    infer_long_args = true,
    override_usage = USAGE,
    subcommand_help_heading = "Verbs",
    after_help = AFTER_HELP
)]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    convert: ConvertArgs,
    /// Keep all rights of the process
    ///
    /// Without this option, gdump gives up what it does not need before it reads an input, where the kernel has
    /// landlock and seccomp: it opens no file but inputs, outputs and temporary files, runs no program, and has no
    /// network but to servers that have inputs. A kernel that lacks them costs nothing. With -D, it is said whether they
    /// are in force.
    #[arg(long, global = true)]
    no_sandbox: bool,
    /// Be a job of the batch that is process PID: batch gives it.
    #[arg(long, hide = true, value_name = "PID", value_parser = number::process)]
    job_of: Option<Pid>,
    /// Print help
    #[arg(short = 'h', long = "help", action = ArgAction::HelpShort, global = true)]
    help: Option<bool>,
}

const ABOUT: &str = "\
Reads, filters and converts kernel crash dumps.

Reads VMCORE (/proc/vmcore, or a dump in any format that gdump supports), excludes the pages that
the dump level selects, compresses each remaining page, and writes DUMPFILE, which crash, drgn and
makedumpfile can read.";

const USAGE: &str = "\
gdump [-c|-l|-p|-z|-E] [-d LEVEL[,LEVEL...]] [OPTIONS] VMCORE DUMPFILE
       gdump -F [OPTIONS] VMCORE | ssh HOST gdump -R DUMPFILE
       gdump --split [OPTIONS] VMCORE DUMPFILE DUMPFILE...
       gdump --reassemble [OPTIONS] PART... DUMPFILE
       gdump --dump-dmesg [--partial-dmesg] VMCORE LOGFILE
       gdump -g FILE -x VMLINUX
       gdump --output-dir DIR [--prefix PREFIX] [OPTIONS] VMCORE
       gdump info [--json] FILE...
       gdump check [--json] FILE...
       gdump diff [--strict] FILE1 FILE2
       gdump dmesg [--partial] FILE...
       gdump estimate [--path DIR] FILE...
       gdump map [-o OUT] FILE...
       gdump repair IN... OUT
       gdump batch [OPTIONS] MANIFEST|DIR|- [-- OPTIONS...]
       gdump capture [OPTIONS] qmp:SOCKET DUMPFILE";

/// Lines of [`USAGE`] before those of verbs.
const USAGE_LINES_WITHOUT_VERBS: usize = 4;

const VERBS_HELP: &str = "A verb must be the first word (./info is a file); gdump VERB --help prints its options.\n";

const AFTER_HELP: &str = "\
Options may come before, between and after file names. Letters may be joined (-cd 31), long
options abbreviated. If an option is repeated, the last one counts. Several VMCOREs are the
parts of a split dump; - is stdin; gdump-fleet reads http://, https:// and s3:// too.
A DUMPFILE that begins with | is a shell command, which gets the dump on its standard input.
A verb must be the first word (./info is a file); gdump VERB --help prints its options.

LZO support:\n  enabled\nsnappy support:\n  enabled\nzstd support:\n  enabled

Exit status: 0 success; 1 failure, and a DUMPFILE that was begun is flagged incomplete; 2 a file
given with -x or -i is of another kernel; 3 the command that got the dump failed.";

/// What is not so under makedumpfile's name, where every DUMPFILE is a file.
const COMMANDS_HELP: [&str; 2] = [
    "A DUMPFILE that begins with | is a shell command, which gets the dump on its standard input.\n",
    "; 3 the command that got the dump failed",
];

/// What the command line asks for.
pub enum Parsed {
    /// A help text.
    Help(String),
    /// The version.
    Version,
    /// To write a dump.
    Convert {
        /// How.
        args: Box<ConvertArgs>,
        /// Whether the process gives up rights.
        sandboxed: bool,
        /// The batch that this is a job of.
        batch: Option<Pid>,
    },
    /// To inspect dumps.
    Verb {
        /// How.
        verb: Verb,
        /// Whether the process gives up rights.
        sandboxed: bool,
    },
}

/// The program's command line.
fn command() -> Command {
    Cli::command().mut_subcommand("capture", capture::without_the_senseless)
}

/// Parses the command line.
///
/// # Errors
/// One line: what is wrong, and if help is.
pub fn parse(words: impl Iterator<Item = OsString>) -> Result<Parsed, String> {
    let mut command = self::command();
    let words: Vec<OsString> = words.collect();
    let matches = command.try_get_matches_from_mut(&words);
    match matches.and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches)) {
        Ok(cli) => cli.parsed().map_err(|why| see_help(&why)),
        Err(e) if e.kind() == ErrorKind::DisplayHelp => Ok(Parsed::Help(e.to_string())),
        Err(e) => Err(refusal(&e, &command, words.get(1))),
    }
}

/// Parses a command line that has no verb.
///
/// # Errors
/// As [`parse`], without a word on help.
pub fn parse_options(words: impl Iterator<Item = OsString>) -> Result<Parsed, String> {
    let mut command = self::command();
    // an option comes first, or what ends options, so that no word is a verb
    let words = std::iter::once(OsString::from("gdump")).chain(words);
    let matches = command.try_get_matches_from_mut(words);
    let cli = matches.and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches));
    cli.map_err(|e| refusal::one_line(&e, &command))?.parsed()
}

/// The long options of command lines without a verb, and whether a word follows each.
pub fn long_options() -> Vec<(String, bool)> {
    let command = self::command();
    let long = |arg: &clap::Arg| arg.get_long().map(|long| (long.to_owned(), arg.get_action().takes_values()));
    // what a batch gives its jobs is nobody else's
    command.get_arguments().filter(|arg| arg.get_id() != "job_of").filter_map(long).collect()
}

/// A refusal by the command that `first`, the first word, selects.
fn refusal(e: &Error, command: &Command, first: Option<&OsString>) -> String {
    match first.and_then(|word| command.find_subcommand(word)) {
        Some(verb) => format!("{} (see gdump {} --help)", refusal::one_line(e, verb), verb.get_name()),
        None => see_help(&refusal::one_line(e, command)),
    }
}

/// Where help is.
pub fn see_help(refusal: &str) -> String {
    format!("{refusal} (see gdump --help)")
}

impl Cli {
    fn parsed(self) -> Result<Parsed, String> {
        let sandboxed = !self.no_sandbox;
        match self.verb {
            None if self.convert.version => Ok(Parsed::Version),
            Some(verb) => file_name::check(&verb.files()).map(|()| Parsed::Verb { verb, sandboxed }),
            None => {
                file_name::check(&self.convert.files.iter().map(PathBuf::as_path).collect::<Vec<_>>())?;
                Ok(Parsed::Convert { args: Box::new(self.convert), sandboxed, batch: self.job_of })
            }
        }
    }
}

/// The help of command lines without a verb, for a program that is called `name`.
pub fn help(name: &'static str) -> String {
    let usage = USAGE.lines().take(USAGE_LINES_WITHOUT_VERBS).collect::<Vec<_>>().join("\n").replace("gdump", name);
    let verbs: Vec<String> = command().get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    let after = COMMANDS_HELP.iter().fold(AFTER_HELP.replace(VERBS_HELP, ""), |text, part| text.replace(part, ""));
    let command = self::command().name(name).override_usage(usage).after_help(after);
    let mut command =
        verbs.into_iter().fold(command, |command, verb| command.mut_subcommand(verb, |verb| verb.hide(true)));
    command.render_help().to_string()
}

/// The version and the codecs, in the form of `makedumpfile -v`, for a program that is called `name`.
pub fn version(name: &str) -> String {
    format!("{name}: version {}\nlzo\tenabled\nsnappy\tenabled\nzstd\tenabled\n", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::MessageLevel;
    use dump::PhysAddr;

    fn parsed(line: &str) -> Result<Parsed, String> {
        parse(line.split(' ').map(OsString::from))
    }

    fn convert(line: &str) -> ConvertArgs {
        match parsed(line) {
            Ok(Parsed::Convert { args, .. }) => *args,
            Ok(_) => panic!("{line}: not a conversion"),
            Err(e) => panic!("{line}: {e}"),
        }
    }

    fn verb(line: &str) -> Verb {
        match parsed(line) {
            Ok(Parsed::Verb { verb, .. }) => verb,
            Ok(_) => panic!("{line}: not a verb"),
            Err(e) => panic!("{line}: {e}"),
        }
    }

    fn help(line: &str) -> String {
        match parsed(line) {
            Ok(Parsed::Help(text)) => text,
            _ => panic!("{line}: no help"),
        }
    }

    #[test]
    fn clap_finds_no_fault_in_the_command() {
        command().debug_assert();
    }

    #[test]
    fn options_stand_anywhere_and_join() {
        for line in [
            "gdump -c -d 31 a b",
            "gdump a -cd 31 b",
            "gdump a b -cd31",
            "gdump -d 1 -d 31 -l -c a b",
            "gdump -z a -c b -d=31",
            "gdump --codec none a -c b -d=31",
            "gdump a --codec=zlib b -d17 -d 31",
        ] {
            let args = convert(line);
            assert_eq!(args.codec(), Some(codec::named("zlib")), "{line}");
            assert_eq!((args.levels, args.files.len()), ("31".parse().unwrap(), 2), "{line}");
        }
    }

    #[test]
    fn long_options_may_be_abbreviated() {
        let args = convert("gdump --num 3 --mes=7 --show a b --dry --splitblock 1024 --split --cy 8 --cod lzo");
        assert_eq!(args.num_threads, Some("3".parse().unwrap()));
        assert_eq!(args.messages(), MessageLevel::default() | MessageLevel::REPORT);
        assert!(args.dry_run && args.split);
        assert_eq!((args.splitblock_size, args.cyclic_buffer), (Some(1 << 20), Some(8192)));
        assert_eq!(args.codec(), Some(codec::named("lzo")));
    }

    #[test]
    fn the_last_codec_counts() {
        let cases = [
            ("a b", None),
            ("-c a b", Some(codec::named("zlib"))),
            ("-c -l a b", Some(codec::named("lzo"))),
            ("-pz a b", Some(codec::named("zstd"))),
            ("--codec snappy -c --codec zstd a b", Some(codec::named("zstd"))),
            ("--codec zstd -p a b", Some(codec::named("snappy"))),
            ("-z --codec none a b", Some(Codec::None)),
        ];
        for (line, codec) in cases {
            assert_eq!(convert(&format!("gdump {line}")).codec(), codec, "{line}");
        }
    }

    #[test]
    fn message_levels_add_up() {
        for (line, bits) in [("a b", 7), ("-D a b", 15), ("--show-stats --mes 0 a b", 16), ("-D --mes 24 a b", 24)] {
            assert_eq!(convert(&format!("gdump {line}")).messages().bits(), bits, "{line}");
        }
    }

    #[test]
    fn verbs_are_taken_only_as_the_first_word() {
        assert!(matches!(verb("gdump info a --json"), Verb::Info(args) if args.json && args.files.len() == 1));
        assert!(matches!(verb("gdump info check diff"), Verb::Info(args) if args.files.len() == 2));
        assert!(matches!(verb("gdump check --num 2 a"), Verb::Check(args) if args.num_threads.is_some()));
        let Verb::Diff(args) = verb("gdump diff a --raw-base 0x10 b") else { panic!("not diff") };
        assert_eq!((args.left, args.right, args.raw.base), ("a".into(), "b".into(), Some(PhysAddr(16))));
        for line in ["-c info check", "./info check", "inf check", "Info check", "help info", "a info", "-- info check"]
        {
            assert_eq!(convert(&format!("gdump {line}")).files.len(), 2, "{line}");
        }
        assert_eq!(convert("gdump -d 1 info check").files.len(), 2);
    }

    #[test]
    fn rights_are_kept_by_an_option_that_all_have() {
        for line in ["a b", "-R a", "info a", "check a", "diff a b"] {
            for (option, kept) in [("", false), (" --no-sandbox", true)] {
                let line = format!("gdump {line}{option}");
                let (Ok(Parsed::Convert { sandboxed, .. }) | Ok(Parsed::Verb { sandboxed, .. })) = parsed(&line) else {
                    panic!("{line}")
                };
                assert_eq!(sandboxed, !kept, "{line}");
            }
        }
        assert_eq!(convert("gdump --no-sandbox info check").files.len(), 2);
    }

    #[test]
    fn help_is_of_the_verb_that_it_is_asked_of() {
        let general = help("gdump --help");
        for (line, usage) in [("info", "gdump info"), ("check", "gdump check"), ("diff", "gdump diff")] {
            assert!(general.lines().any(|l| l.trim_start().starts_with(&format!("{line} "))), "{line}: {general}");
            for asked in [format!("gdump {line} --help"), format!("gdump {line} -h"), format!("gdump {line} a -h b")] {
                let text = help(&asked);
                assert!(text.contains(usage) && !text.contains("--split"), "{asked}: {text}");
            }
        }
        for codec in dump::codecs() {
            assert!(general.contains(codec.name()), "{codec:?}: {general}");
        }
        assert!(help("gdump info -h").contains("--json"));
        assert!(!help("gdump info -h").contains("--num-threads"));
        assert!(!help("gdump check -h").contains("--strict"));
        for line in ["gdump -h", "gdump -v --help", "gdump -h info", "gdump -c a b -h", "gdump --he"] {
            assert_eq!(help(line), general, "{line}");
        }
        assert!(matches!(parsed("gdump -v"), Ok(Parsed::Version)));
    }

    #[test]
    fn help_fits_a_terminal() {
        for line in ["gdump -h", "gdump info -h", "gdump check -h", "gdump diff -h", "gdump batch -h"] {
            let text = help(line);
            let long = text.lines().find(|line| line.len() > 112);
            assert_eq!(long, None, "{line}");
        }
    }

    #[test]
    fn refusals_name_what_was_found_and_what_was_expected() {
        let cases = [
            ("--nonsense a b", "--nonsense: unknown option (see gdump --help)"),
            ("-y a b", "-y: unknown option"),
            ("--m 1 a b", "--m is ambiguous: --max-unpacked, --max-memory, --message-level"),
            ("a b -d", "-d needs a value"),
            ("-d x a b", "-d x: dump level x is not a number from 0 to 31"),
            ("-d -1 a b", "-d -1: dump level -1 is not"),
            ("--num-threads -c a b", "--num-threads needs a value"),
            ("--num-threads many a b", "--num-threads many: expected a number"),
            ("--message-level 32 a b", "--message-level 32: expected a number from 0 to 31"),
            ("--format zip a b", "--format zip: expected elf, gcore, kdump, dmp, lime, raw"),
            ("--codec zip a b", "--codec zip: expected zlib, lzo, snappy, zstd, none"),
            ("--pfn-range 1..64 a b", "--pfn-range 1..64: A is not a multiple of 64"),
            ("--max-memory 64 a b", "--max-memory 64: 64 bytes is too little"),
            ("--raw-base x a b", "--raw-base x: expected an address"),
            ("--cyclic-buffer x a b", "--cyclic-buffer x: expected a number of KiB"),
            ("--splitblock-size 4G a b", "--splitblock-size 4G: expected a number of KiB"),
            ("--dry-run=3 a b", "--dry-run"),
            ("info", "missing FILE... (see gdump info --help)"),
            ("info --num-threads 2 a", "--num-threads: unknown option (see gdump info --help)"),
            ("check --strict a", "--strict: unknown option"),
            ("diff a", "missing FILE2"),
            ("diff", "missing FILE1 FILE2"),
            ("diff a b c", "c: one file name too many (see gdump diff --help)"),
            ("-c a ", "file name 2 of 2 is empty (see gdump --help)"),
            ("repair  b", "file name 1 of 2 is empty"),
        ];
        for (line, refusal) in cases {
            let e = parsed(&format!("gdump {line}")).err().unwrap_or_else(|| panic!("{line} is taken"));
            assert!(e.contains(refusal) && e.lines().count() == 1, "{line}: {e}");
        }
    }
}
