//! A key of vmcoreinfo that says something else than the kernel is found out, where anything tells: by the struct pages
//! of the kernel's own text, by what else has the number, by what cannot be.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, dead_code, reason = "tests")]

#[path = "../../dump-kernel/tests/common/mod.rs"]
mod common;

use common::{Memory, builder, kernel, kernel_with, machines};
use dump_core::{
    ByteOrder, Machine as DumpMachine, NoWatch, PageBitmap, PageSize, Pfn, PfnRange, PhysAddr, Segment, VirtAddr,
    WordSize,
};
use dump_filter::{Doubt, DumpLevel, Exclusion, Tally, exclude};
use dump_kernel::{Footprint, Kernel, PhysMemory, PhysReader, Sources, Vmcoreinfo};
use dump_synth::{Era, FakeKernel, Leaf, Machine, MemModel, RootSymbol, StructPages};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

fn fakes() -> impl Iterator<Item = (Era, FakeKernel)> {
    let model = MemModel::SparseExtreme(RootSymbol::Array, StructPages::Vmemmap(Leaf::K4));
    Era::ALL.iter().map(move |era| (*era, builder(*era, &Machine::X86_64, model).build()))
}

/// The text with another value of a key; `None` where it has no such key.
fn with(fake: &FakeKernel, key: &str, value: &str) -> Option<String> {
    let start = format!("{key}=");
    let text = fake.vmcoreinfo();
    text.lines().any(|line| line.starts_with(&start)).then(|| {
        text.lines()
            .map(|line| if line.starts_with(&start) { format!("{start}{value}\n") } else { format!("{line}\n") })
            .collect()
    })
}

/// What the kernel's text says of `kernel`'s keys.
fn asked(fake: &FakeKernel, kernel: &Kernel) -> dump_core::Result<()> {
    let memory = Memory(fake.memory());
    let (rules, map) = (kernel.page_rules(&memory)?, kernel.mem_map(&memory, Pfn(fake.max_pfn()))?);
    kernel.ask_text(&memory, &map, &rules)
}

#[test]
fn the_text_of_sound_kernels_says_nothing() {
    for (era, fake) in fakes() {
        asked(&fake, &kernel(&fake, &Machine::X86_64)).unwrap_or_else(|e| panic!("{era}: {e}"));
    }
    for machine in machines() {
        let fake = builder(Era::V6_12, machine, MemModel::Flat).build();
        asked(&fake, &kernel(&fake, machine)).unwrap_or_else(|e| panic!("{}: {e}", machine.name));
    }
}

/// Fake memory in which some struct pages are a byte, repeated.
struct Holed<'a>(Memory<'a>, Vec<Range<u64>>, u8);

struct HoledReader<'a>(Box<dyn PhysReader + 'a>, &'a Holed<'a>);

impl PhysMemory for Holed<'_> {
    fn reader(&self) -> Box<dyn PhysReader + '_> {
        Box::new(HoledReader(self.0.reader(), self))
    }
}

impl PhysReader for HoledReader<'_> {
    fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> dump_core::Result<()> {
        self.0.read(at, buf)?;
        for (at, byte) in (at.0..).zip(buf) {
            if self.1.1.iter().any(|hole| hole.contains(&at)) {
                *byte = self.1.2;
            }
        }
        Ok(())
    }
}

/// As a dump has them that was cut off and is read as a sparse file; as a kernel has those that it did not write yet.
#[test]
fn struct_pages_of_text_that_are_not_there_say_nothing() {
    let fake = fakes().last().unwrap().1;
    let text = fake.image().start / 4096..fake.image().start / 4096 + 256;
    let size = 64;
    let holes = text.map(|pfn| fake.struct_page(pfn).unwrap().1).map(|at| at..at + size).collect();
    let holes: Vec<_> = holes;
    for byte in [0, 0xff] {
        let (kernel, memory) = (kernel(&fake, &Machine::X86_64), Holed(Memory(fake.memory()), holes.clone(), byte));
        let (rules, map) = (kernel.page_rules(&memory).unwrap(), kernel.mem_map(&memory, Pfn(fake.max_pfn())).unwrap());
        assert_eq!(rules.struct_page_size() as u64, size);
        kernel.ask_text(&memory, &map, &rules).unwrap();
    }
}

