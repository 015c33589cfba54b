//! Fake kernels of every era, memory model, word size and byte order: where struct pages are, what they say, which
//! pages the allocator's lists hold. What is right is dump-synth's word, which shares no line with what is tested.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs, reason = "tests")]

mod common;

use common::{MODELS, Memory, builder, every_era_and_machine, kernel, kernel_of, machines};
use dump_core::{ErrorKind, PageSize, Pfn, PfnRange};
use dump_kernel::{
    Block, BuddyMark, Kernel, MemMap, MemoryModel, PageFacts, PageRules, PageScanner, PageState, PageVisitor,
    StructPages, WordLayout,
};
use dump_synth::{Class, Era, FakeKernel, FreeLists, KernelBuilder, Machine, MemModel};
use std::collections::BTreeSet;

fn mem_map(fake: &FakeKernel, kernel: &Kernel) -> MemMap {
    kernel.mem_map(&Memory(fake.memory()), Pfn(fake.max_pfn())).unwrap()
}

fn check_mem_map(fake: &FakeKernel, kernel: &Kernel, model: MemModel, what: &str) {
    let map = mem_map(fake, kernel);
    let want = match model {
        MemModel::Flat => MemoryModel::Flat,
        MemModel::Sparse(_) => MemoryModel::Sparse,
        MemModel::SparseExtreme(..) => MemoryModel::SparseExtreme,
    };
    assert_eq!(map.model(), want, "{what}");
    for pfn in fake.ram().iter().cloned().flatten() {
        let at = map.struct_page(Pfn(pfn));
        assert_eq!(at.map(|at| at.0), fake.struct_page(pfn).map(|at| at.0), "{what}: pfn {pfn:#x}");
        assert_eq!(at.and_then(|at| map.pfn_of(at)), Some(Pfn(pfn)), "{what}");
    }
    let found: u64 = map.runs_of(PfnRange::new(Pfn(0x9e), Pfn(0x102))).map(|run| run.len()).sum();
    assert_eq!(found, 0x102 - 0x9e, "{what}: a section's holes have struct pages");
}

#[test]
fn mem_map_in_every_model_on_every_machine() {
    for machine in machines().filter(|machine| machine.is_of(Era::V6_12)) {
        for model in MODELS {
            let fake = builder(Era::V6_12, machine, model).build();
            check_mem_map(&fake, &kernel(&fake, machine), model, &format!("{} {model:?}", machine.name));
        }
    }
}

/// Sound kernels contradict themselves nowhere: their text and struct pages have struct pages, and none lies where
/// another does, but those of hugetlb pages.
#[test]
fn sound_kernels_contradict_nothing() {
    for (turn, machine) in machines().enumerate() {
        for (era, model) in [(Era::V4_14, MemModel::Flat), (Era::V6_12, MODELS[turn % MODELS.len()])] {
            if machine.is_of(era) {
                let fake = builder(era, machine, model).build();
                let (kernel, memory, what) =
                    (kernel(&fake, machine), Memory(fake.memory()), format!("{era} {} {model:?}", machine.name));
                let (map, rules) = (mem_map(&fake, &kernel), kernel.page_rules(&memory).unwrap());
                kernel.ask_text(&memory, &map, &rules).unwrap_or_else(|e| panic!("{what}: {e}"));
                let unshared = kernel.without_shared(&memory, map.clone(), &rules, Pfn(fake.max_pfn()));
                assert_eq!((unshared.runs(), unshared.unlocated()), (map.runs(), map.unlocated()), "{what}");
            }
        }
    }
}

/// A PAGESIZE of 4 KiB where pages have 64 KiB: nodes, which have no other proof of it, end at a sixteenth of memory.
#[test]
fn a_page_size_too_small_for_nodes_is_found_out() {
    let (mut tried, small) = (0, PageSize::K4);
    for machine in machines().filter(|machine| machine.page_size == 64 << 10 && machine.is_of(Era::V4_14)) {
        let fake = builder(Era::V4_14, machine, MemModel::Flat).build();
        let (memory, end) = (Memory(fake.memory()), Pfn(fake.max_pfn() * 16));
        let text = fake.vmcoreinfo().replace("PAGESIZE=65536", "PAGESIZE=4096");
        assert_ne!(text, fake.vmcoreinfo(), "{}", machine.name);
        let kernel = kernel_of(&fake, machine, &text, small).unwrap();
        let refused = kernel.page_rules(&memory).and_then(|rules| {
            let map = kernel.mem_map(&memory, end)?;
            kernel.ask_text(&memory, &map, &rules)
        });
        println!("{}: {refused:?}", machine.name);
        assert!(refused.is_err(), "{}", machine.name);
        tried += 1;
    }
    assert!(tried > 2, "{tried}");
}

