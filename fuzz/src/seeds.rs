//! Writes inputs for the targets to begin with, a folder each: `seeds DIR`. Small ones, since a fuzzer changes bytes at
//! random.

use std::error::Error;
use std::fs;
use std::path::Path;

use dump_synth::{ElfCore, Endian, FlatStream, KdumpFile, Load, Notes, Slot, lime};

/// Any text that looks like one.
const VMCOREINFO: &str = "OSRELEASE=6.1.0\nPAGESIZE=4096\nSIZE(page)=64\n";

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args().nth(1).ok_or("usage: seeds DIR")?;
    let write = |target: &str, name: &str, bytes: &[u8]| -> Result<(), Box<dyn Error>> {
        let dir = Path::new(&dir).join(target);
        fs::create_dir_all(&dir)?;
        Ok(fs::write(dir.join(name), bytes)?)
    };
    let notes = || Notes::new(Endian::Little).vmcoreinfo(VMCOREINFO).into_bytes();
    let page = |byte: u8| (0..4096u32).map(|i| byte.wrapping_mul((i / 64) as u8)).collect::<Vec<u8>>();

    let mut kdump = KdumpFile::new(40).notes(notes(), VMCOREINFO);
    kdump.ram = (2..40).collect();
    kdump.dump_level = 1;
    kdump = kdump.page(3, Slot::Stored(0, page(1))).page(4, Slot::Zero).page(9, Slot::Stored(0, page(3)));
    let kdump_bytes = kdump.to_bytes();
    write("kdump", "one", &kdump_bytes)?;
    for (i, part) in kdump.split_at(&[8]).into_iter().enumerate() {
        write("kdump", &format!("part{i}"), &part.to_bytes())?;
    }

    let load = |start: u64, pages: u8| Load::new(start, 0xffff_8880_0000_0000 + start, page(pages));
    let core = ElfCore::x86_64().note(notes()).load(load(0x1000, 7)).load(load(0x8000, 9));
    let core_bytes = core.to_bytes();
    write("elf", "core", &core_bytes)?;
    write("elf", "qemu", &core.like_qemu().to_bytes())?;

    for (name, bytes) in [("elf", &core_bytes), ("kdump", &kdump_bytes)] {
        write("flat", name, &FlatStream::of(bytes, 1000, |order| order.reverse()).to_bytes())?;
    }
    write("ranges", "lime", &lime(&[(0x1000, page(5)), (0x10_0000, page(6))]))?;
    for (name, bytes) in [("page", page(3)), ("words", b"abcabcabd 0123 0123".repeat(9)), ("short", vec![1, 2, 3, 4])] {
        write("deflate", name, &bytes)?;
    }
    Ok(())
}
