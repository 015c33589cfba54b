//! What is printed, and where: makedumpfile's message levels.

use crate::exit::Exit;
use std::io::{ErrorKind, Write};

/// Which kinds of messages are printed.
#[derive(Clone, Copy, Debug)]
pub struct Messages {
    level: u32,
    /// Whether stdout carries a dump, so that all that is said goes to stderr.
    dump_on_stdout: bool,
}

impl Default for Messages {
    fn default() -> Messages {
        Messages::new(Messages::DEFAULT, false)
    }
}

impl Messages {
    /// Progress, to stderr.
    pub const PROGRESS: u32 = 1;
    /// What was done, to stdout.
    pub const COMMON: u32 = 2;
    /// Errors and warnings, to stderr.
    pub const ERROR: u32 = 4;
    /// What the dump tells, to stdout.
    pub const DEBUG: u32 = 8;
    /// makedumpfile's report, to stdout.
    pub const REPORT: u32 = 16;
    /// What makedumpfile prints too unless told otherwise.
    pub const DEFAULT: u32 = Messages::PROGRESS | Messages::COMMON | Messages::ERROR;

    /// The kinds whose bits are set.
    pub fn new(level: u32, dump_on_stdout: bool) -> Messages {
        Messages { level, dump_on_stdout }
    }

    /// Whether a kind is printed.
    pub fn has(self, kind: u32) -> bool {
        self.level & kind != 0
    }

    /// Prints a failure.
    pub fn error(self, text: &str) {
        self.stderr(Messages::ERROR, &format!("gdump: {text}\n"));
    }

    /// Prints what somebody should know although the work goes on.
    pub fn warning(self, text: &str) {
        self.stderr(Messages::ERROR, &format!("gdump: warning: {text}\n"));
    }

    /// Prints what was done.
    pub fn common(self, text: &str) {
        self.stdout(Messages::COMMON, text);
    }

    /// Prints what the dump tells.
    pub fn debug(self, text: &str) {
        self.stdout(Messages::DEBUG, text);
    }

    /// Prints makedumpfile's report.
    pub fn report(self, text: &str) {
        self.stdout(Messages::REPORT, text);
    }

    fn stderr(self, kind: u32, text: &str) {
        if self.has(kind) {
            // there is nowhere left to say that stderr is gone; the exit status tells what it would have said
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
        }
    }

    fn stdout(self, kind: u32, text: &str) {
        if self.dump_on_stdout {
            self.stderr(kind, text);
        } else if self.has(kind) {
            print(text);
        }
    }
}

/// Prints to stdout. A reader that went away is no failure; anything else is.
pub fn print(text: &str) -> Exit {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Exit::Failed,
        _ => Exit::Completed,
    }
}
