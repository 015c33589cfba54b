//! What every writer keeps to from the descriptor table to the end of the file, for a check.
//!
//! makedumpfile (in one cycle or many, split, reassembled), QEMU and this crate leave nothing between the table and the
//! first page's data, nothing between two pages' data, and nothing behind the last but text about what was erased; no
//! two pages share data but the zero pages. What differs from that is damage in a bitmap or a descriptor that still
//! points at something that reads as a page.

use std::ops::Range;

use dump_core::{ByteReader, Depth, Error, Pfn, PfnRange, Result, Survey, Vouched, is_zero};

use crate::areas::Areas;
use crate::codec::CODECS;
use crate::desc::PageDesc;
use crate::head::Head;
use crate::table::{SharedZero, descriptors};

/// Descriptors that are read at once.
const PER_READ: u64 = 4096;

/// Surveys the file of `head`.
///
/// # Errors
/// If the table cannot be read.
pub(crate) fn survey(head: &Head, input: &mut dyn ByteReader, depth: Depth) -> Result<Survey> {
    let mut seen = Seen::default();
    let there = (head.file_len.saturating_sub(head.layout.descriptors()) / PageDesc::SIZE as u64).min(head.pages());
    for first in (0..there).step_by(PER_READ as usize) {
        let at = head.layout.descriptor(first).unwrap_or(u64::MAX);
        let bytes = input.view(at, (there - first).min(PER_READ) as usize * PageDesc::SIZE)?;
        seen.odd_flags += bytes.chunks_exact(PageDesc::SIZE).filter(|desc| !is_zero(&desc[16..])).count() as u64;
        descriptors(bytes, &head.header).for_each(|desc| seen.add(desc, head));
    }
    let mut wrong = Vec::new();
    if seen.odd_flags != 0 {
        wrong.push(Error::corrupt(format!("{} descriptors have page_flags, which no writer sets", seen.odd_flags)));
    }
    if let SharedZero::Damaged(at) = head.table.zero {
        wrong.push(Error::corrupt(format!("the page at offset {at:#x} that zero pages share is not zeros")));
    }
    wrong.extend(bits_past_the_end(head, input)?);
    wrong.extend(seen.trouble(head, input, depth)?);
    Ok(Survey { wrong, vouched: seen.vouched(), astray: seen.bad })
}

/// The pages of which data or a descriptor lie in `bytes` of the file.
///
/// # Errors
/// If the table cannot be read.
pub(crate) fn pages_in(head: &Head, input: &mut dyn ByteReader, bytes: &Range<u64>) -> Result<Vec<PfnRange>> {
    let (mut found, mut rank): (Vec<PfnRange>, u64) = (Vec::new(), 0);
    for run in head.held.bits().runs(head.part) {
        for first in (run.start.0..run.end.0).step_by(PER_READ as usize) {
            let count = (run.end.0 - first).min(PER_READ);
            let at = head.layout.descriptor(rank).unwrap_or(u64::MAX);
            let table = input.view(at, count as usize * PageDesc::SIZE)?;
            for (i, desc) in (0..).zip(descriptors(table, &head.header)) {
                let (pfn, own) = (Pfn(first + i), at + i * PageDesc::SIZE as u64);
                let meets = |from: u64, len: u64| from < bytes.end && from.saturating_add(len) > bytes.start;
                if meets(own, PageDesc::SIZE as u64) || (desc.offset != 0 && meets(desc.offset, u64::from(desc.size))) {
                    match found.last_mut() {
                        Some(last) if last.end == pfn => last.end = pfn + 1,
                        _ => found.push(PfnRange::at(pfn, 1)),
                    }
                }
            }
            rank += count;
        }
    }
    Ok(found)
}

/// What the descriptors say together.
#[derive(Default)]
struct Seen {
    /// Where pages' data are.
    areas: Areas,
    /// Pages that share the page of zeros.
    zero: u64,
    /// Pages as they are.
    raw: u64,
    /// Pages of each codec.
    compressed: [u64; CODECS.len()],
    /// Descriptors that are not to be believed; the check of their pages says why.
    bad: u64,
    /// Descriptors whose unused field is used.
    odd_flags: u64,
}

