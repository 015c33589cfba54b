//! Bitmaps whose bits count from the highest of each byte.

use dump_core::{Error, ReadAt, Result, Stretch};
use std::ops::Range;

/// Bytes read at a time.
const BYTES_PER_READ: u64 = 64 << 10;

/// Hands over the runs of set bits below bit `end` of the bitmap of `bytes` bytes at `at`.
///
/// # Errors
/// If it cannot be read; as `run`.
pub(crate) fn runs(
    input: &dyn ReadAt,
    at: u64,
    bytes: u64,
    end: u64,
    run: &mut dyn FnMut(Range<u64>) -> Result<()>,
) -> Result<()> {
    let bytes = bytes.min(end.div_ceil(8));
    let (mut open, mut from) = (None, 0);
    let mut take = |bit: u64, set: bool, open: &mut Option<u64>| match (set && bit < end, *open) {
        (true, None) => {
            *open = Some(bit);
            Ok(())
        }
        (false, Some(start)) => {
            *open = None;
            run(start..bit)
        }
        _ => Ok(()),
    };
    while from < bytes {
        if let Stretch::Hole(hole) = input.stretch_at(at.saturating_add(from)) {
            if hole > 0 {
                take(from * 8, false, &mut open)?;
                from = from.saturating_add(hole);
                continue;
            }
        }
        let mut chunk = vec![0; usize::try_from(BYTES_PER_READ.min(bytes - from)).unwrap_or(0)];
        input.read_exact_at(at.saturating_add(from), &mut chunk)?;
        for (i, byte) in (from..).zip(&chunk) {
            match byte {
                0 if open.is_none() => {}
                0xff if open.is_some() && (i + 1) * 8 <= end => {}
                _ => (0..8).try_for_each(|bit| take(i * 8 + bit, byte << bit & 0x80 != 0, &mut open))?,
            }
        }
        from += chunk.len() as u64;
    }
    take(end.min(bytes * 8), false, &mut open)
}

/// Runs, no more than are held.
pub(crate) struct Runs {
    pub list: Vec<Range<u64>>,
    limit: usize,
}

/// Runs that any dump may have, and bytes of a file for one more: they take 16 to 24 bytes.
const FREE_RUNS: usize = 1 << 20;
const BYTES_PER_RUN: u64 = 128;

impl Runs {
    /// None yet, of a file of `len` bytes.
    pub fn new(len: u64) -> Runs {
        let limit = usize::try_from(len / BYTES_PER_RUN).unwrap_or(usize::MAX).max(FREE_RUNS);
        Runs { list: Vec::new(), limit }
    }

    pub fn push(&mut self, run: Range<u64>) -> Result<()> {
        if self.list.len() >= self.limit {
            return Err(Error::unsupported(format!(
                "more than {} runs of pages, too many to hold in memory",
                self.limit
            )));
        }
        self.list.push(run);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init)] // a list of runs that has one
mod tests {
    use super::*;

    #[test]
    fn runs_of_set_bits() {
        let runs_of = |bytes: &[u8], end: u64| {
            let mut list = Vec::new();
            runs(&bytes.to_vec(), 1, bytes.len() as u64 - 1, end, &mut |run| {
                list.push(run);
                Ok(())
            })
            .unwrap();
            list
        };
        assert_eq!(runs_of(&[9, 0x80, 0x01, 0xff, 0xff, 0xc0], 99), [0..1, 15..34]);
        assert_eq!(runs_of(&[9, 0xff, 0xff], 13), [0..13]);
        assert_eq!(runs_of(&[9, 0, 0x5a, 0], 24), [9..10, 11..13, 14..15]);
        assert_eq!(runs_of(&[9, 0xff], 8), [0..8]);
        assert_eq!(runs_of(&[9], 8), []);
        let long = [vec![9, 1], vec![0xff; 70_000], vec![0xfe]].concat();
        assert_eq!(runs_of(&long, 1 << 30), [7..8 + 560_000 + 7]);
    }
}
