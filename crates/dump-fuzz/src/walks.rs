//! Page tables of architectures that no fake has: arm64, riscv64, loongarch64. A second walk, written here from the
//! architectures' manuals, comes to the same place.

use crate::Seed;
use crate::input::Input;
use dump_core::{PageSize, PhysAddr, Result, VirtAddr};
use dump_kernel::arch::{ARCHES, MachineFacts};
use dump_kernel::{Le64, PhysReader, TableCache, Vmcoreinfo, WordLayout};
use std::collections::HashMap;

/// Tables lie at multiples of 64 KiB, the top one at the first.
const TABLE: u64 = 0x1_0000;

/// Words that are there; all others are zero.
struct Words(HashMap<u64, u64>);

impl Words {
    fn at(&self, at: u64) -> u64 {
        self.0.get(&at).copied().unwrap_or(0)
    }
}

impl PhysReader for Words {
    fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<()> {
        buf.fill(0);
        for (place, word) in &self.0 {
            let into = place.checked_sub(at.0).and_then(|into| buf.get_mut(into as usize..)?.first_chunk_mut());
            if let Some(bytes) = into {
                *bytes = word.to_le_bytes();
            }
        }
        Ok(())
    }
}

/// A kernel's shape.
struct Shape {
    elf_machine: u16,
    info: &'static str,
    /// log2 of the page size.
    page: u32,
    /// What an entry that leads to table `n` is.
    table: fn(u64) -> u64,
    walk: fn(&Shape, &Words, u64) -> Option<(u64, u64)>,
    /// Virtual bits, and those of the top table.
    bits: (u32, u32),
}

const ARM: &str =
    "SYMBOL(swapper_pg_dir)=ffff800000010000\nNUMBER(kimage_voffset)=0xffff800000000000\nNUMBER(VA_BITS)=";
const RISCV: &str =
    "SYMBOL(swapper_pg_dir)=ffffffff80010000\nNUMBER(va_kernel_pa_offset)=0xffffffff80000000\nNUMBER(VA_BITS)=";

const fn arm(page: u32, built: &'static str, running: u32, top: u32) -> Shape {
    Shape { elf_machine: 183, info: built, page, table: |at| at | 3, walk: arm64, bits: (running, top) }
}

const fn riscv(built: &'static str, bits: u32) -> Shape {
    Shape { elf_machine: 243, info: built, page: 12, table: |at| at >> 2 | 1, walk: riscv64, bits: (bits, bits) }
}

const fn loong(page: u32) -> Shape {
    Shape { elf_machine: 258, info: "", page, table: |at| at | 9 << 60, walk: loongarch64, bits: (0, 0) }
}

#[rustfmt::skip] // a row a shape
const SHAPES: [Shape; 13] = [
    arm(12, "39\n", 39, 39),
    arm(12, "48\n", 48, 48),
    arm(12, "52\nNUMBER(TCR_EL1_T1SZ)=0xc\n", 52, 52),
    arm(12, "52\nNUMBER(TCR_EL1_T1SZ)=0x10\n", 48, 48),
    arm(14, "47\n", 47, 47),
    arm(14, "52\nNUMBER(TCR_EL1_T1SZ)=0xc\n", 52, 52),
    arm(16, "52\nNUMBER(TCR_EL1_T1SZ)=0x10\n", 48, 52),
    arm(16, "42\n", 42, 42),
    riscv("39\n", 39),
    riscv("48\n", 48),
    riscv("57\n", 57),
    loong(12),
    loong(14),
];

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let shape = input.one_of(&SHAPES);
    let mut words = Words(HashMap::new());
    for _ in 0..input.u8() % 64 {
        let (table, index, kind) = (1 + u64::from(input.u8() % 8), u64::from(input.u16()) & 0x1fff, input.u8());
        let entry = if kind == 0 { (shape.table)((1 + u64::from(input.u8() % 8)) * TABLE) } else { input.u64() };
        words.0.insert(table * TABLE + 8 * index, entry);
    }
    let root = match shape.elf_machine {
        183 => ARM,
        243 => RISCV,
        _ => "SYMBOL(swapper_pg_dir)=9000000000010000\n",
    };
    let info = Vmcoreinfo::parse([root, shape.info].concat().as_bytes());
    let page_size = PageSize::from_bytes(1 << shape.page).unwrap();
    let facts = MachineFacts { symbols: &info, words: Le64::WORDS, page_size, segments: &[] };
    let arch = ARCHES.iter().find(|arch| arch.elf_machine() == shape.elf_machine).unwrap();
    let xlat = arch.page_tables(facts).unwrap();
    assert_eq!(xlat.root(), Some(PhysAddr(TABLE)));
    let mut cache = TableCache::default();
    for _ in 0..input.u8() % 16 {
        let at = input.u64();
        let want = (shape.walk)(shape, &words, at);
        let found = xlat.translate(&mut words, &mut cache, VirtAddr(at)).ok();
        assert_eq!(found.map(|found| (found.phys.0, found.bytes)), want, "{at:#x}");
        assert!(found.is_none_or(|found| found.virt.0 == at && found.bytes > 0));
    }
}

fn ones(bits: u32) -> u64 {
    (1 << bits) - 1
}

/// Where `at` lies in a leaf of `bits` bits.
fn leaf(frame: u64, at: u64, bits: u32) -> Option<(u64, u64)> {
    let into = at & ones(bits);
    Some(((frame & !ones(bits)) | into, ones(bits) + 1 - into))
}

