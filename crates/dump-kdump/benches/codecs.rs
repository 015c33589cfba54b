//! Every codec on pages: made ones, and those of the file that `GDUMP_PAGES` names (raw pages of 4 KiB, one after the
//! other; `cargo xtask bench` measures the same on all of a dump's pages). Bytes are those of the pages, not of what
//! they become.
//!
//! ```text
//! GDUMP_PAGES=pages.raw cargo bench -p dump-kdump --features lzo --bench codecs
//! ```

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

use divan::Bencher;
use divan::counter::BytesCount;
use dump_kdump::codec::{Codec, PageCodec};
use std::sync::LazyLock;

const PAGE: usize = 4096;

/// At most so many bytes of the file, as pages spread over it.
const SAMPLE: usize = 8 << 20;

/// A codec and the pages it works on.
#[derive(Clone, Copy)]
struct Case {
    codec: &'static Codec,
    name: &'static str,
    pages: &'static [u8],
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.codec.id.name(), self.name)
    }
}

impl Case {
    fn codec(&self) -> Box<dyn PageCodec> {
        self.codec.creator().unwrap()()
    }

    /// The pages as they are stored: compressed where that makes them smaller.
    fn compressed(&self) -> Vec<Vec<u8>> {
        let mut codec = self.codec();
        let mut out = vec![0; codec.room(PAGE)];
        let mut compress = |page: &[u8]| codec.compress(page, &mut out).unwrap().map(|len| out[..len].to_vec());
        self.pages.chunks_exact(PAGE).filter_map(&mut compress).collect()
    }
}

static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let kinds = kinds();
    let cases: Vec<Case> =
        Codec::built().flat_map(|codec| kinds.iter().map(move |(name, pages)| Case { codec, name, pages })).collect();
    for case in &cases {
        let compressed = case.compressed();
        let raw = case.pages.len() - compressed.len() * PAGE;
        eprintln!("{case}: {} bytes → {}", case.pages.len(), compressed.iter().map(Vec::len).sum::<usize>() + raw);
    }
    cases
});

/// Kinds of pages, by name.
fn kinds() -> Vec<(&'static str, &'static [u8])> {
    let mut state = 1u64;
    let mut noise = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let mut made = |byte: &mut dyn FnMut(usize, u8) -> u8| -> &'static [u8] {
        (0..256 * PAGE).map(|i| byte(i, noise())).collect::<Vec<u8>>().leak()
    };
    let random = made(&mut |_, noise| noise);
    // Kernel addresses with a few bits that differ, and zeros between them.
    let words = made(&mut |i, noise| match i % 8 {
        _ if i / 8 % 4 == 3 => 0,
        0 => (i / 8 * 64) as u8,
        1 => noise & 0x3f,
        n => [0x34, 0x12, 0x80, 0x88, 0xff, 0xff][n - 2],
    });
    let text = made(&mut |_, noise| b"etaoin shrdlu\n"[usize::from(noise) % 14]);
    let mut kinds = vec![("random", random), ("words", words), ("text", text)];
    kinds.extend(given().map(|pages| ("given", pages)));
    kinds
}

fn given() -> Option<&'static [u8]> {
    let all = std::fs::read(std::env::var_os("GDUMP_PAGES")?).unwrap();
    let step = all.len().div_ceil(SAMPLE).max(1);
    Some(all.chunks_exact(PAGE).step_by(step).flatten().copied().collect::<Vec<u8>>().leak())
}

#[divan::bench(args = CASES.iter(), sample_count = 20, sample_size = 1)]
fn compress(bencher: Bencher<'_, '_>, case: &Case) {
    let mut codec = case.codec();
    let mut out = vec![0; codec.room(PAGE)];
    bencher.counter(BytesCount::new(case.pages.len())).bench_local(|| {
        case.pages.chunks_exact(PAGE).filter_map(|page| codec.compress(page, &mut out).unwrap()).sum::<usize>()
    });
}

/// Kinds of pages that the codec makes smaller: the others are never decompressed.
fn compressible() -> impl Iterator<Item = &'static Case> {
    CASES.iter().filter(|case| case.compressed().len() * PAGE > case.pages.len() / 2)
}

#[divan::bench(args = compressible(), sample_count = 20, sample_size = 1)]
fn decompress(bencher: Bencher<'_, '_>, case: &Case) {
    let (compressed, mut codec, mut page) = (case.compressed(), case.codec(), vec![0; PAGE]);
    bencher.counter(BytesCount::new(compressed.len() * PAGE)).bench_local(|| {
        compressed.iter().for_each(|bytes| codec.decompress(bytes, &mut page).unwrap());
    });
}

fn main() {
    divan::main();
}
