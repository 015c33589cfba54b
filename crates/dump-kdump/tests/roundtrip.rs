//! What the writer writes, the source reads: every shape, page size and codec; again from compressed pages; split and
//! joined.

#![allow(clippy::unwrap_used)] // helpers are tests too

mod toy;

use dump_core::*;
use dump_kdump::codec::Codec;
use dump_kdump::{KdumpFile, KdumpSet};
use dump_kit::{Page, check_source, contents};
use proptest::prelude::*;
use toy::*;

fn open(file: Vec<u8>) -> KdumpFile<Vec<u8>> {
    KdumpFile::open(file).unwrap()
}

/// The dump in one file.
fn write_one(toy: &Toy, codec: Option<CodecId>, block: u64) -> KdumpFile<Vec<u8>> {
    open(toy.write(&with(codec), block).remove(0))
}

fn expected(toy: &Toy) -> Vec<Page> {
    let page = |pfn| match (toy.ram.get(pfn), toy.dumpable.get(pfn)) {
        (_, true) => Ok(toy.page(pfn)),
        (true, false) => Err(Absence::Excluded),
        (false, false) => Err(Absence::Hole),
    };
    (0..toy.meta.end_pfn.0).map(|pfn| page(Pfn(pfn))).collect()
}

fn check_meta(toy: &Toy, source: &dyn PageSource) {
    let (meta, from) = (source.meta(), &toy.meta);
    let elf_machine = from.machine.elf_machine.or(meta.machine.elf_machine);
    assert_eq!(meta.machine, Machine { elf_machine, ..from.machine });
    assert_eq!((meta.page_size, meta.end_pfn, meta.cpus()), (from.page_size, from.end_pfn, from.cpus()));
    assert_eq!((meta.stated_cpus, meta.release().as_deref()), (Some(2), Some("6.1.0-toy")));
    assert_eq!((&meta.notes, meta.vmcoreinfo()), (&from.notes, Some(OSRELEASE)));
    assert_eq!((meta.crash_time, meta.phys_base, meta.dump_level), (from.crash_time, from.phys_base, from.dump_level));
    let mut bits = PageBitmap::new(from.end_pfn).unwrap();
    source.mark_ram(&mut bits).unwrap();
    assert!(bits == toy.ram);
    let mut bits = PageBitmap::new(from.end_pfn).unwrap();
    source.mark_held(&mut bits).unwrap();
    assert!(bits == toy.dumpable);
}

#[test]
fn everything_comes_back() {
    for shape in SHAPES {
        for size in SIZES {
            for codec in codecs() {
                for dump_level in [0, 31] {
                    let end = if size == 4096 { 300 } else { 400 * 1024 / size };
                    let toy = Toy::new(shape, size, end, 5).at_level(dump_level);
                    let file = write_one(&toy, codec, 37);
                    check_meta(&toy, &file);
                    let pages = check_source(&file, Pfn(end), &[77]);
                    assert!(pages == expected(&toy), "{shape:?} {size} {codec:?}");
                    assert!(!file.meta().incomplete);
                    assert_eq!(file.describe().codec, codec);
                }
            }
        }
    }
}

/// What a dump does not state comes back as not stated, but for phys_base, for which the header has no such value.
#[test]
fn what_is_not_known_stays_unknown() {
    let mut toy = Toy::new(SHAPES[5], 4096, 100, 5);
    (toy.meta.crash_time, toy.meta.phys_base) = (None, None);
    (toy.meta.notes, toy.meta.stated_cpus) = (Notes::empty(ByteOrder::Big), Some(5));
    let meta = write_one(&toy, None, 64).meta().clone();
    assert_eq!((meta.crash_time, meta.phys_base, meta.utsname), (None, Some(0), None));
    assert_eq!((meta.machine.elf_machine, meta.cpus()), (None, 5));
}

/// All pages below `end`, taken compressed where the codec is in `accept`.
fn decompressed(source: &dyn PageSource, end: u64, accept: CodecSet) -> Vec<Page> {
    let mut pages = vec![Err(Absence::Lost); end as usize];
    let size = source.meta().page_size.bytes();
    let mut push = |span: Span<'_>| {
        for (i, pfn) in (span.pages.start.0..span.pages.end.0).enumerate() {
            pages[pfn as usize] = match span.content {
                Content::Bytes(bytes) => Ok(bytes[i * size..(i + 1) * size].to_vec()),
                Content::Zero => Ok(vec![0; size]),
                Content::Compressed { codec, bytes } => {
                    assert!(accept.contains(codec));
                    let mut page = vec![0; size];
                    let mut codec = Codec::of(codec).unwrap().creator().unwrap()();
                    codec.decompress(bytes, &mut page).unwrap();
                    Ok(page)
                }
                Content::Absent(why) => Err(why),
            };
        }
        Ok(())
    };
    source.reader().visit(PfnRange::new(Pfn(0), Pfn(end)), accept, &mut push).unwrap();
    pages
}

