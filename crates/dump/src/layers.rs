//! From a path to the bytes of a container: layer after layer, each recognised by its first bytes.
//!
//! ```text
//! path ─> file, or pipe spooled to a file ─> decompressed ─> flattened stream rearranged ─> bytes of a container
//! ```

use crate::compression::Compression;
use crate::formats::is_text;
use crate::open::Opening;
use crate::spool::{self, Counted, Spooled};
use crate::unpack::{self, Input, Unpacked};
use dump_core::{Bytes, Error, ErrorKind, InputFile, PROBE_BYTES, ReadAt, Result, Watch};
use dump_flat::FlatIndex;
use dump_migration::Packed;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::Path;

/// The bytes of a container, and what they were wrapped in.
pub(crate) struct Layers {
    /// The bytes.
    pub bytes: Bytes,
    /// The first of them, as many as decide a format.
    pub prefix: Vec<u8>,
    /// Names of the layers, the outermost first: "zstd", "flattened".
    pub names: Vec<&'static str>,
    /// Why they end early, if a layer does.
    pub damage: Option<Error>,
}

impl Layers {
    /// Of the file, device or pipe at `path`; stdin where that is `-`.
    ///
    /// # Errors
    /// If it cannot be opened, is no file, device or pipe with a dump, or a layer cannot be taken off.
    pub fn open(path: &Path, opening: &Opening, watch: &dyn Watch) -> Result<Layers> {
        let spooled = unpack_saved(open_file(path, opening, watch)?, opening, watch)?;
        let prefix = prefix(&spooled.bytes)?;
        let layers = Layers { prefix, ..spooled };
        if !dump_flat::is_flattened(&layers.prefix) {
            return Ok(layers);
        }
        let Layers { bytes, mut names, damage, .. } = layers;
        names.push("flattened");
        let index = FlatIndex::read_watched(bytes, watch)?;
        check_holes(&index)?;
        let damage = damage.or(index.truncation());
        let bytes: Bytes = Box::new(index);
        Ok(Layers { prefix: self::prefix(&bytes)?, bytes, names, damage })
    }

    /// What else lies within, as a layer that is not taken off.
    pub fn inner_layer(&self) -> Option<&'static str> {
        let flattened = dump_flat::is_flattened(&self.prefix).then_some("flattened");
        Compression::probe(&self.prefix).map(|row| row.name).or(flattened)
    }

    fn of_file(file: File, len: u64, mapped: bool) -> Layers {
        let make = if mapped { InputFile::new } else { InputFile::unmapped };
        Layers::of_bytes(Box::new(make(file, len)))
    }

    fn of_bytes(bytes: Bytes) -> Layers {
        Layers { bytes, prefix: Vec::new(), names: Vec::new(), damage: None }
    }
}

/// Bytes that an image may have in any case, and how many more it may have for each that its records hold: the index
/// of a dump, let alone its pages, is far more than so small a part of it.
const PLAUSIBLE_IMAGE: u64 = 8 << 30;
const PLAUSIBLE_TIMES: u64 = 1 << 14;

/// Refuses an image that is nothing but a hole: whoever reads it would do work on nothing.
fn check_holes(index: &FlatIndex<Bytes>) -> Result<()> {
    let (len, held) = (index.len()?, index.covered());
    if len <= PLAUSIBLE_IMAGE.saturating_add(held.saturating_mul(PLAUSIBLE_TIMES)) {
        return Ok(());
    }
    let what = format!("flattened dump: {len} bytes long, of which its records hold no more than {held}");
    Err(Error::corrupt(what))
}

/// Compressions of one file: one that a module made, and one for the way.
const MAX_COMPRESSIONS: usize = 2;

/// What is in what: `inner` in layers of these names, the outermost first.
pub(crate) fn within(inner: &str, names: &[&str]) -> String {
    names.iter().rev().fold(inner.to_owned(), |text, name| format!("{text} within {name}"))
}

fn open_file(path: &Path, opening: &Opening, watch: &dyn Watch) -> Result<Layers> {
    if path.as_os_str() == "-" {
        return from_stream(std::io::stdin(), 0, opening, watch);
    }
    if let Some(bytes) = opening.elsewhere(path) {
        return from_elsewhere(Box::new(bytes?), opening, watch);
    }
    let file = File::open(path).map_err(Error::from)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(Error::new(ErrorKind::BadMagic, "a directory, not a dump"));
    }
    if kind.is_char_device() {
        return Err(Error::unsupported("a character device; dumps are read from files, block devices and pipes"));
    }
    if kind.is_fifo() || kind.is_socket() {
        return from_stream(file, 0, opening, watch);
    }
    let len = length(&file)?;
    let layers = Layers::of_file(file.try_clone()?, len, opening.mapped);
    match Compression::probe(&prefix(&layers.bytes)?) {
        Some(_) => from_stream(file, len, opening, watch),
        None => Ok(layers),
    }
}

