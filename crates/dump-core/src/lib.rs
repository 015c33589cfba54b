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
mod error;
mod file;
mod map;
mod meta;
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
pub use bytes::{ReadAt, Scratch, WriteAt};
pub use codec::{CodecId, CodecSet};
pub use error::{Error, ErrorKind, Result};
pub use file::{InputFile, OutputFile};
pub use meta::{ByteOrder, DumpMeta, Machine, Segment, UtsName, WordSize};
pub use repage::Repaged;
pub use share::{Next, each_worker, share_out};
pub use source::{Absence, Content, PageSource, Span, read_pages};
pub use stretch::Stretch;
pub use watch::{NoWatch, Phase, Watch};
pub use wire::{Fields, FieldsMut};
pub use writer::{BlockEncoder, DumpWriter, EncodedBlock, EncodedSpan, Ending, Placer, SpanData};
pub use zero::is_zero;
