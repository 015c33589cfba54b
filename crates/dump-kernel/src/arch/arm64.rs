//! arm64 page tables: 2 to 5 levels of entries of 8 bytes, a table being as large as a page.
//!
//! ```text
//! pages    bits of an index   virtual bits     levels   a leaf above the last level (block) is
//! 4 KiB    9                  36, 39, 48, 52   3 to 5   2 MiB, 1 GiB; with LPA2 512 GiB
//! 16 KiB   11                 36, 47, 48, 52   2 to 4   32 MiB; with LPA2 64 GiB
//! 64 KiB   13                 42, 48, 52       2, 3     512 MiB; with LPA 4 TiB
//! ```
//!
//! The top table has an entry for what is left of the virtual bits. Kernels (TTBR1) have the addresses above
//! 2^64 - 2^bits. Linux 5.4 turned their layout around (14c127c957c1); the walk is the same, for every address is walked,
//! the linear map too.
//!
//! | an entry's address | bits of the entry |
//! |---|---|
//! | 48 bits | 47..page size |
//! | LPA: 64 KiB pages | 47..16, and 15..12 as 51..48, which are zero without |
//! | LPA2: 4 and 16 KiB pages of a kernel that runs with 52 virtual bits | 49..page size, and 9..8 as 51..50 |
//!
//! Without LPA2 bits 9..8 are shareability. A kernel built for it that runs on a CPU without has 48 virtual bits (47 with
//! 16 KiB pages) and entries as without (Linux arch/arm64/kernel/pi/map_kernel.c, since 6.9).
//!
//! Sources: Arm Architecture Reference Manual, D8.3 (VMSAv8-64 translation table descriptors); Linux 6.12
//! arch/arm64/include/asm/pgtable-hwdef.h and arch/arm64/kernel/vmcore_info.c.

use super::{Arch, MachineFacts, SectionBits};
use crate::memory::PhysReader;
use crate::symbols::KernelSymbols;
use crate::words::Words;
use crate::xlat::{Mapping, TableCache, TableShape, Translate};
use dump_core::{ByteOrder, Error, ErrorKind, PageSize, PhysAddr, Result, VirtAddr, WordSize};

/// Bits 1..0 of an entry: a block at a level where there are some.
const BLOCK: u64 = 0b01;
/// Bits 1..0 of an entry: a table, or at the last level a page.
const TABLE_OR_PAGE: u64 = 0b11;

/// Bits of a block's entry that are none of its address, though they may be set: bit 16 is nT, and below it is what
/// 64 KiB pages have of bits 51..48.
const BELOW_BLOCK: u64 = 0x1_ffff;

/// The architecture.
#[derive(Clone, Copy, Debug)]
pub struct Arm64;

