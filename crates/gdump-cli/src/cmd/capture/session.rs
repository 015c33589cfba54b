//! A guest that was reached: what that takes is done before the program gives up its rights.

use super::hold::Hold;
use crate::args::Via;
use crate::interrupt::Interrupt;
use crate::plan::{CapturePlan, CaptureTask, GuestSource};
use dump::{Access, Error, GivenRange, Patience, Process, Qmp, Result, Standstill, Suspension, guest_files};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long at least it is waited for that a guest runs again, however short answers are to be.
const LAST_WORD: Duration = Duration::from_secs(30);

/// A guest that was reached, and runs or not as it did before.
pub struct Session {
    /// Its memory.
    pub guest: Guest,
    /// What holds it.
    pub hold: Arc<dyn Hold>,
    /// Whether a signal came.
    pub interrupt: Interrupt,
}

/// Where a guest's memory comes from.
pub enum Guest {
    /// QEMU.
    Qemu {
        /// The connection.
        qmp: Arc<Qmp>,
        /// How its memory is read, or why QEMU is to write it.
        access: Result<Access>,
    },
    /// Another monitor.
    Process {
        /// The process that runs the guest.
        process: Process,
        /// Where the guest has RAM.
        ram: Vec<GivenRange>,
    },
}

impl Guest {
    /// Whether QEMU writes its memory, rather than that we read it.
    pub fn is_dumped_by_qemu(&self) -> bool {
        matches!(self, Guest::Qemu { access: Err(_), .. })
    }
}

impl Session {
    /// Reaches the guest of `plan`.
    ///
    /// # Errors
    /// If nobody answers there, or its memory cannot be read in the way that is wanted.
    pub fn open(plan: &CapturePlan) -> Result<Session> {
        let interrupt = Interrupt::default();
        match &plan.guest {
            GuestSource::Qmp { address, pid } => {
                let asked = interrupt.clone();
                let (answer, last) = (plan.timeout, plan.timeout.max(LAST_WORD));
                let patience = Patience { answer, last, stopped: Arc::new(move || asked.asked()) };
                let qmp = Arc::new(Qmp::connect(address, patience)?);
                let access = access(plan, &qmp, *pid)?;
                let hold = Arc::new(Standstill::none(Arc::clone(&qmp))?);
                Ok(Session { guest: Guest::Qemu { qmp, access }, hold, interrupt })
            }
            GuestSource::Process { pid, ram } => {
                let process = Process::open(*pid)?;
                let hold = Arc::new(Suspension::of(*pid)?);
                Ok(Session { guest: Guest::Process { process, ram: ram.clone() }, hold, interrupt })
            }
        }
    }

    /// Files that the guest is made of, which no output may be.
    pub fn files(&self) -> Vec<PathBuf> {
        // whoever does not know them cannot protect them
        match &self.guest {
            Guest::Qemu { qmp, .. } => guest_files(qmp).unwrap_or_default(),
            Guest::Process { process, .. } => process.mapped_files().unwrap_or_default(),
        }
    }

    /// The connection to QEMU.
    ///
    /// # Errors
    /// `Bug` where there is none.
    pub fn qmp(&self) -> Result<&Arc<Qmp>> {
        match &self.guest {
            Guest::Qemu { qmp, .. } => Ok(qmp),
            Guest::Process { .. } => Err(Error::bug("QMP of a process")),
        }
    }
}

/// How the memory is read: an error that leaves another way is within.
fn access(plan: &CapturePlan, qmp: &Qmp, pid: Option<i32>) -> Result<Result<Access>> {
    let via = match &plan.task {
        CaptureTask::Dump { via, stop, .. } => via.or((!stop.stops).then_some(Via::Direct)),
        _ => Some(Via::Dump),
    };
    match via {
        Some(Via::Dump) => Ok(Err(Error::unsupported("--via dump"))),
        Some(Via::Direct) => Access::to(qmp, pid).map(Ok),
        None => Ok(Access::to(qmp, pid)),
    }
}
