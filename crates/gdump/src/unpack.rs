//! A packed input, unpacked to a temporary file: page tables and struct pages are read at random.

use dump_core::{Error, Phase, Result, Watch, is_zero};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::FileExt;

/// Bytes unpacked at a time; a stretch of zeros as long is left a hole.
const PIECE: usize = 256 << 10;

/// A stream that counts what was read of it.
struct Counted<'a> {
    file: File,
    watch: &'a dyn Watch,
}

impl Read for Counted<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read(buf)?;
        self.watch.advance(n as u64);
        Ok(n)
    }
}

/// Unpacks a zstd file to one that has no name and goes with the process.
///
/// Returns the file, its length, and why it ends early, if the packed data does: what was unpacked can be used.
///
/// # Errors
/// Where nothing can be unpacked, or the temporary file cannot hold it.
pub fn zstd(file: File, packed_len: u64, watch: &dyn Watch) -> Result<(File, u64, Option<Error>)> {
    let spool = tempfile::tempfile().map_err(|e| spool_error(e.into()))?;
    watch.begin(Phase::Unpack, packed_len);
    let unpacked = copy(Counted { file, watch }, &spool, watch);
    watch.end();
    let (len, damage) = unpacked?;
    spool.set_len(len).map_err(|e| spool_error(e.into()))?;
    match damage {
        Some(e) if len == 0 => Err(e),
        damage => Ok((spool, len, damage)),
    }
}

fn copy(packed: Counted<'_>, spool: &File, watch: &dyn Watch) -> Result<(u64, Option<Error>)> {
    // the window is bounded by the decoder's own limit, 128 MiB (--long=27)
    let mut stream = zstd::stream::read::Decoder::new(packed)?;
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    loop {
        let (n, damage) = fill(&mut stream, &mut piece);
        if !is_zero(&piece[..n]) {
            spool.write_all_at(&piece[..n], at).map_err(|e| spool_error(e.into()))?;
        }
        at += n as u64;
        if watch.stopped() {
            return Err(Error::new(dump_core::ErrorKind::Interrupted, "interrupted while the input was unpacked"));
        }
        if damage.is_some() || n < piece.len() {
            return Ok((at, damage));
        }
    }
}

/// Reads until `piece` is full or the stream ends; says why, where it ends in an error.
fn fill(stream: &mut impl Read, piece: &mut [u8]) -> (usize, Option<Error>) {
    let mut n = 0;
    while n < piece.len() {
        match stream.read(&mut piece[n..]) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return (n, Some(Error::from(e).within("zstd"))),
        }
    }
    (n, None)
}

fn spool_error(e: Error) -> Error {
    let dir = std::env::temp_dir();
    e.within(format_args!("unpacking to {}", dir.display()))
        .hint("set TMPDIR to a directory with room for the unpacked dump")
}
