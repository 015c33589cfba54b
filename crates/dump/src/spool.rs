//! Inputs without random access: what is compressed or comes from a pipe is copied to a temporary file without a name.

use crate::compression::Compression;
use dump_core::{Error, ErrorKind, Phase, Result, Watch, is_zero};
use std::fs::{File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, PermissionsExt};

/// Bytes written at a time; a stretch of zeros as long is left a hole.
const BYTES_PER_WRITE: usize = 256 << 10;

/// What became of an input.
pub(crate) struct Spooled {
    /// Its bytes, in a file that ends with the process.
    pub file: File,
    /// How many.
    pub len: u64,
    /// Why they end early, if they do: what came before can be used.
    pub damage: Option<Error>,
}

/// Copies a stream, decompressed if it is compressed, to a temporary file. `total` is how much of it there is, 0 if
/// that is not known.
///
/// # Errors
/// If nothing can be decompressed, or the temporary file cannot hold it.
pub(crate) fn spool(
    stream: impl Read,
    compression: Option<&Compression>,
    total: u64,
    watch: &dyn Watch,
) -> Result<Spooled> {
    let file = temporary().map_err(|e| spool_error(e.into()))?;
    watch.begin(Phase::Spool, total);
    let counted = Counted { stream, watch };
    let copied = match compression {
        Some(row) => row.decoder(counted).and_then(|decoder| copy(decoder, row.name, &file, watch)),
        None => copy(Box::new(counted), "reading", &file, watch),
    };
    watch.end();
    let (len, damage) = copied?;
    file.set_len(len).map_err(|e| spool_error(e.into()))?;
    match damage {
        Some(e) if len == 0 => Err(e),
        damage => Ok(Spooled { file, len, damage }),
    }
}

/// A file without a name that only its owner can read, whatever the umask: `/proc` has a name for it.
fn temporary() -> io::Result<File> {
    let file = tempfile::tempfile()?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// A stream that reports how much of it was read.
struct Counted<'a, R> {
    stream: R,
    watch: &'a dyn Watch,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.stream.read(buf)?;
        self.watch.advance(n as u64);
        Ok(n)
    }
}

fn copy(mut stream: Box<dyn Read + '_>, name: &str, to: &File, watch: &dyn Watch) -> Result<(u64, Option<Error>)> {
    let mut piece = vec![0; BYTES_PER_WRITE];
    let mut at = 0;
    loop {
        let (n, damage) = fill(&mut stream, &mut piece);
        if !is_zero(&piece[..n]) {
            to.write_all_at(&piece[..n], at).map_err(|e| spool_error(e.into()))?;
        }
        at += n as u64;
        if watch.stopped() {
            return Err(Error::new(
                ErrorKind::Interrupted,
                "interrupted while the input was copied to a temporary file",
            ));
        }
        if damage.is_some() || n < piece.len() {
            return Ok((at, damage.map(|e| Error::from(e).within(name))));
        }
    }
}

/// Reads until `piece` is full or the stream ends; says why, where it ends in an error.
pub(crate) fn fill(stream: &mut dyn Read, piece: &mut [u8]) -> (usize, Option<io::Error>) {
    let mut n = 0;
    while n < piece.len() {
        match stream.read(&mut piece[n..]) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return (n, Some(e)),
        }
    }
    (n, None)
}

fn spool_error(e: Error) -> Error {
    let dir = std::env::temp_dir();
    e.within(format_args!("temporary file in {}", dir.display()))
        .hint("set TMPDIR to a directory with room for the dump as it is when decompressed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_file_is_its_owners() {
        assert_eq!(temporary().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
