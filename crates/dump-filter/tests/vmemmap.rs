//! Which page frames of the vmemmap go, on fake kernels of every era, word size and byte order. What is right follows
//! from where dump-synth says that it put the struct pages.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, dead_code, reason = "tests")]

#[path = "../../dump-kernel/tests/common/mod.rs"]
mod common;

use common::{Memory, builder, every_era_and_machine, kernel};
use dump_core::{ErrorKind, PageBitmap, Pfn, PfnRange, Result};
use dump_filter::UnusedStructPages;
use dump_kernel::{Footprint, Holes};
use dump_synth::{Era, FakeKernel, KernelBuilder, Leaf, Machine, MemModel, RootSymbol, StructPages};
use std::collections::{BTreeMap, BTreeSet};

const CHUNK: u64 = PageBitmap::CHUNK_PAGES;
const SMALL: MemModel = MemModel::SparseExtreme(RootSymbol::PointerValue, StructPages::Vmemmap(Leaf::K4));

fn bits(pages: impl Iterator<Item = u64>, end: u64) -> PageBitmap {
    let mut bits = PageBitmap::new(Pfn(end)).unwrap();
    pages.for_each(|pfn| bits.set(PfnRange::at(Pfn(pfn), 1)));
    bits
}

/// What goes at `level`, found `step` page frames at a time.
fn found(fake: &FakeKernel, machine: &Machine, level: u32, step: u64) -> Result<BTreeSet<u64>> {
    let (kernel, memory, end) = (kernel(fake, machine), Memory(fake.memory()), fake.max_pfn());
    let map = kernel.mem_map(&memory, Pfn(end)).unwrap();
    let footprint = Footprint::find(&kernel, &memory, &map, Pfn(end));
    let mut unused = UnusedStructPages::new(kernel.vmemmap(&memory, &map)?, &memory, Pfn(end))?;
    let ram = bits(fake.ram().iter().cloned().flatten(), end);
    let dumpable = bits(fake.expected(level).kept.iter().copied(), end);
    for start in (0..end).step_by(step as usize) {
        unused.add(PfnRange::new(Pfn(start), Pfn(end.min(start + step))), &ram, &dumpable)?;
    }
    let unused = unused.finish(&footprint);
    Ok(unused.runs(unused.span()).flat_map(|run| run.start.0..run.end.0).collect())
}

/// What must go: page frames that are full of struct pages, wherever they are mapped, of RAM that does not stay.
fn wanted(fake: &FakeKernel, machine: &Machine, level: u32) -> BTreeSet<u64> {
    let (page, stays) = (machine.page_size, fake.expected(level).kept);
    let ram: BTreeSet<u64> = fake.ram().iter().cloned().flatten().collect();
    // by page of the vmemmap: its page frame, and how many struct pages of pages that go are in it
    let mut pages = BTreeMap::<u64, (u64, u64)>::new();
    let all = (0..fake.max_pfn()).filter_map(|pfn| Some((pfn, fake.struct_page(pfn)?)));
    for (pfn, (virt, phys)) in all {
        let goes = ram.contains(&pfn) && !stays.contains(&pfn);
        pages.entry(virt / page).or_insert((phys / page, 0)).1 += u64::from(goes);
    }
    let size = fake.struct_page(1).unwrap().0 - fake.struct_page(0).unwrap().0;
    let is_full = |count: u64| count == page / size;
    let used: BTreeSet<u64> = pages.values().filter(|(_, count)| !is_full(*count)).map(|(frame, _)| *frame).collect();
    pages.values().map(|(frame, _)| *frame).filter(|frame| !used.contains(frame)).collect()
}

fn check(fake: &FakeKernel, what: &str) -> BTreeSet<u64> {
    let want = wanted(fake, &Machine::X86_64, 31);
    for step in [u64::MAX >> 1, CHUNK] {
        let found = found(fake, &Machine::X86_64, 31, step).unwrap();
        let differ: Vec<_> = found.symmetric_difference(&want).take(4).collect();
        assert!(differ.is_empty(), "{what}: pfns {differ:x?}");
    }
    want
}

