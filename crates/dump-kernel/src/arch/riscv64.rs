//! riscv64 page tables: 3, 4 or 5 levels (Sv39, Sv48, Sv57) of 512 entries of 8 bytes.
//!
//! ```text
//! entry    63   62..61   60..54     53..10   9..8       7..4     3..1    0
//!          N    PBMT     reserved   frame    software   D A G U  X W R   V
//! ```
//!
//! An entry with one of R, W and X is a leaf, at whatever level; one without leads to a table. N makes a leaf of the last
//! level one of 64 KiB where the frame's low bits are 1000 (Svnapot).
//!
//! Every address is walked, the linear map too.
//!
//! Sources: RISC-V privileged architecture, chapters "Sv39", "Sv48", "Sv57", "Svnapot", "Svpbmt"; Linux 6.12
//! arch/riscv/include/asm/pgtable-64.h and arch/riscv/kernel/vmcore_info.c.

use super::{Arch, MachineFacts, SectionBits};
use crate::memory::PhysReader;
use crate::symbols::KernelSymbols;
use crate::words::{Le64, WordLayout, Words};
use crate::xlat::{Mapping, TableCache, TableShape, Translate};
use dump_core::{ByteOrder, Error, ErrorKind, PageSize, PhysAddr, Result, VirtAddr};

const VALID: u64 = 1;
/// R, W or X.
const LEAF: u64 = 0b1110;
/// N of Svnapot.
const NAPOT: u64 = 1 << 63;
/// Bits 53..10: the page frame.
const FRAME_BITS: u64 = (1 << 44) - 1;

/// Tables of each level.
const TABLE: TableShape = TableShape { entries: 512, entry_bytes: 8, order: ByteOrder::Little };

/// The architecture.
#[derive(Clone, Copy, Debug)]
pub struct Riscv64;

impl Arch for Riscv64 {
    fn name(&self) -> &'static str {
        "riscv64"
    }

    fn elf_machine(&self) -> u16 {
        243
    }

    fn has_words(&self, words: Words) -> bool {
        words == Le64::WORDS
    }

    fn keys(&self) -> &'static [&'static str] {
        &["NUMBER(va_kernel_pa_offset)", "NUMBER(phys_ram_base)"]
    }

    /// Where RAM begins, which is what makedumpfile puts there.
    fn phys_base(&self, facts: MachineFacts<'_>) -> Option<u64> {
        facts.symbols.number("phys_ram_base").map(|value| value as u64)
    }

    /// Addresses have at most 57 bits, and those above are as bit 56.
    fn is_kernel(&self, at: VirtAddr) -> bool {
        at.0 >> 56 == 0xff
    }

    /// Linux arch/riscv/include/asm/sparsemem.h.
    fn section_bits(&self, _: &dyn KernelSymbols, _: PageSize) -> Option<SectionBits> {
        Some(SectionBits { section: 27, memory: 56 })
    }

    fn page_tables(&self, facts: MachineFacts<'_>) -> Result<Box<dyn Translate>> {
        if facts.page_size != PageSize::K4 {
            let text = format!("riscv64 pages of {} bytes, expected 4096", facts.page_size.bytes());
            return Err(Error::unsupported(text));
        }
        Ok(Box::new(PageTables { root: root(self, facts)?, levels: levels(self, facts) }))
    }

    /// As satp has it, or as a pointer to the table says: the mode and the address space's number lie above 44 bits of
    /// page frame, and a table is at a whole page.
    fn page_tables_at(&self, facts: MachineFacts<'_>, root: PhysAddr) -> Option<Box<dyn Translate>> {
        let root = if root.0 >> 60 == 0 { root.0 } else { (root.0 & FRAME_BITS) << 12 };
        Some(Box::new(PageTables { root: PhysAddr(root), levels: levels(self, facts) }))
    }

    /// 64 KiB (Svnapot), 2 MiB, 1 GiB.
    fn hugetlb_orders(&self, _: PageSize) -> &'static [u8] {
        &[4, 9, 18]
    }

    /// `user_regs_struct` begins at 112 (Linux include/linux/elfcore.h): pc is its first word, sp its third.
    fn kernel_pointers(&self, prstatus: &[u8]) -> Vec<VirtAddr> {
        let words = [0, 2].into_iter().filter_map(|i| prstatus.get(112 + 8 * i..)?.first_chunk());
        words.map(|word| VirtAddr(u64::from_le_bytes(*word))).filter(|at| self.is_kernel(*at)).collect()
    }
}

