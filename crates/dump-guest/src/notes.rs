//! What QEMU knows of a guest besides its memory: a dump of a part of it, which has all notes.

use crate::qmp::{Event, Qmp};
use crate::whole_dump::{COMPLETED, passed, start_at};
use dump_core::{Error, ErrorKind, Result, system_text};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes of notes at most: some 1.5 KiB a CPU, and the kernel's vmcoreinfo.
const NOTES: usize = 64 << 20;

/// An ELF core of `range` of guest physical addresses, which must begin in RAM, with all notes: registers of all CPUs,
/// and the vmcoreinfo that the guest published. For the notes alone one page will do, which takes milliseconds.
///
/// A guest that runs is stopped meanwhile.
///
/// # Errors
/// As [`Qmp::run`]; what QEMU says of a dump that failed.
pub fn part(qmp: &Qmp, range: &Range<u64>) -> Result<Vec<u8>> {
    qmp.forget_events();
    let reader = passed(qmp, arguments(range))?;
    let core = read_all(qmp, reader, most(range)).map_err(|e| e.within("dump-guest-memory").within(qmp.address()))?;
    over(qmp)?;
    Ok(core)
}

/// The same, where files cannot be passed: QEMU opens `path` itself, and makes it anew.
///
/// # Errors
/// As [`part`]; if the file cannot be read afterwards.
pub fn part_at(qmp: &Qmp, range: &Range<u64>, path: &Path) -> Result<Vec<u8>> {
    qmp.forget_events();
    start_at(qmp, path, arguments(range))?;
    over(qmp)?;
    let mut core = Vec::new();
    let file = File::open(path).map_err(Error::from).map_err(|e| e.within(path.display()))?;
    let most = most(range);
    file.take(most as u64 + 1).read_to_end(&mut core)?;
    if core.len() > most { Err(too_long(most).within(qmp.address())) } else { Ok(core) }
}

fn arguments(range: &Range<u64>) -> Value {
    json!({ "paging": false, "detach": true, "begin": range.start, "length": range.end - range.start })
}

/// How long a dump of `range` may be (bytes).
fn most(range: &Range<u64>) -> usize {
    NOTES.saturating_add(usize::try_from(range.end - range.start).unwrap_or(usize::MAX))
}

fn too_long(most: usize) -> Error {
    Error::corrupt(format!("more than {} MiB of it", most >> 20))
}

/// Waits until QEMU says that a dump is whole, all of which was read.
fn over(qmp: &Qmp) -> Result<()> {
    loop {
        let event = qmp.wait(&[COMPLETED], Some(qmp.patience().answer))?;
        if !is_of_another(&event) {
            return completed(&event).map_err(|e| e.within(qmp.address()));
        }
    }
}

/// Whether an event is of a dump before, whose reader is gone: who asked for it was killed.
fn is_of_another(event: &Event) -> bool {
    let said = event.data.get("error").and_then(Value::as_str);
    said.is_some_and(|text| text.ends_with(BROKEN_PIPE))
}

/// How QEMU's messages end where nobody reads any more (strerror of EPIPE).
const BROKEN_PIPE: &str = ": Broken pipe";

/// Whether a dump is whole, by the event that says that it is over.
///
/// # Errors
/// What QEMU says of one that is not.
pub(crate) fn completed(event: &Event) -> Result<()> {
    let said = event.data.get("error").and_then(Value::as_str);
    let status = event.data.pointer("/result/status").and_then(Value::as_str);
    match (said, status) {
        (None, Some("completed")) => Ok(()),
        (said, status) => {
            let text = said.or(status).unwrap_or("it failed, QEMU does not say why").to_owned();
            Err(Error::new(ErrorKind::Io, text).within("dump-guest-memory"))
        }
    }
}

/// What QEMU writes into a pipe, until it closes it.
fn read_all(qmp: &Qmp, mut reader: File, most: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 << 10];
    let mut until = Instant::now() + qmp.patience().answer;
    fcntl_setfl(&reader, OFlags::NONBLOCK).map_err(std::io::Error::from)?;
    loop {
        if (qmp.patience().stopped)() {
            return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
        }
        match reader.read(&mut piece) {
            Ok(0) => return Ok(bytes),
            Ok(n) if bytes.len() + n > most => {
                return Err(too_long(most));
            }
            Ok(n) => {
                bytes.extend_from_slice(&piece[..n]);
                until = Instant::now() + qmp.patience().answer;
            }
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock && Instant::now() < until => wait_for(&reader),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                let text = format!("nothing came in {} s", qmp.patience().answer.as_secs_f32());
                return Err(Error::new(ErrorKind::Io, text));
            }
            Err(e) => return Err(Error::new(ErrorKind::Io, system_text(&e))),
        }
    }
}

/// Waits a moment for something to come.
fn wait_for(reader: &File) {
    let moment = Timespec { tv_sec: 0, tv_nsec: Duration::from_millis(50).subsec_nanos().into() };
    // whatever ends it, the next read says what is there
    let _ = poll(&mut [PollFd::new(reader, PollFlags::IN)], Some(&moment));
}
