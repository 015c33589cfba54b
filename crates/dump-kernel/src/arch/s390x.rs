//! s390x dynamic address translation (z/Architecture Principles of Operation, chapter 3): up to three levels of region
//! tables, segment tables, page tables; all big endian.
//!
//! ```text
//! bits  63..53  52..42  41..31  30..20  19..12  11..0
//!       R1      R2      R3      SX      PX      offset     a leaf may be an R3 (2 GiB) or an SX (1 MiB): bit 0x400
//! ```
//!
//! The top table is of any of the first four kinds; each of its entries says which, invalid ones too, for Linux fills
//! tables with entries of their kind (arch/s390/include/asm/pgtable.h).
//!
//! | kernel | where it is mapped | where its top table lies |
//! |---|---|---|
//! | before 6.10 | memory, the kernel in it, at its own addresses | at its symbol |
//! | since (c98d2ecae08f) | memory from IDENTITYBASE on, the kernel from KERNELOFFSET on | KERNELOFFPHYS further than its symbol is from KERNELOFFSET |
//!
//! All of it is in the tables, AMODE31 and vmemmap too, so every address is walked but those of the lowcore: each CPU has
//! its own there by its prefix register, and what is asked for without a CPU is absolute storage.

use super::{Arch, MachineFacts, SectionBits, Space, memory_bits_of};
use crate::memory::PhysReader;
use crate::symbols::KernelSymbols;
use crate::words::{Be64, WordLayout, Words};
use crate::xlat::{Mapping, TableCache, TableShape, Translate};
use dump_core::{ByteOrder, Error, ErrorKind, PageSize, PhysAddr, Result, VirtAddr};
use std::sync::OnceLock;

/// Bytes of the lowcore (`struct lowcore`, arch/s390/include/asm/lowcore.h).
const LOWCORE: u64 = 0x2000;

/// Where in absolute storage the physical address of `struct os_info` is (`lowcore.os_info`).
const OS_INFO_AT: u64 = 0xe18;

/// What `struct os_info` begins with: "OSINFOSZ" (arch/s390/include/asm/os_info.h).
const OS_INFO_MAGIC: u64 = 0x4f53_494e_464f_535a;

/// Where in `struct os_info` its entries begin, and how large one is (bytes); its value is its first member.
const OS_INFO_ENTRIES: u64 = 32;
const OS_INFO_ENTRY: u64 = 20;

/// The entries OS_INFO_KASLR_OFFSET and OS_INFO_KASLR_OFF_PHYS.
const KASLR_OFFSET: u64 = 5;
const KASLR_OFF_PHYS: u64 = 6;

/// Of a region or segment table's entry, and of an ASCE.
const ORIGIN: u64 = !0xfff;
const LENGTH: u64 = 3;
const TYPE: u64 = 3 << 2;
const INVALID: u64 = 0x20;
const FIRST: u64 = 3 << 6;
const LARGE: u64 = 0x400;

/// Of a segment table's entry: where its page table begins.
const PAGE_TABLE: u64 = !0x7ff;

/// Of a page table's entry: invalid, and a bit that must be zero.
const PAGE_INVALID: u64 = 0x400;
const PAGE_ZERO: u64 = 0x800;

/// Of an ASCE: a real space, which has no tables.
const REAL_SPACE: u64 = 0x20;

const TABLE: TableShape = TableShape { entries: 2048, entry_bytes: 8, order: ByteOrder::Big };
const PAGES: TableShape = TableShape { entries: 256, entry_bytes: 8, order: ByteOrder::Big };

/// The slot of the page tables in the cache; those of the others are 1 more than their types.
const PAGES_SLOT: usize = 0;

/// The architecture.
#[derive(Clone, Copy, Debug)]
pub struct S390x;

