//! Bits of a dump's headers that flipped: no page is left out and none has another's bytes, or the dump is refused, or
//! something is said.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use dump::{
    Budget, Conversion, ConvertOptions, Dump, DumpLevel, Format, NoWatch, OpenOptions, ReadAt, Result, compare,
};
use dump_kit::MemoryOutput;
use dump_synth::{Era, FakeKernel, KernelBuilder, MemModel};

use std::ops::Range;
use std::sync::{Arc, Mutex};

/// A file with one bit that is not as it was.
struct Flipped {
    bytes: Arc<Vec<u8>>,
    bit: Option<u64>,
}

impl ReadAt for Flipped {
    fn len(&self) -> Result<u64> {
        ReadAt::len(self.bytes.as_ref())
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.bytes.read_exact_at(offset, buf)?;
        let at = self.bit.and_then(|bit| (bit / 8).checked_sub(offset));
        let byte = at.and_then(|at| buf.get_mut(usize::try_from(at).ok()?));
        byte.into_iter().for_each(|byte| *byte ^= 1 << (self.bit.unwrap() % 8));
        Ok(())
    }
}

/// What came of a dump at level 31, and what was said.
struct Made {
    dump: Dump,
    said: Vec<String>,
}

/// The dump of level 31, as the program makes it.
///
/// # Errors
/// Why it refuses to.
fn made(format: &'static Format, file: Flipped) -> Result<Made> {
    let container = (format.open)(Box::new(file), &OpenOptions::default())?;
    let image = Dump::from_container(container, "input").into_image(&NoWatch)?;
    let view = image.kernel_view()?;
    let said = Mutex::new(Vec::new());
    let options = ConvertOptions {
        level: DumpLevel::all(),
        budget: Budget::new(Some(1 << 30)),
        ..ConvertOptions::new(dump::format("kdump").unwrap())
    };
    let (memory, output) = (image.memory(), MemoryOutput::full_at(256 << 20));
    let note = |unknown: dump::Unidentified<'_>| {
        said.lock().unwrap().push(format!("{}: {}", unknown.class, unknown.why));
        Ok(())
    };
    let conversion = Conversion::new(&image, &memory, Some(&view), &options, &note, &NoWatch)?;
    let outcome = conversion.run(&[&output])?.outcome;
    let mut said = said.into_inner().unwrap();
    said.extend(image.remarks().iter().chain(image.damage()).chain(image.doubts()).map(ToString::to_string));
    said.extend((!outcome.is_complete()).then(|| format!("{outcome:?}")));
    said.extend(image.meta().incomplete.then(|| "flagged incomplete".to_owned()));
    let again = (dump::format("kdump").unwrap().open)(Box::new(output.bytes()), &OpenOptions::default())?;
    Ok(Made { dump: Dump::from_container(again, "output"), said })
}

/// Flips the bits of `areas` of a file, one after the other.
fn flip(what: &str, name: &str, bytes: Vec<u8>, areas: &[(&str, Range<u64>)]) {
    let (format, bytes) = (dump::format(name).unwrap(), Arc::new(bytes));
    let file = |bit| Flipped { bytes: Arc::clone(&bytes), bit };
    let right = made(format, file(None)).unwrap();
    let step = if std::env::var_os("GDUMP_PROOF").is_some() { 1 } else { 19 };
    let (mut tried, mut refused, mut said, mut same, mut silent) = (0, 0, 0, 0, Vec::new());
    for (i, (area, range)) in areas.iter().enumerate() {
        for bit in (range.start * 8 + i as u64 % step..range.end * 8).step_by(step as usize) {
            tried += 1;
            let Ok(made) = made(format, file(Some(bit))) else {
                refused += 1;
                continue;
            };
            let found = compare(right.dump.source(), made.dump.source()).unwrap();
            let lost = found.only_other[1] + found.differ + found.damaged[1];
            match lost {
                0 => same += 1,
                _ if made.said.iter().any(|text| !right.said.contains(text)) => said += 1,
                _ => silent.push(format!("{area}, byte {:#x} bit {}: {found:?}", bit / 8 - range.start, bit % 8)),
            }
        }
    }
    println!("{what}: {tried} bits, {refused} refused, {same} all pages, {said} less and said, {} not", silent.len());
    assert!(silent.is_empty(), "{what}: {silent:#?}");
}

/// A kernel with a page of each kind, in little memory of two pieces.
fn kernel(era: Era) -> FakeKernel {
    let recipe = "ram 0x0..0x9f\nram 0x100..0x180\nanon 0x110..0x114\nanon 0x114 zero\ncache 0x118..0x11a\n\
        cache-private 0x11a\nhwpoison 0x11c\nthp 0x120 order=4\nfree 0x140 order=4\nslab 0x150\nkernel 0x151..0x154 noise";
    let builder = KernelBuilder::new(era).recipe(recipe).sections(24, 36);
    if era < Era::V4_4 { builder.model(MemModel::Flat) } else { builder }.build()
}

fn number(bytes: &[u8], at: u64, len: usize) -> u64 {
    let at = at as usize;
    bytes[at..at + len].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The headers and names of the notes in a part of a file.
fn notes(bytes: &[u8], place: Range<u64>) -> Vec<(&'static str, Range<u64>)> {
    let (mut at, mut areas) = (place.start, Vec::new());
    while at + 12 <= place.end {
        let (name, desc) = (number(bytes, at, 4), number(bytes, at + 4, 4));
        areas.push(("note", at..at + 12 + name));
        at += 12 + name.next_multiple_of(4) + desc.next_multiple_of(4);
    }
    areas
}

#[test]
fn each_bit_of_elf_headers() {
    for era in [Era::V3_8, Era::V5_1, Era::V6_12] {
        let fake = kernel(era);
        let core = fake.elf();
        let (layout, bytes) = (core.layout(), core.to_bytes());
        let of = |i: u64| layout.phoff + 56 * i..layout.phoff + 56 * (i + 1);
        let mut areas = vec![("ELF header", 0..64), ("PT_NOTE", of(0))];
        areas.extend((1..layout.segments).map(|i| ("PT_LOAD", of(i))));
        let len = number(&bytes, layout.phoff + 32, 8);
        areas.extend(notes(&bytes, layout.notes[0]..layout.notes[0] + len));
        flip(&format!("{era} ELF"), "elf", bytes, &areas);
    }
}

#[test]
fn each_bit_of_kdump_headers() {
    for era in [Era::V5_1, Era::V6_12] {
        let file = kernel(era).kdump(0);
        let (layout, bytes) = (file.layout(), file.to_bytes());
        let mut areas = vec![("main header", 0..464), ("sub header", 4096..4096 + 112)];
        let len = number(&bytes, 4096 + 56, 8);
        areas.extend(notes(&bytes, layout.notes..layout.notes + len));
        flip(&format!("{era} kdump"), "kdump", bytes, &areas);
    }
}
