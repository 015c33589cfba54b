//! VMware's suspended guests and snapshots: `.vmss` and `.vmsn`, whose memory is within or in a `.vmem` beside them.
//!
//! ```text
//! 0     u32 mark │ u32 version │ u32 groups                          numbers are little endian
//! 12    of each group: name of 64 bytes │ u64 offset │ u64 bytes
//! group tags: u16 (bytes of the name << 8 | indices << 6 | bytes of the value) │ name │ u32 of each index │ value
//!       a value of 62 or 63 "bytes" is a block: u64 bytes │ u64 bytes in memory │ u16 padding │ padding │ bytes; 0 ends
//! ```
//!
//! The group "memory" says which pages of the guest follow which in the file: `regionPPN[i]` is the first page frame of a
//! region, `regionPageNum[i]` its place in the file and `regionSize[i]` its length, all in pages. The block "Memory" is
//! the file, where it is within.
//!
//! Facts: crash's vmware_vmss.c, Volatility's layer of VMware files.

use crate::image::image;
use dump_core::{
    Bytes, Container, Detail, Error, ErrorKind, Extent, Extents, Format, OpenOptions, Part, PlainMemory, ReadAt, Result,
};

const NAME: &str = "vmware";

/// First bytes of such files: whole, partial, of a guest that was resumed, of one that is not to be.
const MARKS: [u32; 4] = [0xbed2_bed2, 0xbed3_bed3, 0xbad1_bad1, 0xbad2_bad2];

const PAGE: u64 = 4096;
const GROUP: u64 = 80;

/// Groups and regions that are believed: files have a hundred, and up to 64.
const MOST_GROUPS: u32 = 4096;
const MOST_REGIONS: usize = 4096;

/// Suspended guests and snapshots of VMware; parts are one and the `.vmem` beside it.
pub const VMWARE: Format = Format {
    name: NAME,
    probe: |prefix, _| is_vmware(prefix),
    open: |bytes, options| open_parts(vec![Part { name: "vmss".to_owned(), bytes }], options),
    open_parts: Some(open_parts),
    output: None,
    incomplete_flag: None,
};

fn is_vmware(prefix: &[u8]) -> bool {
    prefix.first_chunk().is_some_and(|mark| MARKS.contains(&u32::from_le_bytes(*mark)))
}

fn open_parts(parts: Vec<Part>, _: &OpenOptions) -> Result<Box<dyn Container>> {
    let (mut state, mut memory) = (None, None);
    for part in parts {
        let mut mark = [0; 4];
        let is_state = part.bytes.len()? >= 4 && part.bytes.read_exact_at(0, &mut mark).is_ok() && is_vmware(&mark);
        let slot = if is_state && state.is_none() { &mut state } else { &mut memory };
        if slot.replace(part).is_some() {
            return Err(Error::unsupported("a .vmss or .vmsn and its .vmem are one dump, and no more files"));
        }
    }
    let state = state.ok_or_else(|| Error::new(ErrorKind::BadMagic, "no .vmss or .vmsn"))?;
    Ok(Box::new(open_vmware(state.bytes, memory.map(|part| part.bytes))?))
}

/// A run of the guest's pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Region {
    /// Its first page frame.
    ppn: u64,
    /// Its first page in the file.
    at: u64,
    /// Its length (pages).
    pages: u64,
}

/// What groups say.
#[derive(Debug, Default)]
struct State {
    regions: Vec<Region>,
    /// How many there are meant to be.
    count: Option<u64>,
    /// Where the memory is, if it is within, and its bytes.
    memory: Option<(u64, u64)>,
    cpus: Option<u64>,
}

/// Opens a guest of VMware, whose memory is `vmem` where it is not in `state`.
///
/// # Errors
/// `Truncated` or `Corrupt` if headers or tags are not sound; `MissingInfo` if the memory is in neither file;
/// `Unsupported` if it is compressed.
pub fn open_vmware(state: Bytes, vmem: Option<Bytes>) -> Result<impl Container + use<>> {
    let found = State::read(&state)?;
    let (input, start, len, place) = match (found.memory, vmem) {
        (Some((at, len)), _) => (state, at, len, "within"),
        (None, Some(vmem)) => {
            let len = vmem.len()?;
            (vmem, 0, len, "in the .vmem")
        }
        (None, None) => {
            let e = Error::missing("its memory is in another file, which is not there");
            return Err(e.hint("NAME.vmem beside NAME.vmss, or --raw-map RANGES NAME.vmem alone"));
        }
    };
    let regions = found.regions(len)?;
    let too_far = || Error::corrupt("a region that passes the end of all addresses");
    let extent = |region: &Region| {
        let bounds =
            [region.ppn, region.ppn.saturating_add(region.pages), region.at].map(|page| page.checked_mul(PAGE));
        let [Some(first), Some(end), Some(at)] = bounds else { return Err(too_far()) };
        Ok(Extent { start: first, end, offset: start.checked_add(at).ok_or_else(too_far)? })
    };
    let extents = regions.iter().map(extent).collect::<Result<Vec<Extent>>>()?;
    let wanted = regions.iter().map(|region| region.at.saturating_add(region.pages)).max().unwrap_or(0);
    let (there, wanted) = (len.min(input.len()?.saturating_sub(start)), wanted.saturating_mul(PAGE));
    let short =
        || Error::new(ErrorKind::Truncated, format!("its regions take {wanted:#x} bytes, {there:#x} are there"));
    let mut details: Vec<Detail> = vec![Detail::new("memory", place)];
    let of = |extent: &Extent| format!("{:#x}-{:#x} at offset {:#x}", extent.start, extent.end, extent.offset);
    details.extend(extents.iter().map(|extent| Detail::new("region", of(extent))));
    details.extend(found.cpus.map(|cpus| Detail::new("processors", cpus.to_string())));
    let memory = PlainMemory::new(input, Extents::disjoint(extents)?)?;
    Ok(image(NAME, memory, (wanted > there).then(short)).with_details(details))
}

