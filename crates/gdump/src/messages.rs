//! What is printed, and where: makedumpfile's message levels, and its words where it is called by that name. All that
//! is printed comes through here, so that nothing that a dump says of itself is obeyed by a terminal.

use crate::escape::{escaped, escaped_line};
use crate::exit::Exit;
use dump::Error;
use std::io::{ErrorKind, Write};

bitflags::bitflags! {
    /// Kinds of messages, by makedumpfile's bits.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct MessageLevel: u32 {
        /// Progress, to stderr.
        const PROGRESS = 1;
        /// What was done, to stdout.
        const COMMON = 2;
        /// Errors and warnings, to stderr.
        const ERROR = 4;
        /// vmcoreinfo and what follows from it, to stdout.
        const DEBUG = 8;
        /// makedumpfile's page report, to stdout.
        const REPORT = 16;
    }
}

impl Default for MessageLevel {
    /// makedumpfile's default, 7.
    fn default() -> MessageLevel {
        MessageLevel::PROGRESS | MessageLevel::COMMON | MessageLevel::ERROR
    }
}

/// Whose words are used where callers read them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Voice {
    /// Ours.
    #[default]
    Gdump,
    /// makedumpfile's.
    Makedumpfile,
}

impl Voice {
    /// The name that messages begin with.
    pub fn name(self) -> &'static str {
        match self {
            Voice::Gdump => "gdump",
            Voice::Makedumpfile => "makedumpfile",
        }
    }
}

/// Prints the messages of a message level.
#[derive(Clone, Copy, Debug, Default)]
pub struct Messages {
    level: MessageLevel,
    voice: Voice,
    /// Whether stdout carries a dump, so that every message goes to stderr.
    dump_on_stdout: bool,
}

impl Messages {
    /// Messages of `level` to stdout and stderr, or all to stderr if there is a dump on stdout.
    pub fn new(level: MessageLevel, dump_on_stdout: bool) -> Messages {
        Messages { level, dump_on_stdout, voice: Voice::default() }
    }

    /// The same in the words of `voice`.
    pub fn with(self, voice: Voice) -> Messages {
        Messages { voice, ..self }
    }

    /// Whose words are used.
    pub fn voice(self) -> Voice {
        self.voice
    }

    /// Whether a kind is printed.
    pub fn has(self, kind: MessageLevel) -> bool {
        self.level.intersects(kind)
    }

    /// Prints an error.
    pub fn error(self, text: &str) {
        self.stderr(MessageLevel::ERROR, &format!("{}: {}\n", self.voice.name(), escaped_line(text)));
    }

    /// Prints what deserves attention although the work goes on.
    pub fn warning(self, text: &str) {
        self.stderr(MessageLevel::ERROR, &format!("{}: warning: {}\n", self.voice.name(), escaped_line(text)));
    }

    /// Prints what was done.
    pub fn common(self, text: &str) {
        self.stdout(MessageLevel::COMMON, text);
    }

    /// Prints a line that callers of makedumpfile look for, set off as it does.
    pub fn outcome(self, text: &str) {
        match self.voice {
            Voice::Gdump => self.common(&format!("{text}\n")),
            Voice::Makedumpfile => self.common(&format!("\n{text}\n")),
        }
    }

    /// Prints vmcoreinfo and what follows from it.
    pub fn debug(self, text: &str) {
        self.stdout(MessageLevel::DEBUG, text);
    }

    /// Prints makedumpfile's page report.
    pub fn report(self, text: &str) {
        self.stdout(MessageLevel::REPORT, text);
    }

    fn stderr(self, kind: MessageLevel, text: &str) {
        if self.has(kind) {
            // if stderr is gone, the exit status is all that is left to report with
            let _ = std::io::stderr().lock().write_all(escaped(text).as_bytes());
        }
    }

    fn stdout(self, kind: MessageLevel, text: &str) {
        if self.dump_on_stdout {
            self.stderr(kind, text);
        } else if self.has(kind) {
            // the dump is what was asked for, not what is said of it
            let _ = try_print(text);
        }
    }
}

/// Prints to stdout, control characters [escaped]. A reader that went away is no failure; anything else is, and is said.
pub fn print(text: &str) -> Exit {
    match try_print(text) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Messages::default().error(&Error::from(e).within("stdout").to_string());
            Exit::Failed
        }
        _ => Exit::Completed,
    }
}

fn try_print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(escaped(text).as_bytes())?;
    out.flush()
}
