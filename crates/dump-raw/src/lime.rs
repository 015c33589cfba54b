//! A LiME image: ranges of memory, each behind a header.
//!
//! LiME writes one range for each line of `/proc/iomem` that is RAM, pages it could not read as zeros. AVML writes
//! ranges of at most 16 MiB and leaves out those that are all zero.

use crate::formats::LIME_NAME;
use crate::image::Image;
use crate::record::{self, Dialect, Header};
use dump_core::{Container, Error, Extent, ExtentList, PlainMemory, ReadAt, Result};

/// Opens a LiME image: reads the headers of all ranges.
///
/// A file that ends early, or that stops making sense after its first range, can be read up to there, and of a range
/// that the file cuts off, what it has: see [`damage`](Container::damage). The rest is as if it were not RAM.
///
/// # Errors
/// `BadMagic` if it is no LiME image, `Unsupported` if it is of another version, `Corrupt` or `Truncated`
/// if not even the first range makes sense, `Corrupt` if ranges overlap.
pub fn open_lime<R: ReadAt>(input: R) -> Result<impl Container> {
    let mut list = ExtentList::new(input.len()?);
    let damage = index(&input, &mut list).err();
    if list.is_empty() {
        return Err(damage.unwrap_or_else(|| record::empty(Dialect::Lime)));
    }
    let extents = list.sorted().map_err(|e| e.within("LiME image"))?;
    Ok(Image::new(LIME_NAME, PlainMemory::new(input, extents)?, damage))
}

/// Appends the ranges in the order of the file; those before a failure stay there.
fn index(input: &dyn ReadAt, list: &mut ExtentList) -> Result<()> {
    let len = input.len()?;
    let mut at = 0;
    while at < len {
        at = index_range(input, at, len, list).map_err(|e| e.within(Dialect::Lime.at(at)))?;
    }
    Ok(())
}

/// Appends the range whose header stands at `at`, as far as the file has it; returns where the next one stands.
fn index_range(input: &dyn ReadAt, at: u64, len: u64, list: &mut ExtentList) -> Result<u64> {
    let header = Header::read(input, at, Dialect::Lime)?;
    let offset = at + record::LEN as u64;
    let there = header.len().min(len - offset); // the header was read, so the file reaches so far
    if there > 0 {
        list.push(Extent { start: header.start, end: header.start + there, offset })?;
    }
    if there < header.len() {
        return Err(Error::truncated("its memory", offset.saturating_add(header.len()), len));
    }
    Ok(offset + there)
}
