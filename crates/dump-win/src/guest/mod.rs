//! What is found in the memory of Windows, and put into it: the debugger's data (KDBG), the registers of CPUs.
//!
//! It is part of this crate because all that it finds becomes fields of the header, whose layout is nobody else's. It
//! reads pages of any container, and knows none.
//!
//! Sources: QEMU, dump/win_dump.c and contrib/elf2dmp.

mod building;
mod completion;
mod cpu;
mod debugger_data;
mod kernel_image;
mod memory;
mod msf;
mod symbols;

pub use building::{build, find_kernel};
pub use completion::{Completion, complete};
pub use cpu::Cpu;
pub use kernel_image::{KernelImage, PdbId};
