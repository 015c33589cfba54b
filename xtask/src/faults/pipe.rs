//! Readers and writers of pipes that go or wait.

use std::time::Duration;

use anyhow::Result;

use super::Round;
use super::command::{self, Command};
use super::trial::{Expect, Fault, Trial};

pub static COMMANDS: &[&Command] = &[&command::FLAT, &command::REARRANGE_STDIN];

/// A reader of `-F` that goes or waits after any byte; a writer to `-R` that goes after any byte.
pub fn pipe(round: &mut Round<'_>) -> Result<Trial> {
    let trial = Trial::of(round.command);
    let goes = round.dice.within(0, 3) > 0;
    if round.command.line == command::REARRANGE_STDIN.line {
        let after = round.dice.within(0, round.whole()?.len(0));
        return Ok(Trial { fault: Fault::WriterGoes { after }, expect: Expect::Failure, ..trial });
    }
    let after = round.dice.within(0, round.whole()?.len(0));
    Ok(if goes {
        Trial { fault: Fault::ReaderGoes { after }, expect: Expect::Either, ..trial }
    } else {
        let pause = Duration::from_millis(round.dice.within(50, 1500));
        Trial { fault: Fault::ReaderWaits { after, pause }, expect: Expect::Success, ..trial }
    })
}
