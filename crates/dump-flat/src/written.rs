//! Which bytes of an image were written, and which never were.

use std::collections::BTreeMap;

/// Stretches that are told apart, at most. Whoever writes a dump writes it at a few places at a time, each of which goes
/// on where it left off; what is in more pieces than this, with holes between them, is not looked at further.
const MOST: usize = 1 << 12;

/// The bytes that were written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Stretches that do not touch: where each ends, by where it begins.
    stretches: BTreeMap<u64, u64>,
    /// Whether there were too many.
    lost: bool,
}

impl Written {
    /// Adds `len` bytes at `at`.
    pub(crate) fn add(&mut self, at: u64, len: u64) {
        if self.lost || len == 0 {
            return;
        }
        let (mut start, mut end) = (at, at.saturating_add(len));
        while let Some((from, to)) = self.stretches.range(..=end).next_back().map(|(from, to)| (*from, *to)) {
            if to < start {
                break;
            }
            self.stretches.remove(&from);
            (start, end) = (start.min(from), end.max(to));
        }
        self.stretches.insert(start, end);
        if self.stretches.len() > MOST {
            self.lost = true;
            self.stretches.clear();
        }
    }

    /// The stretches between those that were written, each with where it begins and how long it is (bytes).
    pub(crate) fn holes(&self) -> Vec<(u64, u64)> {
        let ends = std::iter::once(0).chain(self.stretches.values().copied());
        let holes = ends.zip(self.stretches.keys()).map(|(end, next)| (end, next - end));
        holes.filter(|(_, len)| *len != 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_that_touch_are_one() {
        let mut written = Written::default();
        for (at, len) in [(10, 10), (40, 5), (20, 5), (60, 10), (43, 10), (0, 0)] {
            written.add(at, len);
        }
        assert_eq!(written.holes(), [(0, 10), (25, 15), (53, 7)]);
        written.add(5, 50);
        assert_eq!(written.holes(), [(0, 5), (55, 5)]);
        written.add(0, 100);
        assert_eq!(written.holes(), []);
        (0..=MOST as u64).for_each(|n| written.add(200 + 2 * n, 1));
        assert_eq!(written.holes(), []);
    }
}
