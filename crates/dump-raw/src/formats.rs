//! The rows of the table of formats.

use crate::record::Dialect;
use crate::{LimeWriter, RawWriter, open_avml, open_lime, open_raw};
use dump_core::{Abilities, Bytes, Container, DumpWriter, Error, Format, OpenOptions, Output, Result, WriteOptions};

pub(crate) const RAW_NAME: &str = "raw";
pub(crate) const LIME_NAME: &str = "lime";
pub(crate) const AVML_NAME: &str = "avml";

/// LiME images. A page that is zero can only be written as zeros, as one that was left out cannot be.
pub const LIME: Format = Format {
    name: LIME_NAME,
    probe: |prefix, _| Dialect::Lime.begins(prefix),
    open: |bytes, _| Ok(Box::new(open_lime(bytes)?)),
    open_parts: None,
    output: Some(Output { create: create_lime, abilities: Abilities::FORWARD, bitmaps: 2 }),
    incomplete_flag: None,
};

/// AVML images.
pub const AVML: Format = Format {
    name: AVML_NAME,
    probe: |prefix, _| Dialect::Avml.begins(prefix),
    open: |bytes, _| Ok(Box::new(open_avml(bytes)?)),
    open_parts: None,
    output: None,
    incomplete_flag: None,
};

/// Raw images, which are so because somebody says where in memory they lie: any file may be one.
pub const RAW: Format = Format {
    name: RAW_NAME,
    probe: |prefix, options| options.raw_base.is_some() && !prefix.is_empty(),
    open: open_at_base,
    open_parts: None,
    output: Some(Output { create: create_raw, abilities: Abilities::SAYS_ZERO.union(Abilities::FORWARD), bitmaps: 1 }),
    incomplete_flag: None,
};

fn open_at_base(bytes: Bytes, options: &OpenOptions) -> Result<Box<dyn Container>> {
    let base =
        options.raw_base.ok_or_else(|| Error::missing("raw image: the address of its first byte is not given"))?;
    Ok(Box::new(open_raw(bytes, base)?))
}

fn create_lime(_: &WriteOptions) -> Result<Box<dyn DumpWriter>> {
    Ok(Box::new(LimeWriter))
}

fn create_raw(_: &WriteOptions) -> Result<Box<dyn DumpWriter>> {
    Ok(Box::new(RawWriter))
}
