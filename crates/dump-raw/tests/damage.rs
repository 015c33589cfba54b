//! Images that are cut, flipped, or made up: an error that says where, or fewer pages; never a panic.

// Lints know functions marked #[test] as tests, not what they call.
#![allow(clippy::unwrap_used)]

mod images;

use dump_core::*;
use dump_kit::{Page, check_source, contents};
use dump_raw::{open_avml, open_lime, open_raw};
use images::*;
use std::ops::Range;

const END: u64 = 0x30;

#[allow(clippy::single_range_in_vec_init)]
fn ranges() -> Vec<Range<u64>> {
    vec![0x1000..0x3000, 0x8000..0xa100, 0x2_0000..0x2_1000]
}

fn located(e: &Error) {
    let text = e.to_string();
    assert!(text.contains("offset 0x") && !text.contains('\n'), "{text}");
}

/// Opens an image; its pages up to a limit, and what is wrong with it.
fn read(kind: &str, image: &[u8]) -> Result<(Vec<Page>, Option<String>)> {
    let text = |damage: Option<&Error>| damage.inspect(|e| located(e)).map(ToString::to_string);
    let image: Box<dyn Container> = match kind {
        "lime" => Box::new(open_lime(image.to_vec())?),
        _ => Box::new(open_avml(image.to_vec())?),
    };
    Ok((contents(&image, Pfn(END), 9), text(image.damage())))
}

