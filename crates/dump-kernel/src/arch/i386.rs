//! i386 page tables: two levels of entries of 4 bytes, or with PAE three of 8.
//!
//! ```text
//!              31..30  29..21  20..12  11..0
//! PAE          PDPT    PD      PT      offset     a leaf may be a PD entry (2 MiB): bit 7
//!              31..22  21..12  11..0
//! without      PD      PT      offset             the same (4 MiB); its bits 20..13 are 39..32 of the address (PSE-36)
//! ```
//!
//! The kernel's image and the first GiB or less of memory lie in one linear mapping (lowmem) at PAGE_OFFSET, which
//! CONFIG_VMSPLIT chooses; KASLR moves the image within it, and vmcoreinfo says neither. /proc/vmcore has PT_LOADs of that
//! mapping; QEMU writes p_vaddr = p_paddr. Every address is walked.

use super::self_mapped::{SelfMapped, Walk, mapping, not_mapped, places_of, space_of_32_bits, swapper_pg_dir};
use super::{Arch, MachineFacts, SectionBits, Space};
use crate::memory::PhysReader;
use crate::symbols::KernelSymbols;
use crate::words::{Le32, WordLayout, Words};
use crate::xlat::{Mapping, TableCache, TableShape, Translate};
use dump_core::{ByteOrder, Error, PageSize, PhysAddr, Result, VirtAddr};

/// CONFIG_PAGE_OFFSET of CONFIG_VMSPLIT_3G, _3G_OPT, _2G, _2G_OPT and _1G (Linux arch/x86/Kconfig).
const PAGE_OFFSETS: [u64; 5] = [0xc000_0000, 0xb000_0000, 0x8000_0000, 0x7800_0000, 0x4000_0000];

const PRESENT: u64 = 1;
const LARGE: u64 = 1 << 7;

/// Bits 51..12 of an entry with PAE: above lies NX.
const PAE_ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Levels of PAE: the shift of their index bits, and their tables.
const PAE: [(u32, TableShape); 3] = [
    (12, TableShape { entries: 512, entry_bytes: 8, order: ByteOrder::Little }),
    (21, TableShape { entries: 512, entry_bytes: 8, order: ByteOrder::Little }),
    (30, TableShape { entries: 4, entry_bytes: 8, order: ByteOrder::Little }),
];

/// The tables of both levels without PAE.
const TABLE: TableShape = TableShape { entries: 1024, entry_bytes: 4, order: ByteOrder::Little };

/// The architecture.
#[derive(Clone, Copy, Debug)]
pub struct I386;

impl Arch for I386 {
    fn name(&self) -> &'static str {
        "i386"
    }

    fn elf_machine(&self) -> u16 {
        3
    }

    fn has_words(&self, words: Words) -> bool {
        words == Le32::WORDS
    }

    fn keys(&self) -> &'static [&'static str] {
        &["CONFIG_X86_PAE"]
    }

    fn phys_base(&self, _: MachineFacts<'_>) -> Option<u64> {
        None
    }

    /// From the lowest PAGE_OFFSET on: which one a kernel has is not known here.
    fn is_kernel(&self, at: VirtAddr) -> bool {
        (0x4000_0000..1 << 32).contains(&at.0)
    }

    fn space_of(&self, at: VirtAddr) -> Space {
        space_of_32_bits(at, 0)
    }

    /// Linux arch/x86/include/asm/sparsemem.h, with PAE since 2.6.26; vmcoreinfo's number is what tells PAE from none.
    fn section_bits(&self, symbols: &dyn KernelSymbols, _: PageSize) -> Option<SectionBits> {
        match symbols.number("MAX_PHYSMEM_BITS")? {
            32 => Some(SectionBits { section: 26, memory: 32 }),
            _ => Some(SectionBits { section: 29, memory: 36 }),
        }
    }

    fn page_tables(&self, facts: MachineFacts<'_>) -> Result<Box<dyn Translate>> {
        let table = swapper_pg_dir(facts.symbols)?;
        let linear = PAGE_OFFSETS.iter().filter_map(|offset| table.0.checked_sub(*offset).map(PhysAddr));
        let roots = places_of(table, facts.segments).chain(linear);
        let candidates = roots.flat_map(|root| [Kind::Pae, Kind::Plain].map(|kind| (kind, root))).collect();
        Ok(Box::new(SelfMapped::own(table, candidates)))
    }

    fn page_tables_at(&self, facts: MachineFacts<'_>, root: PhysAddr) -> Option<Box<dyn Translate>> {
        // cr3: with PAE the table is aligned to 32 bytes, else to a page
        let candidates =
            vec![(Kind::Pae, PhysAddr(root.0 & 0xffff_ffe0)), (Kind::Plain, PhysAddr(root.0 & 0xffff_f000))];
        Some(Box::new(SelfMapped::other(swapper_pg_dir(facts.symbols).ok()?, candidates)))
    }

    /// 2 MiB with PAE, 4 MiB without.
    fn hugetlb_orders(&self, _: PageSize) -> &'static [u8] {
        &[9, 10]
    }

    /// `user_regs_struct` begins at 72 (Linux, include/linux/elfcore.h, with times of 4 bytes): eip is its 13th word, esp
    /// its 16th.
    fn kernel_pointers(&self, prstatus: &[u8]) -> Vec<VirtAddr> {
        let words = [12, 15].into_iter().filter_map(|i| prstatus.get(72 + 4 * i..)?.first_chunk());
        words.map(|word| VirtAddr(u32::from_le_bytes(*word).into())).filter(|at| self.is_kernel(*at)).collect()
    }
}

