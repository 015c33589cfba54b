//! An LZO1X encoder for memory pages: one page in, one raw block out.
//!
//! ```text
//!  page ─> Window ─> Table (finds matches) ── literals, matches ──> Stream ─> out
//! ```
//!
//! Written from the description of what a decoder does (Linux Documentation/staging/lzo.rst), for decoders of the first
//! bitstream version: a block never begins with 17, and there are no runs of zeros. There is no code of LZO's in it, so
//! it may be used where LZO's licence does not allow it; decompressing is left to other crates, but for a look at whether a
//! block would decompress ([`is_block_of`]), which needs none of its bytes.
//!
//! A page is all there is: positions are 16 bits, the table is cleared in 150 cycles, the window is read without bounds
//! checks.
//!
//! | size to liblzo2's LZO1X-1, MB/s | 6.1, 4 GiB | 6.1 at level 31 | kernel 7.2 | 7.2 at level 31 | small guest |
//! |---|---|---|---|---|---|
//! | this crate | 0.988, 1512 | 0.946, 1645 | 0.997, 1601 | 0.995, 965 | 1.002, 1285 |
//! | lzo1x 0.2, level 2 | 1.002, 1012 | 1.001, 1251 | 1.001, 1218 | 1.003, 749 | 1.004, 944 |
//!
//! One core of an x86-64 server; for each eight pages the least of 25 times that took turns. Samples of the dumps'
//! pages that are not zero for the times, all of them for the sizes. What does not become smaller counts 4096. A page
//! takes 21 000 to 35 000 instructions, where lzo1x takes 47 000 to 68 000 (the clearing of the table left aside).
#![forbid(unsafe_code)]

mod encoder;
mod matcher;
mod stream;
mod walk;
mod window;

pub use encoder::{MAX_PAGE, PageLzo};
pub use walk::is_block_of;
