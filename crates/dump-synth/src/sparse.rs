//! The fake kernel's vmcore as a sparse file: machines far larger than the host.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use crate::kernel::FakeKernel;
use crate::memory::PAGE_SIZE;

const EHDR: u64 = 64;
const PHDR: u64 = 56;

/// e_ident to e_version of a little-endian 64-bit x86_64 core.
const IDENT: [u8; 24] = [0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 62, 0, 1, 0, 0, 0];

impl FakeKernel {
    /// Writes what [`FakeKernel::vmcore`] gives to an empty file, pages of zeros as holes. RAM alone: the kernel image
    /// has no segment of its own, its page tables lead there too.
    ///
    /// # Errors
    /// If the file cannot be written, or cannot be as large.
    pub fn write_sparse(&self, file: &File) -> io::Result<()> {
        let notes = self.notes();
        let notes_at = EHDR + PHDR * (1 + self.ram().len() as u64);
        let mut at = (notes_at + notes.len() as u64).next_multiple_of(PAGE_SIZE);
        let mut head = header(1 + self.ram().len() as u64);
        head.extend(program_header(4, [notes_at, 0, 0, notes.len() as u64]));
        for run in self.ram() {
            let (start, size) = (run.start * PAGE_SIZE, (run.end - run.start) * PAGE_SIZE);
            head.extend(program_header(1, [at, self.page_offset() + start, start, size]));
            self.write_pages(file, at, run.clone())?;
            at += size;
        }
        file.write_all_at(&head, 0)?;
        file.write_all_at(&notes, notes_at)?;
        file.set_len(at)
    }

    fn write_pages(&self, file: &File, at: u64, run: Range<u64>) -> io::Result<()> {
        let start = run.start;
        let written = self.memory().written(run).filter(|(_, page)| page.iter().any(|byte| *byte != 0));
        for (pfn, page) in written {
            file.write_all_at(page, at + (pfn - start) * PAGE_SIZE)?;
        }
        Ok(())
    }
}

fn header(count: u64) -> Vec<u8> {
    let mut bytes = IDENT.to_vec();
    bytes.extend([0, EHDR, 0].iter().flat_map(|word: &u64| word.to_le_bytes()));
    bytes.extend(0u32.to_le_bytes());
    bytes.extend([EHDR, PHDR, count, 0, 0, 0].iter().flat_map(|half| (*half as u16).to_le_bytes()));
    bytes
}

/// A program header of `kind` with offset, virtual and physical address, and size in the file and in memory.
fn program_header(kind: u32, [offset, virt, phys, size]: [u64; 4]) -> Vec<u8> {
    let mut bytes = [kind, 7].iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    bytes.extend([offset, virt, phys, size, size, 0].iter().flat_map(|word| word.to_le_bytes()));
    bytes
}