/// Kinds of page tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// CONFIG_X86_PAE.
    Pae,
    Plain,
}

impl Walk for Kind {
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
        match self {
            Kind::Pae => pae(root, memory, cache, at),
            Kind::Plain => plain(root, memory, cache, at),
        }
    }
}

fn pae(root: PhysAddr, memory: &mut dyn PhysReader, cache: &mut TableCache, at: VirtAddr) -> Result<Mapping> {
    let mut table = root;
    for (level, (shift, shape)) in PAE.into_iter().enumerate().rev() {
        let index = (at.0 >> shift) as usize & (shape.entries - 1);
        let entry = cache.entry(memory, level, table, shape, index)?;
        if entry & PRESENT == 0 {
            return Err(not_mapped(at, level));
        }
        if level == 0 || (level == 1 && entry & LARGE != 0) {
            // bit 12 is the PAT bit of a large page, and those from there to its size are reserved (table 4-9)
            if level == 1 && entry & ((1 << shift) - 1) & !0x1fff != 0 {
                return Err(Error::corrupt(format!("virtual address {at}: the entry {entry:#x} is no large page's")));
            }
            return Ok(mapping(at, entry & PAE_ADDRESS, shift));
        }
        table = PhysAddr(entry & PAE_ADDRESS);
    }
    Err(Error::bug(format!("virtual address {at}: the walk did not end")))
}

fn plain(root: PhysAddr, memory: &mut dyn PhysReader, cache: &mut TableCache, at: VirtAddr) -> Result<Mapping> {
    let directory = cache.entry(memory, 1, root, TABLE, (at.0 >> 22) as usize & 1023)?;
    if directory & PRESENT == 0 {
        return Err(not_mapped(at, 1));
    }
    if directory & LARGE != 0 {
        // bits 20 to 13 are bits 39 to 32 of the address (PSE-36), and 21 is reserved (table 4-4)
        if directory & 1 << 21 != 0 {
            return Err(Error::corrupt(format!("virtual address {at}: the entry {directory:#x} is no large page's")));
        }
        return Ok(mapping(at, (directory & 0xffc0_0000) | (directory >> 13 & 0xff) << 32, 22));
    }
    let entry = cache.entry(memory, 0, PhysAddr(directory & 0xffff_f000), TABLE, (at.0 >> 12) as usize & 1023)?;
    if entry & PRESENT == 0 {
        return Err(not_mapped(at, 0));
    }
    Ok(mapping(at, entry & 0xffff_f000, 12))
}

