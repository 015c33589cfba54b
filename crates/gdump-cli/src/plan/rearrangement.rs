//! From a flattened dump to a regular one.

use super::files::is_stdin;
use crate::args::ConvertArgs;
use crate::messages::{Messages, Voice};
use crate::stdout;
use dump::DumpLevel;
use std::path::PathBuf;

/// From a flattened dump to a regular one.
#[derive(Debug)]
pub struct Rearrangement {
    /// The flattened dump; `None` is stdin.
    pub input: Option<PathBuf>,
    /// The file to write.
    pub output: PathBuf,
    /// Whether it is overwritten.
    pub force: bool,
    /// Whether it appears under its name only when it is whole.
    pub atomic: bool,
    /// Whether nothing waits until it is stored.
    pub unsynced: bool,
    /// Which messages are printed, and where.
    pub messages: Messages,
}

pub(super) fn rearrangement(args: &ConvertArgs, voice: Voice) -> Result<Rearrangement, String> {
    let (input, output) = match args.files.as_slice() {
        [output] => (None, output),
        [input, output] => (Some(input.clone()), output),
        files => return Err(format!("-R: expected file names [FILE] DUMPFILE, found {}", files.len())),
    };
    if args.codec().is_some() || args.elf || args.format.is_some() || args.levels.0 != [DumpLevel::default()] {
        let others = "-c, -l, -p, -z, --codec, -E, --format or -d";
        return Err(format!("-R changes no page of a dump and cannot be combined with {others}"));
    }
    // what it would leave undone or do otherwise than asked; the rest (threads, memory) is about how, not what
    let unheeded = [
        (args.dry_run, "--dry-run"),
        (args.checksum, "--checksum"),
        (args.pfn_range.is_some(), "--pfn-range"),
        (args.raw.base.is_some(), "--raw-base"),
        (!args.raw.map.is_empty(), "--raw-map"),
        (args.max_unpacked.is_some(), "--max-unpacked"),
        (args.strict, "--strict"),
        (args.limit.is_some(), "-L"),
        (args.vtop.is_some(), "--vtop"),
    ];
    if let Some((_, name)) = unheeded.into_iter().find(|(given, _)| *given) {
        return Err(format!("-R and {name} cannot be combined"));
    }
    let input = input.filter(|path| !is_stdin(path));
    let messages = Messages::new(args.messages(), stdout::is_one_of(std::slice::from_ref(output))).with(voice);
    let (force, atomic, unsynced) = (args.force, args.atomic, args.no_sync);
    Ok(Rearrangement { input, output: output.clone(), force, atomic, unsynced, messages })
}
