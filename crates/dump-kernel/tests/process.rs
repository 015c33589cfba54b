//! User addresses go by the page tables of the process that ran where the kernel crashed, kernel addresses by the
//! kernel's, and where the one part ends is not known on machines of 32 bits.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, dead_code, reason = "tests")]

mod common;

use common::{Memory, kernel};
use dump_core::VirtAddr;
use dump_synth::{Endian, Entries, Era, FakeKernel, KernelBuilder, Machine, Width};

/// Where, in the kernel's text, which is empty, variables are put (bytes).
const SPARE: u64 = 0x8000;
/// And tables.
const TABLES: u64 = 0x10000;

const CPUS: u64 = 0x10;
const VARIABLE: u64 = 0x100;
const OF_CPU_1: u64 = 0x40;
const TASK: u64 = 0x200;
const MM: u64 = 0x300;

/// A kernel that crashed on CPU 1, whose task is found by `variable`.
fn crashed(machine: &Machine, variable: &str, offset: &str) -> FakeKernel {
    let builder = KernelBuilder::new(Era::V6_1).machine(*machine).recipe("ram 0..0x2000");
    let at = builder.clone().build().image_virt() + SPARE;
    let keys = [
        format!("SYMBOL(panic_cpu)={at:x}"),
        format!("SYMBOL(__per_cpu_offset)={:x}", at + CPUS),
        format!("SYMBOL({variable})={:x}", at + VARIABLE),
        offset.to_owned(),
        "OFFSET(task_struct.mm)=16".to_owned(),
        "OFFSET(mm_struct.pgd)=32".to_owned(),
    ];
    let mut fake = keys.iter().fold(builder, |builder, key| builder.extra(key)).build();
    put(&mut fake, machine, SPARE, 1, 4);
    let word = machine.width.bytes() as u64;
    put(&mut fake, machine, SPARE + CPUS + word, OF_CPU_1, word);
    let into = if offset.is_empty() { 0 } else { 8 };
    for (place, target) in [(VARIABLE + OF_CPU_1 + into, SPARE + TASK), (TASK + 16, SPARE + MM), (MM + 32, TABLES)] {
        let target = fake.image_virt() + target;
        put(&mut fake, machine, SPARE + place, target, word);
    }
    fake
}

/// Writes a number of `bytes` so far into the image.
fn put(fake: &mut FakeKernel, machine: &Machine, into: u64, value: u64, bytes: u64) {
    let all = if machine.endian == Endian::Big { value.to_be_bytes() } else { value.to_le_bytes() };
    let part = if machine.endian == Endian::Big { &all[8 - bytes as usize..] } else { &all[..bytes as usize] };
    fake.overwrite(fake.image().start + into, part);
}

fn phys_of(fake: &FakeKernel, machine: &'static Machine, at: u64) -> Result<u64, String> {
    let found = kernel(fake, machine).phys_of(&Memory(fake.memory()), VirtAddr(at));
    found.map(|at| at.0).map_err(|e| e.to_string())
}

#[test]
fn of_arm64() {
    let machine = Machine::REAL.iter().find(|machine| machine.name == "aarch64").unwrap();
    assert_eq!((machine.page_size, machine.levels), (4096, &[9; 4][..]));
    for (variable, offset) in [("__entry_task", ""), ("runqueues", "OFFSET(rq.curr)=8")] {
        let mut fake = crashed(machine, variable, offset);
        let at: u64 = 0x7f12_3456_789a;
        let table = |fake: &FakeKernel, level: u64| fake.image().start + TABLES + level * 0x1000;
        for (level, shift) in [(0, 39), (1, 30)] {
            let next = table(&fake, level + 1) | 3;
            put(&mut fake, machine, TABLES + level * 0x1000 + (at >> shift & 511) * 8, next, 8);
        }
        // a block of 2 MiB: accessed, shareable, a user's
        put(&mut fake, machine, TABLES + 0x2000 + (at >> 21 & 511) * 8, 0x1_2340_0000 | 0x741, 8);
        assert_eq!(phys_of(&fake, machine, at), Ok(0x1_2340_0000 + (at & 0x1f_ffff)), "{variable}");
        assert!(phys_of(&fake, machine, at ^ 1 << 30).unwrap_err().contains("the process that crashed: "));
        let own = fake.image_virt() + 0x1234;
        assert_eq!(phys_of(&fake, machine, own), Ok(fake.image().start + 0x1234));
    }
}

#[test]
fn of_machines_of_32_bits() {
    for machine in Machine::REAL.iter().filter(|machine| machine.width == Width::W32) {
        let mut fake = crashed(machine, "runqueues", "OFFSET(rq.curr)=8");
        // the kernel's part is in the process's table too
        let size = (machine.entry << machine.levels[0]).next_multiple_of(0x1000);
        let top = fake.memory().bytes(fake.page_table_root(), size);
        fake.overwrite(fake.image().start + TABLES, &top);
        let at: u64 = 0x5012_3456;
        let shift = 32 - machine.levels[0];
        let (entry, within) = match (machine.name, machine.entries) {
            ("i686", Entries::Pae) => {
                let next = fake.image().start + TABLES + 0x4000;
                put(&mut fake, machine, TABLES + 0x4000 + (at >> 21 & 511) * 8, 0x1_2340_0000 | 0xe7, 8);
                (next | 1, 21)
            }
            ("i686", _) => (0x2340_0000 | 0xe7, 22),
            (_, Entries::Short) => (0x2340_0000 | 0xc0e, 20),
            // 1 GiB
            _ => (0x1_4000_0000 | 0x741, 30),
        };
        put(&mut fake, machine, TABLES + (at >> shift) * machine.entry, entry, machine.entry);
        let (page, what) = (1u64 << within, format!("{} of {} bytes an entry", machine.name, machine.entry));
        let start = match within {
            21 => 0x1_2340_0000,
            30 => 0x1_4000_0000,
            _ => 0x2340_0000,
        };
        assert_eq!(phys_of(&fake, machine, at), Ok(start + (at & (page - 1))), "{what}");
        assert_eq!(phys_of(&fake, machine, fake.image_virt() + 0x1234), Ok(fake.image().start + 0x1234), "{what}");
        let e = phys_of(&fake, machine, 0x9000_0000).unwrap_err();
        assert!(e.contains("the process that crashed: ") && e.contains("not mapped"), "{what}: {e}");
        // no CPU crashed
        put(&mut fake, machine, SPARE, u64::MAX, 4);
        let e = phys_of(&fake, machine, at).unwrap_err();
        assert!(e.contains("0x50123456 is not mapped by the kernel") && e.contains("no CPU crashed"), "{what}: {e}");
    }
}

/// The lowcore begins there, and all addresses are the kernel's.
#[test]
fn address_0_of_s390x() {
    let machine = Machine::REAL.iter().find(|machine| machine.name == "s390x" && machine.is_of(Era::V6_1)).unwrap();
    let fake = KernelBuilder::new(Era::V6_1).machine(*machine).build();
    assert_eq!(phys_of(&fake, machine, 0), Ok(0));
    assert_eq!(phys_of(&fake, machine, 0x1234), Ok(0x1234));
}
