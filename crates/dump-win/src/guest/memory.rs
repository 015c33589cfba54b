//! The memory of an x86_64 guest, by physical and by virtual address.

use dump_core::{Error, ErrorKind, PageReader, PageSize, PageSource, Pfn, PfnRange, PhysAddr, Result, read_pages};

/// Bits of a page table entry that are an address.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

const PRESENT: u64 = 1;

/// The entry maps a large page.
const LARGE: u64 = 1 << 7;

/// A page that Windows has yet to take from the list of those in transition: what it holds is still there.
/// Source: Volatility 3, layers/intel.py (`WindowsMixin`).
const TRANSITION: u64 = 1 << 11;
const PROTOTYPE: u64 = 1 << 10;

/// Pages that are remembered: page tables of one walk and the page itself, twice.
const REMEMBERED: usize = 12;

/// Reads a guest's memory.
pub(crate) struct Memory<'a> {
    reader: Box<dyn PageReader + 'a>,
    size: PageSize,
    /// The ones used last come last.
    pages: Vec<(Pfn, Vec<u8>)>,
}

/// How virtual addresses are translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    /// Physical address of the root of page tables.
    pub root: u64,
    pub five_levels: bool,
}

impl Space {
    /// Of a register cr3, or what stands for it.
    pub fn of(cr3: u64, five_levels: bool) -> Space {
        Space { root: cr3 & ADDRESS, five_levels }
    }
}

impl<'a> Memory<'a> {
    pub fn new(source: &'a dyn PageSource) -> Memory<'a> {
        Memory { reader: source.reader(), size: source.meta().page_size, pages: Vec::new() }
    }

    /// Fills `buf` from physical address `at` on.
    ///
    /// # Errors
    /// `NoMemory` if a byte of it is not there.
    pub fn read(&mut self, at: u64, buf: &mut [u8]) -> Result<()> {
        let mut done = 0;
        while done < buf.len() {
            let at = at.checked_add(done as u64).ok_or_else(|| absent(at))?;
            let from = (at & (self.size.bytes() as u64 - 1)) as usize;
            let page = self.page(self.size.pfn_of(PhysAddr(at)))?;
            let len = (page.len() - from).min(buf.len() - done);
            buf[done..done + len].copy_from_slice(&page[from..from + len]);
            done += len;
        }
        Ok(())
    }

    fn page(&mut self, pfn: Pfn) -> Result<&[u8]> {
        match self.pages.iter().position(|(known, _)| *known == pfn) {
            Some(at) => {
                let page = self.pages.remove(at);
                self.pages.push(page);
            }
            None => {
                let mut bytes = vec![0; self.size.bytes()];
                let absence = read_pages(self.reader.as_mut(), self.size, PfnRange::at(pfn, 1), &mut bytes)?;
                if absence.is_some() {
                    return Err(absent(self.size.addr_of(pfn).0));
                }
                if self.pages.len() == REMEMBERED {
                    self.pages.remove(0);
                }
                self.pages.push((pfn, bytes));
            }
        }
        self.pages.last().map(|(_, bytes)| bytes.as_slice()).ok_or_else(|| Error::bug("no page"))
    }

    /// The physical address of virtual address `at`.
    ///
    /// # Errors
    /// `NoMemory` if it is not mapped, or its page tables are not there.
    pub fn translate(&mut self, space: Space, at: u64) -> Result<u64> {
        let mut table = space.root;
        let levels = if space.five_levels { 5 } else { 4 };
        for level in (0..levels).rev() {
            let shift = 12 + 9 * level;
            let mut entry = [0; 8];
            self.read(table + (at >> shift & 0x1ff) * 8, &mut entry)?;
            let entry = u64::from_le_bytes(entry);
            let in_transition = level == 0 && entry & (TRANSITION | PROTOTYPE) == TRANSITION;
            if entry & PRESENT == 0 && !in_transition {
                return Err(Error::new(ErrorKind::NoMemory, format!("virtual address {at:#x} is not mapped")));
            }
            if level == 0 || (level < 3 && entry & LARGE != 0) {
                let within = (1u64 << shift) - 1;
                return Ok(entry & ADDRESS & !within | at & within);
            }
            table = entry & ADDRESS;
        }
        Err(Error::bug("page tables without levels"))
    }

    /// Fills `buf` from virtual address `at` on.
    ///
    /// # Errors
    /// As [`translate`](Memory::translate) and [`read`](Memory::read).
    pub fn read_virt(&mut self, space: Space, at: u64, buf: &mut [u8]) -> Result<()> {
        let mut done = 0;
        for (from, len) in pieces(at, buf.len()) {
            let physical = self.translate(space, from)?;
            self.read(physical, &mut buf[done..done + len])?;
            done += len;
        }
        Ok(())
    }

    /// The word at virtual address `at`.
    ///
    /// # Errors
    /// As [`read_virt`](Memory::read_virt).
    pub fn word(&mut self, space: Space, at: u64) -> Result<u64> {
        let mut bytes = [0; 8];
        self.read_virt(space, at, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

/// Addresses and lengths of what lies within one page each of `len` bytes from `at` on.
pub(crate) fn pieces(at: u64, len: usize) -> impl Iterator<Item = (u64, usize)> {
    let mut rest = (at, len);
    std::iter::from_fn(move || {
        let (at, len) = rest;
        let now = len.min(4096 - (at & 4095) as usize);
        rest = (at.wrapping_add(now as u64), len - now);
        (now != 0).then_some((at, now))
    })
}

fn absent(at: u64) -> Error {
    Error::new(ErrorKind::NoMemory, format!("physical address {at:#x} is not in the dump"))
}
