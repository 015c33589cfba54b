//! An AVML image: ranges of memory compressed with snappy.
//!
//! ```text
//! 32-byte header │ snappy stream, framed: all bytes of the range │ u64: length of the stream │ next header ...
//!                 └ identifier, chunk, chunk ...  each holds up to 64 KiB of memory
//! ```
//!
//! The length stands behind the stream, so where a range ends is found by walking its chunks, once, when the image is
//! opened. The walk leaves an extent for each 16 chunks: 24 bytes for a MiB of memory, or 24 MiB for a TiB. A read
//! walks at most 16 chunk headers from there and decompresses what it needs, however long the range is (AVML writes 16
//! MiB at most today, earlier versions wrote all of a range at once).
//!
//! Source: microsoft/avml, src/image.rs and src/io/snappy.rs.

use crate::formats::AVML_NAME;
use crate::image::Image;
use crate::record::{self, Dialect, Header};
use crate::snappy::{Chunk, Decompressor, Kind};
use dump_core::{Buffer, Container, Error, Extent, ExtentList, ExtentMemory, ExtentReader, Extents, ReadAt, Result};

/// Chunks in an extent. Fewer make reads start nearer to what they want, more make the index smaller.
const CHUNKS_PER_EXTENT: usize = 16;

/// Opens an AVML image: walks over the chunks of all ranges.
///
/// A file that ends early, or that stops making sense after its first chunks, can be read up to there: see
/// [`damage`](Container::damage). The rest is as if it were not RAM. Checksums are looked at when pages are read; where
/// one is wrong, its pages are unreadable.
///
/// # Errors
/// `BadMagic` if it is no AVML image, `Unsupported` if it is of another version, `Corrupt` or `Truncated`
/// if not even the start of the first range makes sense, `Corrupt` if ranges overlap.
pub fn open_avml<R: ReadAt>(input: R) -> Result<impl Container> {
    let mut list = ExtentList::new(input.len()?);
    let damage = index(&input, &mut list).err();
    if list.is_empty() {
        return Err(damage.unwrap_or_else(|| record::empty(Dialect::Avml)));
    }
    let extents = list.sorted().map_err(|e| e.within("AVML image"))?;
    Ok(Image::new(AVML_NAME, CompressedMemory { input, extents }, damage))
}

/// Appends all extents of the file; those before a failure stay there.
fn index(input: &dyn ReadAt, list: &mut ExtentList) -> Result<()> {
    let len = input.len()?;
    let mut at = 0;
    while at < len {
        at = index_range(input, at, list).map_err(|e| e.within(Dialect::Avml.at(at)))?;
    }
    Ok(())
}

/// Appends the extents of the range whose header stands at `at`; returns where the next one stands.
fn index_range(input: &dyn ReadAt, at: u64, list: &mut ExtentList) -> Result<u64> {
    let header = Header::read(input, at, Dialect::Avml)?;
    let stream = at + record::LEN as u64;
    if Chunk::read(input, stream)?.kind != Kind::Identifier {
        return Err(Error::corrupt(format!("no snappy stream at offset {stream:#x}")));
    }
    let mut walk = Walk { at: stream, memory: header.start, end: header.end };
    while walk.memory < header.end {
        let from = Walk { ..walk };
        let walked = walk.chunks(input);
        if walk.memory > from.memory {
            list.push(Extent { start: from.memory, end: walk.memory, offset: from.at })?;
        }
        walked?;
    }
    let mut trailer = [0; 8];
    input.read_exact_at(walk.at, &mut trailer)?;
    let (said, found) = (u64::from_le_bytes(trailer), walk.at - stream);
    if said != found {
        let what = format!("its compressed length, at offset {:#x}, is {said:#x}, expected {found:#x}", walk.at);
        return Err(Error::corrupt(what));
    }
    Ok(walk.at + trailer.len() as u64)
}

/// A walk over the chunks of a range.
struct Walk {
    /// Where in the file (bytes).
    at: u64,
    /// Where in memory (a physical address).
    memory: u64,
    /// Where the range ends in memory.
    end: u64,
}

impl Walk {
    /// Goes on by as many chunks as make an extent.
    fn chunks(&mut self, input: &dyn ReadAt) -> Result<()> {
        for _ in 0..CHUNKS_PER_EXTENT {
            if self.memory == self.end {
                break;
            }
            let chunk = Chunk::read(input, self.at)?;
            if chunk.memory > self.end - self.memory {
                let what = format!("the snappy chunk at offset {:#x} exceeds the range", self.at);
                return Err(Error::corrupt(what));
            }
            self.at += chunk.len;
            self.memory += chunk.memory;
        }
        Ok(())
    }
}

/// Memory that lies in the file compressed.
struct CompressedMemory<R> {
    input: R,
    extents: Extents,
}

impl<R: ReadAt> ExtentMemory for CompressedMemory<R> {
    fn extents(&self) -> &Extents {
        &self.extents
    }

    fn reader(&self) -> Box<dyn ExtentReader + '_> {
        Box::new(CompressedReader { input: &self.input, decompressor: Decompressor::new(), buffer: Buffer::default() })
    }
}

/// A worker's half of [`CompressedMemory`].
struct CompressedReader<'a, R> {
    input: &'a R,
    decompressor: Decompressor,
    buffer: Buffer,
}

impl<R: ReadAt> ExtentReader for CompressedReader<'_, R> {
    fn view(&mut self, extent: &Extent, addr: u64, len: usize) -> Result<&[u8]> {
        let out = self.buffer.take(len);
        if let Err(e) = self.decompressor.read(self.input, extent.offset, extent.start, addr, out) {
            self.decompressor = Decompressor::new(); // one that failed is of no further use
            return Err(e);
        }
        Ok(out)
    }
}
