//! Descriptors that are not to be believed, and the pages found again without them.
//!
//! In every sound file a page's data begin where those of the page before it end, and zero pages share the page of zeros
//! in front. A descriptor that keeps to this is right. Between two such, those that do not are as many pages as their
//! number says, and the bytes between are theirs: if these fall into exactly as many pages, one after the other, then
//! each page is known, with or without a descriptor. That division is the only one: a stream that ends by itself is
//! shorter than a page, so that taking it for the start of an uncompressed page would give fewer pages. Where a zero
//! page is among them, or a codec's streams do not show where they end, nothing says which page is which: all are lost.

use std::collections::BTreeMap;
use std::ops::Range;

use dump_core::{ByteReader, Result};

use crate::codec::Codec;
use crate::decompress::Decompressor;
use crate::desc::PageDesc;
use crate::fate::Fate;
use crate::head::Head;
use crate::table::{SharedZero, descriptors};

/// Descriptors that are read at once.
const PER_READ: u64 = 4096;

/// How far on a descriptor is looked for that one stands in line with.
const LOOK_AHEAD: u64 = 64;

/// Pages without a descriptor whose data are looked through at most, in bytes of them: a table that is gone as a whole.
const MOST_DATA: u64 = 64 << 30;

/// What became of descriptors, by number.
#[derive(Default)]
pub(crate) struct Retable {
    /// Those that are not believed, ascending.
    bad: Vec<Range<u64>>,
    /// What is known of their pages still.
    found: BTreeMap<u64, Fate>,
}

impl Retable {
    /// What page number `rank` is, where its descriptor is not believed: `Some(None)` if it is lost.
    pub(crate) fn fate(&self, rank: u64) -> Option<Option<Fate>> {
        let at = self.bad.partition_point(|range| range.end <= rank);
        let bad = self.bad.get(at).is_some_and(|range| range.contains(&rank));
        bad.then(|| self.found.get(&rank).copied())
    }

    /// Goes through the table of the file of `head`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn read(head: &Head, input: &mut dyn ByteReader) -> Result<Retable> {
        let zero_at = shared_zero(head);
        let page = head.header.page_size.bytes() as u64;
        let expected = zero_at.map_or(head.table.end, |at| at + page);
        let mut walk = Walk {
            head,
            zero_at,
            expected,
            pending: Vec::new(),
            last: None,
            retable: Retable::default(),
            decompressor: Decompressor::default(),
        };
        let there = descriptors_there(head);
        let mut bytes = Vec::new();
        for first in (0..there).step_by(PER_READ as usize) {
            let len = (there - first).min(PER_READ) as usize * PageDesc::SIZE;
            bytes.clear();
            bytes.extend_from_slice(input.view(head.layout.descriptor(first).unwrap_or(u64::MAX), len)?);
            for (i, desc) in descriptors(&bytes, &head.header).enumerate() {
                walk.step(first + i as u64, desc, input);
            }
        }
        walk.end(there, input);
        Ok(walk.retable)
    }
}

/// How many descriptors of this file's pages the file is long enough for.
fn descriptors_there(head: &Head) -> u64 {
    (head.file_len.saturating_sub(head.layout.descriptors()) / PageDesc::SIZE as u64).min(head.pages())
}

/// Where the page is that zero pages share, also if it is damaged: dumps without zero pages have one in front, and other
/// dumps where their first page is behind it.
fn shared_zero(head: &Head) -> Option<u64> {
    const NO_ZERO_PAGES: u32 = 1;
    let known = head.table.zero != SharedZero::None || head.meta.dump_level & NO_ZERO_PAGES != 0;
    (known || head.table.skips_a_page).then_some(head.table.end)
}

/// Where the walk has got.
struct Walk<'a> {
    head: &'a Head,
    zero_at: Option<u64>,
    /// Where the next page's data must begin.
    expected: u64,
    /// Descriptors since the last good one that are not believed.
    pending: Vec<u64>,
    /// The last good one, and its number.
    last: Option<(u64, PageDesc)>,
    retable: Retable,
    decompressor: Decompressor,
}

