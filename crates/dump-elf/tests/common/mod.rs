//! What the writer's tests share: a machine's memory as a function, a file in memory, and a writer driven from start to
//! end.

// Each test binary uses its own part. Lints know functions marked #[test] as tests, not what they call.
#![allow(dead_code, clippy::unwrap_used, clippy::type_complexity)]

use std::ops::Range;

use dump_core::*;
use dump_elf::{ElfCore, ElfSource, ElfWriter};

/// Word size, byte order, machine number.
pub const SHAPES: [(WordSize, ByteOrder, u16); 4] = [
    (WordSize::Bits64, ByteOrder::Little, 62), // x86_64
    (WordSize::Bits64, ByteOrder::Big, 22),    // s390x
    (WordSize::Bits32, ByteOrder::Little, 40), // ARM
    (WordSize::Bits32, ByteOrder::Big, 20),    // PPC
];

pub const SIZES: [u64; 3] = [4096, 16384, 65536];

/// A call of the placer that is not an index: offset and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Data(u64, u64),
    Zeros(u64, u64),
}

/// A file in memory; data comes from the block in hand.
#[derive(Default)]
pub struct Image {
    pub bytes: Vec<u8>,
    pub hand: Vec<u8>,
    pub calls: Vec<Call>,
    /// Every call fails from this one on.
    pub full_after: Option<usize>,
    /// Set while blocks are placed: zeros must not make the file longer then.
    pub placing: bool,
}

impl Image {
    /// What a device held before.
    pub fn used(len: usize) -> Image {
        Image { bytes: vec![0xee; len], ..Image::default() }
    }

    fn put(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        if self.full_after.is_some_and(|calls| self.calls.len() > calls) {
            return Err(Error::new(ErrorKind::NoSpace, "full"));
        }
        let at = offset as usize;
        self.bytes.resize(self.bytes.len().max(at + bytes.len()), 0);
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

impl Placer for Image {
    fn data(&mut self, part: usize, offset: u64, range: Range<usize>) -> Result<()> {
        assert_eq!(part, 0);
        self.calls.push(Call::Data(offset, range.len() as u64));
        let bytes = self.hand[range].to_vec();
        self.put(offset, &bytes)
    }

    fn index(&mut self, part: usize, offset: u64, bytes: &[u8]) -> Result<()> {
        assert_eq!(part, 0);
        let at = offset as usize;
        self.bytes.resize(self.bytes.len().max(at + bytes.len()), 0); // the header has its room already
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn zeros(&mut self, part: usize, offset: u64, len: u64) -> Result<()> {
        assert_eq!(part, 0);
        assert!(len > 0 && !(self.placing && (offset + len) as usize > self.bytes.len()), "{offset:#x} {len:#x}");
        self.calls.push(Call::Zeros(offset, len));
        self.put(offset, &vec![0; len as usize])
    }
}

/// A small machine.
#[derive(Clone)]
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

pub fn runs(list: &[(u64, u64)], end: u64) -> PageBitmap {
    let mut set = PageBitmap::new(Pfn(end)).unwrap();
    list.iter().for_each(|(start, end)| set.set(PfnRange::new(Pfn(*start), Pfn(*end))));
    set
}

impl Toy {
    /// Segments and dumped runs, in pages; a segment's virtual address is given in bytes.
    pub fn new(
        shape: (WordSize, ByteOrder, u16),
        page: u64,
        segments: &[(u64, u64, u64)],
        dumpable: &[(u64, u64)],
    ) -> Toy {
        let (word, order, elf_machine) = shape;
        let mut meta = DumpMeta::new(Machine { elf_machine, order, word }, PageSize::from_bytes(page).unwrap());
        let prstatus = note(order, b"CORE\0", 1, &[7; 148]);
        meta.notes = [prstatus.clone(), prstatus, note(order, b"VMCOREINFO\0", 0, OSRELEASE)].concat();
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
        Toy { meta, ram: runs(&all, end), dumpable: runs(dumpable, end) }
    }

    /// Text over the second of two RAM segments; gaps that stay, gaps that cut, tails; the last page is zero.
    pub fn usual(shape: (WordSize, ByteOrder, u16), page: u64) -> Toy {
        let (text, direct) = match shape.0 {
            WordSize::Bits64 => (0xffff_ffff_8100_0000, 0xffff_8880_0000_0000),
            WordSize::Bits32 => (0xd100_0000, 0xc000_0000),
        };
        let segments = [(420, 480, text), (3, 40, direct + 3 * page), (64, 1200, direct + 64 * page)];
        Toy::new(
            shape,
            page,
            &segments,
            &[(5, 30), (70, 72), (75, 80), (400, 430), (460, 470), (800, 841), (1190, 1197)],
        )
    }

    /// What a page holds: zeros, text or noise, by its number.
    pub fn page(&self, pfn: Pfn) -> Vec<u8> {
        let size = self.meta.page_size.bytes();
        let mut x = pfn.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut noise = || {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            (x >> 32) as u8
        };
        match pfn.0 % 4 {
            0 => vec![0; size],
            1 => (0..size).map(|_| noise()).collect(),
            _ => (0..size).map(|i| if i % 97 == 0 { noise() } else { (i / 64) as u8 | 1 }).collect(),
        }
    }

    /// Places all pages in blocks of `block` dumped pages, with their content from `content`, as far as `until`.
    pub fn place(
        &self,
        block: u64,
        until: Pfn,
        image: &mut Image,
        content: &dyn Fn(Pfn, &mut dyn FnMut(Span<'_>)),
    ) -> Result<ElfWriter> {
        let mut writer = ElfWriter::new();
        writer.prepare(&self.meta, &self.ram, &self.dumpable, image)?;
        let mut encoder = writer.encoder();
        let (mut from, mut out) = (Pfn(0), EncodedBlock::default());
        image.placing = true;
        loop {
            let run = self.dumpable.take(from, block);
            if run.is_empty() || run.start >= until {
                break;
            }
            out.clear();
            for pages in self.dumpable.runs(run) {
                for pfn in pages.start.0..pages.end.0 {
                    content(Pfn(pfn), &mut |span| encoder.push(span, &mut out).unwrap());
                }
            }
            image.hand.clone_from(&out.data);
            writer.place(&out, image)?;
            from = run.end;
        }
        image.placing = false;
        Ok(writer)
    }

    pub fn bytes(&self, pfn: Pfn, push: &mut dyn FnMut(Span<'_>)) {
        push(Span { pages: PfnRange::at(pfn, 1), content: Content::Bytes(&self.page(pfn)) });
    }

    pub fn write_to(&self, block: u64, mut image: Image) -> (Image, ElfWriter) {
        let mut writer = self.place(block, Pfn(u64::MAX), &mut image, &|pfn, push| self.bytes(pfn, push)).unwrap();
        writer.finish(Ending::Complete, &mut image).unwrap();
        (image, writer)
    }

    pub fn write(&self, block: u64) -> (Image, ElfWriter) {
        self.write_to(block, Image::default())
    }
}

pub fn open(image: &Image, size: PageSize) -> ElfSource<Vec<u8>> {
    ElfCore::open(image.bytes.clone()).unwrap().into_source(size)
}

pub fn read(source: &impl PageSource, pfn: Pfn) -> std::result::Result<Vec<u8>, Absence> {
    let mut out = vec![0xee; source.meta().page_size.bytes()];
    let why = read_pages(source, PfnRange::at(pfn, 1), &mut Scratch::default(), &mut out).unwrap();
    why.map_or(Ok(out), Err)
}
