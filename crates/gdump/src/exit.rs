//! Exit statuses, makedumpfile's.

use dump::{Error, ErrorKind};
use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: all that was asked for is done.
    Completed,
    /// 1: it is not; a dump that was begun is flagged incomplete, and readable as far as it goes.
    Failed,
    /// 2: a file that was given is not of the kernel in the dump.
    OtherKernel,
    /// 3: the command that got the dump failed, and nothing else did.
    CommandFailed,
}

impl From<&Error> for Exit {
    fn from(e: &Error) -> Exit {
        if e.kind() == ErrorKind::OtherKernel { Exit::OtherKernel } else { Exit::Failed }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        match exit {
            Exit::Completed => ExitCode::SUCCESS,
            Exit::Failed => ExitCode::from(1),
            Exit::OtherKernel => ExitCode::from(2),
            Exit::CommandFailed => ExitCode::from(3),
        }
    }
}
