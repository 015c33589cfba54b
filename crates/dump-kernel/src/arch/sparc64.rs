//! sparc64: the kernel's image in locked TLB entries, everything else in page tables of four levels.
//!
//! ```text
//! bits  52..43  42..33  32..23  22..13  12..0
//!       PGD     PUD     PMD     PTE     offset     a leaf may be a PUD (8 GiB) or a PMD (8 MiB): bit 56
//! ```
//!
//! Linux arch/sparc/include/asm/pgtable_64.h since 3.18: its tables have the linear mapping, whose PAGE_OFFSET goes by the
//! CPU's virtual bits, and the vmemmap too, so that neither has to be known. Older tables have three levels, and the
//! vmemmap in a table of its own. The image lies at 4 MiB of virtual memory, and where physically (`kern_base`), PT_LOADs
//! alone say.

use super::self_mapped::{mapping, not_mapped, places_of, swapper_pg_dir};
use super::{Arch, MachineFacts, SectionBits};
use crate::memory::PhysReader;
use crate::symbols::KernelSymbols;
use crate::words::{Be64, WordLayout, Words};
use crate::xlat::{Mapping, TableCache, TableShape, Translate};
use dump_core::{ByteOrder, Error, PageSize, PhysAddr, Result, VirtAddr};

/// KERNBASE to MODULES_VADDR.
const IMAGE: std::ops::Range<u64> = 0x40_0000..0x1000_0000;

/// Bits 55..13 of a leaf (sun4v; those of sun4u, up to 42, are among them).
const PAGE_ADDRESS: u64 = 0x00ff_ffff_ffff_e000;

/// _PAGE_VALID.
const VALID: u64 = 1 << 63;

/// _PAGE_PMD_HUGE and _PAGE_PUD_HUGE.
const HUGE: u64 = 1 << 56;

const TABLE: TableShape = TableShape { entries: 1024, entry_bytes: 8, order: ByteOrder::Big };

/// The first release with these tables (ac55c768143a).
const SINCE: (u32, u32) = (3, 18);

/// The architecture.
#[derive(Clone, Copy, Debug)]
pub struct Sparc64;

impl Arch for Sparc64 {
    fn name(&self) -> &'static str {
        "sparc64"
    }

    fn elf_machine(&self) -> u16 {
        43
    }

    fn has_words(&self, words: Words) -> bool {
        words == Be64::WORDS
    }

    fn keys(&self) -> &'static [&'static str] {
        &[]
    }

    fn phys_base(&self, _: MachineFacts<'_>) -> Option<u64> {
        None
    }

    /// User memory has an address space of its own; no kernel has anything below its image.
    fn is_kernel(&self, at: VirtAddr) -> bool {
        at.0 >= IMAGE.start
    }

    /// Linux arch/sparc/include/asm/sparsemem.h, page_64.h.
    fn section_bits(&self, _: &dyn KernelSymbols, _: PageSize) -> Option<SectionBits> {
        Some(SectionBits { section: 30, memory: 53 })
    }

    fn page_tables(&self, facts: MachineFacts<'_>) -> Result<Box<dyn Translate>> {
        if facts.page_size.shift() != 13 {
            return Err(Error::corrupt(format!("sparc64 has pages of 8192 bytes, not of {}", facts.page_size.bytes())));
        }
        if facts.symbols.version().is_some_and(|version| version < SINCE) {
            return Err(Error::unsupported(
                "page tables of sparc64 before Linux 3.18, of three levels, are not walked",
            ));
        }
        let table = swapper_pg_dir(facts.symbols)?;
        let root = places_of(table, facts.segments).next().filter(|_| IMAGE.contains(&table.0));
        let lacking = || Error::missing("no PT_LOAD maps the kernel's image: where it lies (kern_base) is not known");
        let root = root.ok_or_else(lacking)?;
        Ok(Box::new(PageTables { root, image: root.0.wrapping_sub(table.0) }))
    }

    /// 64 KiB, 8 MiB, 256 MiB, 2 GiB.
    fn hugetlb_orders(&self, _: PageSize) -> &'static [u8] {
        &[3, 10, 15, 18]
    }
}

#[derive(Clone, Copy, Debug)]
struct PageTables {
    root: PhysAddr,
    /// Physical minus virtual address of the kernel's image.
    image: u64,
}

impl Translate for PageTables {
    fn root(&self) -> Option<PhysAddr> {
        Some(self.root)
    }

