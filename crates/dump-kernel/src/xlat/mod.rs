//! From kernel virtual to physical addresses, one file per architecture.

mod x86_64;

pub use x86_64::X86_64;

use crate::memory::PhysMemory;
use dump_core::{Error, PhysAddr, Result, Scratch, VirtAddr};

/// Virtual memory that is mapped to consecutive physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The virtual address that was asked for.
    pub virt: VirtAddr,
    /// Where it lies.
    pub phys: PhysAddr,
    /// How far it goes on from there (bytes, at least 1): to the end of the page, however large that is.
    pub bytes: u64,
}

/// The address translation of one dumped machine.
pub trait Translate: Send + Sync {
    /// Where `at` lies. `cache` holds the page tables last walked, so that neighbours cost no reads.
    ///
    /// # Errors
    /// Where `at` is not mapped, or a page table on the way cannot be read.
    fn translate(&self, memory: &dyn PhysMemory, cache: &mut TableCache, at: VirtAddr) -> Result<Mapping>;
}

/// The page table last used at each level.
#[derive(Default)]
pub struct TableCache {
    tables: Vec<(PhysAddr, Vec<u8>)>,
}

impl TableCache {
    /// Entry `index` (8 bytes, little endian) of the table of `bytes` bytes at `table`.
    ///
    /// # Errors
    /// Where the table cannot be read.
    pub fn entry(
        &mut self,
        memory: &dyn PhysMemory,
        level: usize,
        table: PhysAddr,
        bytes: usize,
        index: usize,
    ) -> Result<u64> {
        if self.tables.len() <= level {
            self.tables.resize(level + 1, (PhysAddr(u64::MAX), Vec::new()));
        }
        let (cached, content) = &mut self.tables[level];
        if *cached != table || content.len() != bytes {
            content.resize(bytes, 0);
            *cached = PhysAddr(u64::MAX); // until it has been read
            memory.read(table, content).map_err(|e| e.within(format_args!("page table at {table}")))?;
            *cached = table;
        }
        let entry = content.get(index * 8..index * 8 + 8).and_then(|b| b.try_into().ok());
        entry.map(u64::from_le_bytes).ok_or_else(|| Error::corrupt(format!("page table index {index} out of range")))
    }
}

/// Kernel virtual memory, as one worker reads it: with the mapping and the page tables it used last.
pub struct KernelMemory<'a> {
    phys: &'a dyn PhysMemory,
    xlat: &'a dyn Translate,
    cache: TableCache,
    last: Option<Mapping>,
}

impl<'a> KernelMemory<'a> {
    /// Memory of the kernel whose page tables `xlat` walks.
    pub fn new(phys: &'a dyn PhysMemory, xlat: &'a dyn Translate) -> KernelMemory<'a> {
        KernelMemory { phys, xlat, cache: TableCache::default(), last: None }
    }

    /// Where `at` lies and how far the mapping goes on.
    ///
    /// # Errors
    /// As [`Translate::translate`].
    pub fn translate(&mut self, at: VirtAddr) -> Result<Mapping> {
        if let Some(last) = self.last {
            if let Some(into) = at.0.checked_sub(last.virt.0).filter(|into| *into < last.bytes) {
                return Ok(Mapping { virt: at, phys: PhysAddr(last.phys.0 + into), bytes: last.bytes - into });
            }
        }
        let mapping = self.xlat.translate(self.phys, &mut self.cache, at)?;
        self.last = Some(mapping);
        Ok(mapping)
    }

    /// Fills `buf` from `at` on.
    ///
    /// # Errors
    /// Where a part of it is not mapped, or not in the dump.
    pub fn read(&mut self, at: VirtAddr, buf: &mut [u8]) -> Result<()> {
        let (mut at, mut rest) = (at, buf);
        while !rest.is_empty() {
            let mapping = self.translate(at)?;
            let here = usize::try_from(mapping.bytes).unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = rest.split_at_mut(here);
            self.phys.read(mapping.phys, now).map_err(|e| e.within(format_args!("virtual address {at}")))?;
            rest = later;
            if !rest.is_empty() {
                at = at.checked_add(here as u64).ok_or_else(|| Error::corrupt(format!("{at} + {here} passes 2^64")))?;
            }
        }
        Ok(())
    }

    /// Shows `len` bytes from `at` on to `see`, in place where they lie in one mapping.
    ///
    /// # Errors
    /// As [`read`](KernelMemory::read); `see` is not called then.
    pub fn show(&mut self, at: VirtAddr, len: usize, scratch: &mut Scratch, see: &mut dyn FnMut(&[u8])) -> Result<()> {
        let mapping = self.translate(at)?;
        if mapping.bytes >= len as u64 {
            let shown = self.phys.show(mapping.phys, len, scratch, see);
            return shown.map_err(|e| e.within(format_args!("virtual address {at}")));
        }
        let buf = scratch.take(len);
        self.read(at, buf)?;
        see(buf);
        Ok(())
    }

    /// The 8-byte word at `at`.
    ///
    /// # Errors
    /// As [`read`](KernelMemory::read).
    pub fn read_u64(&mut self, at: VirtAddr) -> Result<u64> {
        let mut word = [0; 8];
        self.read(at, &mut word)?;
        Ok(u64::from_le_bytes(word))
    }

    /// The 4-byte word at `at`.
    ///
    /// # Errors
    /// As [`read`](KernelMemory::read).
    pub fn read_u32(&mut self, at: VirtAddr) -> Result<u32> {
        let mut word = [0; 4];
        self.read(at, &mut word)?;
        Ok(u32::from_le_bytes(word))
    }
}