impl Arch for S390x {
    fn name(&self) -> &'static str {
        "s390x"
    }

    fn elf_machine(&self) -> u16 {
        22
    }

    fn has_words(&self, words: Words) -> bool {
        words == Be64::WORDS
    }

    fn keys(&self) -> &'static [&'static str] {
        &["SYMBOL(lowcore_ptr)", "SAMODE31"]
    }

    fn phys_base(&self, _: MachineFacts<'_>) -> Option<u64> {
        None // crash and drgn go by IDENTITYBASE and what is beside it
    }

    /// A process has a space of its own, so that all addresses are the kernel's, of which it uses 53 bits at most.
    fn is_kernel(&self, at: VirtAddr) -> bool {
        at.0 != 0 && at.0 >> 53 == 0
    }

    /// The lowcore at 0 too.
    fn space_of(&self, _: VirtAddr) -> Space {
        Space::Kernel
    }

    /// Linux arch/s390/include/asm/sparsemem.h; MAX_PHYSMEM_BITS is chosen when a kernel is built, 46 where nobody chose.
    fn section_bits(&self, symbols: &dyn KernelSymbols, page_size: PageSize) -> Option<SectionBits> {
        let memory = memory_bits_of(symbols, page_size, 28, &[42, 46, 47, 48]).unwrap_or(46);
        Some(SectionBits { section: 28, memory })
    }

    fn page_tables(&self, facts: MachineFacts<'_>) -> Result<Box<dyn Translate>> {
        let symbol = facts.symbols.symbol("swapper_pg_dir");
        let symbol = symbol.ok_or_else(|| Error::missing("vmcoreinfo lacks SYMBOL(swapper_pg_dir)"))?;
        let at = |key| facts.symbols.key(key);
        let root = match (at("KERNELOFFSET"), at("KERNELOFFPHYS"), facts.symbols.version()) {
            (Some(image), Some(phys), _) => Root::Known(in_image(symbol, image, phys)),
            // os_info is older than what it says since 6.10
            (_, _, version) if version.is_none_or(|version| version >= (6, 10)) => Root::ByOsInfo(symbol),
            _ => Root::Known(PhysAddr(symbol.0)),
        };
        Ok(Box::new(PageTables { root, top: OnceLock::new() }))
    }

    /// By an address-space-control element, as control registers 1, 7 and 13 have it (NT_S390_CTRS); by where the top
    /// table lies alone, the first entry says its kind.
    fn page_tables_at(&self, _: MachineFacts<'_>, asce: PhysAddr) -> Option<Box<dyn Translate>> {
        let table = asce.0 & ORIGIN;
        let stated = Top { table, kind: (asce.0 & TYPE) >> 2, length: asce.0 & LENGTH };
        let top = if asce.0 == table { OnceLock::new() } else { OnceLock::from(Ok(stated)) };
        let tables = PageTables { root: Root::Known(PhysAddr(table)), top };
        (asce.0 & REAL_SPACE == 0).then(|| Box::new(tables) as Box<dyn Translate>)
    }

    /// 1 MiB and 2 GiB.
    fn hugetlb_orders(&self, _: PageSize) -> &'static [u8] {
        &[8, 19]
    }

    /// `s390_regs` begins at 112 (Linux, include/linux/elfcore.h) with the PSW, of two words; 16 general registers
    /// follow. A PSW in the problem state (bit 15) is a process's.
    fn kernel_pointers(&self, prstatus: &[u8]) -> Vec<VirtAddr> {
        let word = |i: usize| prstatus.get(112 + 8 * i..)?.first_chunk().map(|word| u64::from_be_bytes(*word));
        if word(0).is_none_or(|mask| mask >> (63 - 15) & 1 != 0) {
            return Vec::new();
        }
        [1, 2 + 15].into_iter().filter_map(word).map(VirtAddr).filter(|at| self.is_kernel(*at)).collect()
    }
}

/// Where a symbol of the image lies, which is mapped at `image` and lies at `phys`.
fn in_image(symbol: VirtAddr, image: u64, phys: u64) -> PhysAddr {
    PhysAddr(if symbol.0 >= image { (symbol.0 - image).wrapping_add(phys) } else { symbol.0 })
}

/// Page tables of an s390x kernel.
struct PageTables {
    root: Root,
    top: OnceLock<Result<Top>>,
}

