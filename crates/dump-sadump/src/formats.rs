//! The row of the table of formats.

use crate::container::open_sadump;
use crate::headers::{self, PARTITION};
use dump_core::{Bytes, Container, Format, OpenOptions, Part, ReadAt, Result};

pub(crate) const NAME: &str = "sadump";

/// sadump dumps; [`is_media_backup`] tells those that do not begin as such.
pub const SADUMP: Format = Format {
    name: NAME,
    probe: |prefix, _| prefix.starts_with(PARTITION),
    open,
    open_parts: Some(open_parts),
    output: None,
    incomplete_flag: None,
};

/// Whether `input` is a media backup: its first block has no mark of its own.
pub fn is_media_backup(input: &dyn ReadAt) -> bool {
    headers::is_media_backup(input)
}

fn open(bytes: Bytes, options: &OpenOptions) -> Result<Box<dyn Container>> {
    open_parts(vec![Part { name: "sadump".to_owned(), bytes }], options)
}

fn open_parts(parts: Vec<Part>, _: &OpenOptions) -> Result<Box<dyn Container>> {
    let files = parts.into_iter().map(|part| (part.name, part.bytes));
    Ok(Box::new(open_sadump(files.collect())?))
}
