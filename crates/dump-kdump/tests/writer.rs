//! The writer's bytes, read with offsets copied from the format's description rather than with this crate's reader.

#![allow(clippy::unwrap_used)] // helpers are tests too

mod toy;

use dump_core::*;
use dump_kdump::KdumpWriter;
use dump_kdump::codec::Codec;
use dump_kit::{Outputs, Placement, page_at, set_of};
use toy::*;

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
const UNPADDED32: FieldTable = (
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

fn fields(shape: Shape) -> FieldTable {
    match (shape.0, shape.2) {
        (WordSize::Bits64, _) => FIELDS64,
        (_, None | Some(3)) => UNPADDED32,
        _ => PADDED32,
    }
}

#[test]
fn headers_by_offset() {
    for shape in SHAPES {
        let mut toy = Toy::new(shape, 4096, 1000, 7).at_level(31);
        toy.meta.erase_info = b"erase jiffies size 8\n".to_vec();
        let file = toy.write(&with(None), 100).remove(0);
        let (main, sub, sub_len) = fields(shape);
        let hex = Hex { file: &file, order: shape.1 };
        assert_eq!(&hex.file[..8], b"KDUMP   ");
        assert_eq!(hex.int(8, 4), 6);
        assert_eq!(&hex.file[12..19], b"Linux\0\0");
        assert_eq!(&hex.file[142..152], b"6.1.0-toy\0");
        assert_eq!(hex.ints(main), [1_700_000_000, 0, 0, 4096, 15, 2, 1000, 0, 0, 0, 0, 2], "{shape:?}");
        let hex = Hex { file: &hex.file[4096..], order: shape.1 };
        let (notes, len) = ((4096 + sub_len) as u64, toy.meta.notes.as_bytes().len() as u64);
        let text = notes + 2 * (12 + 8 + 148) + 24; // behind two registers' notes
        let text_len = OSRELEASE.len() as u64;
        let expected =
            [toy.meta.phys_base.unwrap(), 31, 0, 0, 0, text, text_len, notes, len, notes + len, 21, 0, 0, 1000];
        assert_eq!(hex.ints(sub), expected, "{shape:?}");
        assert_eq!(&file[text as usize..][..OSRELEASE.len()], OSRELEASE);
        assert_eq!(&file[(notes + len) as usize..][..21], b"erase jiffies size 8\n");
    }
}

#[test]
fn what_is_not_known_is_0() {
    let mut toy = Toy::new(SHAPES[0], 4096, 100, 7);
    (toy.meta.crash_time, toy.meta.phys_base, toy.meta.notes) = (None, None, Notes::empty(ByteOrder::Little));
    let file = toy.write(&with(None), 100).remove(0);
    let hex = Hex { file: &file, order: ByteOrder::Little };
    assert_eq!((hex.int(408, 8), hex.int(460, 4), hex.int(4096, 8)), (0, 0, 0), "crash time, CPUs, phys_base");
    assert_eq!(hex.ints(&[(4096 + 32, 8), (4096 + 40, 8), (4096 + 48, 8), (4096 + 56, 8)]), [0; 4], "no notes");
    assert!(is_zero(&file[12..272]), "no names but the machine's");
    toy.meta.stated_cpus = Some(3);
    let file = toy.write(&with(None), 100).remove(0);
    assert_eq!(Hex { file: &file, order: ByteOrder::Little }.int(460, 4), 3);
}

#[test]
fn machine_names() {
    let field = |toy: &Toy| toy.write(&with(None), 100).remove(0)[272..337].to_vec();
    for (shape, name) in SHAPES.iter().zip(["x86_64", "s390x", "i686", "armv7l", "ppc", ""]) {
        let field = field(&Toy::new(*shape, 4096, 100, 7));
        assert_eq!(field.split(|b| *b == 0).next().unwrap(), name.as_bytes());
    }
    let mut toy = Toy::new(SHAPES[0], 4096, 100, 7);
    toy.meta.utsname = Some(UtsName::named("", "s390"));
    assert_eq!(&field(&toy)[..6], b"s390\0\0", "names that are known stay");
}

/// Flags of a page that is compressed, written down a second time.
const FLAGS: [(&str, u64); 4] = [("zlib", 1), ("lzo", 2), ("snappy", 4), ("zstd", 0x20)];

#[test]
fn bitmaps_descriptors_and_pages_by_offset() {
    for codec in codecs() {
        let compressed =
            FLAGS.iter().find(|(name, _)| Some(*name) == codec.map(CodecId::name)).map(|(_, flags)| *flags);
        for (level, shape) in SHAPES.into_iter().flat_map(|shape| [(0, shape), (1, shape)]) {
            let toy = Toy::new(shape, 4096, 1000, 7).at_level(level);
            let file = toy.write(&with(codec), 64).remove(0);
            let hex = Hex { file: &file, order: shape.1 };
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
                assert_eq!(flags, compressed.filter(|_| !noise).unwrap_or(0), "{codec:?} pfn {pfn}");
                if flags == 0 {
                    assert_eq!(size, 4096);
                    assert!(hex.file[offset as usize..][..4096] == toy.page(Pfn(pfn)));
                } else {
                    assert!(size < 4096);
                }
            }
            assert_eq!(next, file.len() as u64);
            assert_eq!(hex.int(if shape.0 == WordSize::Bits64 { 424 } else { 412 }, 4), compressed.unwrap_or(0));
            assert!(is_zero(&hex.file[data as usize..][..4096]));
            assert!(is_zero(&hex.file[bitmap1 + 125..bitmap2]));
        }
    }
}

