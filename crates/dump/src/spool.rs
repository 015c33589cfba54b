//! Inputs without random access: what is compressed or comes from a pipe is copied to a temporary file without a name.

use crate::unpack::damage;
use dump_core::{Error, ErrorKind, Phase, Result, Watch, is_zero};
use rustix::fs::{OFlags, fstatvfs};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

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

/// Copies a stream to a temporary file in `dir`. `max_len` is how long it may be, where that was said.
///
/// # Errors
/// If there is nothing but damage; if the stream is longer than it may be, or the temporary file cannot hold it.
pub(crate) fn spool(mut stream: impl Read, dir: &Path, max_len: Option<u64>, watch: &dyn Watch) -> Result<Spooled> {
    let file = create(dir).map_err(|e| spool_error(dir, e.into()))?;
    let mut copy = Copy { room: Room::new(&file, max_len), file: &file, at: 0, stored: 0, dir };
    let damage = copy.all(&mut stream, watch)?;
    let len = copy.at;
    file.set_len(len).map_err(|e| spool_error(dir, e.into()))?;
    match damage {
        Some(e) if len == 0 => Err(e),
        damage => Ok(Spooled { file, len, damage }),
    }
}

/// A stream that reports how much of it was read.
pub(crate) struct Counted<'a, R> {
    stream: R,
    watch: &'a dyn Watch,
}

impl<'a, R> Counted<'a, R> {
    /// Begins to report; `total` is how much there is, 0 if that is not known.
    pub fn new(stream: R, total: u64, watch: &'a dyn Watch) -> Counted<'a, R> {
        watch.begin(Phase::Spool, total);
        Counted { stream, watch }
    }
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.stream.read(buf)?;
        self.watch.advance(n as u64);
        Ok(n)
    }
}

impl<R> Drop for Counted<'_, R> {
    fn drop(&mut self) {
        self.watch.end();
    }
}

/// How much the temporary file may take.
enum Room {
    /// As many bytes, zeros included.
    Said(u64),
    /// As many that are stored: most of what is free there. A file system that is full stops others than us.
    Free(u64),
    /// Nobody knows.
    Unknown,
}

impl Room {
    fn new(file: &File, max_len: Option<u64>) -> Room {
        match (max_len, fstatvfs(file)) {
            (Some(max_len), _) => Room::Said(max_len),
            (None, Ok(there)) if there.f_blocks != 0 => {
                Room::Free(there.f_bavail.saturating_mul(there.f_frsize) / 8 * 7)
            }
            (None, _) => Room::Unknown,
        }
    }

    fn check(&self, len: u64, stored: u64) -> Result<()> {
        match *self {
            Room::Said(max) if len > max => {
                Err(Error::new(ErrorKind::NoSpace, format!("unpacked, it is longer than {max} bytes"))
                    .hint("--max-unpacked SIZE allows more"))
            }
            Room::Free(max) if stored > max => {
                let what = format!("unpacked, it takes more than {max} bytes, 7/8 of what is free there");
                Err(Error::new(ErrorKind::NoSpace, what).temporary().hint(format!("{TMPDIR}, or --max-unpacked SIZE")))
            }
            _ => Ok(()),
        }
    }
}

const TMPDIR: &str = "set TMPDIR to a directory with room for the dump as it is when decompressed";

/// A temporary file, as far as it was written.
struct Copy<'a> {
    room: Room,
    file: &'a File,
    /// How long it is.
    at: u64,
    /// How much of that is no hole.
    stored: u64,
    dir: &'a Path,
}

impl Copy<'_> {
    /// Copies all of `stream`; returns why it ends early, if it does.
    fn all(&mut self, stream: &mut dyn Read, watch: &dyn Watch) -> Result<Option<Error>> {
        let mut piece = vec![0; BYTES_PER_WRITE];
        loop {
            let (n, e) = fill(stream, &mut piece);
            self.piece(&piece[..n])?;
            if watch.stopped() {
                let what = "interrupted while the input was copied to a temporary file";
                return Err(Error::new(ErrorKind::Interrupted, what));
            }
            if e.is_some() || n < piece.len() {
                return Ok(e.map(damage));
            }
        }
    }

    fn piece(&mut self, bytes: &[u8]) -> Result<()> {
        let stored = if is_zero(bytes) { 0 } else { bytes.len() as u64 };
        let (len, stored) = (self.at + bytes.len() as u64, self.stored + stored);
        self.room.check(len, stored).map_err(|e| e.within(place(self.dir)))?;
        if stored != self.stored {
            self.file.write_all_at(bytes, self.at).map_err(|e| spool_error(self.dir, e.into()))?;
        }
        (self.at, self.stored) = (len, stored);
        Ok(())
    }
}

/// Reads until `piece` is full or the stream ends; says why, where it ends in an error.
fn fill(stream: &mut dyn Read, piece: &mut [u8]) -> (usize, Option<io::Error>) {
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

/// The directory of temporary files, to which dumps are unpacked: `wanted` if it is one, else `TMPDIR`, or `/tmp` where
/// that is not set or empty.
pub fn directory(wanted: Option<&Path>) -> PathBuf {
    if let Some(dir) = wanted.filter(|dir| dir.is_dir()) {
        return dir.to_owned();
    }
    let dir = std::env::temp_dir();
    if dir.as_os_str().is_empty() { PathBuf::from("/tmp") } else { dir }
}

/// A file that has no name and gets none (O_EXCL), which only its owner may read: a dump holds secrets. Where the file
/// system has no such files, one that is made anew and loses its name at once.
fn create(dir: &Path) -> io::Result<File> {
    let flags = (OFlags::TMPFILE | OFlags::EXCL).bits() as i32;
    let nameless = File::options().read(true).write(true).mode(0o600).custom_flags(flags).open(dir);
    nameless.or_else(|_| {
        let (file, path) = tempfile::NamedTempFile::new_in(dir)?.into_parts();
        path.close()?;
        Ok(file)
    })
}

fn place(dir: &Path) -> String {
    format!("temporary file in {}", dir.display())
}

fn spool_error(dir: &Path, e: Error) -> Error {
    e.within(place(dir)).hint(TMPDIR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dump_core::NoWatch;
    use std::os::unix::fs::MetadataExt;

    fn spooled(bytes: &[u8], max_len: Option<u64>) -> Result<Spooled> {
        spool(bytes, &directory(None), max_len, &NoWatch)
    }

    #[test]
    fn a_file_without_a_name_for_its_owner_alone() {
        let spooled = spooled(b"secret", None).unwrap();
        let meta = spooled.file.metadata().unwrap();
        assert_eq!((meta.nlink(), meta.mode() & 0o777, meta.len()), (0, 0o600, 6));
    }

    #[test]
    fn no_longer_than_was_said() {
        let bytes = vec![0; 300_000];
        assert!(spooled(&bytes, Some(300_000)).is_ok_and(|spooled| spooled.len == 300_000));
        let e = spooled(&bytes, Some(299_999)).err().unwrap();
        assert_eq!(e.kind(), ErrorKind::NoSpace);
        assert!(e.to_string().contains("longer than 299999 bytes (--max-unpacked"), "{e}");
    }

    #[test]
    fn no_more_than_most_of_what_is_free() {
        let room = Room::Free(7);
        assert!(room.check(100, 7).is_ok(), "holes take no room");
        let e = room.check(8, 8).unwrap_err();
        assert!(e.kind() == ErrorKind::NoSpace && e.to_string().contains("7/8"), "{e}");
    }
}
