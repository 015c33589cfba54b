//! A guest that stands still, and runs again whatever happens.

use crate::qmp::Qmp;
use crate::run_state::RunState;
use dump_core::Result;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long before a command is tried again.
const AGAIN: Duration = Duration::from_millis(50);

/// A guest that stands still until this ends, or is dropped. One that stood still before is left as it is.
pub struct Standstill {
    qmp: Arc<Qmp>,
    state: RunState,
    /// Since when the guest stands still by us; `None` where it does not.
    since: Mutex<Option<Instant>>,
}

impl Standstill {
    /// A guest that nobody stops.
    ///
    /// # Errors
    /// As [`Qmp::run`].
    pub fn none(qmp: Arc<Qmp>) -> Result<Standstill> {
        let state = RunState::of(&qmp)?;
        Ok(Standstill { qmp, state, since: Mutex::new(None) })
    }

    /// Stops the guest, if it runs.
    ///
    /// # Errors
    /// As [`Qmp::run`]; the guest then runs as it did.
    pub fn stop(&self) -> Result<()> {
        if self.state.running {
            // from here on it may stand still, whether an answer comes or not
            *self.since() = Some(Instant::now());
            self.qmp.run("stop", json!({}))?;
        }
        Ok(())
    }

    /// How the guest was before.
    pub fn before(&self) -> &RunState {
        &self.state
    }

    /// Leaves the guest as it stands.
    pub fn keep(&self) {
        *self.since() = None;
    }

    /// Lets the guest run again, if it ran before, and says how long it stood still. Asks nobody, and connects anew
    /// where the connection was lost.
    ///
    /// # Errors
    /// As [`Qmp::run`], and the guest stands still: a further call tries again.
    pub fn end(&self) -> Result<Option<Duration>> {
        let mut since = self.since();
        let Some(begun) = *since else { return Ok(None) };
        self.cont().map_err(|e| e.within("the guest may still stand still"))?;
        *since = None;
        Ok(Some(begun.elapsed()))
    }

    /// Lets the guest run, whoever stopped it.
    ///
    /// # Errors
    /// As [`Qmp::run`].
    pub fn resume(&self) -> Result<()> {
        self.cont()
    }

    /// QEMU lets no guest run while it writes a dump, which it goes on with for a moment after nobody reads it any more.
    fn cont(&self) -> Result<()> {
        let until = Instant::now() + self.qmp.patience().answer;
        loop {
            match self.qmp.run_whatever_happens("cont") {
                Ok(_) => return Ok(()),
                Err(e) if Instant::now() >= until => return Err(e),
                Err(_) if !self.writes_dump() => return self.qmp.run_whatever_happens("cont").map(drop),
                Err(_) => std::thread::sleep(AGAIN),
            }
        }
    }

    fn writes_dump(&self) -> bool {
        let state = self.qmp.run_whatever_happens("query-dump");
        state.is_ok_and(|state| state.get("status").and_then(Value::as_str) == Some("active"))
    }

    fn since(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Standstill {
    fn drop(&mut self) {
        // who wants to know how it ended calls `end`
        let _ = self.end();
    }
}
