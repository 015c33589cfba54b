//! Flattened dumps: a file that needs seeks, sent through a pipe as records of (offset, bytes). makedumpfile's `-F`
//! makes them, QEMU's `kdump-zlib` and kin too.
//!
//! ```text
//!  0       signature, type 1, version 1, zeros                   header.rs
//!  4096    offset, size │ size bytes of data                     a record: 16 bytes, big endian, then its data
//!          offset, size │ data                                   ... in any order, no alignment
//!          -1, -1                                                the end; what follows is ignored
//! ```
//!
//! The records describe an *image*: the file that they make when each is written at its offset, one after the other.
//! Later records win where they overlap (makedumpfile writes a header again when it knows better), what no record
//! covers is zeros, and the image is as long as the record that reaches furthest. Nothing here knows what the image
//! holds.
//!
//! | from | to | with |
//! |---|---|---|
//! | bytes by offset | a pipe | [`FlatStream`] |
//! | a flattened file | bytes by offset | [`FlatIndex`] |
//! | a pipe | a file | [`rearrange()`] |
//!
//! An index was chosen over rearranging to a temporary file: it reads 16 bytes of each record and writes nothing.
//! Source of the format: makedumpfile's makedumpfile.h, `struct makedumpfile_header` and `makedumpfile_data_header`.

#![forbid(unsafe_code)]

mod beheaded;
mod header;
mod index;
mod pieces;
mod rearrange;
mod scan;
mod stream;
mod written;

pub use beheaded::Beheaded;
pub use header::{HEADER_LEN, RECORD_LEN, Record, is_flattened};
pub use index::FlatIndex;
pub use rearrange::{Rearranged, rearrange};
pub use stream::FlatStream;
