//! What a new dump has before its pages: headers, notes and bitmaps, in each of its files.
//!
//! The text that names erased data stands behind the notes rather than at the end of the file, where makedumpfile puts
//! it. Readers go by its offset; and a dump that runs out of space still says what was erased from it.

use dump_core::{DumpMeta, Ending, Error, PageSet, PageSize, Pfn, PfnRange, Placer, Result, is_zero};

use crate::codec::Codec;
use crate::frames;
use crate::header::{Header, SubHeader};
use crate::layout::Layout;

/// Bytes of a bitmap that are written at once, 2 GiB of 4 KiB pages; where no bit is set, nothing is written.
const BITMAP_BYTES_PER_WRITE: usize = 64 << 10;

/// Headers and layout, and how the pages are shared out.
pub(crate) struct Preamble {
    header: Header,
    layout: Layout,
    /// The page frames of each file.
    parts: Vec<PfnRange>,
    split: bool,
    /// Whether the source is incomplete, and with it what comes of it.
    incomplete: bool,
    /// The page frame after the last.
    end: Pfn,
    /// The page frame that the file calls 0: see `frames`.
    first: Pfn,
}

impl Preamble {
    /// Of a dump with pages compressed with `codec`, split into `parts` unless there are none.
    ///
    /// # Errors
    /// `Unsupported` if the headers cannot hold what `meta` says; a failure to compute `ram`.
    pub(crate) fn new(
        codec: Option<&Codec>,
        parts: &[PfnRange],
        meta: &DumpMeta,
        ram: &dyn PageSet,
    ) -> Result<Preamble> {
        let (phys_base, first) = match frames::base_of_new(meta, ram)? {
            Some((base, first)) => (Some(base), Pfn(first)),
            None => (meta.phys_base, Pfn(0)),
        };
        let end = meta.end_pfn;
        let all = PfnRange::new(first, end);
        let (header, layout) = Header::for_new(codec, meta, phys_base, Pfn(end - first))?;
        let split = !parts.is_empty();
        let parts = match split {
            true => parts.iter().map(|part| part.intersect(all)).collect(),
            false => vec![all],
        };
        Ok(Preamble { header, layout, parts, split, incomplete: meta.incomplete, end, first })
    }

    /// Headers of the dump, but for the range of a part.
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// Where the files' areas are.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The page frames of each file.
    pub(crate) fn parts(&self) -> &[PfnRange] {
        &self.parts
    }

    /// Size of the pages, and of the blocks.
    pub(crate) fn page_size(&self) -> PageSize {
        self.header.page_size
    }

    /// Places headers, notes and erase text.
    pub(crate) fn place_heads(&mut self, meta: &DumpMeta, out: &mut dyn Placer) -> Result<()> {
        self.header.main.flag_incomplete(self.incomplete || out.can_rewrite());
        for part in 0..self.parts.len() {
            out.zeros(part, 0, self.layout.descriptors())?; // bitmaps have holes
            self.place_main(part, out)?;
            let (mut head, mut at) = (self.sub_of(part).encode(self.header.abi), self.layout.sub_header());
            let large = meta.notes.large();
            if !large.is_empty() {
                out.index(part, at, &head)?;
                at += head.len() as u64;
                large.copy(&mut |offset, bytes| out.index(part, at + offset, bytes))?;
                at += large.stream_len();
                head.clear();
            }
            head.extend_from_slice(meta.notes.as_bytes());
            head.extend_from_slice(&meta.erase_info);
            out.index(part, at, &head)?;
        }
        Ok(())
    }

    fn place_main(&self, part: usize, out: &mut dyn Placer) -> Result<()> {
        // Only the structure: the rest of its block was promised to be zeros, and hotkdump expects a record of this
        // length at the start of a stream.
        out.index(part, 0, &self.header.main.encode(self.header.abi))
    }

    /// The sub header of one part, which differs from the others' by its range alone.
    fn sub_of(&self, part: usize) -> SubHeader {
        let pages = match self.parts.get(part) {
            Some(pages) if self.split => pages,
            _ => return self.header.sub,
        };
        let [start_pfn, end_pfn] = [pages.start, pages.end].map(|pfn| pfn.0.saturating_sub(self.first.0));
        SubHeader { split: true, old_pfns: [start_pfn, end_pfn], start_pfn, end_pfn, ..self.header.sub }
    }

    /// Places both bitmaps.
    pub(crate) fn place_bitmaps(&self, ram: &dyn PageSet, dumpable: &dyn PageSet, out: &mut dyn Placer) -> Result<()> {
        self.place_bitmap(self.layout.bitmap1(), ram, out)?;
        self.place_bitmap(self.layout.bitmap2(), dumpable, out)
    }

    /// A bitmap, the same in all parts.
    fn place_bitmap(&self, at: u64, pages: &dyn PageSet, out: &mut dyn Placer) -> Result<()> {
        let (start, end) = (self.first, self.end);
        let mut bits = vec![0; BITMAP_BYTES_PER_WRITE];
        for first in (start.0..end.0).step_by(8 * BITMAP_BYTES_PER_WRITE) {
            let run = PfnRange::new(Pfn(first), end.min(Pfn(first) + 8 * BITMAP_BYTES_PER_WRITE as u64));
            let bytes = &mut bits[..run.len().div_ceil(8) as usize];
            pages.write_bytes(run, bytes)?;
            if !is_zero(bytes) {
                (0..self.parts.len()).try_for_each(|part| out.index(part, at + (first - start.0) / 8, bytes))?;
            }
        }
        Ok(())
    }

    /// Where data begins, in each part, with the page of zeros: behind a table for all dumped pages.
    pub(crate) fn data_at(&self, dumpable: &dyn PageSet) -> Result<u64> {
        let end = self.end;
        let total = dumpable.count(PfnRange::new(self.first, end))?;
        if total != dumpable.count(dumpable.span())? {
            return Err(Error::bug(format!("pages to dump lie outside of {}", PfnRange::new(self.first, end))));
        }
        let too_large = || Error::unsupported(format!("{total} pages below pfn {end}, too many for a kdump file"));
        self.layout.descriptor(total).ok_or_else(too_large)
    }

    /// Places tables whose descriptors all say that their page is lost, and behind each the page of zeros.
    pub(crate) fn place_tables(&self, data_at: u64, out: &mut dyn Placer) -> Result<()> {
        let descriptors = self.layout.descriptors();
        for part in 0..self.parts.len() {
            out.zeros(part, descriptors, data_at - descriptors)?;
            out.index(part, data_at, &vec![0; self.page_size().bytes()])?;
        }
        Ok(())
    }

    /// Says whether the dump is complete, in all parts: makedumpfile puts together only parts whose main headers are
    /// equal.
    pub(crate) fn place_ending(&mut self, ending: Ending, out: &mut dyn Placer) -> Result<()> {
        let before = self.header.main.status;
        self.header.main.flag_incomplete(self.incomplete || ending == Ending::Incomplete);
        match self.header.main.status == before {
            true => Ok(()),
            false => (0..self.parts.len()).try_for_each(|part| self.place_main(part, out)),
        }
    }
}
