//! The files that one dump is written to, and which pages each holds.

use dump_core::PfnRange;

/// How far one output file has got.
#[derive(Clone, Copy)]
pub(crate) struct PartOutput {
    /// The page frames whose pages it holds.
    pub(crate) pages: PfnRange,
    /// Where the next descriptors go (bytes).
    pub(crate) table_end: u64,
    /// Where the next data goes (bytes).
    pub(crate) data_end: u64,
}
