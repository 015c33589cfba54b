//! RAM blocks of mapped-ram files: a bitmap of the pages that were written, and a place for each page.
//!
//! ```text
//! header  u32 version 1 │ u64 page size │ u64 offset of the bitmap │ u64 offset of the pages     big endian
//! bitmap  unsigned longs of the host, directly behind the header
//! pages   from the next multiple of 1 MiB on; what has no bit is zeros, whatever was written there before
//! ```

use crate::cursor::Cursor;
use dump_core::{Buffer, ByteOrder, ByteReader, Error, PageSize, ReadAt, Result, Stretch};
use std::collections::BTreeMap;

const VERSION: u32 = 1;

/// Bytes of a bitmap that are held or left aside as one: those of 128 MiB of 4 KiB pages.
const CHUNK: u64 = 4096;

/// Where a file has a RAM block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    bitmap: u64,
    pages: u64,
    page: u64,
}

impl Place {
    /// The header at the cursor. Its offsets are the file's or those of the stream, as the writer opened it: the bitmap
    /// begins where the header ends. None of a block that was left out, whose offsets are 0.
    ///
    /// # Errors
    /// If it is not there, or of another version.
    pub fn read(cursor: &mut Cursor<'_>) -> Result<Option<Place>> {
        let version = cursor.u32()?;
        if version != VERSION {
            return Err(Error::unsupported(format!("mapped-ram of version {version}, only {VERSION} is known")));
        }
        let (page, bitmap, pages) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
        if bitmap == 0 && pages == 0 {
            return Ok(None);
        }
        let base = cursor.at().wrapping_sub(bitmap);
        let pages = pages.wrapping_add(base);
        if pages < cursor.at() {
            return Err(Error::corrupt(format!("pages of a RAM block at {pages:#x}, before their header")));
        }
        Ok(Some(Place { bitmap: cursor.at(), pages, page }))
    }

    /// Where what comes behind a block of `len` bytes begins.
    pub fn end(&self, len: u64) -> u64 {
        self.pages.saturating_add(len)
    }
}

/// A block in the payload.
struct Member {
    /// Where it begins there (bytes).
    start: u64,
    len: u64,
    pages: u64,
    /// Chunks of its bitmap that have a bit, by number: bit 0 of byte 0 is the first page.
    bits: BTreeMap<u64, Box<[u8]>>,
}

/// The blocks of a file, one behind the other.
pub(crate) struct MappedBlocks<R> {
    input: R,
    members: Vec<Member>,
    len: u64,
    page: PageSize,
}

impl<R: ReadAt> MappedBlocks<R> {
    /// None yet, of a file with pages of `page`.
    pub fn new(input: R, page: PageSize) -> MappedBlocks<R> {
        MappedBlocks { input, members: Vec::new(), len: 0, page }
    }

    /// Adds a block of `len` bytes at `place`, whose bitmap is of a host of `order`; where the payload has it, and how
    /// many pages have a bit and a place past the end of the file.
    ///
    /// # Errors
    /// If its bitmap cannot be read or is not there; `Corrupt` if the size of its pages is another.
    pub fn push(&mut self, place: Place, len: u64, order: ByteOrder) -> Result<(u64, u64)> {
        if place.page != self.page.bytes() as u64 {
            let what = format!("a RAM block with pages of {} bytes in a stream of {}", place.page, self.page.bytes());
            return Err(Error::corrupt(what));
        }
        let count = len >> self.page.shift();
        let (bytes, there) = (count.div_ceil(64) * 8, self.input.len()?);
        let end = place.bitmap.saturating_add(bytes);
        if end > there {
            return Err(Error::truncated("the bitmap of a RAM block", end, there));
        }
        let bits = self.bits(place.bitmap, bytes, order)?;
        let held = there.saturating_sub(place.pages) >> self.page.shift();
        let start = self.len;
        self.members.push(Member { start, len, pages: place.pages, bits });
        let too_much = || Error::corrupt("RAM blocks of more than 2^64 bytes");
        self.len = start.checked_add(len).ok_or_else(too_much)?;
        let missing = self.members.last().map_or(0, |member| member.set_from(held, count));
        Ok((start, missing))
    }

