//! LiME and AVML images: blocks of memory, each behind a header.
//!
//! LiME writes one block for each line of `/proc/iomem` that is RAM, pages it could not read as zeros. AVML writes
//! blocks of at most 16 MiB and leaves out those that are all zero; it converts block by block, so that its own reader
//! takes files with blocks of both kinds, and so does this.
//!
//! A file may end within a block: RAM is what the header says, and what is not there cannot be read. Behind the last
//! block there may be zeros, as on a block device. Blocks that claim the same memory are read in the order of the file:
//! the first counts, and where a later one has other bytes, that is damage.

use crate::avml;
use crate::image::image;
use crate::payload::{Payload, Pieces};
use crate::record::{self, Dialect, Header};
use dump_core::{
    Container, Error, ErrorKind, Extent, ExtentContainer, Extents, PlainMemory, ReadAt, Result, Stretch, is_zero,
};
use std::ops::Range;

/// Memory that the header of a block that is cut is believed in any case (bytes).
const BELIEVED: u64 = 1 << 30;

/// How much more memory than the file is long it is believed: a cut image is some part of a whole one, and what a
/// header claims is work for whoever reads it.
const BELIEVED_TIMES: u64 = 1 << 10;

/// Bytes looked at at a time, behind the last block and where two claim the same memory.
const BYTES_PER_LOOK: u64 = 64 << 10;

/// Zeros behind the last block that are looked at (bytes); whatever lies further on a device belongs to nobody.
const PADDING_LOOKED_AT: u64 = 1 << 30;

/// Opens a LiME image: reads the headers of all blocks.
///
/// Of a file that ends early, or that stops making sense after its first block, see [`damage`](Container::damage): what
/// the header of a cut block claims is RAM, of which the missing part cannot be read; what would have come after it is
/// as if it were not RAM.
///
/// # Errors
/// `BadMagic` if it is no LiME image, `Unsupported` if it is of another version, `Corrupt` or `Truncated`
/// if not even the first block makes sense.
pub fn open_lime<R: ReadAt>(input: R) -> Result<impl Container> {
    open(input, Dialect::Lime)
}

/// Opens an AVML image: walks over the chunks of all blocks.
///
/// As [`open_lime`]. Checksums are looked at when pages are read; where one is wrong, its pages are unreadable.
///
/// # Errors
/// As [`open_lime`].
pub fn open_avml<R: ReadAt>(input: R) -> Result<impl Container> {
    open(input, Dialect::Avml)
}

fn open<R: ReadAt>(input: R, first: Dialect) -> Result<ExtentContainer<PlainMemory<Payload<R>>>> {
    let mut found = Blocks { first, list: Vec::new(), pieces: Pieces::new(input.len()?) };
    let damage = index(&input, &mut found).err();
    let Blocks { list, pieces, .. } = found;
    if pieces.end() == 0 {
        return Err(damage.unwrap_or_else(|| record::empty(first)));
    }
    let payload = Payload::new(input, pieces);
    let extents = Extents::first_wins(list.iter().map(Block::extent));
    let conflict = conflict(&list, &extents, &payload)?.map(|e| e.within(format_args!("{} image", first.name())));
    let damage = match (damage, conflict) {
        (Some(damage), Some(conflict)) => Some(Error::new(damage.kind(), format!("{damage}; {conflict}"))),
        (damage, conflict) => damage.or(conflict),
    };
    Ok(image(first.format(), PlainMemory::new(payload, extents)?, damage))
}

/// The blocks of a file.
struct Blocks {
    /// What the file begins as, and is named after.
    first: Dialect,
    /// In the order of the file.
    list: Vec<Block>,
    pieces: Pieces,
}

/// A block: which memory it claims, and where that is among all that the file holds.
struct Block {
    /// Physical addresses.
    memory: Range<u64>,
    /// Where its first byte is in the [`Payload`].
    payload: u64,
    /// Where its header is in the file.
    at: u64,
}

impl Block {
    fn extent(&self) -> Extent {
        Extent { start: self.memory.start, end: self.memory.end, offset: self.payload }
    }
}

