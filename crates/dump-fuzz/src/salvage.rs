//! What is left of damaged files, as `repair` reads them.

use crate::Seed;
use crate::input::Input;
use crate::look::look_at_rest;
use crate::patch::Base;
use crate::samples::{self, seed};
use dump_core::{NoWatch, Part, ReadAt};
use dump_flat::{Beheaded, FlatIndex};
use std::sync::LazyLock;

/// Files of each format that is salvaged, and a flattened one.
static FILES: LazyLock<Vec<Base>> = LazyLock::new(|| {
    let seeds = [samples::kdump(), samples::elf(), samples::flat()].concat();
    seeds.into_iter().map(|(_, bytes)| Base::new(bytes)).collect()
});

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (base, from) = (input.one_of(&FILES), u64::from(input.u16()));
    let file = base.patched(&mut input);
    // without its first bytes as often as not
    let from = if from & 1 == 0 { 0 } else { from.min(file.len().unwrap()) };
    let mut bytes = vec![0; (file.len().unwrap() - from) as usize];
    file.read_exact_at(from, &mut bytes).unwrap();
    let part = || vec![Part { name: "a file".to_owned(), bytes: Box::new(bytes.clone()) }];
    for salvaged in [dump_kdump::salvage(part()), dump_elf::salvage(part())].into_iter().flatten() {
        look_at_rest(salvaged.as_ref());
    }
    if let Some(stream) =
        Beheaded::find(bytes.clone(), |start| start.starts_with(b"KDUMP") || start.starts_with(b"\x7fELF"))
    {
        let _ = FlatIndex::read_watched(stream, &NoWatch).map(|index| index.len());
    }
}

pub fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for file in 0..FILES.len() as u8 {
        seeds.push(seed(&format!("whole{file}"), [file]));
        seeds.push(seed(&format!("beheaded{file}"), [file, 1, 16]));
        seeds.push(seed(&format!("cut{file}"), [file, 0, 0, 12, 0, 0x38, 0, 0]));
        seeds.push(seed(&format!("headless{file}"), [file, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    }
    seeds
}
