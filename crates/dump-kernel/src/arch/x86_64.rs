//! x86_64 page tables: 4 or 5 levels of 512 entries of 8 bytes.
//!
//! ```text
//! bits  56..48  47..39  38..30  29..21  20..12  11..0
//!       PGD     P4D/PGD PUD     PMD     PTE     offset     a leaf may be a PUD (1 GiB) or a PMD (2 MiB): bit 7
//! ```
//!
//! Every address is walked, the direct map too: 5.x kernels may leave holes in it, and a walk that shares the tables of
//! its neighbour costs no read.

use super::{Arch, MachineFacts, SectionBits};
use crate::memory::PhysReader;
use crate::symbols::KernelSymbols;
use crate::words::{Le64, WordLayout, Words};
use crate::xlat::{Mapping, TableCache, TableShape, Translate};
use dump_core::{ByteOrder, Error, ErrorKind, PageSize, PhysAddr, Result, Segment, VirtAddr};

/// Where the kernel image is linked (`__START_KERNEL_map`, Linux arch/x86/include/asm/page_64_types.h).
const START_KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;

/// Bits 51..12 of an entry: the physical address; above lie NX, protection keys and software bits.
const ADDRESS_BITS: u64 = 0x000f_ffff_ffff_f000;

const PRESENT: u64 = 1;
const LARGE: u64 = 1 << 7;

/// Tables of each level.
const TABLE: TableShape = TableShape { entries: 512, entry_bytes: 8, order: ByteOrder::Little };

/// The architecture.
#[derive(Clone, Copy, Debug)]
pub struct X86_64;

impl Arch for X86_64 {
    fn name(&self) -> &'static str {
        "x86_64"
    }

    fn elf_machine(&self) -> u16 {
        62
    }

    fn has_words(&self, words: Words) -> bool {
        words == Le64::WORDS
    }

    fn keys(&self) -> &'static [&'static str] {
        &["NUMBER(KERNEL_IMAGE_SIZE)", "SYMBOL(init_top_pgt)", "SYMBOL(init_level4_pgt)"]
    }

    /// `NUMBER(phys_base)` is there since Linux 4.10 (401721ecd1dc); before that the PT_LOAD of the kernel text says
    /// it.
    fn phys_base(&self, facts: MachineFacts<'_>) -> Option<u64> {
        let number = facts.symbols.number("phys_base").map(|value| value as u64);
        number.or_else(|| phys_base_of(facts.segments))
    }

    fn is_kernel(&self, at: VirtAddr) -> bool {
        is_canonical(at, 5) && at.0 >> 63 == 1
    }

    fn in_image(&self, facts: MachineFacts<'_>, at: VirtAddr) -> Option<PhysAddr> {
        let into = at.0.checked_sub(START_KERNEL_MAP)?;
        Some(PhysAddr(self.phys_base(facts)?.wrapping_add(into)))
    }

    fn section_bits(&self, symbols: &dyn KernelSymbols, _: PageSize) -> Option<SectionBits> {
        Some(SectionBits { section: 27, memory: if levels(symbols) == 5 { 52 } else { 46 } })
    }

    fn page_tables(&self, facts: MachineFacts<'_>) -> Result<Box<dyn Translate>> {
        let phys_base = self
            .phys_base(facts)
            .ok_or_else(|| Error::missing("vmcoreinfo lacks NUMBER(phys_base), and no PT_LOAD maps the kernel text"));
        Ok(Box::new(PageTables::new(facts.symbols, phys_base)?))
    }

    fn page_tables_at(&self, facts: MachineFacts<'_>, root: PhysAddr) -> Option<Box<dyn Translate>> {
        let symbols = facts.symbols;
        let sme_mask = symbols.number("sme_mask").unwrap_or(0) as u64;
        let root = PhysAddr(root.0 & ADDRESS_BITS & !sme_mask);
        let levels_known = symbols.number("pgtable_l5_enabled").is_some();
        Some(Box::new(PageTables { root, levels: levels(symbols), levels_known, sme_mask }))
    }

    /// 2 MiB and 1 GiB.
    fn hugetlb_orders(&self, _: PageSize) -> &'static [u8] {
        &[9, 18]
    }

    /// `user_regs_struct` begins at 112 (Linux, include/linux/elfcore.h): rip is its 17th word, rsp its 20th.
    fn kernel_pointers(&self, prstatus: &[u8]) -> Vec<VirtAddr> {
        let words = [16, 19].into_iter().filter_map(|i| prstatus.get(112 + 8 * i..)?.first_chunk());
        words.map(|word| VirtAddr(u64::from_le_bytes(*word))).filter(|at| self.is_kernel(*at)).collect()
    }
}