/// All flags are set in them, that of broken memory too.
#[test]
fn pages_whose_struct_pages_were_never_written_stay() {
    for (era, fake) in fakes().step_by(4) {
        let all = || fake.ram().iter().cloned().flatten();
        let size = fake.vmcoreinfo().lines().find_map(|line| line.strip_prefix("SIZE(page)=")).unwrap().parse::<u64>();
        let size = size.unwrap();
        let mut places: Vec<u64> = all().filter_map(|pfn| Some(fake.struct_page(pfn)?.1)).collect();
        places.sort_unstable();
        let runs =
            places.chunk_by(|at, next| at + size == *next).map(|run| run[0]..run[run.len() - 1] + size).collect();
        let memory = Holed(Memory(fake.memory()), runs, 0xff);
        for level in [0, 31] {
            let (kept, tally) = filtered_in(&memory, &fake, fake.vmcoreinfo(), None, level);
            assert!(all().all(|pfn| kept.contains(&pfn)), "{era} at {level}");
            assert!(tally.total_doubtful() != 0, "{era} at {level}");
        }
    }
}

#[test]
fn the_text_contradicts_wrong_keys() {
    let mut found = 0;
    for (era, fake) in fakes() {
        let text = fake.vmcoreinfo();
        let number =
            |key: &str| text.lines().find_map(|line| line.strip_prefix(&format!("{key}="))?.parse::<i64>().ok());
        for (key, off) in [
            ("SIZE(page)", 8),
            ("SIZE(page)", -8),
            ("SIZE(page)", 64),
            ("OFFSET(page._mapcount)", 8),
            ("OFFSET(page._mapcount)", -16),
            ("OFFSET(page._refcount)", -4),
            ("OFFSET(page.mapping)", -8),
        ] {
            let Some(lie) = number(key).and_then(|right| with(&fake, key, &(right + off).to_string())) else {
                continue;
            };
            match kernel_with(&fake, &Machine::X86_64, &lie).and_then(|kernel| asked(&fake, &kernel)) {
                Err(e) => {
                    let e = e.to_string();
                    assert!(e.contains("OFFSET(page") || e.contains("SIZE(page)"), "{era}: {key} {off:+}: {e}");
                    found += 1;
                }
                // those of the text would lie where nothing is mapped
                Ok(()) => assert_eq!(key, "SIZE(page)", "{era}: {key} {off:+}"),
            }
        }
    }
    assert!(found > 40, "{found}");
}

/// What stays at a level by a text of vmcoreinfo, beside which there is the right one.
fn filtered(fake: &FakeKernel, text: &str, right: Option<&str>, level: u32) -> (BTreeSet<u64>, Tally) {
    filtered_in(&Memory(fake.memory()), fake, text, right, level)
}

fn filtered_in(
    memory: &dyn PhysMemory,
    fake: &FakeKernel,
    text: &str,
    right: Option<&str>,
    level: u32,
) -> (BTreeSet<u64>, Tally) {
    let end = Pfn(fake.max_pfn());
    let right = right.map(|text| Box::new(Vmcoreinfo::parse(text.as_bytes())) as Box<_>);
    let sources = Arc::new(Sources::new(right, None));
    let info = Vmcoreinfo::parse(text.as_bytes());
    let machine = DumpMachine { elf_machine: Some(62), order: ByteOrder::Little, word: WordSize::Bits64 };
    let segment = Segment { paddr: PhysAddr(fake.image().start), vaddr: VirtAddr(fake.image_virt()), bytes: 1 };
    let kernel = Kernel::with_sources(info, sources, machine, PageSize::K4, &[segment]).unwrap();
    let (rules, map) = (kernel.page_rules(memory).unwrap(), kernel.mem_map(memory, end).unwrap());
    let footprint = Footprint::find(&kernel, memory, &map, end);
    let mut bits = PageBitmap::windowed(PfnRange::new(Pfn(0), end)).unwrap();
    fake.ram().iter().for_each(|run| bits.set(PfnRange::new(Pfn(run.start), Pfn(run.end))));
    let level = DumpLevel::new(level).unwrap();
    let job = Exclusion { kernel: &kernel, memory, map: &map, rules: &rules, footprint: &footprint, level };
    let tally = exclude(&job, &mut bits, &[], &NoWatch).unwrap().tally;
    (bits.runs(bits.span()).flat_map(|run| run.start.0..run.end.0).collect(), tally)
}

