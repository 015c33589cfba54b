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

use super::self_mapped::{SelfMapped, Walk, mapping, not_mapped, places_of, swapper_pg_dir};
use super::{Arch, MachineFacts, SectionBits};
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

    fn page_tables_at(&self, symbols: &dyn KernelSymbols, root: PhysAddr) -> Option<Box<dyn Translate>> {
        // cr3: with PAE the table is aligned to 32 bytes, else to a page
        let candidates =
            vec![(Kind::Pae, PhysAddr(root.0 & 0xffff_ffe0)), (Kind::Plain, PhysAddr(root.0 & 0xffff_f000))];
        Some(Box::new(SelfMapped::other(swapper_pg_dir(symbols).ok()?, candidates)))
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
        return Ok(mapping(at, (directory & 0xffc0_0000) | (directory >> 13 & 0xff) << 32, 22));
    }
    let entry = cache.entry(memory, 0, PhysAddr(directory & 0xffff_f000), TABLE, (at.0 >> 12) as usize & 1023)?;
    if entry & PRESENT == 0 {
        return Err(not_mapped(at, 0));
    }
    Ok(mapping(at, entry & 0xffff_f000, 12))
}
