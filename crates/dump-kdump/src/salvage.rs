//! Reading what is certain of a file that is damaged.
//!
//! ```text
//! headers   as they stand if bitmap and table agree with them; else made up from each other (rebuild.rs)
//! bitmap    the 2nd, if it counts as many pages as the table has descriptors, which data show; else the 1st, if that
//!           does: the 2nd is a part of it, so that both are the same
//! table     descriptors that stand in line with data; pages of the others by their streams (retable.rs)
//! pages     what decompresses
//! ```
//!
//! A page whose number is not certain is lost. So is all of a file whose bitmaps both contradict its table: nothing else
//! in it says which page is which.

use std::sync::Arc;

use dump_core::{Bytes, Container, Error, Part, Pfn, Result};

use crate::head::Head;
use crate::header::Header;
use crate::rank::Ranked;
use crate::rebuild;
use crate::retable::Retable;
use crate::source::KdumpFile;
use crate::split::KdumpSet;
use crate::table::Table;

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
    let Some(trouble) = head.table.trouble.take() else { return Ok(()) };
    let end = Pfn(head.header.sub.max_mapnr);
    let mut input = file.reader();
    let first = Ranked::read(input.as_mut(), head.ram_at, end)?;
    let all = first.rank(end);
    if head.ram_at != head.held_at && !head.header.sub.split {
        let table = Table::read(input.as_mut(), &head.header, &head.layout, all, all);
        if let Some(table) = table.filter(|table| table.trouble.is_none()) {
            (head.table, head.held, head.held_at) = (table, Arc::new(first), head.ram_at);
            return Ok(());
        }
    }
    Err(trouble.within("which page is which cannot be told"))
}
