//! mips64: windows on physical memory, and page tables for what is in none.
//!
//! ```text
//! 0x8000000000000000..0xbfffffffffffffff   xkphys: bits 58..0 are the physical address, 61..59 how it is cached
//! 0xc000000000000000..0xffffffff7fffffff   xkseg: page tables (vmalloc)
//! 0xffffffff80000000..0xffffffffbfffffff   ckseg0, ckseg1: the low 29 bits are the physical address
//! 0xffffffffc0000000..0xffffffffffffffff   ckseg2, ckseg3: page tables (modules)
//! ```
//!
//! The windows are those of the MIPS64 Privileged Resource Architecture. Tables are Linux's own, of one page each
//! (arch/mips/include/asm/pgtable-64.h), and upper entries are addresses in a window:
//!
//! | pages | levels | with CONFIG_MIPS_VA_BITS_48 |
//! |---|---|---|
//! | 4 KiB | 3, and the top table has two pages | 4 |
//! | 16 KiB | 3 | 3 |
//! | 64 KiB | 2 | 3 |
//!
//! No key says which. What is not mapped has tables too, those that are named invalid_pmd_table and the like, so that the
//! way down from any entry of the top table has as many levels as there are.

use super::self_mapped::{mapping, not_mapped, swapper_pg_dir};
use super::{Arch, MachineFacts, SectionBits};
use crate::memory::PhysReader;
use crate::symbols::KernelSymbols;
use crate::words::{Words, integer};
use crate::xlat::{Mapping, TableCache, TableShape, Translate};
use dump_core::{ByteOrder, Error, PageSize, PhysAddr, Result, VirtAddr, WordSize};
use std::sync::OnceLock;

/// Bits of a physical address in xkphys.
const XKPHYS_ADDRESS: u64 = (1 << 59) - 1;

/// Bytes of ckseg0, and of ckseg1.
const CKSEG: u64 = 1 << 29;

/// Where xkseg begins, and ckseg2.
const XKSEG: u64 = 0xc000_0000_0000_0000;
const CKSEG2: u64 = 0xffff_ffff_c000_0000;

/// _PAGE_PRESENT.
const PRESENT: u64 = 1;

/// The architecture.
#[derive(Clone, Copy, Debug)]
pub struct Mips64;

impl Arch for Mips64 {
    fn name(&self) -> &'static str {
        "mips64"
    }

    fn elf_machine(&self) -> u16 {
        8
    }

    fn has_words(&self, words: Words) -> bool {
        words.size == WordSize::Bits64
    }

    fn keys(&self) -> &'static [&'static str] {
        &[]
    }

    fn phys_base(&self, _: MachineFacts<'_>) -> Option<u64> {
        None
    }

    fn is_kernel(&self, at: VirtAddr) -> bool {
        at.0 >> 63 == 1
    }

    /// Linux arch/mips/include/asm/sparsemem.h; MAX_PHYSMEM_BITS was 35 before 4.8.
    fn section_bits(&self, _: &dyn KernelSymbols, page_size: PageSize) -> Option<SectionBits> {
        Some(SectionBits { section: if page_size.bytes() == 1 << 16 { 29 } else { 28 }, memory: 48 })
    }

    /// Without SYMBOL(swapper_pg_dir) the windows alone are translated, which is all that filtering needs.
    fn page_tables(&self, facts: MachineFacts<'_>) -> Result<Box<dyn Translate>> {
        let root = swapper_pg_dir(facts.symbols).ok().and_then(in_window);
        let page_shift = facts.page_size.shift().into();
        Ok(Box::new(PageTables { root, order: facts.words.order, page_shift, levels: OnceLock::new() }))
    }

    /// A page table's worth of pages, where a PMD is one.
    fn hugetlb_orders(&self, page_size: PageSize) -> &'static [u8] {
        match page_size.shift() {
            12 => &[9],
            14 => &[11],
            16 => &[13],
            _ => &[],
        }
    }
}

