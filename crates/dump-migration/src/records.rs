//! Records of a section of RAM: an address in a block with flags, and a page, a byte that fills one, or the list of blocks.

use crate::blocks::{Block, Roles};
use crate::cursor::Cursor;
use crate::machine::{Layout, layout};
use crate::mapped::Place;
use crate::pages::Pieces;
use dump_core::{Error, Extent, MemoryMap, PageSize, Result};
use std::ops::Range;

/// Flags in the low bits of a record's address (migration/ram.c).
mod flag {
    pub const ZERO: u64 = 0x02;
    pub const MEM_SIZE: u64 = 0x04;
    pub const PAGE: u64 = 0x08;
    pub const EOS: u64 = 0x10;
    pub const CONTINUE: u64 = 0x20;
    pub const XBZRLE: u64 = 0x40;
    pub const HOOK: u64 = 0x80;
    pub const COMPRESS_PAGE: u64 = 0x100;
    pub const MULTIFD_FLUSH: u64 = 0x200;
}

/// Physical addresses have 52 bits at most.
const MOST_RAM: u64 = 1 << 52;

/// Names of blocks, of which a guest has a few dozen.
const MOST_BLOCKS: usize = 4096;

/// What the stream says before its RAM, and the user.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The machine type.
    pub machine: Option<String>,
    /// Bytes of a page of the stream.
    pub page: PageSize,
    /// Whether memory that is shared with others was left out, and each block has its address.
    pub ignore_shared: bool,
    /// Whether pages have places of their own.
    pub mapped: bool,
    /// Where the guest's RAM lies, if the user says so.
    pub map: Option<MemoryMap>,
}

/// A part of a block in the guest's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The number of the block.
    pub block: usize,
    /// Where in it the part begins (bytes).
    pub offset: u64,
    /// Guest physical addresses.
    pub guest: Range<u64>,
}

/// What was found of the guest's RAM.
pub(crate) struct Ram {
    setup: Setup,
    pub blocks: Vec<Block>,
    pub roles: Roles,
    /// By block and offset.
    pub segments: Vec<Segment>,
    /// In the order of the stream: where the guest has what the payload has at `offset`.
    pub extents: Vec<Extent>,
    pub pieces: Pieces,
    /// Page records, all that were sent.
    pub sent: u64,
    current: Option<usize>,
}

impl Ram {
    pub fn new(setup: Setup, file_len: u64) -> Ram {
        let pieces = Pieces::new(file_len, setup.page);
        let roles = Roles::of(&[]);
        Ram {
            setup,
            blocks: Vec::new(),
            roles,
            segments: Vec::new(),
            extents: Vec::new(),
            pieces,
            sent: 0,
            current: None,
        }
    }

    /// Reads the records of one section, up to its end. Of a mapped-ram file that is the list of blocks.
    ///
    /// # Errors
    /// If they end early or are none; `Unsupported` if pages are stored in a way that is not read, `MissingInfo` if it is
    /// not known where the guest has its RAM.
    pub fn read(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        let mask = self.setup.page.bytes() as u64 - 1;
        loop {
            let at = cursor.at();
            let word = cursor.u64()?;
            let (addr, flags) = (word & !mask, word & mask);
            let kind = flags & !flag::CONTINUE;
            let what = |text: &str| Error::unsupported(text.to_owned());
            match kind {
                flag::MEM_SIZE => self.read_blocks(cursor, addr)?,
                flag::EOS => return Ok(()),
                flag::ZERO | flag::PAGE => {
                    if flags & flag::CONTINUE == 0 {
                        let name = cursor.name()?;
                        self.current = self.blocks.iter().position(|block| block.name == name);
                        if self.current.is_none() {
                            return Err(Error::corrupt(format!("page at {at:#x}: no RAM block {name:?}")));
                        }
                    }
                    self.page(cursor, addr, kind).map_err(|e| e.within(format!("page at {at:#x}")))?;
                }
                flag::MULTIFD_FLUSH if self.setup.mapped => {}
                flag::MULTIFD_FLUSH => return Err(multifd()),
                flag::XBZRLE => {
                    return Err(what("pages stored as differences (XBZRLE), which are not read")
                        .hint("turn the capability xbzrle off to save a guest"));
                }
                flag::COMPRESS_PAGE => {
                    return Err(what("pages compressed by QEMU one by one, which are not read")
                        .hint("turn the capability compress off to save a guest"));
                }
                flag::HOOK => return Err(what("pages sent by RDMA, which are not in the stream")),
                _ => return Err(Error::corrupt(format!("record at {at:#x}: unknown flags {flags:#x}"))),
            }
        }
    }

