//! A small machine in every shape that files have, and its dump.

// Each test binary uses its own part. Lints know functions marked #[test] as tests, not what they call.
#![allow(dead_code, clippy::unwrap_used)]

use dump_core::*;
use dump_kdump::KdumpWriter;
use dump_kdump::codec::Codec;
use dump_kit::{Dump, MadePages, Outputs, Page, made_page, note, set_of};

/// Shape of a file: word size, byte order, machine number.
pub type Shape = (WordSize, ByteOrder, Option<u16>);

pub const SHAPES: [Shape; 6] = [
    (WordSize::Bits64, ByteOrder::Little, Some(62)), // x86_64
    (WordSize::Bits64, ByteOrder::Big, Some(22)),    // s390x
    (WordSize::Bits32, ByteOrder::Little, Some(3)),  // i386, no padding
    (WordSize::Bits32, ByteOrder::Little, Some(40)), // ARM, padded
    (WordSize::Bits32, ByteOrder::Big, Some(20)),    // PPC, padded
    (WordSize::Bits32, ByteOrder::Big, None),        // unknown, no padding
];

/// Where the kernel lies, or where RAM begins.
pub const PHYS_BASE: u64 = 0x1234_5000;

pub const SIZES: [u64; 3] = [4096, 16384, 65536];

pub const OSRELEASE: &[u8] = b"OSRELEASE=6.1.0-toy\nPAGESIZE=4096\nCRASHTIME=1700000000\n";

/// A machine and the pages that go into its dump.
pub struct Toy {
    pub meta: DumpMeta,
    pub ram: PageBitmap,
    pub dumpable: PageBitmap,
}

impl Toy {
    /// `end` page frames, some of which are not RAM, and every `gap`th of which is not dumped.
    pub fn new((word, order, elf_machine): Shape, page: u64, end: u64, gap: u64) -> Toy {
        let prstatus = note(order, b"CORE\0", 1, &[7; 148]);
        let notes = [prstatus.clone(), prstatus, note(order, b"VMCOREINFO\0", 0, OSRELEASE)].concat();
        let mut meta = DumpMeta {
            end_pfn: Pfn(end),
            notes: Notes::new(notes, order),
            crash_time: Some(1_700_000_000),
            phys_base: Some(PHYS_BASE),
            ..DumpMeta::new(Machine { elf_machine, order, word }, PageSize::from_bytes(page).unwrap())
        };
        if meta.machine.counts_frames_from_ram() {
            meta.phys_base = Some(0); // where its RAM begins
        }
        let ram = set_of(&[(3, (end / 2).max(3)), ((end / 2 + 2).min(end), end)], end);
        let mut dumpable = ram.clone();
        for pfn in (0..end).step_by(gap as usize) {
            dumpable.clear(PfnRange::at(Pfn(pfn), 1));
        }
        Toy { meta, ram, dumpable }
    }

    /// The same at another dump level.
    pub fn at_level(mut self, dump_level: u32) -> Toy {
        self.meta.dump_level = dump_level;
        self
    }

    /// Page ranges of `count` parts.
    pub fn split(&self, count: usize, block: u64) -> Vec<PfnRange> {
        dump_pipe::split_evenly(&|run| self.dumpable.count(run), self.meta.end_pfn, count, block)
    }

    /// What a page holds.
    pub fn page(&self, pfn: Pfn) -> Vec<u8> {
        made_page(self.meta.page_size, pfn)
    }

    /// What is to be written.
    pub fn dump(&self) -> Dump<'_> {
        Dump { meta: &self.meta, ram: &self.ram, dumpable: &self.dumpable }
    }

    /// Writes the dump in blocks of `block` pages that `pages` reads.
    pub fn write_of(&self, options: &WriteOptions, block: u64, pages: &mut dyn PageReader) -> Outputs {
        self.dump().write(Box::new(KdumpWriter::new(options).unwrap()), block, pages)
    }

    /// Writes the dump in blocks of `block` pages, some of which are not as the machine has them.
    pub fn write_but(&self, options: &WriteOptions, block: u64, but: impl Fn(Pfn) -> Option<Page> + Sync) -> Outputs {
        self.write_of(options, block, &mut MadePages(|pfn| but(pfn).unwrap_or_else(|| Ok(self.page(pfn)))))
    }

    /// Writes the dump in blocks of `block` pages; returns its files.
    pub fn write(&self, options: &WriteOptions, block: u64) -> Vec<Vec<u8>> {
        files(&self.write_but(options, block, |_| None))
    }
}

/// What outputs hold.
pub fn files(outputs: &Outputs) -> Vec<Vec<u8>> {
    (0..outputs.parts.len()).map(|part| outputs.bytes(part)).collect()
}

/// Options for one file with a codec or none.
pub fn with(codec: Option<CodecId>) -> WriteOptions {
    WriteOptions { codec, parts: Vec::new() }
}

/// Every codec of this build, and none.
pub fn codecs() -> Vec<Option<CodecId>> {
    [None].into_iter().chain(Codec::built().map(|codec| Some(codec.id))).collect()
}
