//! What a dump level leaves out of fake kernels of every era, word size and byte order, in one window and in many. What
//! is right is dump-synth's word.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, dead_code, reason = "tests")]

#[path = "../../dump-kernel/tests/common/mod.rs"]
mod common;

use common::{Memory, builder, every_era_and_machine, kernel, machines};
use dump_core::{NoWatch, PageBitmap, Pfn, PfnRange};
use dump_filter::{DumpLevel, Exclusion, Reason, Rest, Tally, exclude};
use dump_kernel::{BuddyMark, Footprint, Kernel, MemMap, PageRules};
use dump_synth::{Counts, Era, FakeKernel, FreeLists, Machine, MemModel};
use std::collections::BTreeSet;

/// A fake kernel with all that a scan of it needs.
struct Subject<'a> {
    fake: &'a FakeKernel,
    kernel: Kernel,
    map: MemMap,
    rules: PageRules,
}

impl<'a> Subject<'a> {
    fn new(fake: &'a FakeKernel, machine: &Machine) -> Subject<'a> {
        let kernel = kernel(fake, machine);
        let map = kernel.mem_map(&Memory(fake.memory()), Pfn(fake.max_pfn())).unwrap();
        let rules = kernel.page_rules(&Memory(fake.memory())).unwrap();
        Subject { fake, kernel, map, rules }
    }

    /// What stays and what is counted at `level`, `window` pages at a time.
    fn exclude(&self, level: u32, window: u64) -> (BTreeSet<u64>, Tally) {
        let memory = Memory(self.fake.memory());
        let level = DumpLevel::new(level).unwrap();
        let (kernel, map, rules, footprint) = (&self.kernel, &self.map, &self.rules, &Footprint::default());
        let job = Exclusion { kernel, memory: &memory, map, rules, footprint, level };
        let (mut kept, mut tally, mut before) = (BTreeSet::new(), Tally::default(), Vec::<Rest>::new());
        for start in (0..self.fake.max_pfn()).step_by(window as usize) {
            let span = PfnRange::at(Pfn(start), window).intersect(PfnRange::new(Pfn(0), Pfn(self.fake.max_pfn())));
            let mut bits = PageBitmap::windowed(span).unwrap();
            let ram = self.fake.ram().iter().map(|run| PfnRange::new(Pfn(run.start), Pfn(run.end)).intersect(span));
            ram.filter(|run| !run.is_empty()).for_each(|run| bits.set(run));
            let excluded = exclude(&job, &mut bits, &before, &NoWatch).unwrap();
            tally.merge(&excluded.tally);
            before = excluded.beyond;
            kept.extend(bits.runs(span).flat_map(|run| run.start.0..run.end.0));
        }
        (kept, tally)
    }

    fn check(&self, level: u32, window: u64, what: &str) {
        let expected = self.fake.expected(level);
        let (kept, tally) = self.exclude(level, window);
        let differ: Vec<_> = kept.symmetric_difference(&expected.kept).take(4).collect();
        assert!(differ.is_empty(), "{what} -d {level}: pfns {differ:x?}");
        assert_eq!(counts(&tally), Counts { zero: 0, ..expected.counts }, "{what} -d {level}");
    }
}

fn counts(tally: &Tally) -> Counts {
    Counts {
        zero: 0,
        cache: tally.count(Reason::Cache),
        cache_private: tally.count(Reason::CachePrivate),
        user: tally.count(Reason::User),
        free: tally.count(Reason::Free),
        hwpoison: tally.count(Reason::Hwpoison),
        offline: tally.count(Reason::Offline),
        unaccepted: tally.count(Reason::Unaccepted),
    }
}

/// Lists that are broken where free pages are marked no other way: dump-synth then expects them to be kept, as the scan
/// alone does, which looks at no list.
fn lists(era: Era) -> FreeLists {
    if era == Era::V3_8 { FreeLists::BrokenPrev } else { FreeLists::Whole }
}

#[test]
fn every_era_on_every_machine() {
    for (era, machine, model) in every_era_and_machine() {
        let fake = builder(era, machine, model).free_lists(lists(era)).build();
        let subject = Subject::new(&fake, machine);
        assert_eq!(subject.rules.buddy() == BuddyMark::Lists, era == Era::V3_8);
        for level in [0, 2, 4, 24, 31] {
            subject.check(level, fake.max_pfn(), &format!("{era} {} {model:?}", machine.name));
        }
    }
}

/// A huge page of 2^16 pages over several windows, and small pages on both sides of a window's end.
#[test]
fn in_many_windows_as_in_one() {
    let recipe = "ram 0x6000..0x20400\nthp 0x10000 order=16 zero\nanon 0x7ff0..0x8010 zero\nfree 0x20000 order=10 zero";
    for machine in machines() {
        let fake = builder(Era::V6_12, machine, MemModel::Flat).recipe(recipe).build();
        let subject = Subject::new(&fake, machine);
        for window in [PageBitmap::CHUNK_PAGES, 2 * PageBitmap::CHUNK_PAGES, fake.max_pfn()] {
            for level in [0, 8, 31] {
                subject.check(level, window, &format!("{} in windows of {window:#x}", machine.name));
            }
        }
    }
}
