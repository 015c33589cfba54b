//! Values of the headers that cannot be right although the file can be read.
//!
//! Every writer has computed them from one another, so that a value that was damaged contradicts the others.

use dump_core::{Error, ErrorKind, Machine, ReadAt, Result, is_zero};

use crate::head::MAX_TEXT;
use crate::header::{FileRange, Header, known_status};
use crate::layout::Layout;

/// Since this version the sub header has max_mapnr_64, which is 0 in no dump that has a page.
const HAS_MAX_MAPNR: i32 = 6;

/// Bytes between notes and bitmaps that are looked at; writers leave less than 64 KiB.
const MOST_PADDING: u64 = 256 << 10;

/// What is wrong with what the headers call the dump.
pub(crate) fn labels(header: &Header, file: &dyn ReadAt) -> Vec<Error> {
    within("main header", main_labels(header)).chain(within("sub header", sub_labels(header, file))).collect()
}

/// What is wrong with where they have it: which pages there are is in doubt then.
pub(crate) fn places(header: &Header, layout: &Layout, file: &dyn ReadAt) -> Vec<Error> {
    let (padding, unread) = match padding(header, layout, file) {
        Ok(wrong) => (wrong, None),
        Err(e) => (None, Some(e).filter(|e| e.kind() == ErrorKind::Io)),
    };
    let main = main_places(header).into_iter().chain(padding);
    within("main header", main)
        .chain(within("sub header", part_place(header)))
        .chain(unread.map(|e| e.within("between notes and bitmaps")))
        .collect()
}

fn within(which: &str, wrong: impl IntoIterator<Item = String>) -> impl Iterator<Item = Error> {
    wrong.into_iter().map(move |what| Error::corrupt(what).within(which))
}

fn main_labels(header: &Header) -> Vec<String> {
    let main = &header.main;
    let mut wrong = Vec::new();
    let unknown = main.status & !known_status();
    if unknown != 0 {
        wrong.push(format!("status has unknown bits {unknown:#x}"));
    }
    let name = main.utsname.machine();
    if let Some(named) = Machine::by_name(&name).filter(|named| *named != stated(header, *named)) {
        let bits = 8 * named.word.bytes();
        wrong.push(format!("a {bits}-bit {:?} endian machine, {name}, in {}", named.order, header.abi.describe()));
    }
    wrong
}

fn main_places(header: &Header) -> Vec<String> {
    let (main, sub) = (&header.main, &header.sub);
    let mut wrong = Vec::new();
    if u64::from(main.max_mapnr) != sub.max_mapnr.min(u64::from(u32::MAX)) {
        wrong.push(format!("max_mapnr is {:#x}, but max_mapnr_64 {:#x}", main.max_mapnr, sub.max_mapnr));
    }
    // one bitmap in old files, two since
    let needed = sub.max_mapnr.div_ceil(8).div_ceil(header.page_size.bytes() as u64);
    let blocks = u64::from(main.bitmap_blocks);
    if ![needed, needed.saturating_mul(2)].contains(&blocks) {
        wrong.push(format!("bitmap_blocks is {blocks}, but max_mapnr {:#x} needs {}", sub.max_mapnr, 2 * needed));
    }
    wrong
}

/// The named machine with the integers that the headers have.
fn stated(header: &Header, named: Machine) -> Machine {
    Machine { order: header.abi.order, word: header.abi.word, ..named }
}

fn sub_labels(header: &Header, file: &dyn ReadAt) -> Vec<String> {
    let sub = &header.sub;
    let mut wrong = Vec::new();
    // an older one of level 0 may be
    if header.blank && header.main.version >= HAS_MAX_MAPNR && sub.max_mapnr != 0 {
        wrong.push("all zeros, but it has the end of memory at least: it was not written, or got lost".to_owned());
    }
    if sub.level().is_none() {
        wrong.push(format!("dump_level {} is not from 0 to 31", sub.dump_level));
    }
    let file_len = file.len().unwrap_or(u64::MAX);
    for (what, at) in [("vmcoreinfo", sub.vmcoreinfo), ("eraseinfo", sub.erase_info)] {
        wrong.extend(outside(at, file_len).map(|reason| format!("{what} {reason}")));
    }
    wrong
}

fn part_place(header: &Header) -> Option<String> {
    let sub = &header.sub;
    // cut off at the word size
    let cut = |pfn: u64| pfn & if header.abi.word.bytes() == 4 { u64::from(u32::MAX) } else { u64::MAX };
    let old = [cut(sub.start_pfn), cut(sub.end_pfn)];
    let [start, end] = sub.old_pfns;
    (sub.split && sub.old_pfns != old).then(|| {
        format!(
            "the part's start_pfn and end_pfn are {start:#x} and {end:#x}, but start_pfn_64 and end_pfn_64 {:#x} and \
             {:#x}",
            sub.start_pfn, sub.end_pfn
        )
    })
}

/// Why a text cannot be at a place.
pub(crate) fn outside(at: FileRange, file_len: u64) -> Option<String> {
    if at.is_empty() {
        return None;
    }
    match at.end() {
        Some(end) if end > file_len => Some(format!("ends at offset {end:#x}, but the input ends at {file_len:#x}")),
        Some(_) if at.size > MAX_TEXT => Some(format!("of {:#x} bytes, expected at most {MAX_TEXT:#x}", at.size)),
        Some(_) => None,
        None => Some(format!("at offset {:#x}: size {:#x} exceeds 2^64", at.offset, at.size)),
    }
}

/// Whether the bitmaps begin where notes and padding end: with another sub_hdr_size, a bitmap would stand in between,
/// or notes in the bitmap.
fn padding(header: &Header, layout: &Layout, file: &dyn ReadAt) -> Result<Option<String>> {
    let (blocks, bitmaps) = (header.main.sub_hdr_size, layout.bitmap1());
    let notes = header.sub.notes.end().filter(|_| !header.sub.notes.is_empty());
    if let Some(end) = notes.filter(|end| *end > bitmaps && header.sub.notes.offset < bitmaps) {
        return Ok(Some(format!("sub_hdr_size {blocks} has bitmaps at {bitmaps:#x}, but notes end at {end:#x}")));
    }
    let texts = [header.sub.vmcoreinfo, header.sub.notes, header.sub.erase_info];
    let ends = texts.iter().filter(|at| !at.is_empty()).filter_map(|at| at.end()).filter(|end| *end <= bitmaps);
    let from = ends.fold(layout.sub_header() + header.abi.sub_len() as u64, u64::max);
    let mut bytes = vec![0; bitmaps.saturating_sub(from).min(MOST_PADDING) as usize];
    file.read_exact_at(from, &mut bytes)?;
    Ok((!is_zero(&bytes)).then(|| {
        format!(
            "sub_hdr_size {blocks} has bitmaps at {bitmaps:#x}, but there is something else between them and {from:#x}"
        )
    }))
}
