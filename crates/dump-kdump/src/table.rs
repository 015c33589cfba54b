//! Where the descriptor table ends and page data begin, and whether bitmap and table agree.
//!
//! Every writer puts the first page's data right behind the last descriptor: the page of zeros that others share, or
//! else the first page that is stored. So the data tell how many descriptors there are, and the 2nd bitmap tells it too:
//! one bit more or less in the bitmap gives all pages behind it the bytes of their neighbours. The pages themselves
//! look sound then, whatever checksums they have.

use dump_core::{ByteReader, Error, ErrorKind, Result, is_zero};

use crate::desc::PageDesc;
use crate::header::Header;
use crate::layout::Layout;

/// Descriptors that are looked at when a file is opened.
const LOOKED_AT: u64 = 256;

/// The table as a whole.
pub(crate) struct Table {
    /// Where it ends, by the 2nd bitmap, and data begin.
    pub(crate) end: u64,
    /// Where data begin at the earliest: an offset before that is none.
    pub(crate) data_from: u64,
    /// The page that zero pages share.
    pub(crate) zero: SharedZero,
    /// Whether the first page is stored a page behind the end: behind the page that zero pages share.
    pub(crate) skips_a_page: bool,
    /// Whether data begin at the end for certain: a descriptor says so.
    pub(crate) begins_data: bool,
    /// How table and bitmap contradict each other, if they do.
    pub(crate) trouble: Option<Error>,
    /// Whether that is certain: data begin within the table, or descriptors of pages stand behind it. What stands there
    /// may be a gap else, although no writer is known that leaves one.
    pub(crate) mixes_pages_up: bool,
    /// What of it could not be read, so that bitmap and table were not compared.
    pub(crate) unread: Option<Error>,
}

/// The page of zeros that makedumpfile, QEMU and this crate put before all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SharedZero {
    /// There is none.
    None,
    /// Here; seen once, its descriptors need no reading.
    At(u64),
    /// Several pages share the one here, which is not zeros: they were, and it is damaged.
    Damaged(u64),
}

impl Table {
    /// Looks at the first of the `here` descriptors that the file has of the `all` that the 2nd bitmap counts, which a
    /// part of a split dump shares with others. `None` if there cannot be so many.
    pub(crate) fn read(
        input: &mut dyn ByteReader,
        header: &Header,
        layout: &Layout,
        all: u64,
        here: u64,
    ) -> Option<Table> {
        let (end, page) = (layout.descriptor(all)?, header.page_size.bytes());
        let mut unread = None;
        let first = noted(first_descriptors(input, header, layout, here), &mut unread).unwrap_or_default();
        let zero = noted(shared_zero(input, page, end, &first), &mut unread).unwrap_or(SharedZero::None);
        let lowest = first.iter().map(|desc| desc.offset).min();
        let agrees = |desc: &PageDesc| desc.offset == end || desc.offset == end.saturating_add(page as u64);
        let trouble = match lowest {
            Some(lowest) if !first.iter().any(agrees) => {
                noted(trouble(input, header, layout, end, lowest), &mut unread).flatten()
            }
            _ => None,
        };
        let mixes_pages_up = trouble.as_ref().is_some_and(|(_, certain)| *certain);
        let trouble = trouble.map(|(error, _)| error);
        let data_from = if trouble.is_some() { lowest.unwrap_or(end).min(end) } else { end };
        let skips_a_page = lowest == Some(end.saturating_add(page as u64));
        let begins_data = first.iter().any(agrees);
        Some(Table { end, data_from, zero, skips_a_page, begins_data, trouble, mixes_pages_up, unread })
    }
}

/// What was read; where it could not be, `unread` says why, if it does not yet.
fn noted<T>(read: Result<T>, unread: &mut Option<Error>) -> Option<T> {
    read.map_err(|e| unread.get_or_insert(e.within("page descriptors"))).ok()
}

/// `len` bytes at `at`; `None` where the file ends before.
fn view(input: &mut dyn ByteReader, at: u64, len: usize) -> Result<Option<&[u8]>> {
    match input.view(at, len) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == ErrorKind::Truncated => Ok(None),
        Err(e) => Err(e),
    }
}

