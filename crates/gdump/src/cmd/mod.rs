//! What the program does, a file each.

pub mod check;
pub mod convert;
pub mod diff;
pub mod info;
pub mod rearrange;
pub mod repair;

use crate::interrupt::Interrupt;
use crate::messages::{MessageLevel, Messages};
use crate::plan::Inputs;
use crate::progress::Progress;
use dump::{Dump, Error, ErrorKind, PageSize, Result};

/// Opens a dump to look at it; progress is shown while it is decompressed.
fn open(inputs: &Inputs) -> Result<Dump> {
    let messages = Messages::new(MessageLevel::PROGRESS, false);
    let progress = Progress::new(messages, PageSize::K4, Interrupt::default());
    Dump::open_all(&inputs.paths, &inputs.opening(), &progress)
}

/// Runs `work` on `threads` workers.
fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|e| Error::new(ErrorKind::Io, format!("cannot start {threads} threads: {e}")))?;
    pool.install(work)
}
