//! Who looks on while pages are judged: what a filter does is then known page by page, by the filter itself.

use crate::level::Reason;
use dump_core::PfnRange;

/// Is told what becomes of pages, in whatever order they are judged; there is one for each worker.
pub trait Witness: Send {
    /// Whether it is told anything; where not, looking on costs nothing.
    const LISTENS: bool = true;

    /// These pages go for `reason`; none of them went before. `huge` are those of processes that go as a block: hugetlb
    /// and compound pages.
    fn left_out(&mut self, pages: PfnRange, reason: Reason, huge: bool);

    /// The struct pages of these pages, which nothing speaks against so far, are of the slab allocator.
    fn slab(&mut self, pages: PfnRange);
}

/// Nobody.
impl Witness for () {
    const LISTENS: bool = false;

    fn left_out(&mut self, _: PfnRange, _: Reason, _: bool) {}

    fn slab(&mut self, _: PfnRange) {}
}
