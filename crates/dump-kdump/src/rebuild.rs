//! Headers made up from what else there is in a file.
//!
//! The sub header says where the notes begin, which is behind it, and so how large blocks are; with the number of page
//! frames follows the length of the bitmaps. The main header says all of that too. What neither says is tried, and is
//! right if the table begins where it must then, and has as many descriptors before the first page's data as the 2nd
//! bitmap has pages.

use dump_core::{ByteOrder, Bytes, Error, Notes, PageSize, Pfn, Ranked, ReadAt, Result, UtsName, WordSize};

use crate::desc::PageDesc;
use crate::header::{Abi, FileRange, Header, MainHeader, SubHeader, Timestamp, VERSION};
use crate::layout::Layout;
use crate::table::{Table, descriptors};

/// Distances from sub header to bitmaps that are tried, in bytes beyond the notes: gdump's are at a multiple of 64 KiB.
const MOST_PADDING: u64 = 1 << 20;

/// Type of the note with a CPU's registers.
const NT_PRSTATUS: u32 = 1;

/// The largest number of page frames of a machine that is tried (2^40 pages are 4 PiB).
const MOST_PAGES: u64 = 1 << 40;

/// The headers that fit what else there is in `file`.
///
/// # Errors
/// `Corrupt` if there are none, or if more than one would fit.
pub(crate) fn header(file: &Bytes) -> Result<Header> {
    let len = file.len()?;
    let mut fits: Vec<Header> = Vec::new();
    let read = Header::read(file).ok();
    for header in from_main(read).chain(from_sub(file, len)) {
        if !fits.iter().any(|other| same_places(other, &header)) && is_right(file, &header) {
            fits.push(header);
        }
    }
    match fits.len() {
        1 => fits.pop().map(|header| completed(file, header)).ok_or_else(|| Error::bug("no header")),
        0 => Err(Error::corrupt("neither header says where bitmaps and descriptors are")),
        n => Err(Error::corrupt(format!("{n} places where bitmaps and descriptors could be"))),
    }
}

/// The main header with a sub header that says nothing.
fn from_main(read: Option<Header>) -> impl Iterator<Item = Header> {
    let believed = read.filter(|header| header.main.max_mapnr != u32::MAX && header.main.max_mapnr != 0);
    believed.into_iter().map(|header| {
        let max_mapnr = u64::from(header.main.max_mapnr);
        Header { sub: SubHeader { max_mapnr, ..SubHeader::default() }, blank: false, ..header }
    })
}

/// A sub header with main headers that say what it implies.
fn from_sub(file: &Bytes, len: u64) -> impl Iterator<Item = Header> + '_ {
    let sizes = (12..=18).filter_map(|shift| PageSize::from_bytes(1 << shift));
    sizes.flat_map(move |size| abis().filter_map(move |abi| sub_header(file, len, size, abi))).flat_map(
        move |(abi, page_size, sub)| {
            let block = page_size.bytes() as u64;
            let least = (abi.sub_len() as u64 + sub.notes.size).div_ceil(block);
            (least..=least + MOST_PADDING / block).map(move |sub_blocks| {
                let main = main_header(&sub, block, sub_blocks);
                Header { abi, main, sub, blank: false, page_size }
            })
        },
    )
}

fn abis() -> impl Iterator<Item = Abi> {
    let shapes = [(WordSize::Bits64, true), (WordSize::Bits32, false), (WordSize::Bits32, true)];
    let orders = [ByteOrder::Little, ByteOrder::Big];
    orders
        .into_iter()
        .flat_map(move |order| shapes.map(|(word, padded)| Abi { order, word, padded, timestamp: Timestamp::Words }))
}

/// The sub header, if it is one of that shape: every writer puts notes right behind it.
fn sub_header(file: &Bytes, len: u64, size: PageSize, abi: Abi) -> Option<(Abi, PageSize, SubHeader)> {
    let mut bytes = [0; 104];
    file.read_exact_at(size.bytes() as u64, &mut bytes).ok()?;
    let sub = SubHeader::decode(&mut abi.fields(&bytes), abi).ok()?;
    let notes_at = size.bytes() as u64 + abi.sub_len() as u64;
    let inside = |range: FileRange| range == FileRange::default() || range.end().is_some_and(|end| end <= len);
    let right = sub.notes.offset == notes_at
        && inside(sub.notes)
        && inside(sub.vmcoreinfo)
        && (1..=MOST_PAGES).contains(&sub.max_mapnr)
        && sub.level().is_some()
        && sub.start_pfn <= sub.end_pfn
        && sub.end_pfn <= sub.max_mapnr;
    right.then_some((abi, size, sub))
}

