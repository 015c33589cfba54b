//! The memory of one Xen guest, as `xl dump-core` writes it: in sections, with no program header.
//!
//! | section | holds |
//! |---|---|
//! | `.note.Xen` | notes: 0x2000001 {magic, vCPUs, pages, page size}, 0x2000002 Xen's version, 0x2000003 the format's |
//! | `.xen_pages` | pages, one after the other |
//! | `.xen_pfn` | of an HVM or PVH guest: the page frame of each (u64), ascending |
//! | `.xen_p2m` | of a PV guest: {its page frame, the machine's} of each (u64 both), ascending |
//!
//! All ones stand for no page frame. Source: docs/misc/dump-core-format.txt and tools/libs/guest/xg_core.c of Xen.
//!
//! Pages are given by the guest's page frames. Page tables of a PV guest hold the machine's.

use crate::flavor::Flavor;
use crate::format;
use crate::header::FileHeader;
use crate::section::{self, Section};
use dump_core::{
    Description, DumpMeta, Error, Extent, ExtentContainer, ExtentPages, Extents, Fields, Notes, PageSize, PlainMemory,
    ReadAt, Result,
};

const NOTES: &[u8] = b".note.Xen";
const PAGES: &[u8] = b".xen_pages";
const PFN: &[u8] = b".xen_pfn";
const P2M: &[u8] = b".xen_p2m";

/// The note with the numbers.
const HEADER: u32 = 0x200_0001;

/// The longest section of notes that is read (bytes): Xen's are below 4 KiB.
const MAX_NOTES: u64 = 64 << 10;

/// Bytes of the table of page frames that are read at once.
const PIECE: u64 = 64 << 10;

/// Page frames above this are none: 52 bits of addresses.
const END: u64 = 1 << 40;

/// Whether the file is one.
pub(crate) fn is_one(input: &dyn ReadAt, header: &FileHeader) -> bool {
    header.phnum == 0 && section::all(input, header).iter().any(|section| section.name == PAGES)
}

/// Reads the sections.
///
/// # Errors
/// `Corrupt` if one that is needed is not there, or makes no sense. A file that ends within its pages is not an error.
pub(crate) fn open<R: ReadAt>(input: R, header: &FileHeader) -> Result<ExtentContainer<PlainMemory<R>>> {
    let sections = section::all(&input, header);
    let find = |name: &[u8]| sections.iter().find(|section| section.name == name);
    let lacks = |name: &[u8]| Error::corrupt(format!("no section {}", String::from_utf8_lossy(name)));
    let pages = find(PAGES).ok_or_else(|| lacks(PAGES))?;
    let (table, is_pv) = match (find(PFN), find(P2M)) {
        (Some(table), _) => (table, false),
        (None, Some(table)) => (table, true),
        (None, None) => return Err(lacks(PFN)),
    };
    let notes = find(NOTES).ok_or_else(|| lacks(NOTES)).and_then(|section| read_notes(&input, section, header))?;
    let numbers = Numbers::of(&notes, header)?;
    let (len, size) = (input.len()?, numbers.page_size);
    let entry = if is_pv { 16 } else { 8 };
    let claimed = (pages.size / size.bytes() as u64).min(table.size / entry);
    let there = |section: &Section, unit: u64| len.saturating_sub(section.offset).min(section.size) / unit;
    let held = there(pages, size.bytes() as u64).min(there(table, entry));
    let end = pages.offset.saturating_add(pages.size).max(table.offset.saturating_add(table.size));
    let damage = (held < claimed).then(|| Error::truncated("its memory", end, len));
    let (extents, odd) = extents(&input, table, pages, entry, held, size)?;
    let mut faults = Vec::new();
    if numbers.pages != claimed {
        let text = format!("the header has {} pages, the sections {claimed}", numbers.pages);
        faults.push(Error::corrupt(text));
    }
    if odd != 0 {
        faults.push(Error::corrupt(format!("{odd} page frames come late or again, or are none of any machine")));
    }
    let meta = DumpMeta {
        stated_cpus: u32::try_from(numbers.cpus).ok(),
        notes,
        ..DumpMeta::new(header.machine.of_kernel(), size)
    };
    let pages = ExtentPages::new(PlainMemory::new(input, extents)?, meta);
    let producer = if is_pv { "Xen domain core, PV" } else { Flavor::XenDomain.name() };
    let description = Description { producer: Some(producer), ..Description::of(format::NAME) };
    Ok(ExtentContainer::new(description, pages).with_damage(damage).with_faults(faults, true))
}

/// What the note of the header says.
struct Numbers {
    cpus: u64,
    pages: u64,
    page_size: PageSize,
}

impl Numbers {
    fn of(notes: &Notes, header: &FileHeader) -> Result<Numbers> {
        let note = notes.iter().find(|note| note.name == b"Xen" && note.kind == HEADER);
        let desc = note.as_ref().and_then(|note| notes.desc(note));
        let desc = desc.ok_or_else(|| Error::corrupt("section .note.Xen has no note of type 0x2000001"))?;
        let mut f = Fields::new(desc, header.machine.order, header.machine.word);
        f.u64("xch_magic")?;
        let (cpus, pages, size) = (f.u64("xch_nr_vcpus")?, f.u64("xch_nr_pages")?, f.u64("xch_page_size")?);
        let page_size = PageSize::from_bytes(size);
        let page_size =
            page_size.ok_or_else(|| Error::corrupt(format!("xch_page_size is {size}, expected a page size")))?;
        Ok(Numbers { cpus, pages, page_size })
    }
}

fn read_notes(input: &dyn ReadAt, section: &Section, header: &FileHeader) -> Result<Notes> {
    if section.size > MAX_NOTES {
        return Err(Error::corrupt(format!("section .note.Xen has {} bytes, more than {MAX_NOTES}", section.size)));
    }
    let mut reader = input.reader();
    let bytes = reader.view(section.offset, section.size as usize).map_err(|e| e.within("section .note.Xen"))?;
    Ok(Notes::new(bytes.to_vec(), header.machine.order))
}

/// Where the first `count` pages lie, and how many of their page frames make no sense.
fn extents(
    input: &dyn ReadAt,
    table: &Section,
    pages: &Section,
    entry: u64,
    count: u64,
    size: PageSize,
) -> Result<(Extents, u64)> {
    let page = size.bytes() as u64;
    let (mut list, mut odd, mut last) = (Vec::<Extent>::new(), 0, None);
    let mut reader = input.reader();
    let mut i = 0;
    while i < count {
        let here = (PIECE / entry).min(count - i);
        let bytes = reader.view(table.offset + i * entry, (here * entry) as usize)?;
        for words in bytes.chunks_exact(entry as usize) {
            let pfn = words.first_chunk().map_or(u64::MAX, |word| u64::from_le_bytes(*word));
            let offset = pages.offset + i * page;
            i += 1;
            if pfn == u64::MAX {
                continue;
            }
            if pfn >= END || last.is_some_and(|last| pfn <= last) {
                odd += 1;
                continue;
            }
            last = Some(pfn);
            match list.last_mut() {
                Some(run) if run.end == pfn * page && run.offset + (run.end - run.start) == offset => run.end += page,
                _ => list.push(Extent { start: pfn * page, end: (pfn + 1) * page, offset }),
            }
        }
    }
    Ok((Extents::disjoint(list)?, odd))
}
