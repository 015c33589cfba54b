//! ppc64 and ppc64le (Book3S): a linear map, and beside it the vmemmap and page tables, which the two MMUs have
//! differently.
//!
//! | address | radix MMU | hash MMU |
//! |---|---|---|
//! | from `0xc000000000000000` | linear | linear |
//! | vmemmap | `vmemmap_list` before 6.6 (368a0590d954), and the tables | `vmemmap_list` |
//! | vmalloc, I/O | tables as the Power ISA has them (book III, radix tree translation) | Linux's own tables |
//!
//! Entries of a radix tree say how large the next table is; the top one has 2^13 entries, for 52 bits of address. The
//! hash MMU knows no tables: Linux's have sizes that changed ([`Shape::of`], arch/powerpc/include/asm/book3s/64/hash-4k.h,
//! hash-64k.h, and before 4.4 asm/pgtable-ppc64-4k.h, pgtable-ppc64-64k.h). Since 4.7 all entries are big endian whatever
//! the kernel is (5dc1ef858c12).

use super::{Arch, MachineFacts, SectionBits, memory_bits_of};
use crate::memory::PhysReader;
use crate::symbols::KernelSymbols;
use crate::words::Words;
use crate::xlat::{Mapping, TableCache, TableShape, Translate};
use dump_core::{ByteOrder, Error, ErrorKind, PageSize, PhysAddr, Result, VirtAddr, WordSize};
use std::collections::HashSet;
use std::sync::OnceLock;

/// Where the linear map begins (PAGE_OFFSET), and the bits of an address in it that are the physical one.
const LINEAR: u64 = 0xc000_0000_0000_0000;
const PHYSICAL: u64 = 0x0fff_ffff_ffff_ffff;

/// Where it ends at the earliest: H_KERN_VIRT_START and RADIX_KERN_VIRT_START with pages of 4 KiB, since 5.2
/// (0034d395f89d); with those of 64 KiB; and before, where the next region begins.
const LINEAR_END_4K: u64 = 0xc000_3d00_0000_0000;
const LINEAR_END_64K: u64 = 0xc008_0000_0000_0000;
const LINEAR_END_REGION: u64 = 0xd000_0000_0000_0000;

/// Of an entry of a radix tree, and of Linux's tables since 4.6: valid; it maps a page.
const VALID: u64 = 1 << 63;
const LEAF: u64 = 1 << 62;

/// Of a leaf: where its page is. Linux has 53 bits of physical address (_PAGE_PA_MAX, 4.11), 57 before.
const FRAME: u64 = 0x001f_ffff_ffff_f000;
const OLDER_FRAME: u64 = 0x01ff_ffff_ffff_f000;

/// Of a directory's entry: where the next table is, and, in a radix tree, log2 of its entries.
const NEXT: u64 = 0x0fff_ffff_ffff_ff00;
const NEXT_BITS: u64 = 0x1f;

/// Bits of address that the kernel's radix tree translates, and that its top table does (RADIX_PGD_INDEX_SIZE).
const RADIX_BITS: u32 = 52;
const RADIX_TOP: u32 = 13;

/// Pieces of the vmemmap, at most: 64 TiB of memory have 64 GiB of it, in pieces of 64 KiB.
const MAX_BACKINGS: usize = 1 << 20;

/// The architecture.
#[derive(Clone, Copy, Debug)]
pub struct Ppc64;

