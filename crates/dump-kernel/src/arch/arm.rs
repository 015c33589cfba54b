//! arm page tables: short descriptors in two levels, or with LPAE long ones in three.
//!
//! ```text
//!              31..20  19..12  11..0
//! short        L1      L2      offset      a leaf may be an L1 entry: a section (1 MiB) or a supersection (16 MiB)
//!              31..30  29..21  20..12  11..0
//! LPAE         L1      L2      L3      offset      a leaf may be an L1 entry (1 GiB) or an L2 entry (2 MiB)
//! ```
//!
//! Linux keeps its own view of two L2 tables before them in one page (arch/arm/include/asm/pgtable-2level.h); L1 entries
//! point at those of the CPU, which are the ones walked here. The formats are those of the ARM Architecture Reference
//! Manual, ARMv7-A, B3.5 and B3.6. vmcoreinfo says neither where RAM begins (PHYS_OFFSET) nor where it is mapped
//! (PAGE_OFFSET, which CONFIG_VMSPLIT chooses).

use super::self_mapped::{SelfMapped, Walk, mapping, not_mapped, places_of, space_of_32_bits, swapper_pg_dir};
use super::{Arch, MachineFacts, SectionBits, Space};
use crate::memory::PhysReader;
use crate::symbols::KernelSymbols;
use crate::words::Words;
use crate::xlat::{Mapping, TableCache, TableShape, Translate};
use dump_core::{ByteOrder, Error, PageSize, PhysAddr, Result, VirtAddr, WordSize};

/// CONFIG_PAGE_OFFSET of CONFIG_VMSPLIT_3G, _3G_OPT, _2G and _1G (Linux arch/arm/Kconfig).
const PAGE_OFFSETS: [u64; 4] = [0xc000_0000, 0xb000_0000, 0x8000_0000, 0x4000_0000];

/// Modules lie so far below PAGE_OFFSET (arch/arm/include/asm/memory.h: MODULES_VADDR; bytes).
const MODULES: u64 = 16 << 20;

/// Where no PT_LOADs say it, RAM is taken to begin at a multiple of this (bytes).
const BANK: u64 = 64 << 20;

/// Bits 39..12 of a long descriptor.
const LPAE_ADDRESS: u64 = 0x00ff_ffff_f000;

/// Most places of RAM that are tried.
const MAX_STARTS: usize = 64;

/// The architecture.
#[derive(Clone, Copy, Debug)]
pub struct Arm;