/// Arm Architecture Reference Manual, D8.3.
fn arm64(shape: &Shape, words: &Words, at: u64) -> Option<(u64, u64)> {
    let ((running, top), page) = (shape.bits, shape.page);
    // bits 55 up to the address's are one; those above are a tag
    if at << 8 >> (8 + running) != ones(56 - running) {
        return None;
    }
    let mut below = page;
    while below + page - 3 < running {
        below += page - 3;
    }
    let (mut table, mut width) = (TABLE, top - below);
    let at = at | 0xff << 56;
    loop {
        let entry = words.at(table + 8 * (at >> below & ones(width)));
        let mut next = entry & ones(48) & !ones(page);
        if page == 16 {
            next |= (entry >> 12 & 0xf) << 48;
        } else if running == 52 {
            next |= (entry >> 48 & 0b11) << 48 | (entry >> 8 & 0b11) << 50;
        }
        let in_two_mib = if page == 12 { 30 } else { 2 * page - 3 };
        let largest = if page == 16 || running == 52 { in_two_mib + page - 3 } else { in_two_mib };
        match entry & 0b11 {
            0b11 if below == page => return leaf(next, at, page),
            0b11 => table = next,
            0b01 if below > page && below <= largest && entry & ones(below) >> 17 << 17 == 0 => {
                return leaf(next, at, below);
            }
            _ => return None,
        }
        (below, width) = (below - (page - 3), page - 3);
    }
}

/// RISC-V privileged architecture, Sv39 and Svnapot.
fn riscv64(shape: &Shape, words: &Words, at: u64) -> Option<(u64, u64)> {
    if ![0, u64::MAX >> (shape.bits.0 - 1)].contains(&(at >> (shape.bits.0 - 1))) {
        return None;
    }
    let (mut table, mut below) = (TABLE, shape.bits.0 - 9);
    loop {
        let entry = words.at(table + 8 * (at >> below & 511));
        let next = (entry >> 10 & ones(44)) << 12;
        match (entry & 0xf, entry >> 63) {
            (flags, _) if flags % 2 == 0 => return None,
            (1, _) if below == 12 => return None,
            (1, _) => table = next,
            (_, 0) => return if next & ones(below) == 0 { leaf(next, at, below) } else { None },
            _ => return if below == 12 && next >> 12 & 0xf == 8 { leaf(next, at, 16) } else { None },
        }
        below -= 9;
    }
}

/// LoongArch Reference Manual, volume 1, 5.2 and 5.4, as Linux uses it.
fn loongarch64(shape: &Shape, words: &Words, at: u64) -> Option<(u64, u64)> {
    let window = |at: u64| matches!(at >> 48, 0x8000 | 0x9000 | 0xa000).then_some(at & ones(48));
    if let Some(phys) = window(at) {
        return Some((phys, ones(48) + 1 - phys));
    }
    let (page, width) = (shape.page, shape.page - 3);
    let table_of = |entry: u64| window(entry).filter(|at| at & ones(page) == 0);
    let below = |table: u64| (0..=ones(width)).rev().find_map(|index| table_of(words.at(table + 8 * index)));
    let first = (matches!(at >> 56, 0 | 0xff)).then(|| below(TABLE))??;
    let (mut levels, mut table) = (1, Some(first));
    while let Some(next) = table {
        (levels, table) = (levels + 1, below(next));
        if levels > 4 {
            return None;
        }
    }
    let mut table = TABLE;
    for level in (0..levels).rev() {
        let entry = words.at(table + 8 * (at >> (page + level * width) & ones(width)));
        if level == 0 || entry & 0x40 != 0 {
            return if entry & 0x480 == 0 { None } else { leaf(entry & ones(48), at, page + level * width) };
        }
        table = table_of(entry)?;
    }
    None
}

/// A way down each shape's tables: the address whose index is 1 at each level, and a leaf.
pub fn seeds() -> Vec<Seed> {
    let seed = |(number, shape): (usize, &Shape)| {
        let (bits, width) = (if shape.bits.0 == 0 { 39 } else { shape.bits.0 }, shape.page - 3);
        let levels = (bits - shape.page).div_ceil(width);
        let leaf: u64 = if shape.elf_machine == 258 { 0xc0_0093 } else { 0xc0_0003 };
        let mut bytes = vec![number as u8, levels as u8];
        for level in 1..=levels {
            // table, index, kind, what it leads to
            let upper = if level == 1 {
                ones(shape.bits.1 - shape.bits.0) << (bits - shape.page - (levels - 1) * width)
            } else {
                0
            };
            bytes.push(level as u8 - 1);
            bytes.extend((1 | upper as u16).to_le_bytes());
            if level < levels {
                bytes.extend([0, level as u8]);
            } else {
                bytes.push(1);
                bytes.extend(leaf.to_le_bytes());
            }
        }
        let at = (0..levels).fold(0x123, |at, level| at | 1 << (shape.page + level * width));
        let above = if shape.elf_machine == 183 { u64::MAX << bits } else { 0 };
        bytes.push(1);
        bytes.extend((at | above).to_le_bytes());
        (format!("shape-{number}"), bytes)
    };
    SHAPES.iter().enumerate().map(seed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_reach_a_leaf() {
        for (name, bytes) in seeds() {
            let mut input = Input::new(&bytes);
            let shape = input.one_of(&SHAPES);
            let at = u64::from_le_bytes(*bytes.last_chunk().unwrap());
            let mut words = Words(HashMap::new());
            for _ in 0..input.u8() {
                let (table, index, kind) = (1 + u64::from(input.u8()), u64::from(input.u16()), input.u8());
                let entry = if kind == 0 { (shape.table)((1 + u64::from(input.u8())) * TABLE) } else { input.u64() };
                words.0.insert(table * TABLE + 8 * index, entry);
            }
            assert!((shape.walk)(shape, &words, at).is_some(), "{name} {at:#x}");
        }
    }
}
