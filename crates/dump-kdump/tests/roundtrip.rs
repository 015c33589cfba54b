//! What the writer writes, the source reads: every shape, page size and codec; again from packed pages; split and
//! joined.

#![allow(clippy::unwrap_used)] // helpers are tests too

mod common;

use common::*;
use dump_core::*;
use dump_kdump::{KdumpFile, KdumpSet, Options};
use proptest::prelude::*;

/// What a page holds, or why nothing.
type Page = std::result::Result<Vec<u8>, Absence>;

/// All pages of a source as `visit` gives them, in runs of `step`; checks that spans cover each run exactly.
fn contents(source: &dyn PageSource, end: u64, step: u64, accept: CodecSet) -> Vec<Page> {
    let mut out: Vec<Page> = Vec::new();
    let size = source.meta().page_size.bytes();
    let mut scratch = Scratch::default();
    let mut at = Pfn(0);
    while at < Pfn(end) {
        let run = PfnRange::new(at, (at + step).min(Pfn(end)));
        source
            .visit(run, accept, &mut scratch, &mut |span| {
                assert_eq!(span.pages.start, at, "spans follow each other");
                assert!(!span.pages.is_empty());
                for i in 0..span.pages.len() as usize {
                    out.push(match span.content {
                        Content::Bytes(bytes) => Ok(bytes[i * size..(i + 1) * size].to_vec()),
                        Content::Zero => Ok(vec![0; size]),
                        Content::Packed { codec, bytes } => {
                            assert!(accept.contains(codec));
                            let mut page = vec![0; size];
                            dump_kdump::codec::create(codec).unwrap().unpack(bytes, &mut page).unwrap();
                            Ok(page)
                        }
                        Content::Absent(why) => Err(why),
                    });
                }
                at = span.pages.end;
                Ok(())
            })
            .unwrap();
        assert_eq!(at, run.end, "spans cover the run");
    }
    out
}

fn expected(toy: &Toy) -> Vec<Page> {
    let page = |pfn| match (toy.ram.get(pfn), toy.dumpable.get(pfn)) {
        (_, true) => Ok(toy.page(pfn)),
        (true, false) => Err(Absence::Excluded),
        (false, false) => Err(Absence::Hole),
    };
    (0..toy.meta.end_pfn.0).map(|pfn| page(Pfn(pfn))).collect()
}

fn check_meta(toy: &Toy, source: &dyn PageSource, level: u32) {
    let (meta, from) = (source.meta(), &toy.meta);
    let mut machine = from.machine;
    if machine.elf_machine == 0 {
        machine.elf_machine = meta.machine.elf_machine;
    }
    assert_eq!(meta.machine, machine);
    assert_eq!((meta.page_size, meta.end_pfn, meta.cpus), (from.page_size, from.end_pfn, from.cpus));
    assert_eq!((&meta.notes, meta.vmcoreinfo_text()), (&from.notes, Some(OSRELEASE)));
    assert_eq!((meta.crash_time, meta.phys_base, meta.dump_level), (from.crash_time, from.phys_base, level));
    assert_eq!(meta.utsname.release(), "6.1.0-toy");
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
                    let toy = Toy::new(shape, size, end, 5);
                    let options = Options { codec, dump_level, ..Options::default() };
                    let file = KdumpFile::open(toy.write(&options, 37).0.parts.remove(0)).unwrap();
                    check_meta(&toy, &file, dump_level);
                    assert!(contents(&file, end, 77, CodecSet::NONE) == expected(&toy), "{shape:?} {size} {codec:?}");
                    assert!(!file.meta().incomplete);
                }
            }
        }
    }
}

#[test]
fn visits_of_any_length_agree() {
    let toy = Toy::new(SHAPES[0], 4096, 3000, 5);
    for codec in codecs() {
        let options = Options { codec, dump_level: 1, ..Options::default() };
        let file = KdumpFile::open(toy.write(&options, 100).0.parts.remove(0)).unwrap();
        let all = expected(&toy);
        for step in [1, 64, 1000, 5000] {
            assert!(contents(&file, 3000, step, CodecSet::NONE) == all, "{codec:?} {step}");
        }
        let mut accept = CodecSet::NONE;
        codec.into_iter().for_each(|codec| accept = accept.with(codec));
        assert!(contents(&file, 3000, 100, accept) == all, "{codec:?} packed");
    }
}

