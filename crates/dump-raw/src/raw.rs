//! A raw image: the bytes of memory, one after the other, and nothing else.

use crate::formats::RAW_NAME;
use crate::image::Image;
use dump_core::{Container, Error, ErrorKind, Extent, Extents, PhysAddr, PlainMemory, ReadAt, Result};

/// Opens a raw image (what LiME calls "padded", a guest's memory file, a device's memory read out): all bytes of
/// `input`, the first of which lay at physical address `base`. Neither that nor the length need be whole pages.
///
/// All of it counts as memory that is there: an image has holes as zeros.
///
/// # Errors
/// `Truncated` if there is no byte, `Corrupt` if the memory would pass the end of all addresses.
pub fn open_raw<R: ReadAt>(input: R, base: PhysAddr) -> Result<impl Container> {
    let len = input.len()?;
    if len == 0 {
        return Err(Error::new(ErrorKind::Truncated, "raw image: empty"));
    }
    let end = base
        .0
        .checked_add(len)
        .ok_or_else(|| Error::corrupt(format!("raw image: {len:#x} bytes from address {base} exceed 2^64")))?;
    let extents = Extents::disjoint(vec![Extent { start: base.0, end, offset: 0 }])?;
    Ok(Image::new(RAW_NAME, PlainMemory::new(input, extents)?, None))
}
