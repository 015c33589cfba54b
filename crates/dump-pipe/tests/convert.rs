//! The pipeline between a made-up source and a made-up writer.

#![allow(clippy::unwrap_used)] // a test ends by it

use dump_core::{
    Absence, BlockEncoder, CodecId, CodecSet, Content, DumpMeta, DumpWriter, EncodedBlock, Ending, Error, ErrorKind,
    Machine, PageBitmap, PageReader, PageSet, PageSize, PageSource, PageWriter, Pfn, PfnRange, Phase, Placer, Push,
    Result, Span, SpanData, Watch, WriteAt,
};
use dump_pipe::{Job, Outcome, convert};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Page `pfn` holds its number again and again; every 7th is zero, pages from `bad` on cannot be read.
struct Numbers {
    meta: DumpMeta,
    bad: u64,
}

impl Numbers {
    fn new(end: u64, bad: u64) -> Numbers {
        let meta = DumpMeta { end_pfn: Pfn(end), ..DumpMeta::new(Machine::UNKNOWN, PageSize::K4) };
        Numbers { meta, bad }
    }
}

impl PageSource for Numbers {
    fn meta(&self) -> &DumpMeta {
        &self.meta
    }

    fn mark_ram(&self, ram: &mut PageBitmap) -> Result<()> {
        ram.set(ram.span());
        Ok(())
    }

    fn mark_held(&self, held: &mut PageBitmap) -> Result<()> {
        self.mark_ram(held)
    }

    fn reader(&self) -> Box<dyn PageReader + '_> {
        Box::new(Reader { bad: self.bad, lost: None })
    }
}

/// A worker's half; `lost` is a page that it forgets to push.
struct Reader {
    bad: u64,
    lost: Option<u64>,
}

impl PageReader for Reader {
    fn visit(&mut self, run: PfnRange, _: CodecSet, push: Push<'_>) -> Result<()> {
        for pfn in (run.start.0..run.end.0).filter(|pfn| self.lost != Some(*pfn)) {
            let bytes = pfn.to_le_bytes().repeat(512);
            let content = match pfn {
                _ if pfn >= self.bad => Content::Absent(Absence::Unreadable),
                _ if pfn % 7 == 0 => Content::Zero,
                _ => Content::Bytes(&bytes),
            };
            push(Span { pages: PfnRange::at(Pfn(pfn), 1), content })?;
        }
        Ok(())
    }
}

/// Writes an 8-byte end mark, then the pages' first words side by side; a byte a page, at 1 MiB, says that it is there.
struct Words {
    next: u64,
    last: Option<Pfn>,
}

const INDEX: u64 = 1 << 20;

/// The codec that keeps a page's first word.
const WORD: CodecId = CodecId::new(0, "word");

struct Encoder;

impl BlockEncoder for Encoder {
    fn push(&mut self, span: Span<'_>, out: &mut EncodedBlock) -> Result<()> {
        match span.content {
            // slower for some blocks than for others, so that they are ready out of order
            Content::Bytes(bytes) => {
                if span.pages.start.0 % 128 < 8 {
                    std::thread::yield_now();
                }
                out.store(span.pages, Some(WORD), &bytes[..8]);
            }
            Content::Zero => out.note(span.pages, SpanData::Zero),
            Content::Absent(why) => out.note(span.pages, SpanData::Absent(why)),
            Content::Compressed { .. } => return Err(Error::bug("compressed")),
        }
        Ok(())
    }
}

impl DumpWriter for Words {
    fn prepare(
        mut self: Box<Self>,
        _: &DumpMeta,
        _: &dyn PageSet,
        _: &dyn PageSet,
        out: &mut dyn Placer,
    ) -> Result<Box<dyn PageWriter>> {
        self.next = 8;
        out.index(0, 0, b"begun...")?;
        Ok(self)
    }
}

impl PageWriter for Words {
    fn encoder(&self) -> Box<dyn BlockEncoder> {
        Box::new(Encoder)
    }

    fn place(&mut self, block: &EncodedBlock, out: &mut dyn Placer) -> Result<()> {
        let (start, end) = (block.spans.first().unwrap().pages.start, block.spans.last().unwrap().pages.end);
        assert!(self.last.is_none_or(|last| last <= start), "blocks come in the order of their pages");
        self.last = Some(end);
        out.data(0, self.next, 0..block.data.len())?;
        self.next += block.data.len() as u64;
        block.spans.iter().try_for_each(|span| {
            let there = u8::from(matches!(span.data, SpanData::Stored { .. }));
            out.index(0, INDEX + span.pages.start.0, &vec![there; span.pages.len() as usize])
        })
    }