#[cfg(test)]
mod tests {
    //! Entries are built by the Intel SDM, volume 3, 4.3 (32-bit paging) and 4.4 (PAE paging).

    use super::super::self_mapped::fake::{Tables, page_tables, walk};
    use super::*;
    use crate::vmcoreinfo::Vmcoreinfo;
    use dump_core::Segment;

    const TEXT: &str = "SYMBOL(swapper_pg_dir)=c1001000\n";

    /// The top table at 0x1001000, in lowmem from 0xc0000000 on; a table for 0xf0000000 on.
    fn pae_tables(root: u64) -> Tables {
        let entries = [
            (root + 3 * 8, 0x2000 | 1),
            (0x2000 + 8 * 8, 0x8000_0000_0100_0000 | LARGE | 1), // NX; 0xc1000000, 2 MiB
            (0x2000 + 0x180 * 8, 0x3000 | 1),                    // 0xf0000000
            (0x2000 + 0x181 * 8, 0xf_ffe0_0000 | 1 << 12 | LARGE | 1), // bit 12 is PAT; memory above 4 GiB
            (0x3000 + 8, 0x9_0000_5000 | LARGE | 1),             // bit 7 of a PTE is PAT
        ];
        Tables::new(8, ByteOrder::Little, &entries)
    }

    #[test]
    fn reserved_bits_of_large_pages() {
        let pae = |entry| {
            let entries =
                [(0x100_1000 + 3 * 8, 0x2001), (0x2000 + 8 * 8, 0x100_0000 | LARGE | 1), (0x2000 + 9 * 8, entry)];
            let mut tables = Tables::new(8, ByteOrder::Little, &entries);
            let xlat = page_tables(&I386, TEXT, Le32::WORDS, 4096, &[]).unwrap();
            walk(xlat.as_ref(), &mut tables, 0xc120_0010)
        };
        assert_eq!(pae(0x120_1000 | LARGE | 1), Ok((0x120_0010, 0x1f_fff0)));
        assert!(pae(0x120_2000 | LARGE | 1).is_err());
    }

    #[test]
    fn pae_walks_to_pages_of_each_size() {
        let mut tables = pae_tables(0x100_1000);
        let xlat = page_tables(&I386, TEXT, Le32::WORDS, 4096, &[]).unwrap();
        assert_eq!(xlat.root(), None, "it is not known before a walk");
        for (at, phys, bytes) in [
            (0xc110_0010, 0x110_0010, 0x10_0000 - 0x10),
            (0xf000_1234, 0x9_0000_5234, 0x1000 - 0x234),
            (0xf020_0005, 0xf_ffe0_0005, 0x20_0000 - 5),
        ] {
            assert_eq!(walk(xlat.as_ref(), &mut tables, at), Ok((phys, bytes)), "{at:#x}");
        }
        assert_eq!(xlat.root(), Some(PhysAddr(0x100_1000)));
        for (at, what) in [(0xf000_2000, "not mapped"), (0x1000, "not mapped"), (1 << 32, "no virtual address")] {
            let e = walk(xlat.as_ref(), &mut tables, at).unwrap_err();
            assert!(e.contains(what), "{e}");
        }
    }

    #[test]
    fn without_pae() {
        let root = 0x100_1000;
        let entries = [
            (root + 0x304 * 4, 0x0100_0000 | LARGE | 1), // 0xc1000000, 4 MiB
            (root + 0x3c0 * 4, 0x3000 | 1),
            (root + 0x3c1 * 4, 0x0040_0000 | 5 << 13 | LARGE | 1), // PSE-36
            (0x3000 + 4, 0xfff0_5000 | LARGE | 1),
        ];
        let mut tables = Tables::new(4, ByteOrder::Little, &entries);
        let xlat = page_tables(&I386, TEXT, Le32::WORDS, 4096, &[]).unwrap();
        for (at, phys, bytes) in [
            (0xc110_0010, 0x110_0010, 0x30_0000 - 0x10),
            (0xf000_1234, 0xfff0_5234, 0x1000 - 0x234),
            (0xf040_0005, 0x5_0040_0005, 0x40_0000 - 5),
        ] {
            assert_eq!(walk(xlat.as_ref(), &mut tables, at), Ok((phys, bytes)), "{at:#x}");
        }
        assert!(walk(xlat.as_ref(), &mut tables, 0xf000_2000).unwrap_err().contains("level 0"));
    }