#[test]
fn a_block_is_one_range_of_data_and_one_of_descriptors() {
    let toy = Toy::new(SHAPES[0], 4096, 1000, 7);
    let placements = toy.write_but(&with(None), 1_000_000, |_| None).placements;
    let count = |kind: fn(&Placement) -> bool| placements.iter().filter(|placement| kind(placement)).count();
    assert_eq!(count(|placement| matches!(placement, Placement::Data { .. })), 1);
    // main header, sub header, two bitmaps, zero page; then the block; then the main header without its flag.
    assert_eq!(count(|placement| matches!(placement, Placement::Index { .. })), 5 + 1 + 1);
}

#[test]
fn bytes_do_not_depend_on_blocks() {
    for codec in codecs() {
        for parts in [1, 3] {
            let toy = Toy::new(SHAPES[0], 4096, 3000, 7).at_level(1);
            let parts = if parts > 1 { toy.split(parts, 64) } else { Vec::new() };
            let options = WriteOptions { codec, parts };
            let whole = toy.write(&options, 1 << 30);
            for block in [1, 7, 64, 1000] {
                assert!(toy.write(&options, block) == whole, "{codec:?} {block}");
            }
        }
    }
}

#[test]
fn lost_pages_make_it_incomplete() {
    for why in [Absence::Hole, Absence::Excluded, Absence::Lost, Absence::Unreadable] {
        let toy = Toy::new(SHAPES[0], 4096, 200, 7);
        let file = toy.write_but(&with(None), 64, |pfn| (50..60).contains(&pfn.0).then_some(Err(why))).bytes(0);
        let hex = Hex { file: &file, order: ByteOrder::Little };
        assert_eq!(hex.int(424, 4), 8, "{why:?}");
        let rank = |pfn| toy.dumpable.count(PfnRange::new(Pfn(0), Pfn(pfn))) as usize;
        for pfn in (0..200).filter(|pfn| toy.dumpable.get(Pfn(*pfn))) {
            let desc = hex.desc(0x12000, rank(pfn));
            assert_eq!(desc == (0, 0, 0), (50..60).contains(&pfn), "{pfn} {desc:?}");
        }
    }
}

#[test]
fn cut_off_it_still_has_its_tables() {
    let toy = Toy::new(SHAPES[0], 4096, 100_000, 7);
    for parts in [1, 2] {
        let ranges = if parts > 1 { toy.split(parts, 4096) } else { Vec::new() };
        let writer = KdumpWriter::new(&WriteOptions { codec: None, parts: ranges }).unwrap();
        let mut writing = toy.dump().prepare(Box::new(writer), Outputs::default()).unwrap();
        writing.finish(Ending::Incomplete).unwrap();
        let dumped = toy.dumpable.count(toy.dumpable.span());
        assert_eq!(writing.outputs.parts.len(), parts);
        for file in files(&writing.outputs) {
            let hex = Hex { file: &file, order: ByteOrder::Little };
            assert_eq!(hex.int(424, 4), 8);
            let table = 0x10000 + 2 * 4 * 4096;
            assert_eq!(file.len() as u64, table + 24 * dumped + 4096, "nothing was placed past the zero page");
            assert_eq!(hex.desc(table as usize, 0), (0, 0, 0));
        }
    }
}