fn images() -> [(&'static str, Vec<u8>); 2] {
    [("lime", lime(&ranges())), ("avml", avml(&ranges()))]
}

/// RAM is what the headers say that are there; of a cut one, a page that is not there whole cannot be read.
#[test]
fn every_prefix_has_the_pages_before_the_cut() {
    let want = expected(&ranges(), PageSize::K4, END);
    for (kind, image) in images() {
        let headers: Vec<usize> = (0..image.len()).filter(|at| is_header(&image[*at..])).collect();
        assert_eq!(headers.len(), 3);
        let mut most = 0;
        for cut in 0..image.len() {
            let (pages, damage) = match read(kind, &image[..cut]) {
                Ok(read) => read,
                Err(e) => {
                    assert_eq!(e.kind(), ErrorKind::Truncated, "{kind} {cut}");
                    located(&e);
                    assert_eq!(most, 0, "{kind} {cut}: what could be read before can be read now");
                    continue;
                }
            };
            let known = headers.iter().filter(|at| *at + 32 <= cut).count();
            let ram = expected(&ranges()[..known], PageSize::K4, END);
            let mut held = 0;
            for ((page, want), ram) in pages.iter().zip(&want).zip(&ram) {
                match page {
                    Ok(_) => assert!(page == want, "{kind} {cut}"),
                    Err(why) => {
                        let due = if ram.is_ok() { Absence::Unreadable } else { Absence::Hole };
                        assert_eq!(*why, due, "{kind} {cut}");
                    }
                }
                held += usize::from(page.is_ok());
            }
            if kind == "lime" {
                let whole = |(i, at): (usize, &usize)| {
                    let len = (ranges()[i].end - ranges()[i].start) as usize;
                    let there = cut.saturating_sub(at + 32).min(len);
                    if there == len { there.div_ceil(4096) } else { there / 4096 }
                };
                assert_eq!(held, headers.iter().enumerate().map(whole).sum::<usize>(), "{cut}");
            }
            assert!(held >= most, "{kind} {cut}");
            most = held;
            assert_eq!(damage.is_none(), headers.contains(&cut), "{kind} {cut}: nothing seems to be missing");
        }
        assert!(read(kind, &image).unwrap() == (want.clone(), None));
    }
}

fn is_header(bytes: &[u8]) -> bool {
    bytes.starts_with(b"EMiL") || bytes.starts_with(b"AVML")
}

#[test]
fn every_flipped_bit() {
    for (kind, image) in images() {
        let want = expected(&ranges(), PageSize::K4, END);
        for at in 0..image.len() {
            for bit in [0, 3, 7] {
                let mut image = image.clone();
                image[at] ^= 1 << bit;
                match read(kind, &image) {
                    Err(e) => assert!(e.to_string().contains("offset 0x"), "{e}"),
                    Ok((pages, damage)) if kind == "avml" && damage.is_none() => {
                        // Either a header moved its range, or a checksum caught it; no page has wrong bytes at its
                        // address.
                        let moved = pages.iter().filter(|page| page.is_ok()).count();
                        let right = pages.iter().zip(&want).filter(|(page, want)| page.is_ok() && page == want).count();
                        assert!(right == moved || in_header(&image, at), "byte {at} bit {bit}");
                    }
                    Ok(_) => {}
                }
            }
        }
    }
}

/// Whether a byte lies in a header, of which no checksum is kept.
fn in_header(image: &[u8], at: usize) -> bool {
    (at.saturating_sub(31)..=at).any(|from| {
        let from = image.get(from..from + 5).unwrap_or_default();
        from.starts_with(b"AVML")
    })
}

#[test]
fn ranges_that_cannot_be() {
    let image = |start, last| [header(b"EMiL", 1, start, last), vec![1; 64]].concat();
    for (start, last, kind) in
        [(5, 4, ErrorKind::Corrupt), (0, u64::MAX, ErrorKind::Corrupt), (u64::MAX, u64::MAX, ErrorKind::Corrupt)]
    {
        let e = open_lime(image(start, last)).err().unwrap();
        assert_eq!(e.kind(), kind, "{e}");
        let mut avml = image(start, last);
        avml[..5].copy_from_slice(b"AVML\x02");
        assert_eq!(open_avml(avml).err().unwrap().kind(), kind);
    }
    // A range far longer than the file is what the file has of it: it sizes nothing. One that is a cut file's is RAM.
    let source = open_lime(image(0x1000, u64::MAX - 1)).unwrap();
    assert_eq!(source.meta().end_pfn, Pfn(2));
    assert_eq!(source.damage().unwrap().kind(), ErrorKind::Truncated);
    for (len, pages) in [(1u64 << 30, 1 << 18), ((1 << 30) + 1, 1)] {
        let source = open_lime(image(0x1000, 0x1000 + len - 1)).unwrap();
        assert_eq!(source.meta().end_pfn, Pfn(1 + pages));
        assert_eq!(source.damage().unwrap().kind(), ErrorKind::Truncated);
    }
}

/// The first range in the file counts; that others say the same of the memory is no damage.
#[test]
fn ranges_that_overlap() {
    for ranges in [[0..0x2000, 0x1000..0x3000], [0x1000..0x3000, 0..0x1001], [0..0x1000, 0..0x1000]] {
        for (kind, image) in [("lime", lime(&ranges)), ("avml", avml(&ranges))] {
            assert!(read(kind, &image).unwrap() == (expected(&ranges, PageSize::K4, END), None), "{kind} {ranges:?}");
        }
    }
}

#[test]
fn ranges_that_contradict_each_other() {
    let first = [header(b"EMiL", 1, 0x2000, 0x4fff), vec![1; 0x3000]].concat();
    for (start, len, at) in
        [(0, 0x8000, 0x2000), (0x3000, 0x1000, 0x3000), (0x4fff, 1, 0x4fff), (0x4000, 0x9000, 0x4000)]
    {
        for packed in [false, true] {
            let second = match packed {
                false => [header(b"EMiL", 1, start, start + len - 1), vec![2; len as usize]].concat(),
                true => avml_range(start, &vec![2; len as usize]),
            };
            let (pages, damage) = read("lime", &[first.clone(), second].concat()).unwrap();
            let damage = damage.unwrap();
            let says = format!("at offset 0x0 and offset 0x3020 both claim memory at {at:#x}, with different content");
            assert!(damage.contains(&says), "{damage}");
            for (pfn, page) in pages.iter().enumerate() {
                let pfn = pfn as u64;
                match page {
                    Ok(page) if (2..5).contains(&pfn) => assert!(page.iter().all(|byte| *byte == 1)),
                    Ok(page) => assert!(page.iter().all(|byte| *byte == 2) && start <= pfn * 4096),
                    Err(why) => assert_eq!(*why, Absence::Hole),
                }
            }
        }
    }
    // what cannot be read contradicts nothing
    let mut cut = [first, header(b"EMiL", 1, 0x2000, 0x2fff)].concat();
    cut.push(1);
    let damage = read("lime", &cut).unwrap().1.unwrap();
    assert!(damage.contains("its memory ends") && !damage.contains("claim"), "{damage}");
}

/// As on a block device.
#[test]
fn zeros_behind_the_last_range() {
    for (kind, image) in images() {
        for zeros in [1, 31, 32, 33, 512, 200_000] {
            let padded = [image.clone(), vec![0; zeros]].concat();
            assert!(read(kind, &padded).unwrap() == read(kind, &image).unwrap(), "{kind} {zeros}");
            let other = [padded, vec![7]].concat();
            let (pages, damage) = read(kind, &other).unwrap();
            assert!(pages == read(kind, &image).unwrap().0 && damage.is_some(), "{kind} {zeros}");
        }
    }
}

#[test]
fn blocks_of_both_kinds() {
    let [a, b, c] = <[_; 3]>::try_from(ranges()).unwrap();
    let (plain, packed) =
        (|r: &Range<u64>| lime(std::slice::from_ref(r)), |r: &Range<u64>| avml(std::slice::from_ref(r)));
    let want = (expected(&ranges(), PageSize::K4, END), None);
    assert!(read("lime", &[plain(&a), packed(&b), plain(&c)].concat()).unwrap() == want);
    assert!(read("avml", &[packed(&c), packed(&b), plain(&a)].concat()).unwrap() == want);
}

#[test]
fn other_files() {
    for (bytes, kind) in [
        (vec![], ErrorKind::Truncated),
        (vec![0; 100], ErrorKind::BadMagic),
        (header(b"EMiL", 2, 0, 9), ErrorKind::Unsupported),
        (header(b"EMiL", 1, 0, 9), ErrorKind::Truncated),
    ] {
        assert_eq!(open_lime(bytes).err().unwrap().kind(), kind);
    }
    for (bytes, kind) in [
        (vec![], ErrorKind::Truncated),
        (lime(&ranges()), ErrorKind::BadMagic),
        (header(b"AVML", 1, 0, 9), ErrorKind::Unsupported),
        (header(b"AVML", 2, 0, 9), ErrorKind::Truncated),
        ([header(b"AVML", 2, 0, 9), vec![1; 40]].concat(), ErrorKind::Truncated),
        ([header(b"AVML", 2, 0, 9), b"\x01\x04\x00\x00....".to_vec()].concat(), ErrorKind::Corrupt),
    ] {
        assert_eq!(open_avml(bytes).err().unwrap().kind(), kind);
    }
    let raw = |bytes: Vec<u8>, base| open_raw(bytes, PhysAddr(base)).err().map(|e| e.kind());
    assert_eq!(raw(Vec::new(), 0), Some(ErrorKind::Truncated));
    assert_eq!(raw(vec![1; 2], u64::MAX - 1), Some(ErrorKind::Corrupt));
    assert_eq!(raw(vec![1; 2], u64::MAX - 2), None);
}

/// A chunk with a wrong checksum takes its own pages with it, and no others.
#[test]
fn a_bad_chunk_costs_its_pages() {
    let range = 0x1000..0x6_1000u64;
    let mut image = avml(std::slice::from_ref(&range));
    let second = {
        let first = 32 + 10;
        first + 4 + u32::from_le_bytes([image[first + 1], image[first + 2], image[first + 3], 0]) as usize
    };
    image[second + 1000] ^= 1;
    let source = open_avml(image).unwrap();
    let pages = check_source(&source, Pfn(0x61), &[1, 7, 64]);
    let want = expected(std::slice::from_ref(&range), PageSize::K4, 0x61);
    for (pfn, (page, want)) in pages.iter().zip(&want).enumerate() {
        match pfn {
            0x11..0x21 => assert_eq!(*page, Err(Absence::Unreadable), "{pfn:#x}"),
            _ => assert!(page == want, "{pfn:#x}"),
        }
    }
}

#[test]
fn a_wrong_trailing_length_ends_it() {
    let mut image = avml(&ranges());
    let first = avml(&ranges()[..1]).len();
    image[first - 8] ^= 1;
    let (pages, damage) = read("avml", &image).unwrap();
    assert!(damage.unwrap().contains("compressed length"));
    let held: Vec<usize> = pages.iter().enumerate().filter(|(_, page)| page.is_ok()).map(|(pfn, _)| pfn).collect();
    assert_eq!(held, [1, 2]);
}

/// Chunks that hold nothing may stand between those that do, but a stream may not end in them.
#[test]
fn padding_between_chunks() {
    let memory = bytes(0x1000..0x3000);
    let plain = avml_range(0x1000, &memory);
    let padded = |after: usize, times: usize| {
        let mut image = plain.clone();
        let pad = b"\xfe\x02\x00\x00..".repeat(times);
        image.splice(after..after, pad.iter().copied());
        let len = image.len();
        image[len - 8..].copy_from_slice(&((len - 8 - 32) as u64).to_le_bytes());
        image
    };
    let (pages, damage) = read("avml", &padded(42, 1000)).unwrap();
    assert!(damage.is_none() && pages[1] == Ok(memory[..4096].to_vec()));
    let (pages, damage) = read("avml", &padded(plain.len() - 8, 1)).unwrap();
    assert!(damage.is_some() && pages[1].is_ok());
}