    /// Lowmem at 0x40000000 (VMSPLIT_1G): swapper_pg_dir at 0xc1001000 is at 0x81001000.
    #[test]
    fn page_offset_is_found_by_the_walk() {
        let mut tables = Tables::new(
            8,
            ByteOrder::Little,
            &[(0x8100_1000 + 3 * 8, 0x2001), (0x2000 + 8 * 8, 0x8100_0000 | LARGE | 1)],
        );
        let xlat = page_tables(&I386, TEXT, Le32::WORDS, 4096, &[]).unwrap();
        assert_eq!(walk(xlat.as_ref(), &mut tables, 0xc100_0000), Ok((0x8100_0000, 0x20_0000)));
        let e = walk(
            page_tables(&I386, TEXT, Le32::WORDS, 4096, &[]).unwrap().as_ref(),
            &mut Tables::new(8, ByteOrder::Little, &[]),
            0xc100_0000,
        );
        assert!(e.unwrap_err().contains("SYMBOL(swapper_pg_dir) 0xc1001000"));
    }

    /// As /proc/vmcore has them, and as QEMU writes them.
    #[test]
    fn pt_loads_say_where_it_lies_if_that_holds() {
        let load = |vaddr, paddr| [Segment { paddr: PhysAddr(paddr), vaddr: VirtAddr(vaddr), bytes: 0x1000_0000 }];
        let mut tables = Tables::new(
            8,
            ByteOrder::Little,
            &[(0x700_1000 + 3 * 8, 0x2001), (0x2000 + 8 * 8, 0x700_0000 | LARGE | 1 << 12 | 1)],
        );
        let xlat = page_tables(&I386, TEXT, Le32::WORDS, 4096, &load(0xc000_0000, 0x600_0000)).unwrap();
        assert_eq!(walk(xlat.as_ref(), &mut tables, 0xc100_1000), Ok((0x700_1000, 0x1f_f000)));
        let xlat = page_tables(&I386, TEXT, Le32::WORDS, 4096, &load(0xc000_0000, 0xc000_0000)).unwrap();
        assert_eq!(walk(xlat.as_ref(), &mut pae_tables(0x100_1000), 0xc110_0010), Ok((0x110_0010, 0xf_fff0)));
    }

    /// The table of a process, of which cr3 has the address, aligned to 32 bytes.
    #[test]
    fn a_process_maps_the_kernel_too() {
        let entries = [
            (0x5020, 0x6001),
            (0x5020 + 3 * 8, 0x2001),
            (0x6000 + 8 * 8, 0x7_0000_0000 | LARGE | 1), // 0x01000000
            (0x2000 + 8 * 8, 0x100_0000 | LARGE | 1),
            (0x100_1000 + 3 * 8, 0x2001),
        ];
        let mut tables = Tables::new(8, ByteOrder::Little, &entries);
        let info = Vmcoreinfo::parse(TEXT.as_bytes());
        let facts = MachineFacts { symbols: &info, words: Le32::WORDS, page_size: PageSize::K4, segments: &[] };
        let xlat = I386.page_tables_at(facts, PhysAddr(0x5020)).unwrap();
        assert_eq!(walk(xlat.as_ref(), &mut tables, 0x0100_0010), Ok((0x7_0000_0010, 0x1f_fff0)));
    }

    #[test]
    fn registers_that_point_into_the_kernel() {
        let mut prstatus = [0; 144];
        prstatus[72 + 48..][..4].copy_from_slice(&0xc900_0000_u32.to_le_bytes());
        prstatus[72 + 60..][..4].copy_from_slice(&0x0804_8000_u32.to_le_bytes());
        assert_eq!(I386.kernel_pointers(&prstatus), [VirtAddr(0xc900_0000)]);
        assert!(I386.kernel_pointers(&[1; 80]).is_empty());
    }
}