/// Page tables of an x86_64 kernel.
#[derive(Clone, Copy, Debug)]
struct PageTables {
    root: PhysAddr,
    levels: u32,
    /// Whether vmcoreinfo says how many levels there are.
    levels_known: bool,
    sme_mask: u64,
}

impl PageTables {
    /// From what the dump says: the root table's symbol, `phys_base`, the number of levels, the SME mask.
    fn new(symbols: &dyn KernelSymbols, phys_base: Result<u64>) -> Result<PageTables> {
        // init_level4_pgt became init_top_pgt in 4.13 (65ade2f872b4); swapper_pg_dir is the same table in all of them
        let root = ["init_top_pgt", "init_level4_pgt", "swapper_pg_dir"].iter().find_map(|name| symbols.symbol(name));
        let root = root.ok_or_else(|| Error::missing("vmcoreinfo lacks SYMBOL(init_top_pgt) and its older names"))?;
        let sme_mask = symbols.number("sme_mask").unwrap_or(0) as u64;
        let root = root.0.wrapping_sub(START_KERNEL_MAP).wrapping_add(phys_base?) & ADDRESS_BITS & !sme_mask;
        let levels_known = symbols.number("pgtable_l5_enabled").is_some();
        Ok(PageTables { root: PhysAddr(root), levels: levels(symbols), levels_known, sme_mask })
    }

    fn not_mapped(&self, at: VirtAddr, level: u32) -> Error {
        let level = self.told(level);
        let text = format!("virtual address {at} is not mapped (page table level {level})");
        Error::new(ErrorKind::NoMemory, text)
    }

    /// A number of levels for a message.
    fn told(&self, levels: u32) -> String {
        let assumed = if self.levels_known { "" } else { ", of 4, for vmcoreinfo lacks NUMBER(pgtable_l5_enabled)" };
        format!("{levels}{assumed}")
    }
}

/// Levels of page tables: 4 or 5.
fn levels(symbols: &dyn KernelSymbols) -> u32 {
    if symbols.number("pgtable_l5_enabled").unwrap_or(0) != 0 { 5 } else { 4 }
}

/// Whether the bits above those that `levels` of tables translate are all the same.
fn is_canonical(at: VirtAddr, levels: u32) -> bool {
    let above = 64 - 12 - 9 * levels;
    (at.0 << above) as i64 >> above == at.0 as i64
}

/// From the first segment in the kernel text's part of the address space.
fn phys_base_of(segments: &[Segment]) -> Option<u64> {
    let text = segments.iter().find(|s| s.vaddr.0 >= START_KERNEL_MAP)?;
    Some(text.paddr.0.wrapping_sub(text.vaddr.0 - START_KERNEL_MAP))
}

impl Translate for PageTables {
    fn root(&self) -> Option<PhysAddr> {
        Some(self.root)
    }