/// PG_uptodate in the place of PG_hwpoison; the type of slab or of free pages in that of offline pages.
#[test]
fn what_goes_at_every_level_is_proven() {
    let mut tried = 0;
    for (era, fake) in fakes() {
        let text = fake.vmcoreinfo();
        let (right, _) = filtered(&fake, text, None, 0);
        let (same, tally) = filtered(&fake, text, Some(text), 0);
        assert!(same == right && tally.total_doubtful() == 0, "{era}: what agrees is believed");
        let other = |key: &str| text.lines().find_map(|line| line.strip_prefix(&format!("{key}=")));
        for (key, value, doubt) in [
            ("NUMBER(PG_hwpoison)", Some("2"), Doubt::Hwpoison),
            ("NUMBER(PG_hwpoison)", Some("3"), Doubt::Hwpoison),
            ("NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)", other("NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)"), Doubt::Offline),
        ] {
            let Some(lie) = value.and_then(|value| with(&fake, key, value)) else { continue };
            let lie = if doubt == Doubt::Offline { lie.replace("NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)", "x") } else { lie };
            let (alone, _) = filtered(&fake, &lie, None, 0);
            let (kept, tally) = filtered(&fake, &lie, Some(text), 0);
            if doubt == Doubt::Offline || !alone.is_superset(&right) {
                tried += 1;
                assert!(kept.is_superset(&right), "{era}: {key}={value:?}");
                assert!(tally.doubtful(doubt).pages != 0, "{era}: {key}={value:?}");
                assert!(doubt.why().contains(key));
            }
        }
    }
    assert!(tried > 5, "{tried}");
}

/// The type of slab, hugetlb or free pages in the place of one whose pages go at every level, or none that ever was,
/// and nothing but vmcoreinfo has a number.
#[test]
fn a_type_that_no_linux_had_is_doubted_where_nothing_else_tells() {
    let (mut kept_more, mut tried) = (0, 0);
    for (era, fake) in fakes() {
        let text = fake.vmcoreinfo();
        let (right, _) = filtered(&fake, text, None, 0);
        let number = |key: &str| text.lines().find_map(|line| line.strip_prefix(&format!("NUMBER({key})=")));
        for (key, doubt) in
            [("PAGE_OFFLINE_MAPCOUNT_VALUE", Doubt::Offline), ("PAGE_UNACCEPTED_MAPCOUNT_VALUE", Doubt::Unaccepted)]
        {
            for other in ["PAGE_SLAB_MAPCOUNT_VALUE", "PAGE_HUGETLB_MAPCOUNT_VALUE", "PAGE_BUDDY_MAPCOUNT_VALUE"] {
                let Some(lie) = number(other).and_then(|value| with(&fake, &format!("NUMBER({key})"), value)) else {
                    continue;
                };
                let (kept, tally) = filtered(&fake, &lie.replace(other, "x"), None, 0);
                tried += 1;
                kept_more += u64::from(tally.doubtful(doubt).pages != 0);
                assert!(kept.is_superset(&right), "{era}: {key} as {other}");
                assert!(doubt.why().contains(key) && doubt.class().len() > 10);
            }
        }
    }
    assert!(tried > 20 && kept_more > 20, "{tried}, {kept_more}");
}
