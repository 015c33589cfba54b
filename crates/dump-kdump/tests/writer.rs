//! The writer's bytes, read with offsets copied from the format's description rather than with this crate's reader.

#![allow(clippy::unwrap_used)] // helpers are tests too

mod common;

use common::*;
use dump_core::*;
use dump_kdump::{KdumpWriter, Options};

/// Reads integers of a file by hand-written offsets.
struct Hex<'a> {
    file: &'a [u8],
    order: ByteOrder,
}

impl Hex<'_> {
    fn int(&self, at: usize, len: usize) -> u64 {
        let bytes = &self.file[at..at + len];
        let push = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        match self.order {
            ByteOrder::Little => bytes.iter().rev().fold(0, push),
            ByteOrder::Big => bytes.iter().fold(0, push),
        }
    }

    fn ints(&self, fields: &[(usize, usize)]) -> Vec<u64> {
        fields.iter().map(|(at, len)| self.int(*at, *len)).collect()
    }

    fn bit(&self, bitmap: usize, pfn: u64) -> bool {
        self.file[bitmap + (pfn / 8) as usize] >> (pfn % 8) & 1 == 1
    }

    /// offset, size, flags of descriptor `rank`.
    fn desc(&self, table: usize, rank: usize) -> (u64, u64, u64) {
        let at = table + 24 * rank;
        assert_eq!(self.int(at + 16, 8), 0);
        (self.int(at, 8), self.int(at + 8, 4), self.int(at + 12, 4))
    }
}

fn options(codec: Option<CodecId>, dump_level: u32) -> Options {
    Options { codec, dump_level, ..Options::default() }
}

/// Offset and width of the main header's fields after the names, and of the sub header's, by shape.
type FieldTable = (&'static [(usize, usize)], &'static [(usize, usize)], usize);

const FIELDS64: FieldTable = (
    &[
        (408, 8),
        (416, 8),
        (424, 4),
        (428, 4),
        (432, 4),
        (436, 4),
        (440, 4),
        (444, 4),
        (448, 4),
        (452, 4),
        (456, 4),
        (460, 4),
    ],
    &[
        (0, 8),
        (8, 4),
        (12, 4),
        (16, 8),
        (24, 8),
        (32, 8),
        (40, 8),
        (48, 8),
        (56, 8),
        (64, 8),
        (72, 8),
        (80, 8),
        (88, 8),
        (96, 8),
    ],
    104,
);
const MAIN32: &[(usize, usize)] = &[
    (404, 4),
    (408, 4),
    (412, 4),
    (416, 4),
    (420, 4),
    (424, 4),
    (428, 4),
    (432, 4),
    (436, 4),
    (440, 4),
    (444, 4),
    (448, 4),
];
const PACKED32: FieldTable = (
    MAIN32,
    &[
        (0, 4),
        (4, 4),
        (8, 4),
        (12, 4),
        (16, 4),
        (20, 8),
        (28, 4),
        (32, 8),
        (40, 4),
        (44, 8),
        (52, 4),
        (56, 8),
        (64, 8),
        (72, 8),
    ],
    80,
);
const PADDED32: FieldTable = (
    MAIN32,
    &[
        (0, 4),
        (4, 4),
        (8, 4),
        (12, 4),
        (16, 4),
        (24, 8),
        (32, 4),
        (40, 8),
        (48, 4),
        (56, 8),
        (64, 4),
        (72, 8),
        (80, 8),
        (88, 8),
    ],
    96,
);

fn fields(shape: (WordSize, ByteOrder, u16)) -> FieldTable {
    match (shape.0, shape.2) {
        (WordSize::Bits64, _) => FIELDS64,
        (_, 0 | 3) => PACKED32,
        _ => PADDED32,
    }
}

