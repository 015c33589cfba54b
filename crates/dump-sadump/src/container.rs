//! A dump of one file, or of the disks of a set.

use crate::bits::{Runs, runs};
use crate::cpus::Cpus;
use crate::formats::NAME;
use crate::headers::{Header, Media, Partition};
use dump_core::{
    Bytes, Container, Description, Detail, DumpMeta, Error, ErrorKind, Extent, ExtentContainer, ExtentPages, Extents,
    Joined, Machine, PlainMemory, ReadAt, Result,
};

/// Physical addresses have 52 bits at most.
const MOST_MEMORY: u64 = 1 << 52;

/// Opens a dump: a partition or a media backup, or all disks of a disk set, in any order, each with a name for messages.
///
/// # Errors
/// If a file is none, or files are not the disks of one set; `Corrupt` if headers contradict each other.
pub fn open_sadump(files: Vec<(String, Bytes)>) -> Result<impl Container + use<>> {
    let mut disks = Vec::new();
    let several = files.len() > 1;
    for (name, input) in files {
        let named = |e: Error| if several { e.within(&name) } else { e };
        let partition = Partition::read(&input, 4096).map_err(named)?;
        disks.push((name, partition, input));
    }
    disks.sort_by_key(|(_, partition, _)| match partition.media {
        Media::Disk(number) => number,
        _ => 0,
    });
    check_set(&disks)?;
    let (_, _, first) = disks.first().ok_or_else(|| Error::bug("no file"))?;
    let (partition, header) = Header::read(first)?;
    container(partition, header, disks)
}

/// Whether the files are what belongs together.
fn check_set(disks: &[(String, Partition, Bytes)]) -> Result<()> {
    let Some((_, first, _)) = disks.first() else { return Err(Error::bug("no file")) };
    for (i, (name, partition, _)) in disks.iter().enumerate() {
        let wanted = i as u32 + 1;
        let why = match partition.media {
            Media::Disk(number) if number != wanted => {
                format!("disk {number} of a disk set where disk {wanted} is wanted")
            }
            Media::Disk(_) if partition.disk_set_id != first.disk_set_id || partition.sadump_id != first.sadump_id => {
                "of another disk set than the first".to_owned()
            }
            Media::Disk(_) => continue,
            _ if disks.len() > 1 => "no disk of a disk set".to_owned(),
            _ => continue,
        };
        return Err(Error::unsupported(why).hint("all disks of a set are given together").within(name));
    }
    Ok(())
}

