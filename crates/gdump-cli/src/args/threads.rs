//! Numbers of threads.

use std::str::FromStr;

/// A number of threads as asked for, sensible or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threads(i128);

impl Threads {
    /// As many as make sense on `cpus` CPUs: 0 and below, makedumpfile's way to ask for no further threads, is one; a
    /// number far above the CPUs is a script's mistake, which must not cost the dump, and is lowered.
    pub fn on(self, cpus: usize) -> usize {
        let most = cpus.saturating_mul(4).max(16);
        usize::try_from(self.0.max(1)).map_or(most, |threads| threads.min(most))
    }

    /// Whether `threads`, which [`Threads::on`] gave, are fewer than asked for.
    pub fn exceed(self, threads: usize) -> bool {
        self.0 > threads as i128
    }
}

impl FromStr for Threads {
    type Err = String;

    fn from_str(text: &str) -> Result<Threads, String> {
        text.parse().map(Threads).map_err(|_| "expected a number".to_owned())
    }
}

impl std::fmt::Display for Threads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_numbers_are_lowered_not_refused() {
        let cases = [
            ("0", 2, 1, false),
            ("-5", 2, 1, false),
            ("8", 2, 8, false),
            ("16", 2, 16, false),
            ("17", 2, 16, true),
            ("256", 64, 256, false),
            ("5223023572093018873", 2, 16, true),
            ("99999999999999999999999", 2, 16, true),
        ];
        for (text, cpus, threads, lowered) in cases {
            let asked: Threads = text.parse().unwrap();
            assert_eq!((asked.on(cpus), asked.exceed(threads)), (threads, lowered), "{text} on {cpus} CPUs");
            assert_eq!(asked.to_string(), text);
        }
        for bad in ["", "many", "2x", "1.5"] {
            assert!(bad.parse::<Threads>().is_err(), "{bad}");
        }
    }
}
