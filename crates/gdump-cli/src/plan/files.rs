//! File names on the command line.

use super::output::command;
use crate::args::ConvertArgs;
use std::path::{Path, PathBuf};

/// What stands for stdin or stdout.
pub(super) const STDIO: &str = "-";

/// Whether `path` stands for stdin.
pub fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == STDIO
}

/// Inputs and outputs, none for stdout or a name that is made up; `commands` may be among the latter.
pub(super) fn files(args: &ConvertArgs, commands: bool) -> Result<(Vec<PathBuf>, Vec<PathBuf>), String> {
    let disks = args.diskset.as_slice();
    let Some(first) = disks.first() else { return files_of(args, &args.files, commands) };
    // one that stands for all of them, since the set has no other VMCORE
    let named = [std::slice::from_ref(first), &args.files].concat();
    let (inputs, outputs) = files_of(args, &named, commands)?;
    match inputs.as_slice() {
        [_] => Ok((disks.to_vec(), outputs)),
        _ => Err(format!("--diskset: expected no VMCORE beside the disks, found {}", inputs.len() - 1)),
    }
}

fn files_of(args: &ConvertArgs, files: &[PathBuf], commands: bool) -> Result<(Vec<PathBuf>, Vec<PathBuf>), String> {
    let found = files.len();
    match files {
        [input, outputs @ ..] if args.split && outputs.len() > 1 => Ok((vec![input.clone()], outputs.to_vec())),
        _ if args.split => Err(format!("--split: expected file names VMCORE and 2 or more DUMPFILEs, found {found}")),
        [inputs @ .., last] if args.flattened && !inputs.is_empty() && last.as_os_str() == STDIO => {
            Ok((inputs.to_vec(), Vec::new()))
        }
        [inputs @ .., last] if args.flattened && !inputs.is_empty() && commands && command(last).is_some() => {
            Ok((inputs.to_vec(), vec![last.clone()]))
        }
        inputs @ [_, ..] if args.flattened => Ok((inputs.to_vec(), Vec::new())),
        inputs @ [_, ..] if args.mem_usage => Ok((inputs.to_vec(), Vec::new())),
        _ if args.mem_usage => Err("--mem-usage: expected file name VMCORE, found none".to_owned()),
        _ if args.flattened => Err("-F: expected file name VMCORE, found none".to_owned()),
        inputs @ [_, ..] if args.output_dir.is_some() => Ok((inputs.to_vec(), Vec::new())),
        _ if args.output_dir.is_some() => Err("--output-dir: expected file name VMCORE, found none".to_owned()),
        [inputs @ .., output] if !inputs.is_empty() => Ok((inputs.to_vec(), vec![output.clone()])),
        _ => Err(format!("expected file names VMCORE and DUMPFILE, found {found}")),
    }
}
