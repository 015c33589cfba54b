//! `cargo xtask man`: the manual page names the options that the program has.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

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

/// Compares `gdump --help` with man/gdump.1.
fn check(gdump: &std::path::Path) -> Result<()> {
    let output = program::output(Command::new(gdump).arg("--help"))?;
    let help = in_help(&String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
    ensure!(!help.is_empty(), "gdump --help prints no options");
    let path = workspace::root()?.join("man/gdump.1");
    let page = in_page(&std::fs::read_to_string(&path).context("man/gdump.1")?);
    let missing: Vec<_> =
        help.difference(&page).map(|option| format!("  {option}: missing from man/gdump.1")).collect();
    let unknown: Vec<_> =
        page.difference(&help).map(|option| format!("  {option}: not printed by gdump --help")).collect();
    if missing.is_empty() && unknown.is_empty() {
        println!("man/gdump.1 and gdump --help name the same {} options", help.len());
        return Ok(());
    }
    bail!("the manual page and the program disagree:\n{}", [missing, unknown].concat().join("\n"))
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
}