impl Arch for Ppc64 {
    fn name(&self) -> &'static str {
        "ppc64"
    }

    fn elf_machine(&self) -> u16 {
        21
    }

    fn has_words(&self, words: Words) -> bool {
        words.size == WordSize::Bits64
    }

    fn keys(&self) -> &'static [&'static str] {
        &["SYMBOL(mmu_vmemmap_psize)"]
    }

    fn phys_base(&self, _: MachineFacts<'_>) -> Option<u64> {
        None // the kernel is in the linear map
    }

    fn is_kernel(&self, at: VirtAddr) -> bool {
        at.0 >= LINEAR
    }

    /// Linux arch/powerpc/include/asm/sparsemem.h, and MAX_PHYSMEM_BITS by its LENGTH(mem_section).
    fn section_bits(&self, symbols: &dyn KernelSymbols, page_size: PageSize) -> Option<SectionBits> {
        let memory = memory_bits_of(symbols, page_size, 24, &[44, 46, 47, 51]).unwrap_or(46);
        Some(SectionBits { section: 24, memory })
    }

    fn page_tables(&self, facts: MachineFacts<'_>) -> Result<Box<dyn Translate>> {
        let root = facts.symbols.symbol("swapper_pg_dir");
        let root = root.ok_or_else(|| Error::missing("vmcoreinfo lacks SYMBOL(swapper_pg_dir)"))?;
        Ok(Box::new(AddressSpace {
            root: PhysAddr(root.0 & PHYSICAL),
            shape: Shape::of(facts),
            radix: facts.symbols.number("RADIX_MMU").map(|number| number != 0),
            version: facts.symbols.version(),
            vmemmap: VmemmapKeys::of(facts.symbols),
            words: facts.words,
            mmu: OnceLock::new(),
            backings: OnceLock::new(),
        }))
    }

    /// 2 MiB and 1 GiB with the radix MMU, 16 MiB and 16 GiB with the hash MMU.
    fn hugetlb_orders(&self, page_size: PageSize) -> &'static [u8] {
        match page_size.shift() {
            12 => &[9, 12, 18, 22],
            16 => &[5, 8, 14, 18],
            _ => &[],
        }
    }

    /// `pt_regs` begins at 112 (Linux, include/linux/elfcore.h; arch/powerpc/include/uapi/asm/ptrace.h): r1 is its 2nd
    /// word, nip its 33rd, msr its 34th. QEMU writes them big endian, the kernel in its own order: of the 64-bit kernel's
    /// MSR the first bit is set (SF) and the one that would be the first in the other order is not defined.
    fn kernel_pointers(&self, prstatus: &[u8]) -> Vec<VirtAddr> {
        let word = |i: usize, order: ByteOrder| {
            let bytes: [u8; 8] = *prstatus.get(112 + 8 * i..)?.first_chunk()?;
            Some(if order == ByteOrder::Big { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
        };
        let is_64_bit = |order: &ByteOrder| word(33, *order).is_some_and(|msr| msr >> 63 == 1);
        let Some(order) = [ByteOrder::Big, ByteOrder::Little].into_iter().find(is_64_bit) else { return Vec::new() };
        // a process runs with PR
        if word(33, order).is_none_or(|msr| msr & 0x4000 != 0) {
            return Vec::new();
        }
        let pointers = [32, 1].into_iter().filter_map(|i| word(i, order)).map(VirtAddr);
        pointers.filter(|at| self.is_kernel(*at)).collect()
    }
}

/// Which MMU the kernel uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mmu {
    Radix,
    Hash,
}

/// Addresses of a ppc64 kernel.
struct AddressSpace {
    root: PhysAddr,
    shape: Shape,
    /// What vmcoreinfo says of the MMU (since 6.9, 36e826b568e4).
    radix: Option<bool>,
    version: Option<(u32, u32)>,
    vmemmap: Option<VmemmapKeys>,
    words: Words,
    mmu: OnceLock<Result<Mmu>>,
    /// Ascending.
    backings: OnceLock<Result<Vec<Backing>>>,
}

/// Linux's own tables.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// log2 of the entries of a table of each level, the top one first; 0 for one that there is not.
    widths: [u32; 4],
    /// log2 of the page size.
    page: u32,
    order: ByteOrder,
    leaf: Leaf,
    /// Where the linear map ends.
    linear_end: u64,
}

/// An entry that maps a page.
#[derive(Clone, Copy, Debug)]
enum Leaf {
    /// With its address in these bits; [`VALID`] where it is present, and [`LEAF`].
    Address(u64),
    /// With its page frame's number from this bit on, and a bit that says that it is present (before 4.6).
    Frame(u32, u64),
}

/// Of hash tables since when, with pages of 64 KiB, widths of PGD, PUD, PMD and PTE.
const WIDTHS_64K: [((u32, u32), [u32; 4]); 5] = [
    ((4, 17), [8, 10, 10, 8]),
    ((4, 12), [8, 7, 10, 8]),
    ((4, 6), [12, 5, 5, 8]),
    ((3, 10), [12, 0, 10, 8]),
    ((0, 0), [4, 0, 12, 12]),
];

/// The same with pages of 4 KiB.
const WIDTHS_4K: [((u32, u32), [u32; 4]); 2] = [((3, 7), [9, 9, 7, 9]), ((0, 0), [9, 7, 7, 9])];

