//! Whether a guest runs.

use crate::qmp::Qmp;
use dump_core::{Error, Result};
use serde_json::{Value, json};

/// Whether a guest runs, and what QEMU calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunState {
    /// Whether its CPUs run.
    pub running: bool,
    /// `running`, `paused`, `guest-panicked` (QEMU, qapi/run-state.json).
    pub status: String,
}

impl RunState {
    /// That of the guest now.
    ///
    /// # Errors
    /// As [`Qmp::run`].
    pub fn of(qmp: &Qmp) -> Result<RunState> {
        let answer = qmp.run("query-status", json!({}))?;
        let running = answer.get("running").and_then(Value::as_bool);
        let status = answer.get("status").and_then(Value::as_str);
        match (running, status) {
            (Some(running), Some(status)) => Ok(RunState { running, status: status.to_owned() }),
            _ => Err(Error::corrupt(format!("query-status: found {answer}")).within(qmp.address())),
        }
    }

    /// Has QEMU pause a guest whose kernel panics rather than shut it down or restart it (since 6.0).
    ///
    /// # Errors
    /// As [`Qmp::run`].
    pub fn pause_on_panic(qmp: &Qmp) -> Result<()> {
        qmp.run("set-action", json!({ "panic": "pause" })).map(drop)
    }

    /// Whether the guest was shut down, and its QEMU stayed (`-no-shutdown`).
    pub fn is_shut_down(&self) -> bool {
        self.status == "shutdown"
    }

    /// Whether the guest's kernel has panicked.
    pub fn is_panicked(&self) -> bool {
        self.status == "guest-panicked"
    }
}
