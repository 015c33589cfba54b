//! The vocabulary of gdump: page frames and bitmaps of them, bytes by offset, and the traits through which sources,
//! writers and the page pipeline meet.
//!
//! ```text
//!  PageSource ──visit──> Span ──push──> BlockEncoder ──> EncodedBlock ──place──> DumpWriter ──> Placer ──> WriteAt
//!   (a container)         (pages)        (a worker's)      (bytes, no offsets)     (offsets, no I/O)
//! ```
//!
//! Nothing here knows a container format, a kernel, a terminal or a path.

// `map.rs` alone may.
#![deny(unsafe_code)]

mod addr;
mod bitmap;
mod bytes;
mod codec;
mod container;
mod damage;
mod error;
mod extent_container;
mod extent_pages;
mod extents;
mod file;
mod format;
mod forward;
mod joined;
mod large_notes;
mod machine;
mod map;
mod memory_map;
mod meta;
mod note_bytes;
mod note_names;
mod note_order;
mod notes;
mod opener;
mod own_notes;
mod page_runs;
mod plain_encoder;
mod rank;
mod repage;
mod share;
mod source;
mod stretch;
mod watch;
mod wire;
mod writer;
mod zero;

pub use addr::{PageSize, Pfn, PfnRange, PhysAddr, VirtAddr};
pub use bitmap::{PageBitmap, PageSet, PageWindow, Runs, WindowMut};
pub use bytes::{Buffer, ByteReader, ReadAt, WriteAt};
pub use codec::{CodecId, CodecSet};
pub use container::{Container, Depth, Description, Detail, PageChecker, Survey, Vouched};
pub use damage::{Damage, Fault};
pub use error::{Error, ErrorKind, Result, system_text};
pub use extent_container::ExtentContainer;
pub use extent_pages::{ExtentMemory, ExtentPages, ExtentReader, PlainMemory};
pub use extents::{Extent, Extents, Overlap};
pub use file::{InputFile, OutputFile, reads_failed};
pub use format::{Abilities, Bytes, Format, OpenOptions, Output, PROBE_BYTES, Part, Patch, WriteOptions};
pub use forward::ForwardStream;
pub use joined::Joined;
pub use large_notes::LargeNotes;
pub use machine::{ByteOrder, Machine, WordSize};
pub use memory_map::{Mapped, MemoryMap};
pub use meta::{DumpMeta, Segment, UtsName};
pub use note_bytes::NoteBytes;
pub use note_names::NoteInfo;
pub use notes::{Note, Notes, note_len};
pub use opener::{Opener, Reach};
pub use own_notes::OwnNote;
pub use page_runs::runs_of_bits;
pub use plain_encoder::PlainEncoder;
pub use rank::{Ranked, bitmap_runs};
pub use repage::Repaged;
pub use share::{Next, each_worker, share_out};
pub use source::{Absence, Claim, Content, PageReader, PageSource, Push, Span, read_pages};
pub use stretch::Stretch;
pub use watch::{NoWatch, Phase, Watch};
pub use wire::{Fields, FieldsMut};
pub use writer::{BlockEncoder, DumpWriter, EncodedBlock, EncodedSpan, Ending, PageWriter, Placer, SpanData};
pub use zero::is_zero;
