#![no_main]
//! Any bytes as a LiME image, as what AVML writes, and as bare memory.

use dump_core::PhysAddr;
use dump_raw::{open_avml, open_lime, open_raw};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(image) = open_lime(data.to_vec()) {
        gdump_fuzz::look(&image);
    }
    if let Ok(image) = open_avml(data.to_vec()) {
        gdump_fuzz::look(&image);
    }
    let base = data.first_chunk().map_or(0, |base| u64::from_le_bytes(*base));
    if let Ok(image) = open_raw(data.to_vec(), PhysAddr(base)) {
        gdump_fuzz::look(&image);
    }
});
