//! Attempts at the same thing.

use crate::patience::Patience;
use crate::trouble::Trouble;
use dump_core::Result;

/// Attempts at the same thing, so many at most.
pub(crate) struct Tries<'a> {
    patience: &'a Patience,
    most: u32,
    failed: u32,
}

impl<'a> Tries<'a> {
    /// `most` attempts.
    pub fn new(patience: &'a Patience, most: u32) -> Tries<'a> {
        Tries { patience, most, failed: 0 }
    }

    /// Counts from none again.
    pub fn begin_anew(&mut self) {
        self.failed = 0;
    }

    /// Waits before the next attempt, after one that was in vain.
    ///
    /// # Errors
    /// The reason, if it does not pass, or did not in all attempts.
    pub fn after(&mut self, trouble: Trouble) -> Result<()> {
        self.failed += 1;
        if !trouble.passes {
            return Err(trouble.error);
        }
        if self.failed >= self.most {
            return Err(trouble.error.within(format_args!("{} attempts", self.failed)));
        }
        std::thread::sleep(self.patience.wait(self.failed, trouble.wait));
        Ok(())
    }
}
