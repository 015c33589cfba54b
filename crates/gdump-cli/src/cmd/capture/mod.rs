//! `gdump capture`: a dump of a running guest.
//!
//! ```text
//! Session   connected, the process's memory open     before the sandbox: what it takes cannot be had from then on
//! Hold      the guest stands still, and runs again whatever ends the program
//! Memory    pages where they lie, or QEMU's own dump out of a pipe
//! ```
//! From there on it is a conversion like any other. The guest runs again when the last page was read, while the output is
//! still being stored.

mod ask;
mod hold;
mod memory;
mod own;
mod session;
mod stages;

pub use session::Session;
pub use stages::Stages;

use super::convert::{self, Around};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::messages::Messages;
use crate::plan::{CapturePlan, CaptureTask, Conversion, Stop};
use crate::progress::Progress;
use crate::target::{self, Early};
use dump::{Budget, Others, PageSize, Result};
use hold::Hold;
use session::Guest;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Does what `plan` says with the guest of `session`.
///
/// # Errors
/// One line, if nothing was written; what went wrong later was printed, and is in the exit status.
pub fn run(plan: &CapturePlan, session: Session, early: Early) -> Result<Exit> {
    match &plan.task {
        CaptureTask::Ask { json } => ask::run(&session, *json),
        CaptureTask::Resume => resume(plan.messages, &session),
        CaptureTask::Dump { conversion, stop, .. } => {
            convert::with_command(conversion, early, |early| dump(conversion, *stop, &session, early))
        }
        CaptureTask::Own { format, output, force, stop } => {
            own::run(plan.messages, *format, output, *force, *stop, session)
        }
    }
}

/// Lets a guest run again that somebody left stopped.
fn resume(messages: Messages, session: &Session) -> Result<Exit> {
    let before = session.hold.status().unwrap_or_default();
    session.hold.resume()?;
    messages.common(&format!("The guest runs; before, it was {before}.\n"));
    Ok(Exit::Completed)
}

/// Heeds signals from now on: whatever ends the program, what is held runs again first.
fn heed(session: &Session, messages: Messages) -> Result<(Interrupt, Runs)> {
    let hold = Arc::clone(&session.hold);
    let interrupt = session.interrupt.clone();
    interrupt.listen_and(messages, move || let_go(messages, hold.as_ref()))?;
    Ok((interrupt, Runs { messages, hold: Arc::clone(&session.hold) }))
}

/// Lets a guest run again when it is dropped.
struct Runs {
    messages: Messages,
    hold: Arc<dyn Hold>,
}

impl Drop for Runs {
    fn drop(&mut self) {
        let_go(self.messages, self.hold.as_ref());
    }
}

/// Lets the guest run again, and says how long it stood still, or that it still does.
fn let_go(messages: Messages, hold: &dyn Hold) {
    if let Err(e) = try_to_let_go(messages, hold) {
        messages.error(&e.hint("gdump capture --resume-guest lets it run").to_string());
    }
}

/// The same; whoever calls tries again later, and says then that it fails.
fn try_to_let_go(messages: Messages, hold: &dyn Hold) -> Result<()> {
    if let Some(stood) = hold.end()? {
        messages.common(&stood_still(stood));
    }
    Ok(())
}

fn stood_still(time: Duration) -> String {
    format!("The guest stood still for {:.3} s.\n", time.as_secs_f64())
}

/// Waits for a panic, if asked to, and stops the guest, if it is to stand still.
fn stand_still(messages: Messages, stop: Stop, session: &Session, stages: &Stages) -> Result<()> {
    if stop.on_panic {
        if let Guest::Qemu { qmp, .. } = &session.guest {
            memory::await_panic(messages, qmp)?;
        }
    }
    match stop {
        Stop { stops: false, .. } if session.hold.was_running() => Ok(()),
        // a guest that we stopped would stay so if we were killed
        Stop { stays: false, .. } if session.guest.is_dumped_by_qemu() => session.hold.lend(),
        Stop { stays, .. } => {
            stages.time("stop", 0, || session.hold.stop())?;
            if stays {
                session.hold.keep();
            }
            Ok(())
        }
    }
}

fn dump(plan: &Conversion, stop: Stop, session: &Session, mut early: Early) -> Result<Exit> {
    target::check_beside(plan, &session.files())?;
    plan.remarks.iter().for_each(|remark| plan.messages.warning(remark));
    // which may take its time, or not be there
    let files = plan.inputs.kernel.open()?;
    let (interrupt, runs) = heed(session, plan.messages)?;
    let budget = Budget::new(plan.max_memory);
    let stages = Arc::new(Stages::default());
    let stood = AtomicBool::new(false);
    let exit = super::on_threads(budget.threads(plan.threads), || {
        stand_still(plan.messages, stop, session, &stages)?;
        stood.store(true, Ordering::Relaxed);
        let progress = Progress::new(plan.messages, PageSize::K4, interrupt.clone()).timed(&stages);
        let dump = memory::open(plan, stop, session, &progress, &stages)?;
        let name = dump.name().to_owned();
        let bytes = dump.source().claim().held.saturating_mul(dump.meta().page_size.bytes() as u64);
        let identified = stages.time("kernel", 0, || dump.into_image_with(&files, &progress));
        let image = convert::as_needed(plan, identified.map_err(|e| e.within(name))?)?;
        stages.set_memory(bytes);
        let let_run = || {
            // what fails here is tried again, and said, at the end
            let _ = stages.time("cont", 0, || try_to_let_go(plan.messages, session.hold.as_ref()));
        };
        let around = Around { all_read: &let_run, stages: Some(&stages) };
        convert::convert_image(plan, &image, None, budget, &interrupt, &mut early, &around)
    });
    drop(runs);
    let exit = match say_how_it_is(plan.messages, stop, session, stood.into_inner()) {
        Exit::Completed => exit,
        failed => exit.map(|exit| if exit == Exit::Completed { failed } else { exit }),
    };
    plan.messages.debug(&stages.table());
    exit
}

/// Says how the guest is left that `stood` still, and what others did to it: a dump of a guest that ran is none of any
/// one moment.
fn say_how_it_is(messages: Messages, stop: Stop, session: &Session, stood: bool) -> Exit {
    let Others { ran, reset, left_as } = session.hold.others();
    if reset {
        messages.error("the guest was reset while its memory was read: the dump's pages may not fit each other");
        return Exit::Failed;
    }
    if let Some(status) = left_as {
        messages.warning(&format!("somebody else made the guest {status} meanwhile, and so it is left"));
    } else if ran {
        messages.error(
            "somebody else let the guest run while its memory was read: the dump's pages may not fit each other",
        );
        return Exit::Failed;
    } else if stop.stays && stood {
        messages.common("The guest stays stopped.\n");
    } else if stop.stops && stood && !session.hold.was_running() {
        let status = session.hold.status().unwrap_or_default();
        messages.common(&format!("The guest is as it was before: {status}.\n"));
    }
    Exit::Completed
}
