//! ELF cores as sources of physical pages: `/proc/vmcore`, what makedumpfile and QEMU write, 32 and 64 bit, both byte
//! orders.
//!
//! ```text
//! ELF header ── e_phoff ──> program headers: PT_NOTE, PT_LOAD ...     (anywhere in the file: QEMU 7.2 and later put
//!      │                          │        │                           section headers first)
//!      │                          │        └── p_offset ──> memory of p_paddr .. p_paddr + p_filesz
//!      └── e_shoff ──> section    └── p_offset ──> notes
//!          header 0: the real number of program headers, where e_phnum is PN_XNUM
//! ```
//!
//! goblin gives the constants; its own parser wants the whole file in memory and stops at 65535 program headers, so the
//! headers are walked here, each length checked against the file before it sizes anything.

#![forbid(unsafe_code)]

mod extents;
mod header;
mod note;
mod source;

pub use header::{FileHeader, ProgramHeader};
pub use note::{Note, notes};
pub use source::{ElfCore, ElfSource};
