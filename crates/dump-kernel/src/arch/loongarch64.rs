//! loongarch64: direct windows, and page tables of 2, 3 or 4 levels of entries of 8 bytes, a table being as large as a page.
//!
//! ```text
//! 0x8000..., 0x9000..., 0xa000...   a window on physical memory (XKPRANGE): the low 48 bits are the physical address
//! 0xffff8000... up                  walked (XKVRANGE): modules, vmalloc, vmemmap
//! ```
//!
//! An entry above the last level is the address, in a window, of the next table; one that is not in use leads to a table of
//! unused entries (`invalid_pmd_table`, `invalid_pte_table`). Nothing is exported of how many levels there are
//! (CONFIG_4KB_3LEVEL and so on), but the tables themselves show it: from the top one on, each has an entry that is the
//! address of a table, until the last.
//!
//! ```text
//! leaf    63..61       60   59..48     47..page   12       11..8      7         6                5..0
//!         RPLV NX NR   software        frame      global   software   present   huge or global   cache, level, D, V
//! ```
//!
//! Sources: LoongArch Reference Manual, volume 1, chapters 5.2 and 5.4; Linux 6.12
//! arch/loongarch/include/asm/{addrspace,pgtable,pgtable-bits,sparsemem}.h.

use super::{Arch, MachineFacts, SectionBits};
use crate::memory::PhysReader;
use crate::symbols::KernelSymbols;
use crate::words::{Le64, WordLayout, Words};
use crate::xlat::{Mapping, TableCache, TableShape, Translate};
use dump_core::{ByteOrder, Error, ErrorKind, PageSize, PhysAddr, Result, VirtAddr};
use std::sync::OnceLock;

/// Bits of a physical address, and of what a direct window shows.
const PHYS_BITS: u32 = 48;

/// A leaf's page is there: _PAGE_PRESENT, and _PAGE_PROTNONE of user memory.
const PRESENT: u64 = 1 << 7 | 1 << 10;
/// An entry above the last level is a leaf.
const HUGE: u64 = 1 << 6;

/// No kernel has more levels.
const MAX_LEVELS: u32 = 4;

/// The architecture.
#[derive(Clone, Copy, Debug)]
pub struct Loongarch64;

impl Arch for Loongarch64 {
    fn name(&self) -> &'static str {
        "loongarch64"
    }

    fn elf_machine(&self) -> u16 {
        258
    }

    fn has_words(&self, words: Words) -> bool {
        words == Le64::WORDS
    }

    /// Its kernels export no key that others do not.
    fn keys(&self) -> &'static [&'static str] {
        &[]
    }

    /// Its kernels run where they are linked.
    fn phys_base(&self, _: MachineFacts<'_>) -> Option<u64> {
        Some(0)
    }

    fn is_kernel(&self, at: VirtAddr) -> bool {
        in_window(at.0).is_some() || at.0 >> 56 == 0xff
    }

    fn section_bits(&self, _: &dyn KernelSymbols, _: PageSize) -> Option<SectionBits> {
        Some(SectionBits { section: 29, memory: i64::from(PHYS_BITS) })
    }

    fn page_tables(&self, facts: MachineFacts<'_>) -> Result<Box<dyn Translate>> {
        let at = facts.symbols.symbol("swapper_pg_dir");
        let at = at.ok_or_else(|| Error::missing("vmcoreinfo lacks SYMBOL(swapper_pg_dir)"))?;
        let root = in_window(at.0);
        let root = root.ok_or_else(|| Error::corrupt(format!("swapper_pg_dir is {at}, in no direct window")))?;
        Ok(Box::new(PageTables::new(facts.page_size, PhysAddr(root))?))
    }

    fn page_tables_at(&self, facts: MachineFacts<'_>, root: PhysAddr) -> Option<Box<dyn Translate>> {
        Some(Box::new(PageTables::new(facts.page_size, root).ok()?))
    }

    /// PMD: a table of pages.
    fn hugetlb_orders(&self, page_size: PageSize) -> &'static [u8] {
        match page_size.shift() {
            12 => &[9],
            14 => &[11],
            _ => &[13],
        }
    }

    /// The registers begin at 112 (Linux include/linux/elfcore.h): r0 to r31, of which r3 is sp, one that is not used,
    /// and csr_era, the place that ran (arch/loongarch/include/asm/elf.h).
    fn kernel_pointers(&self, prstatus: &[u8]) -> Vec<VirtAddr> {
        let words = [33, 3].into_iter().filter_map(|i| prstatus.get(112 + 8 * i..)?.first_chunk());
        words.map(|word| VirtAddr(u64::from_le_bytes(*word))).filter(|at| self.is_kernel(*at)).collect()
    }
}

