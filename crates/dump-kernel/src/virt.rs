//! Virtual memory of the dumped kernel.

use crate::memory::{PhysMemory, PhysReader};
use crate::words::Words;
use crate::xlat::{Mapping, TableCache, Translate};
use dump_core::{Error, PhysAddr, Result, VirtAddr};

/// Kernel virtual memory, as one worker reads it: with the mapping and the page tables it used last.
pub struct KernelMemory<'a> {
    phys: Box<dyn PhysReader + 'a>,
    xlat: &'a dyn Translate,
    words: Words,
    cache: TableCache,
    last: Option<Mapping>,
    /// For bytes that lie in several mappings.
    copy: Vec<u8>,
}

impl<'a> KernelMemory<'a> {
    /// Memory of the kernel whose page tables `xlat` walks and whose words are `words`.
    pub fn new(phys: &'a dyn PhysMemory, xlat: &'a dyn Translate, words: Words) -> KernelMemory<'a> {
        KernelMemory { phys: phys.reader(), xlat, words, cache: TableCache::default(), last: None, copy: Vec::new() }
    }

    /// The kernel's words.
    pub fn words(&self) -> Words {
        self.words
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
        let mapping = self.xlat.translate(self.phys.as_mut(), &mut self.cache, at)?;
        self.last = Some(mapping);
        Ok(mapping)
    }

    /// Fills `buf` from `at` on.
    ///
    /// # Errors
    /// If a part of it is not mapped, or not in the dump.
    pub fn read(&mut self, at: VirtAddr, buf: &mut [u8]) -> Result<()> {
        let (mut at, mut rest) = (at, buf);
        while !rest.is_empty() {
            let mapping = self.translate(at)?;
            let here = usize::try_from(mapping.bytes).unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = rest.split_at_mut(here);
            self.phys.read(mapping.phys, now).map_err(|e| e.within(format_args!("virtual address {at}")))?;
            rest = later;
            if !rest.is_empty() {
                at =
                    at.checked_add(here as u64).ok_or_else(|| Error::corrupt(format!("{at} + {here} exceeds 2^64")))?;
            }
        }
        Ok(())
    }

    /// Shows `len` bytes from `at` on to `see`, in place where they lie in one mapping.
    ///
    /// # Errors
    /// As [`read`](KernelMemory::read); `see` is not called then.
    pub fn show(&mut self, at: VirtAddr, len: usize, see: &mut dyn FnMut(&[u8])) -> Result<()> {
        let mapping = self.translate(at)?;
        if mapping.bytes >= len as u64 {
            let shown = self.phys.show(mapping.phys, len, see);
            return shown.map_err(|e| e.within(format_args!("virtual address {at}")));
        }
        let mut copy = std::mem::take(&mut self.copy);
        copy.resize(len, 0);
        let read = self.read(at, &mut copy);
        if read.is_ok() {
            see(&copy);
        }
        self.copy = copy;
        read
    }

    /// The word at `at`, as large as the machine's, widened.
    ///
    /// # Errors
    /// As [`read`](KernelMemory::read).
    pub fn read_word(&mut self, at: VirtAddr) -> Result<u64> {
        let mut word = [0; 8];
        let word = &mut word[..self.words.bytes()];
        self.read(at, word)?;
        Ok(self.words.integer(word))
    }

    /// The pointer at `at`.
    ///
    /// # Errors
    /// As [`read`](KernelMemory::read).
    pub fn read_pointer(&mut self, at: VirtAddr) -> Result<VirtAddr> {
        self.read_word(at).map(VirtAddr)
    }

    /// The 4-byte integer at `at`.
    ///
    /// # Errors
    /// As [`read`](KernelMemory::read).
    pub fn read_u32(&mut self, at: VirtAddr) -> Result<u32> {
        let mut bytes = [0; 4];
        self.read(at, &mut bytes)?;
        Ok(self.words.integer(&bytes) as u32)
    }
}
