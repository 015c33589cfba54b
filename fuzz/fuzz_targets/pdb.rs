#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dump_fuzz::run("pdb", data));