    /// The chunks of the bitmap of `bytes` at `at` that have a bit.
    fn bits(&self, at: u64, bytes: u64, order: ByteOrder) -> Result<BTreeMap<u64, Box<[u8]>>> {
        let mut bits = BTreeMap::new();
        let mut number = 0;
        while number * CHUNK < bytes {
            let from = number * CHUNK;
            if let Stretch::Hole(hole) = self.input.stretch_at(at + from) {
                if hole >= CHUNK {
                    number += hole / CHUNK;
                    continue;
                }
            }
            let mut chunk = vec![0; usize::try_from(CHUNK.min(bytes - from)).unwrap_or(0)];
            self.input.read_exact_at(at + from, &mut chunk)?;
            if order == ByteOrder::Big {
                chunk.chunks_exact_mut(8).for_each(<[u8]>::reverse);
            }
            if chunk.iter().any(|byte| *byte != 0) {
                bits.insert(number, chunk.into_boxed_slice());
            }
            number += 1;
        }
        Ok(bits)
    }

    fn member(&self, at: u64) -> Option<&Member> {
        let i = self.members.partition_point(|member| member.start <= at).checked_sub(1)?;
        self.members.get(i).filter(|member| at - member.start < member.len)
    }

    /// What the payload has at `offset`: where the file has it, if it has, and for how many bytes that is so.
    fn part(&self, offset: u64) -> Option<(Option<u64>, u64)> {
        let member = self.member(offset)?;
        let from = offset - member.start;
        let page = from >> self.page.shift();
        let (set, alike) = member.run(page);
        let end = self.page.bytes_of(page.saturating_add(alike)).min(member.len);
        let at = set.then(|| member.pages.saturating_add(from));
        Some((at, end - from))
    }

    fn copy(&self, input: &mut dyn ByteReader, offset: u64, mut out: &mut [u8]) -> Result<()> {
        let mut at = offset;
        while !out.is_empty() {
            let past = || Error::truncated("a read of RAM blocks", at.saturating_add(out.len() as u64), self.len);
            let (place, bytes) = self.part(at).ok_or_else(past)?;
            let now = usize::try_from(bytes).unwrap_or(usize::MAX).min(out.len());
            let (here, later) = out.split_at_mut(now);
            match place {
                Some(place) => here.copy_from_slice(input.view(place, now)?),
                None => here.fill(0),
            }
            (at, out) = (at + now as u64, later);
        }
        Ok(())
    }
}

impl Member {
    fn byte(&self, page: u64) -> u8 {
        let (chunk, at) = (page / 8 / CHUNK, (page / 8 % CHUNK) as usize);
        self.bits.get(&chunk).and_then(|bytes| bytes.get(at)).copied().unwrap_or(0)
    }

    /// Whether `page` has a bit, and how many pages from it on are alike in that, at least one.
    fn run(&self, page: u64) -> (bool, u64) {
        /// Pages that are looked at one by one.
        const MOST: u64 = 1 << 12;
        let chunk = page / 8 / CHUNK;
        if !self.bits.contains_key(&chunk) {
            let next = self.bits.range(chunk..).next().map_or(u64::MAX / CHUNK / 8, |(next, _)| *next);
            return (false, (next * CHUNK * 8).saturating_sub(page).max(1));
        }
        let is_set = |page: u64| self.byte(page) >> (page % 8) & 1 != 0;
        let set = is_set(page);
        (set, (1..MOST).find(|more| is_set(page + more) != set).unwrap_or(MOST))
    }

