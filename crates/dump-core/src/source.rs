//! Where pages come from.

use crate::addr::{PageSize, PfnRange};
use crate::bitmap::PageBitmap;
use crate::codec::{CodecId, CodecSet};
use crate::error::Result;
use crate::meta::DumpMeta;

/// Why a page has no content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// Not RAM.
    Hole,
    /// Left out by a filter, when the source was made.
    Excluded,
    /// Missing, because the source is incomplete: it ran out of space when it was made.
    Lost,
    /// The source has it but reading it failed.
    Unreadable,
}

/// What a run of pages holds.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// The bytes, page after page: as many as the run is long.
    Bytes(&'a [u8]),
    /// Zeros, known without reading.
    Zero,
    /// One page, still compressed with a codec that the caller takes; the source has seen that it decompresses.
    Compressed {
        /// How it is compressed.
        codec: CodecId,
        /// The compressed bytes.
        bytes: &'a [u8],
    },
    /// Nothing, and why.
    Absent(Absence),
}

/// Pages and what they hold; lives as long as the call that passes it.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    /// Which pages.
    pub pages: PfnRange,
    /// Their content.
    pub content: Content<'a>,
}

/// Physical pages out of any container.
pub trait PageSource: Send + Sync {
    /// What the container knows besides pages.
    fn meta(&self) -> &DumpMeta;

    /// Puts the page frames that are RAM into `ram`, as far as they lie in its window (the 1st bitmap).
    ///
    /// # Errors
    /// If the container must be read for that, and cannot be.
    fn mark_ram(&self, ram: &mut PageBitmap) -> Result<()>;

    /// Puts the page frames whose content the container means to hold into `held` (the 2nd bitmap).
    ///
    /// # Errors
    /// As [`mark_ram`](PageSource::mark_ram).
    fn mark_held(&self, held: &mut PageBitmap) -> Result<()>;

    /// What its headers claim, found without a look at any page: who would do work for each page asks here first.
    /// Containers that cannot claim more than they have claim nothing.
    fn claim(&self) -> Claim {
        Claim::default()
    }

    /// A worker's half: reads pages, with the buffers, windows and codecs that it keeps from run to run.
    fn reader(&self) -> Box<dyn PageReader + '_>;
}

/// Pages that headers speak of, whether or not the file has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// Pages that the container means to hold.
    pub held: u64,
    /// Those of them that lie past the end of its file, or whose descriptors do.
    pub missing: u64,
}

/// Takes spans as a [`PageReader`] comes to them.
pub type Push<'p> = &'p mut dyn FnMut(Span<'_>) -> Result<()>;

/// A worker's half of a [`PageSource`].
pub trait PageReader: Send {
    /// Pushes spans that ascend, cover `run` exactly and never overlap.
    ///
    /// A page that cannot be read is [`Absence::Unreadable`], not an error; `accept` names the codecs whose compressed
    /// pages may be pushed as they are. A caller bounds memory by the length of `run`.
    ///
    /// # Errors
    /// Only what `push` returns, or a failure that touches more than pages.
    fn visit(&mut self, run: PfnRange, accept: CodecSet, push: Push<'_>) -> Result<()>;
}

/// Copies the pages of `run`, each of `size`, to `out` (as many bytes as the run is long), zeros where a page is
/// absent.
///
/// Returns the first absence met, `None` where all pages are there.
///
/// # Errors
/// As [`PageReader::visit`].
pub fn read_pages(
    reader: &mut dyn PageReader,
    size: PageSize,
    run: PfnRange,
    out: &mut [u8],
) -> Result<Option<Absence>> {
    let mut absence = None;
    out.fill(0);
    reader.visit(run, CodecSet::NONE, &mut |span| {
        match span.content {
            Content::Bytes(bytes) => {
                let at = usize::try_from(size.bytes_of(span.pages.start - run.start)).unwrap_or(usize::MAX);
                if let Some(to) = at.checked_add(bytes.len()).and_then(|end| out.get_mut(at..end)) {
                    to.copy_from_slice(bytes);
                }
            }
            Content::Absent(why) => absence = absence.or(Some(why)),
            Content::Zero | Content::Compressed { .. } => {}
        }
        Ok(())
    })?;
    Ok(absence)
}
