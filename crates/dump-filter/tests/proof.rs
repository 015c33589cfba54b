//! Pages are left out only on proof: whatever is taken out of a kernel's vmcoreinfo, no page goes that stays with all of
//! it, and where one stays that goes, that is said.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, dead_code, reason = "tests")]

#[path = "../../dump-kernel/tests/common/mod.rs"]
mod common;

use common::{Memory, builder, kernel_with};
use dump_core::{NoWatch, PageBitmap, Pfn, PfnRange, Result};
use dump_filter::{Doubt, DumpLevel, Exclusion, Tally, exclude, exclude_listed};
use dump_kernel::{BuddyMark, Footprint, Vmcoreinfo};
use dump_synth::{Era, FakeKernel, FakeMemory, Leaf, Machine, MemModel, RootSymbol, StructPages};
use std::collections::{BTreeMap, BTreeSet};

/// What a level leaves of a kernel, and what is said.
struct Kept {
    pages: BTreeSet<u64>,
    said: Vec<String>,
    tally: Tally,
}

/// Filters `fake` by the vmcoreinfo `text`, as the program does.
fn filter(fake: &FakeKernel, memory: &FakeMemory, text: &str, level: u32) -> Result<Kept> {
    let (memory, end) = (Memory(memory), Pfn(fake.max_pfn()));
    let kernel = kernel_with(fake, &Machine::X86_64, text)?;
    let (rules, map) = (kernel.page_rules()?, kernel.mem_map(&memory, end)?);
    let footprint = Footprint::find(&kernel, &memory, &map, end);
    let level = DumpLevel::new(level).unwrap();
    let unknown = level.unknown(&rules).map(|unknown| format!("{}: {}", unknown.class, unknown.key));
    let mut said: Vec<String> = unknown.collect();
    let mut bits = PageBitmap::windowed(PfnRange::new(Pfn(0), end)).unwrap();
    fake.ram().iter().for_each(|run| bits.set(PfnRange::new(Pfn(run.start), Pfn(run.end))));
    let mut tally = Tally::default();
    if level.needs_kernel() || rules.finds_always_excluded() {
        let job = Exclusion {
            kernel: &kernel,
            memory: &memory,
            map: &map,
            rules: &rules,
            footprint: &footprint,
            level,
        };
        tally = exclude(&job, &mut bits, &[], &NoWatch)?.tally;
        if level.contains(DumpLevel::FREE) && rules.buddy() == BuddyMark::Lists {
            match exclude_listed(&job, &mut bits, end.0) {
                Ok(listed) => tally.merge(&listed),
                Err(e) => said.push(format!("free pages: {e}")),
            }
        }
    }
    let doubts = Doubt::ALL.into_iter().filter(|doubt| tally.doubtful(*doubt).pages != 0);
    said.extend(doubts.map(|doubt| format!("{doubt:?}")));
    let pages = bits.runs(bits.span()).flat_map(|run| run.start.0..run.end.0).collect();
    Ok(Kept { pages, said, tally })
}

/// How many variants ended how.
#[derive(Debug, Default)]
struct Count {
    tried: u64,
    refused: u64,
    larger: u64,
    same: u64,
    /// Said something though nothing changed.
    needless: u64,
    faults: Vec<String>,
}

impl Count {
    /// Filters by `text`, which lacks `keys`, and notes what is lost and what is not said.
    fn check(&mut self, subject: &Subject, text: &str, level: u32, keys: &[&str]) {
        self.tried += 1;
        let (right, before) = &subject.right[&level];
        let fault = |what: String| format!("{} -d {level} without {keys:?}: {what}", subject.what);
        let kept = match filter(&subject.fake, subject.fake.memory(), text, level) {
            Ok(kept) => kept,
            Err(e) => {
                self.refused += 1;
                let e = e.to_string();
                if keys.len() == 1 && !e.contains(keys[0]) {
                    self.faults.push(fault(e));
                }
                return;
            }
        };
        let lost: Vec<_> = right.difference(&kept.pages).take(5).collect();
        let more: Vec<_> = kept.pages.difference(right).take(5).collect();
        let news: Vec<_> = kept.said.iter().filter(|text| !before.contains(text)).collect();
        let named = match keys {
            [key] => news.iter().any(|text| text.contains(key)),
            _ => !news.is_empty(),
        };
        if !lost.is_empty() || !(more.is_empty() || named) {
            self.faults.push(fault(format!("loses {lost:x?}, keeps {more:x?}, says {news:?}")));
        }
        if !more.is_empty() {
            self.larger += 1;
        } else {
            self.same += 1;
            self.needless += u64::from(!news.is_empty());
            if !news.is_empty() && std::env::var_os("GDUMP_PROOF").is_some() {
                println!("{}", fault(format!("needlessly says {news:?}")));
            }
        }
    }

    fn conclude(mut self, what: &str) {
        let faults = std::mem::take(&mut self.faults);
        println!("{what}: {self:?}");
        assert!(faults.is_empty(), "{} faults, such as {:#?}", faults.len(), &faults[..faults.len().min(20)]);
        assert!(self.tried > 10_000, "{what}: {}", self.tried);
    }
}

/// A kernel of which all is known.
struct Subject {
    fake: FakeKernel,
    what: String,
    /// What each level keeps with all keys, and what is said then.
    right: BTreeMap<u32, (BTreeSet<u64>, Vec<String>)>,
}

