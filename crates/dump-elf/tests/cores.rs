//! ELF cores of every make, as `dump-synth` writes them: it shares no layout with the reader.

// Lints know functions marked #[test] as tests, not what they call.
#![allow(clippy::unwrap_used)]

use dump_core::{
    Absence, ByteOrder, CodecSet, Container, Content, ErrorKind, Machine, NoteInfo, PageBitmap, PageSize, PageSource,
    Pfn, PfnRange, WordSize,
};
use dump_elf::ElfCore;
use dump_kit::{Page, check_source, page_at};
use dump_synth::elf::{ElfCore as Core, HeaderPlace, Load};
use dump_synth::{Endian, Notes, Width};

type Source = ElfCore<Vec<u8>>;

fn open(core: &Core) -> Source {
    ElfCore::open(core.to_bytes()).unwrap()
}

fn page(source: &Source, pfn: u64) -> Page {
    page_at(source, Pfn(pfn))
}

fn filled(byte: u8, len: usize) -> Vec<u8> {
    vec![byte; len]
}

fn pages(mark: impl Fn(&mut PageBitmap), end: u64) -> Vec<u64> {
    let mut bits = PageBitmap::new(Pfn(end)).unwrap();
    mark(&mut bits);
    (0..end).filter(|pfn| bits.get(Pfn(*pfn))).collect()
}

#[test]
fn classes_and_byte_orders_and_header_places() {
    // of either class: the word size is that of the kernel
    for (width, word) in [(Width::W32, WordSize::Bits32), (Width::W64, WordSize::Bits32)] {
        for (endian, order) in [(Endian::Little, ByteOrder::Little), (Endian::Big, ByteOrder::Big)] {
            for place in [HeaderPlace::AfterFileHeader, HeaderPlace::AfterSectionHeaders] {
                for xnum in [false, true] {
                    let mut core = Core::new(width, endian, 40);
                    core = core.note(Notes::new(endian).vmcoreinfo("PAGESIZE=4096\n").into_bytes());
                    core = core.load(Load::new(0x3000, 0, filled(7, 0x2000)));
                    (core.place, core.force_xnum, core.ehsize) = (place, xnum, Some(8));
                    let source = open(&core);
                    let meta = source.meta();
                    assert_eq!(meta.vmcoreinfo(), Some(&b"PAGESIZE=4096\n"[..]));
                    assert_eq!(meta.machine, Machine { elf_machine: Some(40), order, word });
                    assert_eq!((meta.phys_base, meta.crash_time, meta.utsname), (None, None, None));
                    assert_eq!(meta.end_pfn, Pfn(5));
                    let pages = check_source(&source, Pfn(8), &[1, 3]);
                    assert_eq!((&pages[3], &pages[2]), (&Ok(filled(7, 4096)), &Err(Absence::Hole)));
                }
            }
        }
    }
}

#[test]
fn the_first_of_overlapping_segments_wins_and_a_missing_tail_hides_nothing() {
    let core = Core::x86_64()
        .load(Load::new(0x2000, 0xffff_ffff_8000_0000, filled(1, 0x1000)).memsz(0x3000))
        .load(Load::new(0x1000, 0, filled(2, 0x3000)))
        .load(Load::new(0x8000, 0, Vec::new()).memsz(0x1000));
    let source = open(&core);
    let found = check_source(&source, Pfn(16), &[1, 2, 7]);
    assert_eq!([1, 2, 3].map(|pfn: usize| found[pfn].clone().unwrap()[0]), [2, 1, 2]);
    assert_eq!([&found[4], &found[8]], [&Err(Absence::Excluded); 2]);
    assert_eq!(pages(|bits| source.mark_ram(bits).unwrap(), 16), [1, 2, 3, 4, 8]);
    assert_eq!(pages(|bits| source.mark_held(bits).unwrap(), 16), [1, 2, 3]);
    assert_eq!(source.meta().segments.len(), 3);
}

#[test]
fn unaligned_segments_are_put_together_within_a_page() {
    let core = Core::x86_64()
        .load(Load::new(0x1800, 0, filled(1, 0x700)).placed(1, 3))
        .load(Load::new(0x2000, 0, filled(2, 0x1080)).placed(1, 0));
    let source = open(&core);
    check_source(&source, Pfn(8), &[1, 2, 3]);
    let first = page(&source, 1).unwrap();
    assert_eq!((first[0x7ff], first[0x800], first[0xeff], first[0xf00]), (0, 1, 1, 0));
    assert_eq!(page(&source, 2).unwrap(), filled(2, 4096));
    let last = page(&source, 3).unwrap();
    assert_eq!((last[0x7f], last[0x80]), (2, 0));
    assert_eq!(pages(|bits| source.mark_ram(bits).unwrap(), 8), [1, 2, 3]);
}