impl Arch for Arm {
    fn name(&self) -> &'static str {
        "arm"
    }

    fn elf_machine(&self) -> u16 {
        40
    }

    fn has_words(&self, words: Words) -> bool {
        words.size == WordSize::Bits32
    }

    fn keys(&self) -> &'static [&'static str] {
        &["CONFIG_ARM_LPAE"]
    }

    fn phys_base(&self, _: MachineFacts<'_>) -> Option<u64> {
        None
    }

    /// From the modules of the lowest PAGE_OFFSET on: which one a kernel has is not known here.
    fn is_kernel(&self, at: VirtAddr) -> bool {
        (0x4000_0000 - MODULES..1 << 32).contains(&at.0)
    }

    fn space_of(&self, at: VirtAddr) -> Space {
        space_of_32_bits(at, MODULES)
    }

    /// Linux arch/arm/include/asm/sparsemem.h; vmcoreinfo's number is what tells LPAE from none.
    fn section_bits(&self, symbols: &dyn KernelSymbols, _: PageSize) -> Option<SectionBits> {
        Some(SectionBits { section: 28, memory: symbols.number("MAX_PHYSMEM_BITS").unwrap_or(36) })
    }

    fn page_tables(&self, facts: MachineFacts<'_>) -> Result<Box<dyn Translate>> {
        let table = swapper_pg_dir(facts.symbols)?;
        let mut starts: Vec<u64> = facts.segments.iter().take(MAX_STARTS).map(|segment| segment.paddr.0).collect();
        starts.extend((0..1 << 32).step_by(BANK as usize));
        let into = PAGE_OFFSETS.iter().filter_map(|offset| table.0.checked_sub(*offset));
        let linear = into.flat_map(|into| starts.iter().filter_map(move |start| start.checked_add(into)));
        let roots = places_of(table, facts.segments).chain(linear.map(PhysAddr));
        let candidates = roots.flat_map(|root| kinds(facts.words.order).map(|kind| (kind, root))).collect();
        Ok(Box::new(SelfMapped::own(table, candidates)))
    }

    /// A process's table has the kernel's entries too (arch/arm/mm/pgd.c).
    fn page_tables_at(&self, facts: MachineFacts<'_>, root: PhysAddr) -> Option<Box<dyn Translate>> {
        let table = swapper_pg_dir(facts.symbols).ok()?;
        // TTBR0: attributes are below the place, and with LPAE the address space's number above it
        let candidates = kinds(facts.words.order).map(|kind| (kind, PhysAddr(root.0 & kind.root_bits())));
        Some(Box::new(SelfMapped::other(table, candidates.to_vec())))
    }

    /// 1 MiB pairs of sections are 2 MiB to Linux, as LPAE's are.
    fn hugetlb_orders(&self, _: PageSize) -> &'static [u8] {
        &[9]
    }

    /// `pr_reg` begins at 72 (Linux, include/linux/elfcore.h, with times of 4 bytes): r0 to r15, of which sp is the 14th
    /// and pc the 16th. Little endian, for the other order is rare and not known here.
    fn kernel_pointers(&self, prstatus: &[u8]) -> Vec<VirtAddr> {
        let words = [15, 13].into_iter().filter_map(|i| prstatus.get(72 + 4 * i..)?.first_chunk());
        words.map(|word| VirtAddr(u32::from_le_bytes(*word).into())).filter(|at| self.is_kernel(*at)).collect()
    }
}

