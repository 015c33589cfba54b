//! What a comparison found, printed as it is found.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

/// Counts what differs.
#[derive(Default)]
pub struct Report {
    differences: usize,
    left_out: usize,
    said: BTreeSet<String>,
}

impl Report {
    /// Begins with another dump.
    pub fn start(&mut self, dump: &str) {
        self.said.clear();
        println!("{dump}");
    }

    /// A check that passed, or a remark.
    pub fn note(&self, text: impl std::fmt::Display) {
        println!("{text}");
    }

    /// A check that could not be made. Said at the end again, so that it does not pass for a success.
    pub fn left_out(&mut self, text: impl std::fmt::Display) {
        self.left_out += 1;
        println!("NOT COMPARED: {text}");
    }

    /// A check that failed.
    pub fn differs(&mut self, text: impl std::fmt::Display) {
        self.differences += 1;
        println!("DIFFERS: {text}");
    }

    /// A check that failed and will fail the same way again, at `place`: `text` is said about the first place only.
    pub fn differs_once(&mut self, place: &str, text: String) {
        if self.said.contains(&text) {
            self.differences += 1;
            return;
        }
        self.differs(format!("{place} (others with the same are not listed): {text}"));
        self.said.insert(text);
    }

    /// The outcome of all checks.
    pub fn finish(&self) -> Result<()> {
        if self.left_out > 0 {
            println!("checks left out, see NOT COMPARED above: {}", self.left_out);
        }
        if self.differences > 0 {
            bail!("checks that found a difference: {}", self.differences);
        }
        println!("no difference found");
        Ok(())
    }
}
