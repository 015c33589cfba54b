//! The options in man/gdump.1 are those of the command line, in its words: `clap_mangen` renders them between two
//! marks, for the program and for each verb. `cargo xtask man` runs this test; `cargo xtask man --write` sets
//! `GDUMP_BLESS`, with which it writes.

use super::Cli;
use clap::{Arg, Command, CommandFactory};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../man/gdump.1");

/// Columns of a line of the page.
const WIDTH: usize = 120;

#[test]
fn the_manual_page_has_the_options_of_the_command_line() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let cli = Cli::command();
    let verbs = cli.get_subcommands().map(|verb| verb.clone().disable_help_flag(true));
    let expected = verbs.chain([cli.clone()]).fold(page.clone(), |page, command| with_options(&page, command));
    if std::env::var_os("GDUMP_BLESS").is_some() {
        return std::fs::write(PAGE, expected).unwrap();
    }
    let first = page.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
    assert!(page == expected, "man/gdump.1 is not as `cargo xtask man --write` writes it: {first:?}");
}

/// The page with the options of a command between their marks.
fn with_options(page: &str, command: Command) -> String {
    let [begin, end] = ["begin", "end"].map(|edge| format!(".\\\" {edge} options of {}\n", command.get_name()));
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("man/gdump.1 lacks {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("man/gdump.1 lacks {end}"));
    format!("{before}{begin}{}{end}{after}", options(command))
}

/// The options of a command as roff.
fn options(command: Command) -> String {
    let mut roff = Vec::new();
    clap_mangen::Man::new(command.mut_args(in_sentences)).render_options_section(&mut roff).unwrap();
    let roff = String::from_utf8(roff).unwrap().replace("\\*(Aq", "\\(aq");
    let (_, options) = roff.split_once(".SH OPTIONS\n").unwrap();
    options.lines().map(wrapped).collect()
}

/// The help of an option as running text: its summary, which ends without a period on a terminal, and what follows it.
fn in_sentences(arg: Arg) -> Arg {
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let sentences = help.split("\n\n").map(|text| format!("{}.", text.replace('\n', " ").trim_end_matches('.')));
    let text = sentences.collect::<Vec<_>>().join(" ");
    arg.long_help(text)
}

/// A line of roff, or several where it is text that is too long for one.
fn wrapped(line: &str) -> String {
    let mut lines = vec![String::new()];
    for word in line.split(' ') {
        match lines.last_mut() {
            Some(last) if last.is_empty() => last.push_str(word),
            Some(last) if last.len() + word.len() < WIDTH || word.starts_with(['.', '\'']) => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n") + "\n"
}
