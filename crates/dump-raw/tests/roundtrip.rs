//! Images made by hand are read as the memory they hold; what the writers write, the sources read.

// Lints know functions marked #[test] as tests, not what they call.
#![allow(clippy::unwrap_used)]

mod images;

use dump_core::*;
use dump_kit::{Dump, Outputs, Page, Placement, contents};
use dump_raw::{AVML, LIME, LimeWriter, RAW, RawWriter, open_avml, open_lime, open_raw};
use images::*;
use proptest::prelude::*;
use std::ops::Range;

fn sizes() -> [PageSize; 2] {
    [4096, 65536].map(|bytes| PageSize::from_bytes(bytes).unwrap())
}

/// The same image as pages of `size`.
fn sized<C: Container>(size: PageSize, mut image: C) -> C {
    image.set_page_size(size);
    image
}

/// What a PC has: a hole below 1 MiB, ranges that end within a page, in the order of no one in particular.
#[allow(clippy::single_range_in_vec_init)]
fn ranges() -> Vec<Range<u64>> {
    vec![0x10_0000..0x24_3210, 0x1000..0x9_fc00, 0x24_3210..0x28_0000, 0x40_0000..0x44_0000, 0x30_0abc..0x30_0abd]
}

#[test]
fn a_raw_image_anywhere() {
    for size in sizes() {
        for (base, len) in [(0, 0x5_0000), (0x10_0000, 0x2_0000), (0x1234, 0x1_0001), (0xfff, 1)] {
            let source = sized(size, open_raw(bytes(base..base + len), PhysAddr(base)).unwrap());
            check_image(&source, std::slice::from_ref(&(base..base + len)), &[1, 7, 1000]);
        }
    }
}

#[test]
fn lime_ranges_in_any_order() {
    for size in sizes() {
        let source = sized(size, open_lime(lime(&ranges())).unwrap());
        check_image(&source, &ranges(), &[1, 16, 5000]);
    }
}

#[test]
fn avml_ranges_in_any_order() {
    for size in sizes() {
        let source = sized(size, open_avml(avml(&ranges())).unwrap());
        check_image(&source, &ranges(), &[1, 16, 64, 5000]);
    }
}

/// Ranges of several MiB, so that there are many extents of 16 chunks; later pages before earlier ones.
#[test]
fn avml_ranges_of_many_chunks() {
    let range = 0x1000..0x58_0800u64;
    let image = avml(std::slice::from_ref(&range));
    let source = open_avml(image).unwrap();
    let end = source.meta().end_pfn.0;
    let want = expected(std::slice::from_ref(&range), PageSize::K4, end);
    std::thread::scope(|scope| {
        for thread in 0..3u64 {
            let (source, want) = (&source, &want);
            scope.spawn(move || {
                let mut reader = source.reader();
                for i in (0..end).rev().step_by(7) {
                    let start = (i * (2 * thread + 1)) % end;
                    let run = PfnRange::new(Pfn(start), Pfn(end.min(start + 1 + thread * 20)));
                    let mut page = vec![0; 4096 * run.len() as usize];
                    let absent = read_pages(reader.as_mut(), PageSize::K4, run, &mut page).unwrap();
                    assert_eq!(absent, (start == 0).then_some(Absence::Hole));
                    let first = want[start as usize].clone().unwrap_or_else(|_| vec![0; 4096]);
                    assert!(
                        page[..4096] == first
                            && page[page.len() - 4096..] == want[run.end.0 as usize - 1].clone().unwrap_or(first)
                    );
                }
            });
        }
    });
    check_image(&source, std::slice::from_ref(&range), &[64, 300]);
}

/// Pages of the ranges, some of them left out: in turns, in runs, at the ends.
fn kept(source: &dyn PageSource, gap: u64) -> PageBitmap {
    let mut set = PageBitmap::new(source.meta().end_pfn).unwrap();
    source.mark_held(&mut set).unwrap();
    for pfn in (0..source.meta().end_pfn.0).step_by(gap as usize) {
        set.clear(PfnRange::at(Pfn(pfn), 1 + pfn % 3));
    }
    set
}

fn expected_kept(source: &dyn PageSource, kept: &PageBitmap, otherwise: &Page) -> Vec<Page> {
    let all = contents(source, source.meta().end_pfn, 1000);
    let page = |(pfn, page): (usize, Page)| if kept.get(Pfn(pfn as u64)) { page } else { otherwise.clone() };
    all.into_iter().enumerate().map(page).collect()
}

