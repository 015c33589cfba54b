//! Ranges of physical memory without page structure: raw images, LiME, AVML, VMware's suspended guests.
//!
//! | format | layout | read | written |
//! |---|---|---|---|
//! | [`RAW`] | the bytes of ranges, which are the caller's to know, in one file or several | [`open_raw`], [`open_mapped`] | [`RawWriter`] |
//! | [`LIME`] 1 | records: 32-byte header, then the bytes of a range | [`open_lime`] | [`LimeWriter`] |
//! | [`AVML`] 2 | the same with the bytes compressed (snappy, framed), then their compressed length | [`open_avml`] | |
//! | [`VMWARE`] | `.vmss`, `.vmsn`: tags that say where the guest has which part of the memory, within or in a `.vmem` | [`open_vmware`] | |
//!
//! None of them says whose memory it is: [`DumpMeta`](dump_core::DumpMeta) comes with an unknown machine, a little
//! endian one of 64 bits, without notes. Nor do they know page sizes, so they open with pages of 4 KiB; ranges may
//! begin and end within a page, whose other bytes then are zeros.
//!
//! A file may have ranges of both LiME and AVML.
//!
//! What is in no range is a hole. That is not the whole truth for what AVML wrote: it leaves out blocks of 16 MiB that
//! are all zero, in both of its formats, and a hole between ranges looks the same (both are multiples of 16 MiB as a
//! rule). The kernel knows which it is, the file does not, so nothing is made up here. The same holds for what
//! [`LimeWriter`] cuts out.

#![forbid(unsafe_code)]

mod avml;
mod blocks;
mod formats;
mod image;
mod lime_writer;
mod payload;
mod raw;
mod raw_writer;
mod record;
mod snappy;
mod vmware;

pub use blocks::{open_avml, open_lime};
pub use formats::{AVML, LIME, RAW};
pub use lime_writer::LimeWriter;
pub use raw::{open_mapped, open_raw};
pub use raw_writer::RawWriter;
pub use vmware::{VMWARE, open_vmware};
