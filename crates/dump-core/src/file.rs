//! Files read and written by offset.

use crate::bytes::{ReadAt, WriteAt};
use crate::error::{Error, Result};
use std::fs::File;
use std::io::{self, ErrorKind as IoKind};
use std::os::unix::fs::FileExt;

/// A file read with `pread`, which any number of workers may do at once.
///
/// Not mapped: a mapped page that cannot be read (memory pulled from under `/proc/vmcore`, a file cut short meanwhile)
/// kills the process with SIGBUS and loses the dump, where `pread` returns an error for that page alone.
pub struct InputFile {
    file: File,
    len: u64,
}

impl InputFile {
    /// Takes an open file of `len` bytes; the length is the caller's to find, since `/proc` files may not tell it.
    pub fn new(file: File, len: u64) -> InputFile {
        InputFile { file, len }
    }
}

impl ReadAt for InputFile {
    fn len(&self) -> Result<u64> {
        Ok(self.len)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let mut done = 0;
        while done < buf.len() {
            let at = offset.saturating_add(done as u64);
            match self.file.read_at(&mut buf[done..], at) {
                Ok(0) => return Err(Error::truncated("a read", offset.saturating_add(buf.len() as u64), at)),
                Ok(n) => done += n,
                Err(e) if e.kind() == IoKind::Interrupted => {}
                Err(e) => return Err(Error::from(e).within(format_args!("reading at offset {at:#x}"))),
            }
        }
        Ok(())
    }
}

/// A file written with `pwrite`.
pub struct OutputFile {
    file: File,
}

impl OutputFile {
    /// Takes a file open for writing.
    pub fn new(file: File) -> OutputFile {
        OutputFile { file }
    }

    /// Waits until all that was written is stored. Network file systems say only here that there was no room; pipes and
    /// devices that cannot wait have nothing to say.
    ///
    /// # Errors
    /// As [`WriteAt::write_at`].
    pub fn sync(&self) -> Result<()> {
        match self.file.sync_data() {
            Err(e) if e.kind() != IoKind::InvalidInput && e.raw_os_error() != Some(ROFS) => Err(e.into()),
            _ => Ok(()),
        }
    }
}

/// EROFS, which some devices answer to fsync.
const ROFS: i32 = 30;

impl WriteAt for OutputFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, offset).map_err(|e| located(e, offset))
    }

    fn zeros(&self, offset: u64, len: u64) -> Result<()> {
        let end = offset.saturating_add(len);
        let meta = self.file.metadata()?;
        if meta.is_file() {
            // A byte, not a length: another worker may have written further on since the length was asked, and setting it
            // now would cut that off.
            return if meta.len() < end { self.write_at(end - 1, &[0]) } else { Ok(()) };
        }
        // a device holds what it held before
        let piece = [0; 64 << 10];
        let mut at = offset;
        while at < end {
            let n = (end - at).min(piece.len() as u64);
            self.write_at(at, &piece[..n as usize])?;
            at += n;
        }
        Ok(())
    }
}

fn located(e: io::Error, offset: u64) -> Error {
    Error::from(e).within(format_args!("writing at offset {offset:#x}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Scratch;
    use crate::error::ErrorKind;

    #[test]
    fn a_short_file_is_truncated_not_a_panic() {
        let file = tempfile();
        let out = OutputFile::new(file.try_clone().unwrap());
        out.write_at(4, b"abcd").unwrap();
        out.zeros(8, 8).unwrap();
        out.zeros(0, 2).unwrap();
        let input = InputFile::new(file, 1 << 40);
        let mut scratch = Scratch::default();
        assert_eq!(input.view(2, 6, &mut scratch).unwrap(), b"\0\0abcd");
        assert_eq!(input.view(10, 7, &mut scratch).unwrap_err().kind(), ErrorKind::Truncated);
    }

    fn tempfile() -> File {
        let path = std::env::temp_dir().join(format!("dump-core-file-{}", std::process::id()));
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        file
    }
}
