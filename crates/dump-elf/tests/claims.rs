//! Headers that claim more than the file has, or the same memory twice.

// Lints know functions marked #[test] as tests, not what they call.
#![allow(clippy::unwrap_used)]

use dump_core::{Claim, Container, ErrorKind, PageSource, Pfn};
use dump_elf::ElfCore;
use dump_kit::page_at;
use dump_synth::elf::{ElfCore as Core, Load};
use dump_synth::{Endian, Notes};
use std::time::{Duration, Instant};

const DIRECT: u64 = 0xffff_8880_0000_0000;
const TEXT: u64 = 0xffff_ffff_8000_0000;

fn filled(byte: u8, pages: usize) -> Vec<u8> {
    vec![byte; pages << 12]
}

fn open(core: &Core) -> ElfCore<Vec<u8>> {
    ElfCore::open(core.to_bytes()).unwrap()
}

fn texts(faults: &[dump_core::Error]) -> Vec<String> {
    faults.iter().map(ToString::to_string).collect()
}

/// A core of virtual addresses has every p_paddr 0. Its pages would lie over one another, one of them readable.
#[test]
fn cores_without_physical_addresses_are_refused() {
    let load = |i: u8| Load::new(0, TEXT + (u64::from(i) << 16), filled(i, 1));
    let all = (1..5).fold(Core::x86_64(), |core, i| core.load(load(i)));
    let e = ElfCore::open(all.to_bytes()).err().unwrap();
    assert_eq!(e.kind(), ErrorKind::Unsupported);
    assert!(e.to_string().starts_with("4 PT_LOADs, all at p_paddr 0 and with different content"), "{e}");
    // one segment at 0 is RAM; two with the same bytes are that RAM and the kernel text in it (ppc64)
    let source = open(&Core::x86_64().load(load(1)).load(Load::new(0, DIRECT, filled(1, 1))));
    assert_eq!(page_at(&source, Pfn(0)), Ok(filled(1, 1)));
}

#[test]
fn different_content_for_the_same_memory_is_said_and_the_first_wins() {
    let ram = || Load::new(0x10_0000, DIRECT + 0x10_0000, filled(7, 16));
    let source = open(&Core::x86_64().load(ram()).load(Load::new(0x10_8000, DIRECT + 0x10_8000, filled(9, 16))));
    let says = "PT_LOADs at offsets 0x9000 and 0x11000 both claim memory 0x108000..0x110000 and differ, the first is \
                believed";
    assert_eq!(texts(source.header_faults()), [says]);
    assert_eq!(texts(&source.check_headers()), [says]);
    assert_eq!([0x108, 0x10f, 0x110].map(|pfn| page_at(&source, Pfn(pfn)).unwrap()[0]), [7, 7, 9]);
    // the same bytes twice are nothing to speak of
    let source = open(&Core::x86_64().load(ram()).load(Load::new(0x10_8000, DIRECT, filled(7, 16))));
    assert!(source.header_faults().is_empty() && source.check_headers().is_empty());
}

/// kexec's text segment over the RAM that it lies in: not read until somebody asks, for it may be poisoned.
#[test]
fn kexecs_text_is_compared_when_the_core_is_checked() {
    let mut text = filled(7, 4);
    let ram = || Load::new(0x10_0000, DIRECT + 0x10_0000, filled(7, 16));
    let core = |text: &[u8]| open(&Core::x86_64().load(Load::new(0x10_4000, TEXT, text.to_vec())).load(ram()));
    assert!(core(&text).header_faults().is_empty() && core(&text).check_headers().is_empty());
    text[0x2345] = 8;
    assert!(core(&text).header_faults().is_empty());
    let found = texts(&core(&text).check_headers());
    assert!(found.len() == 1 && found[0].contains("both claim memory 0x104000..0x108000 and differ"), "{found:?}");
}

#[test]
fn more_bytes_in_the_file_than_in_memory_is_said() {
    let source = open(&Core::x86_64().load(Load::new(0x10_0000, 0, filled(7, 2)).memsz(0x1000)));
    assert_eq!(
        texts(source.header_faults()),
        ["p_filesz exceeds p_memsz in 1 PT_LOADs, the first is program header 0"]
    );
    assert_eq!(page_at(&source, Pfn(0x101)), Ok(filled(7, 1)));
}

#[test]
fn what_headers_claim_is_counted_without_reading() {
    let core = Core::x86_64().load(Load::new(0x1000, 0, filled(7, 2))).load(Load::new(0x10_0000, 0, filled(8, 5)));
    let whole = core.to_bytes();
    assert_eq!(open(&core).claim(), Claim { held: 7, missing: 0 });
    let cut = ElfCore::open(whole[..whole.len() - 0x3800].to_vec()).unwrap();
    assert_eq!(cut.claim(), Claim { held: 7, missing: 3 });
}

/// Found with 2.6 MB that took 258 MB: many PT_NOTEs over the same bytes.
#[test]
fn notes_over_one_another_are_held_once() {
    let note = || Notes::new(Endian::Little).note("CORE", 4, &[3; 40_000]).into_bytes();
    let core = (0..100).fold(Core::x86_64(), |core, _| core.note(note()));
    let core = core.load(Load::new(0x1000, 0, filled(7, 1)));
    assert_eq!(open(&core).meta().notes.iter().count(), 100);
    let mut bytes = core.to_bytes();
    for i in 0..100 {
        let header = 64 + 56 * i;
        bytes[header + 8..header + 16].copy_from_slice(&0x2000u64.to_le_bytes());
        bytes[header + 32..header + 40].copy_from_slice(&2_000_000u64.to_le_bytes());
    }
    let source = ElfCore::open(bytes.clone()).unwrap();
    assert!(source.meta().notes.as_bytes().len() <= bytes.len());
    let found = texts(source.header_faults());
    assert!(found.len() == 1 && found[0].contains("places after them are left out"), "{found:?}");
}

/// 65,533 PT_LOADs in each other, and as many over one another.
#[test]
fn loads_in_each_other_cost_what_their_number_does() {
    let nested = |i: u64| {
        Load { data: vec![1; 16], ..Load::new((65_600 - i) << 12, DIRECT, Vec::new()) }
            .memsz((2 * i + 1) << 12)
            .placed(1, 0)
    };
    let over = |i: u64| Load::new(i * 0x800, DIRECT, vec![2; 16]).memsz(0x1000_0000 - i * 0x800).placed(1, 0);
    for make in [&nested as &dyn Fn(u64) -> Load, &over] {
        let core = (0..65_533).fold(Core::x86_64(), |core, i| core.load(make(i)));
        let bytes = core.to_bytes();
        let begun = Instant::now();
        let source = ElfCore::open(bytes).unwrap();
        let mut ram = dump_core::PageBitmap::new(source.meta().end_pfn).unwrap();
        source.mark_ram(&mut ram).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert_eq!(source.meta().segments.len(), 65_533);
    }
}
