//! A guest's memory as a dump: where it lies, or as QEMU writes it.

use super::session::{Guest, Session};
use super::stages::Stages;
use crate::messages::Messages;
use crate::plan::{Conversion, Stop};
use crate::progress::Progress;
use dump::{
    Access, Dump, Error, ErrorKind, GuestFile, Phase, Qmp, RamMap, Result, RunState, Watch, WholeDump, guest_dump,
    guest_meta, mark_live, process_dump,
};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;

/// The event of a kernel that panicked, and of one that crashed and goes on.
const PANICKED: &str = "GUEST_PANICKED";

/// Opens the guest's memory, while it stands still or not.
///
/// # Errors
/// As the library's.
pub fn open(plan: &Conversion, stop: Stop, session: &Session, watch: &Progress, stages: &Stages) -> Result<Dump> {
    match &session.guest {
        Guest::Process { process, ram } => stages.time("map", 0, || process_dump(process, ram, is_live(stop, session))),
        Guest::Qemu { qmp, access: Ok(access) } => {
            plan.messages.debug(&format!("guest memory     : {}\n", access.describe()));
            direct(plan, qmp, access, is_live(stop, session), stages)
        }
        Guest::Qemu { qmp, access: Err(why) } => {
            let dump = by_dump(plan, qmp, why, watch)?;
            // where that fails, it is tried again, and said, at the end
            let _ = super::try_to_let_go(plan.messages, session.hold.as_ref());
            Ok(dump)
        }
    }
}

/// Whether the guest runs while its memory is read.
fn is_live(stop: Stop, session: &Session) -> bool {
    !stop.stops && session.hold.was_running()
}

fn direct(plan: &Conversion, qmp: &Qmp, access: &Access, live: bool, stages: &Stages) -> Result<Dump> {
    let map = stages.time("map", 0, || RamMap::of(qmp))?;
    let mut meta = stages.time("notes", 0, || guest_meta(qmp, &map, plan.inputs.work_dir.as_deref()))?;
    if live {
        mark_live(&mut meta)?;
    }
    stages.time("map", 0, || guest_dump(qmp, access, map, meta))
}

/// Has QEMU write a dump, and copies it to a temporary file.
fn by_dump(plan: &Conversion, qmp: &Arc<Qmp>, why: &Error, watch: &Progress) -> Result<Dump> {
    plan.messages.common(&format!("QEMU writes the guest's memory, which takes longer than reading it: {why}\n"));
    let named = |e: Error| e.within(format_args!("qmp:{}", qmp.address()));
    if qmp.passes_files() {
        let (whole, reader) = WholeDump::to_pipe(Arc::clone(qmp))?;
        let total = whole.progress().map_or(0, |(_, total)| total);
        let path = PathBuf::from(format!("/proc/self/fd/{}", reader.as_raw_fd()));
        let opened = Dump::open_all(&[path], &plan.inputs.opening(), &Sized { watch, total });
        drop(reader); // where it was not read to its end, QEMU is told
        let said = whole.finish(&mut |_, _| {});
        match (opened, said) {
            (Ok(dump), Ok(())) => Ok(dump.renamed(format!("qmp:{}", qmp.address()))),
            // QEMU only says that nobody reads it any more
            (Err(e), _) if is_ours(e.kind()) => Err(named(e)),
            (_, Err(e)) | (Err(e), _) => Err(named(e)),
        }
    } else if qmp.address().is_local() {
        let file = GuestFile::new(plan.inputs.work_dir.as_deref())?;
        let whole = WholeDump::to_path(Arc::clone(qmp), file.path(), "elf")?;
        watch.begin(Phase::Spool, whole.progress().map_or(0, |(_, total)| total));
        let mut last = 0;
        let said = whole.finish(&mut |done, _| {
            watch.advance(done.saturating_sub(last));
            last = last.max(done);
        });
        watch.end();
        said?;
        Dump::open_all(&[file.path().to_owned()], &plan.inputs.opening(), watch)
            .map(|dump| dump.renamed(format!("qmp:{}", qmp.address())))
            .map_err(named)
    } else {
        let text = "QEMU runs on another machine, and can pass no file from there";
        Err(named(Error::unsupported(text).hint("run gdump there, and pipe its output: gdump capture -F ...")))
    }
}

/// Whether a dump could not be taken up for a reason that is not in it.
fn is_ours(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Io | ErrorKind::NoSpace | ErrorKind::NoMemory | ErrorKind::Interrupted)
}

/// Waits until the guest's kernel panics, with QEMU told not to shut it down then.
pub fn await_panic(messages: Messages, qmp: &Qmp) -> Result<()> {
    let shut_down = || Error::new(ErrorKind::Io, "the guest was shut down without a panic").within(qmp.address());
    match RunState::of(qmp)? {
        state if state.is_panicked() => return Ok(()),
        state if state.is_shut_down() => return Err(shut_down()),
        _ => {}
    }
    if let Err(e) = RunState::pause_on_panic(qmp) {
        messages.warning(&format!("{e}; what QEMU does with a guest that panics is left as it is"));
    }
    messages.common("Waiting for the guest's kernel to panic.\n");
    let event = qmp.wait(&[PANICKED, "SHUTDOWN"], None)?;
    match event.name.as_str() {
        PANICKED => Ok(()),
        _ => Err(shut_down()),
    }
}

/// A watch that knows how much of a pipe there will be.
struct Sized<'a> {
    watch: &'a Progress,
    total: u64,
}

impl Watch for Sized<'_> {
    fn begin(&self, phase: Phase, total: u64) {
        let total = if phase == Phase::Spool && total == 0 { self.total } else { total };
        self.watch.begin(phase, total);
    }

    fn advance(&self, amount: u64) {
        self.watch.advance(amount);
    }

    fn end(&self) {
        self.watch.end();
    }

    fn stopped(&self) -> bool {
        self.watch.stopped()
    }
}
