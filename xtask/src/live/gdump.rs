//! gdump at work on a guest.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, Result, ensure};

use crate::program;

/// The program that is checked.
pub struct Gdump {
    pub program: PathBuf,
}

/// What it said on both streams.
pub struct Said(pub String);

impl Gdump {
    /// `gdump WORDS`.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words);
        command
    }

    /// Runs it to its end, which must be a success.
    pub fn run(&self, words: &[&str]) -> Result<Said> {
        run(&mut self.command(words))
    }

    /// Starts it, to be disturbed.
    pub fn start(&self, words: &[&str]) -> Result<Child> {
        // one that is started in the background, or by nohup, ignores signals that it inherits as ignored
        let mut command = Command::new("env");
        command.arg("--default-signal=HUP,INT,TERM").arg(&self.program).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().with_context(|| program::shown(&command))
    }
}

/// Runs `command`, a gdump, to its end, which must be a success.
pub fn run(command: &mut Command) -> Result<Said> {
    let output = program::output(command)?;
    program::checked(command, &output)?;
    let said = Said::of(&output);
    ensure!(!said.0.contains("warning"), "{}: {}", program::shown(command), said.0);
    Ok(said)
}

impl Said {
    pub fn of(output: &Output) -> Said {
        Said([&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat())
    }

    /// What follows `label` in its line.
    pub fn after(&self, label: &str) -> Option<&str> {
        let line = self.0.lines().find_map(|line| line.split_once(label))?;
        Some(line.1.trim_start_matches([' ', ':']))
    }

    /// The number that follows `label`.
    pub fn number(&self, label: &str) -> Result<f64> {
        let word = self.after(label).and_then(|rest| rest.split_whitespace().next());
        word.and_then(|word| word.parse().ok()).with_context(|| format!("gdump says no {label:?}: {}", self.0))
    }
}

/// Whether two files are the same, byte for byte.
pub fn same(one: &Path, other: &Path) -> Result<bool> {
    let (a, b) = (std::fs::metadata(one)?.len(), std::fs::metadata(other)?.len());
    Ok(a == b && program::output(Command::new("cmp").arg("-s").arg(one).arg(other))?.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_after_a_label() {
        let said = Said("map              : 0.010 s\nThe guest stood still for 0.250 s.\n".to_owned());
        assert!((said.number("stood still for").unwrap() - 0.25).abs() < 1e-9);
        assert!((said.number("map ").unwrap() - 0.01).abs() < 1e-9);
        assert!(said.number("notes").is_err());
    }
}