impl Shape {
    /// By the kernel's version, the newest where that is not known.
    fn of(facts: MachineFacts<'_>) -> Shape {
        let version = facts.symbols.version().unwrap_or((u32::MAX, 0));
        let page = u32::from(facts.page_size.shift());
        let small = page == 12;
        let rows = if small { &WIDTHS_4K[..] } else { &WIDTHS_64K };
        let widths = rows.iter().find(|(since, _)| version >= *since).map_or([0; 4], |(_, widths)| *widths);
        let leaf = match version {
            (4, 6..=10) => Leaf::Address(OLDER_FRAME),
            version if version > (4, 10) => Leaf::Address(FRAME),
            version => {
                let from = if !small { 30 } else { 17 + u32::from(version >= (4, 5)) };
                Leaf::Frame(from, if version >= (4, 5) { 2 } else { 1 })
            }
        };
        let order = if version >= (4, 7) { ByteOrder::Big } else { facts.words.order };
        let linear_end = match version {
            version if version < (5, 2) => LINEAR_END_REGION,
            _ if small => LINEAR_END_4K,
            _ => LINEAR_END_64K,
        };
        Shape { widths, page, order, leaf, linear_end }
    }

    /// Where an entry says that its page is; `None` where it is not present.
    fn frame(&self, entry: u64) -> Option<u64> {
        match self.leaf {
            Leaf::Address(bits) => (entry & VALID != 0).then_some(entry & bits),
            Leaf::Frame(from, present) => (entry & present != 0).then(|| (entry >> from) << self.page),
        }
    }

    /// Whether an entry of a directory maps a page.
    fn is_large(&self, entry: u64) -> bool {
        matches!(self.leaf, Leaf::Address(_)) && entry & LEAF != 0
    }
}

/// Where the list of the pieces of the vmemmap is, and what it is made of.
#[derive(Clone, Copy)]
struct VmemmapKeys {
    list: VirtAddr,
    size_index: VirtAddr,
    sizes: VirtAddr,
    size_bytes: u64,
    shift: u64,
    backing: u64,
    next: usize,
    phys: usize,
    virt: usize,
}

/// A piece of the vmemmap (`struct vmemmap_backing`).
#[derive(Clone, Copy)]
struct Backing {
    virt: u64,
    phys: u64,
    bytes: u64,
}

impl VmemmapKeys {
    /// Linux arch/powerpc/kexec/core.c exports all of them, with CONFIG_SPARSEMEM_VMEMMAP.
    fn of(symbols: &dyn KernelSymbols) -> Option<VmemmapKeys> {
        let member = |name| symbols.offset_of(name).and_then(|at| usize::try_from(at).ok());
        Some(VmemmapKeys {
            list: symbols.symbol("vmemmap_list")?,
            size_index: symbols.symbol("mmu_vmemmap_psize")?,
            sizes: symbols.symbol("mmu_psize_defs")?,
            size_bytes: symbols.size_of("mmu_psize_def")?,
            shift: symbols.offset_of("mmu_psize_def.shift")?,
            backing: symbols.size_of("vmemmap_backing").filter(|size| *size <= 4096)?,
            next: member("vmemmap_backing.list")?,
            phys: member("vmemmap_backing.phys")?,
            virt: member("vmemmap_backing.virt_addr")?,
        })
    }

