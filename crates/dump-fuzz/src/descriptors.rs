//! A kdump file whose headers and bitmaps are sound, with any descriptors and any data.

use crate::Seed;
use crate::input::Input;
use crate::look::look;
use crate::samples::seed;
use dump_synth::{KdumpFile, Slot};

/// Flags that mean something, and some that do not.
const FLAGS: [u32; 8] = [0, 0, 1, 2, 4, 0x20, 3, 0x8000_0000];

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut file = KdumpFile::new(64).excluded(60..64);
    for pfn in 0..u64::from(input.u8() % 32) {
        let how = input.u8();
        let slot = match how & 7 {
            0 => Slot::Missing,
            1 => Slot::Zero,
            2 => Slot::Raw(input.u64() as i64, input.u32(), input.u32()),
            // within the data, or a little past it
            _ => Slot::Raw(0x5000 + i64::from(input.u16()), u32::from(input.u16()), FLAGS[usize::from(how >> 3 & 7)]),
        };
        file = file.page(2 * pfn, slot);
    }
    let mut bytes = file.to_bytes();
    let at = bytes.len().max(0x5000);
    bytes.resize(at, 0);
    bytes.extend(input.rest());
    let container = (dump_kdump::FORMAT.open)(Box::new(bytes), &Default::default()).expect("sound headers");
    look(container.as_ref());
}

pub fn seeds() -> Vec<Seed> {
    let zlib = miniz_oxide::deflate::compress_to_vec_zlib(&crate::samples::page(9), 6);
    let size = (zlib.len() as u16).to_le_bytes();
    let table = [&[2, 3 | 2 << 3, 0, 0][..], &size, &[3, 0, 0, 0, 0x10]].concat();
    vec![seed("zlib", [table, zlib].concat()), seed("missing", [3, 0, 1, 0])]
}
