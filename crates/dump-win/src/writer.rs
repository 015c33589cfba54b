//! Writing a Windows crash dump with the header of the memory's notes.
//!
//! Nothing left out and few enough runs of RAM for the header: a full dump, which every reader opens. Else a bitmap
//! dump, as its readers want it: bits a multiple of 64, pages from a multiple of 4096 on (LeechCore), and
//! PhysicalMemoryBlock filled in though nobody needs it to find a page (WinDbg). Where RAM has more runs than that has
//! room for, the narrowest gaps are left out there, and NumberOfPages stays the number of pages of RAM.
//!
//! A page that could not be read is zeros. There is no flag for dumps that are incomplete; one that stopped early ends
//! before the last page that its header speaks of.

use crate::bitmap::BitmapHeader;
use crate::dump_type::DumpType;
use crate::memory_block::MemoryBlock;
use crate::note;
use crate::page_writer::DmpPages;
use dump_core::{
    DumpMeta, DumpWriter, Error, PageBitmap, PageSet, PageSize, PageWriter, Pfn, PfnRange, Placer, Ranked, Result,
    WordSize,
};

/// Bytes of a bitmap that are placed at once: each is eight pages.
const AT_ONCE: u64 = 64 << 10;

/// What a header counts in.
const PAGE: PageSize = PageSize::K4;

/// Writes a Windows crash dump, full or with a bitmap, to one output.
pub struct DmpWriter;

impl DumpWriter for DmpWriter {
    fn prepare(
        self: Box<Self>,
        meta: &DumpMeta,
        ram: &dyn PageSet,
        dumpable: &dyn PageSet,
        out: &mut dyn Placer,
    ) -> Result<Box<dyn PageWriter>> {
        let mut header = note::header(&meta.notes).ok_or_else(no_header)?;
        let scale = 1u64 << meta.page_size.shift().saturating_sub(PAGE.shift());
        let kept = Ranked::of(copy(dumpable)?);
        let (layout, base) = (header.layout(), header.as_bytes().len() as u64);
        let block = MemoryBlock::of(ram, scale, layout.most_runs())?;
        let pages = scale * kept.bits().count(kept.bits().span());
        let whole = pages == block.pages && block.is_exact();
        header.set_memory(&block);
        if !whole && layout.word == WordSize::Bits32 {
            return Err(narrow(&block, pages, layout.most_runs()));
        }
        let end = PageSet::end_in(kept.bits(), kept.bits().span())?.unwrap_or_default();
        let bitmap = (!whole).then(|| BitmapHeader::place(base, Pfn(end.0 * scale), pages));
        let first_page = bitmap.map_or(base, |bitmap| bitmap.first_page);
        let kind = if whole { DumpType::Full } else { DumpType::Bitmap };
        header.set_type(kind, PAGE.bytes_of(pages).saturating_add(first_page));
        out.index(0, 0, header.as_bytes())?;
        if let Some(bitmap) = bitmap {
            place_bitmap(&bitmap, kept.bits(), scale, out)?;
        }
        Ok(Box::new(DmpPages::new(kept, first_page, meta.page_size)))
    }
}

fn no_header() -> Error {
    let text =
        "no header of a Windows crash dump in the notes: no Windows guest, or one without the driver that publishes it";
    Error::missing(text).hint("virtio-win's fwcfg driver with -device vmcoreinfo publishes it")
}

fn narrow(block: &MemoryBlock, pages: u64, most: usize) -> Error {
    let text = match block.is_exact() {
        true => format!("a 32-bit Windows crash dump has all of RAM: {pages} pages of {}", block.pages),
        false => format!("a 32-bit Windows crash dump has room for {most} runs of RAM, and here are more"),
    };
    Error::unsupported(text)
}

/// A set of pages that outlives the call.
fn copy(pages: &dyn PageSet) -> Result<PageBitmap> {
    let span = PfnRange::new(Pfn(0), pages.span().end);
    let too_far = || Error::unsupported(format!("dmp output: pages {span} are more than any machine has"));
    let mut out = PageBitmap::new(span.end).ok_or_else(too_far)?;
    pages.each_run(span, &mut |run| {
        out.set(run);
        Ok(())
    })?;
    Ok(out)
}

/// Places the header of a bitmap dump and its bitmap, in which each page of `kept` has `scale` bits.
fn place_bitmap(header: &BitmapHeader, kept: &PageBitmap, scale: u64, out: &mut dyn Placer) -> Result<()> {
    out.index(0, header.at, &header.encode())?;
    let len = header.bits / 8;
    let mut bytes = Vec::new();
    let mut at = 0;
    while at < len {
        let now = (len - at).min(AT_ONCE);
        bytes.clear();
        bytes.resize(now as usize, 0);
        let here = PfnRange::at(Pfn(8 * at), 8 * now);
        if scale == 1 {
            kept.write_bytes(here, &mut bytes);
        } else {
            let within = PfnRange::new(Pfn(here.start.0 / scale), Pfn(here.end.0.div_ceil(scale)));
            let wide = |run: PfnRange| PfnRange::new(Pfn(run.start.0 * scale), Pfn(run.end.0 * scale));
            kept.runs(within).for_each(|run| set_bits(&mut bytes, wide(run).intersect(here), here.start));
        }
        match dump_core::is_zero(&bytes) {
            true => out.zeros(0, header.bitmap_at() + at, now)?,
            false => out.index(0, header.bitmap_at() + at, &bytes)?,
        }
        at += now;
    }
    let end = header.bitmap_at() + len;
    if header.first_page > end { out.zeros(0, end, header.first_page - end) } else { Ok(()) }
}

/// Sets the bits of `run` in `bytes`, whose first bit is page `first`.
fn set_bits(bytes: &mut [u8], run: PfnRange, first: Pfn) {
    for pfn in run.start - first..run.end - first {
        bytes.get_mut((pfn / 8) as usize).into_iter().for_each(|byte| *byte |= 1 << (pfn % 8));
    }
}
