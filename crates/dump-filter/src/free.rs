//! Free pages by the buddy allocator's own lists, where struct pages do not mark them.

use crate::exclude::{Exclusion, Leave, leave_out};
use crate::level::Reason;
use crate::tally::{Doubt, Tally};
use crate::witness::Witness;
use dump_core::{PageBitmap, Result};
use dump_kernel::PageScanner;

/// Clears the bits of pages that are on the lists of free pages and counts them, before a `witness`. `limit` (pages) is all
/// there can be.
///
/// # Errors
/// If the lists cannot be found, or one is broken: then nothing was cleared, for a broken list may lead anywhere.
pub fn exclude_listed(
    job: &Exclusion<'_>,
    dumpable: &mut PageBitmap,
    limit: u64,
    witness: &mut impl Witness,
) -> Result<Tally> {
    let Exclusion { kernel, memory, map, rules, footprint, .. } = *job;
    let lists = kernel.free_lists(memory)?;
    lists.walk(&mut kernel.memory(memory), map, limit, &mut |_| {})?;
    let mut tally = Tally::default();
    let mut scanner = PageScanner::new(rules, map, kernel.memory(memory));
    lists.walk(&mut kernel.memory(memory), map, limit, &mut |block| {
        let here = dumpable.count(block.pages()) != 0;
        if here && scanner.is_free(block) {
            leave_out(dumpable, footprint, Leave::of(Reason::Free, block.pages()), &mut tally, witness);
        } else if here && dumpable.span().contains(block.first) {
            tally.keep(Doubt::Contradiction, block.first, 1);
        }
    })?;
    Ok(tally)
}