/// Writes the pages of `source` that are in `kept`, in blocks of `block` pages; stops after `blocks`.
fn write(
    writer: Box<dyn DumpWriter>,
    source: &dyn PageSource,
    kept: &PageBitmap,
    block: u64,
    blocks: usize,
    ending: Ending,
) -> Outputs {
    let dump = Dump { meta: source.meta(), ram: kept, dumpable: kept };
    let mut writing = dump.prepare(writer, Outputs::default()).unwrap();
    assert_eq!(writing.accepts(), CodecSet::NONE);
    let mut reader = source.reader();
    let _ = (0..blocks).take_while(|_| writing.place_next(block, reader.as_mut()).unwrap()).count();
    writing.finish(ending).unwrap();
    writing.outputs
}

/// Whether every placement follows the one before, as a pipe wants it.
fn is_in_order(placements: &[Placement]) -> bool {
    let mut reached = 0;
    placements.iter().all(|placement| {
        let (Placement::Data { offset, len, .. }
        | Placement::Index { offset, len, .. }
        | Placement::Zeros { offset, len, .. }) = *placement;
        std::mem::replace(&mut reached, offset + len) == offset
    })
}

#[test]
fn what_the_raw_writer_writes() {
    for size in sizes() {
        let source = sized(size, open_lime(lime(&ranges())).unwrap());
        for (gap, block) in [(2, 64), (5, 3), (100, 7), (1000, 1)] {
            let kept = kept(&source, gap);
            let bytes = write(Box::new(RawWriter), &source, &kept, block, usize::MAX, Ending::Complete).bytes(0);
            assert_eq!(bytes.len() as u64, size.bytes_of(source.meta().end_pfn.0));
            let back = sized(size, open_raw(bytes, PhysAddr(0)).unwrap());
            let want = expected_kept(&source, &kept, &Ok(vec![0; size.bytes()]));
            assert!(contents(&back, source.meta().end_pfn, 77) == want, "{size:?} {gap} {block}");
        }
    }
}

#[test]
fn what_the_lime_writer_writes() {
    for size in sizes() {
        let source = sized(size, open_lime(lime(&ranges())).unwrap());
        let end = source.meta().end_pfn;
        let mut files = Vec::new();
        for (gap, block) in [(2, 64), (2, 1), (5, 3), (5, 100), (100, 7), (1000, 2)] {
            let kept = kept(&source, gap);
            let outputs = write(Box::new(LimeWriter), &source, &kept, block, usize::MAX, Ending::Complete);
            assert!(is_in_order(&outputs.placements), "it can go to a pipe");
            let bytes = outputs.bytes(0);
            let back = sized(size, open_lime(bytes.clone()).unwrap());
            assert!(back.damage().is_none());
            assert!(contents(&back, end, 77) == expected_kept(&source, &kept, &Err(Absence::Hole)), "{size:?} {gap}");
            // A range for each run: nothing that was left out is in the file, and nothing is cut needlessly.
            let runs = kept.runs(kept.span()).count() as u64;
            assert_eq!(bytes.len() as u64, 32 * runs + size.bytes_of(kept.count(kept.span())));
            files.push(bytes);
        }
        assert!(files[0] == files[1] && files[2] == files[3], "blocks leave no trace");
    }
}

/// As many headers as there were ranges begun, and the last one ends with the last page.
#[test]
fn a_lime_image_that_stopped_early() {
    let source = open_lime(lime(&ranges())).unwrap();
    let kept = kept(&source, 100);
    let pages: Vec<u64> = (0..source.meta().end_pfn.0).filter(|pfn| kept.get(Pfn(*pfn))).collect();
    for blocks in 1..60 {
        let outputs = write(Box::new(LimeWriter), &source, &kept, 10, blocks, Ending::Incomplete);
        let back = open_lime(outputs.bytes(0)).unwrap();
        assert!(back.damage().is_none());
        let mut held = PageBitmap::new(source.meta().end_pfn).unwrap();
        back.mark_held(&mut held).unwrap();
        let came = &pages[..pages.len().min(10 * blocks)];
        assert!(pages.iter().all(|pfn| held.get(Pfn(*pfn)) == came.contains(pfn)), "{blocks}");
    }
    let outputs = write(Box::new(LimeWriter), &source, &kept, 10, 0, Ending::Incomplete);
    assert!(outputs.bytes(0).is_empty());
}

/// Pages that cannot be read are zeros in a raw image, and in LiME's as well.
#[test]
fn unreadable_pages_are_zeros() {
    let mut image = bytes(0..0x8000);
    image.truncate(0x5800);
    let source = open_raw(Cut(image, 0x8000), PhysAddr(0)).unwrap();
    let kept = kept(&source, 1000);
    let mut want = bytes(0..0x8000);
    want[0x5000..].fill(0);
    want[..0x1000].fill(0); // page 0 is left out
    let raw = write(Box::new(RawWriter), &source, &kept, 64, 9, Ending::Incomplete);
    assert!(raw.bytes(0) == want);
    let lime = write(Box::new(LimeWriter), &source, &kept, 64, 9, Ending::Incomplete);
    assert!(lime.bytes(0)[32..] == want[0x1000..]);
}

