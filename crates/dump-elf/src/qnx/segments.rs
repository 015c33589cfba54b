//! PT_LOADs over memory that another has too, which the record gives by number.

use super::record::QnxNote;
use crate::header::{FileHeader, ProgramHeader};
use dump_core::{ByteOrder, Fields, FieldsMut, PhysAddr, ReadAt, Result, Segment, VirtAddr, WordSize};
use goblin::elf::program_header::{PT_LOAD, PT_NOTE};

/// The longest log that is taken over (bytes); QNX has 64 KiB.
const MAX_LOG: u64 = 1 << 20;

/// Where they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Segments {
    /// procnto's code and its data, and the system page.
    pub aliases: [Option<Segment>; 3],
    /// The kernel's log: where it is in memory, its length, and where it is in the file (bytes).
    pub log: Option<(u64, u64, u64)>,
}

impl Segments {
    /// Those of a file, by a second look at its program headers.
    ///
    /// # Errors
    /// As [`FileHeader::each_program_header`].
    pub fn read(input: &dyn ReadAt, header: &FileHeader, note: &QnxNote) -> Result<Segments> {
        let [procnto, system, log] = note.segments.map(u64::from);
        // a guest that is not QNX has none
        if note.segments == [0; 3] {
            return Ok(Segments::default());
        }
        let (mut segments, mut number) = (Segments::default(), 0);
        header.each_program_header(input, &mut |h| {
            // the reader numbers them so
            if h.kind != PT_NOTE {
                segments.add(h, [number == procnto, number == procnto + 1, number == system], number == log);
                number += 1;
            }
        })?;
        Ok(segments)
    }

    fn add(&mut self, h: &ProgramHeader, is: [bool; 3], is_log: bool) {
        if h.kind != PT_LOAD || h.paddr.checked_add(h.memsz).is_none() {
            return;
        }
        for (alias, _) in self.aliases.iter_mut().zip(is).filter(|(_, is)| *is) {
            *alias = Some(Segment { paddr: PhysAddr(h.paddr), vaddr: VirtAddr(0), bytes: h.memsz });
        }
        if is_log && h.filesz <= MAX_LOG {
            self.log = Some((h.paddr, h.filesz, h.offset));
        }
    }

    /// The log's segment, and where in memory it lies (8 bytes ahead of it).
    pub fn read_log(&self, input: &dyn ReadAt, order: ByteOrder) -> Option<Vec<u8>> {
        let (paddr, len, offset) = self.log?;
        let mut bytes = vec![0; len as usize]; // MAX_LOG at most
        input.read_exact_at(offset, &mut bytes).ok()?;
        let mut f = FieldsMut::new(order, WordSize::Bits64);
        f.u64(paddr).bytes(&bytes);
        Some(f.into_bytes())
    }

    /// As the note has them.
    pub fn encode(&self, order: ByteOrder) -> Option<Vec<u8>> {
        let mut f = FieldsMut::new(order, WordSize::Bits64);
        for alias in self.aliases {
            f.u64(alias.map_or(0, |segment| segment.paddr.0)).u64(alias.map_or(0, |segment| segment.bytes));
        }
        self.aliases.iter().any(Option::is_some).then(|| f.into_bytes())
    }

    /// From the note's bytes.
    pub fn decode(bytes: &[u8], order: ByteOrder) -> [Option<Segment>; 3] {
        let mut f = Fields::new(bytes, order, WordSize::Bits64);
        [(); 3].map(|()| {
            let (paddr, bytes) = (f.u64("paddr").ok()?, f.u64("bytes").ok()?);
            let fits = bytes != 0 && paddr.checked_add(bytes).is_some();
            fits.then_some(Segment { paddr: PhysAddr(paddr), vaddr: VirtAddr(0), bytes })
        })
    }
}