impl Arch for Arm64 {
    fn name(&self) -> &'static str {
        "arm64"
    }

    fn elf_machine(&self) -> u16 {
        183
    }

    fn has_words(&self, words: Words) -> bool {
        words.size == WordSize::Bits64
    }

    fn keys(&self) -> &'static [&'static str] {
        &["NUMBER(kimage_voffset)"]
    }

    /// Where RAM begins, as the kernel reckons it: what makedumpfile puts there. Less than 0 where a kernel for 52
    /// virtual bits runs with 48.
    fn phys_base(&self, facts: MachineFacts<'_>) -> Option<u64> {
        facts.symbols.number("PHYS_OFFSET").map(|value| value as u64)
    }

    /// Bit 55 tells; above it may be a tag of KASAN's (0xf0 to 0xff, those of CPUs with memory tagging), below it are
    /// at most 52 bits of address.
    fn is_kernel(&self, at: VirtAddr) -> bool {
        at.0 >> 63 == 1 && at.0 >> 52 & 0xf == 0xf
    }

    /// Linux arch/arm64/include/asm/sparsemem.h: sections became smaller in 5.12 (f0b13ee23241).
    fn section_bits(&self, symbols: &dyn KernelSymbols, page_size: PageSize) -> Option<SectionBits> {
        let section = match symbols.version() {
            Some(version) if version < (5, 12) => 30,
            _ if page_size.shift() == 16 => 29,
            _ => 27,
        };
        Some(SectionBits { section, memory: if symbols.number("VA_BITS") == Some(52) { 52 } else { 48 } })
    }

    fn page_tables(&self, facts: MachineFacts<'_>) -> Result<Box<dyn Translate>> {
        let lacking = |key: &str| Error::missing(format!("vmcoreinfo lacks {key}"));
        let root = facts.symbols.symbol("swapper_pg_dir").ok_or_else(|| lacking("SYMBOL(swapper_pg_dir)"))?;
        let offset = facts.symbols.number("kimage_voffset").ok_or_else(|| lacking("NUMBER(kimage_voffset)"))?;
        let root = PhysAddr(root.0.wrapping_sub(offset as u64));
        Ok(Box::new(PageTables::new(facts, Half::Kernel, root)?))
    }

    /// Of user memory (TTBR0): the address space's number is above the table's place, CnP is bit 0, and a place above 48
    /// bits has its bits 51..48 in bits 5..2.
    fn page_tables_at(&self, facts: MachineFacts<'_>, root: PhysAddr) -> Option<Box<dyn Translate>> {
        let root = PhysAddr(root.0 & 0xffff_ffff_ffc0 | (root.0 >> 2 & 0xf) << 48);
        Some(Box::new(PageTables::new(facts, Half::User, root).ok()?))
    }

    /// Contiguous PTEs, PMD, contiguous PMDs, PUD (Linux arch/arm64/mm/hugetlbpage.c).
    fn hugetlb_orders(&self, page_size: PageSize) -> &'static [u8] {
        match page_size.shift() {
            12 => &[4, 9, 13, 18],
            14 => &[7, 11, 16],
            _ => &[5, 13, 18],
        }
    }

    /// `user_pt_regs` begins at 112 (Linux include/linux/elfcore.h): x0 to x30, sp, pc.
    fn kernel_pointers(&self, prstatus: &[u8]) -> Vec<VirtAddr> {
        let words = [32, 31].into_iter().filter_map(|i| prstatus.get(112 + 8 * i..)?.first_chunk());
        words.map(|word| VirtAddr(u64::from_le_bytes(*word))).filter(|at| self.is_kernel(*at)).collect()
    }
}

/// Which half of the addresses a table is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    /// The upper one.
    Kernel,
    /// The lower one.
    User,
}

/// Page tables of an arm64 kernel.
#[derive(Clone, Copy, Debug)]
struct PageTables {
    half: Half,
    root: PhysAddr,
    order: ByteOrder,
    /// log2 of the page size.
    page: u32,
    /// Virtual bits that the CPUs translate.
    bits: u32,
    /// Virtual bits that the top table is made for: as many, or 52 where a kernel that could have 52 has 48. TTBR1 then
    /// points at the last of its entries.
    top_bits: u32,
    /// Virtual bits that the top table may be made for instead, where an entry is lacking.
    other_top_bits: Option<u32>,
    address: AddressBits,
}

/// Where in an entry the address is.
#[derive(Clone, Copy, Debug)]
struct AddressBits {
    in_place: u64,
    moved: u64,
    /// How far up the moved ones belong.
    by: u32,
}

impl AddressBits {
    fn of(self, entry: u64) -> u64 {
        entry & self.in_place | (entry & self.moved) << self.by
    }
}

impl PageTables {
    fn new(facts: MachineFacts<'_>, half: Half, root: PhysAddr) -> Result<PageTables> {
        let page = u32::from(facts.page_size.shift());
        let built = facts.symbols.number("VA_BITS").and_then(|bits| u32::try_from(bits).ok());
        // exported since 5.9 (bbdbc11804ff)
        let running = facts.symbols.number("TCR_EL1_T1SZ").and_then(|size| u32::try_from(64 - size.clamp(0, 64)).ok());
        let bits = running.or(built).ok_or_else(|| Error::missing("vmcoreinfo lacks NUMBER(VA_BITS)"))?;
        if ![12, 14, 16].contains(&page) || !(36..=52).contains(&bits) {
            let text = format!("arm64 pages of {} bytes and virtual addresses of {bits} bits", facts.page_size.bytes());
            return Err(Error::unsupported(text));
        }
        let top_bits = if page == 16 && built == Some(52) { 52 } else { bits };
        // of 5.0 to 5.3, and of older ones that took it over, none says that it was built for user memory of 52 bits,
        // where the kernel's own table is as large (68d23da4373a)
        let may_be_larger = page == 16 && bits == 48 && top_bits == 48 && running.is_none();
        Ok(PageTables {
            half,
            root,
            order: facts.words.order,
            page,
            bits,
            top_bits,
            other_top_bits: may_be_larger.then_some(52),
            address: address_bits(page, bits),
        })
    }

