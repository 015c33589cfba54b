//! The bitmap of page frames, in pages per second, over 16 GiB of 4 KiB pages in three states: all there, as after a
//! filter (long runs and short ones), and every other page.
//!
//! ```text
//! cargo bench -p dump-core --bench bitmap
//! ```

#![allow(missing_docs, clippy::unwrap_used)]

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use dump_core::{PageBitmap, Pfn, PfnRange};

/// Pages of the window.
const PAGES: u64 = 1 << 22;

const ALL: PfnRange = PfnRange { start: Pfn(0), end: Pfn(PAGES) };

const STATES: [&str; 3] = ["full", "filtered", "alternating"];

fn made(state: &str) -> PageBitmap {
    let mut bits = PageBitmap::new(Pfn(PAGES)).unwrap();
    match state {
        "full" => bits.set(ALL),
        "filtered" => runs().for_each(|run| bits.set(run)),
        _ => (0..PAGES).step_by(2).for_each(|pfn| bits.set(PfnRange::at(Pfn(pfn), 1))),
    }
    bits
}

/// Runs of 1 to 8192 pages with gaps alike, short ones far more often.
fn runs() -> impl Iterator<Item = PfnRange> {
    let (mut state, mut at) = (1u64, 0);
    let mut len = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bits = (state >> 33).trailing_zeros().min(12);
        (1 << bits) + (state >> 40 & ((1 << bits) - 1))
    };
    std::iter::from_fn(move || {
        let run = PfnRange::at(Pfn(at), len()).intersect(ALL);
        at = run.end.0 + len();
        (!run.is_empty()).then_some(run)
    })
}

fn bench<T>(bencher: Bencher<'_, '_>, state: &str, work: impl Fn(&PageBitmap) -> T) {
    let bits = made(state);
    bencher.counter(ItemsCount::new(PAGES)).bench_local(|| work(black_box(&bits)));
}

#[divan::bench(args = STATES)]
fn count(bencher: Bencher<'_, '_>, state: &str) {
    bench(bencher, state, |bits| bits.count(ALL));
}

/// As the writers ask: block after block of 64 pages.
#[divan::bench(args = STATES)]
fn count_of_blocks(bencher: Bencher<'_, '_>, state: &str) {
    bench(bencher, state, |bits| (0..PAGES).step_by(64).map(|pfn| bits.count(PfnRange::at(Pfn(pfn), 64))).sum::<u64>());
}

#[divan::bench(args = STATES)]
fn runs_of_all(bencher: Bencher<'_, '_>, state: &str) {
    bench(bencher, state, |bits| bits.runs(ALL).map(|run| run.len()).sum::<u64>());
}

#[divan::bench(args = STATES)]
fn next_set_and_clear(bencher: Bencher<'_, '_>, state: &str) {
    bench(bencher, state, |bits| {
        let (mut at, mut runs) = (Pfn(0), 0u64);
        while let Some(start) = bits.next_set(at) {
            (at, runs) = (bits.next_clear(start), runs + 1);
        }
        runs
    });
}

#[divan::bench(args = STATES)]
fn take_blocks(bencher: Bencher<'_, '_>, state: &str) {
    bench(bencher, state, |bits| {
        let (mut at, mut blocks) = (Pfn(0), 0u64);
        loop {
            let block = bits.take(at, 64);
            if block.is_empty() {
                return blocks;
            }
            (at, blocks) = (block.end, blocks + 1);
        }
    });
}

#[divan::bench(args = STATES)]
fn write_bytes(bencher: Bencher<'_, '_>, state: &str) {
    let mut out = vec![0; (PAGES / 8) as usize];
    let bits = made(state);
    bencher.counter(ItemsCount::new(PAGES)).bench_local(|| black_box(&bits).write_bytes(ALL, black_box(&mut out)));
}

#[divan::bench(args = STATES)]
fn load(bencher: Bencher<'_, '_>, state: &str) {
    let mut bytes = vec![0; (PAGES / 8) as usize];
    made(state).write_bytes(ALL, &mut bytes);
    let empty = || PageBitmap::new(Pfn(PAGES)).unwrap();
    bencher.counter(ItemsCount::new(PAGES)).with_inputs(empty).bench_local_refs(|bits| {
        bits.load(Pfn(0), black_box(&bytes));
    });
}

/// What filtering does to a full bitmap.
#[divan::bench]
fn clear_ranges(bencher: Bencher<'_, '_>) {
    let runs: Vec<PfnRange> = runs().collect();
    let full = made("full");
    bencher
        .counter(ItemsCount::new(PAGES))
        .with_inputs(|| full.clone())
        .bench_local_refs(|bits| runs.iter().map(|run| bits.clear(*run)).sum::<u64>());
}

fn main() {
    divan::main();
}
