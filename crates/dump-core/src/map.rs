//! Windows of `/proc/vmcore`, mapped: the one module with unsafe code.
//!
//! Reading `/proc/vmcore` has the kernel map each page of the dead kernel's memory, copy it, and unmap it (ioremap in
//! `copy_oldmem_page()`); mapping it has it fill in page tables once. Linux can map it since 3.10 (83086978c63a).
//!
//! Ordinary files are not mapped but read. A mapped page that cannot be had, because a disk fails or somebody cuts the
//! file short, ends the process with SIGBUS and loses the dump, where a read gives an error for that page alone. Nor
//! would it be faster: two threads that looked through 4 GiB in the page cache for zero pages took 0.23 to 0.25 s with
//! reads of 256 KiB, 0.17 to 0.18 s with mapped windows of 4 MiB, and 0.27 s with windows that are populated first,
//! which alone reports errors (MADV_POPULATE_READ, least of two runs each; two cores of an x86-64 server, Linux 6.18).

use memmap2::{Mmap, MmapOptions};
use std::fs::File;
use std::io;

/// Bytes mapped at a time: what makedumpfile takes too. Its page tables take 8 KiB, a mapping of everything 2 GiB for
/// each TiB.
const BYTES_PER_WINDOW: u64 = 4 << 20;

/// A stretch of a file, mapped for reading.
pub(crate) struct MappedWindow {
    /// Where in the file it begins (bytes).
    start: u64,
    map: Mmap,
}

impl MappedWindow {
    /// Maps a window of `file` from `start` on: 4 MiB, or as much as there is before `end`, but no less than `least`
    /// bytes.
    ///
    /// The file must be one whose bytes neither change nor vanish while it is open, as those of `/proc/vmcore`.
    ///
    /// # Errors
    /// If the kernel refuses, as it may for parts of `/proc/vmcore`.
    #[allow(unsafe_code)]
    pub(crate) fn new(file: &File, start: u64, least: usize, end: u64) -> io::Result<MappedWindow> {
        let len = BYTES_PER_WINDOW.min(end.saturating_sub(start)).max(least as u64);
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: a mapping is unsound where its bytes change under a `&[u8]`. What is mapped here is memory of a
        // kernel that has ended (`InputFile::new` alone decides, and maps nothing that is not the file /proc/vmcore):
        // nobody runs who would write there, and vmcore establishes all of a mapping's pages before mmap() returns
        // (`mmap_vmcore()` remaps them), so none can fail to appear later.
        let map = unsafe { MmapOptions::new().offset(start).len(len).map(file)? };
        Ok(MappedWindow { start, map })
    }

    /// `len` bytes at `offset` of the file, where they lie in the window.
    pub(crate) fn get(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let from = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.map.get(from..from.checked_add(len)?)
    }
}
