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
    Ok((contents(image.as_ref(), Pfn(END), 9), text(image.damage())))
}

fn images() -> [(&'static str, Vec<u8>); 2] {
    [("lime", lime(&ranges())), ("avml", avml(&ranges()))]
}

#[test]
fn every_prefix_has_the_pages_before_the_cut() {
    let want = expected(&ranges(), PageSize::K4, END);
    for (kind, image) in images() {
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
            // Whole pages are as they should be; one may be there in part, its end zeros.
            let held = |page: &&Page| page.is_ok();
            let right = pages.iter().zip(&want).filter(|(page, want)| page.is_ok() && page == want).count();
            assert!(right + 1 >= pages.iter().filter(held).count(), "{kind} {cut}");
            assert!(right >= most || right + 1 == most, "{kind} {cut}");
            most = most.max(right);
            if damage.is_none() {
                assert!(
                    (2..6).contains(&most),
                    "{kind} {cut}: only between two ranges does nothing seem to be missing"
                );
            }
        }
        assert!(read(kind, &image).unwrap() == (want.clone(), None));
    }
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
    // A range far longer than the file is what the file has of it: it sizes nothing.
    let source = open_lime(image(0x1000, u64::MAX - 1)).unwrap();
    assert_eq!(source.meta().end_pfn, Pfn(2));
    assert_eq!(source.damage().unwrap().kind(), ErrorKind::Truncated);
}

#[test]
fn ranges_that_overlap() {
    for ranges in [[0..0x2000, 0x1000..0x3000], [0x1000..0x3000, 0..0x1001], [0..0x1000, 0..0x1000]] {
        for e in [open_lime(lime(&ranges)).err().unwrap(), open_avml(avml(&ranges)).err().unwrap()] {
            assert_eq!(e.kind(), ErrorKind::Corrupt);
            located(&e);
        }
    }
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
