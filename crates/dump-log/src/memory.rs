//! Small reads of kernel memory: a log is read by fields of a few bytes from three places at once, and a page costs a
//! translation and perhaps a decompression.

use dump_core::{Error, PageSize, Result, VirtAddr};
use dump_kernel::{KernelMemory, Words};

/// Pages that are kept: descriptors, infos, text, and one more for what crosses into the next.
const KEPT: usize = 4;

/// Kernel memory, with the pages that were read last.
pub struct Memory<'k> {
    memory: KernelMemory<'k>,
    page: u64,
    /// The page used last is the last.
    kept: Vec<Kept>,
}

struct Kept {
    at: u64,
    bytes: Vec<u8>,
    /// Why the page cannot be read.
    failed: Option<Error>,
}

impl<'k> Memory<'k> {
    /// Over `memory`, whose pages have `page` bytes.
    pub fn new(memory: KernelMemory<'k>, page: PageSize) -> Memory<'k> {
        Memory { memory, page: page.bytes() as u64, kept: Vec::new() }
    }

    /// The kernel's words.
    pub fn words(&self) -> Words {
        self.memory.words()
    }

    /// Bytes from `at` to the end of its page.
    pub fn to_page_end(&self, at: VirtAddr) -> u64 {
        self.page - at.0 % self.page
    }

    /// Fills `buf` from `at` on.
    ///
    /// # Errors
    /// If a page of it cannot be read.
    pub fn read(&mut self, at: VirtAddr, buf: &mut [u8]) -> Result<()> {
        let (mut at, mut rest) = (at, buf);
        while !rest.is_empty() {
            let into = (at.0 % self.page) as usize;
            let here = rest.len().min(self.page as usize - into);
            let (now, later) = rest.split_at_mut(here);
            now.copy_from_slice(&self.page_at(at.0 - into as u64)?[into..into + here]);
            rest = later;
            if !rest.is_empty() {
                at = plus(at, here as u64)?;
            }
        }
        Ok(())
    }

    fn page_at(&mut self, at: u64) -> Result<&[u8]> {
        let kept = match self.kept.iter().position(|kept| kept.at == at) {
            Some(i) => self.kept.remove(i),
            None => self.fetch(at),
        };
        self.kept.push(kept);
        let kept = self.kept.last().ok_or_else(|| Error::bug("no page"))?;
        kept.failed.as_ref().map_or(Ok(&kept.bytes[..]), |e| Err(e.clone()))
    }

    fn fetch(&mut self, at: u64) -> Kept {
        let mut bytes = if self.kept.len() < KEPT { Vec::new() } else { self.kept.remove(0).bytes };
        bytes.resize(self.page as usize, 0);
        let failed = self.memory.read(VirtAddr(at), &mut bytes).err();
        Kept { at, bytes, failed }
    }

    /// The integer of `N` bytes at `at`.
    ///
    /// # Errors
    /// As [`read`](Memory::read).
    fn integer<const N: usize>(&mut self, at: VirtAddr) -> Result<u64> {
        let mut bytes = [0; N];
        self.read(at, &mut bytes)?;
        Ok(self.words().integer(&bytes))
    }

    /// The 2-byte integer at `at`.
    pub fn u16(&mut self, at: VirtAddr) -> Result<u16> {
        self.integer::<2>(at).map(|value| value as u16)
    }

    /// The 4-byte integer at `at`.
    pub fn u32(&mut self, at: VirtAddr) -> Result<u32> {
        self.integer::<4>(at).map(|value| value as u32)
    }

    /// The 8-byte integer at `at`.
    pub fn u64(&mut self, at: VirtAddr) -> Result<u64> {
        self.integer::<8>(at)
    }

    /// The `unsigned long` at `at`, widened.
    pub fn word(&mut self, at: VirtAddr) -> Result<u64> {
        match self.words().bytes() {
            4 => self.integer::<4>(at),
            _ => self.integer::<8>(at),
        }
    }

    /// The pointer at `at`, which leads to `what`.
    pub fn pointer(&mut self, at: VirtAddr, what: &str) -> Result<VirtAddr> {
        match self.word(at).map_err(|e| e.within(what))? {
            0 => Err(Error::corrupt(format!("the pointer to {what} is null"))),
            to => Ok(VirtAddr(to)),
        }
    }
}

/// `at` and `bytes` more.
///
/// # Errors
/// `Corrupt` past the end of the address space: an offset or an index is wrong.
pub fn plus(at: VirtAddr, bytes: u64) -> Result<VirtAddr> {
    at.checked_add(bytes).ok_or_else(|| Error::corrupt(format!("{at} + {bytes} exceeds 2^64")))
}
