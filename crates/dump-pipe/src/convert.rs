//! From a source to a writer.

use crate::ordered::Ordered;
use crate::output::{Direct, Outputs};
use dump_core::{
    Absence, BlockEncoder, DumpMeta, DumpWriter, EncodedBlock, Ending, Error, ErrorKind, PageBitmap, PageSet,
    PageSource, PfnRange, Phase, Result, Scratch, SpanData, Watch, WriteAt,
};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of memory in a block: large enough that a lock and a write a block cost nothing, small enough that a worker's
/// buffers (the pages read and what they become) fit into half a MiB.
const BLOCK_BYTES: u64 = 256 << 10;

/// What is to be written, and where to.
pub struct Job<'a> {
    /// Where the pages come from.
    pub source: &'a dyn PageSource,
    /// What the output says of the machine: the source's, completed by who knows more.
    pub meta: &'a DumpMeta,
    /// Page frames that are RAM.
    pub ram: &'a PageBitmap,
    /// Page frames to write.
    pub dumpable: &'a PageBitmap,
    /// Those of them that are written now; another run may write the others.
    pub pages: PfnRange,
    /// Where the bytes go, a part each.
    pub outputs: &'a [&'a dyn WriteAt],
    /// Told of the progress; may ask to stop.
    pub watch: &'a dyn Watch,
}

/// Pages by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Written packed.
    pub packed: u64,
    /// Written as they are.
    pub raw: u64,
    /// All zero: no bytes of their own.
    pub zero: u64,
    /// Could not be read.
    pub unreadable: u64,
    /// Not in the source although it should hold them: it is incomplete itself.
    pub lost: u64,
    /// Bytes of page data, as written.
    pub stored_bytes: u64,
}

/// How a conversion ended.
#[derive(Debug)]
pub struct Outcome {
    /// What became of the pages that were reached.
    pub counts: Counts,
    /// Bytes written to all outputs.
    pub written: u64,
    /// Length of each output (bytes).
    pub lengths: Vec<u64>,
    /// What stopped it before its end; the output is then flagged incomplete, and what landed can be read.
    pub stopped: Option<Error>,
    /// Why the output is not even flagged incomplete, although it is.
    pub unflagged: Option<Error>,
}

impl Outcome {
    /// Whether every page that was to be written is there.
    pub fn is_complete(&self) -> bool {
        self.stopped.is_none() && self.counts.unreadable == 0 && self.counts.lost == 0
    }
}

/// Writes the dumpable pages of a source, on all workers of the current rayon pool.
///
/// # Errors
/// Where not even the headers could be written. All that happens after that is in the [`Outcome`], for there may be pages
/// in the output.
pub fn convert(job: &Job<'_>, writer: &mut dyn DumpWriter) -> Result<Outcome> {
    let outputs = Outputs::new(job.outputs);
    writer.prepare(job.meta, job.ram, job.dumpable, &mut Direct(&outputs))?;
    job.watch.begin(Phase::Copy, job.dumpable.count(job.pages));
    let tally = AtomicCounts::default();
    let stopped = run(job, writer, &outputs, &tally);
    job.watch.end();
    let mut outcome = Outcome { counts: tally.get(), written: 0, lengths: Vec::new(), stopped, unflagged: None };
    if outcome.is_complete() {
        // what comes last may not fit: the pages are all there then, but the file is not what it should be
        outcome.stopped = writer.finish(Ending::Complete, &mut Direct(&outputs)).err();
    }
    if !outcome.is_complete() {
        outcome.unflagged = writer.finish(Ending::Incomplete, &mut Direct(&outputs)).err();
    }
    outcome.written = outputs.written();
    outcome.lengths = outputs.lengths();
    Ok(outcome)
}

fn run(job: &Job<'_>, writer: &mut dyn DumpWriter, outputs: &Outputs<'_>, tally: &AtomicCounts) -> Option<Error> {
    let workers = rayon::current_num_threads();
    let accepts = writer.accepts();
    let encoders: Vec<_> = (0..workers).map(|_| std::sync::Mutex::new(Some(writer.encoder()))).collect();
    let pages = (BLOCK_BYTES / job.meta.page_size.bytes() as u64).max(1);
    let ordered = Ordered::new(job.dumpable, job.pages, writer, outputs, pages, 2 * workers as u64 + 2);
    rayon::broadcast(|worker| {
        let encoder = encoders.get(worker.index()).and_then(|slot| slot.lock().ok()?.take());
        let Some(mut encoder) = encoder else { return };
        let guard = StopOnUnwind(&ordered);
        if let Err(e) = work(job, &ordered, encoder.as_mut(), accepts, tally) {
            ordered.stop(e);
        }
        std::mem::forget(guard);
    });
    ordered.into_stop()
}

/// A worker that unwinds must not leave the others waiting for its block.
struct StopOnUnwind<'a, 'b>(&'a Ordered<'b>);

impl Drop for StopOnUnwind<'_, '_> {
    fn drop(&mut self) {
        self.0.stop(Error::corrupt("a worker failed unexpectedly"));
    }
}

fn work(
    job: &Job<'_>,
    ordered: &Ordered<'_>,
    encoder: &mut dyn BlockEncoder,
    accepts: dump_core::CodecSet,
    tally: &AtomicCounts,
) -> Result<()> {
    let mut scratch = Scratch::default();
    while let Some((number, run, mut parcel)) = ordered.take() {
        if job.watch.stopped() {
            return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
        }
        for pages in job.dumpable.runs(run) {
            job.source.visit(pages, accepts, &mut scratch, &mut |span| encoder.push(span, &mut parcel.block))?;
        }
        let counts = Counts::of(&parcel.block);
        ordered.give_back(number, parcel)?;
        tally.add(counts);
        job.watch.advance(job.dumpable.count(run));
    }
    Ok(())
}

impl Counts {
    fn of(block: &EncodedBlock) -> Counts {
        let mut counts = Counts { stored_bytes: block.data.len() as u64, ..Counts::default() };
        for span in &block.spans {
            let count = match span.data {
                SpanData::Stored { codec: Some(_), .. } => &mut counts.packed,
                SpanData::Stored { codec: None, .. } => &mut counts.raw,
                SpanData::Zero => &mut counts.zero,
                SpanData::Absent(Absence::Unreadable) => &mut counts.unreadable,
                SpanData::Absent(_) => &mut counts.lost,
            };
            *count += span.pages.len();
        }
        counts
    }
}

#[derive(Default)]
struct AtomicCounts([AtomicU64; 6]);

impl AtomicCounts {
    fn add(&self, c: Counts) {
        let values = [c.packed, c.raw, c.zero, c.unreadable, c.lost, c.stored_bytes];
        for (sum, value) in self.0.iter().zip(values) {
            sum.fetch_add(value, Ordering::Relaxed);
        }
    }

    fn get(&self) -> Counts {
        let [packed, raw, zero, unreadable, lost, stored_bytes] =
            [0, 1, 2, 3, 4, 5].map(|i| self.0[i].load(Ordering::Relaxed));
        Counts { packed, raw, zero, unreadable, lost, stored_bytes }
    }
}
