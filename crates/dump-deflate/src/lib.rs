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
//! recognised by their first 512 bytes and their last 1024.
//!
//! What is left is a processor's pipeline, where wrong guesses at branches would take most of the time, 20 to 40 cycles
//! each. So candidates are scored and literals are written without branches (`matcher.rs`, `block.rs`), and what would
//! else be a branch more comes for 3 %: to look one byte further for a longer match, as zlib does from level 4 on.
//!
//! | size to zlib level 1, MB/s | kernel 6.12 | kernel 7.2 | small guest | 6.1, 4 GiB | 6.1 at level 31 |
//! |---|---|---|---|---|---|
//! | this crate | 0.999, 415 | 0.999, 447 | 0.993, 347 | 0.951, 419 | 1.002, 349 |
//! | places known by four bytes only | 1.004, 449 | 1.005, 480 | 1.005, 377 | 0.950, 437 | 1.020, 342 |
//! | zlib 1.2.13, level 1 | 1, 82 | 1, 76 | 1, 92 | 1, 140 | 1, 99 |
//!
//! One core of a busy x86-64 server, best of six runs that took turns (of two for zlib). The pages are all those of
//! three amd64 dumps that are not zero (36 000, 41 725 and 7518), 52 000 of a fourth, and the 41 000 that its dump
//! level 31 keeps. What does not become smaller counts 4096. When the machine was idle, the second row ran at 588, 617,
//! 515 and 611 MB/s, libdeflate 1.14 (level 1) at 293, 293, 289 and 350 (1.007, 1.009, 1.014 and 0.955 of zlib's size),
//! zlib-rs 0.6 (level 1) at 314, 298, 382 and 397 (1.105, 1.091, 1.238 and 1.480), zstd 1.5.7 (level 1) at 615, 644,
//! 573 and 606 (1.002, 1.007, 1.003 and 0.886). 110 000 instructions for a page that is not random: half of them to
//! find matches, a fifth to write them, a quarter to build codes and describe them.
//!
//! Rejected, with the time or size they cost (more beside the code):
//!
//! - no distances but those the hash gives: 0.5 to 2.2 % larger, 7 % faster; two places per hash instead of them: 0.4
//!   to 1.8 % larger, 3 % faster;
//! - hashes of five bytes: 0.5 to 1.8 % larger; of three or of four in every block: `matcher.rs`;
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
