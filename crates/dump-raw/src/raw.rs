//! Raw images: the bytes of memory and nothing else, in one file or several.

use crate::formats::RAW_NAME;
use crate::image::image;
use dump_core::{
    Container, Detail, Error, ErrorKind, Extent, Extents, Joined, Mapped, MemoryMap, PhysAddr, PlainMemory, ReadAt,
    Result,
};

/// Opens a raw image (what LiME calls "padded", a guest's memory file, a device's memory read out): all bytes of
/// `input`, the first of which lay at physical address `base`. Neither that nor the length need be whole pages.
///
/// All of it counts as memory that is there: an image has holes as zeros.
///
/// # Errors
/// `Truncated` if there is no byte, `Corrupt` if the memory would pass the end of all addresses.
pub fn open_raw<R: ReadAt + 'static>(input: R, base: PhysAddr) -> Result<impl Container> {
    open_mapped(vec![(String::new(), input, MemoryMap::from_base(base))])
}

/// Opens raw images that are one memory: files with a name for messages, each with the map that says where in memory its
/// bytes lie.
///
/// A file that is shorter than its map is damaged: what it has of the memory can be read. What it has behind the ranges
/// of its map is left aside, which [`Container::remarks`] says.
///
/// # Errors
/// `Truncated` if a file has no byte, `Corrupt` if ranges overlap or memory would pass the end of all addresses.
pub fn open_mapped<R: ReadAt + 'static>(files: Vec<(String, R, MemoryMap)>) -> Result<impl Container> {
    let (mut input, mut extents) = (Joined::new(), Vec::new());
    let (mut at, mut damage, mut remarks, mut details) = (0u64, None, Vec::new(), Vec::new());
    let several = files.len() > 1;
    for (name, bytes, map) in files {
        let within = |e: Error| if several { e.within(&name) } else { e };
        let len = bytes.len()?;
        if len == 0 {
            return Err(within(Error::new(ErrorKind::Truncated, "raw image: empty")));
        }
        let Mapped { extents: here, missing, left } = map.of_file(len).map_err(|e| within(e.within("raw image")))?;
        if missing > 0 {
            let text = format!("its map of memory has {:#x} bytes, the file {len:#x}", map.bytes());
            damage = damage.or(Some(within(Error::new(ErrorKind::Truncated, text))));
        }
        if left > 0 {
            let text = format!("{left:#x} bytes behind what the map of memory has are left aside");
            remarks.push(within(Error::unsupported(text)));
        }
        let size = here.iter().map(|extent| extent.offset + (extent.end - extent.start)).max().unwrap_or(0).max(len);
        let too_long = || Error::corrupt("raw images: more than 2^64 bytes");
        extents.extend(here.into_iter().map(|extent| Extent { offset: at.saturating_add(extent.offset), ..extent }));
        input.push(at, 0..len, bytes);
        details.push(Detail::new("memory map", map.to_string()));
        at = at.checked_add(size).ok_or_else(too_long)?;
    }
    let extents = Extents::disjoint(extents).map_err(|e| e.within("raw image"))?;
    let memory = PlainMemory::new(input, extents)?;
    Ok(image(RAW_NAME, memory, damage).with_remarks(remarks).with_details(details))
}