#[test]
fn reads_span_segments_that_are_apart_in_the_file() {
    let core = Core::x86_64()
        .load(Load::new(0x2000, 0, filled(2, 0x2000)))
        .load(Load::new(0, 0, filled(1, 0x2000)))
        .load(Load::new(0x4000, 0, filled(3, 0x1000)));
    let source = open(&core);
    let found = check_source(&source, Pfn(5), &[1, 2, 3, 4]);
    let firsts: Vec<u8> = found.into_iter().map(|page| page.unwrap()[0]).collect();
    assert_eq!(firsts, [1, 1, 2, 2, 3]);
}

#[test]
fn other_page_sizes() {
    let core = Core::x86_64().load(Load::new(0x1_8000, 0, filled(5, 0x2_0000)));
    let mut source = open(&core);
    assert!(!source.states_page_size());
    assert_eq!((source.meta().page_size, source.meta().end_pfn), (PageSize::K4, Pfn(0x38)));
    source.set_page_size(PageSize::from_bytes(0x1_0000).unwrap());
    assert_eq!(source.meta().end_pfn, Pfn(4));
    let found = check_source(&source, Pfn(6), &[1, 2]);
    let first = found[1].as_ref().unwrap();
    assert_eq!((first.len(), first[0x7fff], first[0x8000]), (0x1_0000, 0, 5));
}

/// Notes are kept byte for byte, with what follows the last of them, and those of several PT_NOTEs one after the other.
#[test]
fn notes_are_kept_byte_for_byte() {
    let one = Notes::new(Endian::Little).prstatus_x86_64(7, &[1; 27]).into_bytes();
    let mut two = Notes::new(Endian::Little).vmcoreinfo("OSRELEASE=1\n").into_bytes();
    two.extend([0; 64]);
    let core = Core::x86_64().note(one.clone()).note(two.clone()).load(Load::new(0, 0, filled(1, 4096)));
    let source = open(&core);
    assert_eq!(source.meta().notes.as_bytes(), [one, two].concat());
    assert_eq!((source.meta().cpus(), source.meta().vmcoreinfo()), (1, Some(&b"OSRELEASE=1\n"[..])));
}

/// Notes that others wrote, as people see them.
#[test]
fn known_and_unknown_notes() {
    let mut device = b"cxgb4_0000:02:00.4".to_vec();
    device.resize(60, 0);
    let notes = Notes::new(Endian::Big)
        .note("LINUX", 0x700, &device)
        .note("LINUX", 0x700, &[b'x'; 50])
        .note("LINUX", 0x700, b"short")
        .note("CORE", 1, &[0; 336])
        .note("CORE", 99, b"")
        .vmcoreinfo("OSRELEASE=1\n");
    let core = Core::new(Width::W64, Endian::Big, 22).note(notes.into_bytes()).load(Load::new(0, 0, filled(1, 4096)));
    let want = [
        ("LINUX", 0x700, 60, Some("NT_VMCOREDD"), Some("cxgb4_0000:02:00.4".to_owned())),
        ("LINUX", 0x700, 50, Some("NT_VMCOREDD"), Some("x".repeat(44))),
        ("LINUX", 0x700, 5, Some("NT_VMCOREDD"), Some("short".to_owned())),
        ("CORE", 1, 336, Some("NT_PRSTATUS"), None),
        ("CORE", 99, 0, None, None),
        ("VMCOREINFO", 0, 12, Some("VMCOREINFO"), None),
    ];
    let want = want.map(|(owner, kind, size, name, label)| NoteInfo { owner: owner.into(), kind, size, name, label });
    assert_eq!(open(&core).meta().notes.describe(), want);
}

fn small() -> Core {
    Core::x86_64()
        .note(Notes::new(Endian::Little).vmcoreinfo("OSRELEASE=1\nPAGESIZE=4096\n").into_bytes())
        .load(Load::new(0x1000, 0, filled(1, 0x2000)))
        .load(Load::new(0x8000, 0, filled(2, 0x1000)).memsz(0x3000))
}

