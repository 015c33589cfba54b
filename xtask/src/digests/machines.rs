//! Machines without a kernel that gdump knows, for each word size, byte order and page size, in every container; and
//! kdump-compressed files of each version, as others wrote them.

use std::ops::Range;

use dump_synth::elf::{ElfCore, Load};
use dump_synth::{Endian, Era, FlatStream, KernelBuilder, Notes, Packing, Width};

use super::commands;
use super::subject::Subject;

/// An architecture whose struct pages are not walked (PowerPC and its number in ELF headers), so that nothing is left
/// out.
const NOT_WALKED: u16 = 22;

/// A machine with three stretches of RAM, a hole, and zero pages.
#[derive(Clone, Copy)]
struct Machine {
    width: Width,
    endian: Endian,
    page: u64,
}

impl Machine {
    /// Every page has bytes of its own; every fifth is zero.
    fn memory(self, pages: Range<u64>) -> Vec<u8> {
        let page =
            |pfn: u64| (0..self.page / 8).map(move |i| if pfn % 5 == 0 { 0 } else { (pfn << 32) + i * (pfn % 3) });
        pages.flat_map(page).flat_map(u64::to_le_bytes).collect()
    }

    fn elf(self) -> Vec<u8> {
        let info = format!("OSRELEASE=5.0.0-synth\nPAGESIZE={}\nCRASHTIME=1700000000\n", self.page);
        let notes =
            Notes::new(self.endian).note("CORE", 1, &[7; 144]).note("LINUX", 0x700, b"device").vmcoreinfo(&info);
        let mut core = ElfCore::new(self.width, self.endian, NOT_WALKED).note(notes.into_bytes());
        for run in [1..40, 64..200, 300..310] {
            let (start, data) = (run.start * self.page, self.memory(run));
            core = core.load(Load::new(start, 0x8000_0000 + start, data));
        }
        core.to_bytes()
    }
}

/// All machines, and files of all versions.
pub fn subjects() -> Vec<Subject> {
    let mut all = Vec::new();
    for width in [Width::W32, Width::W64] {
        for endian in [Endian::Little, Endian::Big] {
            all.extend([4096, 16384, 65536].map(|page| subject(Machine { width, endian, page })));
            all.extend([Packing::Packed, Packing::Padded].map(|packing| kdump_abi(width, endian, packing)));
        }
    }
    all.extend((0..=6).map(kdump_version));
    all.push(flat());
    all
}

fn subject(machine: Machine) -> Subject {
    let name = format!("machine {:?} {:?} {}", machine.width, machine.endian, machine.page);
    let mut list = commands::every_pair("in/vmcore", 0);
    list.extend(commands::convert("in/vmcore", &[0, 1, 31]));
    list.extend(["1", "3"].map(|threads| format!("--num-threads {threads} -c -d 1 in/vmcore out/o")));
    Subject::of_bytes(name, move || machine.elf(), list)
}

/// A small kernel, for files that others wrote.
const RECIPE: &str = "ram 0..0x900\nanon 0x100..0x180\ncache 0x180..0x1c0\nfree 0x400..0x600 order=9\nhwpoison 0x60";

fn others() -> Vec<String> {
    let mut list = commands::convert("in/vmcore", &[0, 1, 31]);
    list.extend(["info --json in/vmcore > out/json", "check in/vmcore", "-F -l in/vmcore > out/o"].map(String::from));
    list
}

fn kdump_version(version: i32) -> Subject {
    let bytes = move || KernelBuilder::new(Era::V6_1).recipe(RECIPE).build().kdump(1).version(version).to_bytes();
    Subject::of_bytes(format!("kdump version {version}"), bytes, others())
}

fn kdump_abi(width: Width, endian: Endian, packing: Packing) -> Subject {
    let bytes = move || {
        let kernel = KernelBuilder::new(Era::V6_1).recipe(RECIPE).build();
        kernel.kdump(1).abi(width, endian, packing).to_bytes()
    };
    Subject::of_bytes(format!("kdump {width:?} {endian:?} {packing:?}"), bytes, others())
}

/// A stream whose records stand in no order.
fn flat() -> Subject {
    let bytes = || {
        let file = KernelBuilder::new(Era::V6_1).recipe(RECIPE).build().kdump(1).to_bytes();
        FlatStream::of(&file, 40_000, |order| order.reverse()).to_bytes()
    };
    let mut list = others();
    list.extend(["-R in/vmcore out/o", "-R out/o < in/vmcore"].map(String::from));
    Subject::of_bytes("stream in reverse".to_owned(), bytes, list)
}