    /// The pieces, ascending: none with a radix MMU that does without the list.
    fn read(&self, memory: &mut dyn PhysReader, words: Words) -> Result<Vec<Backing>> {
        let mut read = |at: u64, buf: &mut [u8]| {
            let linear = (LINEAR..LINEAR_END_REGION).contains(&at);
            let at = linear.then_some(PhysAddr(at & PHYSICAL));
            let at = at.ok_or_else(|| Error::corrupt("vmemmap_list: a pointer out of the linear map"))?;
            memory.read(at, buf).map_err(|e| e.within("vmemmap_list"))
        };
        let (mut word, mut half) = ([0; 8], [0; 4]);
        read(self.list.0, &mut word)?;
        let mut next = words.integer(&word);
        let mut backings = Vec::new();
        if next == 0 {
            return Ok(backings);
        }
        read(self.size_index.0, &mut half)?;
        let into = words.integer(&half).checked_mul(self.size_bytes).and_then(|into| into.checked_add(self.shift));
        let size = into.and_then(|into| self.sizes.checked_add(into));
        read(size.map_or(0, |at| at.0), &mut half)?;
        let shift = words.integer(&half);
        if !(12..=34).contains(&shift) {
            return Err(Error::corrupt(format!("vmemmap_list: pieces of 2^{shift} bytes (mmu_psize_defs)")));
        }
        let mut backing = vec![0; self.backing as usize];
        let mut seen = HashSet::new();
        while next != 0 {
            if !seen.insert(next) {
                return Err(Error::corrupt(format!("vmemmap_list: it comes back to the piece at {next:#x}")));
            }
            if backings.len() == MAX_BACKINGS {
                return Err(Error::corrupt(format!("vmemmap_list: more than {MAX_BACKINGS} pieces")));
            }
            read(next, &mut backing)?;
            let member = |at: usize| backing.get(at..at + 8).map_or(0, |word| words.integer(word));
            backings.push(Backing { virt: member(self.virt), phys: member(self.phys), bytes: 1 << shift });
            next = member(self.next);
        }
        backings.sort_by_key(|backing| backing.phys);
        let shared = backings.windows(2).find(|two| two[1].phys - two[0].phys < two[0].bytes);
        if let Some([one, other]) = shared {
            let (one, other) = (PhysAddr(one.phys), PhysAddr(other.phys));
            return Err(Error::corrupt(format!("vmemmap_list: the pieces at {one} and {other} share memory")));
        }
        backings.sort_by_key(|backing| backing.virt);
        Ok(backings)
    }
}

impl AddressSpace {
    /// Where the list of pieces has `at`.
    fn in_vmemmap(&self, memory: &mut dyn PhysReader, at: VirtAddr) -> Result<Option<Mapping>> {
        let Some(keys) = &self.vmemmap else { return Ok(None) };
        let backings = self.backings.get_or_init(|| keys.read(memory, self.words)).as_ref().map_err(Clone::clone)?;
        let before = backings.partition_point(|backing| backing.virt <= at.0);
        let Some(backing) = before.checked_sub(1).map(|i| backings[i]) else { return Ok(None) };
        let into = at.0 - backing.virt;
        let phys = PhysAddr(backing.phys.wrapping_add(into));
        Ok((into < backing.bytes).then(|| Mapping { virt: at, phys, bytes: backing.bytes - into }))
    }

    /// By vmcoreinfo, by the version, for hash was the only one before 4.7; by the top table's first entry: in a radix
    /// tree it is that of the linear map, and says how large the next table is.
    fn mmu(&self, memory: &mut dyn PhysReader) -> Result<Mmu> {
        let mut looked_at = || match self.radix {
            Some(radix) => Ok(radix),
            None if self.version.is_some_and(|version| version < (4, 7)) => Ok(false),
            None => {
                let mut first = [0; 8];
                memory.read(self.root, &mut first).map_err(|e| e.within("swapper_pg_dir"))?;
                let first = u64::from_be_bytes(first);
                Ok(first & (VALID | LEAF) == VALID && first & NEXT_BITS != 0)
            }
        };
        let mmu = self.mmu.get_or_init(|| looked_at().map(|radix| if radix { Mmu::Radix } else { Mmu::Hash }));
        mmu.as_ref().map_err(Clone::clone).copied()
    }

    fn in_radix_tree(&self, memory: &mut dyn PhysReader, cache: &mut TableCache, at: VirtAddr) -> Result<Mapping> {
        let (mut table, mut width, mut shift) = (self.root, RADIX_TOP, RADIX_BITS - RADIX_TOP);
        for level in 0.. {
            let shape = TableShape { entries: 1 << width, entry_bytes: 8, order: ByteOrder::Big };
            let index = at.0 >> shift & ((1 << width) - 1);
            let entry = cache.entry(memory, level, table, shape, index as usize)?;
            if entry & VALID == 0 {
                return Err(not_mapped(at, level));
            }
            if entry & LEAF != 0 {
                return mapping(at, entry & FRAME, shift);
            }
            width = (entry & NEXT_BITS) as u32;
            table = PhysAddr(entry & NEXT);
            shift = match shift.checked_sub(width) {
                Some(shift) if shift >= 12 && (1..=RADIX_TOP).contains(&width) => shift,
                _ => break,
            };
        }
        Err(Error::corrupt(format!("virtual address {at}: the entries on the way to it are none of a radix tree")))
    }