/// A kernel of several chunks with runs of pages that fill pages of the vmemmap and some that do not quite.
fn wide(era: Era, model: MemModel) -> KernelBuilder {
    KernelBuilder::new(era).model(model).recipe(
        "ram     0..0x1f000
         hole    0x300..0x400
         anon    0x100..0x300
         anon    0x400..0x500
         cache   0x7f00..0x8100
         free    0x9000 order=10
         free    0x9400 order=10
         anon    0xa000..0xa040
         anon    0xb001..0xb17f
         thp     0x10000 order=14
         anon    0x1c000..0x1d000",
    )
}

#[test]
fn every_era_and_machine_with_a_vmemmap_and_no_other() {
    let mut with = 0;
    for (era, machine, model) in every_era_and_machine() {
        let fake = builder(era, machine, model).build();
        let what = format!("{era} {} {model:?}", machine.name);
        match found(&fake, machine, 31, CHUNK) {
            Ok(found) => {
                assert!(model.is_vmemmap(), "{what}");
                assert_eq!(found, wanted(&fake, machine, 31), "{what}");
                with += 1;
            }
            Err(e) => assert!(!model.is_vmemmap() && e.kind() == ErrorKind::Unsupported, "{what}: {e}"),
        }
    }
    assert!(with > 10);
}

/// makedumpfile 1.7.9 overlooks the single page of the vmemmap for 0xa000..0xa040, the last 2 MiB of the vmemmap (0x1c000
/// and up), and all of a vmemmap in pages of 4 KiB.
#[test]
fn pages_of_any_size_in_any_windows() {
    let huge = MemModel::SparseExtreme(RootSymbol::PointerValue, StructPages::Vmemmap(Leaf::M2));
    for model in [huge, SMALL, MemModel::Sparse(StructPages::Vmemmap(Leaf::M2))] {
        let fake = wide(Era::V6_1, model).build();
        let gone = check(&fake, &format!("{model:?}"));
        // 8 and 4 of anon, 8 of cache, 32 of free, 1 and 4 of anon, 256 of a huge page, 64 of anon
        assert_eq!(gone.len(), 8 + 4 + 8 + 32 + 1 + 4 + 256 + 64, "{model:?}");
        let frame = |pfn| fake.struct_page(pfn).unwrap().1 / 4096;
        assert!(gone.contains(&frame(0xa000)) && gone.contains(&frame(0x1c000)));
        // a hole's struct pages stay, and those of pages of which a neighbour stays
        assert!(!gone.contains(&frame(0x300)) && !gone.contains(&frame(0xb001)));
    }
    let moved = wide(Era::V6_12, huge).five_level().kaslr(0x3ee0_0000).sme_mask(1 << 47).build();
    assert!(!check(&moved, "5 levels, KASLR, SME").is_empty());
}

/// The vmemmap's tails of hugetlb pages share the page frame of the head's until 7.0, and one for all from 7.1 on.
#[test]
fn shared_page_frames() {
    for era in [Era::V6_12, Era::V7_1] {
        let recipe = "ram 0..0x2000\nhugetlb 0x400 order=9 hvo\nhugetlb 0x600 order=9 hvo\nkernel 0x800 order=9 hvo";
        let fake = KernelBuilder::new(era).model(SMALL).recipe(recipe).build();
        let gone = check(&fake, &era.to_string());
        let heads = [0x400, 0x600].map(|pfn| fake.struct_page(pfn).unwrap().1 / 4096);
        assert!(heads.iter().all(|frame| gone.contains(frame)), "{era}");
        let stays = fake.struct_page(0x900).unwrap().1 / 4096;
        assert!(!gone.contains(&stays), "{era}");
    }
}

