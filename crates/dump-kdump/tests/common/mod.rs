//! What the tests share: a machine's memory as a function, a file in memory, and a writer driven from start to end.

// Each test binary uses its own part. Lints know functions marked #[test] as tests, not what they call.
#![allow(dead_code, clippy::unwrap_used, clippy::type_complexity)]

use std::ops::Range;

use dump_core::*;
use dump_kdump::{KdumpWriter, Options};

/// Shapes of files: word size, byte order, machine number.
pub const SHAPES: [(WordSize, ByteOrder, u16); 6] = [
    (WordSize::Bits64, ByteOrder::Little, 62), // x86_64
    (WordSize::Bits64, ByteOrder::Big, 22),    // s390x
    (WordSize::Bits32, ByteOrder::Little, 3),  // i386, packed
    (WordSize::Bits32, ByteOrder::Little, 40), // ARM, padded
    (WordSize::Bits32, ByteOrder::Big, 20),    // PPC, padded
    (WordSize::Bits32, ByteOrder::Big, 0),     // unknown, packed
];

pub const SIZES: [u64; 3] = [4096, 16384, 65536];

/// Files in memory; data comes from the block in hand.
#[derive(Default)]
pub struct Files {
    pub parts: Vec<Vec<u8>>,
    pub hand: Vec<u8>,
    /// How many calls placed data and indexes.
    pub calls: (usize, usize),
}

impl Files {
    pub fn part(&mut self, part: usize) -> &mut Vec<u8> {
        while self.parts.len() <= part {
            self.parts.push(Vec::new());
        }
        &mut self.parts[part]
    }

    fn put(&mut self, part: usize, offset: u64, bytes: &[u8]) {
        let (at, file) = (offset as usize, self.part(part));
        file.resize(file.len().max(at + bytes.len()), 0);
        file[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

impl Placer for Files {
    fn data(&mut self, part: usize, offset: u64, range: Range<usize>) -> Result<()> {
        self.calls.0 += 1;
        let bytes = self.hand[range].to_vec();
        self.put(part, offset, &bytes);
        Ok(())
    }

    fn index(&mut self, part: usize, offset: u64, bytes: &[u8]) -> Result<()> {
        self.calls.1 += 1;
        self.put(part, offset, bytes);
        Ok(())
    }

    fn zeros(&mut self, part: usize, offset: u64, len: u64) -> Result<()> {
        let file = self.part(part);
        file.resize(file.len().max((offset + len) as usize), 0);
        Ok(())
    }
}

/// A small machine: `pages` page frames of RAM from `first`, every `gap`th of them not dumped.
pub struct Toy {
    pub meta: DumpMeta,
    pub ram: PageBitmap,
    pub dumpable: PageBitmap,
}

pub const OSRELEASE: &[u8] = b"OSRELEASE=6.1.0-toy\nPAGESIZE=4096\nCRASHTIME=1700000000\n";

/// A note, by the layout that ELF gives it.
pub fn note(order: ByteOrder, name: &[u8], kind: u32, desc: &[u8]) -> Vec<u8> {
    let u32 = |x: usize| if order == ByteOrder::Little { (x as u32).to_le_bytes() } else { (x as u32).to_be_bytes() };
    let mut out = [u32(name.len()), u32(desc.len()), u32(kind as usize)].concat();
    for bytes in [name, desc] {
        out.extend_from_slice(bytes);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

impl Toy {
    /// Page ranges of `count` parts.
    #[allow(dead_code)] // by some of the tests that share this file
    pub fn split(&self, count: usize, block: u64) -> Vec<PfnRange> {
        dump_kdump::split_evenly(&|run| self.dumpable.count(run), self.meta.end_pfn, count, block)
    }

    pub fn new(shape: (WordSize, ByteOrder, u16), page: u64, end: u64, gap: u64) -> Toy {
        let (word, order, elf_machine) = shape;
        let prstatus = note(order, b"CORE\0", 1, &[7; 148]);
        let info = note(order, b"VMCOREINFO\0", 0, OSRELEASE);
        let notes = [prstatus.clone(), prstatus.clone(), info].concat();
        let text = 2 * prstatus.len() + 24;
        let meta = DumpMeta {
            machine: Machine { elf_machine, order, word },
            page_size: PageSize::from_bytes(page).unwrap(),
            end_pfn: Pfn(end),
            vmcoreinfo: Some(text..text + OSRELEASE.len()),
            notes,
            cpus: 2,
            segments: Vec::new(),
            utsname: UtsName::default(),
            crash_time: 1_700_000_000,
            phys_base: 0x1234_5000,
            dump_level: 0,
            erase_info: Vec::new(),
            incomplete: false,
            excluded_vmemmap: false,
        };
        let mut ram = PageBitmap::new(Pfn(end)).unwrap();
        ram.set(PfnRange::new(Pfn(3), Pfn(end / 2)));
        ram.set(PfnRange::new(Pfn(end / 2 + 2), Pfn(end)));
        let mut dumpable = ram.clone();
        for pfn in (0..end).step_by(gap as usize) {
            dumpable.clear(PfnRange::at(Pfn(pfn), 1));
        }
        Toy { meta, ram, dumpable }
    }

    /// What a page holds: zeros, text or noise, by its number.
    pub fn page(&self, pfn: Pfn) -> Vec<u8> {
        page(self.meta.page_size, pfn)
    }

    /// Writes the dump in blocks of `block` dumped pages, with their content from `content`.
    pub fn write_with(
        &self,
        options: &Options,
        block: u64,
        ending: Ending,
        content: &dyn Fn(Pfn, &mut dyn FnMut(Span<'_>)),
    ) -> (Files, KdumpWriter) {
        let (mut files, mut writer) = (Files::default(), KdumpWriter::new(options.clone()).unwrap());
        writer.prepare(&self.meta, &self.ram, &self.dumpable, &mut files).unwrap();
        let mut encoder = writer.encoder();
        let (mut from, mut out) = (Pfn(0), EncodedBlock::default());
        loop {
            let run = self.dumpable.take(from, block);
            if run.is_empty() {
                break;
            }
            out.clear();
            for pages in self.dumpable.runs(run) {
                for pfn in pages.start.0..pages.end.0 {
                    content(Pfn(pfn), &mut |span| encoder.push(span, &mut out).unwrap());
                }
            }
            files.hand.clone_from(&out.data);
            writer.place(&out, &mut files).unwrap();
            from = run.end;
        }
        writer.finish(ending, &mut files).unwrap();
        (files, writer)
    }

    pub fn write(&self, options: &Options, block: u64) -> (Files, KdumpWriter) {
        self.write_with(options, block, Ending::Complete, &|pfn, push| {
            push(Span { pages: PfnRange::at(pfn, 1), content: Content::Bytes(&self.page(pfn)) });
        })
    }
}

pub fn page(size: PageSize, pfn: Pfn) -> Vec<u8> {
    let mut x = pfn.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut noise = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 32) as u8
    };
    match pfn.0 % 4 {
        0 => vec![0; size.bytes()],
        1 => (0..size.bytes()).map(|_| noise()).collect(),
        _ => (0..size.bytes()).map(|i| if i % 97 == 0 { noise() } else { (i / 64) as u8 }).collect(),
    }
}

/// Every codec of this build, and none.
pub fn codecs() -> Vec<Option<CodecId>> {
    let built = CodecId::ALL.into_iter().filter(|codec| dump_kdump::codec::supported().contains(*codec));
    [None].into_iter().chain(built.map(Some)).collect()
}