/// Collects the blocks in the order of the file; those before a failure stay there, the one that it lies in as well.
fn index(input: &dyn ReadAt, found: &mut Blocks) -> Result<()> {
    let len = input.len()?;
    let mut at = 0;
    while at < len {
        let first = found.first;
        let next = index_block(input, at, len, found).map_err(|e| e.within(first.at(at)))?;
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    Ok(())
}

/// Collects the block whose header stands at `at`, as far as the file has it; returns where the next one stands, `None`
/// where nothing but padding is left.
fn index_block(input: &dyn ReadAt, at: u64, len: u64, found: &mut Blocks) -> Result<Option<u64>> {
    if at != 0 && is_padding(input, at, len)? {
        return Ok(None);
    }
    let (dialect, header) = Header::read(input, at, (at == 0).then_some(found.first))?;
    let payload = found.pieces.end();
    let body = at + record::LEN as u64; // the header was read, so the file reaches so far
    let indexed = match dialect {
        Dialect::Lime => index_plain(body, len, &header, &mut found.pieces),
        Dialect::Avml => avml::index(input, body, &header, &mut found.pieces),
    };
    let there = found.pieces.end() - payload;
    let end = if indexed.is_ok() { header.end } else { believed(&header, there, len) };
    if header.start < end {
        found.list.push(Block { memory: header.start..end, payload, at });
    }
    indexed.map(Some)
}

/// Collects memory that lies at `at` as it is.
fn index_plain(at: u64, len: u64, header: &Header, pieces: &mut Pieces) -> Result<u64> {
    let there = header.len().min(len - at);
    pieces.push_plain(at, there)?;
    if there < header.len() {
        return Err(Error::truncated("its memory", at.saturating_add(header.len()), len));
    }
    Ok(at + there)
}

/// Where the memory of a block ends of which the file has `there` bytes: where its header says, as far as that can be
/// believed, for it may be what is wrong.
fn believed(header: &Header, there: u64, file_len: u64) -> u64 {
    let most = BELIEVED.max(file_len.saturating_mul(BELIEVED_TIMES));
    if header.len() <= most { header.end } else { header.start + there }
}

/// Whether there is nothing but zeros from `at` on, where a block's header would be.
fn is_padding(input: &dyn ReadAt, at: u64, len: u64) -> Result<bool> {
    let end = len.min(at.saturating_add(PADDING_LOOKED_AT));
    let mut bytes = Vec::new();
    let mut at = at;
    while at < end {
        if let Stretch::Hole(hole) = input.stretch_at(at) {
            at = at.saturating_add(hole);
            continue;
        }
        bytes.resize((end - at).min(if bytes.is_empty() { record::LEN as u64 } else { BYTES_PER_LOOK }) as usize, 0);
        input.read_exact_at(at, &mut bytes)?;
        if !is_zero(&bytes) {
            return Ok(false);
        }
        at += bytes.len() as u64;
    }
    Ok(true)
}

/// What two blocks say differently about the same memory, if any do.
fn conflict<R: ReadAt>(list: &[Block], extents: &Extents, payload: &Payload<R>) -> Result<Option<Error>> {
    let claimed: u64 = list.iter().map(|block| block.memory.end - block.memory.start).fold(0, u64::saturating_add);
    let covered: u64 = extents.iter().map(|extent| extent.end - extent.start).fold(0, u64::saturating_add);
    if claimed == covered {
        return Ok(None); // none overlap
    }
    let mut look = Look { payload, mine: Vec::new(), other: Vec::new() };
    for block in list {
        for extent in extents.overlapping(block.memory.clone()) {
            let (start, end) = (extent.start.max(block.memory.start), extent.end.min(block.memory.end));
            let mine = block.payload + (start - block.memory.start);
            let winner = extent.offset + (start - extent.start);
            if mine == winner {
                continue;
            }
            if let Some(at) = look.difference(mine, winner, end - start)? {
                let holder = list.iter().rev().find(|block| block.payload <= winner).map_or(0, |block| block.at);
                let what = format!(
                    "the ranges at offset {holder:#x} and offset {:#x} both claim memory at {:#x}, with different \
                     content; the first counts",
                    block.at,
                    start + at
                );
                return Ok(Some(Error::new(ErrorKind::Corrupt, what)));
            }
        }
    }
    Ok(None)
}

/// Two places in a payload, looked at at once.
struct Look<'a, R> {
    payload: &'a Payload<R>,
    mine: Vec<u8>,
    other: Vec<u8>,
}

impl<R: ReadAt> Look<'_, R> {
    /// How far from `mine` and `other` on the first piece begins in which they differ, within `len` bytes. What cannot
    /// be read does not differ.
    fn difference(&mut self, mine: u64, other: u64, len: u64) -> Result<Option<u64>> {
        let len = len.min(self.payload.len()?.saturating_sub(mine.max(other)));
        let mut done = 0;
        while done < len {
            let holes = (self.payload.stretch_at(mine + done), self.payload.stretch_at(other + done));
            if let (Stretch::Hole(a), Stretch::Hole(b)) = holes {
                done = done.saturating_add(a.min(b));
                continue;
            }
            let now = (len - done).min(BYTES_PER_LOOK) as usize;
            self.mine.resize(now, 0);
            self.other.resize(now, 0);
            let read = self.payload.read_exact_at(mine + done, &mut self.mine);
            let read = read.and_then(|()| self.payload.read_exact_at(other + done, &mut self.other));
            if read.is_ok() && self.mine != self.other {
                return Ok(Some(done));
            }
            done += now as u64;
        }
        Ok(None)
    }
}
