//! A shell command that gets a dump on its standard input.
//!
//! Its shell is started before the process gives up rights, for afterwards it runs no other program, and waits there for
//! a line that says that there is a dump: a run that fails before it has one starts no command, which would leave what
//! commands make of nothing.

use dump::{Error, ErrorKind, Result, system_text};
use std::ffi::{OsStr, OsString};
use std::io::{self, IoSlice, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Waits for the line, then becomes a shell that runs the command. A shell reads a line from a pipe byte by byte, so that
/// what follows is the command's.
const WAITING: &str = "IFS= read -r begin && exec /bin/sh -c \"$1\"";

/// The line.
const BEGIN: &[u8] = b"begin\n";

/// A command, once for all who hold it.
#[derive(Clone)]
pub struct Command {
    /// As it was given, after the bar.
    text: OsString,
    state: Arc<Mutex<State>>,
}

struct State {
    child: Child,
    /// Until the dump has ended.
    pipe: Option<ChildStdin>,
    /// Whether the command runs, or ran.
    begun: bool,
    /// Whether it stopped reading.
    deaf: bool,
    status: Option<ExitStatus>,
}

impl Command {
    /// Starts its shell.
    ///
    /// # Errors
    /// If there is none to start.
    pub fn prepare(text: &OsStr) -> Result<Command> {
        let mut shell = std::process::Command::new("/bin/sh");
        let spawned = shell.args(["-c", WAITING, "sh"]).arg(text).stdin(Stdio::piped()).spawn();
        let named = |e: Error| e.within("/bin/sh");
        let mut child = spawned.map_err(|e| named(e.into()))?;
        let pipe = child.stdin.take();
        let state = State { child, pipe, begun: false, deaf: false, status: None };
        Ok(Command { text: text.to_owned(), state: Arc::new(Mutex::new(state)) })
    }

    /// What it is called in messages.
    pub fn name(&self) -> String {
        format!("|{}", self.text.to_string_lossy())
    }

    /// Has the shell run the command.
    ///
    /// # Errors
    /// If the shell is not there any more.
    pub fn begin(&self) -> Result<()> {
        let begun = self.lock().write(|pipe| pipe.write_all(BEGIN));
        begun.map_err(|e| Error::from(e).within(self.name()))?;
        self.lock().begun = true;
        Ok(())
    }

    /// Ends its input, and waits for its end; how it ended does not matter to a command that was not begun.
    ///
    /// # Errors
    /// If it failed: its exit status, or the signal that ended it.
    pub fn end(&self) -> Result<()> {
        let mut state = self.lock();
        state.pipe = None;
        let status = match state.status {
            Some(status) => status,
            None => state.child.wait()?,
        };
        state.status = Some(status);
        if status.success() || !state.begun {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Io, format!("the command failed: {}", how(status))).within(self.name()))
    }

    /// Whether it is what failed, once it has ended: not well, and it either got a `whole` dump or did not take it.
    pub fn is_to_blame(&self, whole: bool) -> bool {
        let state = self.lock();
        state.begun && state.status.is_some_and(|status| !status.success()) && (state.deaf || whole)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(127), _) => "exit status 127, there may be no such program".to_owned(),
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal} ended it"),
        (None, None) => system_text(&status),
    }
}

impl State {
    fn write<T>(&mut self, write: impl FnOnce(&mut ChildStdin) -> io::Result<T>) -> io::Result<T> {
        let Some(pipe) = &mut self.pipe else { return Err(io::ErrorKind::BrokenPipe.into()) };
        write(pipe).map_err(|e| match e.kind() {
            io::ErrorKind::BrokenPipe => {
                self.deaf = true;
                io::Error::new(e.kind(), "the command stopped reading")
            }
            _ => e,
        })
    }
}

impl Write for Command {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().write(|pipe| pipe.write(bytes))
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.lock().write(|pipe| pipe.write_vectored(parts))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Nobody is left waiting for a dump that will not come.
impl Drop for State {
    fn drop(&mut self) {
        self.pipe = None;
        if self.status.is_none() {
            let _ = self.child.wait();
        }
    }
}
