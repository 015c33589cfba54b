//! Inputs that change while they are read.

use anyhow::{Result, bail};

use super::Round;
use super::command::{self, Command};
use super::stop::moment;
use super::trial::{Expect, Fault, Trial};

pub static COMMANDS: &[&Command] = &[
    &command::ZLIB,
    &command::ELF,
    &command::LIME,
    &command::SPLIT,
    &command::JOIN,
    &command::REARRANGE,
    &command::REPAIR,
    &command::AGAIN,
    &command::PACKED,
];

/// The input becomes shorter, or another file takes its name.
pub fn input(round: &mut Round<'_>) -> Result<Trial> {
    let words = command::words(round.command.line).args;
    let Some(input) = words.into_iter().find(|word| word.starts_with("in/")) else {
        bail!("gdump {} reads nothing", round.command.line)
    };
    let after = moment(round)?;
    let fault = if round.dice.within(0, 3) == 0 {
        Fault::Replaced { input, after }
    } else {
        Fault::Shrinks { input, to: round.dice.within(0, round.input_len(input)?), after }
    };
    Ok(Trial { fault, expect: Expect::Either, ..Trial::of(round.command) })
}
