//! dump-synth's kernels: every era, memory model and address layout, a large one for budgets, and damaged dumps.

use std::fs::File;
use std::path::Path;

use dump_synth::{Era, FreeLists, KernelBuilder, Leaf, MemModel, RootSymbol, StructPages, every_kind};

use super::commands;
use super::subject::Subject;

/// A change of a kernel: its name and what it does.
type Change = (&'static str, fn(KernelBuilder) -> KernelBuilder);

/// Levels at which a kernel is filtered: every class alone, with what it depends on, and all.
const CLASSES: &[u32] = &[0, 1, 2, 4, 6, 8, 16, 25, 31];

/// Address layouts and broken lists.
const CHANGES: &[Change] = &[
    ("kaslr", |b| b.kaslr(0x31c0_0000)),
    ("5 levels", KernelBuilder::five_level),
    ("sme", |b| b.sme_mask(1 << 47)),
    ("numa", KernelBuilder::numa),
    ("small sections", |b| b.sections(24, 36)),
    ("direct map of 4 KiB pages", |b| b.direct_leaf(Leaf::K4)),
    ("broken list", |b| b.free_lists(FreeLists::BrokenPrev)),
    ("list in a circle", |b| b.free_lists(FreeLists::Loop)),
    ("without PG_lru", |b| b.omit("NUMBER(PG_lru)")),
    ("without swapper_pg_dir", |b| b.omit("SYMBOL(swapper_pg_dir)")),
    ("without mem_section", |b| b.omit("SYMBOL(mem_section)")),
    ("without page flags", |b| b.omit("OFFSET(page.flags)")),
    ("without PAGESIZE", |b| b.omit("PAGESIZE")),
];

/// All kernels.
pub fn subjects() -> Vec<Subject> {
    let mut all = Vec::new();
    for era in Era::ALL {
        all.push(era_alone(*era));
        all.extend(models().into_iter().map(|model| era_with_model(*era, model)));
    }
    for era in [Era::V3_8, Era::V3_10, Era::V4_14, Era::V5_10, Era::V6_12, Era::V7_2] {
        all.extend(CHANGES.iter().map(|change| changed(era, *change)));
    }
    all.extend([wide(), damaged("vmcore"), damaged("kdump")]);
    all
}

fn builder(era: Era) -> KernelBuilder {
    KernelBuilder::new(era).recipe(&every_kind(era))
}

fn models() -> Vec<MemModel> {
    use RootSymbol::{Array, PointerAddress, PointerValue};
    let (large, small) = (StructPages::Vmemmap(Leaf::M2), StructPages::Vmemmap(Leaf::K4));
    vec![
        MemModel::Flat,
        MemModel::Sparse(StructPages::DirectMap),
        MemModel::Sparse(large),
        MemModel::SparseExtreme(Array, large),
        MemModel::SparseExtreme(PointerValue, small),
        MemModel::SparseExtreme(PointerAddress, large),
        MemModel::SparseExtreme(Array, StructPages::DirectMap),
    ]
}

fn filtered(levels: &[u32]) -> Vec<String> {
    let report = |level| format!("-l -d {level} --message-level 16 in/vmcore out/o > out/report");
    levels.iter().map(report).collect()
}

/// An era's own model at every class, in every container.
fn era_alone(era: Era) -> Subject {
    let mut list = filtered(CLASSES);
    list.extend(commands::convert("in/vmcore", &[1, 31]));
    list.extend(commands::filtered_again("in/vmcore"));
    // Without notes: vmcoreinfo is found in memory.
    list.extend(["--format raw in/vmcore kept/raw", "-l -d 30 --raw-base 0 in/raw out/o"].map(String::from));
    list.push("info --json --raw-base 0 in/raw > out/json".to_owned());
    Subject::of_bytes(format!("kernel {era}"), move || builder(era).build().vmcore(), list)
}

fn era_with_model(era: Era, model: MemModel) -> Subject {
    let mut list = filtered(&[16, 31]);
    list.push("info --json in/vmcore > out/json".to_owned());
    list.extend(["1", "3"].map(|threads| format!("-c -d 15 --num-threads {threads} in/vmcore out/o")));
    Subject::of_bytes(format!("kernel {era} {model:?}"), move || builder(era).model(model).build().vmcore(), list)
}

fn changed(era: Era, (name, change): Change) -> Subject {
    let mut list = filtered(CLASSES);
    list.extend(["info --json in/vmcore > out/json", "-d 31 --strict in/vmcore out/o"].map(String::from));
    Subject::of_bytes(format!("kernel {era} {name}"), move || change(builder(era)).build().vmcore(), list)
}

/// Several windows of the smallest kind, with a huge page that goes on from one into the next.
fn wide() -> Subject {
    let recipe = "ram     0..0x1f000
                  anon    0x100..0x200
                  cache   0x7f00..0x8100
                  free    0x9000 order=10
                  free    0x9400 order=10
                  hugetlb 0x10000 order=14
                  hugetlb 0x14000 order=14
                  anon    0x1c000..0x1d000";
    let make = move |dir: &Path| {
        let kernel = KernelBuilder::new(Era::V6_1).recipe(recipe).build();
        Ok(kernel.write_sparse(&File::create(dir.join("vmcore"))?)?)
    };
    let mut list = commands::ways("in/vmcore");
    list.extend(commands::filtered_again("in/vmcore"));
    Subject { name: "several windows".to_owned(), make: Box::new(make), commands: list }
}

/// A dump that ends early, in its page data and in its headers.
fn damaged(kind: &'static str) -> Subject {
    let make = move |dir: &Path| {
        let kernel = builder(Era::V6_1).build();
        let whole = if kind == "kdump" { kernel.kdump(1).to_bytes() } else { kernel.vmcore() };
        for (name, len) in [("data", whole.len() / 2), ("tail", whole.len() - 1), ("head", 5000), ("start", 100)] {
            std::fs::write(dir.join(name), &whole[..len])?;
        }
        Ok(())
    };
    let mut list = Vec::new();
    for input in ["in/data", "in/tail", "in/head", "in/start"] {
        list.extend(["-l -d 0", "-c -d 31", "-E -d 1", "--format lime"].map(|how| format!("{how} {input} out/o")));
        list.push(format!("--split -l --splitblock-size 1024 {input} out/a out/b"));
        list.push(format!("-F -c {input} > out/o"));
        list.push(format!("check {input}"));
        list.push(format!("info --json {input} > out/json"));
    }
    Subject { name: format!("damaged {kind}"), make: Box::new(make), commands: list }
}
