//! The log of the dumped kernel.

use super::files::{files, is_stdin};
use super::inputs::Inputs;
use crate::args::{ConvertArgs, DmesgArgs};
use crate::messages::{MessageLevel, Messages, Voice};
use crate::stdout;
use dump::LogOptions;
use std::io::IsTerminal;
use std::path::PathBuf;

/// A log to write.
#[derive(Debug)]
pub struct DmesgPlan {
    /// The dump.
    pub inputs: Inputs,
    /// Where the log goes.
    pub target: LogTarget,
    /// What is wanted of it.
    pub log: LogOptions,
    /// How long it may be (bytes).
    pub limit: Option<u64>,
    /// Whether an existing file is overwritten.
    pub force: bool,
    /// Whether nothing waits until it is stored.
    pub unsynced: bool,
    /// Whether nothing is written.
    pub dry_run: bool,
    /// Which messages are printed, and where.
    pub messages: Messages,
}

/// Where a log goes.
#[derive(Debug)]
pub enum LogTarget {
    /// To a file.
    File(PathBuf),
    /// To stdout, all of it, as it would be in a file.
    Stream,
    /// To stdout, for people, as far as they read it.
    Reader,
}

impl LogTarget {
    /// A terminal's reader is a person.
    fn of_stdout() -> LogTarget {
        if std::io::stdout().is_terminal() { LogTarget::Reader } else { LogTarget::Stream }
    }
}

impl From<DmesgArgs> for DmesgPlan {
    fn from(args: DmesgArgs) -> DmesgPlan {
        DmesgPlan {
            inputs: Inputs::to_look_at(args.files, &args.raw, args.max_unpacked),
            target: LogTarget::Reader,
            log: LogOptions { partial: args.partial, callers: args.callers },
            limit: None,
            force: false,
            unsynced: true,
            dry_run: false,
            messages: Messages::new(MessageLevel::default(), true),
        }
    }
}

pub(super) fn dmesg(args: &ConvertArgs, voice: Voice) -> Result<DmesgPlan, String> {
    let (paths, outputs) = files(args, false)?;
    if outputs.iter().any(|path| is_stdin(path)) {
        return Err("-F writes the log to stdout".to_owned());
    }
    let streams = args.flattened || stdout::is_one_of(&outputs);
    Ok(DmesgPlan {
        inputs: Inputs::of(paths, args),
        target: outputs.into_iter().next().map_or_else(LogTarget::of_stdout, LogTarget::File),
        // makedumpfile names callers wherever vmcoreinfo says where they are
        log: LogOptions { partial: args.partial_dmesg, callers: true },
        limit: args.limit,
        force: args.force,
        unsynced: args.no_sync,
        dry_run: args.dry_run,
        messages: Messages::new(args.messages(), streams).with(voice),
    })
}
