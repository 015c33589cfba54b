//! Synthetic kernels of every architecture, in each shape that its page tables have: what is left out is what the recipe
//! says. Page table entries are made from the architectures' manuals and share no line of code with what reads them.

use crate::eras::filter;
use dump_synth::{Era, KernelBuilder, Leaf, Machine, MemModel, RootSymbol, StructPages, every_kind_on};

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