fn container(
    partition: Partition,
    header: Header,
    disks: Vec<(String, Partition, Bytes)>,
) -> Result<ExtentContainer<PlainMemory<Joined<Bytes>>>> {
    let mut faults = Vec::new();
    let unsound = disks.iter().filter(|(_, partition, _)| !partition.is_sound);
    faults.extend(
        unsound.map(|(name, ..)| Error::corrupt("what fills the partition header is not sadump's").within(name)),
    );
    let given = disks.len() as u32;
    let mut damage = header
        .disks
        .filter(|disks| *disks != given)
        .map(|disks| Error::new(ErrorKind::Truncated, format!("a set of {disks} disks, of which {given} are given")));
    let first = disks.first().map(|(_, _, input)| input).ok_or_else(|| Error::bug("no file"))?;
    let (size, len) = (header.page, first.len()?);
    let most = MOST_MEMORY >> size.shift();
    if header.end > most {
        return Err(Error::corrupt(format!("max_mapnr {:#x}, more than there can be", header.end)));
    }
    let cpus = Cpus::read(first, header.sub.0, header.sub.1, header.cpus);
    let cpus = cpus.map_err(|e| faults.push(e.within("sub header"))).ok();
    let mut find = |what: &str, (at, bytes): (u64, u64)| {
        if at.saturating_add(bytes) > len {
            return Err(Error::truncated(what, at.saturating_add(bytes), len));
        }
        if bytes.saturating_mul(8) < header.end {
            let text = format!("{what} has {bytes} bytes, too few for {:#x} page frames", header.end);
            faults.push(Error::corrupt(text));
        }
        let mut found = Runs::new(len);
        runs(first, at, bytes, header.end, &mut |run| found.push(run))?;
        Ok(found.list)
    };
    let (ram, dumped) = (find("the bitmap of RAM", header.ram)?, find("the bitmap of pages", header.dumped)?);
    let mut offset = 0;
    let mut extent = |run: &std::ops::Range<u64>| {
        let extent = Extent { start: size.bytes_of(run.start), end: size.bytes_of(run.end), offset };
        offset += extent.end - extent.start;
        extent
    };
    let held: Vec<Extent> = dumped.iter().map(&mut extent).collect();
    let need = offset;
    // RAM is what either says
    let all = ram.iter().chain(&dumped);
    let all = all.map(|run| Extent {
        start: size.bytes_of(run.start),
        end: size.bytes_of(run.end),
        offset: size.bytes_of(run.start),
    });
    let all = Extents::first_wins(all);
    let (cpus_known, machine) =
        (cpus.as_ref().map_or(0, Cpus::len), cpus.as_ref().map_or(Machine::UNKNOWN, Cpus::machine));
    let mut meta = DumpMeta::new(machine, size);
    meta.notes = cpus.as_ref().map_or_else(|| Ok(meta.notes.clone()), |cpus| cpus.notes(machine))?;
    meta.stated_cpus = Some(header.cpus).filter(|_| cpus_known > 0);
    meta.crash_time = header.time;
    let details = details(&partition, &header, cpus.as_ref());
    let (input, there) = joined(&partition, &header, disks)?;
    if there < need && damage.is_none() {
        let text = format!("its pages take {need:#x} bytes, the file has {there:#x} of them");
        damage = Some(Error::new(ErrorKind::Truncated, text));
    }
    let kind = match partition.media {
        Media::Partition => "a single partition",
        Media::Disk(_) => "a disk set",
        Media::Backup => "a media backup",
    };
    let version = i32::try_from(header.version).ok();
    let description = Description { version, producer: Some(kind), ..Description::of(NAME) };
    let memory = PlainMemory::new(input, Extents::first_wins(held))?;
    let pages = ExtentPages::of_ram(memory, all, meta);
    let container = ExtentContainer::new(description, pages).with_damage(damage);
    Ok(container.with_faults(faults, false).with_details(details))
}

/// The pages of all disks, one behind the other, and how many bytes there are.
fn joined(
    partition: &Partition,
    header: &Header,
    disks: Vec<(String, Partition, Bytes)>,
) -> Result<(Joined<Bytes>, u64)> {
    let (mut all, mut start, mut there) = (Joined::new(), 0u64, 0u64);
    let last = disks.len().saturating_sub(1);
    for (i, (name, disk, input)) in disks.into_iter().enumerate() {
        let len = input.len()?;
        let from = if i == 0 { header.data } else { header.page.bytes() as u64 };
        // what a disk holds of a set ends where it says, a device goes on
        let end =
            if matches!(partition.media, Media::Disk(_)) && (i != last || disk.used != 0) { disk.used } else { len };
        if end < from && i != last {
            let text = format!("{end:#x} bytes were saved to it, its headers alone take {from:#x}");
            return Err(Error::corrupt(text).within(name));
        }
        let part = from..end.min(len).max(from);
        there = start + (part.end - part.start);
        all.push(start, part, input);
        start = start.saturating_add(end.saturating_sub(from));
    }
    Ok((all, there))
}

fn details(partition: &Partition, header: &Header, cpus: Option<&Cpus>) -> Vec<Detail> {
    let mut details = Vec::new();
    let state =
        format!("status {:#x}, compress {:#x}, cpu {} took it", header.status, header.compress, header.current_cpu);
    details.push(Detail::new("sadump", state));
    if let (Media::Disk(_), Some(disks)) = (partition.media, header.disks) {
        details.push(Detail::new("disk set", format!("{disks} disks")));
    }
    for (i, ((rip, cr3), apic)) in cpus.iter().flat_map(|cpus| cpus.places().zip(&cpus.apic_ids)).enumerate() {
        details.push(Detail::new("cpu", format!("{i}, APIC {apic:#x}, rip {rip:#x}, page table {cr3:#x}")));
    }
    details
}