/// A file that says it is longer than what can be read of it.
struct Cut(Vec<u8>, u64);

impl ReadAt for Cut {
    fn len(&self) -> Result<u64> {
        Ok(self.1)
    }
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.0.read_exact_at(offset, buf)
    }
}

/// The driver promises pages that are to be dumped; of others a writer says that it cannot place them.
#[test]
fn pages_that_are_not_to_come_are_a_bug() {
    let source = open_raw(bytes(0..0x8000), PhysAddr(0)).unwrap();
    let mut kept = kept(&source, 1000);
    kept.clear(PfnRange::at(Pfn(4), 1));
    let writers: [Box<dyn DumpWriter>; 2] = [Box::new(LimeWriter), Box::new(RawWriter)];
    let blocks = [[(1, 2, true), (3, 2, false), (5, 1, true)], [(2, 2, true), (7, 1, true), (7, 2, false)]];
    for (writer, blocks) in writers.into_iter().zip(blocks) {
        let mut outputs = Outputs::default();
        let mut writer = writer.prepare(source.meta(), &kept, &kept, &mut outputs).unwrap();
        for (start, pages, ok) in blocks {
            let mut block = EncodedBlock::default();
            block.note(PfnRange::at(Pfn(start), pages), SpanData::Zero);
            let kind = writer.place(&block, &mut outputs).err().map(|e| e.kind());
            assert_eq!(kind, (!ok).then_some(ErrorKind::Bug), "{pages} pages at {start}");
        }
    }
}

#[test]
fn rows_of_the_table_of_formats() {
    let (none, based) =
        (OpenOptions::default(), OpenOptions { raw_maps: vec![MemoryMap::from_base(PhysAddr(0x3000))], live: false });
    let range = 0x3000..0x5000;
    let ranges = std::slice::from_ref(&range);
    for (format, image, options) in
        [(LIME, lime(ranges), &none), (AVML, avml(ranges), &none), (RAW, bytes(0x3000..0x5000), &based)]
    {
        assert!((format.probe)(&image[..PROBE_BYTES], options), "{}", format.name);
        let source = (format.open)(Box::new(image), options).unwrap();
        assert_eq!(source.describe(), Description::of(format.name));
        check_image(source.as_ref(), ranges, &[2]);
        assert!(!(format.probe)(b"\x7fELF", &none) && !(format.probe)(b"", &based));
        assert_eq!(format.open_parts.is_some(), format.name == "raw");
        assert!(format.incomplete_flag.is_none());
    }
    assert_eq!((RAW.open)(Box::new(vec![1]), &none).err().unwrap().kind(), ErrorKind::MissingInfo);
    // of another version, it is LiME still: the reader says which
    let later = header(b"EMiL", 2, 0, 9);
    assert!((LIME.probe)(&later, &none) && !(AVML.probe)(&later, &none));
    assert_eq!((LIME.open)(Box::new(later), &none).err().unwrap().kind(), ErrorKind::Unsupported);
}

#[test]
fn what_the_formats_writers_can_do() {
    let source = open_lime(lime(&ranges())).unwrap();
    let kept = kept(&source, 5);
    let other: [Box<dyn DumpWriter>; 2] = [Box::new(LimeWriter), Box::new(RawWriter)];
    let formats = [(LIME, Abilities::FORWARD, 2), (RAW, Abilities::SAYS_ZERO | Abilities::FORWARD, 1)];
    for ((format, abilities, bitmaps), other) in formats.into_iter().zip(other) {
        let output = format.output.unwrap();
        assert_eq!((output.abilities, output.bitmaps), (abilities, bitmaps), "{}", format.name);
        let writer = (output.create)(&WriteOptions::default()).unwrap();
        let [ours, others] =
            [writer, other].map(|writer| write(writer, &source, &kept, 9, usize::MAX, Ending::Complete).bytes(0));
        assert!(ours == others, "{}", format.name);
    }
    assert!(AVML.output.is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_ranges(
        cuts in prop::collection::btree_set(0u64..0x6_0000, 2..12),
        holes in any::<u16>(),
        wide in any::<bool>(),
        step in 1u64..40,
    ) {
        let cuts: Vec<u64> = cuts.into_iter().collect();
        let mut ranges: Vec<_> = cuts.windows(2).enumerate()
            .filter(|(i, _)| holes >> i & 1 == 0).map(|(_, w)| w[0]..w[1]).collect();
        prop_assume!(!ranges.is_empty());
        let middle = ranges.len() / 2;
        ranges.rotate_left(middle);
        let size = sizes()[usize::from(wide)];
        check_image(&sized(size, open_lime(lime(&ranges)).unwrap()), &ranges, &[step]);
        check_image(&sized(size, open_avml(avml(&ranges)).unwrap()), &ranges, &[step]);
    }
}
