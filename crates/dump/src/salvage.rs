//! Opening dumps that are damaged, to read what is certain of them.

use crate::formats::probe;
use dump_core::{ByteReader, Bytes, Container, Error, ErrorKind, OpenOptions, Part, ReadAt, Result, Stretch, Watch};
use dump_flat::{Beheaded, FlatIndex};
use std::sync::Arc;

/// Opens what is left of a dump.
type Salvage = fn(Vec<Part>) -> Result<Box<dyn Container>>;

/// Every format that is, by name.
const SALVAGED: &[(&str, Salvage)] =
    &[(dump_kdump::FORMAT.name, dump_kdump::salvage), (dump_elf::FORMAT.name, dump_elf::salvage)];

/// The image of a flattened stream without a header, where `bytes` are one; else `None`.
///
/// # Errors
/// If its records cannot be read.
pub(crate) fn beheaded(bytes: SharedBytes, watch: &dyn Watch) -> Option<Result<FlatIndex<Beheaded<SharedBytes>>>> {
    let is_dump = |start: &[u8]| probe(start, &OpenOptions::default()).is_some();
    Beheaded::find(bytes, is_dump).map(|stream| FlatIndex::read_watched(stream, watch))
}

/// Opens what is left of a dump in `files`, which look like one of `format` if like any. `None` where it is not of a
/// format that can be saved: it is then opened as any other.
///
/// # Errors
/// Why nothing of it can be saved.
pub(crate) fn open(files: &[(String, SharedBytes)], format: Option<&str>) -> Option<Result<Box<dyn Container>>> {
    let parts = || files.iter().map(|(name, bytes)| Part { name: name.clone(), bytes: bytes.to_bytes() }).collect();
    match format {
        Some(format) => SALVAGED.iter().find(|(name, _)| *name == format).map(|(_, salvage)| salvage(parts())),
        // its first bytes may be what is damaged
        None => {
            let opened = SALVAGED.iter().map(|(_, salvage)| salvage(parts()));
            let first = opened.reduce(|one, other| if one.is_ok() { one } else { other })?;
            let unknown = |e: Error| Error::new(ErrorKind::BadMagic, "not a dump of a known format").within(e);
            Some(first.map_err(unknown))
        }
    }
}

/// Bytes that several containers may try to read.
#[derive(Clone)]
pub(crate) struct SharedBytes(Arc<Bytes>);

impl SharedBytes {
    /// Shares `bytes`.
    pub fn new(bytes: Bytes) -> SharedBytes {
        SharedBytes(Arc::new(bytes))
    }

    /// For a container to own.
    pub fn to_bytes(&self) -> Bytes {
        Box::new(self.clone())
    }
}

impl ReadAt for SharedBytes {
    fn len(&self) -> Result<u64> {
        self.0.len()
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.0.read_exact_at(offset, buf)
    }

    fn stretch_at(&self, offset: u64) -> Stretch {
        self.0.stretch_at(offset)
    }

    fn reader(&self) -> Box<dyn ByteReader + '_> {
        self.0.reader()
    }
}
