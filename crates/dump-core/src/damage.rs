//! What can be wrong with single pages, while the rest of the dump is sound.

use crate::addr::PfnRange;
use crate::error::Error;

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
    /// The data lie before those of all pages, among headers.
    BeforeData,
    /// The page of zeros that others share is not zeros.
    SharedZero,
    /// The data lie past the end of the file.
    Offset,
    /// The data cannot be read.
    Read,
    /// The data do not decompress to a page.
    Compressed,
    /// The page cannot be read, for a reason that its container does not keep.
    Unreadable,
    /// The page is missing, though the headers describe them.
    Absent,
}

impl Damage {
    /// What it is, in a few words.
    pub fn describe(self) -> &'static str {
        match self {
            Damage::Lost => "not written: the dump is incomplete",
            Damage::Table => "descriptor past the end of the file or unreadable",
            Damage::Flags => "descriptor with unknown flags",
            Damage::Size => "descriptor with an impossible size",
            Damage::BeforeData => "descriptor that points at headers or descriptors",
            Damage::SharedZero => "zero pages whose shared page is not zeros",
            Damage::Offset => "data past the end of the file",
            Damage::Read => "data unreadable",
            Damage::Compressed => "data that do not decompress to a page",
            Damage::Unreadable => "unreadable, or past the end of the file",
            Damage::Absent => "missing, though the headers describe them",
        }
    }
}

/// Pages that cannot be read, and why.
#[derive(Debug)]
pub struct Fault {
    /// Which pages.
    pub pages: PfnRange,
    /// What kind of damage it is.
    pub damage: Damage,
    /// What exactly was found there, where that is known.
    pub error: Option<Error>,
}
