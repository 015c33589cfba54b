#![no_main]
//! Any bytes as an ELF core.

use dump_elf::FORMAT;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(core) = (FORMAT.open)(Box::new(data.to_vec()), &Default::default()) {
        let notes = &core.meta().notes;
        let _ = (notes.describe(), notes.vmcoreinfo(), notes.cpus(), core.damage(), core.describe());
        gdump_fuzz::look(&core);
    }
});
