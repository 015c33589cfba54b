//! Files of the repository that are written from the command line: what is in them is what it has.

use crate::makedumpfile::options::{LETTERS, LONGS};
use clap::builder::Resettable;
use clap::{Arg, Command};
use std::path::Path;

/// Asserts that the file at `path`, from the root of the repository, is as `written` makes it of what it holds now; with
/// `GDUMP_BLESS` set, makes it so.
pub fn assert_is(path: &str, written: impl FnOnce(&str) -> String) {
    let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(path);
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    let expected = written(&found);
    if std::env::var_os("GDUMP_BLESS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        return std::fs::write(file, expected).unwrap();
    }
    let first = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
    assert!(found == expected, "{path} is not as `cargo xtask man --write` writes it: {first:?}");
}

/// gdump's command line.
pub fn gdump() -> Command {
    super::command()
}

/// makedumpfile's: of gdump's options those that makedumpfile has, and no verbs.
pub fn makedumpfile() -> Command {
    let all = gdump();
    let options = all.get_arguments().filter(|arg| arg.is_positional() || is_makedumpfiles(arg)).cloned();
    Command::new("makedumpfile").disable_help_flag(true).args(options.map(alone))
}

/// Whether makedumpfile has an option.
fn is_makedumpfiles(arg: &Arg) -> bool {
    let letter = LETTERS.iter().any(|known| arg.get_short() == Some(known.letter));
    letter || LONGS.iter().any(|known| arg.get_long() == Some(known.name))
}

/// An option without what it says of others, which may not be there.
fn alone(arg: Arg) -> Arg {
    arg.overrides_with(Resettable::Reset).conflicts_with(Resettable::Reset)
}
