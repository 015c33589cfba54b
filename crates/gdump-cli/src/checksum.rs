//! Files of checksums beside dumps.

use crate::output_path::OutputOptions;
use crate::target;
use dump::{ErrorKind, InputFile, ReadAt, Result, Summed, Sums, WriteAt, file_hash};
use rustix::fs::OFlags;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Enough to tell what kind of file it is (bytes).
const HEAD: u64 = 64;

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
    let sums = open(path).and_then(|file| summed.sums(&file)).map_err(|e| e.within(path.display()))?;
    store(path, &sums, force)
}

/// Sees that the whole dump at `path` has its checksums, which a run that was killed may not have come to.
///
/// # Errors
/// As [`write`].
pub fn complete(path: &Path) -> Result<()> {
    if let Ok(Some(_)) = read(path) {
        return Ok(());
    }
    forget(path);
    let sums = open(path).and_then(|file| Sums::of(&file)).map_err(|e| e.within(path.display()))?;
    store(path, &sums, false)
}

fn store(path: &Path, sums: &Sums, force: bool) -> Result<()> {
    let beside = path_of(path);
    let mut file = target::open_one(&beside, &[], OutputOptions { force, ..OutputOptions::default() })?;
    file.begin()?;
    let written = file.output().write_at(0, sums.to_text().as_bytes());
    let stored = written.and_then(|()| file.output().sync()).map_err(|e| e.within(beside.display()));
    // a part of them would make a whole dump look damaged
    stored.and_then(|()| file.finish()).inspect_err(|_| {
        file.discard();
    })
}

/// The checksums of the dump at `path`, if gdump put some beside it, and its file.
///
/// # Errors
/// If they are there and cannot be read.
pub fn read(path: &Path) -> Result<Option<(InputFile, Sums)>> {
    let beside = path_of(path);
    let found = match open_regular(&beside) {
        Ok(Some(file)) => input(file).and_then(|file| Sums::read(&file)),
        Ok(None) => return Ok(None),
        Err(e) => Err(e.into()),
    };
    match found {
        Ok(sums) => Ok(Some((open(path)?, sums))),
        Err(e) if e.kind() == ErrorKind::BadMagic => Ok(None), // somebody else's
        Err(e) => Err(e.within(beside.display())),
    }
}

/// Removes checksums of a dump that was at `path` before; another file of that name stays.
pub fn forget(path: &Path) {
    let beside = path_of(path);
    let Ok(Some(file)) = open_regular(&beside) else { return };
    let mut head = Vec::new();
    if file.take(HEAD).read_to_end(&mut head).is_ok() && Sums::are_begun(&head) {
        let _ = fs::remove_file(&beside); // if it stays, a check says that it does not fit
    }
}

/// Opens a file if it is one: what opening or reading a pipe or a device would wait for may never come.
fn open_regular(path: &Path) -> io::Result<Option<File>> {
    if !fs::metadata(path).is_ok_and(|meta| meta.is_file()) {
        return Ok(None);
    }
    let file = File::options().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)?;
    Ok(file.metadata()?.is_file().then_some(file))
}

/// The length of the file at `path` (bytes), and the digest of all its bytes.
///
/// # Errors
/// If it cannot be read.
pub fn digest(path: &Path) -> Result<(u64, String)> {
    let digest = |file: InputFile| Ok((file.len()?, format!("blake3:{}", file_hash(&file)?)));
    open(path).and_then(digest).map_err(|e| e.within(path.display()))
}

fn open(path: &Path) -> Result<InputFile> {
    input(File::open(path)?)
}

fn input(file: File) -> Result<InputFile> {
    let len = file.metadata()?.len();
    Ok(InputFile::unmapped(file, len))
}
