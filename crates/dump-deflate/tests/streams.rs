//! Every stream is a zlib stream of its page, as three inflaters of other people read it.

#![allow(clippy::unwrap_used)] // helpers are tests too

use dump_deflate::{MAX_PAGE, PageDeflater};
use proptest::prelude::*;

/// Compresses `page` and reads it back three times. Returns the stream.
fn round(deflater: &mut PageDeflater, page: &[u8]) -> Vec<u8> {
    let mut out = vec![0; room(page.len())];
    let len = deflater.compress(page, &mut out).unwrap();
    out.truncate(len);

    assert!(miniz_oxide::inflate::decompress_to_vec_zlib(&out).unwrap() == page, "miniz_oxide reads another page");

    let mut zlib = flate2::Decompress::new(true);
    let mut back = vec![0; page.len() + 1];
    let status = zlib.decompress(&out, &mut back, flate2::FlushDecompress::Finish).unwrap();
    assert_eq!(status, flate2::Status::StreamEnd);
    assert_eq!((zlib.total_in(), zlib.total_out()), (out.len() as u64, page.len() as u64));
    assert!(&back[..page.len()] == page, "zlib-rs reads another page");

    let options = zune_inflate::DeflateOptions::default().set_confirm_checksum(true);
    let mut zune = zune_inflate::DeflateDecoder::new_with_options(&out, options);
    assert!(zune.decode_zlib().unwrap() == page, "zune-inflate reads another page");
    out
}

/// What any page of `len` bytes fits in, stored at worst: the stream's 6, and 5 for each 16 KiB.
fn room(len: usize) -> usize {
    len + 6 + 5 * len.div_ceil(16 << 10).max(1)
}

/// Bytes in no order, the same each time.
fn noise(seed: u64) -> impl Iterator<Item = u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
}