/// Where the page-table entry for `virt` of an x86-64 kernel is, `level` levels up from the last.
fn entry(fake: &FakeKernel, virt: u64, level: u32) -> u64 {
    let mut table = fake.page_table_root();
    for up in (0..4).rev() {
        let at = table + (virt >> (12 + 9 * up) & 0x1ff) * 8;
        if up == level {
            return at;
        }
        table = word(fake, at) & 0x000f_ffff_ffff_f000;
    }
    unreachable!()
}

fn word(fake: &FakeKernel, at: u64) -> u64 {
    let mut word = [0; 8];
    assert!(fake.memory().read(at, &mut word));
    u64::from_le_bytes(word)
}

/// Maps the vmemmap's page at `virt` to page frame `frame`.
fn remap(fake: &mut FakeKernel, virt: u64, frame: u64) {
    let at = entry(fake, virt, 0);
    let flags = word(fake, at) & !0x000f_ffff_ffff_f000;
    fake.overwrite(at, &((frame * 4096) | flags).to_le_bytes());
}

#[test]
fn a_page_frame_that_is_used_anywhere_stays() {
    let recipe = "ram 0..0x2000\nanon 0x400..0x600\nkernel 0x800..0x840";
    let mut fake = KernelBuilder::new(Era::V6_12).model(SMALL).recipe(recipe).build();
    let gone = check(&fake, "as it was");
    assert_eq!(gone.len(), 8);
    let page = |pfn| fake.struct_page(pfn).unwrap();
    let (unused, used, table) = (page(0x440), page(0x800), entry(&fake, page(0x400).0, 0) / 4096);
    let (other, last, first) = (page(0x480), page(0x4c0), page(0));
    // struct pages that are in use lie where others do that are not: before them and behind them
    remap(&mut fake, used.0, unused.1 / 4096);
    remap(&mut fake, last.0, first.1 / 4096);
    // and a page table lies where struct pages seem to
    remap(&mut fake, other.0, table);
    let found = found(&fake, &Machine::X86_64, 31, CHUNK).unwrap();
    let stay: BTreeSet<u64> = [unused.1, other.1, last.1].map(|phys| phys / 4096).into();
    assert_eq!(found, gone.difference(&stay).copied().collect());
    assert!(!found.contains(&table));
}

#[test]
fn what_is_not_mapped_is_passed_over_within_reason() {
    let mut fake = wide(Era::V6_12, SMALL).build();
    let gone = check(&fake, "as it was");
    let at = |fake: &FakeKernel, pfn| fake.struct_page(pfn).unwrap();
    let (first, near) = (at(&fake, 0x9000), at(&fake, 0x9040));
    let pte = entry(&fake, first.0, 0);
    fake.overwrite(pte, &[0; 8]);
    let found_now = found(&fake, &Machine::X86_64, 31, CHUNK).unwrap();
    assert_eq!(gone.difference(&found_now).copied().collect::<Vec<_>>(), [first.1 / 4096]);
    assert!(found_now.contains(&(near.1 / 4096)));
    // 32 GiB of sections of which the struct pages of 128 MiB are mapped
    let mut large =
        KernelBuilder::new(Era::V6_12).recipe("ram 0..0x8000\nanon 0x400..0x600").repeated_to(1 << 23).build();
    let table = entry(&large, at(&large, 0).0, 1);
    let rest = (table + 8).next_multiple_of(4096) - (table + 8);
    large.overwrite(table + 8, &vec![0; rest as usize]);
    let (kernel, memory, end) = (kernel(&large, &Machine::X86_64), Memory(large.memory()), Pfn(large.max_pfn()));
    let map = kernel.mem_map(&memory, end).unwrap();
    let (vmemmap, all) = (kernel.vmemmap(&memory, &map).unwrap(), PfnRange::new(Pfn(0), end));
    let e = vmemmap.visit(&memory, all, &mut Holes::default(), &mut |_| {}).unwrap_err();
    assert!(e.kind() == ErrorKind::Corrupt && e.to_string().contains("hardly mapped"), "{e}");
}
