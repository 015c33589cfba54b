//! What stretches of memory cost to write: a sample of their pages shows how many are zero and cost nothing.

use dump_core::{
    CodecSet, Content, Error, ErrorKind, PageBitmap, PageReader, PageSet, PageSize, PageSource, Pfn, PfnRange, Phase,
    Result, Watch, is_zero, share_out,
};

/// Pages that share a weight, at least: 1 MiB of 4 KiB pages.
const PAGES_PER_WEIGHT: u64 = 1 << 8;

/// No more weights than this, 4 MiB of them: on larger machines more pages share one.
const MAX_WEIGHTS: u64 = 1 << 20;

/// Of up to so many pages in a row, the first is looked at. Zero pages come in long runs, so that this misses little,
/// and takes a tenth of the time that looking at all takes. Of machines with less than a GiB more is looked at.
const PAGES_PER_SAMPLE: u64 = 16;

/// How many pages of each stretch of memory cost bytes, about.
pub struct Weights {
    /// Pages of a piece.
    piece: u64,
    pieces: Vec<u32>,
}

impl Weights {
    /// Weighs the dumpable pages of `source`, on all workers of the current rayon pool.
    ///
    /// # Errors
    /// `Interrupted` if the watcher asked to stop; a failure to compute the dumpable pages.
    pub fn new(source: &dyn PageSource, dumpable: &dyn PageSet, watch: &dyn Watch) -> Result<Weights> {
        let span = dumpable.span();
        let piece = PAGES_PER_WEIGHT.max(span.end.0.div_ceil(MAX_WEIGHTS).next_power_of_two());
        let piece = piece.min(PageBitmap::CHUNK_PAGES); // 2^35 pages are 128 TiB
        let sample = (span.end.0 >> 14).clamp(1, PAGES_PER_SAMPLE) as usize;
        let mut pieces = Vec::new();
        let mut at = Pfn(0);
        while at < span.end {
            let window = dumpable.window(at)?;
            let end = window.span().end.min(span.end).max(at + 1);
            watch.begin(Phase::Zero, end - at);
            let size = source.meta().page_size;
            let found = share_out(
                at.0 / piece..end.0.div_ceil(piece),
                || source.reader(),
                |reader, i| {
                    let run = PfnRange::at(Pfn(i * piece), piece);
                    watch.advance(piece);
                    if watch.stopped() { Ok(0) } else { weigh(reader.as_mut(), size, &window, run, sample) }
                },
            );
            watch.end();
            pieces.extend(found.into_iter().collect::<Result<Vec<u32>>>()?);
            at = end;
        }
        match watch.stopped() {
            true => Err(Error::new(ErrorKind::Interrupted, "interrupted while the parts were computed")),
            false => Ok(Weights { piece, pieces }),
        }
    }

    /// The weight of `run`: what shares a piece with others has its share of the piece's weight.
    pub fn of(&self, run: PfnRange) -> u64 {
        let end = Pfn(self.piece * self.pieces.len() as u64);
        let run = run.intersect(PfnRange::new(Pfn(0), end));
        let mut sum = 0;
        for i in run.start.0 / self.piece..run.end.0.div_ceil(self.piece) {
            let here = run.intersect(PfnRange::at(Pfn(i * self.piece), self.piece)).len();
            let weight = self.pieces.get(i as usize).copied().unwrap_or(0);
            sum += u64::from(weight) * here / self.piece;
        }
        sum
    }
}

/// How many dumpable pages of `piece` are not zero, by a sample.
fn weigh(
    reader: &mut dyn PageReader,
    size: PageSize,
    dumpable: &PageBitmap,
    piece: PfnRange,
    sample: usize,
) -> Result<u32> {
    let (all, size) = (dumpable.count(piece), size.bytes());
    if all == 0 {
        return Ok(0);
    }
    let (mut seen, mut zero) = (0u64, 0u64);
    for run in dumpable.runs(piece) {
        for first in (run.start.0..run.end.0).step_by(sample) {
            reader.visit(PfnRange::at(Pfn(first), 1), CodecSet::NONE, &mut |span| {
                seen += 1;
                zero += match span.content {
                    Content::Zero => 1,
                    Content::Bytes(bytes) => u64::from(is_zero(&bytes[..size.min(bytes.len())])),
                    Content::Compressed { .. } | Content::Absent(_) => 0,
                };
                Ok(())
            })?;
        }
    }
    Ok(u32::try_from(all * (seen - zero) / seen.max(1)).unwrap_or(u32::MAX))
}