fn main_header(sub: &SubHeader, block: u64, sub_blocks: u64) -> MainHeader {
    let bitmap = sub.max_mapnr.div_ceil(8).div_ceil(block);
    MainHeader {
        version: VERSION,
        utsname: UtsName::default(),
        tv_sec: 0,
        tv_usec: 0,
        status: 0,
        block_size: block as i32,
        sub_hdr_size: i32::try_from(sub_blocks).unwrap_or(i32::MAX),
        bitmap_blocks: u32::try_from(2 * bitmap).unwrap_or(u32::MAX),
        max_mapnr: u32::try_from(sub.max_mapnr).unwrap_or(u32::MAX),
        total_ram_blocks: 0,
        device_blocks: 0,
        written_blocks: 0,
        current_cpu: 0,
        nr_cpus: 0,
    }
}

fn same_places(one: &Header, other: &Header) -> bool {
    let places = |header: &Header| (Layout::of(&header.main, header.page_size), header.abi.order, header.sub.max_mapnr);
    places(one) == places(other)
}

/// Whether bitmap, table and data of `file` are where `header` says.
fn is_right(file: &Bytes, header: &Header) -> bool {
    let layout = Layout::of(&header.main, header.page_size);
    let Ok(len) = file.len() else { return false };
    if layout.descriptors() >= len {
        return false;
    }
    let (mut input, end) = (file.reader(), Pfn(header.sub.max_mapnr));
    let Ok(held) = Ranked::read(input.as_mut(), layout.bitmap2(), end) else { return false };
    let all = held.rank(end);
    let here =
        if header.sub.split { held.rank(Pfn(header.sub.end_pfn)) - held.rank(Pfn(header.sub.start_pfn)) } else { all };
    if here == 0 {
        return false;
    }
    let table = Table::read(input.as_mut(), header, &layout, all, here);
    table.is_some_and(|table| table.begins_data) && (header.says_split() || is_whole(file, header, &layout, here))
}

/// Whether no descriptor is empty: a sub header that is gone may have said that this is a part of a split dump, whose
/// table has room for the others' pages.
fn is_whole(file: &Bytes, header: &Header, layout: &Layout, count: u64) -> bool {
    let mut input = file.reader();
    let at = |rank: u64| layout.descriptor(rank).unwrap_or(u64::MAX);
    let mut last = |rank: u64| {
        let bytes = input.view(at(rank), PageDesc::SIZE).ok()?;
        descriptors(bytes, header).next()
    };
    let empty = |desc: Option<PageDesc>| desc.is_some_and(|desc| desc == PageDesc::default());
    !empty(last(0)) && !empty(last(count - 1))
}

/// With what notes and descriptors say besides: how many CPUs there are, and how pages are compressed.
fn completed(file: &Bytes, mut header: Header) -> Header {
    let layout = Layout::of(&header.main, header.page_size);
    let mut input = file.reader();
    let table = input.view(layout.descriptors(), 256 * PageDesc::SIZE).map(<[u8]>::to_vec).unwrap_or_default();
    if header.main.status == 0 {
        let codecs = descriptors(&table, &header).filter_map(|desc| desc.codec().flatten());
        header.main.status = codecs.fold(0, |status, codec| status | codec.status_bit);
    }
    let mut bytes = vec![0; usize::try_from(header.sub.notes.size.min(1 << 24)).unwrap_or(0)];
    if header.main.nr_cpus == 0 && file.read_exact_at(header.sub.notes.offset, &mut bytes).is_ok() {
        let notes = Notes::new(bytes, header.abi.order);
        let described = notes.describe();
        let cpus = described.iter().filter(|note| note.owner == "CORE" && note.kind == NT_PRSTATUS).count();
        header.main.nr_cpus = i32::try_from(cpus).unwrap_or(0);
    }
    header
}
