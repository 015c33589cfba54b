//! Small dumps by the hundred: the fixture in other formats, with other options, one in ten broken in another way each.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::faults::Dice;
use crate::program;

/// One of so many jobs is broken.
pub const BROKEN: usize = 10;

/// Forms of the fixture that sound jobs read: names, and what makes them.
const FORMS: &[(&str, &[&str])] = &[
    ("zlib", &["-c", "-d", "31"]),
    ("lzo", &["-l", "-d", "31"]),
    ("zstd", &["-z", "-d", "31"]),
    ("plain", &["-d", "31"]),
    ("elf", &["-E", "-d", "31"]),
    ("all", &["-l", "-d", "1"]),
];

/// What sound jobs make of them.
const OPTIONS: &[&[&str]] = &[
    &["-c", "-d", "31"],
    &["-l", "-d", "31"],
    &["-z", "-d", "31"],
    &["-p", "-d", "31"],
    &["-E", "-d", "31"],
    &["-l", "-d", "17"],
    &["-l", "-d", "31", "--checksum"],
    &["-l", "-d", "31", "--pfn-range", "0..8192"],
    &["--format", "lime", "-d", "31"],
];

/// Makes the forms of `vmcore` in `dir`.
pub fn forms(gdump: &Path, vmcore: &Path, dir: &Path) -> Result<()> {
    for (name, options) in FORMS {
        program::quiet(Command::new(gdump).args(*options).arg(vmcore).arg(dir.join(name)))?;
    }
    Ok(())
}

/// So many jobs on inputs in `inputs`, which are made there; outputs are relative names.
pub fn jobs(inputs: &Path, count: usize, seed: u64) -> Result<Vec<Value>> {
    let whole = fs::read(inputs.join("zlib")).context("the form zlib")?;
    (0..count)
        .map(|n| {
            let name = format!("in-{n:04}");
            let path = inputs.join(&name);
            let sound = n % BROKEN != BROKEN - 1;
            if sound {
                let form = FORMS[n % FORMS.len()].0;
                fs::hard_link(inputs.join(form), &path)?;
            } else {
                break_one(&whole, &path, &mut Dice::of(seed, "batch", n as u32), n / BROKEN)?;
            }
            let options = OPTIONS[n % OPTIONS.len()];
            let input = path.to_str().context("a name that is not UTF-8")?;
            Ok(json!({"id": name, "input": input, "output": format!("out-{n:04}"), "options": options}))
        })
        .collect()
}

/// Writes what is left of a dump to `path`, in the way that `kind` selects.
fn break_one(whole: &[u8], path: &Path, dice: &mut Dice, kind: usize) -> Result<()> {
    let len = whole.len() as u64;
    let mut bytes = whole.to_vec();
    let mut damage = |from: u64, to: u64, times: usize| {
        for _ in 0..times {
            let at = dice.within(from, to) as usize;
            bytes[at] ^= 1 << dice.within(0, 8);
        }
    };
    match kind % 10 {
        0 => bytes.truncate(dice.within(1, 4096) as usize),
        1 => bytes.truncate(dice.within(4096, len) as usize),
        2 => bytes.clear(),
        3 => bytes = b"no dump\n".repeat(dice.within(1, 1000) as usize),
        4 => damage(0, 8, 4),
        5 => damage(0x2000, len, 2000),
        6 => {
            let from = dice.within(len / 2, len) as usize;
            bytes[from..].fill(0);
        }
        7 => return Ok(()), // there is none
        8 => return Ok(fs::create_dir(path)?),
        _ => {
            // a compressed file that ends early
            bytes = zstd::encode_all(&bytes[..], 1)?;
            bytes.truncate(dice.within(64, bytes.len() as u64) as usize);
        }
    }
    Ok(fs::write(path, bytes)?)
}
