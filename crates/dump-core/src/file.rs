//! Files read and written by offset.

use crate::bytes::{Buffer, ByteReader, ReadAt, WriteAt};
use crate::error::{Error, Result};
use crate::map::MappedWindow;
use crate::stretch::{Stretch, Stretches};
use rustix::fs::{PROC_SUPER_MAGIC, fstatfs};
use std::fs::{self, File};
use std::io::{self, ErrorKind as IoKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// A file read by any number of workers at once: with `pread`, holes of sparse files not at all, `/proc/vmcore` through
/// mapped windows where the kernel lets it be mapped. See `map.rs` for why no other file is.
pub struct InputFile {
    file: File,
    len: u64,
    /// Whether it is read through mapped windows.
    mapped: bool,
    /// `None` where the file has no holes.
    stretches: Option<Stretches>,
}

/// Whether a read failed that may succeed another time.
static FAILED: AtomicBool = AtomicBool::new(false);

/// Whether this process was refused a read that may succeed another time, of a disk or a server that failed. A page that
/// cannot be read is data, and why not ends where it is found, so that this is noted for the process.
pub fn reads_failed() -> bool {
    FAILED.load(Ordering::Relaxed)
}

fn noted(e: Error) -> Error {
    if e.is_temporary() {
        FAILED.store(true, Ordering::Relaxed);
    }
    e
}

/// Fewer bytes than this are read rather than mapped, unless a window has them anyway: page tables, wherever they lie.
const MAPPED_FROM: usize = 16 << 10;

/// The one file that is mapped.
const VMCORE: &str = "/proc/vmcore";

/// Whether `file` is the procfs file at `path`. Other files of procfs change while they are read, so that mapping them
/// would be unsound.
fn is_procfs_file(file: &File, path: &Path) -> bool {
    let is_procfs = fstatfs(file).is_ok_and(|fs| fs.f_type == PROC_SUPER_MAGIC);
    let identity = |meta: io::Result<fs::Metadata>| meta.ok().map(|meta| (meta.dev(), meta.ino()));
    let (this, that) = (identity(file.metadata()), identity(fs::metadata(path)));
    is_procfs && this.is_some() && this == that
}

impl InputFile {
    /// Takes an open file of `len` bytes; the length is the caller's to find, since files of `/proc` may not state it.
    pub fn new(file: File, len: u64) -> InputFile {
        let mapped = is_procfs_file(&file, Path::new(VMCORE));
        InputFile::with(file, len, mapped)
    }

    /// The same, and never mapped.
    pub fn unmapped(file: File, len: u64) -> InputFile {
        InputFile::with(file, len, false)
    }

    fn with(file: File, len: u64, mapped: bool) -> InputFile {
        let sparse = file.metadata().is_ok_and(|meta| meta.is_file() && meta.blocks().saturating_mul(512) < meta.len());
        let stretches = (sparse && !mapped).then(|| Stretches::new(len));
        InputFile { file, len, mapped, stretches }
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
                Err(e) => return Err(noted(e.into()).within(format_args!("reading at offset {at:#x}"))),
            }
        }
        Ok(())
    }

    fn stretch_at(&self, offset: u64) -> Stretch {
        let all = Stretch::Data(u64::MAX - offset);
        self.stretches.as_ref().map_or(all, |stretches| stretches.at(&self.file, offset))
    }

    fn reader(&self) -> Box<dyn ByteReader + '_> {
        Box::new(FileReader { input: self, window: None, buffer: Buffer::default() })
    }
}

/// A worker's window into a mapped file, and its buffer for what is read.
struct FileReader<'a> {
    input: &'a InputFile,
    window: Option<MappedWindow>,
    buffer: Buffer,
}

impl FileReader<'_> {
    /// Whether the window has the bytes; maps another where it does not, and mapping is worth it and allowed.
    fn is_mapped(&mut self, offset: u64, len: usize) -> bool {
        let input = self.input;
        let held = |window: &Option<MappedWindow>| window.as_ref().is_some_and(|w| w.get(offset, len).is_some());
        let end = offset.saturating_add(len as u64);
        if input.mapped && !held(&self.window) && len >= MAPPED_FROM && end <= input.len {
            self.window = None; // two windows at a time would be one too many
            self.window = MappedWindow::new(&input.file, offset, len, input.len).ok();
        }
        held(&self.window)
    }
}

