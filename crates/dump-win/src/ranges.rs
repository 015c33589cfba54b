//! The list of runs in dumps of the debugger (`.dump /k`, `/ka`, `/f`), behind the header that all dumps have.
//!
//! | off | field |
//! |---|---|
//! | 0 | 0x40 (u32), "RDMP", "DUMP", 0 (u32) |
//! | 0x10 | bytes of metadata (u64): as many as lie from offset 0x20 of this header to the first page, and no more |
//! | 0x18 | where the first page begins in the file (u64) |
//! | 0x20 | of `.dump /f`: number of runs (u32), 4 bytes, number of pages (u64); else 16 bytes |
//! | 0x30 | runs: page frame and number of pages (u64 each); a page frame 0 ends the list. Then the pages |
//!
//! Source: kdmp-parser, src/structs.rs (RdmpHeader64) and src/parse.rs (`kernel_physmem`).

use crate::header::Header;
use crate::memory_block;
use dump_core::{Error, Fields, PfnRange, ReadAt, Result, WordSize};

const MARKER: u32 = 0x40;

/// Bytes of the header.
const LEN: u64 = 0x30;

/// Bytes of a run.
const RUN: usize = 16;

/// Bytes of the list that are read at once.
const AT_ONCE: u64 = 64 << 10;

/// Runs of pages, one behind the other in the file.
#[derive(Debug)]
pub(crate) struct Ranges {
    /// In the order of the file.
    pub runs: Vec<PfnRange>,
    /// Where the first page begins (bytes).
    pub first_page: u64,
    /// What else says that there are more pages, or fewer.
    pub fault: Option<Error>,
}

impl Ranges {
    /// The list at `at` of the file; that of a `complete` dump says how many pages it has.
    ///
    /// # Errors
    /// `Corrupt` if it is none, or a run is none that a machine can have; `Truncated` if the file ends within it.
    pub fn read(input: &dyn ReadAt, at: u64, complete: bool) -> Result<Ranges> {
        let mut bytes = [0; LEN as usize];
        let context = |e: Error| e.within(format_args!("list of runs at offset {at:#x}"));
        input.read_exact_at(at, &mut bytes).map_err(context)?;
        let (first_page, pages) = decode(&bytes, at).map_err(context)?;
        let len = input.len()?;
        if first_page > len {
            return Err(context(Error::truncated("it", first_page, len)));
        }
        let pages = complete.then_some(pages);
        let (runs, rest) = list(input, at + LEN, first_page, pages)?;
        let there: u64 = runs.iter().fold(0, |sum: u64, run| sum.saturating_add(run.len()));
        let fault = match pages {
            Some(pages) if pages != there => {
                Some(Error::corrupt(format!("list of runs at offset {at:#x}: {pages} pages, its runs have {there}")))
            }
            _ => rest
                .map(|rest| Error::corrupt(format!("runs at offset {rest:#x}, behind the one that ends their list"))),
        };
        Ok(Ranges { runs, first_page, fault })
    }
}

/// Where pages begin, and how many a complete dump has.
fn decode(bytes: &[u8], at: u64) -> Result<(u64, u64)> {
    let mut f = Fields::new(bytes, Header::ORDER, WordSize::Bits64);
    let (marker, signature) = (f.u32("marker")?, f.bytes("signature", 8)?);
    if marker != MARKER || signature != b"RDMPDUMP" {
        let found = String::from_utf8_lossy(signature).escape_debug().to_string();
        return Err(Error::corrupt(format!("it begins with {marker:#x} {found}, expected {MARKER:#x} RDMPDUMP")));
    }
    f.skip(4)?;
    let (metadata, first_page) = (f.u64("metadata size")?, f.u64("first page")?);
    f.skip(8)?;
    let pages = f.u64("number of pages")?;
    let due = at.checked_add(0x20).and_then(|at| at.checked_add(metadata));
    if due != Some(first_page) || first_page < at + LEN {
        let text = format!(
            "pages begin at offset {first_page:#x} behind {metadata:#x} bytes of metadata, which contradicts itself"
        );
        return Err(Error::corrupt(text));
    }
    Ok((first_page, pages))
}

/// The runs between two places of the file, up to `pages` pages; and where something stands behind the one that ends them,
/// which a page frame that was damaged may do.
fn list(input: &dyn ReadAt, from: u64, to: u64, pages: Option<u64>) -> Result<(Vec<PfnRange>, Option<u64>)> {
    let (mut runs, mut total, mut at, mut is_over) = (Vec::new(), 0u64, from, false);
    let mut reader = input.reader();
    while at + RUN as u64 <= to {
        let len = (to - at).min(AT_ONCE) / RUN as u64 * RUN as u64;
        let bytes = reader.view(at, len as usize)?;
        for (i, entry) in bytes.chunks_exact(RUN).enumerate() {
            let mut f = Fields::new(entry, Header::ORDER, WordSize::Bits64);
            let (start, count) = (f.u64("page frame")?, f.u64("pages")?);
            let offset = at + (RUN * i) as u64;
            if pages.is_some_and(|pages| total >= pages) {
                return Ok((runs, None));
            }
            if is_over && (start, count) != (0, 0) {
                return Ok((runs, Some(offset)));
            }
            is_over |= start == 0;
            if is_over {
                continue;
            }
            let run =
                memory_block::run(start, count).map_err(|e| e.within(format_args!("run at offset {offset:#x}")))?;
            total = total.saturating_add(count);
            runs.push(run);
        }
        at += len;
    }
    Ok((runs, None))
}
