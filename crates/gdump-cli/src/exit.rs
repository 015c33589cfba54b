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
    /// 75, as sendmail has it (EX_TEMPFAIL): the same may succeed another time. Only a batch and its jobs end with it.
    TryAgain,
}

impl From<&Error> for Exit {
    fn from(e: &Error) -> Exit {
        match e.kind() {
            ErrorKind::OtherKernel => Exit::OtherKernel,
            _ if e.is_temporary() => Exit::TryAgain,
            _ => Exit::Failed,
        }
    }
}

impl Exit {
    /// Its number.
    pub const fn status(self) -> u8 {
        match self {
            Exit::Completed => 0,
            Exit::Failed => 1,
            Exit::OtherKernel => 2,
            Exit::CommandFailed => 3,
            Exit::TryAgain => 75,
        }
    }

    /// What is said of it where nobody asks whether to try again.
    pub fn for_people(self) -> Exit {
        if self == Exit::TryAgain { Exit::Failed } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.status())
    }
}
