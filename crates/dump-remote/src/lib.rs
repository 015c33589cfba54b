//! Files on HTTP servers and in S3-compatible stores as bytes by offset: only the ranges that are read are fetched.
//!
//! ```text
//! name ── place ──> URL, signed where it is of S3
//!                    │
//! ReadAt ── file ── blocks (cache, who fetches what) ── client ── answer (is it what was asked for?)
//! ```
//!
//! A file is fetched in *blocks* of 32 KiB, and in runs of them that grow while reads go on where the last ended, up to
//! 4 MiB. What was fetched is kept, 32 MiB of it, for all workers and all files of a [`Remote`]. Two workers never fetch
//! the same block at the same time.
//!
//! A server is not believed: each answer must be for the range that was asked for, of a file of the same length and the
//! same ETag and Last-Modified as when it was opened. What passes (a lost connection, a busy server) is tried again,
//! from where it broke off; what does not, and what does not pass in half a minute, ends the file, with an error of kind
//! [`Unreachable`](dump_core::ErrorKind::Unreachable).
#![forbid(unsafe_code)]

mod account;
mod answer;
mod arrival;
mod blocks;
mod client;
mod file;
mod pace;
mod patience;
mod place;
mod remote;
mod tls;
mod tries;
mod trouble;

pub use account::Account;
pub use file::RemoteFile;
pub use patience::Patience;
pub use place::is_remote;
pub use remote::Remote;
