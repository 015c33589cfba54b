//! Called as makedumpfile: its command line and its words, for those who call it today.
//!
//! There are no verbs, abbreviations are makedumpfile's own, numbers are what `atoi` makes of them, and where callers
//! read what is printed, it is what makedumpfile prints. All that gdump can do besides can be asked for by its whole
//! name.
//!
//! Source: makedumpfile 1.7.9, makedumpfile.c, `main()` and the `check_param_for_...()` functions.

mod getopt;
mod number;
pub mod options;

use crate::args::{self, ConvertArgs, Parsed};
use crate::messages::{Messages, Voice};
use crate::plan::Plan;
use dump::VirtAddr;
use getopt::Line;
use std::ffi::OsString;

/// What a command line of makedumpfile's asks for.
pub enum Asked {
    /// A text on stdout.
    Text(String),
    /// Nothing more: `--check-params`, and they are right.
    Nothing,
    /// To do something.
    Plan {
        /// What.
        plan: Box<Plan>,
        /// Whether the process gives up rights.
        sandboxed: bool,
    },
}

/// What is wrong with a command line.
#[derive(Debug)]
pub struct Refusal {
    /// One line.
    why: String,
    /// What makedumpfile says, on stdout.
    said: String,
    /// Whether stdout carries a dump.
    streams: bool,
    /// Whether it was only to be checked.
    checked: bool,
}

impl Refusal {
    /// Prints it where callers read it.
    pub fn print(&self) {
        let messages = messages(self.streams);
        messages.error(&self.why);
        messages.common(&self.said);
        if !self.checked {
            messages.outcome(FAILED);
        }
    }
}

/// The last line of a run that did what it was asked for.
pub const COMPLETED: &str = "makedumpfile Completed.";
/// The last line of one that did not.
pub const FAILED: &str = "makedumpfile Failed.";

const INVALID: &str = "Commandline parameter is invalid.\nTry `makedumpfile --help' for more information.\n";

fn messages(streams: bool) -> Messages {
    Messages::new(Default::default(), streams).with(Voice::Makedumpfile)
}

/// Parses a command line; `words` are without the program's name.
///
/// # Errors
/// If it asks for nothing that makes sense, or something that is not done.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Asked, Refusal> {
    let others = args::long_options();
    let others: Vec<(&str, bool)> = others.iter().map(|(name, takes)| (name.as_str(), *takes)).collect();
    let (line, taken) = getopt::line(words, &others);
    taken.map_err(|why| invalid(why, &line))?;
    if line.has("-h") || line.has("--help") {
        return Ok(Asked::Text(args::help("makedumpfile")));
    }
    if line.has("-v") {
        return Ok(Asked::Text(args::version("makedumpfile")));
    }
    in_range(&line)?;
    plan(line)
}

/// Whether numbers that have a range are in it; makedumpfile has messages of its own for these.
fn in_range(line: &Line) -> Result<(), Refusal> {
    let beyond = |number: &&str| !number.parse::<u32>().is_ok_and(|number| number <= 31);
    for (option, what) in [("-d", "Dump_level"), ("--message-level=", "Message_level")] {
        let values = line.values(option);
        if let Some(number) = values.iter().flat_map(|value| value.split(',')).filter(|n| !n.is_empty()).find(beyond) {
            let said = format!("{what}({number}) is invalid.\n");
            let why = format!("{} {number}: expected a number from 0 to 31", option.trim_end_matches('='));
            return Err(Refusal { said, ..invalid(why, line) });
        }
    }
    Ok(())
}

fn invalid(why: String, line: &Line) -> Refusal {
    Refusal { why, said: INVALID.to_owned(), streams: line.has("-F"), checked: line.has("--check-params") }
}

fn plan(line: Line) -> Result<Asked, Refusal> {
    let refusal = |why: String| invalid(why, &line);
    let parsed = args::parse_options(line.words()).map_err(refusal)?;
    let Parsed::Convert { mut args, sandboxed, .. } = parsed else { return Err(refusal("no command".to_owned())) };
    check(&args).map_err(refusal)?;
    args.vtop = args.vtop.filter(|address| *address != VirtAddr(0)); // which it takes for none
    if !line.values("--config=").is_empty() && args.vmlinux.is_none() {
        return Err(refusal("--config needs a VMLINUX, given with -x".to_owned()));
    }
    if args.exclude_vmemmap && args.work_dir.is_none() {
        let why = "-e requires --work-dir".to_owned();
        return Err(Refusal { said: format!("{why}\n{INVALID}"), ..refusal(why) });
    }
    if let Some(reason) = args.refused() {
        return Err(Refusal { said: format!("{reason}.\n"), ..refusal(reason.to_owned()) });
    }
    let plan = Plan::new(&args, Voice::Makedumpfile).map_err(refusal)?;
    if args.check_params {
        return Ok(Asked::Nothing);
    }
    line.remarks.iter().for_each(|remark| plan.messages().warning(remark));
    Ok(Asked::Plan { plan: Box::new(plan), sandboxed })
}