    fn in_hash_tables(&self, memory: &mut dyn PhysReader, cache: &mut TableCache, at: VirtAddr) -> Result<Mapping> {
        let (shape, mut table) = (self.shape, self.root);
        let mut shift = shape.page + shape.widths.iter().sum::<u32>();
        for (level, width) in shape.widths.into_iter().enumerate().filter(|(_, width)| *width != 0) {
            shift -= width;
            let index = at.0 >> shift & ((1 << width) - 1);
            let here = TableShape { entries: 1 << width, entry_bytes: 8, order: shape.order };
            let entry = cache.entry(memory, level, table, here, index as usize)?;
            if level == 3 || shape.is_large(entry) {
                let frame = shape.frame(entry).ok_or_else(|| not_mapped(at, level))?;
                return mapping(at, frame, shift);
            }
            if entry == 0 {
                return Err(not_mapped(at, level));
            }
            table = PhysAddr(entry & NEXT);
        }
        Err(Error::unsupported(format!("page tables for pages of {} bytes", 1u64 << shape.page)))
    }
}

fn mapping(at: VirtAddr, frame: u64, shift: u32) -> Result<Mapping> {
    let size = 1 << shift;
    if frame & (size - 1) != 0 {
        return Err(Error::corrupt(format!("virtual address {at}: a page of {size} bytes at {frame:#x}")));
    }
    let into = at.0 & (size - 1);
    Ok(Mapping { virt: at, phys: PhysAddr(frame + into), bytes: size - into })
}

fn not_mapped(at: VirtAddr, level: usize) -> Error {
    let text = format!("virtual address {at} is not mapped (page table level {level} from the top)");
    Error::new(ErrorKind::NoMemory, text)
}

impl Translate for AddressSpace {
    fn root(&self) -> Option<PhysAddr> {
        Some(self.root)
    }

