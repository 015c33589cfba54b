//! The bitmaps of a source, held.

use dump_core::{Error, PageBitmap, PageSource, Result};

/// The pages that are RAM, and those that a source means to hold.
///
/// # Errors
/// `Corrupt` if memory ends later than on any machine; as [`PageSource::mark_ram`].
pub fn bitmaps(source: &dyn PageSource) -> Result<(PageBitmap, PageBitmap)> {
    let end = source.meta().end_pfn;
    let new = || PageBitmap::new(end).ok_or_else(|| Error::corrupt(format!("memory up to page frame {end}")));
    let (mut ram, mut held) = (new()?, new()?);
    source.mark_ram(&mut ram)?;
    source.mark_held(&mut held)?;
    Ok((ram, held))
}