/// How many descriptors a table can have, by where the first data begin: the page of zeros, or the page behind it.
pub(crate) fn counts(input: &mut dyn ByteReader, header: &Header, layout: &Layout) -> Vec<u64> {
    let (from, page, size) = (layout.descriptors(), header.page_size.bytes() as u64, PageDesc::SIZE as u64);
    let first = first_descriptors(input, header, layout, LOOKED_AT).unwrap_or_default();
    let lowest = first.iter().map(|desc| desc.offset).min();
    let starts = lowest.into_iter().flat_map(|lowest| [lowest, lowest.saturating_sub(page)]);
    starts.filter(|start| *start > from && (start - from) % size == 0).map(|start| (start - from) / size).collect()
}

/// Those of the first descriptors that make sense on their own.
fn first_descriptors(input: &mut dyn ByteReader, header: &Header, layout: &Layout, here: u64) -> Result<Vec<PageDesc>> {
    let len = here.min(LOOKED_AT) as usize * PageDesc::SIZE;
    let bytes = view(input, layout.descriptors(), len)?.unwrap_or_default();
    Ok(descriptors(bytes, header).filter(|desc| makes_sense(desc, header, layout)).collect())
}

/// The descriptors that `bytes` are.
pub(crate) fn descriptors<'a>(bytes: &'a [u8], header: &'a Header) -> impl Iterator<Item = PageDesc> + 'a {
    let mut f = PageDesc::fields(bytes, header.abi.order);
    (0..bytes.len() / PageDesc::SIZE).map_while(move |_| PageDesc::decode(&mut f).ok())
}

fn makes_sense(desc: &PageDesc, header: &Header, layout: &Layout) -> bool {
    desc.offset >= layout.descriptors() && desc.stored_len(header.page_size.bytes()).is_ok()
}

/// The first page of data, if it is one of zeros or was.
fn shared_zero(input: &mut dyn ByteReader, page: usize, at: u64, first: &[PageDesc]) -> Result<SharedZero> {
    let shares = |desc: &&PageDesc| desc.offset == at && desc.flags == 0;
    Ok(match view(input, at, page)? {
        Some(bytes) if is_zero(bytes) => SharedZero::At(at),
        Some(_) if first.iter().filter(shares).count() > 1 => SharedZero::Damaged(at),
        _ => SharedZero::None,
    })
}

/// What it means that data begin at `lowest` rather than at `end`, behind the table that the bitmap announces, and
/// whether that is certain.
fn trouble(
    input: &mut dyn ByteReader,
    header: &Header,
    layout: &Layout,
    end: u64,
    lowest: u64,
) -> Result<Option<(Error, bool)>> {
    let (size, page) = (PageDesc::SIZE as u64, header.page_size.bytes() as u64);
    let text = |more: u64, who: &str, other: &str| {
        Error::corrupt(format!(
            "data begin at offset {lowest:#x}, but the 2nd bitmap's descriptors end at {end:#x}: {who} has {more} pages \
             more than {other}, so pages behind the first of these have the bytes of others"
        ))
    };
    if lowest < end {
        return Ok(Some((text((end - lowest).div_ceil(size), "the bitmap", "the table"), true)));
    }
    // behind a page of zeros, where the first descriptors have none of it
    let starts = [lowest, lowest.saturating_sub(page)];
    let more =
        starts.into_iter().filter(|start| *start > end && (start - end) % size == 0).map(|start| (start - end) / size);
    let Some(more) = more.min() else { return Ok(None) };
    let bytes = view(input, end, more.min(LOOKED_AT) as usize * PageDesc::SIZE)?.unwrap_or_default();
    // a part of a split dump has room there for the descriptors of others
    let is_one = |desc: PageDesc| desc == PageDesc::default() || makes_sense(&desc, header, layout);
    let certain = descriptors(bytes, header).any(|desc| desc != PageDesc::default());
    let there = !bytes.is_empty() && descriptors(bytes, header).all(is_one);
    Ok(there.then(|| (text(more, "the table", "the bitmap"), certain)))
}
