//! Cutting memory into parts that weigh about the same.

use dump_core::{Pfn, PfnRange};

/// Cuts the pages below `end` into `count` ranges that weigh about the same: `weigh` gives how many of a range's pages
/// cost bytes.
///
/// Boundaries are multiples of `block` pages, itself rounded up to 64: crash counts ranks over 64-bit words of the
/// bitmap that begin at a part's first page. A part ends with the block in which the pages so far reach its share of
/// *all*; makedumpfile counts each part from 0, so that what each overshoots adds up and the last part is left with
/// little or nothing. A part has a block at least, pages in it or not, as long as there are blocks: readers sort parts
/// by their first page.
pub fn split_evenly(weigh: &dyn Fn(PfnRange) -> u64, end: Pfn, count: usize, block: u64) -> Vec<PfnRange> {
    let count = count.max(1) as u64;
    let block = block.max(1).checked_next_multiple_of(64).unwrap_or(1 << 63);
    let step_at = |at: Pfn| PfnRange::new(at, (at + block).min(end));
    let steps = (0..end.0).step_by(usize::try_from(block).unwrap_or(usize::MAX));
    let total: u128 = steps.map(|at| u128::from(weigh(step_at(Pfn(at))))).sum();
    let (mut at, mut seen) = (Pfn(0), 0u64);
    let mut parts = Vec::new();
    for nth in 1..=count {
        let start = at;
        let share = (total * u128::from(nth)).div_ceil(u128::from(count));
        while at < end && nth != count && (at == start || u128::from(seen) < share) {
            seen += weigh(step_at(at));
            at = step_at(at).end;
        }
        // The last part takes what is left, however its pages lie.
        at = if nth == count { end } else { at };
        parts.push(PfnRange::new(start, at));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use dump_core::PageBitmap;

    #[test]
    fn parts_follow_each_other_and_balance() {
        let mut bits = PageBitmap::new(Pfn(100_001)).unwrap();
        bits.set(PfnRange::new(Pfn(10), Pfn(50_000)));
        bits.set(PfnRange::new(Pfn(90_000), Pfn(100_001)));
        for count in 1..=9 {
            let parts = split_evenly(&|run| bits.count(run), Pfn(100_001), count, 500);
            assert_eq!(parts.len(), count);
            assert_eq!((parts[0].start, parts[count - 1].end), (Pfn(0), Pfn(100_001)));
            let fair = 59_991 / count as u64;
            for (i, part) in parts.iter().enumerate() {
                assert!(bits.count(*part).abs_diff(fair) <= 512, "{count}: {part:?}");
                assert!(i == 0 || parts[i - 1].end == part.start);
                assert_eq!(part.start.0 % 512, 0);
            }
        }
    }

    #[test]
    fn few_blocks_leave_the_last_parts_empty() {
        let mut bits = PageBitmap::new(Pfn(100)).unwrap();
        bits.set(PfnRange::new(Pfn(1), Pfn(3)));
        let weigh = |run| bits.count(run);
        let split = |count, block| split_evenly(&weigh, Pfn(100), count, block);
        let shape = |count, block| split(count, block).iter().map(|p| p.len()).collect::<Vec<_>>();
        assert_eq!(shape(3, u64::MAX), [100, 0, 0]);
        assert_eq!(shape(2, 1), [64, 36]);
        assert_eq!(split_evenly(&weigh, Pfn(0), 2, 64), [PfnRange::default(); 2]);
    }
}