#[test]
fn visits_of_any_length_agree() {
    let toy = Toy::new(SHAPES[0], 4096, 3000, 5);
    for codec in codecs() {
        let file = write_one(&toy, codec, 100);
        let all = expected(&toy);
        assert!(check_source(&file, Pfn(3000), &[1, 64, 1000, 5000]) == all, "{codec:?}");
        let accept = codec.map_or(CodecSet::NONE, CodecSet::from);
        assert!(decompressed(&file, 3000, accept) == all, "{codec:?} compressed");
    }
}

#[test]
fn past_the_end_are_holes() {
    let file = write_one(&Toy::new(SHAPES[0], 4096, 100, 5), None, 100);
    let past = contents(&file, Pfn(300), 300).split_off(100);
    assert!(past.iter().all(|page| *page == Err(Absence::Hole)));
}

/// Counts the spans of a reader.
struct Counting<'a> {
    reader: Box<dyn PageReader + 'a>,
    compressed: u64,
    zeros: u64,
}

impl PageReader for Counting<'_> {
    fn visit(&mut self, run: PfnRange, accept: CodecSet, push: Push<'_>) -> Result<()> {
        self.reader.visit(run, accept, &mut |span| {
            self.compressed += u64::from(matches!(span.content, Content::Compressed { .. }));
            self.zeros += if matches!(span.content, Content::Zero) { span.pages.len() } else { 0 };
            push(span)
        })
    }
}

/// Converts a dump with its own codec accepted: no page is compressed anew, and the file is the same.
#[test]
fn copied_compressed_it_is_the_same_file() {
    for codec in codecs().into_iter().flatten() {
        for (from_level, to_level) in [(0, 0), (1, 1), (0, 1)] {
            let file = write_one(&Toy::new(SHAPES[0], 4096, 500, 5).at_level(from_level), Some(codec), 100);
            let toy = Toy::new(SHAPES[0], 4096, 500, 5).at_level(to_level);
            let mut pages = Counting { reader: file.reader(), compressed: 0, zeros: 0 };
            let again = toy.write_of(&with(Some(codec)), 64, &mut pages);
            assert!(files(&again) == toy.write(&with(Some(codec)), 64), "{codec:?} {from_level} {to_level}");
            assert!(pages.compressed > 150, "{codec:?} {}", pages.compressed);
        }
    }
}

#[test]
fn shared_zero_pages_are_known_unread() {
    let toy = Toy::new(SHAPES[0], 4096, 500, 5);
    let file = write_one(&toy, None, 100);
    let mut pages = Counting { reader: file.reader(), compressed: 0, zeros: 0 };
    pages.visit(PfnRange::new(Pfn(0), Pfn(500)), CodecSet::NONE, &mut |_| Ok(())).unwrap();
    assert_eq!(pages.zeros, (0..500).filter(|pfn| pfn % 4 == 0 && toy.dumpable.get(Pfn(*pfn))).count() as u64);
}

#[test]
fn parts_make_a_whole() {
    for shape in [SHAPES[0], SHAPES[1], SHAPES[3]] {
        for codec in codecs() {
            for dump_level in [0, 1] {
                let toy = Toy::new(shape, 4096, 3000, 5).at_level(dump_level);
                let ranges = toy.split(4, 256);
                let options = WriteOptions { codec, parts: ranges.clone() };
                let mut parts: Vec<_> = toy.write(&options, 100).into_iter().map(open).collect();
                for (part, range) in parts.iter().zip(&ranges) {
                    assert_eq!((part.split_range(), part.describe().part), (Some(*range), Some(*range)));
                    let alone = contents(part, Pfn(3000), 500);
                    for (pfn, (page, whole)) in alone.iter().zip(expected(&toy)).enumerate() {
                        let inside = range.contains(Pfn(pfn as u64));
                        assert!(if inside { *page == whole } else { page.is_err() }, "{pfn:#x}");
                    }
                }
                parts.rotate_left(1);
                let set = KdumpSet::new(parts).unwrap();
                assert!(check_source(&set, Pfn(3000), &[700]) == expected(&toy));
                check_meta(&toy, &set);
                assert_eq!((set.describe().codec, set.describe().part), (codec, None));
            }
        }
    }
}

