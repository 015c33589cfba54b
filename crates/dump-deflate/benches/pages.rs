//! Speed and size on pages: made ones, and those of the file that `GDUMP_PAGES` names (raw pages, one after the other;
//! `GDUMP_PAGE_SIZE` bytes each, 4096 if unset). A page that does not become smaller counts as it is.
//!
//! ```text
//! GDUMP_PAGES=pages.raw cargo bench -p dump-deflate
//! ```

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

use divan::Bencher;
use divan::counter::BytesCount;
use dump_deflate::PageDeflater;
use std::sync::LazyLock;

/// At most so many bytes of the file, as pages spread over it.
const SAMPLE: usize = 16 << 20;

struct Pages {
    name: &'static str,
    size: usize,
    bytes: Vec<u8>,
}

impl Pages {
    fn made(name: &'static str, mut byte: impl FnMut(usize) -> u8) -> Pages {
        Pages { name, size: 4096, bytes: (0..256 * 4096).map(&mut byte).collect() }
    }

    fn each(&self) -> std::slice::ChunksExact<'_, u8> {
        self.bytes.chunks_exact(self.size)
    }

    /// Bytes of all pages after `compress`.
    fn sum(&self, mut compress: impl FnMut(&[u8]) -> Option<usize>) -> usize {
        self.each().map(|page| compress(page).unwrap_or(page.len())).sum()
    }
}

static PAGES: LazyLock<Vec<Pages>> = LazyLock::new(|| {
    let mut state = 1u64;
    let mut noise = move |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let random = Pages::made("random", &mut noise);
    let words = Pages::made("words", |i| match i % 8 {
        _ if i / 8 % 4 == 3 => 0,
        0 => (i / 8 * 64) as u8,
        1 => noise(0) & 0x3f,
        2 => 0x34,
        3 => 0x12,
        4 => 0x80,
        5 => 0x88,
        _ => 0xff,
    });
    let text = Pages::made("text", |i| b"etaoin shrdlu\n"[usize::from(noise(i)) % 14]);
    let mut all = vec![random, words, text];
    all.extend(given());
    for pages in &all {
        let own = sum_own(pages);
        eprintln!(
            "{:6} {} → dump-deflate {own}, zlib-rs level 1 {}",
            pages.name,
            pages.bytes.len(),
            sum_zlib_rs(pages)
        );
    }
    all
});

fn given() -> Option<Pages> {
    let all = std::fs::read(std::env::var_os("GDUMP_PAGES")?).unwrap();
    let size = std::env::var("GDUMP_PAGE_SIZE").map_or(4096, |size| size.parse().unwrap());
    let step = all.len().div_ceil(SAMPLE).max(1);
    Some(Pages { name: "given", size, bytes: all.chunks_exact(size).step_by(step).flatten().copied().collect() })
}

fn sum_own(pages: &Pages) -> usize {
    let mut deflater = PageDeflater::new();
    let mut out = vec![0; pages.size - 1];
    pages.sum(|page| deflater.compress(page, &mut out))
}

fn sum_zlib_rs(pages: &Pages) -> usize {
    let mut zlib = flate2::Compress::new(flate2::Compression::new(1), true);
    let mut out = vec![0; pages.size - 1];
    pages.sum(|page| {
        zlib.reset();
        let status = zlib.compress(page, &mut out, flate2::FlushCompress::Finish);
        matches!(status, Ok(flate2::Status::StreamEnd)).then(|| zlib.total_out() as usize)
    })
}

fn names() -> impl Iterator<Item = &'static str> {
    PAGES.iter().map(|pages| pages.name)
}

fn bench(bencher: Bencher<'_, '_>, name: &str, sum: fn(&Pages) -> usize) {
    let pages = PAGES.iter().find(|pages| pages.name == name).unwrap();
    bencher.counter(BytesCount::new(pages.bytes.len())).bench_local(|| sum(pages));
}

#[divan::bench(args = names())]
fn dump_deflate(bencher: Bencher<'_, '_>, name: &str) {
    bench(bencher, name, sum_own);
}

#[divan::bench(args = names())]
fn zlib_rs_level_1(bencher: Bencher<'_, '_>, name: &str) {
    bench(bencher, name, sum_zlib_rs);
}

fn main() {
    divan::Divan::default().sample_count(20).sample_size(1).main();
}
