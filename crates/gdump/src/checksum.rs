//! Files of checksums beside dumps.

use crate::output_path::OutputOptions;
use crate::target;
use dump::{Error, ErrorKind, InputFile, Result, Summed, Sums, WriteAt};
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The file with the checksums of the dump at `path`.
pub fn path_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".sum");
    PathBuf::from(name)
}

/// Writes the checksums of the dump that was written to `path` through `summed`.
///
/// # Errors
/// If the dump cannot be read, or the file not be written.
pub fn write(path: &Path, summed: Summed<'_>, force: bool) -> Result<()> {
    let beside = path_of(path);
    let sums = open(path).and_then(|file| summed.sums(&file)).map_err(|e| e.within(path.display()))?;
    let file = target::open_one(&beside, &[], OutputOptions { force, ..OutputOptions::default() })?;
    let written = file.begin().and_then(|()| file.output().write_at(0, sums.to_text().as_bytes()));
    let stored = written.and_then(|()| file.output().sync()).map_err(|e| e.within(beside.display()));
    // a part of them would make a whole dump look damaged
    stored.and_then(|()| file.finish()).inspect_err(|_| file.discard())
}

/// The checksums of the dump at `path`, if gdump put some beside it, and its file.
///
/// # Errors
/// If they are there and cannot be read.
pub fn read(path: &Path) -> Result<Option<(InputFile, Sums)>> {
    let beside = path_of(path);
    if !fs::metadata(&beside).is_ok_and(|meta| meta.is_file()) {
        return Ok(None);
    }
    match fs::read_to_string(&beside).map_err(Error::from).and_then(|text| Sums::parse(&text)) {
        Ok(sums) => Ok(Some((open(path)?, sums))),
        Err(e) if e.kind() == ErrorKind::BadMagic => Ok(None), // somebody else's
        Err(e) => Err(e.within(beside.display())),
    }
}

/// Removes checksums of a dump that was at `path` before; another file of that name stays.
pub fn forget(path: &Path) {
    let beside = path_of(path);
    if fs::read_to_string(&beside).is_ok_and(|text| Sums::parse(&text).is_ok()) {
        let _ = fs::remove_file(&beside); // if it stays, a check says that it does not fit
    }
}

fn open(path: &Path) -> Result<InputFile> {
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    Ok(InputFile::unmapped(file, len))
}
