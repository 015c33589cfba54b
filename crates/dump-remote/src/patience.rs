//! How long a server is waited for.

use std::time::Duration;

/// How long a server is waited for, and how often it is asked again.
#[derive(Clone, Debug)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For the first byte of an answer, and for each further piece of it.
    pub answer: Duration,
    /// Before the first further attempt; twice as long before each that follows, unless the server says how long.
    pub first_wait: Duration,
    /// How long at most, whatever the server says.
    pub longest_wait: Duration,
    /// How often a file is asked for when it is opened.
    pub at_first: u32,
    /// How often a range of a file that was opened is asked for without getting a block of it.
    pub later: u32,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            connect: Duration::from_secs(15),
            answer: Duration::from_secs(30),
            first_wait: Duration::from_millis(250),
            longest_wait: Duration::from_secs(20),
            at_first: 4,
            // waits of 0.25, 0.5, 1, 2, 4, 8 and 16 s: a server that is started anew is back by then
            later: 8,
        }
    }
}

impl Patience {
    /// How long to wait after `failed` attempts; `asked` is what the server asks for.
    pub(crate) fn wait(&self, failed: u32, asked: Option<Duration>) -> Duration {
        let doubled = self.first_wait.saturating_mul(1 << failed.saturating_sub(1).min(16));
        asked.unwrap_or(doubled).min(self.longest_wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end_somewhere() {
        let patience = Patience::default();
        let waits: Vec<u128> = (1..9).map(|failed| patience.wait(failed, None).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 16_000, 20_000]);
        assert_eq!(patience.wait(1, Some(Duration::from_secs(3))).as_secs(), 3);
        assert_eq!(patience.wait(u32::MAX, Some(Duration::from_secs(9999))).as_secs(), 20);
    }
}
