//! Writing kdump files: one, or the parts of a split dump.
//!
//! ```text
//! prepare  both headers, notes, bitmaps, then a page of zeros that all zero pages share; offsets of everything else follow
//!          from the number of dumped pages
//! place    a block's data behind the data before it, then its descriptors at the rank reached
//! finish   the flag, where pages are missing
//! ```
//!
//! Data is placed before the descriptors that name it, and a descriptor never written reads as zeros, which means
//! "lost": cut off anywhere, the file stays readable up to there.
//!
//! Zero pages share one at every dump level, also where they are not left out: makedumpfile writes 4 KiB for each then, or as
//! many bytes as that packs to. Half of an idle machine's memory is zeros, and no reader minds descriptors that share an
//! offset, which they know from dumps of level 1.
//!
//! A split dump is several such files: each has the headers and both bitmaps in full and holds the pages of one range,
//! its descriptors counted from the range's first page. Data begins where it would in a single file, in all of them
//! (the rest of each table is a hole), and each has a zero page of its own there. Readers count on both.
//!
//! The text that names erased data stands behind the notes rather than at the end of the file, where makedumpfile puts
//! it. Readers go by its offset; and a dump that runs out of space still says what was erased from it.

use std::ops::Range;

use dump_core::{
    BlockEncoder, ByteOrder, CodecId, CodecSet, DumpMeta, DumpWriter, EncodedBlock, EncodedSpan, Ending, Error,
    FieldsMut, PageSet, PageSize, Pfn, PfnRange, Placer, Result, SpanData, is_zero,
};

use crate::codec;
use crate::desc::{PageDesc, flags_of};
use crate::encoder::Encoder;
use crate::header::{Abi, MainHeader, STATUS_EXCLUDED_VMEMMAP, STATUS_INCOMPLETE, Stretch, SubHeader, VERSION};
use crate::layout::Layout;
use crate::parts::Part;
use crate::{machine, utsname};

/// Bitmaps are written in pieces of this many bytes, each 2 GiB of 4 KiB pages; a piece without pages is left a hole.
const BITMAP_PIECE: usize = 64 << 10;

/// What a new file is to be.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How pages are packed; `None` stores them as they are.
    pub codec: Option<CodecId>,
    /// Page classes left out (1 zero, 2 cache, 4 private cache, 8 user, 16 free); the source's own are added.
    pub dump_level: u32,
    /// The files of a split dump: the page frames that each holds, starts a multiple of 64 (see [`split_evenly`]). Empty for
    /// one file that is not split. It need not be all parts: whoever writes the others must leave out the same pages.
    ///
    /// [`split_evenly`]: crate::split_evenly
    pub parts: Vec<PfnRange>,
}

/// Writes a kdump file of version 6, in the byte order and word size of the dumped machine.
pub struct KdumpWriter {
    options: Options,
    plan: Option<Plan>,
}

impl KdumpWriter {
    /// A writer for one dump.
    ///
    /// # Errors
    /// `Unsupported` where this build leaves the codec out.
    pub fn new(options: Options) -> Result<KdumpWriter> {
        match options.codec {
            Some(codec) if !codec::supported().contains(codec) => Err(codec::left_out(codec)),
            _ => Ok(KdumpWriter { options, plan: None }),
        }
    }

    /// Bytes of output `part` as far as placed; once it is finished and complete, how long the file is. 0 before it is
    /// prepared.
    pub fn written_len(&self, part: usize) -> u64 {
        self.plan.as_ref().and_then(|plan| plan.parts.get(part)).map_or(0, |part| part.data_end)
    }

    /// Pages whose content never came: lost or unreadable in the source. They make the dump incomplete.
    pub fn lost_pages(&self) -> u64 {
        self.plan.as_ref().map_or(0, |plan| plan.lost)
    }

    /// Which pages each output holds; one range for a dump that is not split, none before it is prepared.
    pub fn part_ranges(&self) -> Vec<PfnRange> {
        self.plan.iter().flat_map(|plan| plan.parts.iter().map(|part| part.pages)).collect()
    }
}

impl DumpWriter for KdumpWriter {
    fn prepare(
        &mut self,
        meta: &DumpMeta,
        ram: &dyn PageSet,
        dumpable: &dyn PageSet,
        out: &mut dyn Placer,
    ) -> Result<()> {
        let mut plan = Plan::new(&self.options, meta).map_err(|e| e.within("kdump output"))?;
        let (bitmap1, descriptors) = (plan.layout.bitmap1(), plan.layout.descriptors());
        for part in 0..plan.parts.len() {
            out.zeros(part, 0, descriptors)?; // bitmaps have holes
            plan.place_head(part, meta, out)?;
        }
        plan.place_bitmap(bitmap1, ram, out)?;
        plan.place_bitmap(plan.layout.bitmap2(), dumpable, out)?;
        // counted now, for a set that is found out window by window has counted itself by then
        plan.count(dumpable).map_err(|e| e.within("kdump output"))?;
        for part in 0..plan.parts.len() {
            // a descriptor that is never written says that its page is lost
            out.zeros(part, descriptors, plan.data_at - descriptors)?;
            out.index(part, plan.data_at, &vec![0; plan.page_size.bytes()])?;
        }
        self.plan = Some(plan);
        Ok(())
    }

