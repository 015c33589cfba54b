//! Pages are left out only on proof: whatever is taken out of a kernel's vmcoreinfo, no page goes that stays with all of
//! it, and where one stays that goes, that is said.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs, dead_code, reason = "tests")]

#[path = "../../dump-kernel/tests/common/mod.rs"]
mod common;

use common::{Memory, builder, kernel_with};
use dump_core::{NoWatch, PageBitmap, Pfn, PfnRange, Result};
use dump_filter::{Doubt, DumpLevel, Exclusion, Tally, exclude, exclude_listed};
use dump_kernel::{BuddyMark, Footprint, KernelSymbols, Vmcoreinfo};
use dump_synth::{Era, FakeKernel, FakeMemory, Leaf, Machine, MemModel, RootSymbol, StructPages};
use std::collections::{BTreeMap, BTreeSet};

/// What a level leaves of a kernel, and what is said.
struct Kept {
    pages: BTreeSet<u64>,
    said: Vec<String>,
    tally: Tally,
}

/// Filters `fake`, a kernel of x86_64, by the vmcoreinfo `text`, as the program does.
fn filter(fake: &FakeKernel, memory: &FakeMemory, text: &str, level: u32) -> Result<Kept> {
    filter_on(&Machine::X86_64, fake, memory, text, level)
}