#[test]
fn a_dump_without_pages_has_its_bitmaps() {
    let mut toy = Toy::new(SHAPES[0], 4096, 100_000, 7).at_level(31);
    toy.dumpable.clear(toy.dumpable.span());
    assert_eq!(toy.write(&with(None), 64)[0].len(), 0x10000 + 8 * 4096 + 4096);
}

#[test]
fn a_source_that_is_incomplete_stays_so() {
    let mut toy = Toy::new(SHAPES[0], 4096, 100, 7);
    (toy.meta.incomplete, toy.meta.excluded_vmemmap) = (true, true);
    let file = toy.write(&with(None), 64).remove(0);
    assert_eq!(Hex { file: &file, order: ByteOrder::Little }.int(424, 4), 8 | 0x10);
}

/// Blocks that our own encoders never make.
#[test]
fn blocks_of_other_encoders_are_bugs() {
    let toy = Toy::new(SHAPES[0], 4096, 1000, 7);
    let block = |spans: &[(u64, SpanData)]| {
        let mut block = EncodedBlock { data: vec![1; 12288], ..EncodedBlock::default() };
        spans.iter().for_each(|(pfn, data)| block.note(PfnRange::at(Pfn(*pfn), 1), data.clone()));
        block
    };
    let raw = |data| SpanData::Stored { codec: None, data };
    let foreign = SpanData::Stored { codec: Some(CodecId::new(9, "other")), data: 0..100 };
    for spans in [
        &[(10, raw(0..4096)), (11, raw(8192..12288))][..],
        &[(10, raw(4096..8192)), (11, raw(0..4096))],
        &[(10, foreign)],
    ] {
        let (writer, mut outputs) = (Box::new(KdumpWriter::new(&with(None)).unwrap()), Outputs::default());
        let mut pages = writer.prepare(&toy.meta, &toy.ram, &toy.dumpable, &mut outputs).unwrap();
        let e = pages.place(&block(spans), &mut outputs).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Bug, "{spans:?}");
    }
}

#[test]
fn pages_past_the_end_are_a_bug() {
    let mut toy = Toy::new(SHAPES[0], 4096, 1000, 7);
    toy.meta.end_pfn = Pfn(900);
    let writer = Box::new(KdumpWriter::new(&with(None)).unwrap());
    let e = toy.dump().prepare(writer, Outputs::default()).err().unwrap();
    assert_eq!(e.kind(), ErrorKind::Bug, "{e}");
}

#[test]
fn a_codec_that_is_not_there_is_refused() {
    let left_out = Codec::by_name("lzo").filter(|codec| codec.create.is_none()).map(|codec| codec.id);
    for id in [CodecId::new(9, "other")].into_iter().chain(left_out) {
        let e = KdumpWriter::new(&with(Some(id))).err().unwrap();
        assert_eq!(e.kind(), ErrorKind::Unsupported, "{e}");
        assert!(e.to_string().contains(id.name()), "{e}");
    }
}

/// Adds up what is placed.
#[derive(Default)]
struct Count {
    bytes: u64,
    offsets: Vec<u64>,
}

impl Placer for Count {
    fn data(&mut self, _: usize, _: u64, _: std::ops::Range<usize>) -> Result<()> {
        Ok(())
    }

    fn index(&mut self, _: usize, offset: u64, bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len() as u64;
        self.offsets.push(offset);
        Ok(())
    }

    fn zeros(&mut self, _: usize, _: u64, _: u64) -> Result<()> {
        Ok(())
    }

    fn can_rewrite(&self) -> bool {
        true
    }
}

