//! Blocks given out in order and written in order, each by the worker that encoded it.
//!
//! Order costs little, as the kernel lets one thread at a time write to a file anyway, and what is in an output is then
//! what comes first in it, whenever and however the work ends. A worker whose block is not the next one encodes another
//! meanwhile: its blocks stay in its own cache until it writes them.

use crate::convert::Counts;
use crate::output::{Outputs, Placement};
use dump_core::{EncodedBlock, Error, PageBitmap, PageWriter, Pfn, PfnRange, Result};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Blocks of a worker that wait for earlier ones of others before it waits too.
const WAITING: usize = 1;

/// Sizes of blocks.
#[derive(Clone, Copy)]
pub(crate) struct BlockSizes {
    /// Dumpable pages of a block.
    pub pages: u64,
    /// Bytes of those pages.
    pub bytes: usize,
}

/// The blocks of one worker.
#[derive(Default)]
pub(crate) struct Own {
    /// Encoded, with their numbers; they wait for earlier ones.
    waiting: VecDeque<(u64, EncodedBlock)>,
    /// Memory of blocks that were written, used again and again.
    spare: Vec<EncodedBlock>,
}

/// A block to encode.
pub(crate) struct Task {
    number: u64,
    /// Its pages.
    pub run: PfnRange,
    /// What they become.
    pub block: EncodedBlock,
}

/// The one place where workers meet: a lock a block, none a page.
pub(crate) struct Ordered<'a> {
    dumpable: &'a PageBitmap,
    end: Pfn,
    sizes: BlockSizes,
    state: Mutex<State>,
    moved: Condvar,
    /// Taken by the worker that has the next block, hence by one at a time.
    output: Mutex<Output<'a>>,
}

struct State {
    /// First page not yet given out, and the number of the block that begins there.
    cursor: Pfn,
    given: u64,
    /// Blocks written.
    written: u64,
    /// Workers that wait for their turn. To wake nobody would cost a system call a block.
    sleepers: usize,
    /// The first failure, or what asked to stop.
    stop: Option<Error>,
}

struct Output<'a> {
    writer: &'a mut dyn PageWriter,
    placement: Placement,
    outputs: &'a Outputs<'a>,
    /// What was written.
    counts: Counts,
}

impl<'a> Ordered<'a> {
    /// Blocks of the dumpable pages of `run`. A block ends at a multiple of [`PageBitmap::CHUNK_PAGES`] too, so that
    /// blocks are the same in whatever windows they come.
    pub fn new(
        dumpable: &'a PageBitmap,
        run: PfnRange,
        writer: &'a mut dyn PageWriter,
        outputs: &'a Outputs<'a>,
        sizes: BlockSizes,
    ) -> Ordered<'a> {
        let state = State { cursor: run.start, given: 0, written: 0, sleepers: 0, stop: None };
        let output = Output { writer, placement: Placement::default(), outputs, counts: Counts::default() };
        let (state, output) = (Mutex::new(state), Mutex::new(output));
        Ordered { dumpable, end: run.end, sizes, state, moved: Condvar::new(), output }
    }

    /// The next block to encode, after writing those of `own` whose turn has come. `None` when all is written that this
    /// worker has to write, or when something stopped the work.
    ///
    /// # Errors
    /// If placing or writing fails. The caller reports it by [`stop`](Ordered::stop).
    pub fn next(&self, own: &mut Own) -> Result<Option<Task>> {
        let mut state = lock(&self.state);
        while state.stop.is_none() {
            if let Some(mut block) = own.take_number(state.written) {
                drop(state);
                lock(&self.output).write(&block)?;
                block.clear();
                own.spare.push(block);
                state = lock(&self.state);
                state.written += 1;
                if state.sleepers > 0 {
                    self.moved.notify_all();
                }
            } else if own.waiting.len() < WAITING {
                match self.cut(&mut state) {
                    Some((number, run)) => return Ok(Some(Task { number, run, block: own.memory(self.sizes.bytes) })),
                    None if own.waiting.is_empty() => break,
                    None => state = self.sleep(state),
                }
            } else {
                state = self.sleep(state);
            }
        }
        Ok(None)
    }

    /// Number and pages of the next block, if there is one.
    fn cut(&self, state: &mut State) -> Option<(u64, PfnRange)> {
        let run = self.dumpable.take(state.cursor, self.sizes.pages);
        let chunk = Pfn((run.start.0 / PageBitmap::CHUNK_PAGES + 1) * PageBitmap::CHUNK_PAGES);
        let run = PfnRange::new(run.start, run.end.min(self.end).min(chunk));
        if run.is_empty() {
            return None;
        }
        state.cursor = run.end;
        state.given += 1;
        Some((state.given - 1, run))
    }

    /// Waits until another worker has written a block.
    fn sleep<'s>(&self, mut state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        state.sleepers += 1;
        let mut state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.sleepers -= 1;
        state
    }

    /// Ends the work; the first cause counts.
    pub fn stop(&self, cause: Error) {
        lock(&self.state).stop.get_or_insert(cause);
        self.moved.notify_all();
    }

    /// What was written, and what stopped the work, if anything did.
    pub fn into_parts(self) -> (Counts, Option<Error>) {
        let output = self.output.into_inner().unwrap_or_else(PoisonError::into_inner);
        (output.counts, self.state.into_inner().unwrap_or_else(PoisonError::into_inner).stop)
    }
}

impl Own {
    /// Takes an encoded block, to be written when its turn has come.
    pub fn push(&mut self, task: Task) {
        self.waiting.push_back((task.number, task.block));
    }

    fn take_number(&mut self, number: u64) -> Option<EncodedBlock> {
        let is_next = self.waiting.front().is_some_and(|(first, _)| *first == number);
        is_next.then(|| self.waiting.pop_front()).flatten().map(|(_, block)| block)
    }

    /// Room for a whole block at once: growing would leave pieces of half and a quarter behind.
    fn memory(&mut self, bytes: usize) -> EncodedBlock {
        let new = || EncodedBlock { spans: Vec::new(), data: Vec::with_capacity(bytes) };
        self.spare.pop().unwrap_or_else(new)
    }
}

impl Output<'_> {
    fn write(&mut self, block: &EncodedBlock) -> Result<()> {
        self.placement.clear();
        self.writer.place(block, &mut self.placement)?;
        self.placement.carry_out(block, self.outputs)?;
        self.counts.add(Counts::of(block));
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