    /// Bits from page `from` to `end`.
    fn set_from(&self, from: u64, end: u64) -> u64 {
        let whole = from / 8 / CHUNK;
        let in_chunk = |number: u64, bytes: &[u8]| -> u64 {
            let first = number * CHUNK * 8;
            let ones = |(i, byte): (usize, &u8)| {
                let page = first + i as u64 * 8;
                (0..8).filter(|bit| byte >> bit & 1 != 0 && (from..end).contains(&(page + bit))).count() as u64
            };
            bytes.iter().enumerate().map(ones).sum()
        };
        self.bits.range(whole..).map(|(number, bytes)| in_chunk(*number, bytes)).sum()
    }
}

impl<R: ReadAt> ReadAt for MappedBlocks<R> {
    fn len(&self) -> Result<u64> {
        Ok(self.len)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.copy(self.input.reader().as_mut(), offset, buf)
    }

    fn stretch_at(&self, offset: u64) -> Stretch {
        match self.part(offset) {
            Some((Some(_), bytes)) => Stretch::Data(bytes),
            Some((None, bytes)) => Stretch::Hole(bytes),
            None => Stretch::Data(u64::MAX - offset), // whoever reads there learns that it ends
        }
    }

    fn reader(&self) -> Box<dyn ByteReader + '_> {
        Box::new(MappedReader { blocks: self, input: self.input.reader(), buffer: Buffer::default() })
    }
}

struct MappedReader<'a, R> {
    blocks: &'a MappedBlocks<R>,
    input: Box<dyn ByteReader + 'a>,
    buffer: Buffer,
}

impl<R: ReadAt> ByteReader for MappedReader<'_, R> {
    fn view(&mut self, offset: u64, len: usize) -> Result<&[u8]> {
        if let Some((Some(place), bytes)) = self.blocks.part(offset) {
            if bytes >= len as u64 {
                return self.input.view(place, len);
            }
        }
        if offset.saturating_add(len as u64) > self.blocks.len {
            return Err(Error::truncated("a read of RAM blocks", offset.saturating_add(len as u64), self.blocks.len));
        }
        let out = self.buffer.take(len);
        self.blocks.copy(self.input.as_mut(), offset, out)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_without_a_bit_are_zeros() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let mut file = vec![0xee; 4096 * 80];
            let bits = [(0..3), (5..6), (64..70)].into_iter().flatten().fold(0u128, |bits, page| bits | 1 << page);
            let longs = [bits as u64, (bits >> 64) as u64];
            let bytes = longs.map(|long| if order == ByteOrder::Big { long.to_be_bytes() } else { long.to_le_bytes() });
            file[..16].copy_from_slice(&bytes.concat());
            (8192..file.len()).for_each(|i| file[i] = (i >> 12) as u8);
            let mut blocks = MappedBlocks::new(file, PageSize::K4);
            let place = Place { bitmap: 0, pages: 8192, page: 4096 };
            // 78 pages lie in the file
            assert_eq!(blocks.push(place, 70 * 4096, order).unwrap(), (0, 0));
            assert_eq!(blocks.push(place, 70 * 4096, order).unwrap().0, 70 * 4096);
            let mut reader = blocks.reader();
            for page in 0..140u64 {
                let want = if bits >> (page % 70) & 1 != 0 { (page % 70 + 2) as u8 } else { 0 };
                assert_eq!(reader.view(page * 4096 + 4000, 96).unwrap(), [want; 96], "{page}");
            }
            assert!(reader.view(4096 * 139, 4097).is_err());
            drop(reader);
            assert_eq!(blocks.stretch_at(4096), Stretch::Data(2 * 4096));
            assert_eq!(blocks.stretch_at(4096 * 6 + 1), Stretch::Hole(58 * 4096 - 1));
            let far = Place { pages: 4096 * 76, ..place };
            assert_eq!(blocks.push(far, 70 * 4096, order).unwrap().1, 7, "page 3 is not set, 5 and 64 to 69 are");
        }
    }
}
