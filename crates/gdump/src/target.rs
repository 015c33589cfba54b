//! Where the dump goes.

use crate::plan::Plan;
use dump_core::{Error, OutputFile, Result, WriteAt};
use dump_pipe::NullOutput;
use std::fs::{self, File, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Refuses an output that cannot be, before any work.
///
/// # Errors
/// Where it exists and `-f` is not given, is the input itself, or has no directory to be in.
pub fn check(plan: &Plan) -> Result<()> {
    let path = &plan.output;
    match fs::metadata(path) {
        Ok(meta) => check_existing(plan, &meta),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => check_parent(path),
        Err(e) => Err(e.into()),
    }
    .map_err(|e| e.within(path.display()))
}

fn check_existing(plan: &Plan, output: &Metadata) -> Result<()> {
    if output.is_dir() {
        return Err(exists("Is a directory"));
    }
    if fs::metadata(&plan.input).is_ok_and(|input| (input.dev(), input.ino()) == (output.dev(), output.ino())) {
        return Err(exists("the dump to read and the dump to write are one file"));
    }
    // nothing on a character device (/dev/null) can be overwritten
    if plan.force || output.file_type().is_char_device() {
        return Ok(());
    }
    Err(exists("File exists").hint("-f overwrites it"))
}

fn check_parent(path: &Path) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::metadata(parent).map(drop).map_err(|e| Error::from(e).within(parent.display()))
}

fn exists(what: &str) -> Error {
    Error::new(dump_core::ErrorKind::Io, what)
}

/// An output, open for writing.
pub enum Target {
    /// A file or a device.
    File(OutputFile),
    /// Nothing: a dry run.
    Null(NullOutput),
}

impl Target {
    /// Creates the output; only its owner may read it, for a dump holds what its machine held.
    ///
    /// # Errors
    /// Where the file cannot be created, or exists by now.
    pub fn create(plan: &Plan) -> Result<Target> {
        if plan.dry_run {
            return Ok(Target::Null(NullOutput));
        }
        let is_device = fs::metadata(&plan.output).is_ok_and(|meta| !meta.is_file());
        let mut options = File::options();
        options.write(true).mode(0o600);
        match (is_device, plan.force) {
            (true, _) => &mut options,
            (false, true) => options.create(true).truncate(true),
            (false, false) => options.create_new(true),
        };
        let file = options.open(&plan.output).map_err(|e| Error::from(e).within(plan.output.display()))?;
        Ok(Target::File(OutputFile::new(file)))
    }

    /// The output, as the pipeline writes to it.
    pub fn output(&self) -> &dyn WriteAt {
        match self {
            Target::File(file) => file,
            Target::Null(null) => null,
        }
    }

    /// Makes sure that what was written arrived.
    ///
    /// # Errors
    /// Where the file system only now says that it did not.
    pub fn sync(&self) -> Result<()> {
        match self {
            Target::File(file) => file.sync(),
            Target::Null(_) => Ok(()),
        }
    }
}

/// Takes an output away of which nothing can be read. A device stays, of course.
pub fn remove(plan: &Plan) {
    if !plan.dry_run && fs::metadata(&plan.output).is_ok_and(|meta| meta.is_file()) {
        let _ = fs::remove_file(&plan.output); // if this fails too, the message that follows names the file
    }
}