    /// Levels of tables.
    fn levels(&self) -> u32 {
        (self.bits - 4) / (self.page - 3)
    }

    /// log2 of what an entry of `level` maps, the last level being 0.
    fn shift(&self, level: u32) -> u32 {
        self.page + level * (self.page - 3)
    }

    /// The address without a tag, where it is one of this half.
    fn untagged(&self, at: VirtAddr) -> Option<u64> {
        let whole = (at.0 << 8) as i64 >> 8;
        let above = whole >> self.bits;
        (above == if self.half == Half::Kernel { -1 } else { 0 }).then_some(whole as u64)
    }

    /// Whether there are blocks at `level`.
    fn has_blocks(&self, level: u32) -> bool {
        let with_52_bits = u32::from(self.page == 16 || self.bits == 52);
        let most = if self.page == 12 { 2 } else { 1 };
        (1..=most + with_52_bits).contains(&level)
    }

    /// The entry of the top table for `at`.
    fn top(&self, memory: &mut dyn PhysReader, cache: &mut TableCache, at: u64) -> Result<u64> {
        let level = self.levels() - 1;
        let shift = self.shift(level);
        let mut entry = |bits: u32| {
            let entries = 1usize << (bits - shift);
            let shape = TableShape { entries, entry_bytes: 8, order: self.order };
            cache.entry(memory, level as usize, self.root, shape, (at >> shift) as usize & (entries - 1))
        };
        let first = entry(self.top_bits)?;
        match self.other_top_bits {
            Some(bits) if first & 1 == 0 => entry(bits),
            _ => Ok(first),
        }
    }
}

/// By page size and the virtual bits in use.
fn address_bits(page: u32, bits: u32) -> AddressBits {
    let upto = |end: u32| (1u64 << end) - (1 << page);
    match (page, bits) {
        (16, _) => AddressBits { in_place: upto(48), moved: 0xf << 12, by: 36 },
        (_, 52) => AddressBits { in_place: upto(50), moved: 0b11 << 8, by: 42 },
        _ => AddressBits { in_place: upto(48), moved: 0, by: 0 },
    }
}

impl Translate for PageTables {
    fn root(&self) -> Option<PhysAddr> {
        Some(self.root)
    }

