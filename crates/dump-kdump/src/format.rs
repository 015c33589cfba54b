//! The row of the table of formats.

use dump_core::{
    Abilities, Bytes, Container, DumpWriter, Error, ErrorKind, Format, OpenOptions, Output, Part, Patch, ReadAt,
    Result, WriteOptions,
};

use crate::frames;
use crate::header::Header;
use crate::source::KdumpFile;
use crate::split::KdumpSet;
use crate::writer::KdumpWriter;

/// The format's name.
pub(crate) const NAME: &str = "kdump";

/// kdump-compressed files, and the parts of split ones. The diskdump files that they grew from are recognised, and
/// refused.
pub const FORMAT: Format = Format {
    name: NAME,
    probe: |prefix, _| Header::probe(prefix),
    open,
    open_parts: Some(|parts, _| open_parts(parts)),
    output: Some(Output {
        create,
        abilities: Abilities::SAYS_ZERO
            .union(Abilities::COMPRESSES)
            .union(Abilities::SPLITS)
            .union(Abilities::FLAGS_INCOMPLETE),
        bitmaps: 1,
    }),
    incomplete_flag: Some(incomplete_flag),
};

fn open(bytes: Bytes, _: &OpenOptions) -> Result<Box<dyn Container>> {
    frames::of_file(KdumpFile::open(bytes)?)
}

fn open_parts(parts: Vec<Part>) -> Result<Box<dyn Container>> {
    let open = |Part { name, bytes }| open_part(bytes).map_err(|e| e.within(name));
    frames::of_set(KdumpSet::new(parts.into_iter().map(open).collect::<Result<_>>()?)?)
}

fn open_part(bytes: Bytes) -> Result<KdumpFile<Bytes>> {
    match KdumpFile::open(bytes) {
        Ok(file) if file.split_range().is_some() => Ok(file),
        Err(e) if e.kind() != ErrorKind::BadMagic => Err(e),
        _ => Err(Error::new(
            ErrorKind::BadMagic,
            "not a part of a split dump, so it cannot be read together with others",
        )),
    }
}

fn create(options: &WriteOptions) -> Result<Box<dyn DumpWriter>> {
    Ok(Box::new(KdumpWriter::new(options)?))
}

fn incomplete_flag(file: &dyn ReadAt) -> Result<Patch> {
    Header::incomplete_flag(file)
}
