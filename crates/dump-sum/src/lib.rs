//! Checksums of a file's blocks and of the whole, kept in a file beside it: [`Summed`] makes them while the file is
//! written, [`Sums`] are what they are read back as.
//!
//! ```text
//! gdump checksums, version 1
//! hash blake3
//! block 1048576              bytes that share a line below
//! length 3643335             bytes of the file
//! whole 5f0c...              of the lines above from "block" on, and of all lines below
//! 6c41...                    of the first block
//! ...
//! ```
//!
//! Hashes are BLAKE3, 32 bytes as hexadecimal digits. One damaged block is named without reading anything else, and
//! the whole, which covers all others, is what to compare with a copy kept elsewhere.

#![forbid(unsafe_code)]

mod summed;
mod sums;

pub use summed::Summed;
pub use sums::{Sums, block_hash, file_hash};