/// Where the top table lies.
#[derive(Clone, Copy)]
enum Root {
    Known(PhysAddr),
    /// At this symbol; memory says where the image lies.
    ByOsInfo(VirtAddr),
}

/// The top table.
#[derive(Clone, Copy)]
struct Top {
    table: u64,
    /// Its kind: 3 to 1 for a region first to third table, 0 for a segment table.
    kind: u64,
    /// Its length: how many 512 entries there are beside the first ones.
    length: u64,
}

impl PageTables {
    /// The top table, of the kind that its first entry is of.
    fn find_top(&self, memory: &mut dyn PhysReader) -> Result<Top> {
        let root = match self.root {
            Root::Known(root) => root,
            Root::ByOsInfo(symbol) => {
                image(memory)?.map_or(PhysAddr(symbol.0), |(image, phys)| in_image(symbol, image, phys))
            }
        };
        let first = word(memory, root.0).map_err(|e| e.within("swapper_pg_dir"))?;
        Ok(Top { table: root.0, kind: (first & TYPE) >> 2, length: LENGTH })
    }
}

/// Where the kernel's image is mapped and where it lies, as `os_info` says; `None` where there is none that does.
fn image(memory: &mut dyn PhysReader) -> Result<Option<(u64, u64)>> {
    let at = word(memory, OS_INFO_AT).map_err(|e| e.within("os_info in the lowcore"))?;
    if at == 0 || at % 4096 != 0 || word(memory, at).ok() != Some(OS_INFO_MAGIC) {
        return Ok(None);
    }
    let mut entry = |i| word(memory, at + OS_INFO_ENTRIES + OS_INFO_ENTRY * i).map_err(|e| e.within("os_info"));
    let (image, phys) = (entry(KASLR_OFFSET)?, entry(KASLR_OFF_PHYS)?);
    Ok((image != 0).then_some((image, phys)))
}

fn word(memory: &mut dyn PhysReader, at: u64) -> Result<u64> {
    let mut word = [0; 8];
    memory.read(PhysAddr(at), &mut word)?;
    Ok(u64::from_be_bytes(word))
}

fn not_mapped(at: VirtAddr, table: &str) -> Error {
    Error::new(ErrorKind::NoMemory, format!("virtual address {at} is not mapped ({table})"))
}

/// The kinds of tables by the number that their entries have.
const KINDS: [&str; 4] = ["segment table", "region third table", "region second table", "region first table"];

impl Translate for PageTables {
    fn root(&self) -> Option<PhysAddr> {
        match (self.top.get(), self.root) {
            (Some(Ok(top)), _) => Some(PhysAddr(top.table)),
            (_, Root::Known(root)) => Some(root),
            _ => None,
        }
    }