impl Walk<'_> {
    fn step(&mut self, rank: u64, desc: PageDesc, input: &mut dyn ByteReader) {
        if self.is_zero(&desc) {
            return;
        }
        let end = self.end_of(&desc);
        if let Some(end) = end.filter(|_| desc.offset == self.expected && self.pending.is_empty()) {
            (self.last, self.expected) = (Some((rank, desc)), end);
            return;
        }
        self.doubt_last(input);
        match end.filter(|_| desc.offset >= self.expected) {
            Some(end) if self.stands_in_line(rank, &desc, end, input) => {
                let (from, ranks) = (self.expected, std::mem::take(&mut self.pending));
                self.resolve(&ranks, from..desc.offset, input);
                (self.last, self.expected) = (Some((rank, desc)), end);
            }
            _ => self.distrust(rank),
        }
    }

    /// The last good descriptor, where the next one does not begin at its end: it may be that its size is wrong.
    fn doubt_last(&mut self, input: &mut dyn ByteReader) {
        if let Some((rank, desc)) = self.last.take().filter(|(_, desc)| !self.is_confirmed(desc, input)) {
            self.expected = desc.offset;
            self.distrust(rank);
        }
    }

    /// Those at the end of the table, of which the file has `there`.
    fn end(&mut self, there: u64, input: &mut dyn ByteReader) {
        let erased = self.head.header.sub.erase_info;
        let end = if erased.is_empty() { self.head.file_len } else { erased.offset };
        let ranks = std::mem::take(&mut self.pending);
        if there == self.head.pages() && end >= self.expected {
            self.resolve(&ranks, self.expected..end, input);
        }
    }

    fn distrust(&mut self, rank: u64) {
        self.pending.push(rank);
        match self.retable.bad.last_mut() {
            Some(last) if last.end == rank => last.end += 1,
            _ => self.retable.bad.push(rank..rank + 1),
        }
    }

    fn is_zero(&self, desc: &PageDesc) -> bool {
        Some(desc.offset) == self.zero_at && desc.flags == 0 && desc.size as usize == self.head.header.page_size.bytes()
    }

    /// Where the data end that a descriptor speaks of, if it can be right.
    fn end_of(&self, desc: &PageDesc) -> Option<u64> {
        let (len, _) = desc.stored_len(self.head.header.page_size.bytes()).ok()?;
        let end = desc.offset.checked_add(len as u64)?;
        (desc.offset >= self.head.table.data_from).then_some(end)
    }

    /// Whether the next page's data begin where this one's end, or this one's have a checksum that holds.
    fn stands_in_line(&mut self, rank: u64, desc: &PageDesc, end: u64, input: &mut dyn ByteReader) -> bool {
        let last = (rank + 1 + LOOK_AHEAD).min(descriptors_there(self.head));
        let len = (last - rank - 1) as usize * PageDesc::SIZE;
        let at = self.head.layout.descriptor(rank + 1).unwrap_or(u64::MAX);
        let next = input
            .view(at, len)
            .ok()
            .and_then(|bytes| descriptors(bytes, &self.head.header).find(|next| !self.is_zero(next)));
        if next.is_some_and(|next| next.offset == end && self.end_of(&next).is_some()) {
            return true;
        }
        self.is_confirmed(desc, input)
    }

    /// Whether the data of a descriptor have a checksum that holds.
    fn is_confirmed(&mut self, desc: &PageDesc, input: &mut dyn ByteReader) -> bool {
        let page = self.head.header.page_size.bytes();
        let Some(Some(codec)) = desc.codec().filter(|codec| codec.is_some_and(|codec| codec.checksum.is_some())) else {
            return false;
        };
        let Ok(bytes) = input.view(desc.offset, desc.size as usize) else { return false };
        self.decompressor.page_len(codec, bytes, page) == Some(bytes.len())
    }

    /// Finds the pages of descriptors that are not believed, whose data are all of `data`.
    fn resolve(&mut self, ranks: &[u64], data: Range<u64>, input: &mut dyn ByteReader) {
        let count = ranks.len() as u64;
        let page = self.head.header.page_size.bytes() as u64;
        let len = data.end - data.start;
        // an incomplete dump has pages without data, and nothing says which
        if count == 0 || len == 0 || len > count * page || len > MOST_DATA || self.head.meta.incomplete {
            return;
        }
        let Some(fates) = self.pages_of(data, count, input) else { return };
        self.retable.found.extend(ranks.iter().copied().zip(fates));
    }

    /// The `count` pages that lie in `data`, one after the other, if it is as many.
    fn pages_of(&mut self, data: Range<u64>, count: u64, input: &mut dyn ByteReader) -> Option<Vec<Fate>> {
        let page = self.head.header.page_size.bytes();
        let codec = self.head.codec();
        let (mut at, mut fates) = (data.start, Vec::new());
        while at < data.end {
            let len = (data.end - at).min(page as u64) as usize;
            let bytes = input.view(at, len).ok()?;
            let (codec, size) = match codec.and_then(|codec| self.compressed_len(codec, bytes, count)) {
                Some(size) => (codec, size),
                None if len == page => (None, page),
                None => return None,
            };
            fates.push(Fate::Stored { codec, offset: at, size });
            at += size as u64;
            if fates.len() as u64 > count {
                return None;
            }
        }
        (fates.len() as u64 == count).then_some(fates)
    }

    /// How long the compressed page is that `bytes` begin with; one page alone is all of its bytes.
    fn compressed_len(&mut self, codec: &'static Codec, bytes: &[u8], count: u64) -> Option<usize> {
        let page = self.head.header.page_size.bytes();
        if let Some(len) = self.decompressor.page_len(codec, bytes, page).filter(|len| *len < page) {
            return Some(len);
        }
        let alone = count == 1 && bytes.len() < page && self.decompressor.page(codec, bytes, page).is_ok();
        alone.then_some(bytes.len())
    }
}