    fn translate(&self, memory: &mut dyn PhysReader, cache: &mut TableCache, at: VirtAddr) -> Result<Mapping> {
        let Some(whole) = self.untagged(at) else {
            let half = if self.half == Half::Kernel { "kernel" } else { "user" };
            return Err(Error::corrupt(format!("{at} is no {half} address of {} bits", self.bits)));
        };
        let entries = 1usize << (self.page - 3);
        let shape = TableShape { entries, entry_bytes: 8, order: self.order };
        let mut entry = self.top(memory, cache, whole)?;
        for level in (0..self.levels()).rev() {
            let (shift, next) = (self.shift(level), self.address.of(entry));
            let size = 1u64 << shift;
            match (entry & 0b11, level) {
                (TABLE_OR_PAGE, 0) => {}
                (TABLE_OR_PAGE, _) => {
                    let index = (whole >> self.shift(level - 1)) as usize & (entries - 1);
                    entry = cache.entry(memory, level as usize - 1, PhysAddr(next), shape, index)?;
                    continue;
                }
                (BLOCK, _)
                    if self.has_blocks(level) && entry & self.address.in_place & (size - 1) & !BELOW_BLOCK == 0 => {}
                (BLOCK, _) => {
                    let text =
                        format!("virtual address {at}: the entry {entry:#x} is none of page table level {level}");
                    return Err(Error::corrupt(text));
                }
                _ => {
                    let text = format!("virtual address {at} is not mapped (page table level {level})");
                    return Err(Error::new(ErrorKind::NoMemory, text));
                }
            }
            let into = whole & (size - 1);
            return Ok(Mapping { virt: at, phys: PhysAddr((next & !(size - 1)) + into), bytes: size - into });
        }
        Err(Error::bug(format!("virtual address {at}: the walk did not end"))) // a page ends it
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Memory;
    use super::*;
    use crate::vmcoreinfo::Vmcoreinfo;
    use crate::words::{Be64, Le64, WordLayout};
    use std::collections::HashMap;

    fn facts<'a>(info: &'a Vmcoreinfo, page: usize, words: Words) -> MachineFacts<'a> {
        MachineFacts { symbols: info, words, page_size: PageSize::from_bytes(page as u64).unwrap(), segments: &[] }
    }

    /// A kernel whose top table is at 0x10000.
    fn info(va_bits: u32, t1sz: Option<u32>) -> Vmcoreinfo {
        let t1sz = t1sz.map_or(String::new(), |t1sz| format!("NUMBER(TCR_EL1_T1SZ)={t1sz:#x}\n"));
        let root = "SYMBOL(swapper_pg_dir)=ffff800011010000\nNUMBER(kimage_voffset)=0xffff800011000000\n";
        Vmcoreinfo::parse(format!("{root}NUMBER(VA_BITS)={va_bits}\n{t1sz}").as_bytes())
    }

    fn walk(info: &Vmcoreinfo, page: usize, entries: &[(u64, u64)], at: u64) -> Result<(u64, u64)> {
        let xlat = Arm64.page_tables(facts(info, page, Le64::WORDS))?;
        assert_eq!(xlat.root(), Some(PhysAddr(0x1_0000)));
        let mut memory = Memory(entries.iter().copied().collect(), ByteOrder::Little);
        let mapping = xlat.translate(&mut memory, &mut TableCache::default(), VirtAddr(at))?;
        Ok((mapping.phys.0, mapping.bytes))
    }

    /// Contiguous, PXN, UXN, software bits and PBHA: all that is above the address.
    const ABOVE: u64 = 0xfff0_0000_0000_0000;
    /// AF, inner shareable.
    const BELOW: u64 = 1 << 10 | 0b11 << 8;

    #[test]
    fn pages_of_4_kib_and_48_bits() {
        let info = info(48, Some(16));
        // indexes 256, 2, 3, 4 of bits 47..39, 38..30, 29..21, 20..12
        let at = 0xffff_8000_8060_4567;
        let tables = [(0x1_0800, 0x2_0003), (0x2_0010, 0x3_0003), (0x3_0018, 0x4_0003)];
        let with = |last: (u64, u64)| [&tables[..], &[last]].concat();
        let page = with((0x4_0020, ABOVE | BELOW | 0x8123_4560_7000 | 3));
        assert_eq!(walk(&info, 4096, &page, at).unwrap(), (0x8123_4560_7567, 0xa99));
        let block = [tables[0], tables[1], (0x3_0018, ABOVE | BELOW | 1 << 16 | 0x1240_0000 | 1)];
        assert_eq!(walk(&info, 4096, &block, at).unwrap(), (0x1240_4567, 0x20_0000 - 0x4567));
        let block = [tables[0], (0x2_0010, BELOW | 0x1_4000_0000 | 1)];
        assert_eq!(walk(&info, 4096, &block, at).unwrap(), (0x1_4060_4567, 0x4000_0000 - 0x60_4567));
        for (wrong, kind) in [
            (vec![(0x1_0800, 0x80_0000_0000 | 1)], ErrorKind::Corrupt), // no blocks of 512 GiB without LPA2
            (with((0x4_0020, 0x7000 | 1)), ErrorKind::Corrupt),         // reserved
            (vec![tables[0], tables[1], (0x3_0018, 0x1244_0000 | 1)], ErrorKind::Corrupt), // no multiple of 2 MiB
            (with((0x4_0020, 0x7000 | 2)), ErrorKind::NoMemory),
        ] {
            assert_eq!(walk(&info, 4096, &wrong, at).unwrap_err().kind(), kind, "{wrong:x?}");
        }
        let e = walk(&info, 4096, &page, 0xfffe_8000_8060_4567).unwrap_err();
        assert!(e.to_string().contains("no kernel address of 48 bits"), "{e}");
        // the tag of a CPU with memory tagging
        assert_eq!(walk(&info, 4096, &page, at & !(0xff << 56) | 0xf4 << 56).unwrap().0, 0x8123_4560_7567);
    }

    #[test]
    fn pages_of_4_kib_and_other_bits() {
        // 39 bits: indexes 256, 3, 4 of bits 38..30, 29..21, 20..12
        let three = [(0x1_0800, 0x2_0003), (0x2_0018, 0x3_0003), (0x3_0020, 0x7003)];
        assert_eq!(walk(&info(39, Some(25)), 4096, &three, 0xffff_ffc0_0060_4567).unwrap().0, 0x7567);
        // 36 bits: the first index has bits 35..30
        let three = [(0x1_0100, 0x2_0003), (0x2_0018, 0x3_0003), (0x3_0020, 0x7003)];
        assert_eq!(walk(&info(36, None), 4096, &three, 0xffff_fff8_0060_4567).unwrap().0, 0x7567);
        // built for 52, running with 48, as on CPUs without LPA2: 4 levels, and bits 9..8 are shareability
        let four = [(0x1_0800, 0x2_0303), (0x2_0010, 0x3_0003), (0x3_0018, 0x4_0003), (0x4_0020, BELOW | 0x7003)];
        assert_eq!(walk(&info(52, Some(16)), 4096, &four, 0xffff_8000_8060_4567).unwrap().0, 0x7567);
    }

    #[test]
    fn lpa2() {
        // 4 KiB: index 8 of bits 51..48, then as with 48; bits 9..8 are 51..50 of the address
        let info = info(52, Some(12));
        let at = 0xfff8_8000_8060_4567;
        let tables = [(0x1_0040, 0x1_8103), (0x4_0000_0001_8800, 0x2_0003), (0x2_0010, 0x3_0003), (0x3_0018, 0x4_0003)];
        let page = [&tables[..], &[(0x4_0020, ABOVE | 0x3_0000_0000_7000 | 0x200 | 3)]].concat();
        assert_eq!(walk(&info, 4096, &page, at).unwrap().0, 0xb_0000_0000_7567);
        let block = [tables[0], (0x4_0000_0001_8800, 0x80_0000_0000 | 0x300 | 1)];
        let size = 0x80_0000_0000;
        assert_eq!(walk(&info, 4096, &block, at).unwrap(), (0xc_0080_8060_4567, size - 0x8060_4567));
        // 16 KiB: indexes 31, 2, 3, 4 of bits 51..47, 46..36, 35..25, 24..14
        let at = 0xffff_8020_0601_0123;
        let four = [(0x1_00f8, 0x2_0003), (0x2_0010, 0x3_0003), (0x3_0018, 0x4_0003), (0x4_0020, 0x1_0000_0000_c303)];
        assert_eq!(walk(&info, 16384, &four, at).unwrap(), (0xd_0000_0000_c123, 0x4000 - 0x123));
        let block = [four[0], (0x2_0010, 0x10_0000_0000 | 0x100 | 1)];
        assert_eq!(walk(&info, 16384, &block, at).unwrap().0, 0x4_0010_0601_0123);
    }

    #[test]
    fn pages_of_16_kib() {
        // 47 bits: indexes 1026, 3, 4 of bits 46..36, 35..25, 24..14; a kernel built for 52 with LPA2 that runs without
        let at = 0xffff_c020_0601_0123;
        let three = [(0x1_0000 + 8 * 1026, 0x2_0003), (0x2_0018, 0x3_0003), (0x3_0020, BELOW | 0xc003)];
        for info in [info(47, Some(17)), info(47, None), info(52, Some(17))] {
            assert_eq!(walk(&info, 16384, &three, at).unwrap(), (0xc123, 0x4000 - 0x123));
        }
        let block = [three[0], (0x2_0018, BELOW | 0x1_0200_0000 | 1)];
        assert_eq!(walk(&info(47, None), 16384, &block, at).unwrap().0, 0x1_0201_0123);
        let block = [(0x1_0000 + 8 * 1026, BELOW | 0x10_0000_0000 | 1)];
        assert_eq!(walk(&info(47, None), 16384, &block, at).unwrap_err().kind(), ErrorKind::Corrupt);
        // 48 bits: the first index is bit 47 alone; 36 bits: two levels, the first index has bits 35..25
        let four = [(0x1_0008, 0x5_0003), (0x5_0000 + 8 * 1026, 0x2_0003), three[1], three[2]];
        assert_eq!(walk(&info(48, Some(16)), 16384, &four, at).unwrap().0, 0xc123);
        let two = [(0x1_0000 + 8 * 1027, 0x3_0003), three[2]];
        assert_eq!(walk(&info(36, Some(28)), 16384, &two, 0xffff_fff8_0601_0123).unwrap().0, 0xc123);
    }

    #[test]
    fn pages_of_64_kib() {
        // 48 bits: indexes 32, 3, 4 of bits 47..42, 41..29, 28..16; bits 15..12 are 51..48 of the address
        let at = 0xffff_8000_6004_0123;
        let tables = [(0x1_0100, 0x2_1003), (0x1_0000_0002_0018, 0x3_0003)];
        let three = [&tables[..], &[(0x3_0020, ABOVE | BELOW | 0x9_5003)]].concat();
        assert_eq!(walk(&info(48, Some(16)), 65536, &three, at).unwrap(), (0x5_0000_0009_0123, 0x1_0000 - 0x123));
        let block = [tables[0], (0x1_0000_0002_0018, BELOW | 0x4000_2001)];
        assert_eq!(walk(&info(48, Some(16)), 65536, &block, at).unwrap(), (0x2_0000_4004_0123, 0x2000_0000 - 0x4_0123));
        // 52 bits, in use or not: the first index has bits 51..42, all ones above 48
        let large = [(0x1_0000 + 8 * 0x3e0, tables[0].1), three[1], three[2]];
        for info in [info(52, Some(16)), info(52, Some(12)), info(52, None), info(48, None)] {
            assert_eq!(walk(&info, 65536, &large, at).unwrap().0, 0x5_0000_0009_0123);
        }
        assert_eq!(walk(&info(48, None), 65536, &three, at).unwrap().0, 0x5_0000_0009_0123);
        // 42 bits: indexes 4099, 4 of bits 41..29, 28..16
        let two = [(0x1_0000 + 8 * 4099, 0x3_0003), (0x3_0020, 0x9_0003)];
        assert_eq!(walk(&info(42, Some(22)), 65536, &two, 0xffff_fe00_6004_0123).unwrap().0, 0x9_0123);
    }

    #[test]
    fn user_memory() {
        let info = info(48, Some(16));
        // ASID, CnP
        let xlat = Arm64.page_tables_at(facts(&info, 4096, Be64::WORDS), PhysAddr(0x12_0000_0001_0001)).unwrap();
        assert_eq!(xlat.root(), Some(PhysAddr(0x1_0000)));
        let tables = [(0x1_0000, 0x2_0003), (0x2_0000, 0x3_0003), (0x3_0018, 0x4_0003), (0x4_0020, 0x7003)];
        let mut memory = Memory(HashMap::from(tables), ByteOrder::Big);
        let mut phys =
            |at| xlat.translate(&mut memory, &mut TableCache::default(), VirtAddr(at)).map(|found| found.phys.0);
        assert_eq!(phys(0x60_4567).unwrap(), 0x7567);
        assert_eq!(phys(0xffff_0000_0060_4567).unwrap_err().kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn what_is_lacking_or_cannot_be() {
        let of =
            |text: &str, page| Arm64.page_tables(facts(&Vmcoreinfo::parse(text.as_bytes()), page, Le64::WORDS)).err();
        for (text, lacking) in [
            ("NUMBER(VA_BITS)=48\nNUMBER(kimage_voffset)=0\n", "SYMBOL(swapper_pg_dir)"),
            ("NUMBER(VA_BITS)=48\nSYMBOL(swapper_pg_dir)=ffff800011010000\n", "NUMBER(kimage_voffset)"),
            ("SYMBOL(swapper_pg_dir)=ffff800011010000\nNUMBER(kimage_voffset)=0\n", "NUMBER(VA_BITS)"),
            (
                "SYMBOL(swapper_pg_dir)=ffff800011010000\nNUMBER(kimage_voffset)=0\nNUMBER(VA_BITS)=64\n",
                "virtual addresses of 64 bits",
            ),
        ] {
            let e = of(text, 4096).unwrap();
            assert!(e.to_string().contains(lacking), "{e}");
        }
        assert_eq!(
            Arm64.page_tables(facts(&info(48, None), 8192, Le64::WORDS)).err().unwrap().kind(),
            ErrorKind::Unsupported
        );
    }

    #[test]
    fn sections_by_page_size_and_version() {
        let bits = |release: &str, page| {
            let info = Vmcoreinfo::parse(format!("OSRELEASE={release}\nNUMBER(VA_BITS)=48\n").as_bytes());
            Arm64.section_bits(&info, PageSize::from_bytes(page).unwrap()).unwrap().section
        };
        assert_eq!([bits("5.11.0", 4096), bits("5.12.0", 4096), bits("5.12.0", 16384)], [30, 27, 27]);
        assert_eq!([bits("4.19.0", 65536), bits("5.12.0", 65536)], [30, 29]);
    }
}
