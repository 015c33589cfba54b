//! The options in the manual pages are those of the command line, in its words: `clap_mangen` renders them between two
//! marks, for the program, for each verb, and for the program under makedumpfile's name. `cargo xtask man` runs this
//! test; `cargo xtask man --write` sets `GDUMP_BLESS`, with which it writes.

use super::documents;
use clap::{Arg, Command};

/// Columns of a line of the page.
const WIDTH: usize = 120;

#[test]
fn the_manual_page_has_the_options_of_the_command_line() {
    let cli = documents::gdump();
    let verbs = cli.get_subcommands().map(|verb| own_of(verb.clone(), &cli).disable_help_flag(true));
    let commands = verbs.chain([cli.clone()]);
    documents::assert_is("man/gdump.1", |page| commands.fold(page.to_owned(), |page, one| with_options(&page, one)));
}

#[test]
fn makedumpfiles_manual_page_has_its_options() {
    documents::assert_is("man/makedumpfile.8", |page| with_options(page, documents::makedumpfile()));
}

/// A verb without the options that it shares with the program itself, which the page has once.
fn own_of(verb: Command, cli: &Command) -> Command {
    match verb.get_name() {
        "capture" => {
            let shared = |arg: &Arg| cli.get_arguments().any(|other| other.get_id() == arg.get_id());
            verb.mut_args(|arg| if shared(&arg) { arg.hide(true) } else { arg })
        }
        _ => verb,
    }
}

/// The page with the options of a command between their marks.
fn with_options(page: &str, command: Command) -> String {
    let name = command.get_name();
    let [begin, end] = ["begin", "end"].map(|edge| format!(".\\\" {edge} options of {name}\n"));
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("the page lacks {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("the page lacks {end}"));
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