/// The physical address that a direct window shows at `at`: uncached (8), cached (9) or write-combined (10).
fn in_window(at: u64) -> Option<u64> {
    (0x8000..=0xa000).step_by(0x1000).any(|window| at >> PHYS_BITS == window).then_some(at & ((1 << PHYS_BITS) - 1))
}

/// Page tables of a loongarch64 kernel.
#[derive(Debug)]
struct PageTables {
    root: PhysAddr,
    /// log2 of the page size.
    page: u32,
    /// How many there are, once it is known.
    levels: OnceLock<u32>,
}

impl PageTables {
    fn new(page_size: PageSize, root: PhysAddr) -> Result<PageTables> {
        let page = u32::from(page_size.shift());
        if ![12, 14, 16].contains(&page) {
            return Err(Error::unsupported(format!("loongarch64 pages of {} bytes", page_size.bytes())));
        }
        Ok(PageTables { root, page, levels: OnceLock::new() })
    }

    fn shape(&self) -> TableShape {
        TableShape { entries: 1 << (self.page - 3), entry_bytes: 8, order: ByteOrder::Little }
    }

    /// The table that an entry above the last level leads to.
    fn next(&self, entry: u64) -> Option<PhysAddr> {
        in_window(entry).filter(|at| at % (1 << self.page) == 0).map(PhysAddr)
    }

    /// Levels of tables. The last entries are looked at first: those are not in use, and so lead to tables.
    fn levels(&self, memory: &mut dyn PhysReader, cache: &mut TableCache) -> Result<u32> {
        if let Some(levels) = self.levels.get() {
            return Ok(*levels);
        }
        let mut table = self.root;
        for levels in 1..=MAX_LEVELS {
            let mut below = None;
            for index in (0..self.shape().entries).rev() {
                // one slot of the cache, none that the walk uses
                let entry = cache.entry(memory, MAX_LEVELS as usize, table, self.shape(), index)?;
                below = self.next(entry);
                if below.is_some() {
                    break;
                }
            }
            match below {
                Some(next) => table = next,
                None if levels == 1 => break,
                None => return Ok(*self.levels.get_or_init(|| levels)),
            }
        }
        Err(Error::corrupt(format!("no page tables of 2 to {MAX_LEVELS} levels begin at {}", self.root)))
    }
}

impl Translate for PageTables {
    fn root(&self) -> Option<PhysAddr> {
        Some(self.root)
    }

