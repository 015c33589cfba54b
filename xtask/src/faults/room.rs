//! A file system that is too small.

use anyhow::Result;

use super::Round;
use super::command::{self, Command};
use super::trial::{Expect, Trial};

pub static COMMANDS: &[&Command] = &[
    &command::LADDER,
    &command::ZLIB_LADDER,
    &command::ZLIB,
    &command::ELF,
    &command::FLAT,
    &command::LIME,
    &command::RAW,
    &command::SPLIT,
    &command::REARRANGE,
    &command::CHECKSUM,
    &command::ATOMIC,
];

/// A file system has whole blocks.
const BLOCK: u64 = 4096;

/// Too small by one block, up to one half of the dump, half of the times by a little. Where a ladder's last step has
/// room, it must be taken.
pub fn space(round: &mut Round<'_>) -> Result<Trial> {
    let whole = round.whole()?;
    let (first, last) = (whole.room(0), whole.room(whole.sets.len() - 1));
    let most = if round.dice.within(0, 2) == 0 { 16 * BLOCK } else { first / 2 };
    let room = (first - 1 - round.dice.within(0, most)) / BLOCK * BLOCK;
    let expect = match whole.sets.len() {
        2 if room > last + 4 * BLOCK => Expect::Success,
        _ => Expect::Either,
    };
    Ok(Trial { small: Some(("out", room.max(BLOCK))), expect, ..Trial::of(round.command) })
}
