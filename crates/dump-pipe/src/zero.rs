//! Takes zero pages out of a set before anything is laid out: for containers that have no word for a zero page but to leave it
//! out. Reads every page of the set, so a dump of such a kind reads its input twice.

use dump_core::{
    CodecSet, Content, Error, ErrorKind, PageBitmap, PageSource, PfnRange, Phase, Result, Scratch, Watch, is_zero,
    share_out,
};

/// Pages that a worker takes at a time, and that a source is asked for at once.
const WINDOW: u64 = 1 << 12;
const AT_ONCE: u64 = 16;

/// Clears the pages of `dumpable` whose bytes are all zero, on all workers of the current rayon pool; returns how many.
///
/// # Errors
/// `Interrupted` where the watcher asked to stop. A page that cannot be read is not zero, nor an error here.
pub fn exclude_zero(source: &dyn PageSource, dumpable: &mut PageBitmap, watch: &dyn Watch) -> Result<u64> {
    let span = dumpable.span();
    watch.begin(Phase::Zero, dumpable.count(span));
    let pages = &*dumpable;
    let windows = (0..span.len().div_ceil(WINDOW)).map(|i| PfnRange::at(span.start + i * WINDOW, WINDOW));
    let windows = windows.filter(|window| pages.count(*window) != 0);
    let found = share_out(windows, Scratch::default, |scratch, window| {
        let found = zero_runs(source, pages, window, scratch, watch);
        watch.advance(pages.count(window));
        found
    });
    watch.end();
    if watch.stopped() {
        return Err(Error::new(ErrorKind::Interrupted, "interrupted while zero pages were looked for"));
    }
    let mut count = 0;
    for run in found.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten() {
        count += dumpable.clear(run);
    }
    Ok(count)
}

/// The zero pages of `pages` in a window, as maximal runs.
fn zero_runs(
    source: &dyn PageSource,
    pages: &PageBitmap,
    window: PfnRange,
    scratch: &mut Scratch,
    watch: &dyn Watch,
) -> Result<Vec<PfnRange>> {
    let mut zeros: Vec<PfnRange> = Vec::new();
    let mut note = |run: PfnRange| match zeros.last_mut() {
        Some(last) if last.end == run.start => last.end = run.end,
        _ => zeros.push(run),
    };
    let size = source.meta().page_size.bytes();
    for run in pages.runs(window) {
        let mut at = run.start;
        while at < run.end && !watch.stopped() {
            let piece = PfnRange::new(at, run.end.min(at + AT_ONCE));
            source.visit(piece, CodecSet::NONE, scratch, &mut |span| {
                match span.content {
                    Content::Zero => note(span.pages),
                    Content::Bytes(bytes) => {
                        for (i, page) in (0u64..).zip(bytes.chunks(size)) {
                            if is_zero(page) {
                                note(PfnRange::at(span.pages.start + i, 1));
                            }
                        }
                    }
                    Content::Packed { .. } | Content::Absent(_) => {}
                }
                Ok(())
            })?;
            at = piece.end;
        }
    }
    Ok(zeros)
}