    /// To be called once the dump is [prepared](DumpWriter::prepare), which tells the page size.
    fn encoder(&self) -> Box<dyn BlockEncoder> {
        let page_size = self.plan.as_ref().map_or(PageSize::K4, |plan| plan.page_size);
        Box::new(Encoder::new(page_size, self.options.codec))
    }

    fn accepts(&self) -> CodecSet {
        self.options.codec.map_or(CodecSet::NONE, CodecSet::from)
    }

    fn place(&mut self, block: &EncodedBlock, out: &mut dyn Placer) -> Result<()> {
        self.plan.as_mut().ok_or_else(not_prepared)?.place(block, out)
    }

    fn finish(&mut self, ending: Ending, out: &mut dyn Placer) -> Result<()> {
        self.plan.as_mut().ok_or_else(not_prepared)?.finish(ending, out)
    }
}

fn not_prepared() -> Error {
    Error::corrupt("kdump output: used before it was prepared")
}

/// A file's layout and how far it has got.
struct Plan {
    abi: Abi,
    page_size: PageSize,
    main: MainHeader,
    sub: SubHeader,
    layout: Layout,
    /// Where data begins, in each part, with the page of zeros: behind a table for all dumped pages.
    data_at: u64,
    split: bool,
    parts: Vec<Part>,
    /// The page frame after the last one placed.
    next: Pfn,
    /// Pages that got a descriptor without data.
    lost: u64,
}

impl Plan {
    /// The plan of all that comes before the pages; those are yet to be counted.
    fn new(options: &Options, meta: &DumpMeta) -> Result<Plan> {
        let (word, order) = (meta.machine.word, meta.machine.order);
        let abi = Abi { order, word, padded: machine::aligns_to_8(meta.machine) };
        let head = (abi.sub_len() + meta.notes.len() + meta.erase_info.len()) as u64;
        let layout = Layout::for_new(meta.page_size, head, meta.end_pfn);
        let part = |pages: &PfnRange| Part::new(meta.end_pfn, *pages);
        Ok(Plan {
            abi,
            page_size: meta.page_size,
            main: main_header(options, meta, &layout)?,
            sub: sub_header(meta, abi, options.dump_level | meta.dump_level),
            layout,
            data_at: 0,
            split: !options.parts.is_empty(),
            parts: match options.parts.as_slice() {
                [] => vec![part(&PfnRange::new(Pfn(0), meta.end_pfn))],
                parts => parts.iter().map(part).collect(),
            },
            next: Pfn(0),
            lost: 0,
        })
    }

    /// Counts the pages to come, which tells where data begins.
    fn count(&mut self, dumpable: &dyn PageSet) -> Result<()> {
        let end = Pfn(self.sub.max_mapnr);
        let total = dumpable.count(PfnRange::new(Pfn(0), end))?;
        if total != dumpable.count(dumpable.span())? {
            return Err(Error::corrupt(format!("pages to dump lie at or past the end, pfn {end}")));
        }
        let too_large = || Error::unsupported(format!("{total} pages below pfn {end} are too many"));
        self.data_at = self.layout.descriptor(total).ok_or_else(too_large)?;
        let first_data = self.data_at.checked_add(self.page_size.bytes() as u64).ok_or_else(too_large)?;
        for part in &mut self.parts {
            (part.dumpable, part.data_end) = (dumpable.count(part.pages)?, first_data);
        }
        Ok(())
    }

    /// The main header padded to its block, the sub header, notes and erase text.
    fn place_head(&self, part: usize, meta: &DumpMeta, out: &mut dyn Placer) -> Result<()> {
        self.place_main(part, out)?;
        let mut head = self.sub_of(part).encode(self.abi);
        head.extend_from_slice(&meta.notes);
        head.extend_from_slice(&meta.erase_info);
        out.index(part, self.layout.sub_header(), &head)
    }

    fn place_main(&self, part: usize, out: &mut dyn Placer) -> Result<()> {
        // Only the structure: the rest of its block was promised to be zeros, and hotkdump expects a record of this length
        // at the start of a stream.
        out.index(part, 0, &self.main.encode(self.abi))
    }