/// Words as a kernel has them: pointers, counters, flags, zeros.
fn words(len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut noise = noise(len as u64);
    let mut next = || u64::from(noise.next().unwrap());
    while bytes.len() < len {
        let word = match next() % 8 {
            0..=2 => 0,
            3 | 4 => 0xffff_8880_0000_0000 + (next() << 16) + (next() << 6),
            5 => next(),
            6 => 0xffff_ffff_8100_0000 + (next() << 8) + next(),
            _ => u64::MAX,
        };
        bytes.extend(word.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

#[test]
fn every_short_length() {
    let mut deflater = PageDeflater::new();
    let random: Vec<u8> = noise(1).take(300).collect();
    let text: Vec<u8> = b"page 0x1a2b3 of node 0 ".iter().copied().cycle().take(300).collect();
    for len in 0..=300 {
        for page in [&random[..len], &text[..len], &words(300)[..len], &vec![0; len][..], &vec![0xff; len][..]] {
            round(&mut deflater, page);
        }
    }
}

#[test]
fn page_sizes() {
    let mut deflater = PageDeflater::new();
    for shift in 9..=18 {
        let len: usize = 1 << shift;
        for len in [len - 1, len, (len + 1).min(MAX_PAGE)] {
            round(&mut deflater, &words(len));
            round(&mut deflater, &noise(3).take(len).collect::<Vec<_>>());
            round(&mut deflater, &vec![0; len]);
        }
    }
    for len in [BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 9, 4 * BLOCK, 4 * BLOCK + 1, 7 * BLOCK - 5, MAX_PAGE] {
        round(&mut deflater, &words(len));
    }
}

/// Bytes that share codes: what the crate cuts a page into.
const BLOCK: usize = 16 << 10;

#[test]
fn longer_pages_are_refused() {
    let page = vec![0; MAX_PAGE + 1];
    assert_eq!(PageDeflater::new().compress(&page, &mut vec![0; room(page.len())]), None);
}

#[test]
fn odd_pages() {
    let mut deflater = PageDeflater::new();
    let mut page_of = |name: &str, page: Vec<u8>| {
        let len = round(&mut deflater, &page).len();
        println!("{name}: {} → {len}", page.len());
        len
    };
    let random: Vec<u8> = noise(9).take(65536).collect();
    assert!(page_of("zeros", vec![0; 4096]) <= 32);
    assert!(page_of("all 0xa5", vec![0xa5; 4096]) <= 32);
    assert_eq!(page_of("random", random[..4096].to_vec()), 4096 + 11);
    assert!(page_of("two symbols", random[..4096].iter().map(|byte| byte & 1).collect()) < 900);
    assert!(page_of("one word again and again", b"\x40\x12\x34\x56\x80\x88\xff\xff".repeat(512)) < 60);
    assert!(page_of("every byte once, again and again", (0..4096).map(|i| i as u8).collect()) < 400);
    page_of("alternating zero and random", random.chunks(2).take(2048).flat_map(|two| [0, two[0]]).collect());
    page_of("alternating runs", (0..4096u32).map(|i| if i / 37 % 2 == 0 { 0 } else { random[i as usize] }).collect());
    page_of("random, then zeros", [&random[..2048], &[0; 2048]].concat());
    page_of("zeros, then random", [&[0; 2048], &random[..2048]].concat());
    page_of("random but for its middle", [&random[..1500], &[0; 1000], &random[..1596]].concat());
    page_of("the same half twice", random[..2048].repeat(2));
    page_of("the same block twice", random[..BLOCK].repeat(2));
    page_of("text, as blocks of random between", [&words(BLOCK)[..], &random[..BLOCK], &words(BLOCK)[..]].concat());
    // counts like Fibonacci's numbers: codes that want to be longer than the limit
    let mut skewed = Vec::new();
    let (mut a, mut b) = (1usize, 1usize);
    for symbol in 0..17u8 {
        skewed.extend(std::iter::repeat_n(symbol.wrapping_mul(73), a));
        (a, b) = (b, a + b);
    }
    let order: Vec<usize> = (0..skewed.len()).map(|i| i * 1031 % skewed.len()).collect();
    page_of("skewed", order.iter().map(|i| skewed[*i]).collect());
}

#[test]
fn matches_of_every_length() {
    let mut deflater = PageDeflater::new();
    let random: Vec<u8> = noise(5).take(600).collect();
    for len in (3..=20).chain([30, 31, 34, 35, 66, 67, 114, 115, 226, 227, 256, 257, 258, 259, 260, 300, 515, 516, 517])
    {
        for gap in [0, 1, 9] {
            // the same bytes again, then others
            let page = [&random[..len], &[0x11; 9][..gap], &random[..len], &[0x22; 40]].concat();
            round(&mut deflater, &page);
        }
        // at the very end
        round(&mut deflater, &[&random[..len], &random[..len]].concat());
        round(&mut deflater, &[&vec![7; len][..], &random[..10]].concat());
    }
}

#[test]
fn matches_at_every_distance() {
    let mut deflater = PageDeflater::new();
    let (key, fill): (Vec<u8>, Vec<u8>) = (noise(6).take(200).collect(), noise(7).take(70_000).collect());
    let near = (1..300usize).chain((300..4096).step_by(61));
    let far = [
        4095, 4096, 4097, 8191, 8192, 8193, 8255, 8256, 8257, 10303, 10304, 10305, 12287, 12288, 12289, 16384, 32767,
        32768, 32769, 40_000, 65_000,
    ];
    for dist in near.chain(far) {
        // the key, then whatever, then the key again at the distance
        let mut page = [&key[..dist.min(key.len())], &fill[..dist.saturating_sub(key.len())]].concat();
        for _ in 0..key.len() {
            page.push(page[page.len() - dist]);
        }
        round(&mut deflater, &page);
    }
}

#[test]
fn too_little_room_is_none() {
    let mut deflater = PageDeflater::new();
    let stored = [&words(BLOCK)[..], &noise(4).take(300).collect::<Vec<_>>()].concat();
    for page in [&[][..], b"a", &[0; 4096], &words(700), &noise(2).take(500).collect::<Vec<_>>(), &stored[BLOCK - 99..]]
    {
        let stream = round(&mut deflater, page);
        for room in 0..stream.len() + 20 {
            let mut out = vec![0x5a; room];
            let len = deflater.compress(page, &mut out);
            if room < stream.len() {
                assert_eq!(len, None, "{room} of {}", stream.len());
            } else {
                assert_eq!(&out[..len.unwrap()], stream);
                assert!(out[stream.len()..].iter().all(|byte| *byte == 0x5a), "bytes behind the stream are changed");
            }
        }
    }
    let long = round(&mut deflater, &stored);
    for room in (0..long.len()).step_by(97).chain(long.len() - 30..long.len()) {
        assert_eq!(deflater.compress(&stored, &mut vec![0; room]), None);
    }
}

#[test]
fn what_came_before_does_not_show() {
    let pages: Vec<Vec<u8>> = (1..40)
        .map(|i| {
            let len = [4096, 4096, 100, 16384, 65536, 9, 200_000][i % 7];
            let mut page = if i % 3 == 0 { noise(i as u64).take(len).collect() } else { words(len) };
            page.iter_mut().skip(i * 7).step_by(i).for_each(|byte| *byte ^= i as u8);
            page
        })
        .collect();
    let mut used = PageDeflater::new();
    for page in pages.iter().chain(pages.iter().rev()) {
        assert!(round(&mut used, page) == round(&mut PageDeflater::new(), page), "{} bytes", page.len());
    }
    // what ends a block is followed by the next, not by what was there before
    let ends: Vec<u8> = noise(8).take(BLOCK - 300).chain([0; 300]).chain(words(900)).collect();
    for page in [vec![0x33; 65536], words(40_000), noise(1).take(40_000).collect()] {
        round(&mut used, &page);
        assert!(round(&mut used, &ends) == round(&mut PageDeflater::new(), &ends));
    }
    // also after pages that were given up
    for page in &pages {
        assert_eq!(used.compress(&pages[6], &mut [0; 90]), None);
        assert!(round(&mut used, page) == round(&mut PageDeflater::new(), page), "{} bytes", page.len());
    }
}

/// Pieces of pages.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let bytes = |len| prop::collection::vec(any::<u8>(), len);
    prop_oneof![
        (any::<u8>(), 1..400usize).prop_map(|(byte, n)| vec![byte; n]),
        (1..400usize).prop_map(|n| vec![0; n]),
        (1..3000usize).prop_map(words),
        (bytes(1..20usize), 1..80usize).prop_map(|(bytes, n)| bytes.repeat(n)),
        bytes(1..40usize),
        (any::<u64>(), 1..3000usize).prop_map(|(seed, n)| noise(seed).take(n).collect()),
        "[a-z_]{1,12}(\\.[ch])?".prop_map(String::into_bytes),
    ]
}

/// Pages of pieces, of which some come again.
fn page() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec((piece(), 0..4usize), 0..40).prop_map(|pieces| {
        let mut page: Vec<u8> = Vec::new();
        for (piece, again) in pieces {
            page.extend(&piece);
            if again == 3 {
                page.extend_from_within(page.len() / 3..page.len() / 2);
            }
        }
        page.truncate(MAX_PAGE);
        page
    })
}

proptest! {
    #[test]
    fn any_page(page in page(), before in page()) {
        let mut deflater = PageDeflater::new();
        round(&mut deflater, &before);
        let stream = round(&mut deflater, &page);
        prop_assert!(stream == round(&mut PageDeflater::new(), &page));
        let mut short = vec![0; stream.len() - 1];
        prop_assert_eq!(deflater.compress(&page, &mut short), None);
    }

    #[test]
    fn any_bytes(page in prop::collection::vec(any::<u8>(), 0..600)) {
        round(&mut PageDeflater::new(), &page);
    }
}
