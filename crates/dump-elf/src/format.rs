//! The row of the table of formats.

use crate::container::ElfCore;
use crate::gcore::GcoreWriter;
use crate::header::FileHeader;
use crate::writer::ElfWriter;
use crate::xen_domain;
use dump_core::{
    Abilities, Bytes, Container, DumpWriter, Format, OpenOptions, Output, Patch, ReadAt, Result, WriteOptions,
};
use goblin::elf::header::ELFMAG;

pub(crate) const NAME: &str = "elf";

/// ELF cores.
pub const FORMAT: Format = Format {
    name: NAME,
    probe,
    open,
    open_parts: None,
    output: Some(Output { create, abilities: ABILITIES, bitmaps: 1 }),
    incomplete_flag: Some(incomplete_flag),
};

/// ELF cores as the QNX hypervisor writes them of its guests. They are read as any other.
pub const GCORE: Format = Format {
    name: "gcore",
    probe: |_, _| false,
    output: Some(Output { create: |_| Ok(Box::new(GcoreWriter)), abilities: ABILITIES, bitmaps: 1 }),
    ..FORMAT
};

const ABILITIES: Abilities = Abilities::FLAGS_INCOMPLETE.union(Abilities::FORWARD);

/// PT_LOADs up to which an ELF dump leaves every single page out that is not dumped. crash looks through all of them
/// for every read; a thousand cost nothing that can be felt.
pub(crate) const EXACT_LOADS: usize = 1024;

fn probe(prefix: &[u8], _: &OpenOptions) -> bool {
    prefix.starts_with(ELFMAG)
}

fn open(bytes: Bytes, options: &OpenOptions) -> Result<Box<dyn Container>> {
    let header = FileHeader::read(&bytes)?;
    if xen_domain::is_one(&bytes, &header) {
        return Ok(Box::new(xen_domain::open(bytes, &header)?));
    }
    Ok(Box::new(ElfCore::open_as(bytes, options)?))
}

fn create(_: &WriteOptions) -> Result<Box<dyn DumpWriter>> {
    Ok(Box::new(ElfWriter::exact(EXACT_LOADS)))
}

fn incomplete_flag(input: &dyn ReadAt) -> Result<Patch> {
    FileHeader::read(input).map(|header| header.incomplete_flag())
}
