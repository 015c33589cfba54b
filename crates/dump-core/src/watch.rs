//! Progress, as it is reported to a watcher; no terminal here.

/// A long step of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A compressed input, or one from a pipe, is copied to a temporary file; counts bytes of the input.
    Spool,
    /// A flattened stream becomes the file that it describes; counts bytes of the stream.
    Rearrange,
    /// Struct pages are read and classified; counts pages.
    Exclude,
    /// Pages are read to find those that are zero; counts pages.
    Zero,
    /// Pages are read, compressed and written; counts the pages to be dumped.
    Copy,
}

/// Receives the progress of the work; called from any worker.
pub trait Watch: Sync {
    /// `phase` begins; `total` is how much of it there is, 0 if that is not known. A phase may begin within another,
    /// and ends before it.
    fn begin(&self, phase: Phase, total: u64);
    /// `amount` more of the innermost phase is done.
    fn advance(&self, amount: u64);
    /// The innermost phase is over.
    fn end(&self);
    /// Whether someone asked to stop; the work ends soon after with what it has.
    fn stopped(&self) -> bool {
        false
    }
}

/// Watches nothing.
pub struct NoWatch;

impl Watch for NoWatch {
    fn begin(&self, _: Phase, _: u64) {}
    fn advance(&self, _: u64) {}
    fn end(&self) {}
}
