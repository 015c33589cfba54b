//! An LZO1X encoder for memory pages: one page in, one raw block out.
//!
//! ```text
//!  page ─> Window ─> Table (finds matches) ── literals, matches ──> Stream ─> out
//! ```
//!
//! Written from the description of what a decoder does (Linux Documentation/staging/lzo.rst), for decoders of the first bitstream
//! version: a block never begins with 17, and there are no runs of zeros. There is no code of LZO's in it, so it may go where
//! LZO's licence may not; what unpacks pages is somebody else's.
//!
//! A page is all there is: positions are 16 bits, the table is cleared in 150 cycles, the window is read without bounds checks.
//!
//! | size to liblzo2's LZO1X-1, MB/s | 6.1, 4 GiB | 6.1 at level 31 | kernel 7.2 | 7.2 at level 31 |
//! |---|---|---|---|---|
//! | this crate | 0.989, 1162 | 0.954, 1158 | 0.998, 1221 | 0.996, 756 |
//! | lzo1x 0.2, level 2 | 1.002, 982 | 1.002, 1189 | 1.004, 1160 | 1.006, 749 |
//!
//! One core of a busy x86-64 server, best of three runs that took turns; samples of the dumps' pages that are not zero for the
//! times, all of them for the sizes. What does not become smaller counts 4096.
#![forbid(unsafe_code)]

mod encoder;
mod matcher;
mod stream;
mod window;

pub use encoder::{MAX_PAGE, PageLzo};
