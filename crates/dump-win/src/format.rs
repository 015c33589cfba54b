//! The row of the table of formats.

use crate::container::open;
use crate::header::Header;
use crate::writer::DmpWriter;
use dump_core::{Abilities, Bytes, Container, DumpWriter, Format, OpenOptions, Output, Result, WriteOptions};

pub(crate) const NAME: &str = "dmp";

/// Windows crash dumps. A page that is zero can only be written as zeros, as one that was left out cannot be.
pub const FORMAT: Format = Format {
    name: NAME,
    probe: |prefix, _| Header::begins(prefix),
    open: open_boxed,
    open_parts: None,
    output: Some(Output { create, abilities: Abilities::FORWARD.union(Abilities::WINDOWS), bitmaps: 2 }),
    incomplete_flag: None,
};

fn open_boxed(bytes: Bytes, _: &OpenOptions) -> Result<Box<dyn Container>> {
    Ok(Box::new(open(bytes)?))
}

fn create(_: &WriteOptions) -> Result<Box<dyn DumpWriter>> {
    Ok(Box::new(DmpWriter))
}
