//! A guest that stands still, and runs again whatever happens.

use crate::qmp::{Happened, Qmp};
use crate::run_state::RunState;
use dump_core::{Error, ErrorKind, Result};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long before a command is tried again.
const AGAIN: Duration = Duration::from_millis(50);

/// How QEMU calls a guest that was told to stop.
const STOPPED: &str = "paused";

/// How QEMU calls one that runs.
const RUNS: &str = "running";

/// How QEMU calls one that was reset while it was stopped, or not started yet.
const RESET: &str = "prelaunch";

/// How QEMU calls one that it stopped for a dump that it writes.
const DUMPED: &str = "save-vm";

/// A guest that stands still until this ends, or is dropped. One that stood still before is left as it is.
pub struct Standstill {
    qmp: Arc<Qmp>,
    state: RunState,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// Since when the guest stands still by us; `None` where it does not.
    since: Option<Instant>,
    /// Whether QEMU stopped it, for a dump that it writes.
    lent: bool,
    /// Whether that is over: the guest is not stopped any more.
    over: bool,
    /// What had happened to the guest when it stood still; `None` where that does not count.
    happened: Option<Happened>,
    /// What others did meanwhile.
    others: Others,
}

/// What others did to a guest that was to stand still.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// They let it run.
    pub ran: bool,
    /// They reset it.
    pub reset: bool,
    /// They brought it into a state, by QEMU's name for it, that is not for us to end: it migrated, it was shut down.
    pub left_as: Option<String>,
}

impl Standstill {
    /// A guest that nobody stops.
    ///
    /// # Errors
    /// As [`Qmp::run`].
    pub fn none(qmp: Arc<Qmp>) -> Result<Standstill> {
        let state = RunState::of(&qmp)?;
        Ok(Standstill { qmp, state, held: Mutex::default() })
    }

    /// Stops the guest, if it runs.
    ///
    /// # Errors
    /// As [`Qmp::run`], and the guest may stand still all the same; `Interrupted` if another thread let it go already.
    pub fn stop(&self) -> Result<()> {
        // held until QEMU has the command, so that who lets the guest go comes before it or after it
        let mut held = self.begin()?;
        if held.since.is_some() {
            self.qmp.run("stop", json!({}))?;
        }
        held.happened = Some(self.qmp.happened());
        Ok(())
    }

    /// Leaves it to QEMU to stop the guest, for a dump that it writes itself. It lets the guest run again, too, whatever
    /// becomes of us; [`end`](Standstill::end) waits for that.
    ///
    /// # Errors
    /// `Interrupted` if another thread let it go already.
    pub fn lend(&self) -> Result<()> {
        self.begin()?.lent = true;
        Ok(())
    }

    /// From here on it may stand still, whether an answer comes or not.
    fn begin(&self) -> Result<MutexGuard<'_, Held>> {
        let mut held = self.held();
        if held.over {
            return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
        }
        held.since = self.state.running.then(Instant::now);
        Ok(held)
    }

    /// How the guest was before.
    pub fn before(&self) -> &RunState {
        &self.state
    }

    /// Leaves the guest as it stands.
    pub fn keep(&self) {
        self.held().since = None;
    }

    /// What others did to the guest until this ended.
    pub fn others(&self) -> Others {
        self.held().others.clone()
    }

    /// Lets the guest run again, if it ran before, and says how long it stood still. Asks nobody, and connects anew
    /// where the connection was lost. A guest that others brought into another state is left in it.
    ///
    /// # Errors
    /// As [`Qmp::run`], and the guest stands still: a further call tries again.
    pub fn end(&self) -> Result<Option<Duration>> {
        let mut held = self.held();
        held.over = true;
        let now = held.happened.take().and_then(|before| {
            let now = self.now();
            // events come before the answer
            let after = self.qmp.happened();
            held.others.ran = now.as_deref() == Some(RUNS) || after.resumptions != before.resumptions;
            held.others.reset = after.resets != before.resets;
            now
        });
        let Some(begun) = held.since else { return Ok(None) };
        match now {
            _ if held.lent => self.await_qemu(),
            Some(status) if status == RUNS => {}
            // without us it would have started again
            Some(status) if status == RESET && held.others.reset => self.go_on()?,
            Some(status) if status != STOPPED => held.others.left_as = Some(status),
            _ => self.go_on()?,
        }
        held.since = None;
        Ok(Some(begun.elapsed()))
    }

    /// Lets a guest run that somebody stopped.
    ///
    /// # Errors
    /// As [`Qmp::run`]; `Unsupported` if it does not stand still as one that was stopped does.
    pub fn resume(&self) -> Result<()> {
        match &self.state {
            RunState { running: true, .. } => Ok(()),
            RunState { status, .. } if status == STOPPED => self.cont(),
            RunState { status, .. } => {
                let text = format!("the guest is {status}, not {STOPPED}: no capture left it so");
                let e = Error::unsupported(text).hint("QMP's cont starts a guest that was reset, or not started yet");
                Err(e.within(self.qmp.address()))
            }
        }
    }

    fn go_on(&self) -> Result<()> {
        self.cont().map_err(|e| e.within("the guest may still stand still"))
    }

    /// QEMU lets no guest run while it writes a dump, which it goes on with for a moment after nobody reads it any more.
    fn cont(&self) -> Result<()> {
        let until = Instant::now() + self.qmp.patience().last;
        loop {
            match self.qmp.run_whatever_happens("cont") {
                Ok(_) => return Ok(()),
                Err(e) if Instant::now() >= until => return Err(e),
                Err(_) if !self.writes_dump() => return self.qmp.run_whatever_happens("cont").map(drop),
                Err(_) => std::thread::sleep(AGAIN),
            }
        }
    }

    /// Waits until QEMU lets the guest run, which it does when its dump is over or nobody takes it any more, and a moment
    /// after that. If it is not there to be asked, or hangs, there is nothing that we could do.
    fn await_qemu(&self) {
        let until = Instant::now() + self.qmp.patience().last;
        while (self.writes_dump() || self.now().as_deref() == Some(DUMPED)) && Instant::now() < until {
            std::thread::sleep(AGAIN);
        }
    }

    /// How QEMU calls the guest's state now, where it says.
    fn now(&self) -> Option<String> {
        // what matters more comes after this
        let answer = self.qmp.run_whatever_happens_within(self.qmp.patience().answer, "query-status").ok()?;
        Some(answer.get("status")?.as_str()?.to_owned())
    }

    fn writes_dump(&self) -> bool {
        let state = self.qmp.run_whatever_happens("query-dump");
        state.is_ok_and(|state| state.get("status").and_then(Value::as_str) == Some("active"))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Standstill {
    fn drop(&mut self) {
        // who wants to know how it ended calls `end`
        let _ = self.end();
    }
}
