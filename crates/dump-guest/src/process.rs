//! Another process's memory, and the files that are mapped there.
//!
//! `/proc/PID/mem` is read rather than `process_vm_readv` called: the descriptor stays that of one process whoever gets its
//! number later, and it can be opened before the reader gives up its rights (landlock forbids to trace from then on). It
//! copies 2.4 GiB a second where the call copies 3.3 (one thread, 48 KiB at a time), five times what is compressed meanwhile.
//!
//! What is mapped from a shared file is read from the file: a page that nobody has touched would otherwise be allocated
//! by being read.

use dump_core::{Error, ErrorKind, ReadAt, Result};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::Arc;

/// A process whose memory can be read.
pub struct Process {
    pid: i32,
    memory: Arc<File>,
    maps: File,
    /// Files of which it maps a large part, shared with others.
    files: Vec<SharedFile>,
}

struct SharedFile {
    identity: Identity,
    file: Arc<File>,
}

/// A device and an inode on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    major: u32,
    minor: u32,
    inode: u64,
}

/// Where a stretch of a process's memory can be read.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// In the process, from this address on.
    Process(Arc<File>, u64),
    /// In a file, from this offset on (bytes).
    File(Arc<File>, u64),
    /// Read already.
    Copied(Arc<[u8]>),
}

/// A mapping of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mapping {
    at: Range<u64>,
    readable: bool,
    shared: bool,
    /// Where in the file it begins (bytes).
    offset: u64,
    identity: Identity,
    name: String,
}

/// That `pid`, if there is such, is a process rather than one of a process's threads, which have numbers of the same kind
/// and can be neither stopped nor waited for alone.
pub(crate) fn check_is_process(pid: i32) -> Result<()> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let process = status.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse::<i32>().ok());
    match process.filter(|process| *process != pid) {
        Some(process) => {
            let text = format!("{pid} is a thread, not a process");
            Err(Error::unsupported(text).hint(format!("its process is {process}")))
        }
        None => Ok(()),
    }
}

/// Shared files of which less is mapped hold no RAM worth it (bytes).
const WORTH_IT: u64 = 1 << 20;

impl Process {
    /// Opens the memory of process `pid`.
    ///
    /// # Errors
    /// `Io` if there is none, or this process may not trace it; `Unsupported` if it is a thread of another.
    pub fn open(pid: i32) -> Result<Process> {
        check_is_process(pid)?;
        let of = |name: &str| {
            let path = format!("/proc/{pid}/{name}");
            File::open(&path).map_err(|e| {
                let hint = "root may, and so may its own user where kernel.yama.ptrace_scope is 0";
                let refused = e.kind() == std::io::ErrorKind::PermissionDenied;
                let e = Error::from(e).within(path);
                if refused { e.hint(hint) } else { e }
            })
        };
        let memory = Arc::new(of("mem")?);
        let mut process = Process { pid, memory, maps: of("maps")?, files: Vec::new() };
        for mapping in process.mappings()? {
            let known = process.files.iter().any(|file| file.identity == mapping.identity);
            if mapping.is_shared_memory() && !known {
                // one that cannot be opened is read through the process
                process.files.extend(process.open_mapped(&mapping));
            }
        }
        Ok(process)
    }

    /// The files that it maps, by their names.
    ///
    /// # Errors
    /// If it is gone.
    pub fn mapped_files(&self) -> Result<Vec<PathBuf>> {
        let names = self.mappings()?.into_iter().map(|mapping| mapping.name);
        Ok(names.filter(|name| name.starts_with('/')).map(PathBuf::from).collect())
    }