/// Where the kernel's top table lies. `va_kernel_pa_offset` is exported since 6.5; before, a PT_LOAD of the kernel image
/// says it, or that the image begins at its link address and where RAM begins (setup_bootmem() until 6.4).
fn root(arch: &Riscv64, facts: MachineFacts<'_>) -> Result<PhysAddr> {
    let symbols = facts.symbols;
    let at = symbols.symbol("swapper_pg_dir");
    let at = at.ok_or_else(|| Error::missing("vmcoreinfo lacks SYMBOL(swapper_pg_dir)"))?;
    if let Some(offset) = symbols.number("va_kernel_pa_offset") {
        return Ok(PhysAddr(at.0.wrapping_sub(offset as u64)));
    }
    let covers = |s: &&dump_core::Segment| arch.is_kernel(s.vaddr) && at.0.wrapping_sub(s.vaddr.0) < s.bytes;
    if let Some(segment) = facts.segments.iter().find(covers) {
        return Ok(PhysAddr(segment.paddr.0.wrapping_add(at.0 - segment.vaddr.0)));
    }
    let linked = symbols.number("KERNEL_LINK_ADDR").zip(arch.phys_base(facts));
    let (linked, ram) = linked.ok_or_else(|| {
        Error::missing("vmcoreinfo lacks NUMBER(va_kernel_pa_offset), and no PT_LOAD maps the kernel image")
    })?;
    Ok(PhysAddr(at.0.wrapping_sub(linked as u64).wrapping_add(ram)))
}

/// Levels of tables. `VA_BITS` is exported since 6.2 (649d6b1019a2); before, the lowest kernel address that is known
/// says it: the linear map begins at -2^37 or -2^38 (Sv39), -81 * 2^40 (Sv48), -160 * 2^48 (Sv57).
fn levels(arch: &Riscv64, facts: MachineFacts<'_>) -> u32 {
    let lowest = || {
        let segments = facts.segments.iter().map(|segment| segment.vaddr);
        let known = segments.chain(facts.symbols.symbol("mem_section")).filter(|at| arch.is_kernel(*at));
        known.min().map_or(39, |at| 65 - i64::from(at.0.leading_ones()))
    };
    match facts.symbols.number("VA_BITS").unwrap_or_else(lowest) {
        ..=39 => 3,
        40..=48 => 4,
        _ => 5,
    }
}

/// Page tables of a riscv64 kernel.
#[derive(Clone, Copy, Debug)]
struct PageTables {
    root: PhysAddr,
    levels: u32,
}

impl PageTables {
    /// Where the leaf `entry` of `level` leads `at`.
    fn leaf(&self, at: VirtAddr, entry: u64, level: u32) -> Result<Mapping> {
        let frame = entry >> 10 & FRAME_BITS;
        let (frame, shift) = match (entry & NAPOT != 0, level) {
            (true, 0) if frame & 0xf == 0b1000 => (frame & !0xf, 16),
            (false, _) if frame & ((1 << (9 * level)) - 1) == 0 => (frame, 12 + 9 * level),
            _ => {
                let text = format!("virtual address {at}: the entry {entry:#x} is no leaf of page table level {level}");
                return Err(Error::corrupt(text));
            }
        };
        let size = 1u64 << shift;
        let into = at.0 & (size - 1);
        Ok(Mapping { virt: at, phys: PhysAddr((frame << 12) + into), bytes: size - into })
    }
}