/// Where a window has `at`.
fn in_window(at: VirtAddr) -> Option<PhysAddr> {
    match at.0 {
        0x8000_0000_0000_0000..=0xbfff_ffff_ffff_ffff => Some(PhysAddr(at.0 & XKPHYS_ADDRESS)),
        0xffff_ffff_8000_0000..=0xffff_ffff_bfff_ffff => Some(PhysAddr(at.0 & (CKSEG - 1))),
        _ => None,
    }
}

/// Where the window that has `at` ends.
fn window_end(at: VirtAddr) -> u64 {
    if at.0 >> 62 == 2 { (at.0 | XKPHYS_ADDRESS) + 1 } else { (at.0 | (CKSEG - 1)) + 1 }
}

#[derive(Clone, Debug)]
struct PageTables {
    root: Option<PhysAddr>,
    order: ByteOrder,
    page_shift: u32,
    levels: OnceLock<u32>,
}

/// Levels where the way down does not say it.
const LEVELS: u32 = 3;

impl PageTables {
    /// The page of an entry of the last level.
    ///
    /// Bits below those of the CPU's EntryLo are Linux's, and how many those are depends on the kernel's configuration and
    /// the CPU (arch/mips/include/asm/pgtable-bits.h), but the kernel's own pages all have PAGE_KERNEL: present, read,
    /// write, accessed and modified, which stand lowest, and the global bit, which is EntryLo's lowest.
    fn page(&self, entry: u64, at: VirtAddr) -> Result<u64> {
        let low = entry.trailing_ones();
        let global = low + (entry >> low).trailing_zeros();
        if !(4..=5).contains(&low) || !(low..=14).contains(&global) {
            return Err(Error::corrupt(format!("virtual address {at}: the entry {entry:#x} is none of the kernel's")));
        }
        // global, valid, dirty, three bits of how it is cached, the page frame number in 4 KiB
        Ok(entry >> (global + 6) << 12)
    }

    /// How many levels there are below `root`, itself one, by the first entry of each.
    fn count_levels(&self, memory: &mut dyn PhysReader, root: PhysAddr) -> u32 {
        let mut next = |table: PhysAddr| {
            let mut entry = [0; 8];
            memory.read(table, &mut entry).ok()?;
            let entry = integer(self.order, &entry);
            in_window(VirtAddr(entry)).filter(|_| entry % (1 << self.page_shift) == 0)
        };
        let levels = std::iter::successors(Some(root), |table| next(*table)).take(5).count() as u32;
        match (self.page_shift, levels) {
            (12, 4) | (16, 2) => levels,
            _ => LEVELS,
        }
    }

    fn table(&self, entry: u64, at: VirtAddr, level: usize) -> Result<PhysAddr> {
        if entry == 0 {
            return Err(not_mapped(at, level));
        }
        in_window(VirtAddr(entry)).ok_or_else(|| {
            Error::corrupt(format!("virtual address {at}: the entry {entry:#x} is no page table's (level {level})"))
        })
    }
}

impl Translate for PageTables {
    fn root(&self) -> Option<PhysAddr> {
        self.root
    }

    fn translate(&self, memory: &mut dyn PhysReader, cache: &mut TableCache, at: VirtAddr) -> Result<Mapping> {
        if let Some(phys) = in_window(at) {
            return Ok(Mapping { virt: at, phys, bytes: window_end(at) - at.0 });
        }
        if at.0 >> 62 != 3 {
            return Err(Error::corrupt(format!("{at} is no virtual address of the kernel")));
        }
        let mut table = self.root.ok_or_else(|| Error::missing("vmcoreinfo lacks SYMBOL(swapper_pg_dir)"))?;
        let bits = self.page_shift - 3;
        let levels = *self.levels.get_or_init(|| self.count_levels(memory, table));
        let top_has_two_pages = levels == 3 && self.page_shift == 12;
        let reach = self.page_shift + bits * levels + u32::from(top_has_two_pages);
        if at.0 < CKSEG2 && at.0 - XKSEG >= 1 << reach {
            return Err(Error::corrupt(format!("{at} is no virtual address of the kernel: xkseg has {reach} bits")));
        }
        for level in (0..levels).rev() {
            let has_two_pages = level == 2 && top_has_two_pages;
            let index_bits = if has_two_pages { bits + 1 } else { bits };
            let entries = 1usize << index_bits;
            let shape = TableShape { entries, entry_bytes: 8, order: self.order };
            let index = (at.0 >> (self.page_shift + bits * level)) as usize & (entries - 1);
            let entry = cache.entry(memory, level as usize, table, shape, index)?;
            if level == 0 {
                if entry & PRESENT == 0 {
                    return Err(not_mapped(at, 0));
                }
                return Ok(mapping(at, self.page(entry, at)?, self.page_shift));
            }
            table = self.table(entry, at, level as usize)?;
        }
        Err(Error::bug(format!("virtual address {at}: the walk did not end")))
    }
}

