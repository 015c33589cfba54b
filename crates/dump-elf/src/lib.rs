//! ELF cores as sources of physical pages, and as outputs: `/proc/vmcore`, what makedumpfile and QEMU write, 32 and 64
//! bit, both byte orders.
//!
//! ```text
//! ELF header ── e_phoff ──> program headers: PT_NOTE, PT_LOAD ...     (anywhere in the file: QEMU 7.2 and later put
//!      │                          │        │                           section headers first)
//!      │                          │        └── p_offset ──> memory of p_paddr .. p_paddr + p_filesz
//!      └── e_shoff ──> section    └── p_offset ──> notes
//!          header 0: the real number of program headers, where e_phnum is PN_XNUM
//! ```
//!
//! [`ElfCore`] opens a core and tells who made it ([`Flavor`]) and what its notes are; [`ElfSource`] has its pages;
//! [`ElfWriter`] writes another.
//!
//! goblin gives the constants; its own parser wants the whole file in memory and stops at 65535 program headers, so the
//! headers are walked here, each length checked against the file before it sizes anything.

#![forbid(unsafe_code)]

mod encoder;
mod extents;
mod flavor;
mod header;
mod known;
mod layout;
mod note;
mod qemu;
mod qnx;
mod runs;
mod section;
mod source;
mod writer;

pub use flavor::Flavor;
pub use header::{FileHeader, ProgramHeader};
pub use known::{NoteInfo, describe_notes};
pub use note::{Note, notes};
pub use qemu::{QemuCpu, QemuSegment};
pub use qnx::QnxNote;
pub use source::{ElfCore, ElfSource};
pub use writer::ElfWriter;
