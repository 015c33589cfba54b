//! A small machine whose memory is a function of the page frame.

// Lints know functions marked #[test] as tests, not what they call.
#![allow(clippy::unwrap_used)]

use dump_core::*;
use dump_elf::{ElfCore, ElfWriter};
use dump_kit::{Dump, MadePages, Outputs, Writing, made_page, note, set_of};

/// Word size, byte order, machine number.
pub type Shape = (WordSize, ByteOrder, u16);

pub const SHAPES: [Shape; 4] = [
    (WordSize::Bits64, ByteOrder::Little, 62), // x86_64
    (WordSize::Bits64, ByteOrder::Big, 22),    // s390x
    (WordSize::Bits32, ByteOrder::Little, 40), // ARM
    (WordSize::Bits32, ByteOrder::Big, 20),    // PPC
];

pub const SIZES: [u64; 3] = [4096, 16384, 65536];

pub const OSRELEASE: &[u8] = b"OSRELEASE=6.1.0-toy\nPAGESIZE=4096\nCRASHTIME=1700000000\n";

#[derive(Clone)]
pub struct Toy {
    pub meta: DumpMeta,
    pub ram: PageBitmap,
    pub dumpable: PageBitmap,
}

impl Toy {
    /// Segments and dumped runs, in pages; a segment's virtual address is given in bytes.
    pub fn new(shape: Shape, page: u64, segments: &[(u64, u64, u64)], dumpable: &[(u64, u64)]) -> Toy {
        let (word, order, elf_machine) = shape;
        let machine = Machine { elf_machine: Some(elf_machine), order, word };
        let mut meta = DumpMeta::new(machine, PageSize::from_bytes(page).unwrap());
        let prstatus = note(order, b"CORE\0", 1, &[7; 148]);
        let notes = [prstatus.clone(), prstatus, note(order, b"VMCOREINFO\0", 0, OSRELEASE)].concat();
        meta.notes = Notes::new(notes, order);
        meta.segments = segments
            .iter()
            .map(|(start, end, vaddr)| Segment {
                paddr: PhysAddr(start * page),
                vaddr: VirtAddr(*vaddr),
                bytes: (end - start) * page,
            })
            .collect();
        let end = segments.iter().map(|(_, end, _)| *end).chain(dumpable.iter().map(|run| run.1)).max().unwrap_or(0);
        meta.end_pfn = Pfn(end);
        let all: Vec<(u64, u64)> = segments.iter().map(|(start, end, _)| (*start, *end)).collect();
        Toy { meta, ram: set_of(&all, end), dumpable: set_of(dumpable, end) }
    }

    /// Text over the second of two RAM segments; gaps that stay, gaps that cut, tails; the last page is zero.
    pub fn usual(shape: Shape, page: u64) -> Toy {
        let (text, direct) = match shape.0 {
            WordSize::Bits64 => (0xffff_ffff_8100_0000, 0xffff_8880_0000_0000),
            WordSize::Bits32 => (0xd100_0000, 0xc000_0000),
        };
        let segments = [(420, 480, text), (3, 40, direct + 3 * page), (64, 1200, direct + 64 * page)];
        let dumpable = [(5, 30), (70, 72), (75, 80), (400, 430), (460, 470), (800, 841), (1190, 1197)];
        Toy::new(shape, page, &segments, &dumpable)
    }

    pub fn dump(&self) -> Dump<'_> {
        Dump { meta: &self.meta, ram: &self.ram, dumpable: &self.dumpable }
    }

    pub fn page(&self, pfn: Pfn) -> Vec<u8> {
        made_page(self.meta.page_size, pfn)
    }

    pub fn pages(&self) -> impl PageReader + '_ {
        MadePages(|pfn| Ok(self.page(pfn)))
    }

    /// A writer that cuts where makedumpfile does.
    pub fn prepare(&self, outputs: Outputs) -> Writing<'_> {
        self.dump().prepare(Box::new(ElfWriter::new()), outputs).unwrap()
    }

    /// The file, written in blocks of so many pages.
    pub fn write(&self, block: u64) -> Vec<u8> {
        self.dump().write(Box::new(ElfWriter::new()), block, &mut self.pages()).bytes(0)
    }

    /// A file opened with the machine's page size.
    pub fn open(&self, bytes: &[u8]) -> ElfCore<Vec<u8>> {
        let mut core = ElfCore::open(bytes.to_vec()).unwrap();
        core.set_page_size(self.meta.page_size);
        core
    }
}
