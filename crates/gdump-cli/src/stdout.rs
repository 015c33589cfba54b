//! What stdout and stderr are: nothing is printed over what a run reads or writes, and a dump that goes to stdout arrives
//! somewhere.

use crate::output_path::Identity;
use crate::plan::Plan;
use crate::target::{descriptor, identities};
use dump::{Error, ErrorKind, Result};
use rustix::fs::{OFlags, fcntl_getfl};
use std::fs::{self, Metadata};
use std::io::{IsTerminal, stderr, stdout};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;

/// Whether stdout is one of the files at `paths`, so that what is printed there would be written over them.
pub fn is_one_of(paths: &[PathBuf]) -> bool {
    let file = descriptor(stdout()).filter(Metadata::is_file);
    file.is_some_and(|meta| identities(paths).contains(&Identity::of(&meta)))
}

/// Refuses what must not be written to.
///
/// # Errors
/// If stdout is an input, or the output of a verb that prints its result; if a dump
/// is to go to it and it is a terminal; if what was asked for goes to it and it is closed.
pub fn check(plan: &Plan) -> Result<()> {
    let Some(meta) = descriptor(stdout()) else { return Ok(()) };
    check_file(plan, &meta).and_then(|()| check_stream(plan, &meta)).map_err(|e| e.within("stdout"))
}

/// Whether what is said on stderr would be written over, or behind, an input.
pub fn stderr_is_read_by(plan: &Plan) -> bool {
    let meta = descriptor(stderr()).filter(|meta| meta.is_file() || meta.file_type().is_block_device());
    meta.is_some_and(|meta| identities(&plan.inputs()).contains(&Identity::of(&meta)))
}

fn check_file(plan: &Plan, meta: &Metadata) -> Result<()> {
    if !meta.is_file() && !meta.file_type().is_block_device() {
        return Ok(());
    }
    let identity = Identity::of(meta);
    if identities(&plan.inputs()).contains(&identity) {
        return Err(Error::new(ErrorKind::Io, "input and output are the same file"));
    }
    // the others print to stderr then
    if matches!(plan, Plan::Repair(_)) && identities(&plan.outputs()).contains(&identity) {
        return Err(Error::new(ErrorKind::Io, "is the output file, which the report would be written over"));
    }
    Ok(())
}

fn check_stream(plan: &Plan, meta: &Metadata) -> Result<()> {
    if plan.streams() && stdout().is_terminal() {
        return Err(Error::new(ErrorKind::Io, "is a terminal").hint("-F is for pipes"));
    }
    if !plan.needs_stdout() {
        return Ok(());
    }
    // A descriptor that was closed has been opened before main() like this. So do some programs that discard what others
    // print (Python's subprocess.DEVNULL).
    let reads = fcntl_getfl(stdout()).is_ok_and(|flags| flags & OFlags::RWMODE == OFlags::RDWR);
    if reads && fs::metadata("/dev/null").is_ok_and(|null| null.rdev() == meta.rdev()) {
        let hint = "it is closed, or /dev/null opened for reading as well; >/dev/null is fine";
        return Err(Error::new(ErrorKind::Io, "nothing can be written to it").hint(hint));
    }
    Ok(())
}