#[test]
fn mem_map_of_every_era() {
    for (era, machine, model) in every_era_and_machine() {
        let fake = builder(era, machine, model).build();
        check_mem_map(&fake, &kernel(&fake, machine), model, &format!("{era} {} {model:?}", machine.name));
    }
}

#[test]
fn names_of_the_system() {
    for machine in machines().filter(|machine| machine.is_of(Era::V4_14)) {
        let fake = builder(Era::V4_14, machine, MemModel::Flat).build();
        let names = kernel(&fake, machine).utsname(&Memory(fake.memory())).unwrap();
        assert_eq!((names.release().as_str(), names.machine().as_str()), ("4.14.0-synth", machine.name));
    }
}

/// Every struct page of a window, with its pfn.
struct States(Vec<(u64, PageState)>);

impl PageVisitor for States {
    fn visit<W: WordLayout>(&mut self, pages: StructPages<'_, W>) {
        let window = pages.window();
        self.0.extend((window.start.0..window.end.0).map(|pfn| (pfn, pages.state(Pfn(pfn)))));
    }
}

fn states(fake: &FakeKernel, kernel: &Kernel, rules: &PageRules) -> Vec<(u64, PageState)> {
    let (memory, map) = (Memory(fake.memory()), mem_map(fake, kernel));
    let mut scanner = PageScanner::new(rules, &map, kernel.memory(&memory));
    let mut states = States(Vec::new());
    for window in scanner.windows(PfnRange::new(Pfn(0), Pfn(fake.max_pfn()))).collect::<Vec<_>>() {
        scanner.show(window, &mut states);
    }
    states.0
}

/// The facts that make a page one of its class, of those that decide.
fn facts_of(class: Class) -> Vec<PageFacts> {
    use PageFacts as F;
    match class {
        Class::Kept => vec![F::empty(), F::BUDDY | F::CONTRADICTION, F::PRIVATE],
        Class::Free => vec![F::BUDDY],
        Class::Cache => vec![F::CACHE],
        Class::CachePrivate => vec![F::CACHE | F::PRIVATE],
        Class::User => vec![F::ANON, F::HUGETLB, F::CACHE | F::ANON],
        Class::PoisonedUser => vec![F::CACHE | F::ANON | F::HWPOISON],
        Class::Hwpoison => vec![F::HWPOISON],
        Class::Offline => vec![F::OFFLINE],
        Class::Unaccepted => vec![F::UNACCEPTED],
        other => panic!("{other:?} is in no recipe"),
    }
}

fn check_states(fake: &FakeKernel, kernel: &Kernel, what: &str) {
    let rules = kernel.page_rules(&Memory(fake.memory())).unwrap();
    let (mut settled, mut heads) = (0, 0);
    for (pfn, state) in states(fake, kernel, &rules) {
        let class = fake.class(pfn);
        let lists_only = class == Class::Free && rules.buddy() == BuddyMark::Lists;
        if pfn < settled || !fake.memory().is_ram(pfn) || lists_only {
            continue;
        }
        assert!(facts_of(class).contains(&state.facts), "{what}: pfn {pfn:#x} is {class:?}, {state:?}");
        let order = state.order.max(state.free_order);
        heads += u32::from(order != 0);
        settled = pfn + (1 << order);
        assert!((pfn..settled).all(|pfn| fake.class(pfn) == class), "{what}: pfn {pfn:#x}, {state:?}");
    }
    assert!(heads > 4, "{what}: compound pages and free blocks are seen");
}

#[test]
fn facts_of_every_era_on_every_machine() {
    for (era, machine, model) in every_era_and_machine() {
        let fake = builder(era, machine, model).build();
        let kernel = kernel(&fake, machine);
        let rules = kernel.page_rules(&Memory(fake.memory())).unwrap();
        assert_eq!(rules.buddy() == BuddyMark::Lists, era == Era::V3_8, "{era}");
        check_states(&fake, &kernel, &format!("{era} {} {model:?}", machine.name));
    }
}