impl Translate for PageTables {
    fn root(&self) -> Option<PhysAddr> {
        Some(self.root)
    }

    fn translate(&self, memory: &mut dyn PhysReader, cache: &mut TableCache, at: VirtAddr) -> Result<Mapping> {
        let above = 64 - 12 - 9 * self.levels;
        if (at.0 << above) as i64 >> above != at.0 as i64 {
            return Err(Error::corrupt(format!("{at} is no virtual address of Sv{}", 64 - above)));
        }
        let mut table = self.root;
        for level in (0..self.levels).rev() {
            let index = (at.0 >> (12 + 9 * level) & 511) as usize;
            let entry = cache.entry(memory, level as usize, table, TABLE, index)?;
            if entry & VALID == 0 {
                let text = format!("virtual address {at} is not mapped (page table level {level})");
                return Err(Error::new(ErrorKind::NoMemory, text));
            }
            if entry & LEAF != 0 {
                return self.leaf(at, entry, level);
            }
            table = PhysAddr((entry >> 10 & FRAME_BITS) << 12);
        }
        Err(Error::corrupt(format!("virtual address {at}: the last page table leads to another")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Memory;
    use super::*;
    use crate::vmcoreinfo::Vmcoreinfo;
    use dump_core::Segment;

    fn facts<'a>(info: &'a Vmcoreinfo, segments: &'a [Segment]) -> MachineFacts<'a> {
        MachineFacts { symbols: info, words: Le64::WORDS, page_size: PageSize::K4, segments }
    }

    /// A kernel whose top table is at 0x80001000.
    fn info(more: &str) -> Vmcoreinfo {
        let root = "SYMBOL(swapper_pg_dir)=ffffffff80001000\n";
        Vmcoreinfo::parse(format!("{root}{more}").as_bytes())
    }

    fn walk(va_bits: u32, entries: &[(u64, u64)], at: u64) -> Result<(u64, u64)> {
        let info = info(&format!("NUMBER(VA_BITS)={va_bits}\nNUMBER(va_kernel_pa_offset)=0xffffffff00000000\n"));
        let xlat = Riscv64.page_tables(facts(&info, &[]))?;
        let mut memory = Memory::little(entries.iter().copied().collect());
        let mapping = xlat.translate(&mut memory, &mut TableCache::default(), VirtAddr(at))?;
        Ok((mapping.phys.0, mapping.bytes))
    }

    /// An entry: the page frame is above 10 bits of flags.
    const fn entry(phys: u64, flags: u64) -> u64 {
        phys >> 2 | flags
    }

    /// PBMT (NC), software bits, D, A, G, W, R, V.
    const PAGE: u64 = 0x2000_0000_0000_0000 | 0x300 | 0xe7;

    #[test]
    fn sv39() {
        // indexes 256, 3, 4 of bits 38..30, 29..21, 20..12
        let at = 0xffff_ffc0_0060_4567;
        let tables = [(0x8000_1800, entry(0x2000, 1)), (0x2018, entry(0x3000, 1))];
        let with = |last: u64| [tables[0], tables[1], (0x3020, last)];
        assert_eq!(walk(39, &with(entry(0xab_cdef_1234_5000, PAGE)), at).unwrap(), (0xab_cdef_1234_5567, 0xa99));
        let huge = [tables[0], (0x2018, entry(0x8060_0000, PAGE))];
        assert_eq!(walk(39, &huge, at).unwrap(), (0x8060_4567, 0x20_0000 - 0x4567));
        let huge = [(0x8000_1800, entry(0xc000_0000, 0xb))]; // X, R, V
        assert_eq!(walk(39, &huge, at).unwrap(), (0xc060_4567, 0x4000_0000 - 0x60_4567));
        // Svnapot: bits 3..0 of the frame are 1000 and stand for 64 KiB
        assert_eq!(walk(39, &with(1 << 63 | entry(0x9_8000, PAGE)), at).unwrap(), (0x9_4567, 0x1_0000 - 0x4567));
        for (wrong, kind) in [
            (with(1 << 63 | entry(0x9_4000, PAGE)), ErrorKind::Corrupt), // no size that there is
            (with(entry(0x4000, 1)), ErrorKind::Corrupt),                // a table below the last
            ([tables[0], (0x2018, entry(0x8060_1000, PAGE)), (0, 0)], ErrorKind::Corrupt), // no multiple of 2 MiB
            (with(entry(0x4000, PAGE & !1)), ErrorKind::NoMemory),
        ] {
            assert_eq!(walk(39, &wrong, at).unwrap_err().kind(), kind, "{wrong:x?}");
        }
        let e = walk(39, &with(entry(0x4000, PAGE)), 0xffff_ff80_0060_4567).unwrap_err();
        assert!(e.to_string().contains("Sv39"), "{e}");
    }

    #[test]
    fn sv48_and_sv57() {
        let below = [(0x2800, entry(0x3000, 1)), (0x3018, entry(0x4000, 1)), (0x4020, entry(0x7000, PAGE))];
        // index 351 of bits 47..39, then as Sv39
        let at = 0xffff_afc0_0060_4567;
        let four = [&[(0x8000_1000 + 8 * 351, entry(0x2000, 1))], &below[..]].concat();
        assert_eq!(walk(48, &four, at).unwrap().0, 0x7567);
        let leaf = [(0x8000_1000 + 8 * 351, entry(0x80_0000_0000, PAGE))];
        assert_eq!(walk(48, &leaf, at).unwrap(), (0xc0_0060_4567, 0x40_0000_0000 - 0x60_4567));
        // index 352 of bits 56..48, 1 of bits 47..39
        let five = [&[(0x8000_1000 + 8 * 352, entry(0x9000, 1)), (0x9008, entry(0x2000, 1))], &below[..]].concat();
        assert_eq!(walk(57, &five, 0xff60_00c0_0060_4567).unwrap().0, 0x7567);
    }

    #[test]
    fn what_older_kernels_do_not_say() {
        let root = |info: &Vmcoreinfo, segments: &[Segment]| {
            Riscv64.page_tables(facts(info, segments)).map(|xlat| xlat.root())
        };
        let linked = info("NUMBER(KERNEL_LINK_ADDR)=0xffffffff80000000\nNUMBER(phys_ram_base)=0x80200000\n");
        assert_eq!(root(&linked, &[]).unwrap(), Some(PhysAddr(0x8020_1000)));
        let segment = |vaddr, paddr| Segment { vaddr: VirtAddr(vaddr), paddr: PhysAddr(paddr), bytes: 0x20_0000 };
        let image = [segment(0xffff_af80_0000_0000, 0x8000_0000), segment(0xffff_ffff_8000_0000, 0x8040_0000)];
        assert_eq!(root(&info(""), &image).unwrap(), Some(PhysAddr(0x8040_1000)));
        let e = root(&info(""), &[]).err().unwrap();
        assert!(e.to_string().contains("NUMBER(va_kernel_pa_offset)"), "{e}");

        let levels = |info: &Vmcoreinfo, segments: &[Segment]| super::levels(&Riscv64, facts(info, segments));
        assert_eq!([levels(&info(""), &[]), levels(&info(""), &image)], [3, 4]);
        for (section, want) in
            [("ffffffd800100000", 3), ("ffffffe000100000", 3), ("ffffaf8000100000", 4), ("ff60000000100000", 5)]
        {
            assert_eq!(levels(&info(&format!("SYMBOL(mem_section)={section}\n")), &[]), want, "{section}");
        }
    }

    #[test]
    fn satp_or_a_table() {
        let info = info("NUMBER(VA_BITS)=48\n");
        for root in [0x9000_0000_0008_1234, 0x8123_4000] {
            let xlat = Riscv64.page_tables_at(facts(&info, &[]), PhysAddr(root)).unwrap();
            assert_eq!(xlat.root(), Some(PhysAddr(0x8123_4000)));
        }
    }
}
