//! Any bytes as the PDB of a made-up Windows guest's kernel: a header for its memory, or an error.

use crate::Seed;
use crate::samples::seed;
use dump_synth::{DmpFile, DmpKind, WindowsGuest, windows};
use dump_win::guest::{Cpu, KernelImage, build, find_kernel};
use dump_win::{WindowsDump, open};
use std::sync::LazyLock;

/// A guest's memory, its CPU, and its kernel.
static GUEST: LazyLock<(WindowsDump, [Cpu; 1], KernelImage)> = LazyLock::new(|| {
    let guest = WindowsGuest::new(true, [0; 5]);
    let file = DmpFile::new(DmpKind::Full, &WindowsGuest::RAM);
    let dump = open(file.to_bytes(|pfn| guest.memory.page(pfn).unwrap_or_default())).expect("a sound dump");
    let cpus = [Cpu { cr3: windows::ROOT, idt: windows::IDT, ..Cpu::default() }];
    let kernel = find_kernel(&dump, &cpus).expect("it has a kernel");
    (dump, cpus, kernel)
});

pub fn pdb(data: &[u8]) {
    let (dump, cpus, kernel) = &*GUEST;
    if let Ok(done) = build(dump, cpus, kernel, Box::new(data.to_vec())) {
        assert_eq!(done.header.debugger_data().is_some(), !done.patches.is_empty(), "KDBG is encoded there");
    }
}

pub fn seeds() -> Vec<Seed> {
    vec![seed("pdb", WindowsGuest::pdb(None))]
}
