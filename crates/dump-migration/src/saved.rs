//! A saved guest as a container.

use crate::cursor::Cursor;
use crate::formats::{LIBVIRT_NAME, MIGRATION_NAME};
use crate::libvirt::{self, Header};
use crate::machine;
use crate::mapped::MappedBlocks;
use crate::pages::Pages;
use crate::records::{Ram, Segment};
use crate::stream::{self, Stream};
use dump_core::{
    ByteOrder, Bytes, Container, Description, Detail, DumpMeta, Error, ErrorKind, Extent, ExtentContainer, ExtentPages,
    Extents, MemoryMap, PageSize, PlainMemory, ReadAt, Result,
};

/// The version of streams that is read.
const VERSION: i32 = 3;

/// Opens what QEMU's migration wrote to a file, in a save file of libvirt or alone: reads all of a stream once, and of a
/// mapped-ram file the headers. `map` says where the guest has its RAM, where its machine type does not.
///
/// # Errors
/// If it is none, or ends before its RAM blocks are known; `Unsupported` if its pages are stored in a way that is not
/// read; `MissingInfo` if it is not known where the guest has its RAM.
pub fn open_saved(input: Bytes, map: Option<&MemoryMap>) -> Result<impl Container + use<>> {
    let mut magic = [0; 16];
    let is_libvirt = input.len()? >= 16 && {
        input.read_exact_at(0, &mut magic)?;
        magic == *libvirt::WHOLE || magic == *libvirt::PART
    };
    let header = is_libvirt.then(|| Header::read(&input)).transpose()?;
    if let Some(Header { format, .. }) = header.as_ref().filter(|header| !matches!(header.format, "raw" | "sparse")) {
        return Err(Error::unsupported(format!("the stream is compressed ({format})")));
    }
    let start = header.as_ref().map_or(0, |header| header.stream);
    let stated = header.as_ref().and_then(|header| header.machine.clone());
    let stream = stream::read(&mut Cursor::new(&input, start)?, stated, map.cloned())?;
    container(input, stream, header)
}

fn container(input: Bytes, stream: Stream, header: Option<Header>) -> Result<ExtentContainer<PlainMemory<Bytes>>> {
    let Stream { ram, setup, mut damage } = stream;
    let (details, remarks) = (details(&ram, setup.machine.as_deref(), header.as_ref()), remarks(&ram));
    let order = header.as_ref().map_or(ByteOrder::Little, |header| header.order);
    let all =
        ram.segments.iter().map(|segment| Extent { start: segment.guest.start, end: segment.guest.end, offset: 0 });
    let all = Extents::disjoint(all.collect())?;
    let (memory, missing) = if setup.mapped {
        let (memory, missing) = mapped(input, &ram, setup.page, order)?;
        if missing > 0 {
            let text = format!("{missing} pages that were written lie past the end of the file");
            damage = damage.or(Some(Error::new(ErrorKind::Truncated, text)));
        }
        (memory, missing)
    } else {
        let Ram { mut extents, pieces, .. } = ram;
        // what was sent last counts
        if !extents.is_sorted_by(|a, b| a.end <= b.start) {
            extents.reverse();
        }
        let bytes: Bytes = Box::new(Pages::new(input, pieces));
        (PlainMemory::new(bytes, Extents::first_wins(extents))?, 0)
    };
    let unfinished = header.as_ref().is_some_and(|header| !header.whole);
    if unfinished {
        damage = damage.or(Some(Error::new(ErrorKind::Truncated, "libvirt did not complete it")));
    }
    let mut meta = DumpMeta::new(machine::machine(setup.machine.as_deref()), PageSize::K4);
    meta.incomplete = unfinished;
    let format = if header.is_some() { LIBVIRT_NAME } else { MIGRATION_NAME };
    let description = Description { version: Some(VERSION), producer: Some("QEMU"), ..Description::of(format) };
    let container = ExtentContainer::new(description, ExtentPages::of_ram(memory, all, meta)).of_any_page_size();
    // pages without a bit are zeros, and take nothing to read
    Ok(container.with_missing(missing).with_damage(damage).with_remarks(remarks).with_details(details))
}