/// The same on any machine.
fn filter_on(machine: &Machine, fake: &FakeKernel, memory: &FakeMemory, text: &str, level: u32) -> Result<Kept> {
    let (memory, end) = (Memory(memory), Pfn(fake.max_pfn()));
    let kernel = kernel_with(fake, machine, text)?;
    let (rules, map) = (kernel.page_rules(&memory)?, kernel.mem_map(&memory, end)?);
    let map = kernel.without_shared(&memory, map, &rules, end);
    let footprint = Footprint::find(&kernel, &memory, &map, end);
    let level = DumpLevel::new(level).unwrap();
    let unknown = level.unknown(&rules).map(|unknown| format!("{}: {}", unknown.class, unknown.key));
    let mut said: Vec<String> = unknown.collect();
    let mut bits = PageBitmap::windowed(PfnRange::new(Pfn(0), end)).unwrap();
    fake.ram().iter().for_each(|run| bits.set(PfnRange::new(Pfn(run.start), Pfn(run.end))));
    let mut tally = Tally::default();
    if level.needs_kernel() || rules.finds_always_excluded() {
        let job =
            Exclusion { kernel: &kernel, memory: &memory, map: &map, rules: &rules, footprint: &footprint, level };
        tally = exclude(&job, &mut bits, &[], &NoWatch)?.tally;
        if level.contains(DumpLevel::FREE) && rules.buddy() == BuddyMark::Lists {
            match exclude_listed(&job, &mut bits, end.0, &mut ()) {
                Ok(listed) => tally.merge(&listed),
                Err(e) => said.push(format!("free pages: {e}")),
            }
        }
    }
    let doubts = Doubt::ALL.into_iter().filter(|doubt| tally.doubtful(*doubt).pages != 0);
    said.extend(doubts.map(|doubt| format!("{}: {}", doubt.class(), doubt.why())));
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
            if !news.is_empty() && is_thorough() {
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

/// Struct pages that are damaged.
struct Damaged<'a> {
    fake: &'a FakeKernel,
    info: Vmcoreinfo,
    memory: FakeMemory,
}

impl<'a> Damaged<'a> {
    fn new(fake: &'a FakeKernel) -> Damaged<'a> {
        let info = Vmcoreinfo::parse(fake.vmcoreinfo().as_bytes());
        Damaged { fake, info, memory: fake.memory().clone() }
    }

    /// Puts `bytes` at a member of the struct page of `pfn`; not, where vmcoreinfo does not say where that is.
    fn put(&mut self, pfn: u64, member: &str, bytes: &[u8]) -> bool {
        let at = self.info.offset_of(member);
        at.is_some_and(|at| {
            self.memory.write(self.fake.struct_page(pfn).unwrap().1 + at, bytes);
            true
        })
    }

    fn put_type(&mut self, pfn: u64, name: &str) -> bool {
        let number = self.info.number(name);
        number.is_some_and(|number| self.put(pfn, "page._mapcount", &(number as u32).to_le_bytes()))
    }

    /// Copies the struct page of `from` over that of `to`.
    fn copy(&mut self, from: u64, to: u64) {
        let size = self.info.size_of("page").unwrap();
        let bytes = self.fake.memory().bytes(self.fake.struct_page(from).unwrap().1, size);
        self.memory.write(self.fake.struct_page(to).unwrap().1, &bytes);
    }

    fn filter(&self, level: u32) -> Kept {
        filter(self.fake, &self.memory, self.fake.vmcoreinfo(), level).unwrap()
    }

    /// Checks that level 31 keeps what it keeps of sound memory and `pages`, and says that some contradict themselves,
    /// `first` of all.
    fn check(&self, first: u64, pages: std::ops::Range<u64>, what: &str) {
        let (kept, right) =
            (self.filter(31), filter(self.fake, self.fake.memory(), self.fake.vmcoreinfo(), 31).unwrap());
        let lost: Vec<_> = right.pages.difference(&kept.pages).take(5).collect();
        assert!(lost.is_empty(), "{what}: lost {lost:x?}");
        assert!(pages.clone().all(|pfn| kept.pages.contains(&pfn)), "{what}: {pages:x?} is kept");
        let (before, now) = (right.tally.doubtful(Doubt::Contradiction), kept.tally.doubtful(Doubt::Contradiction));
        assert!(now.pages > before.pages, "{what}: {now:?}");
        assert_eq!(now.first, Some(Pfn(first)), "{what}");
    }
}

type Damage = fn(&mut Damaged<'_>) -> bool;

/// What is done to struct pages, the page that then contradicts itself, and pages that are kept for it.
const DAMAGES: [(&str, Damage, u64, std::ops::Range<u64>); 10] = [
    (
        "a free block of a larger order",
        |d| d.put(0x1a0, "page.private", &[3, 0, 0, 0, 0, 0, 0, 0]),
        0x1a0,
        0x1a0..0x1a1,
    ),
    (
        "a free block over a page in use",
        |d| d.put(0x1a6, "page.private", &[1, 0, 0, 0, 0, 0, 0, 0]),
        0x1a6,
        0x1a6..0x1a8,
    ),
    (
        "a free block that is not aligned",
        |d| d.put(0x1b0, "page.private", &[5, 0, 0, 0, 0, 0, 0, 0]),
        0x1b0,
        0x1b0..0x1b1,
    ),
    (
        "a free page in use",
        |d| d.put_type(0x160, "PAGE_BUDDY_MAPCOUNT_VALUE") && d.put(0x160, "page.private", &[0; 8]),
        0x160,
        0x160..0x161,
    ),
    (
        "a process's page of a free page's type",
        |d| d.put_type(0x110, "PAGE_BUDDY_MAPCOUNT_VALUE") && d.put(0x110, "page.private", &[0; 8]),
        0x110,
        0x110..0x111,
    ),
    ("page cache that is offline", |d| d.put_type(0x130, "PAGE_OFFLINE_MAPCOUNT_VALUE"), 0x130, 0x130..0x131),
    ("a compound page that is none", |d| d.put(0x201, "page.compound_head", &[0; 8]), 0x200, 0x200..0x400),
    ("a compound page that is none", |d| d.put(0x201, "page.compound_info", &[0; 8]), 0x200, 0x200..0x400),
    ("a compound page of a larger order", |d| put_order(d, 0x600, 5), 0x1c0, 0x600..0x610),
    ("a hugetlb page of a larger order", |d| put_order(d, 0x400, 10), 0x1c0, 0x400..0x600),
];

/// Makes the compound page at `pfn` look as one of `order`.
fn put_order(damaged: &mut Damaged<'_>, pfn: u64, order: u8) -> bool {
    let flags =
        ["NUMBER(PG_hugetlb)", "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)"].iter().any(|key| damaged.info.get(key).is_some());
    let size = damaged.info.size_of("page").unwrap();
    let folio = damaged.info.offset_of("folio._folio_order").map(|at| at - size);
    match damaged.info.offset_of("page.compound_order").or(folio) {
        _ if flags => damaged.put(pfn + 1, "page.flags", &[order]),
        Some(at) => {
            let at = damaged.fake.struct_page(pfn + 1).unwrap().1 + at;
            damaged.memory.write(at, &[order]);
            true
        }
        None => false,
    }
}

/// Whether all is to be tried (minutes), and needless words to be shown.
fn is_thorough() -> bool {
    std::env::var_os("GDUMP_PROOF").is_some()
}

/// A kernel of each era, for what is not its vmcoreinfo's.
fn sound() -> impl Iterator<Item = (Era, FakeKernel)> {
    let model = MemModel::SparseExtreme(RootSymbol::Array, StructPages::Vmemmap(Leaf::K4));
    Era::ALL.iter().map(move |era| (*era, builder(*era, &Machine::X86_64, model).build()))
}

#[test]
fn struct_pages_that_contradict_themselves_keep_their_pages() {
    let mut tried = 0;
    for (era, fake) in sound() {
        for (what, damage, first, pages) in DAMAGES {
            let mut damaged = Damaged::new(&fake);
            if damage(&mut damaged) {
                tried += 1;
                damaged.check(first.min(0x1c0), pages, &format!("{era}: {what}"));
            }
        }
    }
    assert!(tried > 130, "{tried}");
}

/// Each bit of each kind of struct page: what is lost at most is the page itself, which says no longer what it was, and
/// pages that go with it.
#[test]
fn each_bit_of_struct_pages() {
    let kinds = [
        0x12c, 0x150, 0x158, 0x160, 0x1a0, 0x1a6, 0x1b0, 0x1d0, 0x1d1, 0x200, 0x201, 0x400, 0x401, 0x600, 0x800, 0x1000,
    ];
    let step = if is_thorough() { 1 } else { 19 };
    let (mut tried, mut lost_alone) = (0, 0);
    for (era, fake) in sound() {
        let right = filter(&fake, fake.memory(), fake.vmcoreinfo(), 31).unwrap();
        let mut memory = fake.memory().clone();
        for pfn in kinds {
            let at = fake.struct_page(pfn).unwrap().1;
            for bit in (pfn % step..512).step_by(step as usize) {
                let byte = memory.bytes(at + bit / 8, 1)[0];
                memory.write(at + bit / 8, &[byte ^ 1 << (bit % 8)]);
                let kept = filter(&fake, &memory, fake.vmcoreinfo(), 31).unwrap();
                memory.write(at + bit / 8, &[byte]);
                let lost: Vec<_> = right.pages.difference(&kept.pages).copied().collect();
                tried += 1;
                lost_alone += u64::from(lost == [pfn]);
                // a compound page whose head changes its kind goes as a whole
                let own = pfn..pfn
                    + if pfn == 0x1d0 {
                        16
                    } else if pfn == 0x158 {
                        8
                    } else {
                        1
                    };
                assert!(lost.iter().all(|pfn| own.contains(pfn)), "{era}: bit {bit} of pfn {pfn:#x}: lost {lost:x?}");
            }
        }
    }
    println!("{tried} bits of struct pages, {lost_alone} make a page say that it can go");
}

/// Page tables, sections, struct pages and names stay, whatever their own struct pages say, and so do the pages whose struct
/// pages lie where none can by that.
#[test]
fn what_struct_pages_were_found_with_stays() {
    for (era, fake) in sound() {
        for from in [0x110, 0x130, 0x1a0] {
            let mut damaged = Damaged::new(&fake);
            fake.own_pages().for_each(|pfn| damaged.copy(from, pfn));
            let kept = damaged.filter(31);
            let what = format!("{era}: the kernel's own pages are {:?}", fake.class(from));
            let page_of = |at: u64| at >> 12;
            let struct_pages =
                fake.ram().iter().cloned().flatten().map(|pfn| page_of(fake.struct_page(pfn).unwrap().1));
            let symbol = |name: &str| page_of(fake.symbol(name).unwrap() - fake.image_virt() + fake.image().start);
            let own =
                struct_pages.chain([page_of(fake.page_table_root()), symbol("mem_section"), symbol("init_uts_ns")]);
            own.for_each(|pfn| assert!(kept.pages.contains(&pfn), "{what}: {pfn:#x} is lost"));
            let tables = page_tables(&fake);
            let lost: Vec<_> = tables.difference(&kept.pages).collect();
            assert!(tables.len() >= 4 && lost.is_empty(), "{what}: page tables {lost:x?} of {tables:x?} are lost");
            let (walked, right) = (kept.tally.doubtful(Doubt::Walked), damaged.filter(0));
            let kept_for = walked.pages + kept.tally.doubtful(Doubt::Unread).pages;
            let lists = era == Era::V3_8 && from == 0x1a0; // nothing says there that a page is free but the lists
            assert!(kept_for > 100 || lists, "{what}: {:?}", kept.tally);
            assert!(!kept.said.is_empty() || lists, "{what}: nothing is said");
            assert_eq!(right.tally.doubtful(Doubt::Walked).pages, 0, "{what}: nothing goes at level 0");
        }
    }
}

/// The page tables on the way to all struct pages, by a walk of their own.
fn page_tables(fake: &FakeKernel) -> BTreeSet<u64> {
    let mut tables = BTreeSet::new();
    for pfn in fake.ram().iter().cloned().flatten() {
        let (virt, _) = fake.struct_page(pfn).unwrap();
        let mut table = fake.page_table_root();
        for shift in [39, 30, 21, 12] {
            tables.insert(table >> 12);
            let entry = fake.memory().number(table + (virt >> shift & 511) * 8, 8);
            if shift < 39 && entry & 1 << 7 != 0 {
                break;
            }
            table = entry & 0x000f_ffff_ffff_f000;
        }
    }
    tables
}

const LEVELS: [u32; 6] = [0, 2, 4, 8, 16, 31];

/// What is read of vmcoreinfo to filter.
const READ: [&str; 55] = [
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
    "OFFSET(pglist_data.node_mem_map)",
    "OFFSET(pglist_data.node_start_pfn)",
    "OFFSET(pglist_data.node_spanned_pages)",
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

/// How many of some bits, flipped one after the other, end how.
#[derive(Debug, Default)]
struct Flips {
    tried: u64,
    refused: u64,
    same: u64,
    /// More pages stay, and that is said.
    said: u64,
    silent: Vec<String>,
    /// Fewer pages stay, and a warning says that struct pages contradict themselves.
    lost_said: Vec<String>,
    lost: Vec<String>,
}

impl Flips {
    fn flip(&mut self, fake: &FakeKernel, right: &Kept, at: u64, bit: u32, what: &str) {
        self.flip_on(&Machine::X86_64, fake, right, at, bit, what);
    }

    /// Flips a bit of what is at `at`, bits counted from the lowest byte on.
    fn flip_on(&mut self, machine: &Machine, fake: &FakeKernel, right: &Kept, at: u64, bit: u32, what: &str) {
        let (mut memory, at) = (fake.memory().clone(), at + u64::from(bit / 8));
        memory.write(at, &[memory.bytes(at, 1)[0] ^ 1 << (bit % 8)]);
        self.tried += 1;
        let Ok(kept) = filter_on(machine, fake, &memory, fake.vmcoreinfo(), 31) else {
            self.refused += 1;
            return;
        };
        let lost: Vec<_> = right.pages.difference(&kept.pages).collect();
        let news = kept.tally.total_doubtful() > right.tally.total_doubtful() || kept.said != right.said;
        let ends = (lost.first(), lost.last(), kept.pages.len());
        match (lost.len(), news) {
            (0, _) if kept.pages == right.pages => self.same += 1,
            (0, false) => self.silent.push(format!("{what} bit {bit}")),
            (0, true) => self.said += 1,
            (n, true) => self.lost_said.push(format!("{what} bit {bit}: {n} pages {ends:x?}")),
            (n, false) => self.lost.push(format!("{what} bit {bit}: {n} pages {ends:x?}")),
        }
    }

    /// `unproven` of the bits at most lead to memory that is none of struct pages, and reads as if it were.
    fn conclude(&self, what: &str, unproven: usize) {
        let Flips { tried, refused, same, said, silent, lost_said, lost } = self;
        println!(
            "{what}: {tried} bits, {refused} refused, {same} same pages, {said} more and said, {} more and not, {} less \
             and said, {} less and not",
            silent.len(),
            lost_said.len(),
            lost.len()
        );
        assert!(lost.len() <= unproven, "{self:#?}");
    }
}

/// Physical addresses of the sections of a kernel and of the pointer to them.
fn sections_of(fake: &FakeKernel) -> Vec<u64> {
    let root = fake.symbol("mem_section").unwrap() - fake.image_virt() + fake.image().start;
    let info = Vmcoreinfo::parse(fake.vmcoreinfo().as_bytes());
    let sections = fake.memory().number(root, 8) - fake.page_offset();
    let each = info.size_of("mem_section").unwrap();
    let all = (0..64).map(|section| sections + section * each).filter(|at| fake.memory().number(*at, 8) & 1 != 0);
    std::iter::once(root).chain(all).collect()
}

/// A section that is not present any more says nothing that contradicts it: its pages stay, in silence.
#[test]
fn each_bit_of_sections() {
    for struct_pages in [StructPages::Vmemmap(Leaf::K4), StructPages::DirectMap] {
        let mut flips = Flips::default();
        let model = MemModel::SparseExtreme(RootSymbol::Array, struct_pages);
        for era in [Era::V3_10, Era::V5_10, Era::V6_12, Era::V7_2] {
            let fake = builder(era, &Machine::X86_64, model).sections(24, 36).build();
            let right = filter(&fake, fake.memory(), fake.vmcoreinfo(), 31).unwrap();
            for (i, at) in sections_of(&fake).into_iter().enumerate() {
                (0..64).for_each(|bit| flips.flip(&fake, &right, at, bit, &format!("{era} section {i}")));
            }
        }
        flips.conclude(&format!("sections, {struct_pages:?}"), 0);
    }
}

/// Page tables, tables of sections and what leads to them, on machines of other shapes: what was read on the way to the
/// struct pages, word by word.
#[test]
fn each_bit_of_what_is_read() {
    use RootSymbol::{PointerAddress, PointerValue};
    let step = if is_thorough() { 1 } else { 37 };
    let real = |name: &str, levels: usize| {
        Machine::REAL.iter().find(|machine| machine.name == name && machine.levels.len() == levels).unwrap()
    };
    let vmemmap = StructPages::Vmemmap(Leaf::K4);
    for (era, machine, model) in [
        (Era::V5_10, &Machine::X86_64, MemModel::SparseExtreme(PointerValue, vmemmap)),
        (Era::V6_12, &Machine::X86_64, MemModel::SparseExtreme(PointerAddress, StructPages::DirectMap)),
        (Era::V6_12, real("aarch64", 4), MemModel::SparseExtreme(PointerAddress, vmemmap)),
        (Era::V5_10, real("riscv64", 4), MemModel::SparseExtreme(PointerValue, vmemmap)),
        (Era::V5_10, real("i686", 3), MemModel::Sparse(StructPages::DirectMap)),
        (Era::V3_10, real("i686", 2), MemModel::Flat),
    ] {
        let mut builder = builder(era, machine, model);
        let is_x86_64 = machine == &Machine::X86_64;
        if is_x86_64 {
            builder = builder.five_level();
        }
        let fake = builder.build();
        let right = filter_on(machine, &fake, fake.memory(), fake.vmcoreinfo(), 31).unwrap();
        let (mut flips, what) = (Flips::default(), format!("{era} {} {model:?}", machine.name));
        let words = words_read(&fake, machine);
        for (i, at) in words.iter().enumerate() {
            let bits = (i as u32 % step..64).step_by(step as usize);
            bits.for_each(|bit| flips.flip_on(machine, &fake, &right, *at, bit, &format!("{what} word at {at:x}")));
        }
        assert!(flips.tried > 100, "{what}: {}", words.len());
        flips.conclude(&what, 0);
    }
}

/// Words of 8 bytes that are not 0 in the page frames that are read on the way to struct pages; of those that are alike
/// in a page frame every 5th.
fn words_read(fake: &FakeKernel, machine: &Machine) -> Vec<u64> {
    let (memory, end) = (Memory(fake.memory()), Pfn(fake.max_pfn()));
    let kernel = kernel_with(fake, machine, fake.vmcoreinfo()).unwrap();
    let map = kernel.mem_map(&memory, end).unwrap();
    let footprint = Footprint::find(&kernel, &memory, &map, end);
    let frames = footprint.walked_parts_of(PfnRange::new(Pfn(0), end)).flat_map(|run| run.start.0..run.end.0);
    let words = frames.flat_map(|frame| {
        let words = (0..machine.page_size / 8).map(move |i| frame * machine.page_size + 8 * i);
        words.filter(|at| fake.memory().number(*at, 8) != 0).step_by(if is_thorough() { 1 } else { 5 })
    });
    words.collect()
}

/// A vmemmap of which all pages, or two sections, or two pages lie in the same memory: one of them errs, and which is
/// not known. That of hugetlb pages is so where nothing is damaged (HVO), and that is no doubt.
#[test]
fn struct_pages_that_lie_where_others_do_keep_their_pages() {
    for (era, fake) in sound() {
        let right = filter(&fake, fake.memory(), fake.vmcoreinfo(), 31).unwrap();
        assert_eq!(right.tally.doubtful(Doubt::Unread).pages, 0, "{era}");
        let entry = |pfn: u64| vmemmap_entry(&fake, pfn);
        let all: Vec<u64> = fake.ram().iter().cloned().flatten().filter(|pfn| pfn % 64 == 0).collect();
        for (what, from, to) in [("all", 0x100, all), ("one", 0x1a0, vec![0x100]), ("another", 0x100, vec![0x1c0])] {
            let mut memory = fake.memory().clone();
            let word = memory.number(entry(from), 8).to_le_bytes();
            to.iter().for_each(|pfn| memory.write(entry(*pfn), &word));
            let kept = filter(&fake, &memory, fake.vmcoreinfo(), 31).unwrap();
            let lost: Vec<_> = right.pages.difference(&kept.pages).collect();
            assert!(lost.is_empty(), "{era} {what}: {lost:x?}");
            let unread = kept.tally.doubtful(Doubt::Unread).pages;
            assert!(unread >= to.len() as u64, "{era} {what}: {unread}");
            assert!(to.iter().chain([&from]).all(|pfn| kept.pages.contains(pfn)), "{era} {what}");
        }
    }
}

/// A page table entry that leads from the struct pages of kernel memory to a page of a process or a file, or a free one,
/// in which a plan, or an old use, has struct pages: of pages that every level above leaves out.
#[test]
fn struct_pages_in_memory_of_another_use_are_none() {
    for (era, fake) in sound() {
        let kept = |level: u32| filter(&fake, fake.memory(), fake.vmcoreinfo(), level).unwrap().pages;
        let (all, right) = (kept(0), kept(31));
        let entry = |pfn: u64| vmemmap_entry(&fake, pfn);
        let array = |pfn: u64| fake.memory().number(entry(pfn), 8) & 0x000f_ffff_ffff_f000;
        // 64 struct pages of which all stay, and 64 of which none does
        let groups = || (0..fake.max_pfn() / 64).map(|group| group * 64..group * 64 + 64);
        let own = |group: &std::ops::Range<u64>| group.clone().all(|pfn| right.contains(&pfn));
        let Some(from) = groups().find(own) else { panic!("{era}: no memory of the kernel alone") };
        let used = fake.memory().bytes(fake.struct_page(*all.difference(&kept(8)).next().unwrap()).unwrap().1, 64);
        let small: Vec<u8> = used.repeat(64);
        for (what, level) in [("cache", 6), ("user", 8), ("free", 16)] {
            if what == "free" && !fake.vmcoreinfo().contains("PAGE_BUDDY_MAPCOUNT_VALUE") {
                // lists of the allocator say what is free, struct pages do not (before 3.9)
                continue;
            }
            let without = kept(level);
            let to = *all.difference(&without).find(|pfn| array(from.start) != **pfn << 12).unwrap();
            let mut memory = fake.memory().clone();
            memory.write(to << 12, &small);
            let word = memory.number(entry(from.start), 8) & !0x000f_ffff_ffff_f000 | to << 12;
            memory.write(entry(from.start), &word.to_le_bytes());
            let kept = filter(&fake, &memory, fake.vmcoreinfo(), 31).unwrap();
            let lost: Vec<_> = right.difference(&kept.pages).collect();
            assert!(lost.is_empty(), "{era}, a {what} page {to:x}: {lost:x?}");
            assert!(kept.tally.doubtful(Doubt::Unread).pages >= 64, "{era} {what}: {:?}", kept.tally);
        }
    }
}

/// Where the page table entry is that maps the struct page of `pfn`.
fn vmemmap_entry(fake: &FakeKernel, pfn: u64) -> u64 {
    let (virt, _) = fake.struct_page(pfn).unwrap();
    let table = [39, 30, 21].into_iter().fold(fake.page_table_root(), |table, shift| {
        fake.memory().number(table + (virt >> shift & 511) * 8, 8) & 0x000f_ffff_ffff_f000
    });
    table + (virt >> 12 & 511) * 8
}

#[test]
fn each_bit_of_page_tables() {
    let step = if is_thorough() { 1 } else { 7 };
    for leaf in [Leaf::K4, Leaf::M2] {
        let mut flips = Flips::default();
        let model = MemModel::SparseExtreme(RootSymbol::Array, StructPages::Vmemmap(leaf));
        for era in [Era::V3_10, Era::V6_12] {
            let fake = builder(era, &Machine::X86_64, model).build();
            let right = filter(&fake, fake.memory(), fake.vmcoreinfo(), 31).unwrap();
            for table in page_tables(&fake) {
                let entries =
                    (0..512).map(|i| (table << 12) + 8 * i).filter(|at| fake.memory().number(*at, 8) & 1 != 0);
                for (i, at) in entries.step_by(5).enumerate() {
                    let bits = (i as u32 % step..64).step_by(step as usize);
                    bits.for_each(|bit| {
                        flips.flip(&fake, &right, at, bit, &format!("{era} table {table:x} entry at {at:x}"))
                    });
                }
            }
        }
        assert!(flips.silent.is_empty(), "{flips:#?}");
        flips.conclude(&format!("page tables, struct pages in {leaf:?} pages"), 0);
    }
}