#[test]
fn parts_that_do_not_belong_together() {
    let toy = Toy::new(SHAPES[0], 4096, 3000, 5);
    let options = WriteOptions { parts: toy.split(3, 256), ..WriteOptions::default() };
    let read = |toy: &Toy, options: &WriteOptions, which: &[usize]| -> Vec<_> {
        let files = toy.write(options, 100);
        which.iter().map(|i| open(files[*i].clone())).collect()
    };
    let set = |parts| KdumpSet::new(parts).map(drop).map_err(|e| e.to_string());
    assert_eq!(set(read(&toy, &options, &[2, 0, 1])), Ok(()));
    for which in [&[0, 1][..], &[1, 2], &[0, 2], &[0, 1, 1, 2], &[0, 1, 2, 2], &[]] {
        assert!(set(read(&toy, &options, which)).is_err(), "{which:?}");
    }
    assert!(set(read(&toy, &WriteOptions::default(), &[0])).unwrap_err().contains("not all"));
    let mut other = Toy::new(SHAPES[0], 4096, 3000, 5);
    other.meta.crash_time = Some(1_700_000_001);
    let mut fewer = Toy::new(SHAPES[0], 4096, 3000, 5);
    fewer.dumpable.clear(PfnRange::new(Pfn(2999), Pfn(3000)));
    for stranger in [other, fewer] {
        let mut parts = read(&toy, &options, &[0, 1]);
        parts.extend(read(&stranger, &options, &[2]));
        assert!(set(parts).unwrap_err().contains("differ"));
    }
}

#[test]
fn erase_info_is_kept() {
    let mut toy = Toy::new(SHAPES[0], 4096, 3000, 5);
    let erase_info = b"erase a size 4\nerase b nullify\n".to_vec();
    toy.meta.erase_info = erase_info.clone();
    let options = WriteOptions { parts: toy.split(2, 256), ..WriteOptions::default() };
    let parts: Vec<_> = toy.write(&options, 100).into_iter().map(open).collect();
    assert_eq!(parts[0].meta().erase_info, erase_info);
    assert_eq!(KdumpSet::new(parts).unwrap().meta().erase_info, erase_info);
}

#[test]
fn an_incomplete_dump_says_which_pages_are_lost() {
    let toy = Toy::new(SHAPES[0], 4096, 500, 5);
    let outputs = toy.write_but(&with(None), 64, |pfn| (pfn.0 >= 200).then_some(Err(Absence::Lost)));
    let file = open(outputs.bytes(0));
    assert!(file.meta().incomplete);
    let mut all = expected(&toy);
    for page in all.iter_mut().skip(200).filter(|page| page.is_ok()) {
        *page = Err(Absence::Lost);
    }
    assert!(contents(&file, Pfn(500), 100) == all);
}

#[test]
fn threads_share_one_file() {
    let toy = Toy::new(SHAPES[0], 4096, 2000, 5);
    let file = write_one(&toy, codecs().pop().unwrap(), 100);
    let all = expected(&toy);
    std::thread::scope(|scope| {
        for step in [50, 70, 90, 110] {
            let (file, all) = (&file, &all);
            scope.spawn(move || assert!(contents(file, Pfn(2000), step) == *all));
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn any_memory(
        shape in prop::sample::select(SHAPES.to_vec()),
        end in 1u64..1500,
        holes in prop::collection::vec((0u64..1500, 0u64..200), 0..6),
        excluded in prop::collection::vec((0u64..1500, 0u64..100), 0..20),
        codec in prop::sample::select(codecs()),
        dump_level in 0u32..2,
        parts in 1usize..5,
        split_block in prop::sample::select(vec![1u64, 64, 100, 500, 5000]),
        block in 1u64..300,
        step in 1u64..700,
    ) {
        let mut toy = Toy::new(shape, 4096, end, 1_000_000).at_level(dump_level);
        toy.ram.set(PfnRange::new(Pfn(0), Pfn(end)));
        holes.iter().for_each(|(at, len)| _ = toy.ram.clear(PfnRange::at(Pfn(*at), *len)));
        toy.dumpable = toy.ram.clone();
        excluded.iter().for_each(|(at, len)| _ = toy.dumpable.clear(PfnRange::at(Pfn(*at), *len)));
        let ranges = if parts > 1 { toy.split(parts, split_block) } else { Vec::new() };
        let options = WriteOptions { codec, parts: ranges };
        let mut files: Vec<_> = toy.write(&options, block).into_iter().map(open).collect();
        let source: Box<dyn PageSource> = match parts {
            1 => Box::new(files.remove(0)),
            _ => Box::new(KdumpSet::new(files).unwrap()),
        };
        check_meta(&toy, source.as_ref());
        prop_assert!(check_source(source.as_ref(), Pfn(end), &[step]) == expected(&toy));
    }
}