/// The blocks of a mapped-ram file that are the guest's, and how many pages of them its end cuts off.
fn mapped(input: Bytes, ram: &Ram, page: PageSize, order: ByteOrder) -> Result<(PlainMemory<Bytes>, u64)> {
    let mut blocks = MappedBlocks::new(input, page);
    let (mut starts, mut missing) = (vec![None; ram.blocks.len()], 0u64);
    for (number, block) in ram.blocks.iter().enumerate() {
        let wanted = ram.segments.iter().any(|segment| segment.block == number);
        if let Some(place) = block.mapped.filter(|_| wanted) {
            let named = |e: Error| e.within(format!("RAM block {:?}", block.name));
            let (start, past) = blocks.push(place, block.len, order).map_err(named)?;
            missing += past;
            if let Some(slot) = starts.get_mut(number) {
                *slot = Some(start);
            }
        }
    }
    let extent = |Segment { block, offset, guest }: &Segment| {
        let start = starts.get(*block).copied().flatten()?;
        Some(Extent { start: guest.start, end: guest.end, offset: start + offset })
    };
    let extents = Extents::disjoint(ram.segments.iter().filter_map(extent).collect())?;
    let bytes: Bytes = Box::new(blocks);
    Ok((PlainMemory::new(bytes, extents)?, missing))
}

fn details(ram: &Ram, machine: Option<&str>, header: Option<&Header>) -> Vec<Detail> {
    let mut details = vec![Detail::new("machine type", machine.unwrap_or("not stated"))];
    if let Some(Header { format, was_running, .. }) = header {
        let state = if *was_running { "running" } else { "paused" };
        details.push(Detail::new("libvirt", format!("format {format}, the domain was {state}")));
    }
    let name = |i: usize| ram.blocks.get(i).map_or("", |block| block.name.as_str());
    for Segment { block, offset, guest } in &ram.segments {
        let from = if *offset == 0 { String::new() } else { format!(" from {offset:#x} on") };
        let text = format!("{}{from} at {:#x}-{:#x}", name(*block), guest.start, guest.end);
        details.push(Detail::new("RAM block", text));
    }
    let is_left = |i: &usize| ram.segments.iter().all(|segment| segment.block != *i);
    let left = (0..ram.blocks.len()).filter(is_left);
    let left: Vec<String> =
        left.filter_map(|i| ram.blocks.get(i)).map(|b| format!("{} ({:#x} bytes)", b.name, b.len)).collect();
    if !left.is_empty() {
        details.push(Detail::new("left out", left.join(", ")));
    }
    details
}

/// What was left out although it may be the guest's memory, and what was taken for granted.
fn remarks(ram: &Ram) -> Vec<Error> {
    let mut remarks = Vec::new();
    let names = |list: &[usize]| {
        let named = list.iter().filter_map(|i| ram.blocks.get(*i)).map(|block| block.name.clone());
        named.collect::<Vec<_>>().join(", ")
    };
    if !ram.roles.plugged.is_empty() {
        let text =
            format!("{}: where memory is plugged in is not in the stream, it is left out", names(&ram.roles.plugged));
        remarks.push(Error::missing(text).hint("--raw-map RANGES that go on behind the main memory's take it in"));
    }
    if ram.roles.by_name {
        let text =
            format!("RAM blocks are taken in the order {}, which the stream does not say", names(&ram.roles.main));
        remarks.push(Error::missing(text));
    }
    let covered: u64 = ram.segments.iter().map(|segment| segment.guest.end - segment.guest.start).sum();
    let main: u64 = ram.roles.main.iter().filter_map(|i| ram.blocks.get(*i)).map(|block| block.len).sum();
    if covered + (1 << 20) < main {
        let text = format!("{:#x} bytes of RAM lie behind the ranges of --raw-map and are left out", main - covered);
        remarks.push(Error::missing(text));
    }
    remarks
}
