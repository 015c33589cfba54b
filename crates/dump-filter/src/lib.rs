//! Which page frames a dump level leaves out: the policy over the facts in struct pages, and counts of the reasons.
//!
//! `dump-kernel` reads struct pages; nothing here knows their layout, and nothing there knows a dump level.

#![forbid(unsafe_code)]

mod exclude;
mod free;
mod host;
mod level;
mod struct_pages;
mod tally;
mod witness;

pub use exclude::{Excluded, Exclusion, Rest, exclude, exclude_witnessed};
pub use free::exclude_listed;
pub use host::{HostTally, exclude_host};
pub use level::{DumpLevel, Judge, Reason, judge};
pub use struct_pages::UnusedStructPages;
pub use tally::{Doubt, Doubtful, Tally};
pub use witness::Witness;
