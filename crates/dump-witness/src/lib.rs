#![forbid(unsafe_code)]

//! A second reader of crash dumps, for checking what gdump writes.
//!
//! It is written from the descriptions of the formats and shares no code with the product, so that a mistake would have
//! to be made twice to pass. It is strict where a reader in the field would be lenient: what crash, drgn or
//! libkdumpfile might trip over is an error here.
//!
//! | module | reads |
//! |---|---|
//! | [`kdump`], [`codec`] | kdump-compressed files of version 6, 64 bit, either byte order |
//! | [`elf`] | ELF vmcores of either word size and byte order |
//! | [`memory`], [`contents`] | either, as the memory it stands for; whether a dump's pages are that memory |
//! | [`bitmap`] | a bit for each page frame, and where two bitmaps differ |
//! | [`struct_page`] | the raw struct page of a page frame |

pub mod bitmap;
pub mod codec;
pub mod contents;
pub mod elf;
pub mod kdump;
pub mod memory;
pub mod struct_page;
mod wire;

pub use bitmap::{Bitmap, Difference};
pub use elf::Elf;
pub use kdump::{Kdump, Page};
pub use memory::Memory;
