//! Every codec on pages: made ones, and those of the file that `GDUMP_PAGES` names (raw pages of 4 KiB, one after the other;
//! `cargo xtask bench` measures the same on all of a dump's pages). Bytes are those of the pages, not of what they become.
//!
//! ```text
//! GDUMP_PAGES=pages.raw cargo bench -p dump-kdump --features lzo --bench codecs
//! ```

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

use divan::Bencher;
use divan::counter::BytesCount;
use dump_core::CodecId;
use dump_kdump::codec::{self, PageCodec};
use std::sync::LazyLock;

const PAGE: usize = 4096;

/// At most so many bytes of the file, as pages spread over it.
const SAMPLE: usize = 8 << 20;

/// A codec and the pages it works on.
#[derive(Clone, Copy)]
struct Case {
    codec: CodecId,
    name: &'static str,
    pages: &'static [u8],
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.codec.name(), self.name)
    }
}

impl Case {
    fn codec(&self) -> Box<dyn PageCodec> {
        codec::create(self.codec).unwrap()
    }

    /// The pages as they are stored: packed where that makes them smaller.
    fn packed(&self) -> Vec<Vec<u8>> {
        let mut codec = self.codec();
        let mut out = vec![0; codec.room(PAGE)];
        let mut pack = |page: &[u8]| codec.pack(page, &mut out).unwrap().map(|len| out[..len].to_vec());
        self.pages.chunks_exact(PAGE).filter_map(&mut pack).collect()
    }
}

static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let kinds = kinds();
    let codecs = CodecId::ALL.into_iter().filter(|codec| codec::supported().contains(*codec));
    let cases: Vec<Case> =
        codecs.flat_map(|codec| kinds.iter().map(move |(name, pages)| Case { codec, name, pages })).collect();
    for case in &cases {
        let packed = case.packed();
        let raw = case.pages.len() - packed.len() * PAGE;
        eprintln!("{case}: {} bytes → {}", case.pages.len(), packed.iter().map(Vec::len).sum::<usize>() + raw);
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
fn pack(bencher: Bencher<'_, '_>, case: &Case) {
    let mut codec = case.codec();
    let mut out = vec![0; codec.room(PAGE)];
    bencher.counter(BytesCount::new(case.pages.len())).bench_local(|| {
        case.pages.chunks_exact(PAGE).filter_map(|page| codec.pack(page, &mut out).unwrap()).sum::<usize>()
    });
}

/// Kinds of pages that the codec makes smaller: the others are never unpacked.
fn packable() -> impl Iterator<Item = &'static Case> {
    CASES.iter().filter(|case| case.packed().len() * PAGE > case.pages.len() / 2)
}

#[divan::bench(args = packable(), sample_count = 20, sample_size = 1)]
fn unpack(bencher: Bencher<'_, '_>, case: &Case) {
    let (packed, mut codec, mut page) = (case.packed(), case.codec(), vec![0; PAGE]);
    bencher.counter(BytesCount::new(packed.len() * PAGE)).bench_local(|| {
        packed.iter().for_each(|bytes| codec.unpack(bytes, &mut page).unwrap());
    });
}

fn main() {
    divan::main();
}