    fn page(&mut self, cursor: &mut Cursor<'_>, addr: u64, kind: u64) -> Result<()> {
        let size = self.setup.page.bytes() as u64;
        let number = self.current.ok_or_else(|| Error::corrupt("in no RAM block"))?;
        let len = self.blocks.get(number).map_or(0, |block| block.len);
        if addr >= len {
            return Err(Error::corrupt(format!("offset {addr:#x} in a RAM block of {len:#x} bytes")));
        }
        self.sent += 1;
        let guest = self.guest(number, addr);
        if kind == flag::ZERO {
            let byte = cursor.u8()?;
            return guest.map_or(Ok(()), |guest| {
                let offset = self.pieces.push_fill(byte)?;
                self.push(guest, offset);
                Ok(())
            });
        }
        let at = cursor.at();
        if at.saturating_add(size) > cursor.len() {
            return Err(Error::truncated("it", at.saturating_add(size), cursor.len()));
        }
        cursor.skip(size);
        if let Some(guest) = guest {
            let offset = self.pieces.push_data(at)?;
            self.push(guest, offset);
        }
        Ok(())
    }

    fn push(&mut self, start: u64, offset: u64) {
        let end = start + self.setup.page.bytes() as u64;
        match self.extents.last_mut() {
            Some(last) if last.end == start && last.offset + (last.end - last.start) == offset => last.end = end,
            _ => self.extents.push(Extent { start, end, offset }),
        }
    }

    /// The guest physical address of a block's page.
    fn guest(&self, block: usize, offset: u64) -> Option<u64> {
        let has = |segment: &&Segment| {
            segment.block == block
                && offset >= segment.offset
                && offset - segment.offset < segment.guest.end - segment.guest.start
        };
        self.segments.iter().find(has).map(|segment| segment.guest.start + (offset - segment.offset))
    }

    /// The list of blocks, which ends where their lengths add up to `total`.
    fn read_blocks(&mut self, cursor: &mut Cursor<'_>, total: u64) -> Result<()> {
        let (mut sum, mut blocks) = (0u64, Vec::new());
        while sum < total {
            let at = cursor.at();
            let within = |e: Error| e.within(format!("RAM block at {at:#x}"));
            let (name, len) = (cursor.name().map_err(within)?, cursor.u64().map_err(within)?);
            if len == 0 || name.is_empty() || len > MOST_RAM || blocks.len() >= MOST_BLOCKS {
                return Err(Error::corrupt(format!("RAM block {name:?} at {at:#x} of {len:#x} bytes")));
            }
            if self.setup.ignore_shared {
                cursor.u64().map_err(within)?;
            }
            let mapped = if self.setup.mapped { Place::read(cursor).map_err(within)? } else { None };
            if let Some(place) = mapped {
                cursor.go(place.end(len));
            }
            sum = sum.saturating_add(len);
            blocks.push(Block { name, len, mapped });
        }
        if sum != total || !self.blocks.is_empty() {
            let what = format!("RAM blocks of {sum:#x} bytes where {total:#x} were announced");
            return Err(Error::corrupt(what));
        }
        self.roles = Roles::of(&blocks);
        self.blocks = blocks;
        self.lay_out()
    }

    /// Says where the guest has which part of which block.
    fn lay_out(&mut self) -> Result<()> {
        let len = |i: &usize| self.blocks.get(*i).map_or(0, |block| block.len);
        let main: u64 = self.roles.main.iter().map(len).sum();
        if main == 0 {
            let names: Vec<&str> = self.blocks.iter().map(|block| block.name.as_str()).collect();
            return Err(Error::missing(format!("no RAM block is the guest's memory: {}", names.join(", "))));
        }
        let (mut order, layout) = (
            self.roles.main.clone(),
            match &self.setup.map {
                Some(map) => {
                    let all = main.saturating_add(self.roles.plugged.iter().map(len).sum());
                    Layout { ranges: map.ranges(all), hidden: None }
                }
                None => layout(self.setup.machine.as_deref(), &self.blocks, main)?,
            },
        );
        if self.setup.map.is_some() {
            order.append(&mut self.roles.plugged);
        }
        let mut parts = order.into_iter().map(|i| (i, 0, len(&i)));
        let mut part = parts.next();
        for range in layout.ranges {
            let mut start = range.start;
            while let Some((block, offset, left)) = part.filter(|_| start < range.end) {
                let bytes = left.min(range.end - start);
                let segment = Segment { block, offset, guest: start..start + bytes };
                self.segments.extend(without(segment, layout.hidden.as_ref()));
                start += bytes;
                part = if bytes == left { parts.next() } else { Some((block, offset + bytes, left - bytes)) };
            }
        }
        Ok(())
    }
}

/// The error for pages that are somewhere else.
pub(crate) fn multifd() -> Error {
    Error::unsupported("its pages went through channels of their own (multifd), of which a file has nothing")
        .hint("save a guest without the capability multifd, or with mapped-ram")
}

/// What is left of a part without what is no RAM.
fn without(segment: Segment, hidden: Option<&Range<u64>>) -> Vec<Segment> {
    let Segment { block, offset, guest } = segment;
    let Some(hidden) = hidden.filter(|hidden| hidden.start < guest.end && guest.start < hidden.end) else {
        return vec![Segment { block, offset, guest }];
    };
    let parts = [guest.start..hidden.start, hidden.end..guest.end];
    let there = parts.into_iter().filter(|part| part.start < part.end);
    there.map(|part| Segment { block, offset: offset + (part.start - guest.start), guest: part }).collect()
}
