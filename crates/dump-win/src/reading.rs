//! From a header to where pages are.

use crate::bitmap::BitmapHeader;
use crate::bitmap_pages::BitmapPages;
use crate::dump_type::DumpType;
use crate::header::Header;
use crate::memory_block::MemoryBlock;
use crate::ranges::Ranges;
use dump_core::{
    DumpMeta, Error, Extent, ExtentPages, Extents, PageSize, PageSource, PfnRange, PlainMemory, ReadAt, Result,
    WordSize,
};

const PAGE: PageSize = PageSize::K4;

/// What a dump has.
pub(crate) struct Found {
    pub pages: Box<dyn PageSource>,
    /// Why it ends early, if it does.
    pub damage: Option<Error>,
    /// Contradictions.
    pub faults: Vec<Error>,
}

/// Finds the pages of the dump that `header` is of.
///
/// # Errors
/// `Unsupported` if it has no pages of which this knows where they are; `Corrupt` or `Truncated` if what says so makes
/// no sense or is not there.
pub(crate) fn find(input: impl ReadAt + 'static, header: &Header, meta: DumpMeta) -> Result<Found> {
    let kind = header.dump_type();
    match (kind, header.word()) {
        (DumpType::Full, _) => full(input, header, meta),
        (DumpType::Bitmap | DumpType::Live, WordSize::Bits64) => bitmap(input, header, meta),
        (DumpType::Kernel | DumpType::KernelAndUser, WordSize::Bits64) => ranges(input, header, meta, false),
        (DumpType::Complete, WordSize::Bits64) => ranges(input, header, meta, true),
        _ => {
            let bits = 8 * header.word().bytes();
            let name = kind.name().map_or(String::new(), |name| format!(" ({name})"));
            let text = format!(
                "a {bits}-bit Windows crash dump of type {:#x}{name}, which this version does not read",
                kind.number()
            );
            let hint = "a complete memory dump has all of memory; WinDbg opens this one";
            Err(Error::unsupported(text).hint(hint))
        }
    }
}

/// A full dump: the pages of PhysicalMemoryBlock.
fn full(input: impl ReadAt + 'static, header: &Header, meta: DumpMeta) -> Result<Found> {
    let at = header.layout().memory;
    let block = header.memory()?.filter(|block| !block.runs.is_empty());
    let block =
        block.ok_or_else(|| Error::corrupt(format!("PhysicalMemoryBlock at offset {at:#x} has no runs of memory")))?;
    let mut faults = Vec::new();
    if !block.is_exact() {
        let (stated, runs) = (block.pages, block.pages_of_runs());
        faults.push(Error::corrupt(format!(
            "PhysicalMemoryBlock at offset {at:#x}: {stated} pages, its runs have {runs}"
        )));
    }
    stored(input, &block.runs, header.as_bytes().len() as u64, &[], meta, faults)
}

/// A dump of the debugger: the pages of its list.
fn ranges(input: impl ReadAt + 'static, header: &Header, meta: DumpMeta, complete: bool) -> Result<Found> {
    let found = Ranges::read(&input, header.as_bytes().len() as u64, complete)?;
    // no page's place depends on what is said of RAM
    let block = header.memory();
    let faults = block.as_ref().err().cloned().into_iter().chain(found.fault).collect();
    stored(input, &found.runs, found.first_page, &block.ok().flatten().map_or(Vec::new(), ram), meta, faults)
}

/// Runs of pages one behind the other from `first_page` on (bytes), and what else is RAM. Where two runs have the same
/// page, the first counts.
fn stored(
    input: impl ReadAt + 'static,
    runs: &[PfnRange],
    first_page: u64,
    ram: &[PfnRange],
    meta: DumpMeta,
    mut faults: Vec<Error>,
) -> Result<Found> {
    let (mut list, mut end) = (Vec::with_capacity(runs.len()), first_page);
    for run in runs {
        list.push(Extent { start: PAGE.bytes_of(run.start.0), end: PAGE.bytes_of(run.end.0), offset: end });
        end = end.saturating_add(PAGE.bytes_of(run.len()));
    }
    let rest =
        ram.iter().map(|run| Extent { start: PAGE.bytes_of(run.start.0), end: PAGE.bytes_of(run.end.0), offset: 0 });
    let all = Extents::first_wins(list.iter().copied().chain(rest));
    let mut overlap = None;
    let extents = Extents::layered(list, &mut |found| overlap = overlap.take().or(Some(found)));
    if let Some(overlap) = overlap {
        let (from, to) = (overlap.range.start, overlap.range.end);
        let (winner, loser) = (overlap.winner, overlap.loser);
        let text = format!("memory {from:#x}..{to:#x} is at offset {winner:#x} and at {loser:#x}; the first counts");
        faults.push(Error::corrupt(text));
    }
    let len = input.len()?;
    let damage = (end > len).then(|| Error::truncated("the last page", end, len));
    let pages = Box::new(ExtentPages::of_ram(PlainMemory::new(input, extents)?, all, meta));
    Ok(Found { pages, damage, faults })
}

/// A bitmap dump.
fn bitmap(input: impl ReadAt + 'static, header: &Header, meta: DumpMeta) -> Result<Found> {
    let found = BitmapHeader::read(&input, header.as_bytes().len() as u64)?;
    // no page's place depends on what is said of RAM
    let block = header.memory();
    let mut faults: Vec<Error> = block.as_ref().err().cloned().into_iter().collect();
    let pages = BitmapPages::new(input, &found, block.ok().flatten().map_or(Vec::new(), ram), meta)?;
    let (present, set) = (found.present, pages.held());
    if present != set {
        let text = format!("bitmap header at offset {:#x}: {present} pages, its bitmap has {set}", found.at);
        faults.push(Error::corrupt(text));
    }
    Ok(Found { damage: pages.damage(), pages: Box::new(pages), faults })
}

/// The runs of RAM, ascending and apart; none where they are not that.
fn ram(block: MemoryBlock) -> Vec<PfnRange> {
    let apart = block.runs.iter().zip(block.runs.iter().skip(1)).all(|(run, next)| run.end <= next.start);
    if apart && block.is_exact() { block.runs } else { Vec::new() }
}
