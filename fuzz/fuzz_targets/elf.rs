#![no_main]
//! Any bytes as an ELF core.

use dump_core::{Container, PageSource};
use dump_elf::ElfCore;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(core) = ElfCore::open(data.to_vec()) {
        let notes = &core.meta().notes;
        let _ = (notes.describe(), notes.vmcoreinfo(), core.damage(), core.is_filtered());
        gdump_fuzz::look(&core);
    }
});
