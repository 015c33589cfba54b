//! Where a dump goes.

use crate::args::ConvertArgs;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What an output begins with that is a shell command.
const BAR: u8 = b'|';

/// Where a dump goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// To files: one, or the parts of a split dump.
    Files(Vec<PathBuf>),
    /// To stdout, flattened.
    Stdout,
    /// To the standard input of a shell command.
    Command {
        /// What the shell runs.
        text: OsString,
        /// Whether it gets the dump flattened whatever its format is.
        flattened: bool,
    },
    /// To a new file in a directory, whose name has the time in it.
    Directory(Naming),
}

/// How a file is named that nobody names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    /// The directory that it is made in.
    pub directory: PathBuf,
    /// What its name begins with.
    pub prefix: OsString,
}

/// The prefix of the QNX hypervisor, where a guest has no name.
const PREFIX: &str = "qvm-guest";

impl Output {
    /// The files that a user named.
    pub fn files(&self) -> &[PathBuf] {
        match self {
            Output::Files(files) => files,
            Output::Stdout | Output::Command { .. } | Output::Directory(_) => &[],
        }
    }

    /// Whether it goes where nothing can be taken back or begun anew.
    pub fn is_stream(&self) -> bool {
        matches!(self, Output::Stdout | Output::Command { .. })
    }

    /// Of a command line with `files` as outputs, none for stdout; only where `commands` are taken, a bar begins one.
    pub(super) fn of(files: Vec<PathBuf>, args: &ConvertArgs, commands: bool) -> Result<Output, String> {
        if let Some(directory) = &args.output_dir {
            if args.flattened || args.split {
                return Err("--output-dir names one file and cannot be combined with -F or --split".to_owned());
            }
            let prefix = args.prefix.clone().unwrap_or(PREFIX.into());
            return Ok(Output::Directory(Naming { directory: directory.clone(), prefix }));
        }
        if args.prefix.is_some() {
            return Err("--prefix goes with --output-dir".to_owned());
        }
        let command = |path: &Path| command(path).filter(|_| commands).map(OsStr::to_owned);
        match files.as_slice() {
            [] => Ok(Output::Stdout),
            [path] => Ok(match command(path) {
                Some(text) if text.is_empty() => return Err("|: expected a shell command after it".to_owned()),
                Some(text) => Output::Command { text, flattened: args.flattened },
                None => Output::Files(files),
            }),
            paths if paths.iter().any(|path| command(path).is_some()) => {
                Err("the parts of a split dump go to files, not to commands (|)".to_owned())
            }
            _ => Ok(Output::Files(files)),
        }
    }
}

/// The command that `path` is, if it is one.
pub(super) fn command(path: &Path) -> Option<&OsStr> {
    path.as_os_str()
        .as_bytes()
        .split_first()
        .filter(|(first, _)| **first == BAR)
        .map(|(_, rest)| OsStr::from_bytes(rest))
}

/// Refuses a command where what is written is no dump, or is written to and fro.
pub(super) fn refuse_command(path: &Path, what: &str) -> Result<(), String> {
    match command(path) {
        Some(_) => Err(format!("{what} writes a file, not to a command (./ before the name makes | part of it)")),
        None => Ok(()),
    }
}
