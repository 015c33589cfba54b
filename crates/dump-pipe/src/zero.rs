//! Takes zero pages out of a set before anything is laid out: for containers that have no word for a zero page but to
//! leave it out. Reads every page of the set, so a dump of such a kind reads its input twice.

use dump_core::{
    CodecSet, Content, Error, ErrorKind, PageBitmap, PageReader, PageSize, PageSource, PfnRange, Phase, Result, Watch,
    is_zero, share_out,
};

/// Pages that a worker takes at a time, and that it reads at once.
const PAGES_PER_TURN: u64 = 1 << 12;
const PAGES_PER_READ: u64 = 16;

/// Clears the pages of `dumpable` whose bytes are all zero, on all workers of the current rayon pool; returns how many.
///
/// # Errors
/// `Interrupted` if the watcher asked to stop. A page that cannot be read is not zero, nor an error here.
pub fn exclude_zero(source: &dyn PageSource, dumpable: &mut PageBitmap, watch: &dyn Watch) -> Result<u64> {
    let span = dumpable.span();
    watch.begin(Phase::Zero, dumpable.count(span));
    let pages = &*dumpable;
    let windows =
        (0..span.len().div_ceil(PAGES_PER_TURN)).map(|i| PfnRange::at(span.start + i * PAGES_PER_TURN, PAGES_PER_TURN));
    let windows = windows.filter(|window| pages.count(*window) != 0);
    let size = source.meta().page_size;
    let found = share_out(
        windows,
        || source.reader(),
        |reader, window| {
            let found = zero_runs(reader.as_mut(), size, pages, window, watch);
            watch.advance(pages.count(window));
            found
        },
    );
    watch.end();
    if watch.stopped() {
        return Err(Error::new(ErrorKind::Interrupted, "interrupted while zero pages were identified"));
    }
    let mut count = 0;
    for run in found.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten() {
        count += dumpable.clear(run);
    }
    Ok(count)
}

/// The zero pages of `pages` in a window, as maximal runs.
fn zero_runs(
    reader: &mut dyn PageReader,
    size: PageSize,
    pages: &PageBitmap,
    window: PfnRange,
    watch: &dyn Watch,
) -> Result<Vec<PfnRange>> {
    let mut zeros: Vec<PfnRange> = Vec::new();
    let mut note = |run: PfnRange| match zeros.last_mut() {
        Some(last) if last.end == run.start => last.end = run.end,
        _ => zeros.push(run),
    };
    for run in pages.runs(window) {
        let mut at = run.start;
        while at < run.end && !watch.stopped() {
            let piece = PfnRange::new(at, run.end.min(at + PAGES_PER_READ));
            reader.visit(piece, CodecSet::NONE, &mut |span| {
                match span.content {
                    Content::Zero => note(span.pages),
                    Content::Bytes(bytes) => {
                        for (i, page) in (0u64..).zip(bytes.chunks(size.bytes())) {
                            if is_zero(page) {
                                note(PfnRange::at(span.pages.start + i, 1));
                            }
                        }
                    }
                    Content::Compressed { .. } | Content::Absent(_) => {}
                }
                Ok(())
            })?;
            at = piece.end;
        }
    }
    Ok(zeros)
}
