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

use super::self_mapped::{SelfMapped, Walk, mapping, not_mapped, places_of, swapper_pg_dir};
use super::{Arch, MachineFacts, SectionBits};
use crate::memory::PhysReader;
use crate::symbols::KernelSymbols;
use crate::words::Words;
use crate::xlat::{Mapping, TableCache, TableShape, Translate};
use dump_core::{ByteOrder, Error, PageSize, PhysAddr, Result, VirtAddr, WordSize};

/// CONFIG_PAGE_OFFSET of CONFIG_VMSPLIT_3G, _3G_OPT, _2G and _1G (Linux arch/arm/Kconfig).
const PAGE_OFFSETS: [u64; 4] = [0xc000_0000, 0xb000_0000, 0x8000_0000, 0x4000_0000];

/// Modules lie so far below PAGE_OFFSET (arch/arm/include/asm/memory.h: MODULES_VADDR; bytes).
const MODULES: u64 = 16 << 20;

/// RAM begins at a multiple of this on boards: one chip select's (bytes).
const BANK: u64 = 256 << 20;

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
