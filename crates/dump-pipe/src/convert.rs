//! From a source to a writer.

use crate::ordered::{BlockSizes, Ordered, Own};
use crate::output::{Direct, Outputs};
use crate::promises::check_block;
use dump_core::{
    Absence, BlockEncoder, CodecSet, DumpMeta, DumpWriter, EncodedBlock, Ending, Error, ErrorKind, PageBitmap,
    PageReader, PageSet, PageSource, PageWriter, PfnRange, Phase, Result, Span, SpanData, Watch, WriteAt,
};
use std::sync::Mutex;

/// Bytes of memory in a block: large enough that a lock and a write a block cost little, small enough that a worker's
/// buffers (the pages read, and what they become) stay in its cache and in 256 KiB with all else that it takes.
const BLOCK_BYTES: usize = 48 << 10;

/// What is to be written, and where to.
pub struct Job<'a> {
    /// Where the pages come from.
    pub source: &'a dyn PageSource,
    /// What the output states about the machine: what the source states, completed by the caller.
    pub meta: &'a DumpMeta,
    /// Page frames that are RAM.
    pub ram: &'a dyn PageSet,
    /// Page frames to write.
    pub dumpable: &'a dyn PageSet,
    /// Those of them that are written now; another run may write the others.
    pub pages: PfnRange,
    /// Where the bytes go, a part each.
    pub outputs: &'a [&'a dyn WriteAt],
    /// Receives the progress; may ask to stop.
    pub watch: &'a dyn Watch,
}

/// Pages by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Written compressed.
    pub compressed: u64,
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
/// If not even the headers could be written. All that happens after that is in the [`Outcome`], for there may be
/// pages in the output.
pub fn convert(job: &Job<'_>, writer: Box<dyn DumpWriter>) -> Result<Outcome> {
    let outputs = Outputs::new(job.outputs);
    let mut writer = writer.prepare(job.meta, job.ram, job.dumpable, &mut Direct(&outputs))?;
    let mut workers = Workers::new(job, writer.as_ref(), &outputs);
    let stopped = workers.run(writer.as_mut()).err();
    let counts = workers.counts;
    let mut outcome = Outcome { counts, written: 0, lengths: Vec::new(), stopped, unflagged: None };
    if outcome.is_complete() {
        outcome.stopped = complete(writer.as_mut(), &outputs).err();
    }
    if !outcome.is_complete() {
        outcome.unflagged = writer.finish(Ending::Incomplete, &mut Direct(&outputs)).err();
        outcome.unflagged = outcome.unflagged.or(outputs.sync().err());
    }
    outcome.written = outputs.written();
    outcome.lengths = outputs.lengths();
    Ok(outcome)
}

/// Says that the output is complete, once all of it is stored.
fn complete(writer: &mut dyn PageWriter, outputs: &Outputs<'_>) -> Result<()> {
    outputs.sync()?;
    // what comes last may not fit: the pages are all there then, but the file is not what it should be
    writer.finish(Ending::Complete, &mut Direct(outputs))?;
    outputs.sync()
}

/// All workers, with what they keep from window to window.
struct Workers<'a> {
    job: &'a Job<'a>,
    outputs: &'a Outputs<'a>,
    workers: Vec<Mutex<Worker<'a>>>,
    counts: Counts,
}

/// What belongs to one worker.
struct Worker<'a> {
    reader: Box<dyn PageReader + 'a>,
    encoder: Box<dyn BlockEncoder>,
    accepts: CodecSet,
    own: Own,
}

impl<'a> Workers<'a> {
    fn new(job: &'a Job<'a>, writer: &dyn PageWriter, outputs: &'a Outputs<'a>) -> Workers<'a> {
        let worker = |_| Worker {
            reader: job.source.reader(),
            encoder: writer.encoder(),
            accepts: writer.accepts(),
            own: Own::default(),
        };
        let workers = (0..rayon::current_num_threads()).map(worker).map(Mutex::new).collect();
        Workers { job, outputs, workers, counts: Counts::default() }
    }

    /// Writes window after window of the dumpable pages; most often there is one.
    fn run(&mut self, writer: &mut dyn PageWriter) -> Result<()> {
        let Job { dumpable, watch, .. } = self.job;
        let pages = self.job.pages.intersect(dumpable.span());
        watch.begin(Phase::Copy, dumpable.count(pages)?);
        let mut at = pages.start;
        while at < pages.end {
            let window = dumpable.window(at)?;
            let run = PfnRange::new(at, window.span().end.min(pages.end));
            self.run_window(&window, run, writer)?;
            at = run.end.max(at + 1);
        }
        watch.end();
        Ok(())
    }

    /// Writes the dumpable pages of `run`, for which `window` has the bits.
    fn run_window(&mut self, window: &PageBitmap, run: PfnRange, writer: &mut dyn PageWriter) -> Result<()> {
        if window.count(run) == 0 {
            return Ok(());
        }
        let size = self.job.meta.page_size.bytes();
        let pages = (BLOCK_BYTES / size).max(1);
        let sizes = BlockSizes { pages: pages as u64, bytes: pages * size };
        let ordered = Ordered::new(window, run, writer, self.outputs, sizes);
        rayon::broadcast(|worker| {
            let Some(Ok(mut worker)) = self.workers.get(worker.index()).map(|worker| worker.lock()) else { return };
            let guard = StopOnUnwind(&ordered);
            if let Err(e) = self.work(&ordered, window, &mut worker) {
                ordered.stop(e);
            }
            std::mem::forget(guard);
        });
        let (counts, stop) = ordered.into_parts();
        self.counts.add(counts);
        stop.map_or(Ok(()), Err)
    }

    fn work(&self, ordered: &Ordered<'_>, window: &PageBitmap, worker: &mut Worker<'_>) -> Result<()> {
        let Worker { reader, encoder, accepts, own } = worker;
        while let Some(mut task) = ordered.next(own)? {
            if self.job.watch.stopped() {
                return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
            }
            for pages in window.runs(task.run) {
                let push = &mut |span: Span<'_>| encoder.push(span, &mut task.block);
                reader.visit(pages, *accepts, push)?;
            }
            check_block(&task.block, window.runs(task.run), self.job.meta.page_size)?;
            self.job.watch.advance(window.count(task.run));
            own.push(task);
        }
        Ok(())
    }
}

/// A worker that unwinds must not leave the others waiting for its block.
struct StopOnUnwind<'a, 'b>(&'a Ordered<'b>);

impl Drop for StopOnUnwind<'_, '_> {
    fn drop(&mut self) {
        self.0.stop(Error::bug("a worker failed unexpectedly"));
    }
}

impl Counts {
    pub(crate) fn add(&mut self, other: Counts) {
        self.compressed += other.compressed;
        self.raw += other.raw;
        self.zero += other.zero;
        self.unreadable += other.unreadable;
        self.lost += other.lost;
        self.stored_bytes += other.stored_bytes;
    }

    pub(crate) fn of(block: &EncodedBlock) -> Counts {
        let mut counts = Counts { stored_bytes: block.data.len() as u64, ..Counts::default() };
        for span in &block.spans {
            let count = match span.data {
                SpanData::Stored { codec: Some(_), .. } => &mut counts.compressed,
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