impl ByteReader for FileReader<'_> {
    fn view(&mut self, offset: u64, len: usize) -> Result<&[u8]> {
        if self.is_mapped(offset, len) {
            let bytes = self.window.as_ref().and_then(|window| window.get(offset, len));
            return Ok(bytes.unwrap_or_default());
        }
        let bytes = self.buffer.take(len);
        self.input.read_exact_at(offset, bytes)?;
        Ok(bytes)
    }
}

/// A file written with `pwrite`.
pub struct OutputFile {
    file: File,
    synced: bool,
}

impl OutputFile {
    /// Takes a file open for writing.
    pub fn new(file: File) -> OutputFile {
        OutputFile { file, synced: true }
    }

    /// The same, but [`sync`](WriteAt::sync) does not wait: a loss of power may take what was written.
    pub fn unsynced(file: File) -> OutputFile {
        OutputFile { file, synced: false }
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }
}

/// EROFS, which some devices answer to fsync.
const ROFS: i32 = 30;

impl WriteAt for OutputFile {
    /// Network file systems say only here that there was no room; pipes and devices that cannot wait have nothing to
    /// say.
    fn sync(&self) -> Result<()> {
        if !self.synced {
            return Ok(());
        }
        match self.file.sync_data() {
            Err(e) if e.kind() != IoKind::InvalidInput && e.raw_os_error() != Some(ROFS) => {
                Err(Error::from(e).within("syncing"))
            }
            _ => Ok(()),
        }
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, offset).map_err(|e| located(e, offset))
    }

    fn zeros(&self, offset: u64, len: u64) -> Result<()> {
        let end = offset.saturating_add(len);
        let meta = self.file.metadata()?;
        if meta.is_file() {
            // A byte, not a length: another worker may have written further on since the length was asked, and setting
            // it now would cut that off.
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
    use crate::error::ErrorKind;

    #[test]
    fn a_short_file_is_truncated_not_a_panic() {
        let file = tempfile::tempfile().unwrap();
        let out = OutputFile::new(file.try_clone().unwrap());
        out.write_at(4, b"abcd").unwrap();
        out.zeros(8, 8).unwrap();
        out.zeros(0, 2).unwrap();
        let input = InputFile::new(file, 1 << 40);
        let mut reader = input.reader();
        assert_eq!(reader.view(2, 6).unwrap(), b"\0\0abcd");
        assert_eq!(reader.view(10, 7).unwrap_err().kind(), ErrorKind::Truncated);
    }

    /// Any file stands in for `/proc/vmcore` here: what windows give is what reads give, wherever they begin and end.
    #[test]
    fn mapped_windows_hold_what_reads_give() {
        let len = (9 << 20) + 5000;
        let bytes: Vec<u8> = (0..len).map(|i: u64| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        let input = InputFile::with(file, len, true);
        let mut reader = FileReader { input: &input, window: None, buffer: Buffer::default() };
        for (at, n) in
            [(0, 16 << 10), (100, 20_000), (4096, 10), (3 << 20, 2 << 20), (len - 20_000, 20_000), (7, 5 << 20)]
        {
            assert!(reader.view(at, n).unwrap() == &bytes[at as usize..][..n], "{at} {n}");
            assert!(reader.window.is_some());
        }
        let e = reader.view(len - 10, 20_000).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Truncated);
    }

    /// Files of procfs change as the system does: of all of them, only `/proc/vmcore` may be mapped.
    #[test]
    fn of_procfs_one_file_is_mapped() {
        assert!(!InputFile::new(tempfile::tempfile().unwrap(), 1).mapped);
        for path in ["/proc/self/status", "/proc/meminfo", "/proc/version"] {
            let Ok(file) = File::open(path) else { continue };
            assert!(is_procfs_file(&file, Path::new(path)));
            assert!(!is_procfs_file(&file, Path::new("/proc/uptime")));
            assert!(!InputFile::new(file, 1).mapped, "{path}");
        }
    }
}
