//! From a path to the bytes of a container: layer after layer, each recognised by its first bytes.
//!
//! ```text
//! path ─> file, or pipe spooled to a file ─> decompressed ─> flattened stream rearranged ─> bytes of a container
//! ```

use crate::compression::Compression;
use crate::formats::is_text;
use crate::spool;
use dump_core::{Bytes, Error, ErrorKind, InputFile, PROBE_BYTES, ReadAt, Result, Watch};
use dump_flat::FlatIndex;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
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
    /// Of the file, device or pipe at `path`; stdin where that is `-`. `mapped`: whether `/proc/vmcore` may be mapped.
    ///
    /// # Errors
    /// If it cannot be opened, is no file, device or pipe with a dump, or a layer cannot be taken off.
    pub fn open(path: &Path, mapped: bool, watch: &dyn Watch) -> Result<Layers> {
        let spooled = open_file(path, mapped, watch)?;
        let prefix = prefix(&spooled.bytes)?;
        let layers = Layers { prefix, ..spooled };
        if !dump_flat::is_flattened(&layers.prefix) {
            return Ok(layers);
        }
        let Layers { bytes, mut names, damage, .. } = layers;
        names.push("flattened");
        let index = FlatIndex::read_watched(bytes, watch)?;
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
        Layers { bytes: Box::new(make(file, len)), prefix: Vec::new(), names: Vec::new(), damage: None }
    }
}

fn open_file(path: &Path, mapped: bool, watch: &dyn Watch) -> Result<Layers> {
    if path.as_os_str() == "-" {
        return from_pipe(Box::new(std::io::stdin()), watch);
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
        return from_pipe(Box::new(file), watch);
    }
    let len = length(&file)?;
    let layers = Layers::of_file(file.try_clone()?, len, mapped);
    match Compression::probe(&prefix(&layers.bytes)?) {
        Some(compression) => decompressed(Box::new(file), compression, len, watch),
        None => Ok(layers),
    }
}

/// Input from a pipe is spooled: page tables and struct pages are read at random.
fn from_pipe(mut pipe: Box<dyn Read>, watch: &dyn Watch) -> Result<Layers> {
    let mut start = vec![0; PROBE_BYTES];
    let (n, e) = spool::fill(&mut pipe, &mut start);
    if let Some(e) = e {
        return Err(e.into());
    }
    start.truncate(n);
    let (compression, text) = (Compression::probe(&start), is_text(&start));
    let stream: Box<dyn Read> = Box::new(std::io::Cursor::new(start).chain(pipe));
    match compression {
        Some(compression) => decompressed(stream, compression, 0, watch),
        None if text => Err(Error::new(ErrorKind::BadMagic, "text, not a dump")),
        None => spooled(stream, None, 0, watch),
    }
}

fn decompressed(
    stream: Box<dyn Read>,
    compression: &'static Compression,
    len: u64,
    watch: &dyn Watch,
) -> Result<Layers> {
    let layers = spooled(stream, Some(compression), len, watch)?;
    Ok(Layers { names: vec![compression.name], ..layers })
}

fn spooled(stream: Box<dyn Read>, compression: Option<&Compression>, len: u64, watch: &dyn Watch) -> Result<Layers> {
    let spooled = spool::spool(stream, compression, len, watch)?;
    Ok(Layers { damage: spooled.damage, ..Layers::of_file(spooled.file, spooled.len, false) })
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
