//! Writes the vmcore of a fake kernel: `synth ERA MODEL OUT [OPTION...]`, then prints what filtering it must give.
//!
//! MODEL: flat, sparse, sparse-vmemmap, extreme-array, extreme-pointer, extreme-address, extreme-k4, extreme-direct.
//! `synth large GIB OUT` writes a machine of any size.
//! OPTION: kdump, split, flat, lime (the kind of file; a vmcore without), hvo, 5level, kaslr, sme, numa, small
//! (sections of 16 MiB), k4 (direct map of 4 KiB pages), broken, loop.
#![allow(clippy::print_stdout, reason = "it is a command")]

use std::error::Error;
use std::fs;

use dump_synth::{
    Era, FakeKernel, FlatStream, FreeLists, KernelBuilder, Leaf, MemModel, RootSymbol, StructPages, every_kind, lime_of,
};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [word, gib, out] = args.as_slice() {
        if word == "large" {
            return large(gib.parse()?, out);
        }
    }
    let [era, model, out, options @ ..] = args.as_slice() else {
        return Err("usage: synth ERA MODEL OUT [OPTION...], or synth large GIB OUT".into());
    };
    let era: Era = era.parse()?;
    let mut builder = KernelBuilder::new(era).model(model_named(model)?).recipe(&every_kind(era));
    for option in options {
        builder = with_option(builder, option)?;
    }
    let kernel = builder.build();
    write(&kernel, out, options)?;
    for level in [0, 1, 2, 4, 8, 16, 31] {
        let expected = kernel.expected(level);
        fs::write(format!("{out}.d{level:02}"), expected.bitmap(kernel.max_pfn()))?;
        println!("{level} {:?} kept={}", expected.counts, expected.kept.len());
    }
    println!("ram {:x?} phys_base {}", kernel.ram(), kernel.phys_base());
    Ok(())
}

/// A machine of `gib` GiB as a sparse file, with a struct page for each page: of each 128 MiB a third is free in large
/// blocks, a third anonymous (half of it in huge pages), a sixth page cache, the rest the kernel's.
fn large(gib: u64, out: &str) -> Result<(), Box<dyn Error>> {
    let mut recipe = String::from("ram 0..0x8000\n");
    let huge = (0x4000..0x5800).step_by(0x200).map(|pfn| format!("thp {pfn:#x} order=9\n"));
    let free = (0x400..0x2c00).step_by(0x400).map(|pfn| format!("free {pfn:#x} order=10\n"));
    recipe.extend(free.chain(huge));
    recipe += "anon 0x2c00..0x4000\ncache 0x5800..0x6c00\nslab 0x6c00..0x7000\n";
    let kernel = KernelBuilder::new(Era::V6_1).recipe(&recipe).repeated_to(gib << 18).build();
    Ok(kernel.write_sparse(&fs::File::create(out)?)?)
}

fn write(kernel: &FakeKernel, out: &str, options: &[String]) -> Result<(), Box<dyn Error>> {
    let asked = |name: &str| options.iter().any(|option| option == name);
    if asked("kdump") {
        fs::write(out, kernel.kdump(1).to_bytes())?;
    } else if asked("flat") {
        fs::write(out, FlatStream::of(&kernel.vmcore(), 100_000, |order| order.reverse()).to_bytes())?;
    } else if asked("lime") {
        fs::write(out, lime_of(kernel.memory()))?;
    } else if asked("split") {
        for (index, part) in (0..).zip(kernel.kdump(31).split_at(&[0x400, 0x1000])) {
            fs::write(format!("{out}.{index}"), part.to_bytes())?;
        }
        fs::write(out, kernel.kdump(31).to_bytes())?;
    } else {
        fs::write(out, kernel.vmcore())?;
    }
    Ok(())
}

fn model_named(name: &str) -> Result<MemModel, String> {
    let huge = StructPages::Vmemmap(Leaf::M2);
    Ok(match name {
        "flat" => MemModel::Flat,
        "sparse" => MemModel::Sparse(StructPages::DirectMap),
        "sparse-vmemmap" => MemModel::Sparse(huge),
        "extreme-array" => MemModel::SparseExtreme(RootSymbol::Array, huge),
        "extreme-pointer" => MemModel::SparseExtreme(RootSymbol::PointerValue, huge),
        "extreme-address" => MemModel::SparseExtreme(RootSymbol::PointerAddress, huge),
        "extreme-k4" => MemModel::SparseExtreme(RootSymbol::PointerValue, StructPages::Vmemmap(Leaf::K4)),
        "extreme-direct" => MemModel::SparseExtreme(RootSymbol::Array, StructPages::DirectMap),
        _ => return Err(format!("no memory model is called {name:?}")),
    })
}

fn with_option(builder: KernelBuilder, option: &str) -> Result<KernelBuilder, String> {
    Ok(match option {
        "5level" => builder.five_level(),
        "kaslr" => builder.kaslr(0x31c0_0000),
        "sme" => builder.sme_mask(1 << 47),
        "numa" => builder.numa(),
        "small" => builder.sections(24, 36),
        "k4" => builder.direct_leaf(Leaf::K4),
        "hvo" => builder.recipe("ram 0x4000..0x4400\nhugetlb 0x4000 order=9 hvo\nhugetlb 0x4200 order=8 hvo"),
        "kdump" | "split" | "flat" | "lime" => builder,
        "broken" => builder.free_lists(FreeLists::BrokenPrev),
        "loop" => builder.free_lists(FreeLists::Loop),
        _ => return Err(format!("no option is called {option:?}")),
    })
}