    fn finish(&mut self, ending: Ending, out: &mut dyn Placer) -> Result<()> {
        out.index(0, 0, if ending == Ending::Complete { b"complete" } else { b"in part." })
    }
}

/// An output in memory with room for so many bytes below the index.
struct Memory {
    bytes: Mutex<Vec<u8>>,
    room: u64,
    /// Once something did not fit, nothing is taken any more: a pipe that is closed, a disk that is gone.
    breaks: bool,
    broken: AtomicBool,
}

impl Memory {
    fn new(room: u64) -> Memory {
        Memory { bytes: Mutex::default(), room, breaks: false, broken: AtomicBool::new(false) }
    }
}

impl WriteAt for Memory {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let end = offset as usize + bytes.len();
        if self.broken.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Io, "broken earlier"));
        }
        if offset < INDEX && end as u64 > self.room {
            self.broken.store(self.breaks, Ordering::Relaxed);
            return Err(Error::new(ErrorKind::NoSpace, "full"));
        }
        let mut all = self.bytes.lock().unwrap();
        if all.len() < end {
            all.resize(end, 0);
        }
        all[offset as usize..end].copy_from_slice(bytes);
        Ok(())
    }

    fn zeros(&self, _: u64, _: u64) -> Result<()> {
        Ok(())
    }
}

/// Asks to stop after so many pages.
struct StopAfter {
    pages: u64,
    seen: AtomicU64,
}

impl Watch for StopAfter {
    fn begin(&self, _: Phase, _: u64) {}
    fn advance(&self, amount: u64) {
        self.seen.fetch_add(amount, Ordering::Relaxed);
    }
    fn end(&self) {}
    fn stopped(&self) -> bool {
        self.seen.load(Ordering::Relaxed) > self.pages
    }
}

const END: u64 = 20_000;

/// Every third page of a thousand is left out.
fn run(threads: usize, output: &Memory, bad: u64, stop_after: u64) -> Outcome {
    let source = Numbers::new(END, bad);
    let mut ram = PageBitmap::new(Pfn(END)).unwrap();
    source.mark_ram(&mut ram).unwrap();
    let mut dumpable = ram.clone();
    for pfn in (5000..6000).step_by(3) {
        dumpable.clear(PfnRange::at(Pfn(pfn), 1));
    }
    let watch = StopAfter { pages: stop_after, seen: AtomicU64::new(0) };
    let outputs: [&dyn WriteAt; 1] = [output];
    let job = Job {
        source: &source,
        meta: &source.meta,
        ram: &ram,
        dumpable: &dumpable,
        pages: PfnRange::new(Pfn(0), Pfn(END)),
        outputs: &outputs,
        watch: &watch,
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| convert(&job, Box::new(Words { next: 0, last: None }))).unwrap()
}

#[test]
fn bytes_do_not_depend_on_threads() {
    let want = Memory::new(u64::MAX);
    let outcome = run(1, &want, END, u64::MAX);
    let counts = outcome.counts;
    assert!(outcome.is_complete());
    assert_eq!((counts.compressed + counts.zero, counts.unreadable), (END - 334, 0));
    let want = want.bytes.into_inner().unwrap();
    assert_eq!(&want[..8], b"complete");
    for threads in [2, 3, 8] {
        let output = Memory::new(u64::MAX);
        let outcome = run(threads, &output, END, u64::MAX);
        assert!(outcome.is_complete() && outcome.counts == counts);
        assert!(output.bytes.into_inner().unwrap() == want, "{threads} threads");
    }
}

/// Whatever stopped the work, what is in the output is what comes first in it, and the index names just that.
fn check_part(bytes: &[u8]) -> usize {
    assert_eq!(&bytes[..8], b"in part.");
    let stored = |pfn: &u64| pfn % 7 != 0 && !((5000..6000).contains(pfn) && (pfn - 5000) % 3 == 0);
    let mut at = 8;
    let mut there = 0;
    for pfn in (0..END).filter(stored) {
        let flag = bytes.get(INDEX as usize + pfn as usize).copied().unwrap_or(0);
        if flag == 1 {
            assert_eq!(bytes[at..at + 8], pfn.to_le_bytes(), "page {pfn}");
            assert_eq!(at, 8 + 8 * there, "page {pfn} landed, and one before it did not");
            there += 1;
        }
        at += 8;
    }
    there
}

#[test]
fn no_space_leaves_what_landed() {
    for threads in [1, 2, 4] {
        let output = Memory::new(50_000);
        let outcome = run(threads, &output, END, u64::MAX);
        assert_eq!(outcome.stopped.unwrap().kind(), ErrorKind::NoSpace);
        let there = check_part(&output.bytes.into_inner().unwrap());
        assert!((4000..6250).contains(&there), "{there}");
    }
}

