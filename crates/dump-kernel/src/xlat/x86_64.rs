//! x86_64 page tables: 4 or 5 levels of 512 entries of 8 bytes.
//!
//! ```text
//! bits  56..48  47..39  38..30  29..21  20..12  11..0
//!       PGD     P4D/PGD PUD     PMD     PTE     offset     a leaf may be a PUD (1 GiB) or a PMD (2 MiB): bit 7
//! ```
//!
//! Every address is walked, the direct map too: 5.x kernels may leave holes in it, and a walk that shares the tables of its
//! neighbour costs no read.

use super::{Mapping, TableCache, Translate};
use crate::memory::PhysMemory;
use crate::symbols::KernelSymbols;
use dump_core::{Error, PhysAddr, Result, Segment, VirtAddr};

/// Where the kernel image is linked (`__START_KERNEL_map`, Linux arch/x86/include/asm/page_64_types.h).
const START_KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;

/// Bits 51..12 of an entry: the physical address; above lie NX, protection keys and software bits.
const ADDRESS_BITS: u64 = 0x000f_ffff_ffff_f000;

const PRESENT: u64 = 1;
const LARGE: u64 = 1 << 7;

/// Page tables of an x86_64 kernel.
#[derive(Clone, Copy, Debug)]
pub struct X86_64 {
    root: PhysAddr,
    levels: u32,
    sme_mask: u64,
    phys_base: u64,
}

impl X86_64 {
    /// From what the dump tells: the root table's symbol, `phys_base`, the number of levels, the SME mask.
    ///
    /// `NUMBER(phys_base)` is there since Linux 4.10 (401721ecd1dc); before that the PT_LOAD of the kernel text tells it.
    ///
    /// # Errors
    /// `MissingInfo`, naming the key, where that is not enough to find the root table.
    pub fn new(symbols: &dyn KernelSymbols, segments: &[Segment]) -> Result<X86_64> {
        // init_level4_pgt became init_top_pgt in 4.13 (65ade2f872b4); swapper_pg_dir is the same table in all of them
        let root = ["init_top_pgt", "init_level4_pgt", "swapper_pg_dir"].iter().find_map(|name| symbols.symbol(name));
        let root =
            root.ok_or_else(|| Error::missing("vmcoreinfo has no SYMBOL(init_top_pgt), nor an older name of it"))?;
        let phys_base = match symbols.number("phys_base") {
            Some(value) => value as u64,
            None => phys_base_of(segments).ok_or_else(|| {
                Error::missing("vmcoreinfo has no NUMBER(phys_base), and no PT_LOAD maps the kernel text")
            })?,
        };
        let sme_mask = symbols.number("sme_mask").unwrap_or(0) as u64;
        let levels = if symbols.number("pgtable_l5_enabled").unwrap_or(0) != 0 { 5 } else { 4 };
        let root = root.0.wrapping_sub(START_KERNEL_MAP).wrapping_add(phys_base) & ADDRESS_BITS & !sme_mask;
        Ok(X86_64 { root: PhysAddr(root), levels, sme_mask, phys_base })
    }

    /// Physical minus link address of the kernel image, two's complement.
    pub fn phys_base(&self) -> u64 {
        self.phys_base
    }

    /// 4 or 5.
    pub fn levels(&self) -> u32 {
        self.levels
    }
}

/// From the first segment in the kernel text's part of the address space.
fn phys_base_of(segments: &[Segment]) -> Option<u64> {
    let text = segments.iter().find(|s| s.vaddr.0 >= START_KERNEL_MAP)?;
    Some(text.paddr.0.wrapping_sub(text.vaddr.0 - START_KERNEL_MAP))
}

impl Translate for X86_64 {
    fn translate(&self, memory: &dyn PhysMemory, cache: &mut TableCache, at: VirtAddr) -> Result<Mapping> {
        let mut table = self.root;
        for level in (0..self.levels).rev() {
            let shift = 12 + 9 * level;
            let index = (at.0 >> shift & 511) as usize;
            let entry = cache.entry(memory, level as usize, table, 4096, index)?;
            if entry & PRESENT == 0 {
                return Err(Error::missing(format!("virtual address {at} is not mapped (page table level {level})")));
            }
            let next = entry & ADDRESS_BITS & !self.sme_mask;
            // bit 7 of a PGD or P4D entry is reserved, of a PTE the PAT bit
            if level == 0 || (level <= 2 && entry & LARGE != 0) {
                let size = 1u64 << shift;
                let into = at.0 & (size - 1);
                return Ok(Mapping { virt: at, phys: PhysAddr((next & !(size - 1)) + into), bytes: size - into });
            }
            table = PhysAddr(next);
        }
        Err(Error::corrupt(format!("virtual address {at}: no leaf"))) // levels is 4 or 5: a PTE ends every walk
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmcoreinfo::Vmcoreinfo;
    use std::collections::HashMap;

    struct Words(HashMap<u64, u64>);

    impl PhysMemory for Words {
        fn read(&self, at: PhysAddr, buf: &mut [u8]) -> Result<()> {
            for (i, word) in buf.chunks_mut(8).enumerate() {
                let value = self.0.get(&(at.0 + 8 * i as u64)).copied().unwrap_or(0);
                word.copy_from_slice(&value.to_le_bytes());
            }
            Ok(())
        }
    }

    const TEXT: &[u8] = b"SYMBOL(init_top_pgt)=ffffffff81001000\nNUMBER(phys_base)=-16777216\n";

    #[test]
    fn walks_to_pages_of_each_size() {
        // root at 0x81001000 - 0x80000000 - 0x1000000 = 0x1000
        let memory = Words(HashMap::from([
            (0x1000 + 8 * 256, 0x2000 | 1),
            (0x2000, 0x3000 | 1),
            (0x2000 + 8, 0x4000_0000 | LARGE | 1),
            (0x3000, 0x4000 | 1),
            (0x3000 + 8, 0x8000_0000_0060_0000 | LARGE | 1),
            (0x4000 + 8, 0x7000 | LARGE | 1), // bit 7 of a PTE is PAT
        ]));
        let xlat = X86_64::new(&Vmcoreinfo::parse(TEXT), &[]).unwrap();
        let mut cache = TableCache::default();
        let base = 0xffff_8000_0000_0000;
        for (at, phys, bytes) in [
            (0x1234, 0x7234, 0x1000 - 0x234),
            (0x20_0010, 0x60_0010, 0x20_0000 - 0x10),
            (0x4000_0005, 0x4000_0005, 0x4000_0000 - 5),
        ] {
            let mapping = xlat.translate(&memory, &mut cache, VirtAddr(base + at)).unwrap();
            assert_eq!((mapping.phys.0, mapping.bytes), (phys, bytes), "{at:#x}");
        }
        let e = xlat.translate(&memory, &mut cache, VirtAddr(base + 0x2000)).unwrap_err();
        assert!(e.to_string().contains("0xffff800000002000 is not mapped"), "{e}");
    }

    #[test]
    fn phys_base_comes_from_the_text_segment_on_old_kernels() {
        let info = Vmcoreinfo::parse(b"SYMBOL(init_level4_pgt)=ffffffff81001000\n");
        assert!(X86_64::new(&info, &[]).is_err());
        let ram = Segment { paddr: PhysAddr(0), vaddr: VirtAddr(0xffff_8800_0000_0000), bytes: 1 };
        let text = Segment { paddr: PhysAddr(0x200_0000), vaddr: VirtAddr(0xffff_ffff_8100_0000), bytes: 1 };
        assert_eq!(X86_64::new(&info, &[ram, text]).unwrap().phys_base(), 0x100_0000);
    }
}