/// Page tables of an arm kernel with words of this order.
fn kinds(order: ByteOrder) -> [PageTables; 2] {
    [Format::Long, Format::Short].map(|format| PageTables { format, order })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// CONFIG_ARM_LPAE.
    Long,
    Short,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PageTables {
    format: Format,
    order: ByteOrder,
}

impl Walk for PageTables {
    fn walk(
        self,
        root: PhysAddr,
        memory: &mut dyn PhysReader,
        cache: &mut TableCache,
        at: VirtAddr,
    ) -> Result<Mapping> {
        if at.0 >> 32 != 0 {
            return Err(Error::corrupt(format!("{at} is no virtual address of 32 bits")));
        }
        match self.format {
            Format::Long => self.long(root, memory, cache, at),
            Format::Short => self.short(root, memory, cache, at),
        }
    }
}

impl PageTables {
    /// Bits of TTBR0 that are the place of the table: 4 entries of 8 bytes, or 4096 of 4.
    fn root_bits(self) -> u64 {
        match self.format {
            Format::Long => 0xff_ffff_ffe0,
            Format::Short => 0xffff_c000,
        }
    }

    fn long(
        self,
        root: PhysAddr,
        memory: &mut dyn PhysReader,
        cache: &mut TableCache,
        at: VirtAddr,
    ) -> Result<Mapping> {
        let mut table = root;
        for (level, shift, entries) in [(1, 30, 4), (2, 21, 512), (3, 12, 512)] {
            let shape = TableShape { entries, entry_bytes: 8, order: self.order };
            let entry = cache.entry(memory, level, table, shape, (at.0 >> shift) as usize & (entries - 1))?;
            match (entry & 3, level) {
                (1, 1 | 2) | (3, 3) => return Ok(mapping(at, entry & LPAE_ADDRESS, shift)),
                (3, _) => table = PhysAddr(entry & LPAE_ADDRESS),
                _ => return Err(not_mapped(at, level)),
            }
        }
        Err(Error::bug(format!("virtual address {at}: the walk did not end")))
    }

    fn short(
        self,
        root: PhysAddr,
        memory: &mut dyn PhysReader,
        cache: &mut TableCache,
        at: VirtAddr,
    ) -> Result<Mapping> {
        let shape = |entries| TableShape { entries, entry_bytes: 4, order: self.order };
        let first = cache.entry(memory, 1, root, shape(4096), (at.0 >> 20) as usize)?;
        let is_super = first & 1 << 18 != 0;
        match first & 3 {
            0 => return Err(not_mapped(at, 1)),
            1 => {}
            // bits 23..20 are 35..32 of a supersection's address, 8..5 are 39..36
            _ if is_super => {
                let above = (first >> 20 & 0xf) << 32 | (first >> 5 & 0xf) << 36;
                return Ok(mapping(at, (first & 0xff00_0000) | above, 24));
            }
            // bit 0 of a section is PXN
            _ => return Ok(mapping(at, first & 0xfff0_0000, 20)),
        }
        let second = cache.entry(memory, 2, PhysAddr(first & 0xffff_fc00), shape(256), (at.0 >> 12) as usize & 0xff)?;
        match second & 3 {
            0 => Err(not_mapped(at, 2)),
            1 => Ok(mapping(at, second & 0xffff_0000, 16)),
            _ => Ok(mapping(at, second & 0xffff_f000, 12)),
        }
    }
}

#[cfg(test)]
mod tests {
    //! Entries are built by the ARM Architecture Reference Manual, ARMv7-A and ARMv7-R edition, B3.5.1 and B3.6.1.

    use super::super::self_mapped::fake::{Tables, page_tables, walk};
    use super::*;
    use crate::words::{Be32, Le32, WordLayout};
    use dump_core::Segment;

    /// As LPAE and as other kernels have it.
    const LPAE: &str = "SYMBOL(swapper_pg_dir)=c0203000\nCONFIG_ARM_LPAE=y\n";
    const SHORT: &str = "SYMBOL(swapper_pg_dir)=c0204000\n";

    /// RAM at 0x40000000.
    #[test]
    fn long_descriptors_of_each_size() {
        let entries = [
            (0x4020_3000 + 2 * 8, 0x0080_0000_0000_0000 | 0x8_8000_0000 | 0x711), // 1 GiB at 0x80000000; XN
            (0x4020_3000 + 3 * 8, 0x4020_7003),
            (0x4020_7000 + 8, 0x4020_0000 | 0x711), // 0xc0200000, 2 MiB
            (0x4020_7000 + 0x180 * 8, 0x0040_0000_0000_0000 | 0x4000_9003),
            (0x4000_9000 + 8, 0x0060_0000_0000_0000 | 0xff_fff0_5000 | 0x703),
            (0x4000_9000 + 16, 0x4000_5000 | 0x701), // reserved at level 3
        ];
        let mut tables = Tables::new(8, ByteOrder::Little, &entries);
        let xlat = page_tables(&Arm, LPAE, Le32::WORDS, 4096, &[]).unwrap();
        for (at, phys, bytes) in [
            (0xc030_0010, 0x4030_0010, 0x10_0000 - 0x10),
            (0xf000_1234, 0xff_fff0_5234, 0x1000 - 0x234),
            (0x8000_0004, 0x8_8000_0004, 0x4000_0000 - 4),
        ] {
            assert_eq!(walk(xlat.as_ref(), &mut tables, at), Ok((phys, bytes)), "{at:#x}");
        }
        assert_eq!(xlat.root(), Some(PhysAddr(0x4020_3000)));
        for (at, what) in [(0xf000_2000, "level 3"), (0xf020_0000, "level 2"), (0x1000, "level 1")] {
            let e = walk(xlat.as_ref(), &mut tables, at).unwrap_err();
            assert!(e.contains(what), "{e}");
        }
    }

    fn short_tables(order: ByteOrder) -> Tables {
        let root = 0x8020_4000;
        let entries = [
            (root + 0xc02 * 4, 0x8020_0000 | 0x40e), // section of 1 MiB at 0xc0200000
            (root + 0xe00 * 4, 0x1250_0000 | 1 << 18 | 0xc << 5 | 2), // supersection: PA 39..36 = 0xc, 35..32 = 5
            (root + 0xe01 * 4, 0x8030_0000 | 0x40f), // section with PXN
            (root + 0xf00 * 4, 0x8000_8c00 | 1 << 5 | 1), // table, in a domain
            (0x8000_8c00, 0x8765_0000 | 1),          // large page
            (0x8000_8c00 + 4, 0x8765_0000 | 1),      // of which there are 16
            (0x8000_8c00 + 16 * 4, 0x8001_2000 | 0x45e), // small page
            (0x8000_8c00 + 17 * 4, 0x8001_3000 | 0x45f), // small page, XN
        ];
        Tables::new(4, order, &entries)
    }

    #[test]
    fn short_descriptors_of_each_size_in_either_order() {
        for (order, words) in [(ByteOrder::Little, Le32::WORDS), (ByteOrder::Big, Be32::WORDS)] {
            let mut tables = short_tables(order);
            let xlat = page_tables(&Arm, SHORT, words, 4096, &[]).unwrap();
            for (at, phys, bytes) in [
                (0xc020_4010, 0x8020_4010, 0xf_bff0),
                (0xe000_0010, 0xc5_1200_0010, 0x100_0000 - 0x10),
                (0xe010_0010, 0x8030_0010, 0xf_fff0),
                (0xf000_1234, 0x8765_1234, 0x1_0000 - 0x1234),
                (0xf001_0234, 0x8001_2234, 0x1000 - 0x234),
                (0xf001_1234, 0x8001_3234, 0x1000 - 0x234),
            ] {
                assert_eq!(walk(xlat.as_ref(), &mut tables, at), Ok((phys, bytes)), "{order:?} {at:#x}");
            }
            assert!(walk(xlat.as_ref(), &mut tables, 0xf002_0000).unwrap_err().contains("level 2"));
            assert!(walk(xlat.as_ref(), &mut tables, 0xd000_0000).unwrap_err().contains("level 1"));
        }
    }

    /// RAM of a Keystone: at 0x800000000, which PT_LOADs alone say.
    #[test]
    fn ram_above_4_gib() {
        let entries = [(0x8_0020_3000 + 3 * 8, 0x8_0020_7003), (0x8_0020_7000 + 8, 0x8_0020_0711)];
        let mut tables = Tables::new(8, ByteOrder::Little, &entries);
        let ram = [Segment { paddr: PhysAddr(0x8_0000_0000), vaddr: VirtAddr(0x8_0000_0000), bytes: 1 << 30 }];
        let xlat = page_tables(&Arm, LPAE, Le32::WORDS, 4096, &ram).unwrap();
        assert_eq!(walk(xlat.as_ref(), &mut tables, 0xc020_0000), Ok((0x8_0020_0000, 0x20_0000)));
        let e = walk(page_tables(&Arm, LPAE, Le32::WORDS, 4096, &[]).unwrap().as_ref(), &mut tables, 0xc020_0000);
        assert!(e.unwrap_err().contains("SYMBOL(swapper_pg_dir)"));
    }

    #[test]
    fn registers_that_point_into_the_kernel() {
        let mut prstatus = [0; 148];
        prstatus[72 + 60..][..4].copy_from_slice(&0xc010_0000_u32.to_le_bytes());
        prstatus[72 + 52..][..4].copy_from_slice(&0xbf00_0000_u32.to_le_bytes());
        assert_eq!(Arm.kernel_pointers(&prstatus), [VirtAddr(0xc010_0000), VirtAddr(0xbf00_0000)]);
    }
}