    fn translate(&self, memory: &mut dyn PhysReader, cache: &mut TableCache, at: VirtAddr) -> Result<Mapping> {
        if IMAGE.contains(&at.0) {
            let phys = PhysAddr(at.0.wrapping_add(self.image));
            return Ok(Mapping { virt: at, phys, bytes: IMAGE.end - at.0 });
        }
        if (at.0 << 11) as i64 >> 11 != at.0 as i64 {
            return Err(Error::corrupt(format!("{at} is no virtual address of a walk of 4 levels")));
        }
        let mut table = self.root;
        for level in (0..4).rev() {
            let shift = 13 + 10 * level as u32;
            let entry = cache.entry(memory, level, table, TABLE, (at.0 >> shift) as usize & 1023)?;
            let is_leaf = level == 0 || (level <= 2 && entry & HUGE != 0);
            if entry == 0 || (is_leaf && entry & VALID == 0) {
                return Err(not_mapped(at, level));
            }
            if is_leaf {
                return Ok(mapping(at, entry & PAGE_ADDRESS, shift));
            }
            table = PhysAddr(entry);
        }
        Err(Error::bug(format!("virtual address {at}: the walk did not end")))
    }
}

#[cfg(test)]
mod tests {
    //! Entries are built by the tables of Linux arch/sparc/include/asm/pgtable_64.h ("SUN4V pte bits").

    use super::super::self_mapped::fake::{Tables, page_tables, walk};
    use super::*;
    use dump_core::Segment;

    const TEXT: &str = "OSRELEASE=6.12.0\nSYMBOL(swapper_pg_dir)=00a00000\n";

    fn image() -> [Segment; 1] {
        [Segment { paddr: PhysAddr(0x1_0040_0000), vaddr: VirtAddr(0x40_0000), bytes: 0x100_0000 }]
    }

    #[test]
    fn the_image_and_pages_of_each_size() {
        let linear = 0xfff8_0000_0000_0000_u64; // PAGE_OFFSET with 52 virtual bits
        let top = 0x1_00a0_0000;
        let entries = [
            (top + (linear >> 43 & 1023) * 8, 0x2_0000),
            (0x2_0000, VALID | HUGE | 6), // 8 GiB at 0
            (0x2_0000 + 8, 0x4_0000),
            (0x4_0000, VALID | HUGE | 0x2_0000_0000 | 3), // 8 MiB
            (0x4_0000 + 8, HUGE | 0x2_0080_0000),         // not valid
            (top, 0x6_0000),                              // vmalloc, at 4 GiB
            (0x6_0000, 0x8_0000),
            (0x8_0000 + 512 * 8, 0xa_0000),
            (0xa_0000 + 2 * 8, 0xbc00_0000_0000_0000 | 0x12_3456_2000 | 0x5b0),
        ];
        let mut tables = Tables::new(8, ByteOrder::Big, &entries);
        let xlat = page_tables(&Sparc64, TEXT, Be64::WORDS, 8192, &image()).unwrap();
        for (at, phys, bytes) in [
            (0x40_1000, 0x1_0040_1000, 0x0fbf_f000),
            (linear + 0x1234, 0x1234, (8 << 30) - 0x1234),
            (linear + (8 << 30) + 0x10, 0x2_0000_0010, (8 << 20) - 0x10),
            (0x1_0000_4008, 0x12_3456_2008, 0x2000 - 8),
        ] {
            assert_eq!(walk(xlat.as_ref(), &mut tables, at), Ok((phys, bytes)), "{at:#x}");
        }
        for (at, what) in [
            (linear + (8 << 30) + (8 << 20), "level 1"),
            (0x1_0000_6000, "level 0"),
            (0x0100_0000_0000_0000, "no virtual address"),
        ] {
            let e = walk(xlat.as_ref(), &mut tables, at).unwrap_err();
            assert!(e.contains(what), "{e}");
        }
    }

    #[test]
    fn what_is_lacking_is_named() {
        for (text, page_size, segments, what) in [
            ("SYMBOL(swapper_pg_dir)=00a00000\n", 8192, &[][..], "kern_base"),
            ("OSRELEASE=6.12.0\n", 8192, &image()[..], "SYMBOL(swapper_pg_dir)"),
            ("OSRELEASE=3.8.13\nSYMBOL(swapper_pg_dir)=00a00000\n", 8192, &image()[..], "three levels"),
            (TEXT, 4096, &image()[..], "8192 bytes"),
        ] {
            let e = page_tables(&Sparc64, text, Be64::WORDS, page_size, segments).err().unwrap();
            assert!(e.to_string().contains(what), "{e}");
        }
    }
}
