#![no_main]
//! Any bytes as an ELF core.

use dump_core::PageSize;
use dump_elf::ElfCore;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(core) = ElfCore::open(data.to_vec()) {
        let _ = (core.describe_notes(), core.vmcoreinfo(), core.truncation(), core.is_filtered());
        gdump_fuzz::look(&core.into_source(PageSize::K4));
    }
});
