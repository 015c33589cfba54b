//! Rows of the table of formats: what a crate that knows a container says about it.

use crate::addr::PfnRange;
use crate::bytes::ReadAt;
use crate::codec::CodecId;
use crate::container::Container;
use crate::error::Result;
use crate::memory_map::MemoryMap;
use crate::writer::DumpWriter;
use std::fmt;

/// Bytes of an input, whatever lies below.
pub type Bytes = Box<dyn ReadAt>;

/// A format of dumps.
pub struct Format {
    /// Its name, as options and descriptions have it.
    pub name: &'static str,
    /// Whether a file that begins with `prefix` ([`PROBE_BYTES`] of it, or all) is to be opened as one.
    pub probe: fn(prefix: &[u8], options: &OpenOptions) -> bool,
    /// Opens one.
    pub open: Open,
    /// Opens one that is spread over several files, where the format has such.
    pub open_parts: Option<OpenParts>,
    /// How one is written, where it is.
    pub output: Option<Output>,
    /// What flags a file that began to be written as incomplete, where the format has such a flag.
    pub incomplete_flag: Option<fn(&dyn ReadAt) -> Result<Patch>>,
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// By name: the table has each once.
impl PartialEq for Format {
    fn eq(&self, other: &Format) -> bool {
        self.name == other.name
    }
}

impl Format {
    /// What its writer can say or do; nothing where it is not written.
    pub fn abilities(&self) -> Abilities {
        self.output.as_ref().map_or(Abilities::empty(), |output| output.abilities)
    }
}

/// Opens a container.
type Open = fn(Bytes, &OpenOptions) -> Result<Box<dyn Container>>;

/// Opens a container that is spread over several files.
type OpenParts = fn(Vec<Part>, &OpenOptions) -> Result<Box<dyn Container>>;

/// Makes a writer.
type Create = fn(&WriteOptions) -> Result<Box<dyn DumpWriter>>;

/// Bytes at the start of a file that decide its format.
pub const PROBE_BYTES: usize = 64;

/// What a user says about an input that says too little of itself.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Where the bytes of files without structure lie in memory: a map for each file, none where nobody said it.
    pub raw_maps: Vec<MemoryMap>,
    /// Whether the memory of a running kernel is taken too (`/proc/kcore`). It changes while it is read: enough to count
    /// its pages, no dump.
    pub live: bool,
}

/// One file of a dump that is spread over several.
pub struct Part {
    /// Its name, for messages.
    pub name: String,
    /// Its bytes.
    pub bytes: Bytes,
}

/// How a format is written.
pub struct Output {
    /// Makes a writer.
    pub create: Create,
    /// What it can do.
    pub abilities: Abilities,
    /// Sets of page frames that are held while it is written: the pages to be dumped, and those that its writer keeps
    /// for itself.
    pub bitmaps: u64,
}

bitflags::bitflags! {
    /// What a format can say or do when it is written.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Abilities: u8 {
        /// Zero pages without leaving them out.
        const SAYS_ZERO = 1;
        /// Pages compressed one by one.
        const COMPRESSES = 2;
        /// Several files that share the pages of one dump.
        const SPLITS = 4;
        /// A flag that says that it is incomplete.
        const FLAGS_INCOMPLETE = 8;
        /// Bytes that come in the order of their offsets, but for a flag that is set or cleared at the end: it goes to a
        /// pipe as it is.
        const FORWARD = 16;
        /// A Windows guest's memory, and no other: it takes the header of a Windows crash dump from a note.
        const WINDOWS = 32;
    }
}

/// What a writer is asked for.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// How pages are compressed, `None` where they are not.
    pub codec: Option<CodecId>,
    /// The page frames of each file of a split dump, or the one range of which a part is written; none for a whole
    /// dump.
    pub parts: Vec<PfnRange>,
}

/// Bytes to be put into a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Where (bytes).
    pub offset: u64,
    /// What.
    pub bytes: Vec<u8>,
    /// How long the file must be at least to be opened then (bytes); what is missing reads as zeros.
    pub min_len: u64,
}
