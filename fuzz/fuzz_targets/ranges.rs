#![no_main]
//! Any bytes as a LiME image, as what AVML writes, and as bare memory.

use dump_core::{PageSize, PhysAddr};
use dump_raw::{AvmlSource, LimeSource, RawSource};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(source) = LimeSource::open(data.to_vec(), PageSize::K4) {
        gdump_fuzz::look(&source);
    }
    if let Ok(source) = AvmlSource::open(data.to_vec(), PageSize::K4) {
        gdump_fuzz::look(&source);
    }
    let base = data.first_chunk().map_or(0, |base| u64::from_le_bytes(*base));
    if let Ok(source) = RawSource::new(data.to_vec(), PhysAddr(base), PageSize::K4) {
        gdump_fuzz::look(&source);
    }
});
