//! Running guests as dumps: their memory is read where it lies, and filtered like any other.

use crate::formats::{self, probe};
use crate::open::Dump;
use crate::spool;
use dump_core::{
    Container, DumpMeta, Error, ErrorKind, Machine, OpenOptions, OwnNote, PageSize, PhysAddr, Result, Segment, VirtAddr,
};
use dump_guest::{Access, GivenRange, GuestMemory, Process, Qmp, RamMap, RamRange, part, part_at};
use dump_kernel::{PhysMemory, SourceMemory};
use std::ops::Range;
use std::path::Path;

/// Bytes of memory that a dump for the sake of its notes has.
const PAGE: u64 = 4096;

/// What QEMU knows of the guest besides its memory: the machine, and notes with the registers of its CPUs and the
/// vmcoreinfo that it published. Takes milliseconds; a guest that runs is stopped meanwhile.
///
/// Where QEMU can be passed no pipe it writes a file in `directory`, or where temporary files are.
///
/// # Errors
/// As [`Qmp::run`]; if what QEMU writes is no dump.
pub fn guest_meta(qmp: &Qmp, map: &RamMap, directory: Option<&Path>) -> Result<DumpMeta> {
    let first = map.ranges.iter().find(|range| range.guest.end - range.guest.start >= PAGE);
    let start = first.map_or(0, |range| range.guest.start);
    let page = start..start + PAGE;
    let core = if qmp.passes_files() {
        part(qmp, &page)?
    } else {
        let file = GuestFile::new(directory)?;
        part_at(qmp, &page, file.path())?
    };
    Ok(opened(core)?.meta().clone())
}

/// The guest's memory as a dump. It is read when the dump is: the guest must stand still for as long.
///
/// # Errors
/// As [`Access::memory`].
pub fn guest_dump(qmp: &Qmp, access: &Access, map: RamMap, meta: DumpMeta) -> Result<Dump> {
    // as QEMU has them in a dump of all memory (dump/dump.c, `write_elf64_load`)
    let segment = |range: &RamRange| Segment {
        paddr: PhysAddr(range.guest.start),
        vaddr: VirtAddr(range.guest.start),
        bytes: range.guest.end - range.guest.start,
    };
    let meta = DumpMeta { segments: map.ranges.iter().map(segment).collect(), ..meta };
    let memory = access.memory(qmp, map, meta, &|range| bytes_of(qmp, range))?;
    Ok(Dump::from_container(Box::new(memory), format!("qmp:{}", qmp.address())))
}

/// What a process has of a guest's memory, as a dump without notes but one, where the guest is `live`.
///
/// # Errors
/// As [`Process::find`]; `Corrupt` if it does not have all of it, or ranges overlap.
pub fn process_dump(process: &Process, given: &[GivenRange], live: bool) -> Result<Dump> {
    let unplaced: Vec<u64> =
        given.iter().filter(|range| range.host.is_none()).map(|r| r.guest.end - r.guest.start).collect();
    let mut found = if unplaced.is_empty() { Vec::new() } else { process.find(&unplaced)? }.into_iter();
    let ranges = given.iter().map(|range| RamRange {
        guest: range.guest.clone(),
        host: range.host.or_else(|| found.next()),
        name: String::new(),
        offset: 0,
    });
    let map = RamMap { ranges: ranges.collect() };
    // vmcoreinfo in memory says what machine it is
    let mut meta = DumpMeta::new(Machine::UNKNOWN, PageSize::K4);
    if live {
        mark_live(&mut meta)?;
    }
    let memory = GuestMemory::of_process(process, &map, meta)?;
    Ok(Dump::from_container(Box::new(memory), format!("pid:{}", process.pid())))
}

/// What is said of such a dump.
pub(crate) const LIVE_SAID: &str = "its machine ran while its memory was read: pages may not fit each other";

/// Adds a note to `meta` that says that the machine ran while its memory was read.
///
/// # Errors
/// `Unsupported` if there is no room for another note.
pub fn mark_live(meta: &mut DumpMeta) -> Result<()> {
    meta.notes = meta.notes.with_own(OwnNote::Live, b"consistent=no\n")?;
    Ok(())
}

/// Whether the machine ran while its memory was read: pages that were written at different times do not fit each other.
pub fn is_live(meta: &DumpMeta) -> bool {
    meta.notes.own(OwnNote::Live).is_some()
}

/// A temporary file that QEMU is to write, where it can be passed no pipe.
pub struct GuestFile {
    file: tempfile::NamedTempFile,
}

impl GuestFile {
    /// An empty file in `directory`, or where temporary files are; it goes when this is dropped.
    ///
    /// # Errors
    /// If none can be made there.
    pub fn new(directory: Option<&Path>) -> Result<GuestFile> {
        let directory = spool::directory(directory);
        let file = tempfile::Builder::new().prefix("gdump-").tempfile_in(&directory);
        Ok(GuestFile { file: file.map_err(|e| Error::from(e).within(directory.display()))? })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

/// The bytes at `range` of guest physical addresses, by QEMU's own dump of them.
fn bytes_of(qmp: &Qmp, range: &Range<u64>) -> Result<Vec<u8>> {
    let container = opened(part(qmp, range)?)?;
    let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or(usize::MAX)];
    SourceMemory::new(&container).reader().read(PhysAddr(range.start), &mut bytes)?;
    Ok(bytes)
}

fn opened(core: Vec<u8>) -> Result<Box<dyn Container>> {
    let options = OpenOptions::default();
    let format = probe(&core, &options).ok_or_else(|| {
        let text = format!("QEMU's dump: {} bytes, in none of {} formats", core.len(), formats::FORMATS.len());
        Error::new(ErrorKind::BadMagic, text)
    })?;
    (format.open)(Box::new(core), &options).map_err(|e| e.within("QEMU's dump"))
}
