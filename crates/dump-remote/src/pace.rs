//! How much to fetch at a time: little where reads jump, more and more where they go on.

use crate::blocks::BLOCK;
use std::sync::{Mutex, PoisonError};

/// Blocks of the longest run: at 10 MB/s and 40 ms a request, a tenth of the time is spent waiting.
const LONGEST: u64 = (4 << 20) / BLOCK;
/// Places at which somebody reads on that are known at a time: workers, and what each of them reads besides pages.
const PLACES: usize = 32;

/// Where the last reads of a file ended.
#[derive(Default)]
pub(crate) struct Pace {
    /// The one used last at the end.
    places: Mutex<Vec<Place>>,
}

/// Where a fetch ended, and how long it was (blocks).
struct Place {
    end: u64,
    run: u64,
}

impl Pace {
    /// How many blocks to fetch from `first` on, of which `needed` are asked for. A read that passes over less than was
    /// last fetched goes on as well: pages that are left out lie between those that are read.
    pub fn run(&self, first: u64, needed: u64) -> u64 {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let before =
            places.iter().rposition(|place| (place.end..=place.end.saturating_add(place.run)).contains(&first));
        let last = before.map(|at| places.remove(at).run);
        let run = last.map_or(1, |run| (run * 2).min(LONGEST)).max(needed);
        if places.len() == PLACES {
            places.remove(0);
        }
        places.push(Place { end: first.saturating_add(run), run: run.min(LONGEST) });
        run
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_grow_while_reads_go_on() {
        let pace = Pace::default();
        let (mut at, mut runs) = (7, Vec::new());
        for _ in 0..9 {
            runs.push(pace.run(at, 1));
            at += runs.last().unwrap();
            assert_eq!(pace.run(1 << 40, 1), 1, "another place");
            let _ = pace.run(at << 20, 1);
        }
        assert_eq!(runs, [1, 2, 4, 8, 16, 32, 64, 128, 128]);
        assert_eq!(pace.run(at + 100, 1), 128, "passes over less than was fetched");
        assert_eq!(pace.run(at + 100_000, 3), 3);
    }
}
