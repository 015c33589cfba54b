//! Where the dump goes.

use crate::plan::Conversion;
use dump::{Error, ErrorKind, FlatStream, NullOutput, OutputFile, Result, WriteAt};
use std::fs::{self, File, Metadata};
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Refuses outputs that cannot be written, before any work.
///
/// # Errors
/// If one exists and `-f` is not given, is an input or another output, or has no directory to be in.
pub fn check(plan: &Conversion) -> Result<()> {
    if plan.to_stdout() && !plan.dry_run && std::io::stdout().is_terminal() {
        return Err(refused("stdout is a terminal").hint("-F is for pipes").within("stdout"));
    }
    for (i, path) in plan.outputs.iter().enumerate() {
        if plan.outputs[..i].contains(path) {
            return Err(refused("given as output twice").within(path.display()));
        }
        check_path(path, &plan.inputs.paths, plan.force)?;
    }
    Ok(())
}

/// Refuses an output that cannot be written.
///
/// # Errors
/// As [`check`].
pub fn check_path(path: &Path, inputs: &[PathBuf], force: bool) -> Result<()> {
    match fs::metadata(path) {
        Ok(meta) => check_existing(&meta, inputs, force),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => check_parent(path),
        Err(e) => Err(e.into()),
    }
    .map_err(|e| e.within(path.display()))
}

fn check_existing(output: &Metadata, inputs: &[PathBuf], force: bool) -> Result<()> {
    if output.is_dir() {
        return Err(refused("Is a directory"));
    }
    let same = |path: &PathBuf| fs::metadata(path).is_ok_and(|m| (m.dev(), m.ino()) == (output.dev(), output.ino()));
    let kind = output.file_type();
    // nothing on a character device (/dev/null) or in a pipe can be overwritten
    if kind.is_char_device() || kind.is_fifo() {
        return Ok(());
    }
    if inputs.iter().any(same) {
        return Err(refused("input and output are the same file"));
    }
    if force { Ok(()) } else { Err(refused("File exists").hint("-f overwrites it")) }
}

fn check_parent(path: &Path) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::metadata(parent).map(drop).map_err(|e| Error::from(e).within(parent.display()))
}

fn refused(what: &str) -> Error {
    Error::new(ErrorKind::Io, what)
}

/// An output, open for writing.
pub enum Target {
    /// A file or a device.
    File(OutputFile),
    /// The flattened form, to stdout.
    Stream(FlatStream<File>),
    /// Nothing: a dry run.
    Null(NullOutput),
}

impl Target {
    /// Creates all outputs of a conversion.
    ///
    /// # Errors
    /// If a file cannot be created, or exists by now.
    pub fn create_all(plan: &Conversion) -> Result<Vec<Target>> {
        if plan.dry_run {
            return Ok((0..plan.outputs.len().max(1)).map(|_| Target::Null(NullOutput)).collect());
        }
        if plan.to_stdout() {
            // the descriptor itself: Stdout would look for the ends of lines
            let stdout = std::io::stdout().as_fd().try_clone_to_owned()?;
            return Ok(vec![Target::Stream(FlatStream::new(File::from(stdout)))]);
        }
        let create = |path: &PathBuf| create(path, plan.force).map(OutputFile::new).map(Target::File);
        plan.outputs.iter().map(create).collect()
    }

    /// The output, as the pipeline writes to it.
    pub fn output(&self) -> &dyn WriteAt {
        match self {
            Target::File(file) => file,
            Target::Stream(stream) => stream,
            Target::Null(null) => null,
        }
    }

    /// Ends a stream, and waits until what was written to a file is on the disk.
    ///
    /// # Errors
    /// If an earlier write is only now reported as failed.
    pub fn finish(&self) -> Result<()> {
        match self {
            Target::File(file) => file.sync(),
            Target::Stream(stream) => stream.finish(),
            Target::Null(_) => Ok(()),
        }
    }
}

/// Creates a file; only its owner may read it, for a dump holds what its machine held.
///
/// # Errors
/// If it cannot be created, or exists by now.
pub fn create(path: &Path, force: bool) -> Result<File> {
    let is_device = fs::metadata(path).is_ok_and(|meta| !meta.is_file());
    let mut options = File::options();
    options.read(!is_device).write(true).mode(0o600);
    match (is_device, force) {
        (true, _) => &mut options,
        (false, true) => options.create(true).truncate(true),
        (false, false) => options.create_new(true),
    };
    options.open(path).map_err(|e| Error::from(e).within(path.display()))
}

/// Removes outputs of which nothing can be read. A device stays, of course.
pub fn remove(paths: &[PathBuf]) {
    for path in paths.iter().filter(|path| fs::metadata(path).is_ok_and(|meta| meta.is_file())) {
        let _ = fs::remove_file(path); // if this fails too, the message that follows names the file
    }
}