    fn translate(&self, memory: &mut dyn PhysReader, cache: &mut TableCache, at: VirtAddr) -> Result<Mapping> {
        if let Some(phys) = in_window(at.0) {
            return Ok(Mapping { virt: at, phys: PhysAddr(phys), bytes: (1 << PHYS_BITS) - phys });
        }
        // bits above those that are translated are the highest of them once more (manual, 5.1)
        let above = u64::BITS - PHYS_BITS;
        if ((at.0 << above) as i64 >> above) as u64 != at.0 {
            return Err(Error::corrupt(format!("{at} is no virtual address of loongarch64")));
        }
        let mut table = self.root;
        for level in (0..self.levels(memory, cache)?).rev() {
            let shift = self.page + level * (self.page - 3);
            let index = (at.0 >> shift) as usize & (self.shape().entries - 1);
            let entry = cache.entry(memory, level as usize, table, self.shape(), index)?;
            if level > 0 && entry & HUGE == 0 {
                let wrong =
                    || format!("virtual address {at}: the entry {entry:#x} of page table level {level} is no table");
                table = self.next(entry).ok_or_else(|| Error::corrupt(wrong()))?;
                continue;
            }
            if entry & PRESENT == 0 {
                let text = format!("virtual address {at} is not mapped (page table level {level})");
                return Err(Error::new(ErrorKind::NoMemory, text));
            }
            // bit 12 of a huge page says that it is global
            let size = 1u64 << shift;
            let (frame, into) = (entry & ((1 << PHYS_BITS) - 1) & !(size - 1), at.0 & (size - 1));
            return Ok(Mapping { virt: at, phys: PhysAddr(frame + into), bytes: size - into });
        }
        Err(Error::bug(format!("virtual address {at}: the walk did not end"))) // a PTE ends it
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmcoreinfo::Vmcoreinfo;
    use std::collections::HashMap;

    /// Words that are there, and what whole tables are filled with.
    struct Memory(HashMap<u64, u64>, HashMap<u64, u64>, u64);

    impl PhysReader for Memory {
        fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<()> {
            for (at, word) in (at.0..).step_by(8).zip(buf.chunks_mut(8)) {
                let fill = self.1.get(&(at & !(self.2 - 1))).copied().unwrap_or(0);
                word.copy_from_slice(&self.0.get(&at).copied().unwrap_or(fill).to_le_bytes());
            }
            Ok(())
        }
    }

    const CACHED: u64 = 0x9000_0000_0000_0000;
    /// NX, global, present, written, cached, D, V.
    const PAGE: u64 = 1 << 62 | 0x3d3;

    fn info() -> Vmcoreinfo {
        Vmcoreinfo::parse(b"SYMBOL(swapper_pg_dir)=9000000000200000\n")
    }

    /// A kernel's tables of `levels`, the top one at 2 MiB: unused entries lead to tables at 16, 17, 18 MiB, the last of
    /// which is empty.
    fn walk(page: u64, levels: u64, entries: &[(u64, u64)], at: u64) -> Result<(u64, u64)> {
        let invalid = |below: u64| CACHED | (18 - below) << 20;
        let mut filled = HashMap::from([(2 << 20, invalid(levels - 2)), (3 << 20, invalid(levels.saturating_sub(3)))]);
        filled.extend((0..levels - 2).map(|below| ((17 - below) << 20, invalid(below))));
        if levels == 4 {
            filled.insert(4 << 20, invalid(0));
        } else if levels == 2 {
            filled.remove(&(3 << 20));
        }
        let mut memory = Memory(entries.iter().copied().collect(), filled, page);
        let info = info();
        let page_size = PageSize::from_bytes(page).unwrap();
        let facts = MachineFacts { symbols: &info, words: Le64::WORDS, page_size, segments: &[] };
        let xlat = Loongarch64.page_tables(facts)?;
        let mapping = xlat.translate(&mut memory, &mut TableCache::default(), VirtAddr(at))?;
        Ok((mapping.phys.0, mapping.bytes))
    }

    #[test]
    fn windows_are_not_walked() {
        for window in [8u64, 9, 10] {
            let found = walk(16384, 3, &[], window << 60 | 0x1234).unwrap();
            assert_eq!(found, (0x1234, (1 << 48) - 0x1234));
        }
        for none in [0x9001_0000_0000_0000, 0xff00_0000_0000_8000, 0xffff_0000_0000_8000, 0x0000_8000_0000_0000] {
            assert_eq!(walk(16384, 3, &[], none).unwrap_err().kind(), ErrorKind::Corrupt, "{none:#x}");
        }
        assert!(Loongarch64.is_kernel(VirtAddr(CACHED)) && Loongarch64.is_kernel(VirtAddr(0xffff_8000_0000_0000)));
        assert!(!Loongarch64.is_kernel(VirtAddr(0x7fff_0000_0000)) && !Loongarch64.is_kernel(VirtAddr(0xb000 << 48)));
    }

    #[test]
    fn three_levels_of_16_kib() {
        // indexes 1026, 3, 4 of bits 46..36, 35..25, 24..14
        let at = 0xffff_c020_0601_0123;
        let tables = [((2 << 20) + 8 * 1026, CACHED | 3 << 20), ((3 << 20) + 24, CACHED | 4 << 20)];
        let page = [tables[0], tables[1], ((4 << 20) + 32, 0x1234_5678_c000 | PAGE)];
        assert_eq!(walk(16384, 3, &page, at).unwrap(), (0x1234_5678_c123, 0x4000 - 0x123));
        // bit 6: huge, bit 12: global
        let huge = [tables[0], ((3 << 20) + 24, 0x8200_0000 | 1 << 12 | PAGE)];
        assert_eq!(walk(16384, 3, &huge, at).unwrap(), (0x8201_0123, 0x200_0000 - 0x1_0123));
        for (entries, kind) in [
            (vec![], ErrorKind::NoMemory),
            (vec![tables[0], tables[1], ((4 << 20) + 32, 1 << 6)], ErrorKind::NoMemory), // as the neighbour of a global one
            (vec![tables[0], ((3 << 20) + 24, 0x8200_0000 | 1 << 6)], ErrorKind::NoMemory), // a huge page that was split
            (vec![((2 << 20) + 8 * 1026, 0x30_0000)], ErrorKind::Corrupt),
        ] {
            assert_eq!(walk(16384, 3, &entries, at).unwrap_err().kind(), kind, "{entries:x?}");
        }
    }

    #[test]
    fn other_pages_and_levels() {
        // 4 KiB, 4 levels: indexes 256, 2, 3, 4 of bits 47..39, 38..30, 29..21, 20..12
        let entries = [
            ((2 << 20) + 8 * 256, CACHED | 3 << 20),
            ((3 << 20) + 16, CACHED | 4 << 20),
            ((4 << 20) + 24, CACHED | 5 << 20),
            ((5 << 20) + 32, 0x7000 | PAGE),
        ];
        assert_eq!(walk(4096, 4, &entries, 0xffff_8000_8060_4567).unwrap().0, 0x7567);
        // 4 KiB, 3 levels: bits 38..30 are the first index
        let three =
            [((2 << 20) + 16, CACHED | 3 << 20), ((3 << 20) + 24, CACHED | 4 << 20), ((4 << 20) + 32, 0x7000 | PAGE)];
        assert_eq!(walk(4096, 3, &three, 0xffff_8000_8060_4567).unwrap().0, 0x7567);
        // 64 KiB, 2 levels: indexes 3, 4 of bits 41..29, 28..16
        let two = [((2 << 20) + 24, CACHED | 3 << 20), ((3 << 20) + 32, 0x9_0000 | PAGE)];
        assert_eq!(walk(65536, 2, &two, 0xffff_8000_6004_0123).unwrap(), (0x9_0123, 0x1_0000 - 0x123));
    }

    #[test]
    fn what_is_no_top_table() {
        let mut memory = Memory(HashMap::new(), HashMap::new(), 16384);
        let xlat = PageTables::new(PageSize::from_bytes(16384).unwrap(), PhysAddr(2 << 20)).unwrap();
        let e = xlat.translate(&mut memory, &mut TableCache::default(), VirtAddr(0xffff_8000 << 32)).unwrap_err();
        assert!(e.to_string().contains("no page tables of 2 to 4 levels begin at 0x200000"), "{e}");
    }
}
