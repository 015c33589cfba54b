//! What can be wrong with one page, while the rest of the file is sound.

use dump_core::{Error, Pfn};

/// Kinds of damage, each of which one look at a page can find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Damage {
    /// The descriptor is empty: the file was cut off when it was made, for want of space.
    Lost,
    /// The descriptor lies past the end of the file, or cannot be read.
    Table,
    /// The descriptor names a codec that does not exist.
    Flags,
    /// The descriptor gives a size that no page can have.
    Size,
    /// The data lie past the end of the file.
    Offset,
    /// The data cannot be read.
    Read,
    /// The data do not unpack to a page.
    Packed,
}

impl Damage {
    /// What it is, in a few words.
    pub fn describe(self) -> &'static str {
        match self {
            Damage::Lost => "not written: the dump was cut off",
            Damage::Table => "descriptor past the end of the file or unreadable",
            Damage::Flags => "descriptor with unknown flags",
            Damage::Size => "descriptor with an impossible size",
            Damage::Offset => "data past the end of the file",
            Damage::Read => "data unreadable",
            Damage::Packed => "data that do not unpack to a page",
        }
    }
}

/// A page that cannot be had, and why.
#[derive(Debug)]
pub struct Fault {
    /// Which page.
    pub pfn: Pfn,
    /// What kind of damage it is.
    pub damage: Damage,
    /// What exactly was found there.
    pub error: Error,
}
