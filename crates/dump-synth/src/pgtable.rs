//! Page tables written into the fake memory: of any shape, with the entries of any architecture.

use crate::arena::Arena;
use crate::bytes::Endian;
use crate::entries::Entries;
use crate::memory::FakeMemory;

/// Size of the pages a mapping is made of, as x86_64 has them; elsewhere the level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaf {
    /// 4 KiB: entries in the lowest table, the smallest pages of any machine.
    K4,
    /// 2 MiB: entries one level up.
    M2,
    /// 1 GiB: entries two levels up.
    G1,
}

impl Leaf {
    fn level(self) -> u32 {
        match self {
            Leaf::K4 => 1,
            Leaf::M2 => 2,
            Leaf::G1 => 3,
        }
    }
}

/// The shape of page tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Index bits of each level, the top one first.
    pub(crate) levels: &'static [u32],
    /// Bytes of an entry.
    pub(crate) entry: u64,
    /// log2 of the smallest page.
    pub(crate) page_shift: u32,
    /// Byte order of an entry.
    pub(crate) endian: Endian,
    /// How it is written.
    pub(crate) entries: Entries,
}

impl Shape {
    /// Bytes mapped by one entry for a page of `leaf`.
    pub(crate) fn leaf_size(&self, leaf: Leaf) -> u64 {
        1 << self.shift(leaf.level())
    }

    /// Bytes of a table of `level`, the lowest being 1.
    pub(crate) fn table_bytes(&self, level: u32) -> u64 {
        self.entry << self.bits(level)
    }

    /// Bytes of a table of the lowest level.
    pub(crate) fn lowest_table(&self) -> u64 {
        self.table_bytes(1)
    }

    /// Bytes of the top table.
    pub(crate) fn root_bytes(&self) -> u64 {
        self.table_bytes(self.levels.len() as u32)
    }

    fn bits(&self, level: u32) -> u32 {
        self.levels[self.levels.len() - level as usize]
    }

    fn shift(&self, level: u32) -> u32 {
        self.page_shift + (1..level).map(|lower| self.bits(lower)).sum::<u32>()
    }

    fn entry_at(&self, table: u64, virt: u64, level: u32) -> u64 {
        table + (virt >> self.shift(level) & ((1 << self.bits(level)) - 1)) * self.entry
    }
}

/// The tables under one root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageTables {
    /// Physical address of the top table.
    pub(crate) root: u64,
    /// Their shape.
    pub(crate) shape: Shape,
    /// Bits set in the address part of every entry.
    pub(crate) encryption: u64,
}

impl PageTables {
    /// Maps `size` bytes from `virt` to `phys` with pages of `leaf`, taking new tables from `arena`.
    pub(crate) fn map(&self, memory: &mut FakeMemory, arena: &mut Arena, virt: u64, phys: u64, size: u64, leaf: Leaf) {
        assert!(
            (virt | phys) % self.shape.leaf_size(leaf) == 0,
            "{virt:#x} -> {phys:#x} is not aligned to a {leaf:?} page"
        );
        for offset in (0..size).step_by(self.shape.leaf_size(leaf) as usize) {
            self.map_one(memory, arena, virt + offset, phys + offset, leaf);
        }
    }

    fn map_one(&self, memory: &mut FakeMemory, arena: &mut Arena, virt: u64, phys: u64, leaf: Leaf) {
        let mut table = self.root;
        for level in (leaf.level() + 1..=self.shape.levels.len() as u32).rev() {
            let slot = self.shape.entry_at(table, virt, level);
            table = self.descend(memory, arena, slot, level - 1);
        }
        let entry = self.shape.entries.page(phys, leaf.level()) | self.encryption;
        let slot = self.shape.entry_at(table, virt, leaf.level());
        memory.write_number(slot, entry, self.shape.entry, self.shape.endian);
    }

    /// The table of `level` that the entry at `slot` points to, a new one where there is none.
    fn descend(&self, memory: &mut FakeMemory, arena: &mut Arena, slot: u64, level: u32) -> u64 {
        let entry = memory.number_in(slot, self.shape.entry, self.shape.endian);
        if let Some(table) = self.shape.entries.next(entry & !self.encryption) {
            return table;
        }
        let size = self.shape.table_bytes(level).next_multiple_of(4096);
        let table = arena.take(size, size);
        self.clear(memory, table, level);
        let entry = self.shape.entries.table(table, level, self.shape.bits(level)) | self.encryption;
        memory.write_number(slot, entry, self.shape.entry, self.shape.endian);
        table
    }

    /// Makes a table of `level` at `table` empty.
    pub(crate) fn clear(&self, memory: &mut FakeMemory, table: u64, level: u32) {
        let empty = self.shape.entries.empty(level);
        for slot in (0..self.shape.table_bytes(level)).step_by(self.shape.entry as usize).filter(|_| empty != 0) {
            memory.write_number(table + slot, empty, self.shape.entry, self.shape.endian);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    fn tables(levels: &'static [u32], encryption: u64) -> (FakeMemory, Arena, PageTables) {
        let memory = FakeMemory::new(&[0..0x100]);
        (
            memory,
            Arena::new(0x1000..0x10_0000),
            PageTables { root: 0, shape: Shape { levels, ..Machine::X86_64.shape() }, encryption },
        )
    }

    #[test]
    fn four_levels_of_four_kib() {
        let (mut memory, mut arena, tables) = tables(&[9; 4], 0);
        tables.map(&mut memory, &mut arena, 0xffff_ea00_0040_1000, 0x7000, 0x1000, Leaf::K4);
        // 0xffffea0000401000: indexes 468, 0, 2, 1.
        assert_eq!(memory.number(468 * 8, 8), 0x1067);
        assert_eq!(memory.number(0x1000, 8), 0x2067);
        assert_eq!(memory.number(0x2000 + 2 * 8, 8), 0x3067);
        assert_eq!(memory.number(0x3000 + 8, 8), 0x8010_0000_0000_7163);
    }

    #[test]
    fn five_levels_of_two_mib_encrypted() {
        let (mut memory, mut arena, tables) = tables(&[9; 5], 1 << 47);
        tables.map(&mut memory, &mut arena, 0xffd4_0000_0020_0000, 0x20_0000, 0x20_0000, Leaf::M2);
        // Indexes 425 (bits 56:48 of the address), 0, 0, 1.
        let top = memory.number(((0xffd4_0000_0020_0000u64 >> 48) & 511) * 8, 8);
        assert_eq!(top, 0x8000_0000_1067);
        assert_eq!(memory.number(0x3000 + 8, 8), 0x8010_8000_0020_11e3);
    }

    #[test]
    fn one_gib_pages_share_a_table() {
        let (mut memory, mut arena, tables) = tables(&[9; 4], 0);
        tables.map(&mut memory, &mut arena, 0xffff_8880_0000_0000, 0, 2 << 30, Leaf::G1);
        assert_eq!(memory.number(0x1000 + 8, 8) & !0x1fff, 1 << 63 | 1 << 52 | 1 << 30);
    }

    #[test]
    fn two_levels_of_four_bytes_big_endian() {
        let (mut memory, mut arena, mut tables) = tables(&[10, 10], 0);
        tables.shape = Shape { entry: 4, endian: Endian::Big, entries: Entries::Low, ..tables.shape };
        tables.map(&mut memory, &mut arena, 0xc040_1000, 0x7000, 0x1000, Leaf::K4);
        assert_eq!(memory.bytes(0x301 * 4, 4), [0, 0, 0x10, 0x67]);
        assert_eq!(memory.bytes(0x1004, 4), [0, 0, 0x71, 0x63]);
    }
}
