//! Ranges of physical memory without page structure: raw images, LiME, AVML.
//!
//! | format | layout | read | written |
//! |---|---|---|---|
//! | raw | the bytes of one range; its address is the caller's to know | [`RawSource`] | [`RawWriter`] |
//! | LiME 1 | records: 32-byte header, then the bytes of a range | [`LimeSource`] | [`LimeWriter`] |
//! | AVML 2 | the same with the bytes packed (snappy, framed), then their packed length | [`AvmlSource`] | |
//!
//! None of them says whose memory it is: [`DumpMeta`](dump_core::DumpMeta) comes with `elf_machine` 0, as a little
//! endian machine of 64 bits, without notes, and `meta_mut` takes what the caller finds out. Nor do they know page
//! sizes; ranges may begin and end within a page, whose other bytes then are zeros.
//!
//! What is in no range is a hole. That is not the whole truth for what AVML wrote: it leaves out blocks of 16 MiB that
//! are all zero, in both of its formats, and a hole between ranges looks the same (both are multiples of 16 MiB as a
//! rule). The kernel knows which it is, the file does not, so nothing is made up here. The same holds for what
//! [`LimeWriter`] cuts out.

#![forbid(unsafe_code)]

mod avml;
mod encoder;
mod extents;
mod lime;
mod lime_writer;
mod meta;
mod pages;
mod raw;
mod raw_writer;
mod record;
mod snappy;

pub use avml::AvmlSource;
pub use lime::LimeSource;
pub use lime_writer::LimeWriter;
pub use raw::RawSource;
pub use raw_writer::RawWriter;
pub use record::{is_avml, is_lime};