#[test]
fn past_the_end_are_holes() {
    let toy = Toy::new(SHAPES[0], 4096, 100, 5);
    let file = KdumpFile::open(toy.write(&Options::default(), 100).0.parts.remove(0)).unwrap();
    let past = contents(&file, 300, 300, CodecSet::NONE).split_off(100);
    assert!(past.iter().all(|page| *page == Err(Absence::Hole)));
    let far = PfnRange::new(Pfn(u64::MAX - 5), Pfn(u64::MAX));
    let mut seen = 0;
    let mut push = |span: Span<'_>| {
        seen += span.pages.len();
        Ok(())
    };
    file.visit(far, CodecSet::NONE, &mut Scratch::default(), &mut push).unwrap();
    assert_eq!(seen, 5);
}

/// Converts a dump with its own codec accepted: no page is packed anew, and the file is the same.
#[test]
fn copied_packed_it_is_the_same_file() {
    for codec in codecs().into_iter().flatten() {
        for (from_level, to_level) in [(0, 0), (1, 1), (0, 1)] {
            let toy = Toy::new(SHAPES[0], 4096, 500, 5);
            let options = Options { codec: Some(codec), dump_level: from_level, ..Options::default() };
            let first = toy.write(&options, 100).0.parts.remove(0);
            let file = KdumpFile::open(first).unwrap();
            let options = Options { dump_level: to_level, ..options };
            let packed = std::cell::Cell::new(0);
            let again = toy.write_with(&options, 64, Ending::Complete, &|pfn, push| {
                file.visit(PfnRange::at(pfn, 1), codec.into(), &mut Scratch::default(), &mut |span| {
                    packed.set(packed.get() + u64::from(matches!(span.content, Content::Packed { .. })));
                    push(span);
                    Ok(())
                })
                .unwrap();
            });
            let direct = toy.write(&options, 64).0.parts;
            assert!(again.0.parts == direct, "{codec:?} {from_level} {to_level}");
            assert!(packed.get() > 150, "{codec:?} {}", packed.get());
        }
    }
}

#[test]
fn shared_zero_pages_are_known_unread() {
    let toy = Toy::new(SHAPES[0], 4096, 500, 5);
    let options = Options { dump_level: 1, ..Options::default() };
    let file = KdumpFile::open(toy.write(&options, 100).0.parts.remove(0)).unwrap();
    let mut zeros = 0;
    let mut push = |span: Span<'_>| {
        zeros += if matches!(span.content, Content::Zero) { span.pages.len() } else { 0 };
        Ok(())
    };
    file.visit(PfnRange::new(Pfn(0), Pfn(500)), CodecSet::NONE, &mut Scratch::default(), &mut push).unwrap();
    assert_eq!(zeros, (0..500).filter(|pfn| pfn % 4 == 0 && toy.dumpable.get(Pfn(*pfn))).count() as u64);
}

#[test]
fn parts_make_a_whole() {
    for shape in [SHAPES[0], SHAPES[1], SHAPES[3]] {
        for codec in codecs() {
            for dump_level in [0, 1] {
                let toy = Toy::new(shape, 4096, 3000, 5);
                let options = Options { codec, dump_level, parts: toy.split(4, 256) };
                let (files, writer) = toy.write(&options, 100);
                let ranges = writer.part_ranges();
                let mut parts: Vec<_> = files.parts.into_iter().map(|part| KdumpFile::open(part).unwrap()).collect();
                for (part, range) in parts.iter().zip(&ranges) {
                    assert_eq!(part.split_range(), Some(*range));
                    let alone = contents(part, 3000, 500, CodecSet::NONE);
                    for (pfn, (page, whole)) in alone.iter().zip(expected(&toy)).enumerate() {
                        let inside = range.contains(Pfn(pfn as u64));
                        assert!(if inside { *page == whole } else { page.is_err() }, "{pfn:#x}");
                    }
                }
                parts.rotate_left(1);
                let set = KdumpSet::new(parts).unwrap();
                assert!(contents(&set, 3000, 700, CodecSet::NONE) == expected(&toy));
                check_meta(&toy, &set, dump_level);
            }
        }
    }
}

