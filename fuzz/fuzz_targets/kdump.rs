#![no_main]
//! Any bytes as a kdump file, and as two parts of a split one.

use dump_core::{Part, Pfn, PfnRange};
use dump_kdump::FORMAT;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(file) = (FORMAT.open)(Box::new(data.to_vec()), &Default::default()) {
        gdump_fuzz::look(&file);
        let _ = (file.describe(), file.check_headers());
        let _ = file.checker().check(PfnRange::at(Pfn(0), 256), &mut |_| {});
    }
    let (one, other) = data.split_at(data.len() / 2);
    let part = |bytes: &[u8]| Part { name: "a part".to_owned(), bytes: Box::new(bytes.to_vec()) };
    if let Some(Ok(set)) = FORMAT.open_parts.map(|open| open(vec![part(one), part(other)])) {
        gdump_fuzz::look(&set);
    }
});