impl Seen {
    fn add(&mut self, desc: PageDesc, head: &Head) {
        let stored = desc.stored_len(head.header.page_size.bytes()).ok();
        let stored = stored.filter(|_| desc.offset >= head.table.data_from);
        let end = stored.and_then(|(len, _)| desc.offset.checked_add(len as u64));
        let (Some((_, codec)), Some(end)) = (stored, end) else {
            self.bad += 1;
            return;
        };
        match (codec, head.table.zero) {
            (None, SharedZero::At(at) | SharedZero::Damaged(at)) if at == desc.offset => self.zero += 1,
            _ => self.areas.push(desc.offset..end),
        }
        match codec {
            None => self.raw += 1,
            Some(codec) => self.compressed[codec.id.index()] += 1,
        }
    }

    /// Overlaps, and bytes that belong to no page. A dump that is incomplete may have data without descriptors.
    fn trouble(&mut self, head: &Head, input: &mut dyn ByteReader, depth: Depth) -> Result<Vec<Error>> {
        let page = head.header.page_size.bytes() as u64;
        if let SharedZero::At(at) | SharedZero::Damaged(at) = head.table.zero {
            self.areas.push(at..at.saturating_add(page));
        }
        let found = std::mem::take(&mut self.areas).sorted();
        let mut wrong = Vec::new();
        if let Some(at) = found.overlap {
            wrong.push(Error::corrupt(format!("pages share data, or data overlap, first at offset {at:#x}")));
        }
        if head.meta.incomplete || head.table.trouble.is_some() || self.bad != 0 || found.list.is_empty() {
            return Ok(wrong);
        }
        let mut at = head.table.end;
        for area in &found.list {
            if area.start > at {
                wrong.push(nobodys(at, area.start));
                break; // the first of them says enough
            }
            at = area.end;
        }
        let erased = head.header.sub.erase_info;
        let end = found.list.last().map_or(at, |last| last.end).max(at);
        let end = if erased.offset == end { erased.end().unwrap_or(end) } else { end };
        if depth == Depth::File && end < head.file_len && !is_zero_from(input, end, head.file_len)? {
            wrong.push(nobodys(end, head.file_len));
        }
        Ok(wrong)
    }

    fn vouched(&self) -> Vec<Vouched> {
        let of = |(codec, pages): (&crate::codec::Codec, &u64)| Vouched {
            stored: codec.id.name(),
            checksum: codec.checksum,
            pages: *pages,
        };
        let raw = Vouched { stored: "uncompressed", checksum: None, pages: self.raw - self.zero };
        CODECS.iter().zip(&self.compressed).map(of).chain([raw]).filter(|vouched| vouched.pages != 0).collect()
    }
}

fn nobodys(from: u64, to: u64) -> Error {
    Error::corrupt(format!("the bytes from offset {from:#x} to {to:#x} belong to no page"))
}

/// Bits behind those of the last page frame, which are zeros in all dumps.
fn bits_past_the_end(head: &Head, input: &mut dyn ByteReader) -> Result<Option<Error>> {
    let end = head.meta.end_pfn.0;
    let half = if head.ram_at == head.held_at { head.layout.bitmap_bytes() } else { head.layout.bitmap_bytes() / 2 };
    for (what, at) in [("1st", head.ram_at), ("2nd", head.held_at)] {
        let first = end / 8;
        if first >= half {
            continue;
        }
        let last = input.view(at + first, 1)?.first().copied().unwrap_or(0) >> (end % 8);
        if last != 0 || !is_zero_from(input, at + first + 1, at + half)? {
            return Ok(Some(Error::corrupt(format!("the {what} bitmap has pages at or past max_mapnr, pfn {end:#x}"))));
        }
    }
    Ok(None)
}

fn is_zero_from(input: &mut dyn ByteReader, from: u64, to: u64) -> Result<bool> {
    let mut at = from;
    while at < to {
        let len = (to - at).min(64 << 10);
        if !is_zero(input.view(at, len as usize)?) {
            return Ok(false);
        }
        at += len;
    }
    Ok(true)
}
