//! What the program headers say, read in one walk: there may be millions, so that none of them is kept.

use crate::header::{FileHeader, ProgramHeader};
use dump_core::{Error, Extent, PhysAddr, ReadAt, Result, Segment, VirtAddr, WordSize};
use goblin::elf::program_header::{PT_LOAD, PT_NOTE};

/// The program headers, added up.
#[derive(Debug, Default)]
pub(crate) struct ProgramTable {
    /// How many there are.
    pub count: u64,
    /// Where each PT_NOTE lies in the file: its offset and its length (bytes).
    pub notes: Vec<(u64, u64)>,
    /// Whether the last header is a PT_NOTE.
    pub ends_with_note: bool,
    /// The PT_LOADs that lie somewhere in physical memory, in the order of the headers.
    pub segments: Vec<Segment>,
    /// What the file has of them.
    pub in_file: Vec<Extent>,
    /// Where what the file has of them ends in it (bytes).
    pub file_end: u64,
    /// Traits of the PT_LOADs.
    pub loads: LoadTraits,
    /// Why memory cannot lie where the first header says that makes no sense.
    pub fault: Option<Error>,
    /// PT_LOADs with more bytes in the file than in memory, and the number of the first such header.
    pub oversized: Option<(u64, u64)>,
    /// The headers, where they are not too many to be compared.
    pub headers: Vec<ProgramHeader>,
}

/// Program headers that are compared with each other, at most: those of all writers but of filtered cores in pieces.
const MOST_COMPARED: usize = 1 << 12;

/// What can be said of PT_LOADs all together, whether or not they lie in physical memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LoadTraits {
    /// There is one.
    pub any: bool,
    /// One has a physical address other than 0.
    pub placed: bool,
    /// One has none (all ones).
    pub unplaced: bool,
    /// One has a virtual address other than 0.
    pub mapped: bool,
    /// One has flags, or an alignment.
    pub dressed: bool,
    /// Of one, a part was left out: its offset says so not by all ones, as QEMU does it.
    pub cut: bool,
}

impl ProgramTable {
    /// Reads all headers.
    ///
    /// # Errors
    /// As [`FileHeader::each_program_header`].
    pub fn read(input: &dyn ReadAt, header: &FileHeader) -> Result<ProgramTable> {
        let mut table = ProgramTable::default();
        header.each_program_header(input, &mut |h| table.add(h, header.all_ones()))?;
        if table.count > MOST_COMPARED as u64 {
            table.headers = Vec::new();
        }
        Ok(table)
    }

    fn add(&mut self, h: &ProgramHeader, all_ones: u64) {
        let number = self.count;
        self.count += 1;
        if self.headers.len() < MOST_COMPARED {
            self.headers.push(*h);
        }
        self.ends_with_note = h.kind == PT_NOTE;
        match h.kind {
            PT_NOTE => self.notes.push((h.offset, h.filesz)),
            PT_LOAD => {
                self.loads.add(h, all_ones);
                if h.paddr != all_ones {
                    self.add_memory(number, h);
                }
            }
            _ => {}
        }
    }

    fn add_memory(&mut self, number: u64, h: &ProgramHeader) {
        if let Err(e) = check(h) {
            self.fault.get_or_insert(e.within(format_args!("program header {number}")));
            return;
        }
        let bytes = h.memsz.max(h.filesz);
        self.segments.push(Segment { paddr: PhysAddr(h.paddr), vaddr: VirtAddr(h.vaddr), bytes });
        if h.filesz != 0 {
            self.in_file.push(Extent { start: h.paddr, end: h.paddr + h.filesz, offset: h.offset });
            self.file_end = self.file_end.max(h.offset + h.filesz);
        }
        if h.filesz > h.memsz {
            self.oversized = Some(self.oversized.map_or((1, number), |(count, first)| (count + 1, first)));
        }
    }
}

impl LoadTraits {
    fn add(&mut self, h: &ProgramHeader, all_ones: u64) {
        self.any = true;
        self.placed |= h.paddr != 0 && h.paddr != all_ones;
        self.unplaced |= h.paddr == all_ones;
        self.mapped |= h.vaddr != 0;
        self.dressed |= h.flags != 0 || h.align != 0;
        self.cut |= h.filesz < h.memsz && h.offset != all_ones;
    }
}

fn check(h: &ProgramHeader) -> Result<()> {
    let size = h.memsz.max(h.filesz);
    if h.paddr.checked_add(size).is_none() {
        return Err(Error::corrupt(format!("p_paddr {:#x} + {size:#x} bytes exceeds 2^64", h.paddr)));
    }
    if h.filesz != 0 && h.offset.checked_add(h.filesz).is_none() {
        return Err(Error::corrupt(format!("p_offset {:#x} + p_filesz {:#x} exceeds 2^64", h.offset, h.filesz)));
    }
    Ok(())
}

/// What a field of `word` bits holds where there is no address or no offset.
pub(crate) fn all_ones(word: WordSize) -> u64 {
    match word {
        WordSize::Bits32 => u64::from(u32::MAX),
        WordSize::Bits64 => u64::MAX,
    }
}
