//! sadump: what the firmware of Fujitsu's x86 servers writes when the operating system no longer can.
//!
//! ```text
//! one partition   partition header │ dump header │ sub header │ bitmap of RAM │ bitmap of dumped pages │ pages
//! disk set 1      partition header │ disk set header │ dump header │ sub header │ bitmaps │ pages
//! disk set 2..16  partition header │ pages go on
//! media backup    media header │ as one partition
//! ```
//!
//! Each header takes whole blocks; a page is a block. Bits of bitmaps count from the highest of each byte. Pages come in
//! the order of their addresses and are not compressed. The firmware knows nothing of the kernel: there are no notes, but
//! the registers that each processor had when it entered the firmware, from which NT_PRSTATUS notes are made here.
//!
//! Facts: makedumpfile's sadump_mod.h and sadump_info.c, crash's sadump.c, libkdumpfile's sadump.c.

#![forbid(unsafe_code)]

mod bits;
mod container;
mod cpus;
mod formats;
mod headers;

pub use container::open_sadump;
pub use formats::{SADUMP, is_media_backup};
