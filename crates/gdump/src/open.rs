//! Opens an input, whatever it is.

use crate::probe::{Kind, PREFIX, probe};
use crate::unpack;
use dump_core::{Error, ErrorKind, InputFile, ReadAt, Result, Watch};
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::Path;

/// An opened input.
pub struct Input {
    /// Its bytes, unpacked.
    pub bytes: InputFile,
    /// Why they end early, where the packed data does.
    pub damage: Option<Error>,
}

/// Opens `path` and unpacks it if need be.
///
/// # Errors
/// One line that says what the file is, where it is nothing that we read.
pub fn open(path: &Path, watch: &dyn Watch) -> Result<Input> {
    let file = File::open(path).map_err(Error::from)?;
    let len = length(&file)?;
    let mut prefix = vec![0; PREFIX.min(usize::try_from(len).unwrap_or(PREFIX))];
    let bytes = InputFile::new(file.try_clone()?, len);
    bytes.read_exact_at(0, &mut prefix)?;
    match probe(&prefix) {
        Kind::Elf => Ok(Input { bytes, damage: None }),
        Kind::Zstd => open_packed(file, len, watch),
        Kind::Known(name) => Err(Error::unsupported(format!("{name}; this version reads ELF vmcores only"))),
        Kind::Text => Err(not_a_dump("a text file, not a dump")),
        Kind::Unknown if len == 0 => Err(not_a_dump("empty, not a dump")),
        Kind::Unknown => Err(not_a_dump("not a dump that is known here")),
    }
}

fn open_packed(file: File, len: u64, watch: &dyn Watch) -> Result<Input> {
    let (spool, len, damage) = unpack::zstd(file, len, watch)?;
    let bytes = InputFile::new(spool, len);
    let mut prefix = vec![0; PREFIX.min(usize::try_from(len).unwrap_or(PREFIX))];
    bytes.read_exact_at(0, &mut prefix)?;
    match probe(&prefix) {
        Kind::Elf => Ok(Input { bytes, damage }),
        Kind::Known(name) => {
            Err(Error::unsupported(format!("packed with zstd, {name} inside; this version reads ELF vmcores only")))
        }
        _ => Err(not_a_dump("packed with zstd, but no dump inside")),
    }
}

fn not_a_dump(what: &str) -> Error {
    Error::new(ErrorKind::BadMagic, what)
}

/// The length of a file or a device. Some kernels give `/proc/vmcore` none; it is then taken to go on for ever, and reading
/// past its end is what tells.
fn length(file: &File) -> Result<u64> {
    let meta = file.metadata()?;
    let kind = meta.file_type();
    if meta.is_dir() {
        return Err(not_a_dump("a directory, not a dump"));
    }
    if kind.is_fifo() || kind.is_socket() || kind.is_char_device() {
        return Err(Error::unsupported(
            "not a file; a vmcore is read at random, so it cannot come from a pipe or terminal",
        ));
    }
    if meta.len() != 0 {
        return Ok(meta.len());
    }
    let end = (&*file).seek(SeekFrom::End(0)).unwrap_or(0);
    let endless = end == 0 && matches!(file.read_at(&mut [0], 0), Ok(1));
    Ok(if endless { i64::MAX as u64 } else { end })
}
