//! The contracts of dump-core's traits, for the tests of the crates that implement them.
//!
//! ```text
//! check_source ──> any PageSource keeps what its traits promise, whatever runs it is asked for
//! PageReader ──> Writing ──> DumpWriter, PageWriter ──> Outputs (a Placer) ──> MemoryOutput (a WriteAt)
//! ```
//!
//! What is checked here panics where it does not hold: this is for tests alone. It knows no container; what a format's bytes are,
//! its own tests and dump-synth say.

#![forbid(unsafe_code)]
// Tests may panic and unwrap, and this is the part of them that they share.
#![allow(clippy::unwrap_used, clippy::panic)]

mod made;
mod output;
mod outputs;
mod source;
mod writing;

pub use made::{MadePages, made_page, note, set_of};
pub use output::MemoryOutput;
pub use outputs::{Outputs, Placement};
pub use source::{Page, check_source, contents, page_at};
pub use writing::{Dump, Writing};
