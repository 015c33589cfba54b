//! Signals at any moment.

use std::time::Duration;

use anyhow::Result;

use super::Round;
use super::command::{self, Command};
use super::trial::{Fault, Trial};

pub static COMMANDS: &[&Command] = &[
    &command::ZLIB,
    &command::ELF,
    &command::FLAT,
    &command::SPLIT,
    &command::JOIN,
    &command::REARRANGE,
    &command::LIME,
    &command::RAW,
    &command::REPAIR,
    &command::REPAIR_CUT,
    &command::CHECKSUM,
    &command::ATOMIC,
];

/// Those that ask to stop, and those that end a process that does not look.
const SIGNALS: &[&str] = &["INT", "TERM", "HUP", "XCPU", "QUIT", "USR1", "ALRM"];

/// A moment in a run of the command of `round`, or somewhat after it, for a machine that has other work is slower.
pub fn moment(round: &mut Round<'_>) -> Result<Duration> {
    let took = round.whole()?.took;
    Ok(Duration::from_micros(round.dice.within(0, took.as_micros() as u64 * 3 / 2)))
}

/// SIGKILL at any moment.
pub fn kill(round: &mut Round<'_>) -> Result<Trial> {
    let fault = Fault::Signal { name: "KILL", after: moment(round)? };
    Ok(Trial { fault, ..Trial::of(round.command) })
}

/// Another signal at any moment.
pub fn signal(round: &mut Round<'_>) -> Result<Trial> {
    let name = round.dice.one_of(SIGNALS);
    let fault = Fault::Signal { name, after: moment(round)? };
    Ok(Trial { fault, ..Trial::of(round.command) })
}
