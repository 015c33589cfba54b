//! Runs of page frames out of bits.

use crate::addr::{Pfn, PfnRange};
use crate::error::Result;

/// Calls `each` with the runs of set bits in `bits`, lowest bit of a byte first; bit 0 of the first byte is page
/// `first`.
///
/// # Errors
/// What `each` returns.
pub fn runs_of_bits(bits: &[u8], first: Pfn, each: &mut dyn FnMut(PfnRange) -> Result<()>) -> Result<()> {
    let mut open = None;
    for (i, chunk) in bits.chunks(8).enumerate() {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let (word, base, mut at) = (u64::from_le_bytes(word), first + 64 * i as u64, 0);
        // Each turn ends a stretch of equal bits within the word; one that reaches the word's end goes on in the next.
        while at < 64 {
            let rest = word >> at;
            at += match open {
                None => rest.trailing_zeros(),
                Some(_) => rest.trailing_ones(),
            };
            if at < 64 {
                let here = base + u64::from(at);
                match open.take() {
                    None => open = Some(here),
                    Some(start) => each(PfnRange::new(start, here))?,
                }
            }
        }
    }
    match open {
        Some(start) => each(PfnRange::new(start, first + 8 * bits.len() as u64)),
        None => Ok(()),
    }
}

/// The part of `run` within `within`, handed to `each` unless it is empty.
///
/// # Errors
/// What `each` returns.
pub(crate) fn give(run: PfnRange, within: PfnRange, each: &mut dyn FnMut(PfnRange) -> Result<()>) -> Result<()> {
    let run = run.intersect(within);
    if run.is_empty() { Ok(()) } else { each(run) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_are_the_set_bits(
            bits in prop::collection::vec(prop::sample::select(vec![0u8, 255, 1, 0x80, 0x3c]), 0..40),
        ) {
            let mut pages = Vec::new();
            let mut end = None;
            runs_of_bits(&bits, Pfn(640), &mut |run| {
                assert!(!run.is_empty() && end != Some(run.start), "runs are maximal");
                end = Some(run.end);
                pages.extend(run.start.0..run.end.0);
                Ok(())
            }).unwrap();
            let set = |i: &u64| bits[*i as usize / 8] >> (i % 8) & 1 == 1;
            let want = (0..8 * bits.len() as u64).filter(set).map(|i| 640 + i);
            prop_assert_eq!(pages, want.collect::<Vec<_>>());
        }
    }
}
