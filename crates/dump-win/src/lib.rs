//! Windows crash dumps (`MEMORY.DMP`), reading and writing.
//!
//! ```text
//! 0          DUMP_HEADER64 (0x2000 bytes) or DUMP_HEADER32 (0x1000)      header.rs
//!            with PhysicalMemoryBlock: the runs of RAM                   memory_block.rs
//! header end full dump        the pages of the runs, one behind the other
//!            bitmap dump      header, a bit a page frame, the pages      bitmap.rs, bitmap_pages.rs
//!            .dump /k /ka /f  header, a list of runs, the pages          ranges.rs
//! ```
//!
//! | type | what it is | read | written |
//! |---|---|---|---|
//! | 1 | full | x86_64, arm64, 32 bit | x86_64, arm64, 32 bit |
//! | 5, 6 | bitmap: kernel, active and live memory | x86_64, arm64 | 5 |
//! | 8, 9, 0xA | the debugger's `.dump /k`, `/ka`, `/f` | x86_64, arm64 | |
//! | 2, 3, 4 | summaries and minidumps, which have next to no memory | | |
//!
//! The header goes with the memory: other containers keep it in the note that QEMU has it in ([`note`]), and a dump is
//! written with the header of that note. Integers are little endian. Pages have 4 KiB on all of these machines.
//!
//! Sources: QEMU, include/qemu/win_dump_defs.h and contrib/elf2dmp; kdmp-parser, src/structs.rs; LeechCore,
//! device_file.c; Volatility 3, layers/crash.py.

#![forbid(unsafe_code)]

mod bitmap;
mod bitmap_pages;
mod container;
mod doubts;
mod dump_type;
mod format;
pub mod guest;
mod header;
mod layout;
mod memory_block;
pub mod note;
mod page_writer;
mod patched;
mod ranges;
mod reading;
mod writer;

pub use container::{WindowsDump, open};
pub use dump_type::DumpType;
pub use format::FORMAT;
pub use header::Header;
pub use memory_block::MemoryBlock;
pub use patched::{Patched, Patches};
pub use writer::DmpWriter;
