//! An AVML image: ranges of memory packed with snappy.
//!
//! ```text
//! 32-byte header │ snappy stream, framed: all bytes of the range │ u64: length of the stream │ next header ...
//!                 └ identifier, chunk, chunk ...  each holds up to 64 KiB of memory
//! ```
//!
//! The length stands behind the stream, so where a range ends is found by walking its chunks, once, when the image is
//! opened. The walk leaves an extent for each 16 chunks: 24 bytes for a MiB of memory, or 24 MiB for a TiB. A read
//! walks at most 16 chunk headers from there and unpacks what it needs, however long the range is (AVML writes 16 MiB
//! at most today, earlier versions wrote all of a range at once).
//!
//! Source: microsoft/avml, src/image.rs and src/io/snappy.rs.

use crate::extents::{Extent, Extents, Found};
use crate::meta;
use crate::pages::{Memory, Pages, Push};
use crate::record::{self, Format, Header};
use crate::snappy::{Chunk, Kind, Unpacker};
use dump_core::{CodecSet, DumpMeta, Error, PageBitmap, PageSize, PageSource, PfnRange, ReadAt, Result, Scratch};
use std::sync::Mutex;

/// Chunks in an extent. Fewer make reads start nearer to what they want, more make the index smaller.
const CHUNKS: usize = 16;

/// The pages of an AVML image.
pub struct AvmlSource<R> {
    memory: Packed<R>,
    meta: DumpMeta,
    damage: Option<Error>,
}

impl<R: ReadAt> AvmlSource<R> {
    /// Walks over the chunks of all ranges.
    ///
    /// A file that ends early, or that stops making sense after its first chunks, can be read up to there: see
    /// [`damage`](AvmlSource::damage). Checksums are looked at when pages are read; where one is wrong, its pages are
    /// unreadable.
    ///
    /// # Errors
    /// `BadMagic` where it is no AVML image, `Unsupported` where it is of another version, `Corrupt` or `Truncated`
    /// where not even the start of the first range makes sense, `Corrupt` where ranges overlap.
    pub fn open(input: R, page_size: PageSize) -> Result<AvmlSource<R>> {
        let mut found = Found::new(input.len()?);
        let damage = index(&input, &mut found).err();
        if found.is_empty() {
            return Err(damage.unwrap_or_else(|| record::empty(Format::Avml)));
        }
        let extents = found.sorted().map_err(|e| e.within("AVML image"))?;
        let meta = meta::unknown(page_size, extents.end());
        Ok(AvmlSource { memory: Packed { input, extents, unpackers: Mutex::default() }, meta, damage })
    }

    /// What is wrong with the file and where, if anything is. What comes before that can be read; the rest is as if it
    /// were not RAM.
    pub fn damage(&self) -> Option<&Error> {
        self.damage.as_ref()
    }

    /// What the container knows, to be completed by who knows the kernel.
    pub fn meta_mut(&mut self) -> &mut DumpMeta {
        &mut self.meta
    }

    fn pages(&self) -> Pages<'_> {
        Pages { memory: &self.memory, size: self.meta.page_size }
    }
}

/// Appends all extents of the file; those before a failure stay there.
fn index(input: &dyn ReadAt, found: &mut Found) -> Result<()> {
    let len = input.len()?;
    let mut at = 0;
    while at < len {
        at = index_range(input, at, found).map_err(|e| e.within(Format::Avml.at(at)))?;
    }
    Ok(())
}

/// Appends the extents of the range whose header stands at `at`; returns where the next one stands.
fn index_range(input: &dyn ReadAt, at: u64, found: &mut Found) -> Result<u64> {
    let header = Header::read(input, at, Format::Avml)?;
    let stream = at + record::LEN as u64;
    if Chunk::read(input, stream)?.kind != Kind::Identifier {
        return Err(Error::corrupt(format!("no snappy stream at offset {stream:#x}")));
    }
    let mut walk = Walk { at: stream, memory: header.start, end: header.end };
    while walk.memory < header.end {
        let from = Walk { ..walk };
        let walked = walk.chunks(input);
        if walk.memory > from.memory {
            found.push(Extent { start: from.memory, end: walk.memory, offset: from.at })?;
        }
        walked?;
    }
    let mut trailer = [0; 8];
    input.read_exact_at(walk.at, &mut trailer)?;
    let (said, found) = (u64::from_le_bytes(trailer), walk.at - stream);
    if said != found {
        let what = format!("offset {:#x} gives its packed length as {said:#x}, not {found:#x}", walk.at);
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
        for _ in 0..CHUNKS {
            if self.memory == self.end {
                break;
            }
            let chunk = Chunk::read(input, self.at)?;
            if chunk.memory > self.end - self.memory {
                let what = format!("the snappy chunk at offset {:#x} passes the end of the range", self.at);
                return Err(Error::corrupt(what));
            }
            self.at += chunk.len;
            self.memory += chunk.memory;
        }
        Ok(())
    }
}

/// Memory that lies in the file packed.
struct Packed<R> {
    input: R,
    extents: Extents,
    /// Unpackers that no worker uses at the moment; as many as there ever were workers at once.
    unpackers: Mutex<Vec<Unpacker>>,
}

impl<R> Packed<R> {
    /// An unpacker, best one that holds `addr`.
    fn take(&self, addr: u64) -> Unpacker {
        let Ok(mut pool) = self.unpackers.lock() else { return Unpacker::new() };
        let holds = pool.iter().position(|unpacker| unpacker.holds(addr));
        holds.map(|i| pool.swap_remove(i)).or_else(|| pool.pop()).unwrap_or_else(Unpacker::new)
    }
}

impl<R: ReadAt> Memory for Packed<R> {
    fn extents(&self) -> &Extents {
        &self.extents
    }

    fn read(&self, extent: &Extent, addr: u64, out: &mut [u8]) -> Result<()> {
        let mut unpacker = self.take(addr);
        unpacker.read(&self.input, extent.offset, extent.start, addr, out)?; // one that failed is not given back
        if let Ok(mut pool) = self.unpackers.lock() {
            pool.push(unpacker);
        }
        Ok(())
    }
}

impl<R: ReadAt> PageSource for AvmlSource<R> {
    fn meta(&self) -> &DumpMeta {
        &self.meta
    }

    fn mark_ram(&self, ram: &mut PageBitmap) -> Result<()> {
        self.pages().mark(ram);
        Ok(())
    }

    fn mark_held(&self, held: &mut PageBitmap) -> Result<()> {
        self.mark_ram(held)
    }

    fn visit(&self, run: PfnRange, _: CodecSet, scratch: &mut Scratch, push: Push<'_>) -> Result<()> {
        self.pages().visit(run, scratch, push)
    }
}
