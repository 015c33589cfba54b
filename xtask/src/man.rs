//! `cargo xtask man`: the manual page names the options that the program and each of its verbs have.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{program, workspace};

/// What `cargo xtask man` takes.
#[derive(clap::Args, Default)]
pub struct Args {
    /// Another gdump than this repository's
    #[arg(long, value_name = "PATH", hide = true)]
    gdump: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    check(&workspace::gdump(args.gdump.as_deref())?)
}

/// Compares `gdump --help` and the help of each verb with their sections of man/gdump.1.
fn check(gdump: &Path) -> Result<()> {
    let page = std::fs::read_to_string(workspace::root()?.join("man/gdump.1")).context("man/gdump.1")?;
    let general = help(gdump, &["--help"])?;
    let mut wrong = differences("gdump", &in_help(&general), &in_page(section(&page, ".SH OPTIONS")));
    for verb in verbs(&general) {
        let mut options = in_help(&help(gdump, &[verb, "--help"])?);
        options.retain(|option| !["-h", "--help"].contains(&option.as_str())); // the same for all
        let heading = format!(".SS gdump {verb}");
        wrong.extend(differences(&format!("gdump {verb}"), &options, &in_page(section(&page, &heading))));
    }
    ensure!(wrong.is_empty(), "the manual page and the program disagree:\n{}", wrong.join("\n"));
    println!("man/gdump.1 and gdump --help name the same options");
    Ok(())
}

fn help(gdump: &Path, args: &[&str]) -> Result<String> {
    let output = program::output(Command::new(gdump).args(args))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(!in_help(&text).is_empty(), "gdump {} prints no options", args.join(" "));
    Ok(text)
}

/// A line for each option that only one of a help text and a section of the manual page has.
fn differences(command: &str, help: &BTreeSet<String>, page: &BTreeSet<String>) -> Vec<String> {
    let missing = help.difference(page).map(|option| format!("  {command} {option}: missing from man/gdump.1"));
    let unknown = page.difference(help).map(|option| format!("  {command} {option}: not printed by --help"));
    missing.chain(unknown).collect()
}

/// The verbs that a help text lists.
fn verbs(help: &str) -> Vec<&str> {
    let list = help.split_once("\nVerbs:\n").map_or("", |(_, list)| list);
    let lines = list.lines().take_while(|line| !line.is_empty());
    lines.filter_map(|line| line.split_whitespace().next()).collect()
}

/// What follows `heading`, a line of the manual page, up to the next heading.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let after = page.split_once(&format!("\n{heading}\n")).map_or("", |(_, after)| after);
    let end = [".SH ", ".SS "].iter().filter_map(|macro_name| after.find(&format!("\n{macro_name}"))).min();
    &after[..end.unwrap_or(after.len())]
}

/// The options that lines of a help text begin with.
fn in_help(text: &str) -> BTreeSet<String> {
    let lines = text.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    // Two spaces end the options; what follows explains them and may name others.
    lines.flat_map(|line| options(line.split("  ").next().unwrap_or(line))).collect()
}

/// The options that the tagged paragraphs of a manual page are about; what running text mentions does not count.
fn in_page(text: &str) -> BTreeSet<String> {
    let lines: Vec<&str> = text.lines().collect();
    let tags = lines.windows(2).filter_map(|pair| match pair {
        [macro_line, tag] if matches!(macro_line.split(' ').next(), Some(".TP" | ".TQ")) => Some(*tag),
        [macro_line, _] => macro_line.strip_prefix(".IP "),
        _ => None,
    });
    tags.flat_map(|tag| options(&plain(tag))).collect()
}

/// A line of roff without macros, fonts and escapes.
fn plain(line: &str) -> String {
    let line = [".BR ", ".BI ", ".B ", ".IR ", ".RB "].iter().find_map(|name| line.strip_prefix(name)).unwrap_or(line);
    let fonts = ["\\fB", "\\fI", "\\fR", "\\fP", "\""];
    fonts.iter().fold(line.to_string(), |text, font| text.replace(font, " ")).replace("\\-", "-")
}

/// The words of `text` that are options, without their values.
fn options(text: &str) -> Vec<String> {
    let words = text.split(|c: char| c.is_whitespace() || ",|=[]<>()".contains(c));
    words.filter(|word| word.starts_with('-') && word.chars().any(char::is_alphanumeric)).map(str::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(words: &[&str]) -> BTreeSet<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn options_of_a_help_text() {
        let text = "Usage: gdump [OPTIONS]\n\nOptions:\n  -c             Pack with zlib (see -l)\n  -d, --dump-level <LEVEL>\n          Leave out, like --x\n      --split=N  Parts\n";
        assert_eq!(in_help(text), set(&["-c", "-d", "--dump-level", "--split"]));
    }

    #[test]
    fn options_of_a_manual_page() {
        let text = ".SH OPTIONS\n.TP\n.B \\-c\nPack; not with\n.BR \\-E .\n.TP\n\\fB\\-d\\fR, \\fB\\-\\-dump\\-level\\fR \\fILEVEL\\fR\nLevel.\n.TP 4\n.BI \\-\\-split= N\n.TQ\n.B \"\\-z\"\n.IP \\-p 4\nx\n";
        assert_eq!(in_page(text), set(&["-c", "-d", "--dump-level", "--split", "-z", "-p"]));
    }

    #[test]
    fn verbs_of_a_help_text() {
        let text = "Usage: gdump info FILE\n\nVerbs:\n  info   Show\n  check  Read\n\nOptions:\n  -c  Compress\n";
        assert_eq!(verbs(text), ["info", "check"]);
        assert!(verbs("Options:\n  -c  Compress\n").is_empty());
    }

    #[test]
    fn sections_of_a_manual_page() {
        let page =
            ".TH X\n.SH OPTIONS\n.TP\n.B \\-c\n.SH VERBS\n.SS gdump info\n.TP\n.B \\-\\-json\nx\n.SS gdump check\ny\n";
        assert_eq!(in_page(section(page, ".SH OPTIONS")), set(&["-c"]));
        assert_eq!(in_page(section(page, ".SS gdump info")), set(&["--json"]));
        assert_eq!(section(page, ".SS gdump check"), "y\n");
        assert_eq!(section(page, ".SS gdump diff"), "");
    }

    #[test]
    fn each_difference_is_a_line() {
        let lines = differences("gdump", &set(&["-c", "-d"]), &set(&["-d", "-z"]));
        assert_eq!(lines, ["  gdump -c: missing from man/gdump.1", "  gdump -z: not printed by --help"]);
        assert!(differences("gdump", &set(&["-c"]), &set(&["-c"])).is_empty());
    }
}
