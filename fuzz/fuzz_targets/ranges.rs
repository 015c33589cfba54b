#![no_main]
//! Any bytes as a LiME image, as what AVML writes, and as bare memory.

use dump_core::{OpenOptions, PhysAddr};
use dump_raw::{AVML, LIME, RAW};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let base = data.first_chunk().map_or(0, |base| u64::from_le_bytes(*base));
    let options = OpenOptions { raw_base: Some(PhysAddr(base)) };
    for format in [&LIME, &AVML, &RAW] {
        if let Ok(source) = (format.open)(Box::new(data.to_vec()), &options) {
            gdump_fuzz::look(&source);
        }
    }
});