    fn translate(&self, memory: &mut dyn PhysReader, cache: &mut TableCache, at: VirtAddr) -> Result<Mapping> {
        if !is_canonical(at, self.levels) {
            let levels = self.told(self.levels);
            return Err(Error::corrupt(format!("{at} is no virtual address of a walk of {levels}")));
        }
        let mut table = self.root;
        for level in (0..self.levels).rev() {
            let shift = 12 + 9 * level;
            let index = (at.0 >> shift & 511) as usize;
            let entry = cache.entry(memory, level as usize, table, TABLE, index)?;
            if entry & PRESENT == 0 {
                return Err(self.not_mapped(at, level));
            }
            let next = entry & ADDRESS_BITS & !self.sme_mask;
            // bit 7 of a PGD or P4D entry is reserved, of a PTE the PAT bit
            if level == 0 || (level <= 2 && entry & LARGE != 0) {
                let size = 1u64 << shift;
                // bit 12 is the PAT bit of a large page, and those from there to its size are none of its address
                if next & (size - 1) & !0x1fff != 0 {
                    return Err(Error::corrupt(format!(
                        "virtual address {at}: the entry {entry:#x} is no large page's"
                    )));
                }
                let into = at.0 & (size - 1);
                return Ok(Mapping { virt: at, phys: PhysAddr((next & !(size - 1)) + into), bytes: size - into });
            }
            table = PhysAddr(next);
        }
        Err(Error::bug(format!("virtual address {at}: the walk did not end"))) // a PTE ends it, for levels is 4 or 5
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Memory;
    use super::*;
    use crate::vmcoreinfo::Vmcoreinfo;
    use std::collections::HashMap;

    fn facts<'a>(info: &'a Vmcoreinfo, segments: &'a [Segment]) -> MachineFacts<'a> {
        MachineFacts { symbols: info, words: Le64::WORDS, page_size: PageSize::K4, segments }
    }

    fn page_tables(info: &Vmcoreinfo, segments: &[Segment]) -> Result<Box<dyn Translate>> {
        X86_64.page_tables(facts(info, segments))
    }

    const TEXT: &[u8] = b"SYMBOL(init_top_pgt)=ffffffff81001000\nNUMBER(phys_base)=-16777216\n";

    #[test]
    fn walks_to_pages_of_each_size() {
        // root at 0x81001000 - 0x80000000 - 0x1000000 = 0x1000
        let mut memory = Memory::little(HashMap::from([
            (0x1000 + 8 * 256, 0x2000 | 1),
            (0x2000, 0x3000 | 1),
            (0x2000 + 8, 0x4000_0000 | LARGE | 1),
            (0x3000, 0x4000 | 1),
            (0x3000 + 8, 0x8000_0000_0060_0000 | LARGE | 1),
            (0x4000 + 8, 0x7000 | LARGE | 1), // bit 7 of a PTE is PAT
        ]));
        let xlat = page_tables(&Vmcoreinfo::parse(TEXT), &[]).unwrap();
        let mut cache = TableCache::default();
        let base = 0xffff_8000_0000_0000;
        for (at, phys, bytes) in [
            (0x1234, 0x7234, 0x1000 - 0x234),
            (0x20_0010, 0x60_0010, 0x20_0000 - 0x10),
            (0x4000_0005, 0x4000_0005, 0x4000_0000 - 5),
        ] {
            let mapping = xlat.translate(&mut memory, &mut cache, VirtAddr(base + at)).unwrap();
            assert_eq!((mapping.phys.0, mapping.bytes), (phys, bytes), "{at:#x}");
        }
        memory.0.insert(0x3000 + 16, 0x60_2000 | LARGE | 1);
        for (at, what) in [(base + 0x40_0000, "no large page's"), (base ^ 1 << 50, "no virtual address of a walk of 4")]
        {
            let e = xlat.translate(&mut memory, &mut TableCache::default(), VirtAddr(at)).unwrap_err();
            assert!(e.to_string().contains(what), "{e}");
        }
        let e = xlat.translate(&mut memory, &mut cache, VirtAddr(base + 0x2000)).unwrap_err();
        assert!(e.to_string().contains("0xffff800000002000 is not mapped"), "{e}");
    }

    #[test]
    fn phys_base_comes_from_the_text_segment_on_old_kernels() {
        let info = Vmcoreinfo::parse(b"SYMBOL(init_level4_pgt)=ffffffff81001000\n");
        let e = page_tables(&info, &[]).err().unwrap();
        assert!(e.to_string().contains("NUMBER(phys_base)"), "{e}");
        let ram = Segment { paddr: PhysAddr(0), vaddr: VirtAddr(0xffff_8800_0000_0000), bytes: 1 };
        let text = Segment { paddr: PhysAddr(0x200_0000), vaddr: VirtAddr(0xffff_ffff_8100_0000), bytes: 1 };
        assert_eq!(X86_64.phys_base(facts(&info, &[ram, text])), Some(0x100_0000));
    }
}
