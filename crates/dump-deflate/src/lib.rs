//! A deflate encoder for memory pages: one page in, one zlib stream out (RFC 1950 and 1951).
//!
//! ```text
//!  page ─> Window ─> Matcher ─────────── literals, matches ───────────> Entries ─> Bits ─> out
//!                       └──> Counts ─> Code (two) ─> Header                  of each symbol
//!                                 which is smallest: stored, fixed or own codes? does it fit?
//! ```
//!
//! Compressing a dump in the format that every reader knows is compressing millions of pages of 4 KiB, each on its own.
//! A general encoder spends much of such a page on itself: on clearing tables made for megabytes, on filling a window,
//! on blocks that might go on. Here a page is all there is. Its matcher needs 8 KiB of hash table, cleared in 150
//! cycles; any `u16` is a valid position, so that safe code reads the window without bounds checks; sizes are known
//! before a byte is written, so that what does not fit is given up early; and random pages, a third of some dumps, are
//! told by their first 512 bytes and their last 1024.
//!
//! What is left is a processor's pipeline, where wrong guesses at branches would take most of the time, 20 to 40 cycles
//! each. So candidates are scored and literals are written without branches (`matcher.rs`, `block.rs`), and what would
//! else be a branch more comes for 3 %: to look one byte further for a longer match, as zlib does from level 4 on.
//!
//! | size to zlib level 1, MB/s | kernel 6.12 | kernel 7.2 | small guest | 6.1, 4 GiB | 7.2, not random |
//! |---|---|---|---|---|---|
//! | this crate | 1.004, 588 | 1.005, 617 | 1.005, 515 | 0.950, 611 | 1.014, 449 |
//! | zlib 1.2.13, level 1 | 1, 117 | 1, 113 | 1, 139 | 1, 181 | 1, 125 |
//! | libdeflate 1.14, level 1 | 1.007, 293 | 1.009, 293 | 1.014, 289 | 0.955, 350 | 1.026, 279 |
//! | zlib-rs 0.6, level 1 | 1.105, 314 | 1.091, 298 | 1.238, 382 | 1.480, 397 | 1.266, 352 |
//! | zstd 1.5.7, level 1 | 1.002, 615 | 1.007, 644 | 1.003, 573 | 0.886, 606 | 1.021, 505 |
//!
//! One core of an x86-64 server at 3.6 GHz, least of three or five runs' times. The pages are all those of three amd64
//! dumps that are not zero (36 000, 41 725 and 7518), and 60 000 of a fourth; the last column are the 28 051 of the
//! second that zlib makes smaller. What does not become smaller counts 4096. 110 000 instructions for a page of the
//! last column: 55 000 to find matches, 23 000 to write them, 27 000 to build codes and describe them, 3300 for the
//! checksum.
//!
//! Rejected, with the time or size they cost (more beside the code):
//!
//! - no distances but those the hash gives: 0.5 to 2.2 % larger (3.1 % in the last column), 7 % faster; two places per
//!   hash instead of them: 0.4 to 1.8 % larger (2.2 %), 3 % faster;
//! - hashes of five bytes: 0.5 to 1.8 % larger; of three: 0.5 % smaller, with a quarter more matches to write;
//! - 16 bytes compared before the branch on a match's length: 3 % slower, the chain of loads gets longer;
//! - a length that is compared first and a distance that breaks ties: as fast, and up to 0.7 % larger;
//! - sequences of four literals at most, to write them all without a branch: 3 % slower;
//! - literals joined in pairs before they are appended: 10 % more instructions and no faster;
//! - a header without repeats of code lengths, which would need no branch: text becomes 1 % larger;
//! - matches that begin in the last nine bytes: 0.04 % smaller, for 25 lines.
//!
//! Built for x86-64-v3, with its shifts that leave flags alone, it is 2 to 3 % faster.
#![forbid(unsafe_code)]

mod adler;
mod bits;
mod block;
mod counts;
mod encoder;
mod header;
mod huffman;
mod matcher;
mod symbols;
mod window;

pub use encoder::{MAX_PAGE, PageDeflater};
