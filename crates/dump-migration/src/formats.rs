//! The rows of the table of formats.

use crate::libvirt;
use crate::saved::open_saved;
use crate::stream::MAGIC;
use dump_core::{Bytes, Container, Format, OpenOptions, Result};

pub(crate) const MIGRATION_NAME: &str = "migration";
pub(crate) const LIBVIRT_NAME: &str = "libvirt";

/// Migration streams of QEMU, with mapped-ram or without.
pub const MIGRATION: Format = Format {
    name: MIGRATION_NAME,
    probe: |prefix, _| prefix.starts_with(MAGIC),
    open,
    open_parts: None,
    output: None,
    incomplete_flag: None,
};

/// Save files of libvirt whose stream is not compressed; [`packed`](crate::packed) says of others how they are.
pub const LIBVIRT: Format = Format {
    name: LIBVIRT_NAME,
    probe: |prefix, _| prefix.starts_with(libvirt::WHOLE) || prefix.starts_with(libvirt::PART),
    open,
    open_parts: None,
    output: None,
    incomplete_flag: None,
};

fn open(bytes: Bytes, options: &OpenOptions) -> Result<Box<dyn Container>> {
    Ok(Box::new(open_saved(bytes, options.raw_maps.first())?))
}
