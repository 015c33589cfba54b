//! An ELF64 little-endian vmcore, read with a few lines of our own.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Physical memory of a vmcore.
pub struct Vmcore {
    file: File,
    /// First physical address, file offset, length in the file, length in memory (bytes).
    pub loads: Vec<(u64, u64, u64, u64)>,
}

impl Vmcore {
    pub fn open(path: &Path) -> Vmcore {
        let file = File::open(path).unwrap();
        let word = |at: u64| {
            let mut b = [0; 8];
            file.read_exact_at(&mut b, at).unwrap();
            u64::from_le_bytes(b)
        };
        let (phoff, phnum) = (word(32), word(56) & 0xffff);
        let headers = (0..phnum).map(|i| phoff + 56 * i).filter(|at| word(*at) & 0xffff_ffff == 1);
        let loads = headers.map(|at| (word(at + 24), word(at + 8), word(at + 32), word(at + 40))).collect();
        Vmcore { file, loads }
    }

    /// The page after the last.
    pub fn end_pfn(&self) -> u64 {
        self.loads.iter().map(|(paddr, _, _, memsz)| (paddr + memsz).div_ceil(4096)).max().unwrap()
    }

    /// The bytes of a page that one segment holds whole; `None` where none does, or the file ends before it.
    pub fn page(&self, pfn: u64) -> Option<[u8; 4096]> {
        let at = pfn * 4096;
        let holds = |(paddr, _, filesz, _): &&(u64, u64, u64, u64)| *paddr <= at && at + 4096 <= paddr + filesz;
        let (paddr, offset, ..) = self.loads.iter().find(holds)?;
        let mut page = [0; 4096];
        self.file.read_exact_at(&mut page, offset + (at - paddr)).ok()?;
        Some(page)
    }
}