/// What is compressed is unpacked as it comes. What does not come is no damage of the file, whose beginning would be read
/// instead of it: another attempt may get it all.
fn from_elsewhere(bytes: Bytes, opening: &Opening, watch: &dyn Watch) -> Result<Layers> {
    if Compression::probe(&prefix(&bytes)?).is_none() {
        return Ok(Layers::of_bytes(bytes));
    }
    let mut stored = Stored { bytes: &bytes, at: 0, failed: None };
    let layers = from_stream(&mut stored, bytes.len()?, opening, watch);
    stored.failed.map_or(layers, Err)
}

/// A save file of libvirt whose stream is compressed, as one whose stream is not.
fn unpack_saved(layers: Layers, opening: &Opening, watch: &dyn Watch) -> Result<Layers> {
    let Some(Packed { head, stream, format }) = dump_migration::packed(&layers.bytes)? else { return Ok(layers) };
    let len = layers.bytes.len()?;
    let mut input =
        Input::new(Counted::new(Stored { bytes: &layers.bytes, at: stream, failed: None }, len - stream, watch));
    let Some(row) = Compression::probe(input.peek(PROBE_BYTES).map_err(unpack::damage)?) else {
        let e = Error::unsupported(format!("a save file of libvirt, compressed with {format}, which is not unpacked"));
        return Err(e.hint(format!("tail -c +{} FILE | {format} -d gives a stream that is read", stream + 1)));
    };
    let unpacked = Unpacked::new(input, row);
    let dir = spool::directory(opening.directory.as_deref());
    let Spooled { file, len, damage } = spool::spool(head.chain(unpacked), &dir, opening.max_unpacked, watch)?;
    let mut names = layers.names;
    names.push(row.name);
    Ok(Layers { names, damage: layers.damage.or(damage), ..Layers::of_file(file, len, false) })
}

/// Bytes by offset as a stream.
struct Stored<'a> {
    bytes: &'a Bytes,
    at: u64,
    /// Why it ended early, if it did.
    failed: Option<Error>,
}

impl Read for Stored<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.bytes.len().map_err(io::Error::other)?.saturating_sub(self.at);
        let now = usize::try_from(left).unwrap_or(usize::MAX).min(out.len());
        let out = out.get_mut(..now).unwrap_or_default();
        if let Err(e) = self.bytes.read_exact_at(self.at, out) {
            self.failed = Some(e.clone());
            return Err(io::Error::other(e));
        }
        self.at += now as u64;
        Ok(now)
    }
}

/// What is compressed or comes from a pipe is spooled: page tables and struct pages are read at random. `total` is how
/// much of it there is, 0 if that is not known.
fn from_stream(stream: impl Read, total: u64, opening: &Opening, watch: &dyn Watch) -> Result<Layers> {
    let mut input = Input::new(Counted::new(stream, total, watch));
    let mut names = Vec::new();
    while let Some(row) = Compression::probe(input.peek(PROBE_BYTES).map_err(unpack::damage)?) {
        if names.len() == MAX_COMPRESSIONS {
            return Err(Error::unsupported(within(row.name, &names)));
        }
        names.push(row.name);
        input = Input::new(Unpacked::new(input, row));
    }
    if names.is_empty() && is_text(input.peek(PROBE_BYTES)?) {
        return Err(Error::new(ErrorKind::BadMagic, "text, not a dump"));
    }
    let dir = spool::directory(opening.directory.as_deref());
    let spooled = spool::spool(input, &dir, opening.max_unpacked, watch);
    let Spooled { file, len, damage } =
        if names.is_empty() { spooled.map_err(|e| e.within("reading"))? } else { spooled? };
    Ok(Layers { damage, names, ..Layers::of_file(file, len, false) })
}

/// The first of `bytes`, as many as decide a format.
pub(crate) fn prefix(bytes: &Bytes) -> Result<Vec<u8>> {
    let len = usize::try_from(bytes.len()?).unwrap_or(PROBE_BYTES).min(PROBE_BYTES);
    let mut prefix = vec![0; len];
    bytes.read_exact_at(0, &mut prefix)?;
    Ok(prefix)
}

/// The length of a file or a device. Some kernels give `/proc/vmcore` none; it is then treated as endless, and
/// reading past its end ends it.
fn length(file: &File) -> Result<u64> {
    let meta = file.metadata()?;
    if meta.len() != 0 {
        return Ok(meta.len());
    }
    let end = end_of_device(file);
    let endless = end == 0 && matches!(file.read_at(&mut [0], 0), Ok(1));
    Ok(if endless { i64::MAX as u64 } else { end })
}

/// Where a device ends, by seeking there; 0 if it cannot seek. Reading the descriptor afterwards begins at its start: a
/// compressed dump on a block device was once read from its end.
fn end_of_device(mut file: &File) -> u64 {
    let end = file.seek(SeekFrom::End(0)).unwrap_or(0);
    match file.rewind() {
        Ok(()) => end,
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn after_the_end_was_found_reading_begins_at_the_start() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"content").unwrap();
        assert_eq!(end_of_device(&file), 7);
        let mut text = String::new();
        (&file).read_to_string(&mut text).unwrap();
        assert_eq!(text, "content");
    }
}