/// The first error is the cause; that the output cannot even be flagged comes second, and takes nothing away.
#[test]
fn an_output_that_breaks_keeps_its_cause_and_its_pages() {
    for threads in [1, 3] {
        let output = Memory { breaks: true, ..Memory::new(50_000) };
        let outcome = run(threads, &output, END, u64::MAX);
        assert_eq!(outcome.stopped.unwrap().kind(), ErrorKind::NoSpace);
        assert!(outcome.unflagged.unwrap().to_string().contains("broken earlier"));
        assert!(outcome.counts.compressed > 1000);
    }
}

#[test]
fn a_request_to_stop_leaves_what_landed() {
    for threads in [1, 3] {
        let output = Memory::new(u64::MAX);
        let outcome = run(threads, &output, END, 3000);
        assert_eq!(outcome.stopped.unwrap().kind(), ErrorKind::Interrupted);
        assert!(check_part(&output.bytes.into_inner().unwrap()) >= 2000);
    }
}

#[test]
fn unreadable_pages_are_counted_and_make_the_dump_incomplete() {
    let output = Memory::new(u64::MAX);
    let outcome = run(2, &output, END - 500, u64::MAX);
    assert!(outcome.stopped.is_none() && !outcome.is_complete());
    assert_eq!(outcome.counts.unreadable, 500);
    check_part(&output.bytes.into_inner().unwrap());
}

/// A source that forgets a page: the dump must not look whole.
struct Forgetful(Numbers);

impl PageSource for Forgetful {
    fn meta(&self) -> &DumpMeta {
        &self.0.meta
    }

    fn mark_ram(&self, ram: &mut PageBitmap) -> Result<()> {
        self.0.mark_ram(ram)
    }

    fn mark_held(&self, held: &mut PageBitmap) -> Result<()> {
        self.0.mark_held(held)
    }

    fn reader(&self) -> Box<dyn PageReader + '_> {
        Box::new(Reader { bad: END, lost: Some(12_345) })
    }
}

#[test]
fn a_broken_promise_flags_the_dump() {
    let source = Forgetful(Numbers::new(END, END));
    let mut ram = PageBitmap::new(Pfn(END)).unwrap();
    source.mark_ram(&mut ram).unwrap();
    let output = Memory::new(u64::MAX);
    let outputs: [&dyn WriteAt; 1] = [&output];
    let job = Job {
        source: &source,
        meta: source.meta(),
        ram: &ram,
        dumpable: &ram,
        pages: ram.span(),
        outputs: &outputs,
        watch: &dump_core::NoWatch,
    };
    let outcome = convert(&job, Box::new(Words { next: 0, last: None })).unwrap();
    assert_eq!(outcome.stopped.unwrap().kind(), ErrorKind::Bug);
    assert_eq!(&output.bytes.into_inner().unwrap()[..8], b"in part.");
}

/// The phases of copying as a watcher receives them.
#[derive(Default)]
struct Phases(Mutex<Vec<(Phase, u64, u64)>>);

impl Watch for Phases {
    fn begin(&self, phase: Phase, total: u64) {
        self.0.lock().unwrap().push((phase, total, 0));
    }
    fn advance(&self, amount: u64) {
        self.0.lock().unwrap().last_mut().unwrap().2 += amount;
    }
    fn end(&self) {}
}

/// Progress is by pages to be dumped: it ends where it said that it would, however many pages are left out.
#[test]
fn progress_counts_the_pages_to_be_dumped() {
    let source = Numbers::new(END, END);
    let mut ram = PageBitmap::new(Pfn(END)).unwrap();
    source.mark_ram(&mut ram).unwrap();
    let mut dumpable = PageBitmap::new(Pfn(END)).unwrap();
    dumpable.set(PfnRange::at(Pfn(70), 30));
    dumpable.set(PfnRange::at(Pfn(END - 10), 10));
    let (output, watch) = (Memory::new(u64::MAX), Phases::default());
    let outputs: [&dyn WriteAt; 1] = [&output];
    let pages = ram.span();
    let job = Job {
        source: &source,
        meta: &source.meta,
        ram: &ram,
        dumpable: &dumpable,
        pages,
        outputs: &outputs,
        watch: &watch,
    };
    assert!(convert(&job, Box::new(Words { next: 0, last: None })).unwrap().is_complete());
    assert_eq!(watch.0.into_inner().unwrap(), [(Phase::Copy, 40, 40)]);
}