#[cfg(test)]
mod tests {
    //! Windows are those of the MIPS64 Privileged Resource Architecture, 4.1; entries are built as the last lines of
    //! Linux arch/mips/include/asm/pgtable-bits.h have them.

    use super::super::self_mapped::fake::{Tables, page_tables, walk};
    use super::*;
    use crate::words::{Be64, Le64, WordLayout};

    const TEXT: &str = "SYMBOL(swapper_pg_dir)=ffffffff81000000\n";

    #[test]
    fn windows() {
        let xlat = page_tables(&Mips64, "", Le64::WORDS, 16384, &[]).unwrap();
        let mut none = Tables::new(8, ByteOrder::Little, &[]);
        for (at, phys) in [
            (0x9800_0000_1234_5678, 0x1234_5678),     // cached
            (0x9000_0002_0000_0000, 0x2_0000_0000),   // uncached
            (0xa800_0100_0000_0010, 0x100_0000_0010), // cached, coherent
            (0xffff_ffff_8010_0000, 0x10_0000),       // ckseg0
            (0xffff_ffff_a010_0000, 0x10_0000),       // ckseg1
        ] {
            assert_eq!(walk(xlat.as_ref(), &mut none, at).unwrap().0, phys, "{at:#x}");
        }
        let bytes = walk(xlat.as_ref(), &mut none, 0xffff_ffff_9fff_f000).unwrap().1;
        assert_eq!(bytes, 0x1000, "ckseg0 ends there");
        assert_eq!(walk(xlat.as_ref(), &mut none, 0x97ff_ffff_ffff_fff0).unwrap().1, 16);
        let e = walk(xlat.as_ref(), &mut none, 0xc000_0000_0000_0000).unwrap_err();
        assert!(e.contains("SYMBOL(swapper_pg_dir)"), "{e}");
        assert!(walk(xlat.as_ref(), &mut none, 0x1000).unwrap_err().contains("no virtual address of the kernel"));
    }

    /// `CCC D V G` above `low`, of which G is bit `global`: coherent, writable, valid, global.
    fn entry(pfn: u64, global: u32, low: u64) -> u64 {
        ((pfn << 3 | 5) << 3 | 7) << global | low
    }