#[test]
fn headers_by_offset() {
    for shape in SHAPES {
        let mut toy = Toy::new(shape, 4096, 1000, 7);
        toy.meta.erase_info = b"erase jiffies size 8\n".to_vec();
        let (files, _) = toy.write(&Options { dump_level: 31, ..Options::default() }, 100);
        let (main, sub, sub_len) = fields(shape);
        let hex = Hex { file: &files.parts[0], order: shape.1 };
        assert_eq!(&hex.file[..8], b"KDUMP   ");
        assert_eq!(hex.int(8, 4), 6);
        assert_eq!(&hex.file[12..19], b"Linux\0\0");
        assert_eq!(&hex.file[142..152], b"6.1.0-toy\0");
        assert_eq!(hex.ints(main), [1_700_000_000, 0, 0, 4096, 15, 2, 1000, 0, 0, 0, 0, 2], "{shape:?}");
        let hex = Hex { file: &hex.file[4096..], order: shape.1 };
        let (notes, len) = ((4096 + sub_len) as u64, toy.meta.notes.len() as u64);
        let text = notes + toy.meta.vmcoreinfo.as_ref().unwrap().start as u64;
        let text_len = OSRELEASE.len() as u64;
        let expected = [0x1234_5000, 31, 0, 0, 0, text, text_len, notes, len, notes + len, 21, 0, 0, 1000];
        assert_eq!(hex.ints(sub), expected, "{shape:?}");
        assert_eq!(&files.parts[0][text as usize..][..OSRELEASE.len()], OSRELEASE);
        assert_eq!(&files.parts[0][(notes + len) as usize..][..21], b"erase jiffies size 8\n");
    }
}

#[test]
fn machine_names() {
    for (shape, name) in SHAPES.iter().zip(["x86_64", "s390x", "i686", "armv7l", "ppc", ""]) {
        let (files, _) = Toy::new(*shape, 4096, 100, 7).write(&Options::default(), 100);
        let field = &files.parts[0][272..337];
        assert_eq!(field.split(|b| *b == 0).next().unwrap(), name.as_bytes());
    }
    let mut toy = Toy::new(SHAPES[0], 4096, 100, 7);
    toy.meta.utsname.fields[4][..4].copy_from_slice(b"s390");
    let (files, _) = toy.write(&Options::default(), 100);
    assert_eq!(&files.parts[0][272..278], b"s390\0\0", "names that are known stay");
}

#[test]
fn bitmaps_descriptors_and_pages_by_offset() {
    for codec in codecs() {
        for level in [0, 1] {
            for shape in SHAPES {
                let toy = Toy::new(shape, 4096, 1000, 7);
                let (files, writer) = toy.write(&options(codec, level), 64);
                let hex = Hex { file: &files.parts[0], order: shape.1 };
                let (bitmap1, bitmap2, table) = (0x10000, 0x11000, 0x12000);
                let dumped = toy.dumpable.count(toy.dumpable.span());
                let data = table as u64 + 24 * dumped;
                let (mut rank, mut next) = (0, data + 4096);
                for pfn in 0..1000 {
                    assert_eq!(hex.bit(bitmap1, pfn), toy.ram.get(Pfn(pfn)));
                    assert_eq!(hex.bit(bitmap2, pfn), toy.dumpable.get(Pfn(pfn)));
                    if !toy.dumpable.get(Pfn(pfn)) {
                        continue;
                    }
                    let (offset, size, flags) = hex.desc(table, rank);
                    rank += 1;
                    if pfn % 4 == 0 {
                        assert_eq!((offset, size, flags), (data, 4096, 0), "a zero page is the shared one");
                        continue;
                    }
                    assert_eq!(offset, next, "pages follow each other");
                    next += size;
                    let noise = pfn % 4 == 1;
                    let expected = match codec {
                        _ if noise => 0,
                        None => 0,
                        Some(CodecId::Zlib) => 1,
                        Some(CodecId::Lzo) => 2,
                        Some(CodecId::Snappy) => 4,
                        Some(CodecId::Zstd) => 0x20,
                    };
                    assert_eq!(flags, expected, "{codec:?} pfn {pfn}");
                    if flags == 0 {
                        assert_eq!(size, 4096);
                        assert!(hex.file[offset as usize..][..4096] == toy.page(Pfn(pfn)));
                    } else {
                        assert!(size < 4096);
                    }
                }
                assert_eq!(next, files.parts[0].len() as u64);
                assert_eq!(next, writer.written_len(0));
                assert!(is_zero(&hex.file[data as usize..][..4096]));
                assert_eq!(hex.file[bitmap1 + 125..bitmap2].iter().max(), Some(&0));
            }
        }
    }
}

