//! A guest's memory as pages, a container like any other.

use crate::process::{Place, Process};
use crate::ram_map::RamMap;
use dump_core::{
    Container, Description, DumpMeta, Error, Extent, ExtentPages, Extents, InputFile, PageBitmap, PageReader, PageSize,
    PageSource, PlainMemory, ReadAt, Result, Stretch,
};
use std::ops::Range;

/// What containers of a guest's memory are called.
const NAME: &str = "guest";

/// The pages of a guest, read where they lie.
pub struct GuestMemory {
    pages: ExtentPages<PlainMemory<Ram>>,
}

impl GuestMemory {
    /// What `process` has of `map`, every range of which has been located; `meta` is what is known of the machine.
    ///
    /// # Errors
    /// `Corrupt` if the process does not have all of it, or ranges overlap.
    pub fn of_process(process: &Process, map: &RamMap, meta: DumpMeta) -> Result<GuestMemory> {
        let mut pieces = Vec::new();
        for range in &map.ranges {
            let host = range.host.ok_or_else(|| Error::bug("memory that nobody located"))?;
            let end = host.checked_add(range.guest.end - range.guest.start);
            let end = end.ok_or_else(|| Error::corrupt(format!("memory of the guest at {host:#x} passes 2^64")))?;
            for (at, place) in process.places(host..end)? {
                let start = range.guest.start + (at.start - host);
                pieces.push(Piece::new(start..start + (at.end - at.start), place)?);
            }
        }
        GuestMemory::of_pieces(pieces, meta)
    }

    /// Memory of which each piece is read at its own place.
    pub(crate) fn of_pieces(mut pieces: Vec<Piece>, meta: DumpMeta) -> Result<GuestMemory> {
        pieces.sort_by_key(|piece| piece.guest.start);
        // an offset is the guest's own address
        let extent =
            |piece: &Piece| Extent { start: piece.guest.start, end: piece.guest.end, offset: piece.guest.start };
        let extents = Extents::disjoint(pieces.iter().map(extent).collect())?;
        Ok(GuestMemory { pages: ExtentPages::new(PlainMemory::new(Ram { pieces }, extents)?, meta) })
    }
}

/// A stretch of a guest's memory and where it is read.
pub(crate) struct Piece {
    /// Guest physical addresses.
    guest: Range<u64>,
    place: Place,
    /// The file, where holes of it are known.
    file: Option<InputFile>,
}

impl Piece {
    pub fn new(guest: Range<u64>, place: Place) -> Result<Piece> {
        let file = match &place {
            Place::Process(..) | Place::Copied(_) => None,
            Place::File(file, _) => {
                let len = file.metadata()?.len();
                Some(InputFile::unmapped(file.try_clone()?, len))
            }
        };
        Ok(Piece { guest, place, file })
    }
}

/// All of it, by guest physical address.
struct Ram {
    /// Ascending, and disjoint.
    pieces: Vec<Piece>,
}

impl Ram {
    fn piece(&self, addr: u64) -> Option<&Piece> {
        let at = self.pieces.partition_point(|piece| piece.guest.end <= addr);
        self.pieces.get(at).filter(|piece| piece.guest.start <= addr)
    }
}

impl ReadAt for Ram {
    fn len(&self) -> Result<u64> {
        Ok(self.pieces.last().map_or(0, |piece| piece.guest.end))
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let mut done = 0;
        while done < buf.len() {
            let addr = offset + done as u64;
            let piece = self.piece(addr).ok_or_else(|| Error::truncated("a read", addr, addr))?;
            let left = usize::try_from(piece.guest.end - addr).unwrap_or(usize::MAX);
            let end = done + left.min(buf.len() - done);
            piece.place.read(addr - piece.guest.start, &mut buf[done..end])?;
            done = end;
        }
        Ok(())
    }

    fn stretch_at(&self, offset: u64) -> Stretch {
        let Some(piece) = self.piece(offset) else { return Stretch::Data(u64::MAX - offset) };
        let left = piece.guest.end - offset;
        match (&piece.file, &piece.place) {
            (Some(file), Place::File(_, start)) => {
                match file.stretch_at(start.saturating_add(offset - piece.guest.start)) {
                    Stretch::Data(len) => Stretch::Data(len.min(left)),
                    Stretch::Hole(len) => Stretch::Hole(len.min(left)),
                }
            }
            _ => Stretch::Data(left),
        }
    }
}

impl PageSource for GuestMemory {
    fn meta(&self) -> &DumpMeta {
        self.pages.meta()
    }

    fn mark_ram(&self, ram: &mut PageBitmap) -> Result<()> {
        self.pages.mark_ram(ram)
    }

    fn mark_held(&self, held: &mut PageBitmap) -> Result<()> {
        self.pages.mark_held(held)
    }

    fn reader(&self) -> Box<dyn PageReader + '_> {
        self.pages.reader()
    }
}

impl Container for GuestMemory {
    fn describe(&self) -> Description {
        Description::of(NAME)
    }

    fn states_page_size(&self) -> bool {
        false
    }

    fn set_page_size(&mut self, size: PageSize) {
        self.pages.set_page_size(size);
    }
}