    /// Its number.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    fn mappings(&self) -> Result<Vec<Mapping>> {
        let mut maps = &self.maps;
        let mut text = String::new();
        let read = maps.seek(SeekFrom::Start(0)).and_then(|_| maps.read_to_string(&mut text));
        read.map_err(|e| Error::from(e).within(format_args!("/proc/{}/maps", self.pid)))?;
        Ok(text.lines().filter_map(Mapping::parse).collect())
    }

    /// The file that is mapped: under its name, or, where it has none, as the process has it open.
    fn open_mapped(&self, mapping: &Mapping) -> Option<SharedFile> {
        let pid = self.pid;
        let by_address = format!("/proc/{pid}/map_files/{:x}-{:x}", mapping.at.start, mapping.at.end);
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten().map(|entry| entry.path());
        let paths = [PathBuf::from(&mapping.name), by_address.into()].into_iter().chain(open);
        let is_it = |path: &PathBuf| fs::metadata(path).is_ok_and(|meta| Identity::of(&meta) == mapping.identity);
        paths.filter(is_it).find_map(|path| File::open(path).ok()).and_then(|file| {
            let same = file.metadata().is_ok_and(|meta| Identity::of(&meta) == mapping.identity);
            same.then(|| SharedFile { identity: mapping.identity, file: Arc::new(file) })
        })
    }

    /// Where `range` of its addresses can be read, piece by piece.
    ///
    /// # Errors
    /// `Corrupt` if not all of it is mapped: it is another process's, or its memory was unplugged.
    pub(crate) fn places(&self, range: Range<u64>) -> Result<Vec<(Range<u64>, Place)>> {
        self.places_in(&self.mappings()?, range)
    }

    fn places_in(&self, mappings: &[Mapping], range: Range<u64>) -> Result<Vec<(Range<u64>, Place)>> {
        let mut places = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let mapping =
                mappings.iter().find(|mapping| mapping.readable && mapping.at.contains(&at)).ok_or_else(|| {
                    let (pid, start, end) = (self.pid, range.start, range.end);
                    Error::corrupt(format!(
                        "process {pid} has no memory at {at:#x}, of {start:#x}..{end:#x} of the guest's"
                    ))
                })?;
            let end = mapping.at.end.min(range.end);
            let shared = self.files.iter().find(|file| mapping.shared && file.identity == mapping.identity);
            let place = match shared {
                Some(shared) => Place::File(Arc::clone(&shared.file), mapping.offset + (at - mapping.at.start)),
                None => Place::Process(Arc::clone(&self.memory), at),
            };
            places.push((at..end, place));
            at = end;
        }
        Ok(places)
    }

    /// Where stretches of `sizes` (bytes) lie that are, together, what the process has of a guest's memory.
    ///
    /// A monitor without QMP maps each stretch of RAM as one anonymous or shared mapping, or several in one. Only what
    /// can be meant in one way is taken.
    ///
    /// # Errors
    /// `MissingInfo` if no mapping has a stretch's size, or several have.
    pub fn find(&self, sizes: &[u64]) -> Result<Vec<u64>> {
        let mappings: Vec<Mapping> = self.mappings()?.into_iter().filter(Mapping::is_memory).collect();
        find(&mappings, sizes).map_err(|e| e.within(format_args!("process {}", self.pid)))
    }
}

/// Mappings that go on where another ends, in memory and in the file, as one: the kernel splits them where flags differ.
fn joined(mappings: &[Mapping]) -> Vec<Mapping> {
    let mut joined: Vec<Mapping> = Vec::new();
    for mapping in mappings {
        let goes_on = |last: &Mapping| {
            let file_goes_on =
                last.identity.inode == 0 || last.offset + (last.at.end - last.at.start) == mapping.offset;
            last.at.end == mapping.at.start && last.identity == mapping.identity && file_goes_on
        };
        match joined.last_mut().filter(|last| goes_on(last)) {
            Some(last) => last.at.end = mapping.at.end,
            None => joined.push(mapping.clone()),
        }
    }
    joined
}

/// Where mappings of `size` begin: those that the kernel has as one, or else those that are put together of several.
fn with_size(mappings: &[Mapping], size: u64) -> Vec<u64> {
    let of = |list: &[Mapping]| -> Vec<u64> {
        list.iter()
            .filter(|mapping| mapping.at.end - mapping.at.start == size)
            .map(|mapping| mapping.at.start)
            .collect()
    };
    let single = of(mappings);
    if single.is_empty() { of(&joined(mappings)) } else { single }
}

fn find(mappings: &[Mapping], sizes: &[u64]) -> Result<Vec<u64>> {
    let whole = with_size(mappings, sizes.iter().fold(0, |sum: u64, size| sum.saturating_add(*size)));
    if let ([one], [_, _, ..]) = (whole.as_slice(), sizes) {
        let starts = sizes.iter().scan(*one, |at, size| {
            let start = *at;
            *at += size;
            Some(start)
        });
        return Ok(starts.collect());
    }
    let mut taken: Vec<u64> = Vec::new();
    for size in sizes {
        let candidates = with_size(mappings, *size);
        let hint = "--ram FIRST-END@ADDRESS says where it is";
        match candidates.as_slice() {
            [one] if !taken.contains(one) => taken.push(*one),
            [] => return Err(Error::missing(format!("no mapping of {size:#x} bytes")).hint(hint)),
            several => {
                let at: Vec<String> = several.iter().map(|at| format!("{at:#x}")).collect();
                let text = format!("{} mappings of {size:#x} bytes, at {}", several.len(), at.join(", "));
                return Err(Error::missing(text).hint(hint));
            }
        }
    }
    Ok(taken)
}

impl Mapping {
    /// `7f3e00000000-7f3e80000000 rw-s 00000000 00:01 1028 /memfd:ram (deleted)`, Linux's Documentation/filesystems/proc.rst.
    fn parse(line: &str) -> Option<Mapping> {
        let mut words = line.split_ascii_whitespace();
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        let (start, end) = words.next()?.split_once('-')?;
        let flags = words.next()?;
        let offset = hex(words.next()?)?;
        let (major, minor) = words.next()?.split_once(':')?;
        let inode = words.next()?.parse().ok()?;
        let number = |text: &str| u32::from_str_radix(text, 16).ok();
        Some(Mapping {
            at: hex(start)?..hex(end)?,
            readable: flags.starts_with('r'),
            shared: flags.ends_with('s'),
            offset,
            identity: Identity { major: number(major)?, minor: number(minor)?, inode },
            name: line.find('/').and_then(|at| line.get(at..)).unwrap_or_default().to_owned(),
        })
    }

