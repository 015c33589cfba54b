//! Pages through each codec that kdump files have, both ways: a page comes back; any bytes are a page or are refused;
//! what a codec did before does not show.

use crate::Seed;
use crate::deflate::grown;
use crate::input::Input;
use crate::samples::{self, seed};
use dump_kdump::codec::{Codec, PageCodec};
use std::cell::RefCell;
use std::collections::HashMap;

const PAGE_SIZES: [usize; 3] = [4096, 16384, 65536];

pub fn zlib(data: &[u8]) {
    run("zlib", data);
}

pub fn lzo(data: &[u8]) {
    run("lzo", data);
}

pub fn snappy(data: &[u8]) {
    run("snappy", data);
}

pub fn zstd(data: &[u8]) {
    run("zstd", data);
}

fn new(name: &str) -> Box<dyn PageCodec> {
    Codec::by_name(name).unwrap().creator().unwrap()()
}

fn run(name: &'static str, data: &[u8]) {
    thread_local! {
        /// Have seen every page before.
        static OLD: RefCell<HashMap<&'static str, Box<dyn PageCodec>>> = RefCell::default();
    }
    OLD.with_borrow_mut(|all| {
        let old = all.entry(name).or_insert_with(|| new(name)).as_mut();
        let mut input = Input::new(data);
        let (compress, size) = (input.u8() & 1 != 0, *input.one_of(&PAGE_SIZES));
        if compress {
            let (times, byte) = (usize::from(input.u8()), input.u8());
            let mut page = grown(input.rest(), times, size);
            page.resize(size, byte);
            there_and_back(name, old, &page);
        } else {
            back(name, old, input.rest(), size);
        }
    });
}

fn there_and_back(name: &str, old: &mut dyn PageCodec, page: &[u8]) {
    let mut out = [vec![0; old.room(page.len())], vec![0xff; old.room(page.len())]];
    let len = old.compress(page, &mut out[0]).unwrap();
    assert_eq!(new(name).compress(page, &mut out[1]).unwrap(), len, "what was compressed before shows");
    let Some(len) = len else { return };
    assert!(len < page.len() && out[0][..len] == out[1][..len], "what was compressed before shows");
    let mut back = vec![0x55; page.len()];
    old.decompress(&out[0][..len], &mut back).expect("its own output");
    assert!(back == page, "the page does not come back");
}

fn back(name: &str, old: &mut dyn PageCodec, bytes: &[u8], size: usize) {
    let mut pages = [vec![0; size], vec![0xff; size]];
    let read = [old.decompress(bytes, &mut pages[0]).is_ok(), new(name).decompress(bytes, &mut pages[1]).is_ok()];
    assert_eq!(read[0], read[1], "what was decompressed before shows");
    let told_by_lengths = ["lzo", "snappy"].contains(&name);
    assert_eq!(old.shows_page(bytes, size), read[0] && told_by_lengths, "whether it is a page");
    assert!(!read[0] || pages[0] == pages[1], "a part of the page was not set");
    if read[0] {
        there_and_back(name, old, &pages[0]);
    }
}

/// For all codecs the same; those of one are noise to the others.
pub fn seeds() -> Vec<Seed> {
    let page = samples::page(7);
    let head = |bytes: Vec<u8>| [vec![0, 0], bytes].concat();
    let mut lzo = vec![0; 5000];
    let len = dump_kdump::codec::Codec::by_name("lzo").unwrap().creator().unwrap()().compress(&page, &mut lzo).unwrap();
    lzo.truncate(len.unwrap_or_default());
    vec![
        seed("page", [vec![1, 0, 3, 0], page.clone()].concat()),
        seed("words", [vec![1, 1, 200, 7], b"abcabcabd 0123 0123".to_vec()].concat()),
        seed("zlib", head(miniz_oxide::deflate::compress_to_vec_zlib(&page, 6))),
        seed("zstd", head(::zstd::bulk::compress(&page, 1).unwrap())),
        seed("snappy", head(snap::raw::Encoder::new().compress_vec(&page).unwrap())),
        seed("lzo", head(lzo)),
    ]
}
