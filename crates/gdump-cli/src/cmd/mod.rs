//! What the program does, a file each.

pub mod batch;
pub mod capture;
pub mod check;
pub mod convert;
pub mod diff;
pub mod dmesg;
pub mod estimate;
pub mod generate;
pub mod info;
pub mod map;
pub mod rearrange;
pub mod repair;
pub mod split_one;
mod xen;

use crate::interrupt::Interrupt;
use crate::messages::{MessageLevel, Messages};
use crate::plan::Inputs;
use crate::progress::Progress;
use dump::{Dump, Error, ErrorKind, PageSize, Result, Taken, system_text};
use rayon::ThreadPoolBuilder;

/// Opens a dump to look at it; progress is shown while it is decompressed.
fn open(inputs: &Inputs) -> Result<Dump> {
    let messages = Messages::new(MessageLevel::PROGRESS, false);
    let progress = Progress::new(messages, PageSize::K4, Interrupt::default());
    Dump::open_all(&inputs.paths, &inputs.opening(), &progress)
}

/// Runs `work` on `threads` workers, or on as many as can be started: where threads or address space are short, that
/// costs time and not the dump. One worker is this thread.
fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let threads = Taken::now().threads(threads)?;
    let numbers = std::iter::successors(Some(threads), |n| Some(n / 2)).take_while(|n| *n > 1);
    let started = numbers.map(|n| ThreadPoolBuilder::new().num_threads(n)).find_map(|pool| pool.build().ok());
    let alone = || {
        let alone = ThreadPoolBuilder::new().num_threads(1).use_current_thread().build();
        alone.map_err(|e| Error::new(ErrorKind::Io, format!("cannot start a thread: {}", system_text(&e))).temporary())
    };
    started.map_or_else(alone, Ok)?.install(work)
}
