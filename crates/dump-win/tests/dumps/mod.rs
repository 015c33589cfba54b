//! What the tests share: where memory is, and what it holds.

// Each test binary uses its own part. Lints know functions marked #[test] as tests, not what they call.
#![allow(dead_code, clippy::unwrap_used)]

use dump_core::{Absence, PageSize, Pfn};
use dump_kit::{Page, made_page};
use dump_synth::DmpFile;
use std::ops::Range;

/// RAM, in page frames.
pub const RUNS: [Range<u64>; 3] = [1..9, 0x40..0x43, 0x100..0x110];

/// Past the last of them.
pub const END: Pfn = Pfn(0x113);

/// What page frame `pfn` holds.
pub fn page(pfn: u64) -> Vec<u8> {
    made_page(PageSize::K4, Pfn(pfn))
}

/// What a dump has below `END`.
pub fn expected(file: &DmpFile) -> Vec<Page> {
    let held = file.held();
    let one = |pfn: u64| match (held.binary_search(&pfn), file.runs.iter().any(|run| run.contains(&pfn))) {
        (Ok(_), _) => Ok(page(pfn)),
        (Err(_), true) => Err(Absence::Excluded),
        (Err(_), false) => Err(Absence::Hole),
    };
    (0..END.0).map(one).collect()
}
