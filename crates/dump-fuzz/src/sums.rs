//! Any text as the checksums of a dump, and the checksums of any bytes: they name each block that is not as it was.

use crate::Seed;
use crate::input::Input;
use crate::samples::{self, seed};
use dump_core::WriteAt;
use dump_kit::MemoryOutput;
use dump_sum::{Summed, Sums};

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    if input.u8() & 1 == 0 {
        let text = String::from_utf8_lossy(input.rest());
        if let Ok(sums) = Sums::parse(&text) {
            let again = Sums::parse(&sums.to_text()).expect("its own text");
            assert_eq!(again.to_text(), sums.to_text());
            assert!(sums.blocks().count() <= text.lines().count());
            let _ = sums.damaged(&data.to_vec());
        }
        return;
    }
    let (at, flip, bytes) = (input.u16(), input.u8(), input.rest());
    let output = MemoryOutput::default();
    let summed = Summed::new(&output);
    for (i, piece) in bytes.chunks(1000).enumerate() {
        summed.write_at(1000 * i as u64, piece).unwrap();
    }
    let mut file = output.bytes();
    let sums = summed.sums(&file).unwrap();
    assert!(sums.damaged(&file).unwrap().is_empty(), "as it was written");
    if let Some(byte) = file.get_mut(usize::from(at)) {
        *byte ^= flip;
        let found = sums.damaged(&file).unwrap();
        assert_eq!(found.iter().any(|range| range.contains(&u64::from(at))), flip != 0, "a changed byte");
    }
}

pub fn seeds() -> Vec<Seed> {
    let bytes = samples::lime_image();
    let output = MemoryOutput::default();
    let summed = Summed::new(&output);
    summed.write_at(0, &bytes).unwrap();
    let text = summed.sums(&output.bytes()).unwrap().to_text();
    vec![seed("text", [&[0], text.as_bytes()].concat()), seed("bytes", [&[1, 5, 0, 1], &bytes[..5000]].concat())]
}
