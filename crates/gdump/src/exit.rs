//! Exit statuses, makedumpfile's.

use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: all that was asked for is done.
    Completed,
    /// 1: it is not; a dump that was begun is flagged incomplete, and readable as far as it goes.
    Failed,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        match exit {
            Exit::Completed => ExitCode::SUCCESS,
            Exit::Failed => ExitCode::from(1),
        }
    }
}
