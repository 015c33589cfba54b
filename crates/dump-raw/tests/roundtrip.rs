//! Images made by hand are read as the memory they hold; what the writers write, the sources read.

// Lints know functions marked #[test] as tests, not what they call.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use dump_core::*;
use dump_raw::{AvmlSource, LimeSource, LimeWriter, RawSource, RawWriter};
use proptest::prelude::*;
use std::ops::Range;

fn sizes() -> [PageSize; 2] {
    [4096, 65536].map(|bytes| PageSize::from_bytes(bytes).unwrap())
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
            let source = RawSource::new(bytes(base..base + len), PhysAddr(base), size).unwrap();
            check_source(&source, std::slice::from_ref(&(base..base + len)), &[1, 7, 1000]);
        }
    }
}

#[test]
fn lime_ranges_in_any_order() {
    for size in sizes() {
        let source = LimeSource::open(lime(&ranges()), size).unwrap();
        assert!(source.damage().is_none());
        check_source(&source, &ranges(), &[1, 16, 5000]);
    }
}

#[test]
fn avml_ranges_in_any_order() {
    for size in sizes() {
        let source = AvmlSource::open(avml(&ranges()), size).unwrap();
        assert!(source.damage().is_none());
        check_source(&source, &ranges(), &[1, 16, 64, 5000]);
    }
}

