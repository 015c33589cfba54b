//! Synthetic kernels of every architecture, in each shape that its page tables have: what is left out is what the recipe
//! says. Page table entries are made from the architectures' manuals and share no line of code with what reads them.

use crate::eras::{filter, filter_dump};
use crate::support::{gdump_ok, open, scratch, text};
use dump_synth::{Era, KernelBuilder, Leaf, Machine, MemModel, RootSymbol, StructPages, every_kind, every_kind_on};

/// Where struct pages are read through page tables, and where they are in the direct map.
const MODELS: [MemModel; 5] = [
    MemModel::SparseExtreme(RootSymbol::PointerValue, StructPages::Vmemmap(Leaf::K4)),
    MemModel::Flat,
    MemModel::Sparse(StructPages::Vmemmap(Leaf::K4)),
    MemModel::SparseExtreme(RootSymbol::Array, StructPages::DirectMap),
    MemModel::SparseExtreme(RootSymbol::PointerValue, StructPages::Vmemmap(Leaf::M2)),
];

const ERAS: [Era; 4] = [Era::V5_10, Era::V6_1, Era::V6_12, Era::V7_2];

/// One in turn.
fn model(machine: &Machine, turn: usize) -> MemModel {
    MODELS.into_iter().filter(|model| fits(machine, *model)).cycle().nth(turn).unwrap()
}

/// Large pages whose struct pages are more than a small guest has memory.
fn fits(machine: &Machine, model: MemModel) -> bool {
    let small = machine.page_size == 4096 && machine.levels.last() == Some(&9);
    small || model.struct_pages() != StructPages::Vmemmap(Leaf::M2)
}

fn every_model(elf_machine: u16) {
    let mut tried = 0;
    for (which, machine) in Machine::REAL.iter().enumerate().filter(|(_, machine)| machine.elf_machine == elf_machine) {
        for (turn, era) in ERAS.into_iter().enumerate().filter(|(_, era)| machine.is_of(*era)) {
            let model = model(machine, which + turn);
            let recipe = every_kind_on(era, machine);
            let kernel = KernelBuilder::new(era).machine(*machine).model(model).recipe(&recipe).build();
            let what = format!("{era} {} {:?} of {}, {model:?}", machine.name, machine.levels, machine.page_size);
            let said = filter(&kernel, [31, 16, 8, 4][turn], &what);
            // of the free page whose order cannot be
            let others = said.lines().filter(|line| line.contains("warning") && !line.contains("pfn 0x1c0"));
            assert_eq!(others.collect::<Vec<_>>(), [""; 0], "{what}");
            tried += 1;
        }
    }
    assert!(tried >= 4, "{tried}");
}

/// QEMU's dump of a guest that published no vmcoreinfo: it is found in memory, and the choice is the same.
#[test]
fn vmcoreinfo_is_found_in_the_memory_of_every_machine() {
    for (turn, machine) in Machine::REAL.iter().enumerate() {
        let era = if machine.is_of(Era::V6_12) { Era::V6_12 } else { Era::V6_1 };
        let model = model(machine, turn);
        let builder = KernelBuilder::new(era).machine(*machine).model(model).recipe(&every_kind_on(era, machine));
        found_in_memory(
            &builder,
            &format!("{} {:?} of {}, {model:?}", machine.name, machine.levels, machine.page_size),
        );
    }
}

#[test]
fn vmcoreinfo_is_found_in_the_memory_of_every_layout_of_x86_64() {
    type Layout = fn(KernelBuilder) -> KernelBuilder;
    let layouts: [(&str, Layout); 5] = [
        ("4 levels", |b| b),
        ("5 levels", KernelBuilder::five_level),
        ("sme", |b| b.sme_mask(1 << 47)),
        ("sme, 5 levels, kaslr", |b| b.five_level().sme_mask(1 << 51).kaslr(0x31c0_0000)),
        ("kaslr", |b| b.kaslr(0x31c0_0000)),
    ];
    for (name, layout) in layouts {
        for era in ERAS {
            found_in_memory(&layout(KernelBuilder::new(era).recipe(&every_kind(era))), &format!("{era} {name}"));
        }
    }
}

fn found_in_memory(builder: &KernelBuilder, what: &str) {
    let kernel = builder.clone().build();
    let said = filter_dump(&kernel.qemu().to_bytes(), &kernel, 31, what);
    let others = said.lines().filter(|line| line.contains("warning") && !line.contains("pfn 0x1c0"));
    assert_eq!(others.collect::<Vec<_>>(), [""; 0], "{what}");
}

/// The last section with RAM seems to be absent, for one word is damaged: page tables have its struct pages all the same.
#[test]
fn ram_is_no_memory_of_a_card_for_a_section_that_was_lost() {
    for model in [MODELS[0], MODELS[4]] {
        let recipe = "ram 0..0x1000\nram 0x10000..0x10200\nanon 0x100..0x110\ncache 0x110..0x120";
        let mut kernel = KernelBuilder::new(Era::V6_12).model(model).recipe(recipe).build();
        let last = kernel.ram().last().unwrap().clone();
        assert!(kernel.ram().len() > 1 && last.start >= 0x10000);
        // mem_section is an array of pointers to arrays of 32 bytes a section; sections are of 128 MiB
        let phys = |virt: u64| virt - kernel.page_offset();
        let root = phys(kernel.symbol("mem_section").unwrap());
        let sections = phys(u64::from_le_bytes(*kernel.memory().bytes(root, 8).first_chunk().unwrap()));
        kernel.overwrite(sections + 2 * 32, &[0; 8]);
        let dir = scratch();
        let (vmcore, out) = (dir.path().join("vmcore"), dir.path().join("out"));
        std::fs::write(&vmcore, kernel.vmcore()).unwrap();
        for level in ["0", "31"] {
            gdump_ok(&["-l", "-f", "-d", level, text(&vmcore), text(&out)]);
            let dump = open(&out);
            let lost: Vec<u64> = last.clone().filter(|pfn| !dump.kept.get(*pfn)).collect();
            assert!(lost.is_empty(), "{model:?} -d {level}: {} pages, {:#x}", lost.len(), lost[0]);
        }
    }
}

#[test]
fn arm64() {
    every_model(183);
}

#[test]
fn arm() {
    every_model(40);
}

#[test]
fn i386() {
    every_model(3);
}

#[test]
fn loongarch64() {
    every_model(258);
}

#[test]
fn ppc64() {
    every_model(21);
}

#[test]
fn riscv64() {
    every_model(243);
}

#[test]
fn s390x() {
    every_model(22);
}