impl Subject {
    fn new(fake: FakeKernel, what: String) -> Subject {
        let right = |level| {
            let kept = filter(&fake, fake.memory(), fake.vmcoreinfo(), level).unwrap();
            (level, (kept.pages, kept.said))
        };
        Subject { right: LEVELS.into_iter().map(right).collect(), fake, what }
    }

    fn keys(&self) -> Vec<&str> {
        self.fake.vmcoreinfo().lines().map(|line| line.split('=').next().unwrap()).collect()
    }

    fn without(&self, keys: &[&str]) -> String {
        let lines = self.fake.vmcoreinfo().lines();
        lines.filter(|line| !keys.contains(&line.split('=').next().unwrap())).map(|line| format!("{line}\n")).collect()
    }
}

/// A kernel of each era with every kind of page, the memory models in turns.
fn subjects() -> impl Iterator<Item = Subject> {
    use RootSymbol::{Array, PointerAddress, PointerValue};
    let (large, small) = (StructPages::Vmemmap(Leaf::M2), StructPages::Vmemmap(Leaf::K4));
    let models = [
        MemModel::SparseExtreme(Array, large),
        MemModel::SparseExtreme(PointerValue, small),
        MemModel::Flat,
        MemModel::SparseExtreme(PointerAddress, StructPages::DirectMap),
        MemModel::Sparse(large),
    ];
    Era::ALL.iter().enumerate().map(move |(turn, era)| {
        let model = models[turn % models.len()];
        let mut builder = builder(*era, &Machine::X86_64, model);
        if turn % 2 == 0 && model != MemModel::Flat {
            builder = builder.numa();
        }
        if turn % 3 == 0 && *era >= Era::V4_14 {
            builder = builder.five_level();
        }
        Subject::new(builder.build(), format!("{era} {model:?}"))
    })
}

const LEVELS: [u32; 6] = [0, 2, 4, 8, 16, 31];

/// What is read of vmcoreinfo to filter.
const READ: [&str; 52] = [
    "OSRELEASE",
    "NUMBER(phys_base)",
    "SYMBOL(init_top_pgt)",
    "SYMBOL(init_level4_pgt)",
    "SYMBOL(swapper_pg_dir)",
    "NUMBER(pgtable_l5_enabled)",
    "NUMBER(sme_mask)",
    "SYMBOL(mem_map)",
    "SYMBOL(mem_section)",
    "LENGTH(mem_section)",
    "SIZE(mem_section)",
    "OFFSET(mem_section.section_mem_map)",
    "NUMBER(SECTION_SIZE_BITS)",
    "NUMBER(MAX_PHYSMEM_BITS)",
    "SIZE(page)",
    "OFFSET(page.flags)",
    "OFFSET(page.mapping)",
    "OFFSET(page.lru)",
    "OFFSET(page._mapcount)",
    "OFFSET(page._refcount)",
    "OFFSET(page._count)",
    "OFFSET(page.private)",
    "OFFSET(page.compound_head)",
    "OFFSET(page.compound_info)",
    "OFFSET(page.compound_order)",
    "OFFSET(page.compound_dtor)",
    "OFFSET(folio._folio_order)",
    "OFFSET(folio._folio_dtor)",
    "OFFSET(list_head.next)",
    "OFFSET(list_head.prev)",
    "SYMBOL(free_huge_page)",
    "NUMBER(HUGETLB_PAGE_DTOR)",
    "NUMBER(PG_hugetlb)",
    "NUMBER(PG_lru)",
    "NUMBER(PG_private)",
    "NUMBER(PG_swapcache)",
    "NUMBER(PG_swapbacked)",
    "NUMBER(PG_slab)",
    "NUMBER(PG_hwpoison)",
    "NUMBER(PG_head_mask)",
    "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)",
    "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)",
    "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)",
    "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)",
    "NUMBER(PAGE_UNACCEPTED_MAPCOUNT_VALUE)",
    "LENGTH(zone.free_area)",
    "SYMBOL(node_data)",
    "LENGTH(node_data)",
    "SYMBOL(contig_page_data)",
    "OFFSET(free_area.free_list)",
    "LENGTH(free_area.free_list)",
    "SIZE(zone)",
];

#[test]
fn without_each_key() {
    let mut count = Count::default();
    for subject in subjects() {
        for key in subject.keys() {
            let text = subject.without(&[key]);
            LEVELS.iter().for_each(|level| count.check(&subject, &text, *level, &[key]));
        }
    }
    count.conclude("without each key");
}

#[test]
fn without_each_pair_of_keys_that_are_read() {
    let mut count = Count::default();
    for subject in subjects() {
        let keys: Vec<_> = subject.keys().into_iter().filter(|key| READ.contains(key)).collect();
        for (i, first) in keys.iter().enumerate() {
            for second in &keys[..i] {
                let text = subject.without(&[first, second]);
                [0, 31].iter().for_each(|level| count.check(&subject, &text, *level, &[first, second]));
            }
        }
    }
    count.conclude("without each pair");
}

/// A cut within a line is one at its start, for a line without its end does not count.
#[test]
fn cut_at_every_byte() {
    let (mut count, mut cuts) = (Count::default(), 0);
    for subject in subjects() {
        let text = subject.fake.vmcoreinfo();
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let lines = |end: usize| Vmcoreinfo::parse(&text.as_bytes()[..end]).lines().count();
            assert!((start..start + line.len()).all(|end| lines(end) == lines(start)), "{line}");
            cuts += line.len();
            LEVELS.iter().for_each(|level| count.check(&subject, &text[..start], *level, &[]));
            start += line.len();
        }
    }
    count.conclude(&format!("cut at {cuts} bytes"));
}
