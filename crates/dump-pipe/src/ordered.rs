//! Blocks given out in order, taken back in any order, placed in order.

use crate::output::{Outputs, Placement};
use dump_core::{EncodedBlock, Error, PageBitmap, PageWriter, Pfn, PfnRange, Result};
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A block on its way, with where its bytes go; its memory is used again and again.
pub(crate) struct Block {
    pub encoded: EncodedBlock,
    placement: Placement,
}

impl Block {
    /// Room for `bytes` bytes of pages, all at once: growing would leave pieces of half and a quarter behind.
    fn new(bytes: usize) -> Block {
        let encoded = EncodedBlock { spans: Vec::new(), data: Vec::with_capacity(bytes) };
        Block { encoded, placement: Placement::default() }
    }
}

/// Sizes of blocks, and how many there may be at a time.
#[derive(Clone, Copy)]
pub(crate) struct BlockSizes {
    /// Dumpable pages of a block.
    pub pages: u64,
    /// Bytes of those pages.
    pub bytes: usize,
    /// Blocks between giving out and having been written.
    pub in_flight: u64,
}

/// The one place where workers meet: a lock a block, none a page.
pub(crate) struct Ordered<'a> {
    dumpable: &'a PageBitmap,
    end: Pfn,
    outputs: &'a Outputs<'a>,
    sizes: BlockSizes,
    state: Mutex<State<'a>>,
    moved: Condvar,
}

struct State<'a> {
    writer: &'a mut dyn PageWriter,
    /// First page not yet given out, and the number of the block that begins there.
    cursor: Pfn,
    given: u64,
    /// Blocks placed.
    placed: u64,
    /// Blocks given out whose bytes are not written yet.
    in_flight: u64,
    /// Encoded blocks that wait for an earlier one.
    waiting: BTreeMap<u64, Block>,
    spare: Vec<Block>,
    /// The first failure, or what asked to stop.
    stop: Option<Error>,
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
        spare: Vec<Block>,
    ) -> Ordered<'a> {
        let state = State {
            writer,
            cursor: run.start,
            given: 0,
            placed: 0,
            in_flight: 0,
            waiting: BTreeMap::new(),
            spare,
            stop: None,
        };
        Ordered { dumpable, end: run.end, outputs, sizes, state: Mutex::new(state), moved: Condvar::new() }
    }

    /// The next block: its number, its pages, and memory for it. `None` when there is none left, or when something
    /// stopped the work.
    pub fn take(&self) -> Option<(u64, PfnRange, Block)> {
        let mut state = self.lock();
        while state.stop.is_none() && state.in_flight >= self.sizes.in_flight {
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.stop.is_some() {
            return None;
        }
        let run = self.dumpable.take(state.cursor, self.sizes.pages);
        let chunk = Pfn((run.start.0 / PageBitmap::CHUNK_PAGES + 1) * PageBitmap::CHUNK_PAGES);
        let run = PfnRange::new(run.start, run.end.min(self.end).min(chunk));
        if run.is_empty() {
            return None;
        }
        let number = state.given;
        state.cursor = run.end;
        state.given += 1;
        state.in_flight += 1;
        Some((number, run, state.spare.pop().unwrap_or_else(|| Block::new(self.sizes.bytes))))
    }

    /// Takes an encoded block back; places it and those that waited for it, and writes them.
    ///
    /// # Errors
    /// If placing or writing fails. The caller reports it by [`stop`](Ordered::stop).
    pub fn give_back(&self, number: u64, block: Block) -> Result<()> {
        let mut mine = Vec::new();
        {
            let mut state = self.lock();
            state.waiting.insert(number, block);
            while state.stop.is_none() {
                let next = state.placed;
                let Some(mut block) = state.waiting.remove(&next) else { break };
                block.placement.clear();
                state.writer.place(&block.encoded, &mut block.placement)?;
                if self.outputs.in_order() {
                    block.placement.carry_out(&block.encoded, self.outputs)?;
                    state.recycle(block);
                } else {
                    mine.push(block);
                }
                state.placed += 1;
            }
            self.moved.notify_all();
        }
        for block in mine {
            block.placement.carry_out(&block.encoded, self.outputs)?;
            self.lock().recycle(block);
            self.moved.notify_one();
        }
        Ok(())
    }

    /// Ends the work; the first cause counts.
    pub fn stop(&self, cause: Error) {
        let mut state = self.lock();
        state.stop.get_or_insert(cause);
        self.moved.notify_all();
    }

    /// What stopped the work, if anything did, and memory for further blocks.
    pub fn into_parts(self) -> (Option<Error>, Vec<Block>) {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        (state.stop, state.spare)
    }

    fn lock(&self) -> MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State<'_> {
    fn recycle(&mut self, mut block: Block) {
        block.encoded.clear();
        self.spare.push(block);
        self.in_flight -= 1;
    }
}
