//! One file for each thing that the program does.

pub mod check;
pub mod convert;
pub mod diff;
pub mod info;
pub mod rearrange;

use crate::interrupt::Interrupt;
use crate::messages::{MessageLevel, Messages};
use crate::plan::Inputs;
use crate::progress::Progress;
use dump_core::{Error, ErrorKind, PageBitmap, PageSize, PageSource, Result};

/// Opens a dump to look at it; progress is shown while it is unpacked.
fn open(inputs: &Inputs) -> Result<crate::open::Dump> {
    let messages = Messages::new(MessageLevel::PROGRESS, false);
    crate::open::open(inputs, &Progress::new(messages, PageSize::K4, Interrupt::default()))
}

/// Runs `work` on `threads` threads.
fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|e| Error::new(ErrorKind::Io, format!("{threads} threads cannot be started: {e}")))?;
    pool.install(work)
}

/// The pages that are RAM, and those that a source means to hold.
fn bitmaps(source: &dyn PageSource) -> Result<(PageBitmap, PageBitmap)> {
    let end = source.meta().end_pfn;
    let new = || PageBitmap::new(end).ok_or_else(|| Error::corrupt(format!("memory up to page frame {end}")));
    let (mut ram, mut held) = (new()?, new()?);
    source.mark_ram(&mut ram)?;
    source.mark_held(&mut held)?;
    Ok((ram, held))
}
