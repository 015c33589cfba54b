//! A dump that QEMU writes itself, passed over as it is written.

use crate::notes::completed;
use crate::qmp::{Event, Qmp};
use dump_core::{Error, ErrorKind, Result};
use rustix::pipe::{PipeFlags, pipe_with};
use serde_json::{Value, json};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// The event that says that a dump is over.
pub(crate) const COMPLETED: &str = "DUMP_COMPLETED";

/// What has QEMU write one.
const COMMAND: &str = "dump-guest-memory";

/// What files that are passed are called.
const NAME: &str = "gdump";

/// A dump that QEMU writes, on a thread of its own. It stops the guest for as long as that takes, and lets it run again
/// if it ran, whatever becomes of who asked for it.
pub struct WholeDump {
    qmp: Arc<Qmp>,
}

impl WholeDump {
    /// Has QEMU write an ELF core of all memory; gives the end of a pipe that it can be read from.
    ///
    /// # Errors
    /// As [`Qmp::run`]; `Unsupported` over TCP.
    pub fn to_pipe(qmp: Arc<Qmp>) -> Result<(WholeDump, File)> {
        qmp.forget_events();
        let reader = passed(&qmp, json!({ "paging": false, "detach": true }))?;
        Ok((WholeDump { qmp }, reader))
    }

    /// Has QEMU write a dump in a format of its own into `file`.
    ///
    /// # Errors
    /// As [`Qmp::run`], and then nothing was written.
    pub fn to_file(qmp: Arc<Qmp>, file: BorrowedFd<'_>, format: &str) -> Result<WholeDump> {
        qmp.forget_events();
        pass(&qmp, file, json!({ "paging": false, "detach": true, "format": format }))?;
        Ok(WholeDump { qmp })
    }

    /// The same, where files cannot be passed: QEMU opens `path` itself, and makes it anew. It may be a FIFO.
    ///
    /// # Errors
    /// As [`Qmp::run`].
    pub fn to_path(qmp: Arc<Qmp>, path: &Path, format: &str) -> Result<WholeDump> {
        qmp.forget_events();
        start_at(&qmp, path, json!({ "paging": false, "detach": true, "format": format }))?;
        Ok(WholeDump { qmp })
    }

    /// Waits until it is whole, and hands over now and then how much of the guest's memory is written, of how much
    /// (bytes).
    ///
    /// # Errors
    /// What QEMU says of a dump that failed; as [`Qmp::wait`] and [`Qmp::run`].
    pub fn finish(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<()> {
        let mut over: Option<Instant> = None;
        loop {
            if let Some(event) = self.qmp.look(&[COMPLETED]).map_err(|e| e.within(self.qmp.address()))? {
                return self.judge(&event);
            }
            let Some(state) = self.state()? else { continue };
            if let Some((done, total)) = progress_of(&state) {
                progress(done, total);
            }
            let is_active = state.get("status").and_then(Value::as_str) == Some("active");
            let since = *over.get_or_insert_with(Instant::now);
            if is_active {
                over = None;
            } else if since.elapsed() > self.qmp.patience().answer {
                let text = format!("query-dump says {state}, and no event {COMPLETED} came");
                return Err(Error::new(ErrorKind::Io, text).within(self.qmp.address()));
            }
        }
    }

    fn judge(&self, event: &Event) -> Result<()> {
        completed(event).map_err(|e| e.within(self.qmp.address()))
    }

    /// How much of the guest's memory is written, of how much (bytes), where QEMU says.
    pub fn progress(&self) -> Option<(u64, u64)> {
        progress_of(&self.state().ok()??)
    }

    /// What QEMU says of the dump; `None` where it is too old to (2.5).
    fn state(&self) -> Result<Option<Value>> {
        match self.qmp.run("query-dump", json!({})) {
            Ok(state) => Ok(Some(state)),
            Err(e) if matches!(e.kind(), ErrorKind::Unsupported) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

fn progress_of(state: &Value) -> Option<(u64, u64)> {
    let number = |name| state.get(name).and_then(Value::as_u64);
    number("completed").zip(number("total"))
}

/// Starts a dump into a pipe; gives the end to read.
pub(crate) fn passed(qmp: &Qmp, arguments: Value) -> Result<File> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(std::io::Error::from)?;
    pass(qmp, writer.as_fd(), arguments)?;
    Ok(File::from(reader))
}

/// Starts a dump into what QEMU opens as `path`.
pub(crate) fn start_at(qmp: &Qmp, path: &Path, arguments: Value) -> Result<()> {
    let path = path.to_str().ok_or_else(|| Error::unsupported("a name that is not UTF-8 for QEMU to open"))?;
    // a QEMU that makes its file when nobody waits for it any more would leave it there
    qmp.run_to_its_end(COMMAND, with_protocol(arguments, &format!("file:{path}"))).map(drop)
}

fn with_protocol(mut arguments: Value, protocol: &str) -> Value {
    if let Some(arguments) = arguments.as_object_mut() {
        arguments.insert("protocol".to_owned(), protocol.into());
    }
    arguments
}

/// Starts a dump into `file`. QEMU closes what it was passed if that works, and else keeps it until it is told not to.
fn pass(qmp: &Qmp, file: BorrowedFd<'_>, arguments: Value) -> Result<()> {
    qmp.pass(NAME, file)?;
    let arguments = with_protocol(arguments, &format!("fd:{NAME}"));
    qmp.run(COMMAND, arguments).map(drop).inspect_err(|_| qmp.take_back(NAME))
}
