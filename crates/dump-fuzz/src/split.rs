//! Parts of a split dump, with changes, in any order and number.

use crate::Seed;
use crate::input::Input;
use crate::look::look;
use crate::patch::Base;
use crate::samples::{self, seed};
use dump_core::{Container, OpenOptions, Part};
use dump_kdump::FORMAT;
use std::sync::LazyLock;

/// Parts of one dump cut in three, and one of another dump cut elsewhere.
static PARTS: LazyLock<Vec<Base>> = LazyLock::new(|| {
    let file = samples::kdump_file();
    let parts = [file.split_at(&[6, 10]), file.split_at(&[8])].concat();
    parts.iter().map(|part| Base::new(part.to_bytes())).collect()
});

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let chosen: Vec<usize> = (0..1 + input.u8() % 5).map(|_| usize::from(input.u8()) % PARTS.len()).collect();
    let rest = input.rest();
    if let Some(set) = open(chosen.iter().copied(), rest) {
        look(set.as_ref());
        let other = open(chosen.into_iter().rev(), rest).expect("the order of parts does not matter");
        let found = crate::alone(|| dump::compare(&set, &other)).unwrap();
        assert!(found.differ == 0 && found.only_one() == 0 && found.damaged == [0, 0], "{found:?}");
    }
}

/// All parts have the same changes: a fuzzer finds those that matter in common.
fn open(parts: impl Iterator<Item = usize>, changes: &[u8]) -> Option<Box<dyn Container>> {
    let part =
        |i: usize| Part { name: format!("part {i}"), bytes: Box::new(PARTS[i].patched(&mut Input::new(changes))) };
    FORMAT.open_parts.expect("kdump files can be split")(parts.map(part).collect(), &OpenOptions::default()).ok()
}

pub fn seeds() -> Vec<Seed> {
    vec![seed("three", [2, 0, 1, 2]), seed("two", [1, 3, 4]), seed("one", [0, 3]), seed("mixed", [4, 0, 1, 2, 3, 4])]
}