/// Ranges of several MiB, so that there are many extents of 16 chunks; later pages before earlier ones.
#[test]
fn avml_ranges_of_many_chunks() {
    let range = 0x1000..0x58_0800u64;
    let image = avml(std::slice::from_ref(&range));
    let source = AvmlSource::open(image, PageSize::K4).unwrap();
    let end = source.meta().end_pfn.0;
    let want = expected(std::slice::from_ref(&range), PageSize::K4, end);
    std::thread::scope(|scope| {
        for thread in 0..3u64 {
            let (source, want) = (&source, &want);
            scope.spawn(move || {
                let mut scratch = Scratch::default();
                for i in (0..end).rev().step_by(7) {
                    let start = (i * (2 * thread + 1)) % end;
                    let run = PfnRange::new(Pfn(start), Pfn(end.min(start + 1 + thread * 20)));
                    let mut page = vec![0; 4096 * run.len() as usize];
                    let absent = read_pages(source, run, &mut scratch, &mut page).unwrap();
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
    check_source(&source, std::slice::from_ref(&range), &[64, 300]);
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
    let all = contents(source, source.meta().end_pfn.0, 1000);
    let page = |(pfn, page): (usize, Page)| if kept.get(Pfn(pfn as u64)) { page } else { otherwise.clone() };
    all.into_iter().enumerate().map(page).collect()
}

#[test]
fn what_the_raw_writer_writes() {
    for size in sizes() {
        let source = LimeSource::open(lime(&ranges()), size).unwrap();
        for (gap, block) in [(2, 64), (5, 3), (100, 7), (1000, 1)] {
            let kept = kept(&source, gap);
            let file = write(&mut RawWriter::new(), &source, &kept, block, usize::MAX, Ending::Complete);
            assert_eq!(file.bytes.len() as u64, size.bytes_of(source.meta().end_pfn.0));
            let back = RawSource::new(file.bytes, PhysAddr(0), size).unwrap();
            let want = expected_kept(&source, &kept, &Ok(vec![0; size.bytes()]));
            assert!(contents(&back, source.meta().end_pfn.0, 77) == want, "{size:?} {gap} {block}");
        }
    }
}

#[test]
fn what_the_lime_writer_writes() {
    for size in sizes() {
        let source = LimeSource::open(lime(&ranges()), size).unwrap();
        let end = source.meta().end_pfn.0;
        let mut files = Vec::new();
        for (gap, block) in [(2, 64), (2, 1), (5, 3), (5, 100), (100, 7), (1000, 2)] {
            let kept = kept(&source, gap);
            let file = write(&mut LimeWriter::new(), &source, &kept, block, usize::MAX, Ending::Complete);
            assert!(!file.seeked, "it can go to a pipe");
            let back = LimeSource::open(file.bytes.clone(), size).unwrap();
            assert!(back.damage().is_none());
            assert!(contents(&back, end, 77) == expected_kept(&source, &kept, &Err(Absence::Hole)), "{size:?} {gap}");
            // A range for each run: nothing that was left out is in the file, and nothing is cut needlessly.
            let runs = kept.runs(kept.span()).count() as u64;
            assert_eq!(file.bytes.len() as u64, 32 * runs + size.bytes_of(kept.count(kept.span())));
            files.push(file.bytes);
        }
        assert!(files[0] == files[1] && files[2] == files[3], "blocks leave no trace");
    }
}

/// As many headers as there were ranges begun, and the last one ends with the last page.
#[test]
fn a_lime_image_that_stopped_early() {
    let source = LimeSource::open(lime(&ranges()), PageSize::K4).unwrap();
    let kept = kept(&source, 100);
    let pages: Vec<u64> = (0..source.meta().end_pfn.0).filter(|pfn| kept.get(Pfn(*pfn))).collect();
    for blocks in 1..60 {
        let file = write(&mut LimeWriter::new(), &source, &kept, 10, blocks, Ending::Incomplete);
        let back = LimeSource::open(file.bytes, PageSize::K4).unwrap();
        assert!(back.damage().is_none());
        let mut held = PageBitmap::new(source.meta().end_pfn).unwrap();
        back.mark_held(&mut held).unwrap();
        let came = &pages[..pages.len().min(10 * blocks)];
        assert!(pages.iter().all(|pfn| held.get(Pfn(*pfn)) == came.contains(pfn)), "{blocks}");
    }
    let file = write(&mut LimeWriter::new(), &source, &kept, 10, 0, Ending::Incomplete);
    assert!(file.bytes.is_empty());
}

/// Pages that cannot be read are zeros in a raw image, and in LiME's as well.
#[test]
fn unreadable_pages_are_zeros() {
    let mut image = bytes(0..0x8000);
    image.truncate(0x5800);
    let source = RawSource::new(Cut(image, 0x8000), PhysAddr(0), PageSize::K4).unwrap();
    let kept = kept(&source, 1000);
    let mut want = bytes(0..0x8000);
    want[0x5000..].fill(0);
    want[..0x1000].fill(0); // page 0 is left out
    let raw = write(&mut RawWriter::new(), &source, &kept, 64, 9, Ending::Incomplete);
    assert!(raw.bytes == want);
    let lime = write(&mut LimeWriter::new(), &source, &kept, 64, 9, Ending::Incomplete);
    assert!(lime.bytes[32..] == want[0x1000..]);
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

#[test]
fn pages_out_of_turn_are_refused() {
    let source = RawSource::new(bytes(0..0x8000), PhysAddr(0), PageSize::K4).unwrap();
    let mut kept = kept(&source, 1000);
    kept.clear(PfnRange::at(Pfn(4), 1));
    let block = |start, pages| {
        let mut block = EncodedBlock::default();
        block.store(PfnRange::at(Pfn(start), pages), None, &vec![1; 4096 * pages as usize]);
        block
    };
    let mut writer = LimeWriter::new();
    let mut file = File { hand: vec![1; 0x8000], ..File::default() };
    assert!(writer.place(&block(1, 1), &mut file).is_err(), "not prepared");
    writer.prepare(source.meta(), &kept, &kept, &mut file).unwrap();
    for (start, pages, ok) in [(2, 1, false), (0, 1, false), (1, 2, true), (1, 1, false), (3, 2, false), (5, 1, true)] {
        assert_eq!(writer.place(&block(start, pages), &mut file).is_ok(), ok, "{pages} pages at {start}");
    }
    assert!(writer.finish(Ending::Complete, &mut file).is_err(), "pages are missing");
    let mut writer = RawWriter::new();
    assert!(writer.finish(Ending::Complete, &mut file).is_err(), "not prepared");
    writer.prepare(source.meta(), &kept, &kept, &mut file).unwrap();
    for (start, pages, ok) in [(2, 2, true), (3, 1, false), (7, 1, true), (8, 1, false)] {
        assert_eq!(writer.place(&block(start, pages), &mut file).is_ok(), ok, "{pages} pages at {start}");
    }
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
        check_source(&LimeSource::open(lime(&ranges), size).unwrap(), &ranges, &[step]);
        check_source(&AvmlSource::open(avml(&ranges), size).unwrap(), &ranges, &[step]);
    }
}
