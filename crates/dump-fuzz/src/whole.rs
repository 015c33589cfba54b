//! The whole program but its arguments and files: a small dump with changes is checked, filtered, converted to each
//! container, checked again and compared.

use crate::Seed;
use crate::input::Input;
use crate::patch::Base;
use crate::samples::seed;
use dump::{
    Budget, Bytes, Conversion, ConvertOptions, Converted, Dump, DumpLevel, FORMATS, Format, Image, KernelView,
    MemoryMap, NoWatch, OpenOptions, Part, PhysAddr, WriteAt, compare,
};
use dump_kit::MemoryOutput;
use dump_synth::{Era, FakeKernel, KernelBuilder, MemModel, lime_of};
use std::sync::LazyLock;

/// Dumps to begin with, each with the name of its format.
static BASES: LazyLock<Vec<(&'static str, Base)>> = LazyLock::new(|| {
    let (new, middle, old) = (kernel(Era::V6_12), kernel(Era::V5_1), kernel(Era::V3_8));
    let mut incomplete = middle.kdump(0);
    incomplete.status = 8;
    [
        ("elf", new.vmcore()),
        ("kdump", middle.kdump(0).to_bytes()),
        ("kdump", new.kdump(31).to_bytes()),
        ("lime", lime_of(new.memory())),
        ("elf", old.vmcore()),
        ("kdump", incomplete.to_bytes()),
    ]
    .map(|(name, bytes)| (name, Base::new(bytes)))
    .into()
});

/// A kernel with a page of each kind, in little memory.
fn kernel(era: Era) -> FakeKernel {
    let recipe = "ram 0x0..0x9f\nram 0x100..0x180\nanon 0x110..0x114\nanon 0x114 zero\ncache 0x118..0x11a\n\
        cache-private 0x11a\nhwpoison 0x11c\nthp 0x120 order=4\nfree 0x140 order=4\nslab 0x150\nkernel 0x151..0x154 noise";
    let builder = KernelBuilder::new(era).recipe(recipe).sections(24, 36);
    if era < Era::V4_4 { builder.model(MemModel::Flat) } else { builder }.build()
}

/// What is asked of a conversion.
struct Choice {
    format: &'static Format,
    codec: Option<dump::CodecId>,
    level: DumpLevel,
    files: usize,
    with_kernel: bool,
}

impl Choice {
    fn of(input: &mut Input<'_>) -> Choice {
        let formats: Vec<&'static Format> = FORMATS.iter().copied().filter(|format| format.output.is_some()).collect();
        let format = *input.one_of(&formats);
        let kdump = format.name == "kdump";
        let codecs: Vec<_> = std::iter::once(None).chain(dump::codecs().map(Some)).collect();
        let (codec, files, level) = (*input.one_of(&codecs), usize::from(input.u8() & 3), input.u8());
        Choice {
            format,
            codec: codec.filter(|_| kdump),
            level: DumpLevel::new(u32::from(level & 31)).unwrap(),
            files: if kdump { files.max(1) } else { 1 },
            with_kernel: level & 32 != 0,
        }
    }
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (name, base) = input.one_of(&BASES);
    let choice = Choice::of(&mut input);
    let bytes: Bytes = Box::new(base.patched(&mut input));
    let format = dump::format(name).unwrap();
    if let Ok(container) = (format.open)(bytes, &OpenOptions::default()) {
        crate::alone(|| through(Dump::from_container(container, "input"), &choice));
    }
}

fn through(dump: Dump, choice: &Choice) {
    let Ok(wrong) = dump.check() else { return };
    let Ok(image) = dump.into_image(&NoWatch) else { return };
    let view = image.kernel_view().ok().filter(|_| choice.with_kernel || choice.level.needs_kernel());
    if choice.level.needs_kernel() && view.is_none() {
        return;
    }
    let Some((converted, outputs)) = convert(&image, view.as_ref(), choice) else { return };
    let complete = converted.outcome.is_complete();
    // what a check vouches for can be read to its end
    assert!(complete || !wrong.is_sound(), "a check found no damage: {:?}", converted.outcome);
    if complete || choice.format.incomplete_flag.is_some() {
        judge(&image, view.is_some(), choice, complete, outputs);
    }
}

fn convert(image: &Image, view: Option<&KernelView>, choice: &Choice) -> Option<(Converted, Vec<MemoryOutput>)> {
    let options = ConvertOptions {
        codec: choice.codec,
        level: choice.level,
        files: choice.files,
        split_block: 1 << 18,
        budget: Budget::new(Some(1 << 40)),
        ..ConvertOptions::new(choice.format)
    };
    let memory = image.memory();
    let conversion = Conversion::new(image, &memory, view, &options, &|_| Ok(()), &NoWatch).ok()?;
    let outputs: Vec<MemoryOutput> = (0..choice.files).map(|_| MemoryOutput::full_at(256 << 20)).collect();
    let files: Vec<&dyn WriteAt> = outputs.iter().map(|output| output as &dyn WriteAt).collect();
    let converted = conversion.run(&files).ok()?;
    Some((converted, outputs))
}

/// The output against what it was made of.
fn judge(image: &Image, filtered: bool, choice: &Choice, complete: bool, outputs: Vec<MemoryOutput>) {
    let raw = choice.format.name == "raw";
    let mut files: Vec<Bytes> = outputs.iter().map(|output| Box::new(output.bytes()) as Bytes).collect();
    let options =
        OpenOptions { raw_maps: if raw { vec![MemoryMap::from_base(PhysAddr(0))] } else { Vec::new() }, live: false };
    let opened = match choice.format.open_parts.filter(|_| files.len() > 1) {
        Some(open) => open(files.into_iter().map(|bytes| Part { name: String::new(), bytes }).collect(), &options),
        None => (choice.format.open)(files.remove(0), &options),
    };
    let opened = match opened {
        Ok(opened) => opened,
        // nothing to put into a file that has no headers
        Err(e) => return assert!(outputs.iter().all(MemoryOutput::is_empty) || !complete, "the output: {e}"),
    };
    let again = Dump::from_container(opened, "output");
    let found = compare(image.source(), again.source()).unwrap();
    // bare memory has zeros where a page is left out, or where there is none
    assert!(raw || found.differ == 0, "pages differ: {found:?}");
    if complete {
        assert!(found.damaged[1] == 0, "the output lost pages: {found:?}");
        assert!(
            raw || filtered || choice.level.needs_kernel() || found.only_other[1] == 0,
            "pages are missing: {found:?}"
        );
        if !image.meta().incomplete {
            assert_eq!(again.check().unwrap().damage, [""; 0], "a check of the output");
        }
    } else {
        assert!(again.meta().incomplete, "not flagged incomplete");
    }
}

pub fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for base in 0..BASES.len() as u8 {
        for format in 0..4 {
            let (codec, files) = (format + base, base % 3);
            seeds.push(seed(&format!("all-{base}-{format}"), [base, format, codec, files, 0]));
            seeds.push(seed(&format!("few-{base}-{format}"), [base, format, codec, files, 31 | 32]));
        }
        seeds.push(seed(&format!("cut-{base}"), [base, 1, 1, 1, 0, 1 | 12, 0, 1, 0, 0]));
    }
    seeds
}
