//! The page pipeline: reads, encodes on all workers, places in order, writes; knows no format and no terminal.
//!
//! ```text
//! worker:  take the next block of dumpable pages ─> read ─> encode ─> hand over
//!                                                                       │  one lock a block, no thread of its own:
//!                                                                       ▼  the one that completes the order places
//!          write own bytes <── offsets <── place, in the order of pages ┘
//! ```
//!
//! Blocks hold a fixed number of pages, whatever the number of workers; offsets are given in the order of pages; pages
//! are encoded each on its own. So the same input and options give the same bytes for any number of workers.

#![forbid(unsafe_code)]

mod convert;
mod ordered;
mod output;
mod promises;
mod split;
mod weight;
mod zero;

pub use convert::{Counts, Job, Outcome, convert};
pub use output::NullOutput;
pub use split::split_evenly;
pub use weight::Weights;
pub use zero::exclude_zero;