fn free_pages(fake: &FakeKernel, machine: &Machine) -> dump_core::Result<BTreeSet<u64>> {
    let kernel = kernel(fake, machine);
    let memory = Memory(fake.memory());
    let map = mem_map(fake, &kernel);
    let mut free = BTreeSet::new();
    let mut add = |block: Block| free.extend(block.pages().start.0..block.pages().end.0);
    kernel.free_lists(&memory)?.walk(&mut kernel.memory(&memory), &map, fake.max_pfn(), &mut add)?;
    Ok(free)
}

fn check_free_lists(fake: &FakeKernel, machine: &Machine, what: &str) {
    let want: BTreeSet<u64> = fake.memory().pfns().filter(|pfn| fake.class(*pfn) == Class::Free).collect();
    assert_eq!(want.len(), 7 + 16 + 0x800, "{what}");
    assert!(free_pages(fake, machine).unwrap() == want, "{} {what}", machine.name);
}

#[test]
fn free_lists_on_every_machine() {
    for machine in machines() {
        for (era, model) in
            [Era::V3_8, Era::V4_4, Era::V7_2].into_iter().flat_map(|era| MODELS.map(|model| (era, model)))
        {
            if !machine.is_of(era) {
                continue;
            }
            let builder = builder(era, machine, model);
            check_free_lists(&builder.clone().build(), machine, &format!("{era} {model:?}"));
            if model != MemModel::Flat {
                check_free_lists(&builder.numa().build(), machine, &format!("{era} {model:?}, several nodes"));
            }
        }
    }
}

#[test]
fn broken_free_lists_are_refused() {
    for machine in machines().filter(|machine| machine.is_of(Era::V3_8)) {
        for state in [FreeLists::BrokenPrev, FreeLists::Loop] {
            let fake = builder(Era::V3_8, machine, MemModel::Flat).free_lists(state).build();
            let e = free_pages(&fake, machine).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Corrupt, "{} {state:?}: {e}", machine.name);
        }
    }
}

/// Where PG_private is not known, no page of the page cache may be taken for one without private data.
#[test]
fn without_the_number_of_pg_private_all_page_cache_may_have_private_data() {
    let fake =
        KernelBuilder::new(Era::V6_12).omit("NUMBER(PG_private)").recipe("cache 0x10\ncache-private 0x11").build();
    let kernel = kernel(&fake, &Machine::X86_64);
    let rules = kernel.page_rules(&Memory(fake.memory())).unwrap();
    assert_eq!(rules.unknown().len(), 1);
    assert_eq!(rules.unknown()[0].class, "page cache pages without private data");
    let states = states(&fake, &kernel, &rules);
    assert!([0x10, 0x11].iter().all(|pfn| states[*pfn].1.facts == PageFacts::CACHE | PageFacts::PRIVATE));
}

/// A kernel never gives its own page frames away; those that are free or a process's it has given.
#[test]
fn what_a_kernel_has_given_away() {
    for (era, machine, model) in every_era_and_machine() {
        let fake = builder(era, machine, model).build();
        let (kernel, memory) = (kernel(&fake, machine), Memory(fake.memory()));
        let frames: Vec<u64> = fake.ram().iter().cloned().flatten().filter(|pfn| pfn % 31 == 0).collect();
        let pfns: Vec<Pfn> = frames.iter().map(|pfn| Pfn(*pfn)).collect();
        let given = kernel.given_away(&memory, Pfn(fake.max_pfn()), &pfns).unwrap();
        let (mut free, mut user) = (0, 0);
        for (pfn, given) in frames.into_iter().zip(given) {
            match fake.class(pfn) {
                _ if fake.own_pages().contains(&pfn) => assert!(!given, "{era} {}: {pfn:#x}", machine.name),
                Class::Free => {
                    assert!(given, "{era} {}: {pfn:#x}", machine.name);
                    free += 1;
                }
                Class::User => user += u32::from(given),
                _ => {}
            }
        }
        assert!(free > 10 && user > 0, "{era} {}: {free} free, {user} user", machine.name);
        let names = kernel.landmarks(&memory).unwrap();
        let size = machine.page_size;
        assert!(names.iter().all(|at| fake.own_pages().contains(&(at.0 / size))), "{names:?}");
        assert!(matches!(kernel.standing(&memory), dump_kernel::Standing::Holds));
    }
}