    fn translate(&self, memory: &mut dyn PhysReader, cache: &mut TableCache, at: VirtAddr) -> Result<Mapping> {
        if at.0 < LOWCORE {
            return Ok(Mapping { virt: at, phys: PhysAddr(at.0), bytes: LOWCORE - at.0 });
        }
        let top = self.top.get_or_init(|| self.find_top(memory)).as_ref().map_err(Clone::clone)?;
        let (mut table, mut lengths) = (top.table, (0, top.length));
        if at.0.checked_shr(31 + 11 * top.kind as u32).is_some_and(|above| above != 0) {
            return Err(not_mapped(at, KINDS[top.kind as usize]));
        }
        for kind in (0..=top.kind).rev() {
            let shift = 20 + 11 * kind as u32;
            let index = at.0 >> shift & 0x7ff;
            let name = KINDS[kind as usize];
            if !(lengths.0..=lengths.1).contains(&(index >> 9)) {
                return Err(not_mapped(at, name));
            }
            let entry = cache.entry(memory, 1 + kind as usize, PhysAddr(table), TABLE, index as usize)?;
            if entry & INVALID != 0 {
                return Err(not_mapped(at, name));
            }
            if (entry & TYPE) >> 2 != kind {
                return Err(Error::corrupt(format!("virtual address {at}: the entry {entry:#x} is none of a {name}")));
            }
            if kind <= 1 && entry & LARGE != 0 {
                let into = at.0 & ((1 << shift) - 1);
                let phys = PhysAddr((entry >> shift << shift) + into);
                return Ok(Mapping { virt: at, phys, bytes: (1 << shift) - into });
            }
            lengths = ((entry & FIRST) >> 6, entry & LENGTH);
            table = entry & if kind == 0 { PAGE_TABLE } else { ORIGIN };
        }
        let entry = cache.entry(memory, PAGES_SLOT, PhysAddr(table), PAGES, (at.0 >> 12 & 0xff) as usize)?;
        if entry & PAGE_INVALID != 0 {
            return Err(not_mapped(at, "page table"));
        }
        if entry & PAGE_ZERO != 0 {
            return Err(Error::corrupt(format!("virtual address {at}: the entry {entry:#x} is none of a page table")));
        }
        let into = at.0 & 0xfff;
        Ok(Mapping { virt: at, phys: PhysAddr((entry & ORIGIN) + into), bytes: 0x1000 - into })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Memory;
    use super::*;
    use crate::vmcoreinfo::Vmcoreinfo;
    use std::collections::HashMap;

    fn page_tables(text: &str) -> Box<dyn Translate> {
        let info = Vmcoreinfo::parse(text.as_bytes());
        let facts = MachineFacts { symbols: &info, words: Be64::WORDS, page_size: PageSize::K4, segments: &[] };
        S390x.page_tables(facts).unwrap()
    }

    /// Entries of tables as the Principles of Operation have them: the type in bits 60 and 61, the length in 62 and 63.
    fn tables() -> Memory {
        Memory::big(HashMap::from([
            // region first at 0x10000: entry 0, and entry 1 with another type
            (0x10000, 0x20000 | 3 << 2 | 3),
            (0x10008, 0x20000 | 2 << 2 | 3),
            // region second at 0x20000
            (0x20000, 0x30000 | 2 << 2 | 3),
            (0x20008, 0x20 | 2 << 2),
            // region third at 0x30000: a segment table of 1024 entries that begins with entry 512, and 2 GiB
            (0x30000, 0x40000 | 1 << 2 | 1 << 6 | 1),
            (0x30008, 0x1_8000_0000 | 0x400 | 1 << 2),
            // segment table at 0x40000: a page table, 1 MiB
            (0x40000 + 8 * 512, 0x5_0800),
            (0x40000 + 8 * 513, 0x70_0000 | 0x400),
            // page table at 0x50800
            (0x50800 + 8, 0x123_4000 | 0x200),
            (0x50800 + 16, 0x400),
            (0x50800 + 24, 0x123_4000 | 0x800),
        ]))
    }

    fn walks(root: &str, kind: u64) {
        let (mut memory, mut cache) = (tables(), TableCache::default());
        let xlat = page_tables(&format!("OSRELEASE=6.1.0\nSYMBOL(swapper_pg_dir)={root}\n"));
        for (at, phys, bytes) in [
            (0x2000_1234, 0x123_4234, 0x1000 - 0x234),
            (0x2010_0010, 0x70_0010, 0x10_0000 - 0x10),
            (0x8000_0005, 0x1_8000_0005, 0x8000_0000 - 5),
            (0x1ff8, 0x1ff8, 8),
        ] {
            let mapping = xlat.translate(&mut memory, &mut cache, VirtAddr(at)).unwrap();
            assert_eq!((mapping.phys.0, mapping.bytes), (phys, bytes), "{at:#x}");
        }
        let mut fails = |at| xlat.translate(&mut memory, &mut cache, VirtAddr(at)).unwrap_err().to_string();
        for at in [0x2000_2000, 0x2000_0000 - 0x1000, 0x6000_0000, 1 << 42] {
            let e = fails(at);
            // an entry of zeros is a valid one of a segment table, whose page table lies at 0
            assert!(e.contains("is not mapped"), "{at:#x}: {e}");
        }
        assert!(fails(0x2000_3000).contains("is none of a page table"));
        assert_eq!(xlat.root(), Some(PhysAddr(u64::from_str_radix(root, 16).unwrap())));
        if kind == 3 {
            assert!(fails(1 << 53).contains("is none of a region first table"));
        }
    }

    #[test]
    fn walks_from_each_kind_of_table_to_pages_of_each_size() {
        walks("10000", 3);
        walks("20000", 2);
        walks("30000", 1);
    }

    #[test]
    fn an_asce_says_the_kind_of_its_table() {
        let (mut memory, mut cache) = (tables(), TableCache::default());
        let info = Vmcoreinfo::default();
        let facts = MachineFacts { symbols: &info, words: Be64::WORDS, page_size: PageSize::K4, segments: &[] };
        let at = |asce| S390x.page_tables_at(facts, PhysAddr(asce));
        let tables = at(0x40000 | 2).unwrap();
        let phys = tables.translate(&mut memory, &mut cache, VirtAddr(0x2000_1234)).unwrap().phys;
        assert_eq!(phys, PhysAddr(0x123_4234));
        let short = at(0x20000 | 2 << 2).unwrap(); // 512 entries
        let past = short.translate(&mut memory, &mut cache, VirtAddr(512 << 42)).unwrap_err();
        assert_eq!(past.kind(), ErrorKind::NoMemory);
        let mapped = at(0x20000).unwrap().translate(&mut memory, &mut cache, VirtAddr(0x2000_1234));
        assert_eq!(mapped.unwrap().phys, PhysAddr(0x123_4234), "by its first entry");
        assert!(at(0x40000 | 0x20).is_none(), "a real space");
    }

    /// Where the image lies is in vmcoreinfo, or in os_info.
    #[test]
    fn the_image_lies_elsewhere_since_6_10() {
        let symbol = "OSRELEASE=6.12.0\nSYMBOL(swapper_pg_dir)=3fffff40000\n";
        let told = format!("{symbol}KERNELOFFSET=3fffff38000\nKERNELOFFPHYS=28000\n");
        let os_info = [(0xe18, 0x9000), (0x9000, 0x4f53_494e_464f_535a)];
        // entries of 20 bytes from 32 on: the sixth at 132, which is no multiple of 8
        let mut memory = tables();
        memory.0.extend(os_info);
        memory.0.extend([(0x9000 + 132, 0x3ff_fff3_8000), (0x9000 + 152, 0x28000)]);
        for text in [&told[..], symbol] {
            let xlat = page_tables(text);
            let mapping = xlat.translate(&mut memory, &mut TableCache::default(), VirtAddr(0x2010_0010)).unwrap();
            assert_eq!((mapping.phys.0, xlat.root()), (0x70_0010, Some(PhysAddr(0x30000))));
        }
        // an older os_info says nothing of it
        let xlat = page_tables("SYMBOL(swapper_pg_dir)=30000\n");
        memory.0.insert(0x9000 + 132, 0);
        assert!(xlat.translate(&mut memory, &mut TableCache::default(), VirtAddr(0x2010_0010)).is_ok());
    }

    /// The offsets of `struct elf_prstatus` (336 bytes).
    #[test]
    fn registers_of_the_kernel() {
        let mut prstatus = vec![0; 336];
        let mut put = |at: usize, word: u64| prstatus[at..at + 8].copy_from_slice(&word.to_be_bytes());
        put(112, 0x0706_c001_8000_0000);
        put(120, 0x3ff_ff40_19f0);
        put(248, 0x3ff_ffc7_bd30);
        assert_eq!(S390x.kernel_pointers(&prstatus), [VirtAddr(0x3ff_ff40_19f0), VirtAddr(0x3ff_ffc7_bd30)]);
        prstatus[113] |= 1; // the problem state
        assert!(S390x.kernel_pointers(&prstatus).is_empty());
        assert!(S390x.kernel_pointers(&[]).is_empty());
    }
}