/// 32-bit ARM: the file counts frames from the start of RAM, and says where that is, whatever the source says of it.
#[test]
fn frames_of_arm_are_counted_from_the_start_of_ram() {
    let base = 0x8_0000;
    let mut toy = Toy::new(SHAPES[3], 4096, 100, 7);
    toy.meta.end_pfn = Pfn(base + 100);
    let shifted = |runs: &[(u64, u64)]| set_of(runs, base + 100);
    (toy.ram, toy.dumpable) =
        (shifted(&[(base, base + 50), (base + 60, base + 100)]), shifted(&[(base + 9, base + 12)]));
    for (stated, first) in [(None, base), (Some(0), base), (Some(1 << 40), base), (Some(0x7ff0_0000), base - 0x100)] {
        toy.meta.phys_base = stated;
        for parts in
            [vec![], vec![PfnRange::new(Pfn(0), Pfn(base + 64)), PfnRange::new(Pfn(base + 64), Pfn(base + 100))]]
        {
            let split = !parts.is_empty();
            let files = toy.write(&WriteOptions { parts, ..with(None) }, 100);
            let hex = Hex { file: &files[0][4096..], order: ByteOrder::Little };
            let ends = if split { [0, base + 64 - first] } else { [0, 0] };
            assert_eq!(hex.ints(&[(0, 4), (88, 8)]), [first << 12, base + 100 - first]);
            assert_eq!(hex.ints(&[(72, 8), (80, 8)]), ends);
            let hex = Hex { file: &files[0], order: ByteOrder::Little };
            let bits =
                |bitmap| (0..0x200).filter(|pfn| hex.bit(bitmap, *pfn)).map(|pfn| pfn + first).collect::<Vec<_>>();
            assert_eq!(bits(0x11000), [base + 9, base + 10, base + 11]);
            assert_eq!(bits(0x10000).len(), 90);
            let mut parts = files.into_iter().map(|bytes| Part { name: "x".into(), bytes: Box::new(bytes) as Bytes });
            let options = OpenOptions::default();
            let open = || dump_kdump::FORMAT.open_parts.unwrap();
            let back = match split {
                true => open()(parts.collect(), &options).unwrap(),
                false => (dump_kdump::FORMAT.open)(parts.next().unwrap().bytes, &options).unwrap(),
            };
            assert_eq!((back.meta().end_pfn, back.meta().phys_base), (Pfn(base + 100), Some(first << 12)));
            for pfn in [base + 9, base + 11] {
                assert_eq!(page_at(&back, Pfn(pfn)), Ok(toy.page(Pfn(pfn))));
            }
            let mut ram = PageBitmap::new(Pfn(base + 100)).unwrap();
            back.mark_ram(&mut ram).unwrap();
            assert!(ram == toy.ram);
        }
    }
}

/// A phys_base that 4 bytes do not hold is not cut off.
#[test]
fn a_phys_base_that_does_not_fit_is_refused() {
    let mut toy = Toy::new(SHAPES[2], 4096, 100, 7);
    let mut refused = |phys_base: u64| {
        toy.meta.phys_base = Some(phys_base);
        toy.dump().prepare(Box::new(KdumpWriter::new(&with(None)).unwrap()), Outputs::default()).err()
    };
    assert!(refused(0x1_0000_0000).unwrap().to_string().contains("phys_base 0x100000000 does not fit"));
    assert!(refused(0xffff_ffff_ff00_0000).is_none() && refused(0xff00_0000).is_none());
}

/// Lost pages cost no bytes: their descriptors are zeros, which is what a table is before anything is written to it.
#[test]
fn descriptors_of_lost_pages_are_not_written() {
    let toy = Toy::new(SHAPES[0], 4096, 1000, 7);
    let out = toy.write_but(&with(None), 100, |_| Some(Err(Absence::Unreadable)));
    let table = 0x12000..0x12000 + 24 * toy.dumpable.count(toy.dumpable.span());
    let in_table = |p: &&Placement| matches!(p, Placement::Index { offset, .. } if table.contains(offset));
    assert_eq!(out.placements.iter().filter(in_table).count(), 0);
    assert!(out.bytes(0).len() as u64 >= table.end);
}

#[test]
fn far_up_memory_leaves_holes() {
    let far = 1u64 << 33;
    let mut toy = Toy::new(SHAPES[0], 4096, 100, 7);
    toy.meta.end_pfn = Pfn(far + 10);
    toy.ram = PageBitmap::windowed(PfnRange::new(Pfn(far), Pfn(far + 10))).unwrap();
    toy.ram.set(PfnRange::new(Pfn(far + 3), Pfn(far + 10)));
    let (mut count, writer) = (Count::default(), Box::new(KdumpWriter::new(&with(None)).unwrap()));
    writer.prepare(&toy.meta, &toy.ram, &toy.ram, &mut count).unwrap();
    let bitmap = (far / 8 / 4096 + 1) * 4096;
    let zero_page = 0x10000 + 2 * bitmap + 7 * 24;
    assert_eq!(count.offsets, [0, 4096, 0x10000 + far / 8, 0x10000 + bitmap + far / 8, zero_page]);
    assert!(count.bytes < 4 * 4096, "{}", count.bytes);
}
