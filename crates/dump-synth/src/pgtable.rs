//! x86_64 page tables with 4 or 5 levels, written into the fake memory.
//!
//! An entry is the physical address of the next table or of the page, plus flags: bit 0 present, bit 7 "this is the page"
//! above the lowest level, bit 63 no-execute. Entries here also carry what real ones may: the memory encryption bit, bit 12
//! (PAT) in large pages and a software bit (52), so that a reader that masks too little goes astray.

use crate::arena::Arena;
use crate::memory::{FakeMemory, PAGE_SIZE};

const TABLE: u64 = 0x67; // present, writable, user, accessed, dirty
const PAGE: u64 = 0x163 | 1 << 52 | 1 << 63; // present, writable, accessed, dirty, global; software bit; no-execute
const LARGE: u64 = 1 << 7 | 1 << 12; // PSE, PAT

/// Size of the pages a mapping is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaf {
    /// 4 KiB: entries in the lowest table.
    K4,
    /// 2 MiB.
    M2,
    /// 1 GiB.
    G1,
}

impl Leaf {
    /// Bytes mapped by one entry.
    #[must_use]
    pub fn size(self) -> u64 {
        1 << shift(self.level())
    }

    fn level(self) -> u32 {
        match self {
            Leaf::K4 => 1,
            Leaf::M2 => 2,
            Leaf::G1 => 3,
        }
    }
}

fn shift(level: u32) -> u32 {
    12 + 9 * (level - 1)
}

/// The tables under one root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageTables {
    /// Physical address of the top table.
    pub(crate) root: u64,
    /// 4 or 5.
    pub(crate) levels: u32,
    /// Bits set in the address part of every entry.
    pub(crate) encryption: u64,
}

impl PageTables {
    /// Maps `size` bytes from `virt` to `phys` with pages of `leaf`, taking new tables from `arena`.
    pub(crate) fn map(&self, memory: &mut FakeMemory, arena: &mut Arena, virt: u64, phys: u64, size: u64, leaf: Leaf) {
        assert!((virt | phys) % leaf.size() == 0, "{virt:#x} -> {phys:#x} is not aligned to a {leaf:?} page");
        for offset in (0..size).step_by(leaf.size() as usize) {
            self.map_one(memory, arena, virt + offset, phys + offset, leaf);
        }
    }

    fn map_one(&self, memory: &mut FakeMemory, arena: &mut Arena, virt: u64, phys: u64, leaf: Leaf) {
        let mut table = self.root;
        for level in (leaf.level() + 1..=self.levels).rev() {
            table = self.descend(memory, arena, entry_at(table, virt, level));
        }
        let large = if leaf == Leaf::K4 { 0 } else { LARGE };
        memory.write_u64(entry_at(table, virt, leaf.level()), phys | self.encryption | PAGE | large);
    }

    /// The table that the entry at `slot` points to, a new one where there is none.
    fn descend(&self, memory: &mut FakeMemory, arena: &mut Arena, slot: u64) -> u64 {
        let entry = memory.number(slot, 8);
        if entry != 0 {
            assert!(entry & 0x80 == 0, "the entry at {slot:#x} already maps a large page");
            return entry & 0x000f_ffff_ffff_f000 & !self.encryption;
        }
        let table = arena.take(PAGE_SIZE, PAGE_SIZE);
        memory.write_u64(slot, table | self.encryption | TABLE);
        table
    }
}

fn entry_at(table: u64, virt: u64, level: u32) -> u64 {
    table + (virt >> shift(level) & 511) * 8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(levels: u32, encryption: u64) -> (FakeMemory, Arena, PageTables) {
        let memory = FakeMemory::new(&[0..0x100]);
        (memory, Arena::new(0x1000..0x10_0000), PageTables { root: 0, levels, encryption })
    }

    #[test]
    fn four_levels_of_four_kib() {
        let (mut memory, mut arena, tables) = tables(4, 0);
        tables.map(&mut memory, &mut arena, 0xffff_ea00_0040_1000, 0x7000, 0x1000, Leaf::K4);
        // 0xffffea0000401000: indexes 468, 0, 2, 1.
        assert_eq!(memory.number(468 * 8, 8), 0x1067);
        assert_eq!(memory.number(0x1000, 8), 0x2067);
        assert_eq!(memory.number(0x2000 + 2 * 8, 8), 0x3067);
        assert_eq!(memory.number(0x3000 + 8, 8), 0x8010_0000_0000_7163);
    }

    #[test]
    fn five_levels_of_two_mib_encrypted() {
        let (mut memory, mut arena, tables) = tables(5, 1 << 47);
        tables.map(&mut memory, &mut arena, 0xffd4_0000_0020_0000, 0x20_0000, 0x20_0000, Leaf::M2);
        // Indexes 425 (bits 56:48 of the address), 0, 0, 1.
        let top = memory.number(((0xffd4_0000_0020_0000u64 >> 48) & 511) * 8, 8);
        assert_eq!(top, 0x8000_0000_1067);
        assert_eq!(memory.number(0x3000 + 8, 8), 0x8010_8000_0020_11e3);
    }

    #[test]
    fn one_gib_pages_share_a_table() {
        let (mut memory, mut arena, tables) = tables(4, 0);
        tables.map(&mut memory, &mut arena, 0xffff_8880_0000_0000, 0, 2 << 30, Leaf::G1);
        assert_eq!(memory.number(0x1000 + 8, 8) & !0x1fff, 1 << 63 | 1 << 52 | 1 << 30);
    }
}
