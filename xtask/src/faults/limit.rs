//! Limits of the process and of the folder for temporary files.

use anyhow::Result;

use super::Round;
use super::command::{self, Command};
use super::trial::{Expect, Trial};

pub static COMMANDS: &[&Command] = &[
    &command::ZLIB,
    &command::ELF,
    &command::FLAT,
    &command::LIME,
    &command::SPLIT,
    &command::JOIN,
    &command::REARRANGE,
    &command::CHECKSUM,
    &command::PACKED,
    &command::LADDER,
];

/// A file of any size up to the whole, few descriptors, few threads, little address space, or a bad TMPDIR.
pub fn limit(round: &mut Round<'_>) -> Result<Trial> {
    let packed = round.command.line == command::PACKED.line;
    let trial = Trial::of(round.command);
    Ok(match round.dice.within(0, if packed { 8 } else { 4 }) {
        0 => {
            let len = round.whole()?.len(0);
            let most = if round.dice.within(0, 2) == 0 { 0 } else { len.saturating_sub(8192) };
            let bytes = round.dice.within(most, len);
            Trial { wrapper: prlimit(format!("--fsize={bytes}")), ..trial }
        }
        // below 4, the loader cannot open libc
        1 => Trial { wrapper: prlimit(format!("--nofile={}", round.dice.within(4, 24))), ..trial },
        // threads make it faster, and are all that it starts
        2 => {
            let threads = format!("--nproc={}", round.dice.within(1, 5));
            Trial { wrapper: [as_user(round.user), prlimit(threads)].concat(), expect: Expect::Success, ..trial }
        }
        3 => Trial { wrapper: prlimit(format!("--as={}", round.dice.within(4 << 20, 128 << 20))), ..trial },
        4 => Trial { tmpdir: Some("missing"), expect: Expect::Failure, ..trial },
        5 => Trial { tmpdir: Some("file"), expect: Expect::Failure, ..trial },
        6 => Trial { tmpdir: Some("closed"), wrapper: as_user(round.user), expect: Expect::Failure, ..trial },
        _ => {
            let bytes = round.dice.within(1, 16 << 20);
            Trial { tmpdir: Some("tmp"), small: Some(("tmp", bytes)), expect: Expect::Failure, ..trial }
        }
    })
}

fn prlimit(limit: String) -> Vec<String> {
    vec!["prlimit".to_owned(), limit, "--".to_owned()]
}

fn as_user(user: u32) -> Vec<String> {
    let words = ["setpriv", "--reuid", &user.to_string(), "--regid", &user.to_string(), "--clear-groups", "--"];
    words.map(str::to_owned).to_vec()
}