/// What makedumpfile asks of a command line beyond what this program needs: where gdump takes several files for the
/// parts of one dump, a script has made a mistake.
fn check(args: &ConvertArgs) -> Result<(), String> {
    if args.dump_dmesg && args.dry_run {
        return Err("--dump-dmesg and --dry-run cannot be combined".to_owned());
    }
    let found = args.files.len();
    let expected = match args {
        _ if args.rearrange || args.split || args.reassemble || args.generate.is_some() => return Ok(()),
        _ if args.flattened || args.mem_usage => 1,
        _ => 2,
    };
    let names = if expected == 1 { "VMCORE" } else { "VMCORE and DUMPFILE" };
    if found == expected { Ok(()) } else { Err(format!("expected file names {names}, found {found}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Result<Asked, Refusal> {
        parse(line.split(' ').filter(|word| !word.is_empty()).map(OsString::from))
    }

    #[test]
    fn parameters_are_checked_as_a_run_would() {
        for (line, right) in [
            ("-l --message-level 7 -d 31 vmcore dumpfile", true),
            ("-F -l --message-level 7 -d 31 vmcore", true),
            ("--split -d 31 -l vmcore d3 d4", true),
            ("--reassemble d3 d4 out", true),
            ("-b 8 -c -d 31 info check", true),
            ("--num-threads 4 -E vmcore dumpfile", true),
            ("--num-threads 4 --split vmcore a b", true),
            ("-R out", true),
            ("-g vi -x vmlinux", true),
            ("-g vi", false),
            ("-g vi -x vmlinux -i other", false),
            ("--mem-usage /proc/kcore", true),
            ("--dump-dmesg vmcore dumpfile", true),
            ("-F --p --dump vmcore", true),
            ("--partial-dmesg vmcore dumpfile", false),
            ("--dump-dmesg --dry-run vmcore dumpfile", false),
            ("--xen-syms x -c -d 31 vmcore out", true),
            ("-c -E vmcore dumpfile", false),
            ("-c vmcore", false),
            ("-c a b c", false),
            ("-F -c vmcore dumpfile", false),
            ("--message-level 32 vmcore dumpfile", false),
            ("-d 1,99 vmcore dumpfile", false),
            ("-L 0 vmcore dumpfile", false),
            ("--config c vmcore dumpfile", false),
            ("--extension x.so -c vmcore dumpfile", false),
            ("-X vmcore dumpfile", true),
            ("-e -c -d 31 vmcore dumpfile", false),
            ("-e --work-dir /tmp -c -d 31 vmcore dumpfile", true),
        ] {
            assert_eq!(matches!(asked(&format!("--check-params {line}")), Ok(Asked::Nothing)), right, "{line}");
            assert_eq!(matches!(asked(line), Ok(Asked::Plan { .. })), right, "{line}");
        }
    }

    #[test]
    fn refusals_are_in_its_words() {
        for (line, said) in [
            ("-d 32 a b", "Dump_level(32) is invalid."),
            ("-d 31,99 a b", "Dump_level(99) is invalid."),
            ("--message-level 99 a b", "Message_level(99) is invalid."),
            ("--nonsense a b", "Commandline parameter is invalid."),
            ("-e -c -d 31 a b", "-e requires --work-dir"),
            ("", "Commandline parameter is invalid."),
        ] {
            let Err(refusal) = asked(line) else { panic!("{line} is taken") };
            assert!(refusal.said.starts_with(said) && !refusal.checked, "{line}: {refusal:?}");
        }
        assert!(asked("-F -c a b").is_err_and(|refusal| refusal.streams));
        assert!(
            asked("-h -v x").is_ok_and(|asked| matches!(asked, Asked::Text(text) if text.contains("--check-params")))
        );
        assert!(
            asked("-v")
                .is_ok_and(|asked| matches!(asked, Asked::Text(text) if text.starts_with("makedumpfile: version ")))
        );
    }
}
