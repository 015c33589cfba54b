//! A run that is one of a batch's jobs: it ends with the batch, however that ends, and says by its exit status whether
//! the same may succeed another time.

use crate::exit::Exit;
use dump::{Error, ErrorKind, Result};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use std::sync::OnceLock;

/// Set where this run is one.
static BATCH: OnceLock<Pid> = OnceLock::new();

/// Makes this run a job of the batch that is process `batch`.
///
/// # Errors
/// If the batch is gone, or the system cannot bind this process to it.
pub fn begin(batch: Pid) -> Result<()> {
    let _ = BATCH.set(batch); // once, in main()
    // SIGKILL, for what is left undone is taken away by the next batch, and nothing may be written meanwhile
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(std::io::Error::from)?;
    // it may have gone before that was in force
    match getppid() == Some(batch) {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::Interrupted, "the batch is gone")),
    }
}

/// Whether this run is one.
pub fn is_one() -> bool {
    BATCH.get().is_some()
}

/// How a run ends: that the same may succeed another time is told to a batch alone.
pub fn end(exit: Exit) -> Exit {
    match exit {
        // what could not be read may be all that is wrong with the dump
        Exit::Failed if is_one() && dump::reads_failed() => Exit::TryAgain,
        exit if is_one() => exit,
        exit => exit.for_people(),
    }
}