#[test]
fn a_block_is_one_range_of_data_and_one_of_descriptors() {
    let toy = Toy::new(SHAPES[0], 4096, 1000, 7);
    let (files, _) = toy.write(&options(None, 1), 1_000_000);
    // main header, sub header, two bitmaps, zero page; then the block.
    assert_eq!(files.calls, (1, 5 + 1));
}

#[test]
fn bytes_do_not_depend_on_blocks() {
    for codec in codecs() {
        for parts in [1, 3] {
            let toy = Toy::new(SHAPES[0], 4096, 3000, 7);
            let parts = if parts > 1 { toy.split(parts, 64) } else { Vec::new() };
            let options = Options { codec, dump_level: 1, parts };
            let whole = toy.write(&options, 1 << 30).0.parts;
            for block in [1, 7, 64, 1000] {
                assert!(toy.write(&options, block).0.parts == whole, "{codec:?} {block}");
            }
        }
    }
}

#[test]
fn lost_pages_make_it_incomplete() {
    for why in [Absence::Hole, Absence::Excluded, Absence::Lost, Absence::Unreadable] {
        let toy = Toy::new(SHAPES[0], 4096, 200, 7);
        let (files, writer) = toy.write_with(&options(None, 1), 64, Ending::Complete, &|pfn, push| {
            let pages = PfnRange::at(pfn, 1);
            match pfn.0 {
                50..60 => push(Span { pages, content: Content::Absent(why) }),
                _ => push(Span { pages, content: Content::Bytes(&toy.page(pfn)) }),
            }
        });
        let hex = Hex { file: &files.parts[0], order: ByteOrder::Little };
        assert_eq!(hex.int(424, 4), 8, "{why:?}");
        let rank = |pfn| toy.dumpable.count(PfnRange::new(Pfn(0), Pfn(pfn))) as usize;
        assert_eq!(hex.desc(0x12000, rank(51)), (0, 0, 0));
        assert_ne!(hex.desc(0x12000, rank(61)).0, 0);
        assert_eq!(writer.lost_pages(), toy.dumpable.count(PfnRange::new(Pfn(50), Pfn(60))));
    }
}

#[test]
fn cut_off_it_still_has_its_tables() {
    let toy = Toy::new(SHAPES[0], 4096, 100_000, 7);
    for parts in [1, 2] {
        let ranges = if parts > 1 { toy.split(parts, 4096) } else { Vec::new() };
        let options = Options { dump_level: 1, parts: ranges, ..Options::default() };
        let (mut files, mut writer) = (Files::default(), KdumpWriter::new(options).unwrap());
        writer.prepare(&toy.meta, &toy.ram, &toy.dumpable, &mut files).unwrap();
        writer.finish(Ending::Incomplete, &mut files).unwrap();
        let dumped = toy.dumpable.count(toy.dumpable.span());
        assert_eq!(files.parts.len(), parts);
        for (at, file) in files.parts.iter().enumerate() {
            let hex = Hex { file, order: ByteOrder::Little };
            assert_eq!(hex.int(424, 4), 8);
            let table = 0x10000 + 2 * 4 * 4096;
            assert_eq!(file.len() as u64, table + 24 * dumped + 4096);
            assert_eq!(writer.written_len(at), file.len() as u64, "nothing was placed past the zero page");
            assert_eq!(hex.desc(table as usize, 0), (0, 0, 0));
        }
    }
}

#[test]
fn a_dump_without_pages_has_its_bitmaps() {
    let mut toy = Toy::new(SHAPES[0], 4096, 100_000, 7);
    toy.dumpable.clear(toy.dumpable.span());
    let (files, _) = toy.write(&options(None, 31), 64);
    assert_eq!(files.parts[0].len(), 0x10000 + 8 * 4096 + 4096);
}

