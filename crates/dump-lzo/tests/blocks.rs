//! Every block is an LZO1X block of its page, as two decoders of other people read it.

#![allow(clippy::unwrap_used)] // helpers are tests too

use dump_lzo::{MAX_PAGE, PageLzo};
use proptest::prelude::*;

/// Compresses `page` and reads it back twice. Returns the block.
fn round(lzo: &mut PageLzo, page: &[u8]) -> Vec<u8> {
    let mut out = vec![0; room(page.len())];
    let len = lzo.compress(page, &mut out).unwrap();
    out.truncate(len);
    assert!(page.is_empty() || out[0] != 17, "17 announces a version that old decoders do not know");

    let mut back = vec![0x55; page.len()];
    lzo1x::decompress(&out, &mut back).unwrap();
    assert!(back == page, "lzo1x reads another page");

    let mut back = vec![0xaa; page.len()];
    assert_eq!(lzokay::decompress::decompress(&out, &mut back).unwrap(), page.len());
    assert!(back == page, "lzokay reads another page");
    out
}

/// What any page of `len` bytes fits in: at worst it is all literals.
fn room(len: usize) -> usize {
    len + 6 + len / 255
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
fn blocks_are_as_the_format_has_them() {
    let mut lzo = PageLzo::new();
    // (page, block): worked out by hand from the kernel's description, Documentation/staging/lzo.rst
    let cases: &[(&[u8], &[u8])] = &[
        (b"", &[17, 0, 0]),
        (b"a", &[18, b'a', 17, 0, 0]),
        (b"abc", &[20, b'a', b'b', b'c', 17, 0, 0]),
        (b"abcd", &[1, b'a', b'b', b'c', b'd', 17, 0, 0]),
        // one literal, then 39 bytes from one back: 33 and 6 more
        (&[7; 40], &[18, 7, 32, 6, 0, 0, 17, 0, 0]),
        // eight literals, then eight from eight back, and fourteen literals (the last twelve bytes begin no match)
        (
            b"abcdefghabcdefghnopqrstuvwxyz!",
            &[&[5][..], b"abcdefgh", &[0b1111_1100, 0, 11], b"nopqrstuvwxyz!", &[17, 0, 0]].concat(),
        ),
    ];
    for (page, block) in cases {
        assert_eq!(&round(&mut lzo, page), block, "{page:?}");
    }
}

#[test]
fn every_short_length() {
    let mut lzo = PageLzo::new();
    let random: Vec<u8> = noise(1).take(300).collect();
    let text: Vec<u8> = b"page 0x1a2b3 of node 0 ".iter().copied().cycle().take(300).collect();
    for len in 0..=300 {
        for page in [&random[..len], &text[..len], &words(300)[..len], &vec![0; len][..], &vec![0xff; len][..]] {
            round(&mut lzo, page);
        }
    }
}

#[test]
fn page_sizes() {
    let mut lzo = PageLzo::new();
    for shift in 9..=18 {
        for len in [(1 << shift) - 1, 1 << shift, ((1 << shift) + 1).min(MAX_PAGE)] {
            round(&mut lzo, &words(len));
            round(&mut lzo, &vec![0; len]);
            round(&mut lzo, &noise(3).take(len).collect::<Vec<_>>());
            // far matches: all of a page is noise, twice
            let half: Vec<u8> = noise(4).take(len / 2).collect();
            round(&mut lzo, &half.repeat(2));
        }
    }
    assert_eq!(lzo.compress(&vec![0; MAX_PAGE + 1], &mut vec![0; MAX_PAGE]), None);
}

#[test]
fn pages_become_small() {
    let mut lzo = PageLzo::new();
    // (page, at most so many bytes)
    for (page, most) in
        [(vec![0; 4096], 24), (words(4096), 2700), (b"abcdefgh".repeat(512), 32), (words(65536), 40_000)]
    {
        let len = round(&mut lzo, &page).len();
        assert!(len <= most, "{} bytes became {len}", page.len());
    }
    for len in [512, 4096, 65536] {
        let random: Vec<u8> = noise(2).take(len).collect();
        assert_eq!(lzo.compress(&random, &mut vec![0; len - 1]), None);
    }
}

/// A run of `n` bytes that repeat nothing: two counters, the high halves of which are in no order.
fn literals(n: usize, seed: u64) -> Vec<u8> {
    noise(seed).take(n).collect()
}

#[test]
fn literal_runs_of_every_length() {
    let mut lzo = PageLzo::new();
    let key = literals(64, 11);
    for n in (0..=300).chain([527, 528, 529, 782, 783, 2000, 4000]) {
        // at the start, between matches near and far, short and long, and at the end
        let run = literals(n, 100 + n as u64);
        round(&mut lzo, &[&run[..], &key, &key].concat());
        for len in [4, 8, 9, 33, 34, 64] {
            let match_ = &key[..len];
            round(&mut lzo, &[&key[..], match_, &run, match_, &run[..n / 2], match_, &run].concat());
            let far = literals(3000, 12);
            round(&mut lzo, &[&key[..], &far, match_, &run, match_, &run].concat());
        }
    }
}

#[test]
fn matches_of_every_length() {
    let mut lzo = PageLzo::new();
    let random = literals(2100, 5);
    for len in 2..=2000 {
        // the same bytes again, then others; zeros; and at the very end
        let gap = [0, 1, 9][len % 3];
        round(&mut lzo, &[&random[..len], &[0x11; 9][..gap], &random[..len], &[0x22; 40]].concat());
        round(&mut lzo, &[&random[2050..2100], &vec![0; len], &random[2000..2040]].concat());
        round(&mut lzo, &[&random[..len], &random[..len]].concat());
        round(&mut lzo, &[&vec![7; len][..], &random[..10]].concat());
    }
}

#[test]
fn long_matches_at_every_form_of_distance() {
    let mut lzo = PageLzo::new();
    let (key, fill) = (literals(1100, 6), literals(70_000, 7));
    let lens = [3, 4, 5, 8, 9, 10, 32, 33, 34, 35, 263, 264, 265, 287, 288, 289, 519, 543, 1000];
    for len in lens {
        for dist in
            [1100, 2047, 2048, 2049, 16383, 16384, 16385, 32767, 32768, 32769, 49150, 49151, 49152, 65535, 65537]
        {
            let page = [&key[..len], &fill[..dist - len], &key[..len], &fill[66_000..66_040]].concat();
            round(&mut lzo, &page);
            round(&mut lzo, &page[..dist + len]);
        }
    }
}

#[test]
fn matches_at_every_distance() {
    let mut lzo = PageLzo::new();
    let (key, fill) = (literals(200, 6), literals(70_000, 7));
    let near = (1..300usize).chain((300..4096).step_by(61));
    let edges = [1024, 2048, 3072, 4096, 16384, 32768, 40_000, 49151, 65536];
    for dist in near.chain(edges.into_iter().flat_map(|edge| edge - 2..edge + 3)) {
        // the key, then whatever, then the key again at the distance
        let mut page = [&key[..dist.min(key.len())], &fill[..dist.saturating_sub(key.len())]].concat();
        for _ in 0..key.len() {
            page.push(page[page.len() - dist]);
        }
        round(&mut lzo, &page);
    }
}

#[test]
fn positions_that_differ_by_64_kib_are_told_apart() {
    let mut lzo = PageLzo::new();
    // the same eight bytes at exactly 64 KiB, and a byte nearer and farther
    for dist in [65535, 65536, 65537, 131_072] {
        let mut page: Vec<u8> = noise(9).take(200_000).collect();
        page.copy_within(100..164, 100 + dist);
        round(&mut lzo, &page);
    }
    // nothing but places that were never noted
    let mut page = vec![0; MAX_PAGE];
    page.chunks_mut(2).enumerate().for_each(|(i, pair)| pair[0] = (i / 128) as u8);
    round(&mut lzo, &page);
}

#[test]
fn too_little_room_is_none() {
    let mut lzo = PageLzo::new();
    let late = [&literals(3000, 4)[..], &words(1096)].concat();
    let far = [&literals(20_000, 4)[..], &words(3000), &literals(20_000, 4)].concat();
    for page in [&[][..], b"a", &[0; 4096], &words(700), &literals(500, 2), &late, &far] {
        let block = round(&mut lzo, page);
        let step = block.len() / 2000 + 1;
        for room in (0..block.len() - 3).step_by(step).chain(block.len() - 3..block.len() + 40) {
            let mut out = vec![0x5a; room];
            let len = lzo.compress(page, &mut out);
            if room < block.len() {
                assert_eq!(len, None, "{room} of {}", block.len());
            } else {
                assert_eq!(&out[..len.unwrap()], block);
                assert!(out[block.len()..].iter().all(|byte| *byte == 0x5a), "bytes behind the block are changed");
            }
        }
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
    let mut used = PageLzo::new();
    for page in pages.iter().chain(pages.iter().rev()) {
        assert!(round(&mut used, page) == round(&mut PageLzo::new(), page), "{} bytes", page.len());
    }
    // also after pages that were given up
    for page in &pages {
        assert_eq!(used.compress(&pages[6], &mut [0; 90]), None);
        assert!(round(&mut used, page) == round(&mut PageLzo::new(), page), "{} bytes", page.len());
    }
    // what lies behind a page's end was another page's
    for len in (20..90).chain(4070..4096) {
        round(&mut used, &words(4096));
        assert!(round(&mut used, &words(4096)[..len]) == round(&mut PageLzo::new(), &words(4096)[..len]));
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
        let mut lzo = PageLzo::new();
        round(&mut lzo, &before);
        let block = round(&mut lzo, &page);
        prop_assert!(block == round(&mut PageLzo::new(), &page));
        let mut short = vec![0; block.len() - 1];
        prop_assert_eq!(lzo.compress(&page, &mut short), None);
    }

    #[test]
    fn any_bytes(page in prop::collection::vec(any::<u8>(), 0..600)) {
        round(&mut PageLzo::new(), &page);
    }

    #[test]
    fn few_kinds_of_bytes(page in prop::collection::vec(0u8..3, 0..5000)) {
        round(&mut PageLzo::new(), &page);
    }
}
