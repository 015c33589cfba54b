//! The zero test, in bytes per second: over zero pages, which are read whole, and over pages whose first or last bytes
//! are not zero.
//!
//! ```text
//! cargo bench -p dump-core --bench zero
//! ```

#![allow(missing_docs)]

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use dump_core::is_zero;

const PAGE: usize = 4096;

/// Fits the caches of a CPU, as a block that was just read does.
const PAGES: usize = 64;

/// The test on pages that are zero but for the byte at `at`. All their bytes count, looked at or not.
fn bench(bencher: Bencher<'_, '_>, at: Option<usize>) {
    let mut bytes = vec![0; PAGES * PAGE];
    if let Some(at) = at {
        bytes.chunks_exact_mut(PAGE).for_each(|page| page[at] = 1);
    }
    let count = || black_box(&bytes).chunks_exact(PAGE).filter(|page| is_zero(page)).count();
    bencher.counter(BytesCount::new(bytes.len())).bench_local(count);
}

#[divan::bench]
fn zero(bencher: Bencher<'_, '_>) {
    bench(bencher, None);
}

#[divan::bench]
fn not_zero_at_the_start(bencher: Bencher<'_, '_>) {
    bench(bencher, Some(3));
}

#[divan::bench]
fn not_zero_at_the_end(bencher: Bencher<'_, '_>) {
    bench(bencher, Some(PAGE - 1));
}

fn main() {
    divan::main();
}
