//! Where a reader's pages and faults go.

use dump_core::{Absence, CodecSet, Content, Damage, Error, Fault, Pfn, PfnRange, Push, Result, Span};

/// Takes pages as they are read, and what is wrong with those that cannot be.
pub(crate) struct Sinks<'a> {
    /// Codecs whose pages are taken compressed.
    pub(crate) accept: CodecSet,
    /// Takes pages.
    pub(crate) push: Push<'a>,
    /// Takes faults.
    pub(crate) fault: &'a mut dyn FnMut(Fault),
}

impl Sinks<'_> {
    /// Hands over pages.
    pub(crate) fn push(&mut self, pages: PfnRange, content: Content<'_>) -> Result<()> {
        (self.push)(Span { pages, content })
    }

    /// Reports a page that cannot be read.
    pub(crate) fn fault(&mut self, pfn: Pfn, damage: Damage, error: Error) {
        (self.fault)(Fault { pages: PfnRange::at(pfn, 1), damage, error: Some(error) });
    }

    /// Reports a page that cannot be read, and hands it over as such.
    pub(crate) fn unreadable(&mut self, pfn: Pfn, damage: Damage, error: Error) -> Result<()> {
        self.fault(pfn, damage, error);
        self.push(PfnRange::at(pfn, 1), Content::Absent(Absence::Unreadable))
    }
}