    fn translate(&self, memory: &mut dyn PhysReader, cache: &mut TableCache, at: VirtAddr) -> Result<Mapping> {
        let linear = |end| Mapping { virt: at, phys: PhysAddr(at.0 & PHYSICAL), bytes: end - at.0 };
        if at.0 < LINEAR {
            return Err(Error::new(ErrorKind::NoMemory, format!("{at} is no address of the kernel")));
        }
        if at.0 < LINEAR_END_4K {
            return Ok(linear(LINEAR_END_4K));
        }
        let listed = self.in_vmemmap(memory, at);
        if let Ok(Some(mapping)) = listed {
            return Ok(mapping);
        }
        let walked = match self.mmu(memory)? {
            Mmu::Radix => self.in_radix_tree(memory, cache, at),
            Mmu::Hash if at.0 < self.shape.linear_end => Ok(linear(self.shape.linear_end)),
            Mmu::Hash => self.in_hash_tables(memory, cache, at),
        };
        walked.map_err(|e| listed.err().unwrap_or(e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmcoreinfo::Vmcoreinfo;
    use crate::words::{Be64, Le64, WordLayout};
    use std::collections::HashMap;

    /// Words as the CPU or the kernel left them there: bytes.
    #[derive(Default)]
    struct Memory(HashMap<u64, [u8; 8]>);

    impl Memory {
        fn put(&mut self, words: Words, at: u64, word: u64) {
            self.0.insert(at, if words == Be64::WORDS { word.to_be_bytes() } else { word.to_le_bytes() });
        }
    }

    impl PhysReader for Memory {
        fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<()> {
            for (i, word) in buf.chunks_mut(8).enumerate() {
                let value = self.0.get(&(at.0 + 8 * i as u64)).copied().unwrap_or_default();
                word.copy_from_slice(&value[..word.len()]);
            }
            Ok(())
        }
    }

    fn page_tables(text: &str, words: Words, page_shift: u32) -> Box<dyn Translate> {
        let info = Vmcoreinfo::parse(format!("{text}\nSYMBOL(swapper_pg_dir)=c000000000100000\n").as_bytes());
        let page_size = PageSize::from_bytes(1 << page_shift).unwrap();
        Ppc64.page_tables(MachineFacts { symbols: &info, words, page_size, segments: &[] }).unwrap()
    }

    fn check(xlat: &dyn Translate, memory: &mut Memory, cases: &[(u64, u64, u64)]) {
        let mut cache = TableCache::default();
        for (at, phys, bytes) in cases {
            let mapping = xlat.translate(memory, &mut cache, VirtAddr(*at)).unwrap();
            assert_eq!((mapping.phys.0, mapping.bytes), (*phys, *bytes), "{at:#x}");
        }
    }

    /// The Power ISA: bit 0 valid, bit 1 leaf, bits 7 to 51 of a leaf its page; bits 4 to 55 of a directory's entry the
    /// next table, bits 59 to 63 log2 of its entries. 13, 9, 9 and 5 bits, or 13, 9, 9 and 9.
    #[test]
    fn walks_radix_trees_of_either_page_size() {
        for (page_shift, last) in [(16, 5), (12, 9)] {
            let mut memory = Memory::default();
            let mut put = |at, entry| memory.put(Be64::WORDS, at, entry);
            put(0x100000, VALID | 0x20_0000 | 9);
            put(0x100000 + 8 * 0x1000, VALID | 0x20_0000 | 9); // vmalloc from 0xc008000000000000
            put(0x20_0000 + 8, VALID | LEAF | 0x1_4000_0000 | 0x18e); // 1 GiB
            put(0x20_0000 + 16, VALID | 0x30_0000 | 9);
            put(0x30_0000 + 8, VALID | LEAF | 0xe0_0000 | 0x18e); // 2 MiB
            put(0x30_0000 + 16, VALID | 0x40_0000 | last);
            put(0x40_0000 + 8, VALID | LEAF | 0x123_0000 | 0x18e);
            put(0x30_0000 + 24, VALID | 0x40_0000); // no size
            put(0x30_0000 + 32, VALID | LEAF | 0x121_0000); // not at a multiple of its size
            let (base, page) = (0xc008_0000_0000_0000, 1u64 << page_shift);
            for text in ["OSRELEASE=6.1.0", "NUMBER(RADIX_MMU)=1"] {
                let xlat = page_tables(text, Le64::WORDS, page_shift);
                let cases = [
                    (0xc000_0000_0123_4567, 0x123_4567, LINEAR_END_4K - 0xc000_0000_0123_4567),
                    (base + 0x4000_0005, 0x1_4000_0005, 0x4000_0000 - 5),
                    (base + 0x8020_0010, 0xe0_0010, 0x20_0000 - 0x10),
                    (base + 0x8040_0000 + page + 3, 0x123_0003, page - 3),
                ];
                check(xlat.as_ref(), &mut memory, &cases);
                let mut fails = |at| xlat.translate(&mut memory, &mut TableCache::default(), VirtAddr(at)).unwrap_err();
                assert_eq!(fails(base).kind(), ErrorKind::NoMemory);
                assert_eq!(fails(base + 0x8060_0000).kind(), ErrorKind::Corrupt);
                assert_eq!(fails(base + 0x8080_0000).kind(), ErrorKind::Corrupt);
                assert_eq!(fails(0x1000).kind(), ErrorKind::NoMemory);
            }
        }
    }

    /// Linux's hash-64k.h and hash-4k.h, and the older pgtable-ppc64-64k.h: entries of directories are physical addresses
    /// since 4.6, and addresses in the linear map before; all are big endian since 4.7.
    #[test]
    fn walks_hash_tables_of_each_era() {
        let present = VALID | LEAF;
        /// Release, log2 of the page size, bits of directories, entry, indices, shifts.
        type Case = (&'static str, u32, u64, u64, [u64; 4], [u32; 3]);
        let cases: [Case; 5] = [
            ("6.1", 16, 0, present | 0x123_0000 | 0x18e, [0x80, 1, 2, 3], [44, 34, 24]),
            ("6.1", 12, 0, present | 0x123_0000 | 0x18e, [0x1e8, 1, 2, 3], [37, 28, 21]),
            ("4.13", 16, 0, present | 0x123_0000 | 0x18e, [0, 1, 2, 3], [41, 34, 24]),
            ("3.16", 16, 0xc << 60, 0x123 << 30 | 1, [1, 0, 2, 3], [34, 34, 24]),
            ("3.16", 12, 0xc << 60, 0x1230 << 17 | 1, [1, 1, 2, 3], [37, 28, 21]),
        ];
        for (release, page, directory, entry, index, shifts) in cases {
            let order = if release == "3.16" { Le64::WORDS } else { Be64::WORDS };
            let mut memory = Memory::default();
            let mut put = |at, entry| memory.put(order, at, entry);
            let tables = if index[1] == 0 { vec![index[0], index[2]] } else { index[..3].to_vec() };
            for (level, index) in (1u64..).zip(&tables) {
                put(0x10_0000 * level + 8 * index, directory | (0x10_0000 * (level + 1)));
            }
            put(0x10_0000 * (tables.len() as u64 + 1) + 8 * index[3], entry);
            let region = if release == "6.1" { 0xc000_0000_0000_0000 } else { 0xd000_0000_0000_0000 };
            let at =
                index[..3].iter().zip(shifts).fold(region, |at, (index, shift)| at | index << shift) | index[3] << page;
            let xlat = page_tables(&format!("OSRELEASE={release}.0"), Le64::WORDS, page);
            check(xlat.as_ref(), &mut memory, &[(at + 5, 0x123_0005, (1 << page) - 5)]);
            let e = xlat.translate(&mut memory, &mut TableCache::default(), VirtAddr(at + (1 << page))).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::NoMemory, "{release}: {e}");
        }
    }

    const LIST: &str = "OSRELEASE=6.1.0\nSYMBOL(vmemmap_list)=c000000000001000\nSYMBOL(mmu_vmemmap_psize)=c000000000001008\n\
        SYMBOL(mmu_psize_defs)=c000000000001010\nSIZE(vmemmap_backing)=24\nOFFSET(vmemmap_backing.list)=0\n\
        OFFSET(vmemmap_backing.phys)=8\nOFFSET(vmemmap_backing.virt_addr)=16\nSIZE(mmu_psize_def)=96\n\
        OFFSET(mmu_psize_def.shift)=0";

    #[test]
    fn the_list_of_the_vmemmap_in_either_order() {
        for words in [Le64::WORDS, Be64::WORDS] {
            let half = |value: u64| if words == Be64::WORDS { value << 32 } else { value };
            let mut memory = Memory::default();
            let mut put = |at, word| memory.put(words, at, word);
            put(0x1000, 0xc000_0000_0000_2000);
            put(0x1008, half(5));
            put(0x1010 + 5 * 96, half(24)); // 16 MiB
            for (at, next, phys, virt) in [
                (0x2000, 0xc000_0000_0000_3000, 0x300_0000, 0xc00c_0000_0100_0000),
                (0x3000, 0, 0x900_0000, 0xc00c_0000_0000_0000),
            ] {
                put(at, next);
                put(at + 8, phys);
                put(at + 16, virt);
            }
            let xlat = page_tables(LIST, words, 16);
            let cases = [
                (0xc00c_0000_0000_0040, 0x900_0040, 0x100_0000 - 0x40),
                (0xc00c_0000_0100_0000, 0x300_0000, 0x100_0000),
            ];
            check(xlat.as_ref(), &mut memory, &cases);
            let past = xlat.translate(&mut memory, &mut TableCache::default(), VirtAddr(0xc00c_0000_0200_0000));
            assert_eq!(past.unwrap_err().kind(), ErrorKind::NoMemory);
        }
    }

    #[test]
    fn a_list_without_an_end_is_damage() {
        let mut memory = Memory::default();
        for (at, word) in [(0x1000, 0xc000_0000_0000_2000), (0x2000, 0xc000_0000_0000_2000), (0x1010, 16)] {
            memory.put(Le64::WORDS, at, word);
        }
        let xlat = page_tables(LIST, Le64::WORDS, 16);
        let e = xlat.translate(&mut memory, &mut TableCache::default(), VirtAddr(0xc00c_0000_0000_0000)).unwrap_err();
        assert!(e.to_string().contains("vmemmap_list: it comes back"), "{e}");
    }

    /// The offsets of `struct elf_prstatus` (504 bytes), in either order.
    #[test]
    fn registers_of_the_kernel() {
        for order in [u64::to_be_bytes, u64::to_le_bytes] {
            let mut prstatus = vec![0; 504];
            for (i, word) in [(32, 0xc000_0000_000e_11c0), (33, 0x8000_0000_0280_b033), (1, 0xc000_0000_026a_fca0)] {
                prstatus[112 + 8 * i..120 + 8 * i].copy_from_slice(&order(word));
            }
            let pointers = Ppc64.kernel_pointers(&prstatus);
            assert_eq!(pointers, [VirtAddr(0xc000_0000_000e_11c0), VirtAddr(0xc000_0000_026a_fca0)]);
            prstatus[112 + 8 * 33..120 + 8 * 33].copy_from_slice(&order(0x8000_0000_0280_f033)); // a process
            assert!(Ppc64.kernel_pointers(&prstatus).is_empty());
        }
        assert!(Ppc64.kernel_pointers(&[]).is_empty());
    }
}
