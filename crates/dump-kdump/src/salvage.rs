//! Reading what is certain of a file that is damaged.
//!
//! ```text
//! headers   as they stand if bitmap and table agree with them; else made up from each other (rebuild.rs)
//! bitmap    the 2nd, if it counts as many pages as the table has descriptors, which data show; else the 1st, if that
//!           does: the 2nd is a part of it, so that both are the same; else the 2nd but for a stretch outside of which
//!           pages that hold their own addresses agree with it (own_address.rs)
//! table     descriptors that stand in line with data; pages of the others by their streams (retable.rs)
//! pages     what decompresses
//! ```
//!
//! A page whose number is not certain is lost. So is all of a file whose bitmaps both contradict its table, if too few
//! pages say themselves which they are.

use std::sync::Arc;

use dump_core::{ByteReader, Bytes, Container, Error, PageBitmap, Part, Pfn, PfnRange, Ranked, Result};

use crate::head::Head;
use crate::header::Header;
use crate::own_address::{self, Gap};
use crate::rebuild;
use crate::retable::Retable;
use crate::source::KdumpFile;
use crate::split::KdumpSet;
use crate::table::{self, Table};

/// Opens a file, or what is left of the parts of a split dump, whatever is damaged.
///
/// # Errors
/// If it is none, or nothing in it says which pages it has; if the parts are not of one dump.
pub fn salvage(parts: Vec<Part>) -> Result<Box<dyn Container>> {
    let several = parts.len() > 1; // one is named by who opens it
    let open = |Part { name, bytes }| one(bytes).map_err(|e| if several { e.within(name) } else { e });
    let mut files: Vec<KdumpFile<Bytes>> = parts.into_iter().map(open).collect::<Result<_>>()?;
    if files.len() == 1 && files.iter().all(|file| file.split_range().is_none()) {
        if let Some(file) = files.pop() {
            return Ok(Box::new(file));
        }
    }
    Ok(Box::new(KdumpSet::of_some(files)?))
}

fn one(file: Bytes) -> Result<KdumpFile<Bytes>> {
    let mut head = head(&file)?;
    prove_bitmap(&file, &mut head)?;
    head.retable = Some(Retable::read(&head, file.reader().as_mut())?);
    Ok(KdumpFile::of(file, head))
}

fn head(file: &Bytes) -> Result<Head> {
    let read = Header::read(file).and_then(|header| if header.agrees() { Ok(header) } else { Err(disagrees()) });
    match read.and_then(|header| Head::of(file, header)) {
        Ok(head) => Ok(head),
        Err(e) => rebuild::header(file).and_then(|header| Head::of(file, header)).map_err(|why| why.within(e)),
    }
}

fn disagrees() -> Error {
    Error::corrupt("main header and sub header contradict each other")
}

/// Sees to it that the bitmap that is held is that of the table.
fn prove_bitmap(file: &Bytes, head: &mut Head) -> Result<()> {
    let Some(trouble) = head.table.trouble.take().or_else(|| bitmap_is_gone(head)) else { return Ok(()) };
    let mut input = file.reader();
    match head.ram_at != head.held_at && !head.header.sub.split && read_without(head, input.as_mut())? {
        true => Ok(()),
        false => Err(trouble.within("which page is which cannot be told")),
    }
}

/// What is wrong where the 2nd bitmap has no page, though there are data.
fn bitmap_is_gone(head: &Head) -> Option<Error> {
    let some = head.layout.descriptors() + (head.header.page_size.bytes() as u64) < head.file_len;
    (head.pages() == 0 && some && !head.header.sub.split).then(|| Error::corrupt("the 2nd bitmap has no page"))
}

/// Makes up the 2nd bitmap from the 1st, and from what pages say of themselves; whether there is enough.
fn read_without(head: &mut Head, input: &mut dyn ByteReader) -> Result<bool> {
    let end = Pfn(head.header.sub.max_mapnr);
    let ram = Ranked::read(input, head.ram_at, end)?;
    let mut counts = table::counts(input, &head.header, &head.layout);
    let mut fits = |count: &u64| {
        let table = Table::read(input, &head.header, &head.layout, *count, *count);
        table.filter(|table| table.trouble.is_none() && table.begins_data)
    };
    counts.retain(|count| *count <= ram.rank(end) && fits(count).is_some());
    let &[count] = &counts[..] else { return Ok(false) };
    let Some(table) = fits(&count) else { return Ok(false) };
    head.table = table;
    if ram.rank(end) == count {
        (head.held, head.held_at) = (Arc::new(ram), head.ram_at);
        return Ok(true);
    }
    let both = both(&head.held, &ram, end)?;
    if both.rank(end) == count {
        head.held = Arc::new(both);
        return Ok(true);
    }
    let Some(gap) = own_address::gap(head, &ram, count, input)? else { return Ok(false) };
    head.held = Arc::new(bridged(&head.held, &ram, &gap, end)?);
    head.gap = Some(gap);
    Ok(true)
}

/// The pages that are in both sets: nothing but RAM is dumped.
fn both(held: &Ranked, ram: &Ranked, end: Pfn) -> Result<Ranked> {
    let mut bits = bitmap(end)?;
    let runs = held.bits().runs(PfnRange::new(Pfn(0), end));
    runs.flat_map(|run| ram.bits().runs(run)).for_each(|run| bits.set(run));
    Ok(Ranked::of(bits))
}

/// The pages of `held`, and all of RAM where it is not known.
fn bridged(held: &Ranked, ram: &Ranked, gap: &Gap, end: Pfn) -> Result<Ranked> {
    let mut bits = bitmap(end)?;
    let outside = [PfnRange::new(Pfn(0), gap.pages.start), PfnRange::new(gap.pages.end, end)];
    outside.into_iter().flat_map(|run| held.bits().runs(run)).for_each(|run| bits.set(run));
    ram.bits().runs(gap.pages).for_each(|run| bits.set(run));
    Ok(Ranked::of(bits))
}

fn bitmap(end: Pfn) -> Result<PageBitmap> {
    PageBitmap::new(end).ok_or_else(|| Error::bug("a bitmap as large as one that is held"))
}
