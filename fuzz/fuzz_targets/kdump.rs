#![no_main]
//! Any bytes as a kdump file, and as two parts of a split one.

use dump_core::{Pfn, PfnRange, Scratch};
use dump_kdump::{KdumpFile, KdumpSet};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(file) = KdumpFile::open(data.to_vec()) {
        gdump_fuzz::look(&file);
        let _ = file.check_headers();
        let _ = file.check(PfnRange::at(Pfn(0), 256), &mut Scratch::default(), &mut |_| {});
    }
    let (one, other) = data.split_at(data.len() / 2);
    if let (Ok(one), Ok(other)) = (KdumpFile::open(one.to_vec()), KdumpFile::open(other.to_vec())) {
        if let Ok(set) = KdumpSet::new(vec![one, other]) {
            gdump_fuzz::look(&set);
        }
    }
});
