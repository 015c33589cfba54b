//! Where memory lies that has no headers to say it.

use super::number::address;
use dump::{MemoryMap, PhysAddr};

/// Options about files without headers.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct RawArgs {
    /// Read a VMCORE without headers as raw memory starting at physical address ADDR
    ///
    /// ADDR is decimal or, after 0x, hexadecimal. FILE@ADDR, with a hexadecimal ADDR, in place of a file's name means the
    /// same, and FILE@ADDR,FILE@ADDR several files that are one memory, as crash takes them.
    #[arg(long = "raw-base", value_name = "ADDR", value_parser = address, conflicts_with = "map")]
    pub base: Option<PhysAddr>,
    /// Read a VMCORE without headers as raw memory of these ranges: 0-3G,4G-
    ///
    /// Ranges are FIRST-END, without END itself, in the order in which the file has them, one right behind the other; the
    /// last may do without END. Addresses are decimal or, after 0x, hexadecimal, and may end in K, M, G or T. Several
    /// files that are one memory take the option once each. Of a QEMU guest that was saved, it says where its RAM lies.
    #[arg(long = "raw-map", value_name = "RANGES", value_parser = map)]
    pub map: Vec<MemoryMap>,
}

impl RawArgs {
    /// A map for each file, none where nothing was said.
    pub fn maps(&self) -> Vec<MemoryMap> {
        match self.base {
            Some(base) => vec![MemoryMap::from_base(base)],
            None => self.map.clone(),
        }
    }
}

fn map(text: &str) -> Result<MemoryMap, String> {
    text.parse().map_err(|e: dump::Error| e.to_string())
}
