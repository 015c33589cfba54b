//! What is printed, and where: makedumpfile's message levels, and its words where it is called by that name. All that
//! is printed comes through here, so that nothing that a dump says of itself is obeyed by a terminal.

use crate::escape::{escaped, escaped_line};
use crate::exit::Exit;
use dump::Error;
use std::io::{ErrorKind, Write};
use std::sync::OnceLock;

/// The name that the program was called by.
static NAME: OnceLock<&str> = OnceLock::new();

/// Why stdout did not take what was printed there, the first time.
static LOST: OnceLock<String> = OnceLock::new();

/// Set where stderr is what must not be written to.
static CLOSED: OnceLock<()> = OnceLock::new();

/// Says nothing on stderr from now on.
pub fn close_stderr() {
    let _ = CLOSED.set(());
}

/// Begins messages with `name` from now on.
pub fn begin_with(name: &'static str) {
    let _ = NAME.set(name); // once, in main()
}

/// What messages begin with.
pub fn name() -> &'static str {
    NAME.get().copied().unwrap_or("gdump")
}

/// Why something that was printed to stdout is lost, if anything is. A reader that went away lost nothing.
pub fn lost() -> Option<&'static str> {
    LOST.get().map(String::as_str)
}

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

    /// Whether [`common`](Messages::common) prints to stdout.
    pub fn prints_common(self) -> bool {
        self.has(MessageLevel::COMMON) && !self.dump_on_stdout
    }

    /// Prints an error.
    pub fn error(self, text: &str) {
        self.stderr(MessageLevel::ERROR, &format!("{}: {}\n", name(), escaped_line(text)));
    }

    /// Prints what deserves attention although the work goes on.
    pub fn warning(self, text: &str) {
        self.stderr(MessageLevel::ERROR, &format!("{}: warning: {}\n", name(), escaped_line(text)));
    }

    /// Prints how far the work is.
    pub fn progress(self, text: &str) {
        self.stderr(MessageLevel::PROGRESS, text);
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
        if self.has(kind) && CLOSED.get().is_none() {
            // if stderr is gone, the exit status is all that is left to report with
            let _ = std::io::stderr().lock().write_all(escaped(text).as_bytes());
        }
    }

    fn stdout(self, kind: MessageLevel, text: &str) {
        if self.dump_on_stdout {
            self.stderr(kind, text);
        } else if self.has(kind) {
            // where a dump is written, that is what was asked for, not what is said of it: see Plan::prints
            print_or_lose(text);
        }
    }
}

/// Prints to stdout, control characters [escaped]. A reader that went away is no failure; anything else is, and is said.
pub fn print(text: &str) -> Exit {
    print_or_lose(text);
    finished()
}

/// Says what is lost, if anything is.
fn finished() -> Exit {
    match lost() {
        None => Exit::Completed,
        Some(why) => {
            Messages::default().error(why);
            Exit::Failed
        }
    }
}

/// Prints a drawing to stdout as it is: its colours are control characters, and it has no others.
pub fn print_drawn(text: &str) -> Exit {
    lose(try_write(text));
    finished()
}

fn print_or_lose(text: &str) {
    lose(try_write(&escaped(text)));
}

fn lose(written: std::io::Result<()>) {
    match written {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            let _ = LOST.set(Error::from(e).within("stdout").to_string()); // the first is why
        }
        _ => {}
    }
}

fn try_write(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
