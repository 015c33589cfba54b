//! ELF cores as containers of physical pages, and as outputs: `/proc/vmcore`, what makedumpfile and QEMU write, 32 and
//! 64 bit, both byte orders.
//!
//! ```text
//! ELF header ── e_phoff ──> program headers: PT_NOTE, PT_LOAD ...     (anywhere in the file: QEMU 7.2 and later put
//!      │                          │        │                           section headers first)
//!      │                          │        └── p_offset ──> memory of p_paddr .. p_paddr + p_filesz
//!      └── e_shoff ──> section    └── p_offset ──> notes
//!          header 0: the real number of program headers, where e_phnum is PN_XNUM
//! ```
//!
//! [`FORMAT`] is its row in the table of formats. [`ElfCore`] is an opened core: its pages, its notes, and who made it
//! ([`Flavor`]); [`ElfWriter`] writes another.
//!
//! goblin gives the constants; its own parser wants the whole file in memory and stops at 65535 program headers, so the
//! headers are walked here, each length checked against the file before it sizes anything.

#![forbid(unsafe_code)]

mod claims;
mod container;
mod flavor;
mod format;
mod gcore;
mod header;
mod judgement;
mod layout;
mod qemu;
mod qnx;
mod salvage;
mod section;
mod table;
mod writer;
mod xen_domain;

pub use container::ElfCore;
pub use flavor::Flavor;
pub use format::{FORMAT, GCORE};
pub use gcore::GcoreWriter;
pub use header::{FileHeader, ProgramHeader};
pub use qemu::{QemuCpu, QemuSegment};
pub use qnx::{QnxCpu, QnxGuest, QnxNote};
pub use salvage::salvage;
pub use writer::ElfWriter;