impl State {
    fn read(input: &dyn ReadAt) -> Result<State> {
        let mut head = [0; 12];
        input.read_exact_at(0, &mut head)?;
        if !is_vmware(&head) {
            return Err(Error::new(ErrorKind::BadMagic, "not a .vmss or .vmsn"));
        }
        let groups = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
        if groups > MOST_GROUPS {
            return Err(Error::corrupt(format!("{groups} groups")));
        }
        let mut state = State::default();
        let mut seen = [false; 2];
        for number in 0..u64::from(groups) {
            let mut group = [0; GROUP as usize];
            input.read_exact_at(12 + number * GROUP, &mut group)?;
            let name = group.split(|byte| *byte == 0).next().unwrap_or_default();
            let word = |at: usize| group.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes);
            if name == b"memory" || name == b"cpu" {
                let is_memory = name == b"memory";
                let named = |e: Error| e.within(format!("group {:?}", String::from_utf8_lossy(name)));
                // each would be walked over
                if std::mem::replace(&mut seen[usize::from(is_memory)], true) {
                    return Err(named(Error::corrupt("named twice")));
                }
                Tags { input, at: word(64), is_memory }.read(&mut state).map_err(named)?;
            }
        }
        Ok(state)
    }

    /// The regions of a memory of `len` bytes; one where none is named.
    fn regions(&self, len: u64) -> Result<Vec<Region>> {
        let count = self.count.unwrap_or(0);
        if count == 0 {
            return Ok(vec![Region { ppn: 0, at: 0, pages: len / PAGE }]);
        }
        let named = usize::try_from(count).ok().and_then(|count| self.regions.get(..count));
        let whole = named.filter(|regions| regions.iter().all(|region| region.pages > 0));
        whole
            .map(<[Region]>::to_vec)
            .ok_or_else(|| Error::corrupt(format!("{count} regions, of which not all are named")))
    }
}

/// A walk over the tags of a group.
struct Tags<'a> {
    input: &'a dyn ReadAt,
    at: u64,
    is_memory: bool,
}

impl Tags<'_> {
    fn take(&mut self, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.input.read_exact_at(self.at, &mut bytes)?;
        self.at += len as u64;
        Ok(bytes)
    }

    fn number(&mut self, len: usize) -> Result<u64> {
        let bytes = self.take(len)?;
        Ok(bytes.iter().rev().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }

    fn read(&mut self, state: &mut State) -> Result<()> {
        loop {
            let start = self.at;
            let tag = self.number(2)?;
            if tag == 0 {
                return Ok(());
            }
            let (name, indices, size) = ((tag >> 8) as usize, tag >> 6 & 3, (tag & 0x3f) as usize);
            let name = self.take(name)?;
            let indices = (0..indices).map(|_| self.number(4)).collect::<Result<Vec<u64>>>()?;
            match size {
                62 | 63 => {
                    let (bytes, _) = (self.number(8)?, self.number(8)?);
                    let padding = self.number(2)?;
                    let at = self.at.saturating_add(padding);
                    if self.is_memory && name == b"Memory" {
                        if size == 62 {
                            return Err(Error::unsupported("memory that VMware compressed, which is not read"));
                        }
                        state.memory = Some((at, bytes));
                    }
                    self.at = at.saturating_add(bytes);
                }
                size => {
                    let value = self.number(size)?;
                    let why = |e: Error| e.within(format!("tag at {start:#x}"));
                    self.note(state, &name, indices.first().copied(), value).map_err(why)?;
                }
            }
        }
    }

    fn note(&self, state: &mut State, name: &[u8], index: Option<u64>, value: u64) -> Result<()> {
        match (self.is_memory, name) {
            (false, b"cpu:numVCPUs") => state.cpus = Some(value),
            (true, b"regionsCount") => state.count = Some(value),
            (true, b"regionPPN" | b"regionPageNum" | b"regionSize") => {
                let index = index.and_then(|index| usize::try_from(index).ok()).filter(|index| *index < MOST_REGIONS);
                let index = index.ok_or_else(|| Error::corrupt("a region of no number, or of one too high"))?;
                if state.regions.len() <= index {
                    state.regions.resize(index + 1, Region::default());
                }
                if let Some(region) = state.regions.get_mut(index) {
                    match name {
                        b"regionPPN" => region.ppn = value,
                        b"regionPageNum" => region.at = value,
                        _ => region.pages = value,
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
