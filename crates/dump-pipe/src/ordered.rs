//! Blocks given out in order, taken back in any order, placed in order.

use crate::output::{Outputs, Placement};
use dump_core::{DumpWriter, EncodedBlock, Error, PageBitmap, Pfn, PfnRange, Result};
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A block with the memory that it needs on its way; used again and again.
#[derive(Default)]
pub(crate) struct Parcel {
    pub block: EncodedBlock,
    placement: Placement,
}

/// The one place where workers meet: a lock a block, none a page.
pub(crate) struct Ordered<'a> {
    dumpable: &'a PageBitmap,
    end: Pfn,
    outputs: &'a Outputs<'a>,
    pages: u64,
    in_flight: u64,
    state: Mutex<State<'a>>,
    moved: Condvar,
}

struct State<'a> {
    writer: &'a mut dyn DumpWriter,
    /// First page not yet given out, and the number of the block that begins there.
    cursor: Pfn,
    given: u64,
    /// Blocks placed.
    placed: u64,
    /// Encoded blocks that wait for an earlier one.
    waiting: BTreeMap<u64, Parcel>,
    spare: Vec<Parcel>,
    /// The first failure, or what asked to stop.
    stop: Option<Error>,
}

impl<'a> Ordered<'a> {
    /// Blocks of `pages` dumpable pages of `run`, no more than `in_flight` of them between giving out and placing.
    pub fn new(
        dumpable: &'a PageBitmap,
        run: PfnRange,
        writer: &'a mut dyn DumpWriter,
        outputs: &'a Outputs<'a>,
        pages: u64,
        in_flight: u64,
    ) -> Ordered<'a> {
        let state = State {
            writer,
            cursor: run.start,
            given: 0,
            placed: 0,
            waiting: BTreeMap::new(),
            spare: Vec::new(),
            stop: None,
        };
        Ordered { dumpable, end: run.end, outputs, pages, in_flight, state: Mutex::new(state), moved: Condvar::new() }
    }

    /// The next block: its number, its pages, and memory for it. `None` when there is none left, or when something stopped
    /// the work.
    pub fn take(&self) -> Option<(u64, PfnRange, Parcel)> {
        let mut state = self.lock();
        while state.stop.is_none() && state.given - state.placed >= self.in_flight {
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.stop.is_some() {
            return None;
        }
        let run = self.dumpable.take(state.cursor, self.pages);
        let run = PfnRange::new(run.start, run.end.min(self.end));
        if run.is_empty() {
            return None;
        }
        let number = state.given;
        state.cursor = run.end;
        state.given += 1;
        Some((number, run, state.spare.pop().unwrap_or_default()))
    }

    /// Takes an encoded block back; places it and those that waited for it, and writes them.
    ///
    /// # Errors
    /// Where placing or writing fails. The caller reports it by [`stop`](Ordered::stop).
    pub fn give_back(&self, number: u64, parcel: Parcel) -> Result<()> {
        let mut mine = Vec::new();
        {
            let mut state = self.lock();
            state.waiting.insert(number, parcel);
            while state.stop.is_none() {
                let next = state.placed;
                let Some(mut parcel) = state.waiting.remove(&next) else { break };
                parcel.placement.clear();
                state.writer.place(&parcel.block, &mut parcel.placement)?;
                if self.outputs.in_order() {
                    parcel.placement.carry_out(&parcel.block, self.outputs)?;
                    state.recycle(parcel);
                } else {
                    mine.push(parcel);
                }
                state.placed += 1;
            }
            self.moved.notify_all();
        }
        for parcel in mine {
            parcel.placement.carry_out(&parcel.block, self.outputs)?;
            self.lock().recycle(parcel);
        }
        Ok(())
    }

    /// Ends the work; the first cause counts.
    pub fn stop(&self, cause: Error) {
        let mut state = self.lock();
        state.stop.get_or_insert(cause);
        self.moved.notify_all();
    }

    /// What stopped the work, if anything did.
    pub fn into_stop(self) -> Option<Error> {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).stop
    }

    fn lock(&self) -> MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State<'_> {
    fn recycle(&mut self, mut parcel: Parcel) {
        parcel.block.clear();
        self.spare.push(parcel);
    }
}