    fn is_shared_memory(&self) -> bool {
        self.shared && self.readable && self.identity.inode != 0 && self.at.end - self.at.start >= WORTH_IT
    }

    /// Whether it can be a guest's: nothing of a program or a library.
    fn is_memory(&self) -> bool {
        self.readable && (self.identity.inode == 0 || self.shared)
    }
}

impl Identity {
    fn of(meta: &fs::Metadata) -> Identity {
        let dev = meta.dev();
        Identity { major: rustix::fs::major(dev), minor: rustix::fs::minor(dev), inode: meta.ino() }
    }
}

impl Place {
    /// Fills `into` from `offset` bytes after its beginning.
    pub fn read(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        let (file, start) = match self {
            Place::Process(file, start) | Place::File(file, start) => (file, *start),
            Place::Copied(bytes) => return bytes[..].read_exact_at(offset, into),
        };
        let mut done = 0;
        while done < into.len() {
            let at = start.saturating_add(offset).saturating_add(done as u64);
            match file.read_at(&mut into[done..], at) {
                Ok(0) => return Err(self.ended(at)),
                Ok(n) => done += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::from(e).within(format_args!("reading the guest's memory at {at:#x}"))),
            }
        }
        Ok(())
    }

    fn ended(&self, at: u64) -> Error {
        let text = match self {
            Place::Process(..) => "the process that runs the guest has ended".to_owned(),
            Place::File(..) | Place::Copied(..) => {
                format!("the file with the guest's memory ends before offset {at:#x}")
            }
        };
        Error::new(ErrorKind::Io, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mappings(text: &str) -> Vec<Mapping> {
        text.lines().map(|line| Mapping::parse(line).unwrap()).collect()
    }

    /// As a microVM's monitor has them; the addresses are shortened.
    const MAPS: &str = "\
5500000-5600000 r-xp 00000000 fe:01 99 /usr/bin/vmm
700000-701000 rw-p 00000000 00:00 0 [heap]
10000000-18000000 rw-p 00000000 00:00 0
18000000-20000000 rw-s 00000000 00:01 1028 /memfd:ram (deleted)
20000000-28000000 rw-s 08000000 00:01 1028 /memfd:ram (deleted)
30000000-38000000 r--p 00000000 fe:01 7 /image of a disk
40000000-44000000 rw-p 00000000 00:00 0
44000000-48000000 rw-p 00000000 00:00 0
";

    #[test]
    fn a_line_of_maps() {
        let all = mappings(MAPS);
        assert_eq!(all.len(), 8);
        assert_eq!((all[3].name.as_str(), all[3].shared, all[3].identity.inode), ("/memfd:ram (deleted)", true, 1028));
        assert_eq!((all[4].offset, all[5].name.as_str()), (0x800_0000, "/image of a disk"));
    }

    #[test]
    fn memory_is_found_by_its_size_where_only_one_can_be_meant() {
        let all: Vec<Mapping> = mappings(MAPS).into_iter().filter(Mapping::is_memory).collect();
        assert_eq!(find(&all, &[0x1000_0000]).unwrap(), [0x1800_0000], "two halves of one file");
        assert_eq!(find(&all, &[0xc00_0000, 0x400_0000]).unwrap(), [0x1800_0000, 0x2400_0000], "two in one");
        assert!(find(&all, &[0x400_0000, 0x400_0000]).is_err(), "which is which");
        let e = find(&all, &[0x800_0000]).unwrap_err().to_string();
        assert!(e.contains("3 mappings of 0x8000000 bytes") && e.contains("--ram"), "{e}");
        assert!(find(&all, &[0x123_4000]).unwrap_err().to_string().contains("no mapping of 0x1234000 bytes"));
        assert!(find(&all, &[0x1000_0000, 0x1000_0000]).is_err(), "one place for two");
    }

    #[test]
    fn this_process_reads_itself() {
        let process = Process::open(std::process::id() as i32).unwrap();
        let bytes: Vec<u8> = (0..100_000u32).map(|i| i as u8).collect();
        let at = bytes.as_ptr() as u64;
        let mut read = vec![0; bytes.len()];
        for (range, place) in process.places(at..at + bytes.len() as u64).unwrap() {
            let part = (range.start - at) as usize..(range.end - at) as usize;
            place.read(0, &mut read[part]).unwrap();
        }
        assert_eq!(read, bytes);
        assert!(process.places(0..4096).is_err());
        assert!(Process::open(i32::MAX).is_err());
    }

    #[test]
    fn a_thread_is_no_process() {
        let own = std::process::id() as i32;
        let asked = std::thread::spawn(|| {
            let itself = fs::read_link("/proc/thread-self").unwrap();
            let number: i32 = itself.file_name().and_then(|name| name.to_str()?.parse().ok()).unwrap();
            (number, [Process::open(number).err(), crate::Suspension::of(number).err()].map(|e| e.unwrap().to_string()))
        });
        let (number, said) = asked.join().unwrap();
        let want = format!("{number} is a thread, not a process (its process is {own})");
        assert_eq!(said, [want.clone(), want]);
    }
}