#[test]
fn parts_that_do_not_belong_together() {
    let toy = Toy::new(SHAPES[0], 4096, 3000, 5);
    let options = Options { parts: toy.split(3, 256), ..Options::default() };
    let open = |toy: &Toy, options: &Options, which: &[usize]| {
        let files = toy.write(options, 100).0.parts;
        let files: Vec<_> = which.iter().map(|i| KdumpFile::open(files[*i].clone()).unwrap()).collect();
        files
    };
    let set = |parts| KdumpSet::new(parts).map(drop).map_err(|e| e.to_string());
    assert_eq!(set(open(&toy, &options, &[2, 0, 1])), Ok(()));
    for which in [&[0, 1][..], &[1, 2], &[0, 2], &[0, 1, 1, 2], &[0, 1, 2, 2], &[]] {
        assert!(set(open(&toy, &options, which)).is_err(), "{which:?}");
    }
    let whole = Options { parts: Vec::new(), ..options.clone() };
    assert!(set(open(&toy, &whole, &[0])).unwrap_err().contains("not all"));
    let mut other = Toy::new(SHAPES[0], 4096, 3000, 5);
    other.meta.crash_time += 1;
    let mut fewer = Toy::new(SHAPES[0], 4096, 3000, 5);
    fewer.dumpable.clear(PfnRange::new(Pfn(2999), Pfn(3000)));
    for stranger in [other, fewer] {
        let mut parts = open(&toy, &options, &[0, 1]);
        parts.extend(open(&stranger, &options, &[2]));
        assert!(set(parts).unwrap_err().contains("differ"));
    }
}

#[test]
fn erase_info_is_kept() {
    let mut toy = Toy::new(SHAPES[0], 4096, 3000, 5);
    let erase_info = b"erase a size 4\nerase b nullify\n".to_vec();
    toy.meta.erase_info = erase_info.clone();
    let options = Options { parts: toy.split(2, 256), ..Options::default() };
    let parts = toy.write(&options, 100).0.parts;
    let parts: Vec<_> = parts.into_iter().map(|part| KdumpFile::open(part).unwrap()).collect();
    assert_eq!(parts[0].meta().erase_info, erase_info);
    assert_eq!(KdumpSet::new(parts).unwrap().meta().erase_info, erase_info);
}

#[test]
fn an_incomplete_dump_says_which_pages_are_lost() {
    let toy = Toy::new(SHAPES[0], 4096, 500, 5);
    let (files, _) = toy.write_with(&Options::default(), 64, Ending::Complete, &|pfn, push| {
        let pages = PfnRange::at(pfn, 1);
        match pfn.0 {
            200.. => push(Span { pages, content: Content::Absent(Absence::Lost) }),
            _ => push(Span { pages, content: Content::Bytes(&toy.page(pfn)) }),
        }
    });
    let file = KdumpFile::open(files.parts.into_iter().next().unwrap()).unwrap();
    assert!(file.meta().incomplete);
    let mut all = expected(&toy);
    for page in all.iter_mut().skip(200).filter(|page| page.is_ok()) {
        *page = Err(Absence::Lost);
    }
    assert!(contents(&file, 500, 100, CodecSet::NONE) == all);
}

#[test]
fn threads_share_one_file() {
    let toy = Toy::new(SHAPES[0], 4096, 2000, 5);
    let options = Options { codec: codecs().pop().unwrap(), dump_level: 1, ..Options::default() };
    let file = KdumpFile::open(toy.write(&options, 100).0.parts.remove(0)).unwrap();
    let all = expected(&toy);
    std::thread::scope(|scope| {
        for step in [50, 70, 90, 110] {
            let (file, all) = (&file, &all);
            scope.spawn(move || assert!(contents(file, 2000, step, CodecSet::NONE) == *all));
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
        let mut toy = Toy::new(shape, 4096, end, 1_000_000);
        toy.ram.set(PfnRange::new(Pfn(0), Pfn(end)));
        holes.iter().for_each(|(at, len)| _ = toy.ram.clear(PfnRange::at(Pfn(*at), *len)));
        toy.dumpable = toy.ram.clone();
        excluded.iter().for_each(|(at, len)| _ = toy.dumpable.clear(PfnRange::at(Pfn(*at), *len)));
        let options = Options { codec, dump_level, parts: if parts > 1 { toy.split(parts, split_block) } else { Vec::new() } };
        let (files, writer) = toy.write(&options, block);
        let lens: Vec<u64> = files.parts.iter().map(|file| file.len() as u64).collect();
        prop_assert_eq!(lens, (0..parts).map(|part| writer.written_len(part)).collect::<Vec<_>>());
        let mut files: Vec<_> = files.parts.into_iter().map(|part| KdumpFile::open(part).unwrap()).collect();
        let source: Box<dyn PageSource> = match parts {
            1 => Box::new(files.remove(0)),
            _ => Box::new(KdumpSet::new(files).unwrap()),
        };
        check_meta(&toy, source.as_ref(), dump_level);
        prop_assert!(contents(source.as_ref(), end, step, CodecSet::NONE) == expected(&toy));
    }
}
