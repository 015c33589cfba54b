//! Pages of any content and length, compressed one after the other by one encoder: what comes back is the page, by two
//! inflaters; what was compressed before does not show; an output that is too small is refused and changes nothing.

use dump_deflate::{MAX_PAGE, PageDeflater};
use flate2::{Decompress, FlushDecompress, Status};
use std::cell::RefCell;

thread_local! {
    /// Has seen every page before.
    static OLD: RefCell<PageDeflater> = RefCell::new(PageDeflater::new());
}

pub fn run(data: &[u8]) {
    let Some((shape, seed)) = data.split_at_checked(3) else { return };
    let page = grown(seed, usize::from(shape[0]), MAX_PAGE);
    let room = page.len() + 64 + 5 * page.len().div_ceil(16 << 10);
    let mut out = vec![0; room];
    let len = OLD.with_borrow_mut(|old| old.compress(&page, &mut out)).expect("room for every page");
    check(&page, &out[..len]);

    let mut again = vec![0xff; room];
    let fresh = PageDeflater::new().compress(&page, &mut again);
    assert_eq!(fresh, Some(len), "what was compressed before shows");
    assert!(again[..len] == out[..len], "what was compressed before shows");

    // less room, by as much as the input says: either it is not needed, or the page is refused
    let less = len.saturating_sub(usize::from(u16::from_le_bytes([shape[1], shape[2]])));
    let compressed = OLD.with_borrow_mut(|old| old.compress(&page, &mut again[..less]));
    if let Some(compressed) = compressed {
        check(&page, &again[..compressed]);
    }
}

/// A fuzzer's inputs are short: one becomes a longer page by being repeated, with a byte changed now and then.
pub fn grown(seed: &[u8], times: usize, most: usize) -> Vec<u8> {
    let mut page = Vec::new();
    for i in 0..=times {
        page.extend_from_slice(seed);
        if let Some(last) = page.last_mut() {
            *last = last.wrapping_add(i as u8);
        }
    }
    page.truncate(most);
    page
}

fn check(page: &[u8], compressed: &[u8]) {
    let mut back = vec![0; page.len() + 1];
    let mut inflater = Decompress::new(true);
    let status = inflater.decompress(compressed, &mut back, FlushDecompress::Finish).expect("zlib-rs takes it");
    assert!(status == Status::StreamEnd && inflater.total_out() == page.len() as u64 && back[..page.len()] == *page);
    let other =
        miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(compressed, page.len()).expect("miniz takes it");
    assert!(other == page);
}
