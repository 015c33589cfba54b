//! The rows of the table of formats.

use crate::record::Dialect;
use crate::{LimeWriter, RawWriter, open_avml, open_lime, open_mapped};
use dump_core::{Abilities, Container, DumpWriter, Error, Format, OpenOptions, Output, Part, Result, WriteOptions};

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
    probe: |prefix, options| !options.raw_maps.is_empty() && !prefix.is_empty(),
    open: |bytes, options| open_parts(vec![Part { name: "raw image".to_owned(), bytes }], options),
    open_parts: Some(open_parts),
    output: Some(Output { create: create_raw, abilities: Abilities::SAYS_ZERO.union(Abilities::FORWARD), bitmaps: 1 }),
    incomplete_flag: None,
};

fn open_parts(parts: Vec<Part>, options: &OpenOptions) -> Result<Box<dyn Container>> {
    let (files, maps) = (parts.len(), options.raw_maps.len());
    if maps == 0 {
        return Err(Error::missing("raw image: the address of its first byte is not given"));
    }
    if files != maps {
        let e = Error::unsupported(format!("{files} files of raw memory and {maps} maps of where they lie"));
        return Err(e.hint("each file has a map of its own, in the same order"));
    }
    let files = parts.into_iter().zip(&options.raw_maps).map(|(part, map)| (part.name, part.bytes, map.clone()));
    Ok(Box::new(open_mapped(files.collect())?))
}

fn create_lime(_: &WriteOptions) -> Result<Box<dyn DumpWriter>> {
    Ok(Box::new(LimeWriter))
}

fn create_raw(_: &WriteOptions) -> Result<Box<dyn DumpWriter>> {
    Ok(Box::new(RawWriter))
}
