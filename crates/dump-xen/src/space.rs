//! Xen's own virtual addresses.
//!
//! Its image lies at the 1 GiB of virtual memory that `domain_list` is in, and in one piece of machine memory, which is
//! how the page tables are found (`pgd_l4`). All else is walked, the direct map too: where it begins depends on the build,
//! and with compressed page frame numbers it is not in order.

use dump_core::{ByteOrder, Error, PhysAddr, Result, VirtAddr};
use dump_kernel::{Mapping, PhysReader, TableCache, TableShape};

/// Bytes of virtual memory that Xen keeps for its image (xen/arch/x86/include/asm/config.h, XEN_VIRT_START).
const IMAGE: u64 = 1 << 30;

const PLACE: &str = "--xen_phys_start says where Xen's image begins";

const PRESENT: u64 = 1;
const LARGE: u64 = 1 << 7;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const TABLE: TableShape = TableShape { entries: 512, entry_bytes: 8, order: ByteOrder::Little };

/// Where Xen has what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XenSpace {
    virt_start: u64,
    phys_start: u64,
    root: PhysAddr,
}

impl XenSpace {
    /// By a symbol of the image, that of the top page table, and where the image begins in machine memory.
    ///
    /// # Errors
    /// `Corrupt` if the page tables do not lead back to the image.
    pub fn new(
        symbol: VirtAddr,
        root: VirtAddr,
        phys_start: PhysAddr,
        memory: &mut dyn PhysReader,
    ) -> Result<XenSpace> {
        let virt_start = symbol.0 & !(IMAGE - 1);
        let mut space = XenSpace { virt_start, phys_start: phys_start.0, root: PhysAddr(0) };
        let outside = || Error::corrupt(format!("pgd_l4 at {root} is not in Xen's image, which is at {virt_start:#x}"));
        space.root = space.in_image(root).ok_or_else(outside)?;
        let walked = space.walk(memory, &mut TableCache::default(), root).map_err(|e| e.hint(PLACE))?.phys;
        if walked != space.root {
            let text = format!("Xen's page tables have its image at {walked}, and it is said to be at {}", space.root);
            return Err(Error::corrupt(text).hint(PLACE));
        }
        Ok(space)
    }

    fn in_image(&self, at: VirtAddr) -> Option<PhysAddr> {
        let offset = at.0.checked_sub(self.virt_start).filter(|offset| *offset < IMAGE)?;
        self.phys_start.checked_add(offset).map(PhysAddr)
    }

    /// A worker's half.
    pub fn reader<'a>(&self, memory: Box<dyn PhysReader + 'a>) -> XenReader<'a> {
        XenReader { space: *self, memory, cache: TableCache::default() }
    }

    fn walk(&self, memory: &mut dyn PhysReader, cache: &mut TableCache, at: VirtAddr) -> Result<Mapping> {
        let mut table = self.root;
        for level in (0..4_u32).rev() {
            let shift = 12 + 9 * level;
            let index = (at.0 >> shift) as usize & 511;
            let entry = cache.entry(memory, level as usize, table, TABLE, index)?;
            if entry & PRESENT == 0 {
                return Err(Error::missing(format!("Xen does not map {at}")));
            }
            if level == 0 || (level < 3 && entry & LARGE != 0) {
                let size = 1 << shift;
                let offset = at.0 & (size - 1);
                let phys = PhysAddr((entry & ADDRESS & !(size - 1)) + offset);
                return Ok(Mapping { virt: at, phys, bytes: size - offset });
            }
            table = PhysAddr(entry & ADDRESS);
        }
        Err(Error::bug("a walk of no levels"))
    }
}

/// Xen's memory by its virtual addresses, as one worker reads it.
pub struct XenReader<'a> {
    space: XenSpace,
    memory: Box<dyn PhysReader + 'a>,
    cache: TableCache,
}

impl XenReader<'_> {
    /// Where `at` lies.
    ///
    /// # Errors
    /// If it is not mapped, or a page table on the way cannot be read.
    pub fn translate(&mut self, at: VirtAddr) -> Result<Mapping> {
        match self.space.in_image(at) {
            Some(phys) => Ok(Mapping { virt: at, phys, bytes: IMAGE - (at.0 - self.space.virt_start) }),
            None => self.space.walk(self.memory.as_mut(), &mut self.cache, at),
        }
    }

    /// Fills `buf` from `at` on.
    ///
    /// # Errors
    /// If a part of it is not mapped, or not in the dump.
    pub fn read(&mut self, at: VirtAddr, buf: &mut [u8]) -> Result<()> {
        let (mut at, mut rest) = (at, buf);
        while !rest.is_empty() {
            let found = self.translate(at)?;
            let here = rest.len().min(usize::try_from(found.bytes).unwrap_or(usize::MAX));
            let (now, later) = rest.split_at_mut(here);
            self.memory.read(found.phys, now)?;
            rest = later;
            if !rest.is_empty() {
                at = at.checked_add(here as u64).ok_or_else(|| Error::corrupt("beyond the last address"))?;
            }
        }
        Ok(())
    }

    /// The 8 bytes at `at`.
    ///
    /// # Errors
    /// As [`read`](XenReader::read).
    pub fn u64(&mut self, at: VirtAddr) -> Result<u64> {
        let mut bytes = [0; 8];
        self.read(at, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// The 4 bytes at `at`.
    ///
    /// # Errors
    /// As [`read`](XenReader::read).
    pub fn u32(&mut self, at: VirtAddr) -> Result<u32> {
        let mut bytes = [0; 4];
        self.read(at, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// The 2 bytes at `at`.
    ///
    /// # Errors
    /// As [`read`](XenReader::read).
    pub fn u16(&mut self, at: VirtAddr) -> Result<u16> {
        let mut bytes = [0; 2];
        self.read(at, &mut bytes)?;
        Ok(u16::from_le_bytes(bytes))
    }

    /// The machine's memory below.
    pub fn memory(&mut self) -> &mut dyn PhysReader {
        self.memory.as_mut()
    }
}