    /// The sub header of one part, which differs from the others' by its range alone.
    fn sub_of(&self, part: usize) -> SubHeader {
        let pages = match self.parts.get(part) {
            Some(part) if self.split => part.pages,
            _ => return self.sub,
        };
        let (start_pfn, end_pfn) = (pages.start.0, pages.end.0);
        SubHeader { split: true, old_pfns: [start_pfn, end_pfn], start_pfn, end_pfn, ..self.sub }
    }

    /// A bitmap, the same in all parts.
    fn place_bitmap(&self, at: u64, pages: &dyn PageSet, out: &mut dyn Placer) -> Result<()> {
        let end = Pfn(self.sub.max_mapnr);
        let mut piece = vec![0; BITMAP_PIECE];
        for first in (0..end.0).step_by(8 * BITMAP_PIECE) {
            let run = PfnRange::new(Pfn(first), end.min(Pfn(first) + 8 * BITMAP_PIECE as u64));
            let bytes = &mut piece[..run.len().div_ceil(8) as usize];
            pages.write_bytes(run, bytes)?;
            if !is_zero(bytes) {
                (0..self.parts.len()).try_for_each(|part| out.index(part, at + first / 8, bytes))?;
            }
        }
        Ok(())
    }

    /// Places a block in the part that holds its pages; in two where it straddles a boundary.
    fn place(&mut self, block: &EncodedBlock, out: &mut dyn Placer) -> Result<()> {
        let before = self.next;
        for span in &block.spans {
            self.check(span, block).map_err(|e| e.within(format_args!("kdump output: pages {}", span.pages)))?;
            self.next = span.pages.end;
        }
        let Some(first) = block.spans.first() else { return Ok(()) };
        let run = PfnRange::new(first.pages.start.max(before), self.next);
        for at in 0..self.parts.len() {
            match self.parts.get(at).copied() {
                Some(part) if !part.pages.intersect(run).is_empty() => self.place_in(at, part, block, out)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Checks that a span follows the one before and holds what it should. Ranks count on it: a descriptor's place is
    /// the number of pages placed before, so one page twice or out of turn would give all later ones another's content.
    fn check(&self, span: &EncodedSpan, block: &EncodedBlock) -> Result<()> {
        if span.pages.start < self.next || span.pages.end.0 > self.sub.max_mapnr {
            return Err(Error::corrupt(format!("not from {} to {:#x}", self.next, self.sub.max_mapnr)));
        }
        let page = self.page_size.bytes() as u64;
        match &span.data {
            SpanData::Stored { data, .. } if data.end > block.data.len() => {
                Err(Error::corrupt(format!("bytes {data:?} of a block of {}", block.data.len())))
            }
            SpanData::Stored { codec: Some(_), data } if span.pages.len() != 1 || data.len() as u64 >= page => {
                Err(Error::corrupt(format!("packed to {} bytes", data.len())))
            }
            SpanData::Stored { codec: None, data } if span.pages.len().checked_mul(page) != Some(data.len() as u64) => {
                Err(Error::corrupt(format!("{} bytes", data.len())))
            }
            _ => Ok(()),
        }
    }

    /// Places what `part` holds of a block: its data in one go, then its descriptors in another.
    fn place_in(&mut self, at: usize, part: Part, block: &EncodedBlock, out: &mut dyn Placer) -> Result<()> {
        let mut piece = Piece::new(&part, self.abi.order);
        for span in &block.spans {
            self.describe(span, span.pages.intersect(part.pages), &mut piece)?;
        }
        let placed = part.placed + piece.pages;
        if placed > part.dumpable {
            let what = format!("kdump output: more pages below pfn {} than the {} counted", self.next, part.dumpable);
            return Err(Error::corrupt(what));
        }
        let table_at = self.layout.descriptor(part.placed).ok_or_else(not_prepared)?;
        let data_end = part.data_end + piece.data.len() as u64;
        self.lost += piece.lost;
        if let Some(part) = self.parts.get_mut(at) {
            (part.placed, part.data_end) = (placed, data_end);
        }
        if !piece.data.is_empty() {
            out.data(at, part.data_end, piece.data)?;
        }
        out.index(at, table_at, &piece.table.into_bytes())
    }

    /// Appends the descriptors of `pages`, which are those of `span` that one part holds.
    fn describe(&self, span: &EncodedSpan, pages: PfnRange, piece: &mut Piece) -> Result<()> {
        let page = self.page_size.bytes();
        for pfn in pages.start.0..pages.end.0 {
            match &span.data {
                SpanData::Stored { codec, data } => {
                    // Packed pages come one by one, others many in a span.
                    let size = if codec.is_some() { data.len() } else { page };
                    let from = data.start + (pfn - span.pages.start.0) as usize * size;
                    piece.store(from..from + size, flags_of(*codec))?;
                }
                SpanData::Zero => piece.describe(PageDesc { offset: self.data_at, size: page as u32, flags: 0 }),
                SpanData::Absent(_) => {
                    piece.lost += 1;
                    piece.describe(PageDesc::default());
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self, ending: Ending, out: &mut dyn Placer) -> Result<()> {
        let (placed, dumpable) = self.parts.iter().fold((0, 0), |(p, d), part| (p + part.placed, d + part.dumpable));
        if ending == Ending::Incomplete || self.lost != 0 || placed != dumpable {
            self.main.status |= STATUS_INCOMPLETE;
            // In all parts of a split dump: makedumpfile puts together only parts whose main headers are equal.
            for part in 0..self.parts.len() {
                self.place_main(part, out)?;
            }
        }
        if ending == Ending::Complete && placed != dumpable {
            let what = format!("kdump output: {placed} pages came of the {dumpable} to dump");
            return Err(Error::corrupt(what));
        }
        Ok(())
    }
}

/// What a block becomes in one part.
struct Piece {
    /// Which of the block's data.
    data: Range<usize>,
    /// Where it goes in the file.
    data_at: u64,
    table: FieldsMut,
    pages: u64,
    lost: u64,
}

impl Piece {
    fn new(part: &Part, order: ByteOrder) -> Piece {
        Piece { data: 0..0, data_at: part.data_end, table: PageDesc::fields_mut(order), pages: 0, lost: 0 }
    }

    fn describe(&mut self, desc: PageDesc) {
        desc.encode(&mut self.table);
        self.pages += 1;
    }

    /// Appends one page stored in `range` of the block's data. Encoders append data in the order of the pages, which
    /// makes the data of a block, or of a part of it, one range.
    fn store(&mut self, range: Range<usize>, flags: u32) -> Result<()> {
        if self.data.is_empty() {
            self.data = range.start..range.start;
        }
        if range.start != self.data.end {
            let what = format!("kdump output: a block's data goes on at {}, not {}", range.start, self.data.end);
            return Err(Error::corrupt(what));
        }
        let offset = self.data_at + self.data.len() as u64;
        self.data.end = range.end;
        self.describe(PageDesc { offset, size: range.len() as u32, flags });
        Ok(())
    }
}

fn main_header(options: &Options, meta: &DumpMeta, layout: &Layout) -> Result<MainHeader> {
    let too_large = |what: &str| Error::unsupported(format!("{what} does not fit a kdump header"));
    let vmemmap = if meta.excluded_vmemmap { STATUS_EXCLUDED_VMEMMAP } else { 0 };
    let incomplete = if meta.incomplete { STATUS_INCOMPLETE } else { 0 };
    Ok(MainHeader {
        version: VERSION,
        utsname: utsname::completed(meta),
        tv_sec: meta.crash_time,
        tv_usec: 0,
        status: flags_of(options.codec) | vmemmap | incomplete,
        block_size: meta.page_size.bytes() as i32, // 256 KiB at most
        sub_hdr_size: i32::try_from(layout.sub_blocks()).map_err(|_| too_large("the notes' length"))?,
        bitmap_blocks: u32::try_from(layout.bitmap_blocks()).map_err(|_| too_large("the bitmaps' length"))?,
        max_mapnr: u32::try_from(meta.end_pfn.0).unwrap_or(u32::MAX),
        total_ram_blocks: 0,
        device_blocks: 0,
        written_blocks: 0,
        current_cpu: 0,
        nr_cpus: i32::try_from(meta.cpus).unwrap_or(i32::MAX),
    })
}

/// The sub header of a dump that is not split. crash finds VMCOREINFO by its offset, libkdumpfile in the notes.
fn sub_header(meta: &DumpMeta, abi: Abi, dump_level: u32) -> SubHeader {
    let notes_at = (meta.page_size.bytes() + abi.sub_len()) as u64;
    let stretch = |offset: u64, size: usize| match size {
        0 => Stretch::default(),
        size => Stretch { offset, size: size as u64 },
    };
    let text = meta.vmcoreinfo.clone().filter(|_| meta.vmcoreinfo_text().is_some()).unwrap_or(0..0);
    SubHeader {
        phys_base: meta.phys_base,
        dump_level: dump_level as i32,
        vmcoreinfo: stretch(notes_at + text.start as u64, text.len()),
        notes: stretch(notes_at, meta.notes.len()),
        erase_info: stretch(notes_at + meta.notes.len() as u64, meta.erase_info.len()),
        max_mapnr: meta.end_pfn.0,
        ..SubHeader::default()
    }
}
