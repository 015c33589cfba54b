//! Cores of Xen guests, as `xl dump-core` writes them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test ends by it

use dump_core::{
    CodecSet, Container, ErrorKind, OpenOptions, PageBitmap, PageSize, PageSource, Pfn, PfnRange, Result, read_pages,
};
use dump_elf::FORMAT;
use dump_synth::{FakeMemory, XlCore, xl_core};

fn open(bytes: &[u8]) -> Result<Box<dyn Container>> {
    (FORMAT.open)(Box::new(bytes.to_vec()), &OpenOptions::default())
}

fn memory() -> FakeMemory {
    let mut memory = FakeMemory::new(&[0..3, 0x10..0x12, 0x10_0000..0x10_0005]);
    let pfns: Vec<u64> = memory.pfns().collect();
    pfns.iter().for_each(|pfn| memory.write(pfn * 4096, &[*pfn as u8 | 0x40; 4096]));
    memory
}

fn cores() -> [XlCore; 2] {
    [xl_core(&memory(), None), xl_core(&memory(), Some(&|pfn| 0x7000 - pfn % 0x100))]
}

fn held(core: &dyn Container) -> Vec<u64> {
    let mut bits = PageBitmap::new(core.meta().end_pfn).unwrap();
    core.mark_held(&mut bits).unwrap();
    bits.runs(bits.span()).flat_map(|run| run.start.0..run.end.0).collect()
}

#[test]
fn pages_of_both_kinds() {
    let memory = memory();
    for (core, producer) in cores().iter().zip(["Xen domain core", "Xen domain core, PV"]) {
        let core = open(&core.bytes).unwrap();
        assert_eq!((core.describe().format, core.describe().producer), ("elf", Some(producer)));
        assert_eq!((core.meta().page_size, core.meta().end_pfn), (PageSize::K4, Pfn(0x10_0005)));
        assert_eq!((core.meta().stated_cpus, core.meta().machine.elf_machine), (Some(2), Some(62)));
        assert!(core.damage().is_none() && core.header_faults().is_empty());
        assert!(held(core.as_ref()).into_iter().eq(memory.pfns()));
        for pfn in memory.pfns() {
            let mut page = [0; 4096];
            let run = PfnRange::at(Pfn(pfn), 1);
            assert_eq!(read_pages(core.reader().as_mut(), PageSize::K4, run, &mut page).unwrap(), None);
            assert_eq!(page[..], memory.page(pfn).unwrap(), "{pfn:#x}");
        }
        let mut absent = 0;
        let push = &mut |span: dump_core::Span<'_>| {
            absent += u64::from(matches!(span.content, dump_core::Content::Absent(_))) * span.pages.len();
            Ok(())
        };
        core.reader().visit(PfnRange::new(Pfn(3), Pfn(0x10)), CodecSet::NONE, push).unwrap();
        assert_eq!(absent, 13);
    }
}

/// A file that ends early is damaged or refused, and what is there is read.
#[test]
fn every_prefix() {
    for core in cores() {
        let whole = held(open(&core.bytes).unwrap().as_ref()).len();
        for len in (0..core.bytes.len()).step_by(61) {
            match open(&core.bytes[..len]) {
                Ok(cut) => {
                    assert!(cut.damage().is_some(), "{len}");
                    assert!(held(cut.as_ref()).len() <= whole);
                }
                Err(e) => {
                    assert!(matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::Truncated | ErrorKind::BadMagic), "{e}")
                }
            }
        }
    }
}

/// Numbers in headers say how much there is, and the file has what it has.
#[test]
fn fields_that_claim_anything() {
    for core in cores() {
        let fields =
            (core.sections..core.sections + 6 * 64).step_by(4).chain((core.table..core.bytes.len()).step_by(8));
        for at in fields {
            for value in [0, 1, 0x7fff_ffff, u32::MAX] {
                let mut bad = core.bytes.clone();
                let end = bad.len().min(at + 4);
                bad[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
                let Ok(opened) = open(&bad) else { continue };
                assert!(opened.meta().end_pfn.0 <= 1 << 40);
                let mut bits = PageBitmap::windowed(PfnRange::at(Pfn(0), 1 << 21)).unwrap();
                opened.mark_held(&mut bits).unwrap();
                assert!(bits.count(bits.span()) <= 10, "no more pages than the file has");
            }
        }
    }
}

#[test]
fn page_frames_out_of_order_are_said() {
    let mut core = xl_core(&memory(), None);
    core.bytes[core.table..core.table + 8].copy_from_slice(&9_u64.to_le_bytes());
    let opened = open(&core.bytes).unwrap();
    assert!(opened.doubts_pages());
    assert!(
        opened.header_faults()[0].to_string().contains("2 page frames come late or again"),
        "{:?}",
        opened.header_faults()
    );
}
