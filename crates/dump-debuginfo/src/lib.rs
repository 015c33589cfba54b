//! A kernel's ELF file, `vmlinux`: addresses of its symbols, its build ID, and its types as DWARF has them, in it or in a
//! separate debug file.
//!
//! Nothing here knows a dump. What is asked for is read when it is first asked for: a distribution's debug information is
//! hundreds of MiB.

#![forbid(unsafe_code)]

mod dwarf;
mod elf;
mod separate;
mod vmlinux;

pub use separate::debug_paths;
pub use vmlinux::Vmlinux;