#[test]
fn blocks_out_of_turn_are_refused() {
    let toy = Toy::new(SHAPES[0], 4096, 1000, 7);
    let block = |from: u64, data: SpanData| {
        let mut block = EncodedBlock { data: vec![1; 8192], ..EncodedBlock::default() };
        block.note(PfnRange::at(Pfn(from), 2), data);
        block
    };
    let raw = |range| SpanData::Stored { codec: None, data: range };
    let good = block(10, raw(0..8192));
    for (what, bad) in [
        ("again", block(10, raw(0..8192))),
        ("before", block(4, raw(0..8192))),
        ("overlapping", block(11, raw(0..8192))),
        ("past the end", block(999, raw(0..8192))),
        ("short", block(20, raw(0..4096))),
        ("outside the block", block(20, raw(4096..12288))),
        ("two packed in one", block(20, SpanData::Stored { codec: Some(CodecId::Zlib), data: 0..100 })),
    ] {
        let (mut files, mut writer) = (Files::default(), KdumpWriter::new(Options::default()).unwrap());
        writer.prepare(&toy.meta, &toy.ram, &toy.dumpable, &mut files).unwrap();
        files.hand = vec![1; 8192];
        writer.place(&good, &mut files).unwrap();
        assert_eq!(writer.place(&bad, &mut files).unwrap_err().kind(), ErrorKind::Corrupt, "{what}");
    }
}

#[test]
fn pages_that_never_came_are_noticed() {
    let toy = Toy::new(SHAPES[0], 4096, 1000, 7);
    let (mut files, mut writer) = (Files::default(), KdumpWriter::new(Options::default()).unwrap());
    writer.prepare(&toy.meta, &toy.ram, &toy.dumpable, &mut files).unwrap();
    assert_eq!(writer.finish(Ending::Complete, &mut files).unwrap_err().kind(), ErrorKind::Corrupt);
    let hex = Hex { file: &files.parts[0], order: ByteOrder::Little };
    assert_eq!(hex.int(424, 4), 8);
}

#[test]
fn a_source_filtered_before_adds_its_level() {
    let mut toy = Toy::new(SHAPES[0], 4096, 100, 7);
    toy.meta.dump_level = 3;
    let (files, _) = toy.write(&options(None, 16), 100);
    let hex = Hex { file: &files.parts[0], order: ByteOrder::Little };
    assert_eq!(hex.int(4096 + 8, 4), 19);
}

#[test]
fn far_up_memory_leaves_holes() {
    let far = 1u64 << 33;
    let mut toy = Toy::new(SHAPES[0], 4096, 100, 7);
    toy.meta.end_pfn = Pfn(far + 10);
    toy.ram = PageBitmap::windowed(PfnRange::new(Pfn(far), Pfn(far + 10))).unwrap();
    toy.ram.set(PfnRange::new(Pfn(far + 3), Pfn(far + 10)));

    struct Count(u64, Vec<u64>);
    impl Placer for Count {
        fn data(&mut self, _: usize, _: u64, _: std::ops::Range<usize>) -> Result<()> {
            Ok(())
        }
        fn index(&mut self, _: usize, offset: u64, bytes: &[u8]) -> Result<()> {
            self.0 += bytes.len() as u64;
            self.1.push(offset);
            Ok(())
        }
        fn zeros(&mut self, _: usize, _: u64, _: u64) -> Result<()> {
            Ok(())
        }
    }
    let (mut files, mut writer) = (Count(0, Vec::new()), KdumpWriter::new(Options::default()).unwrap());
    writer.prepare(&toy.meta, &toy.ram, &toy.ram, &mut files).unwrap();
    let bitmap = (far / 8 / 4096 + 1) * 4096;
    let zero_page = 0x10000 + 2 * bitmap + 7 * 24;
    assert_eq!(files.1, [0, 4096, 0x10000 + far / 8, 0x10000 + bitmap + far / 8, zero_page]);
    assert!(files.0 < 4 * 4096, "{}", files.0);
}