    #[test]
    fn tables_of_each_page_size_and_of_each_cpu() {
        // release 2 with huge pages: P W A M H S XI RI; release 1: P R W A M S
        for (page_shift, order, words, global, low) in [
            (12, ByteOrder::Big, Be64::WORDS, 8, 0xf),
            (14, ByteOrder::Little, Le64::WORDS, 8, 0xf),
            (16, ByteOrder::Little, Le64::WORDS, 6, 0x1f),
            (14, ByteOrder::Little, Le64::WORDS, 9, 0xf),
        ] {
            let bits = page_shift - 3;
            let at = 0xc000_0000_0000_0000 | 1 << (page_shift + 2 * bits) | 2 << (page_shift + bits) | 3 << page_shift;
            // a page frame number in EntryLo is in 4 KiB
            let pfn = 0x12_3456 << (page_shift - 12);
            let entries = [
                (0x100_0000 + 8, 0x9800_0000_0200_0000),
                (0x200_0000 + 2 * 8, 0xffff_ffff_8300_0000),
                (0x300_0000 + 3 * 8, entry(pfn, global, low)),
                (0x300_0000 + 5 * 8, 1),
                (0x200_0000 + 3 * 8, 0x1234),
            ];
            let mut tables = Tables::new(8, order, &entries);
            let xlat = page_tables(&Mips64, TEXT, words, 1 << page_shift, &[]).unwrap();
            let found = walk(xlat.as_ref(), &mut tables, at + 0x10);
            assert_eq!(
                found,
                Ok(((0x12_3456 << page_shift) + 0x10, (1 << page_shift) - 0x10)),
                "{page_shift} {global}"
            );
            for (into, what) in [
                (1 << page_shift, "not mapped"),
                (2 << page_shift, "none of the kernel's"),
                (1 << (page_shift + bits), "no page table's"),
                (2 << (page_shift + bits), "level 1"),
            ] {
                let e = walk(xlat.as_ref(), &mut tables, at + into).unwrap_err();
                assert!(e.contains(what), "{into:#x}: {e}");
            }
        }
    }

    /// With 4 KiB pages, the second page of the top table, by bit 39.
    #[test]
    fn the_top_table_of_4_kib_pages_has_two_pages() {
        let entries = [
            (0x100_1000, 0x9800_0000_0200_0000),
            (0x200_0000, 0x9800_0000_0300_0000),
            (0x300_0000, entry(0x77, 8, 0xf)),
        ];
        let mut tables = Tables::new(8, ByteOrder::Little, &entries);
        let xlat = page_tables(&Mips64, TEXT, Le64::WORDS, 4096, &[]).unwrap();
        assert_eq!(walk(xlat.as_ref(), &mut tables, 0xc000_0080_0000_0000), Ok((0x7_7000, 0x1000)));
        for none in [0xc000_0180_0000_0000, 0xc0ff_ff80_0000_0000, 0xffff_fe80_0000_0000] {
            let e = walk(xlat.as_ref(), &mut tables, none).unwrap_err();
            assert!(e.contains("xkseg has 40 bits"), "{none:#x}: {e}");
        }
    }

    /// Addresses of tables in a window, down to the last, and invalid tables for what is not mapped.
    #[test]
    fn levels_are_those_of_the_way_down() {
        for (page_shift, levels) in [(12u32, 4u32), (12, 3), (16, 2), (16, 3), (14, 3)] {
            let (bits, page) = (page_shift - 3, 1u64 << page_shift);
            // invalid tables of each level, the lowest of which has no pages, and the tables in use
            let invalid = |level: u32| 0x500_0000 + u64::from(level) * 2 * page;
            let used = |level: u32| if level == levels - 1 { 0x100_0000 } else { 0x600_0000 + u64::from(level) * page };
            let mut entries = Vec::new();
            for level in 1..levels {
                let window = |at: u64| 0x9800_0000_0000_0000 | at;
                entries.push((invalid(level), window(invalid(level - 1))));
                entries.push((used(level), window(invalid(level - 1))));
                entries.push((used(level) + 8, window(used(level - 1))));
            }
            entries.push((used(0) + 8, entry(0x77 << (page_shift - 12), 8, 0xf)));
            let mut tables = Tables::new(8, ByteOrder::Little, &entries);
            let xlat = page_tables(&Mips64, TEXT, Le64::WORDS, page, &[]).unwrap();
            let at = (0..levels).fold(0xc000_0000_0000_0000, |at, level| at | 1 << (page_shift + level * bits));
            assert_eq!(walk(xlat.as_ref(), &mut tables, at), Ok((0x77 << page_shift, page)), "{page_shift} {levels}");
            let e = walk(xlat.as_ref(), &mut tables, 0xc000_0000_0000_0000).unwrap_err();
            assert!(e.contains("level 0"), "{page_shift} {levels}: {e}");
        }
    }
}
