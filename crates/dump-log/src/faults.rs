//! What is wrong with a log.

use dump_core::Error;

/// Faults that are said, at most: a ring that is noise has as many as it has records.
const SAID: usize = 8;

/// The first faults, and how many more there are.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    first: Vec<Error>,
    more: u64,
}

impl Faults {
    pub fn add(&mut self, fault: Error) {
        if self.first.len() < SAID {
            self.first.push(fault);
        } else {
            self.more += 1;
        }
    }

    pub fn first(&self) -> &[Error] {
        &self.first
    }

    pub fn more(&self) -> u64 {
        self.more
    }
}