/// Any prefix is an error, or a core with pages that cannot be read; it never hides that it is cut.
#[test]
fn every_prefix() {
    let whole = small().to_bytes();
    for len in 0..whole.len() {
        match ElfCore::open(whole[..len].to_vec()) {
            Err(e) => assert!(len < 0x400, "{len}: {e}"),
            Ok(source) => {
                let found = check_source(&source, Pfn(12), &[1, 5]);
                let unread = found.iter().filter(|page| **page == Err(Absence::Unreadable)).count();
                let damage = source.damage().map(|e| (e.kind(), e.to_string()));
                assert_eq!(unread > 0, damage.is_some(), "{len}");
                let Some((kind, text)) = damage else { continue };
                let says = format!("its memory ends at offset {:#x}, but the input ends at {len:#x}", whole.len());
                assert_eq!((kind, text), (ErrorKind::Truncated, says));
            }
        }
    }
}

/// Whatever the headers say: an error, or a source that can be read without harm.
#[test]
fn every_header_byte_flipped() {
    for (whole, headers) in [(small(), 64 + 3 * 56), (small().like_qemu(), 64 + 2 * 64 + 3 * 56)] {
        every_byte_flipped(&whole.to_bytes(), headers);
    }
}

fn every_byte_flipped(whole: &[u8], headers: usize) {
    for at in 0..headers {
        for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
            let mut bytes = whole.to_vec();
            bytes[at] = value;
            let Ok(source) = ElfCore::open(bytes) else { continue };
            source.meta().notes.describe();
            let end = source.meta().end_pfn;
            let Some(mut bits) = PageBitmap::new(end) else { continue };
            source.mark_ram(&mut bits).unwrap();
            assert!(bits.count(bits.span()) <= end.0);
            for pfn in [0, 1, 2, 8, 10, end.0 - 1] {
                let _ = page(&source, pfn);
            }
        }
    }
}

#[test]
fn lengths_out_of_thin_air_size_nothing() {
    let set = |at: usize, value: u64, width: usize| {
        let mut bytes = small().to_bytes();
        bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        ElfCore::open(bytes).err().map(|e| (e.kind(), e.to_string()))
    };
    let (phoff, first) = (32, 64 + 56);
    for (at, value, width, kind, says) in [
        (phoff, u64::MAX - 8, 8, ErrorKind::Truncated, "program header table"),
        (phoff, 1 << 40, 8, ErrorKind::Truncated, "program header table"),
        (54, 8, 2, ErrorKind::Corrupt, "e_phentsize"),
        (56, 0xffff, 2, ErrorKind::Corrupt, "section header 0"),
        (56, 1, 2, ErrorKind::Corrupt, "no PT_LOAD"),
        (16, 2, 2, ErrorKind::BadMagic, "an ELF executable"),
        (first + 24, u64::MAX - 1, 8, ErrorKind::Corrupt, "p_paddr"),
        (first + 8, u64::MAX - 1, 8, ErrorKind::Corrupt, "p_offset"),
        (first + 40, u64::MAX, 8, ErrorKind::Corrupt, "p_paddr"),
    ] {
        let (found, text) = set(at, value, width).unwrap_or_else(|| panic!("{says}: accepted"));
        assert!(found == kind && text.contains(says), "{says}: {found:?} {text}");
    }
    // a note longer than the file is cut to it, a segment longer than the file is read as far as it goes
    assert_eq!(set(64 + 32, 1 << 40, 8), None);
    assert_eq!(set(first + 32, 1 << 30, 8), None);
    assert_eq!(set(first + 32, 1 << 40, 8), None);
}

/// Found by fuzzing: the end of the last page there can be does not fit 64 bits.
#[test]
fn memory_up_to_the_last_address() {
    let start = u64::MAX - 0x17ff;
    let core = Core::x86_64().load(Load::new(start, 0, vec![5; 0x1000]));
    let source = open(&core);
    let mut bytes = 0;
    let run = PfnRange::new(Pfn((1 << 52) - 3), Pfn(1 << 52));
    let mut push = |span: dump_core::Span<'_>| {
        bytes += match span.content {
            Content::Bytes(page) => page.iter().filter(|byte| **byte == 5).count(),
            _ => 0,
        };
        Ok(())
    };
    source.reader().visit(run, CodecSet::NONE, &mut push).unwrap();
    assert_eq!(bytes, 0x1000);
}
