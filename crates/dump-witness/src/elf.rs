//! ELF vmcores, read for checking: 64-bit, either byte order, as /proc/vmcore and QEMU make them.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::wire::Wire;

/// Longest note segment taken: a PRSTATUS per CPU is under 1 KiB, so this is thousands of CPUs.
const MAX_NOTES: u64 = 64 << 20;

/// A run of memory in the file: a PT_LOAD.
#[derive(Clone, Copy)]
pub struct Load {
    /// File offset of its bytes.
    pub offset: u64,
    /// Virtual address of its first byte.
    pub vaddr: u64,
    /// Physical address of its first byte.
    pub paddr: u64,
    /// Bytes in the file.
    pub filesz: u64,
    /// Bytes of memory; what goes beyond the file's reads as zeros.
    pub memsz: u64,
}

/// An open vmcore.
pub struct Elf {
    file: File,
    /// Its memory.
    pub loads: Vec<Load>,
    /// The VMCOREINFO note's text, empty if there is none.
    pub vmcoreinfo: String,
}

impl Elf {
    /// Whether `start`, a file's first bytes, are of this format.
    pub fn probe(start: &[u8]) -> bool {
        start.starts_with(b"\x7fELF")
    }

    /// Opens the vmcore at `path`.
    ///
    /// # Errors
    /// If the file is not such a vmcore, or ends before its headers do.
    pub fn open(path: &Path) -> Result<Self> {
        Self::read(path).with_context(|| format!("ELF file {}", path.display()))
    }

    fn read(path: &Path) -> Result<Self> {
        let file = File::open(path)?;
        let mut bytes = [0; 64];
        file.read_exact_at(&mut bytes, 0)?;
        ensure!(Self::probe(&bytes) && bytes.get(4) == Some(&2), "not a 64-bit ELF file");
        let head = Wire { bytes: &bytes, big_endian: bytes.get(5) == Some(&2) };
        let mut elf = Self { file, loads: Vec::new(), vmcoreinfo: String::new() };
        for index in 0..elf.segments(head)? {
            elf.add(head, index).with_context(|| format!("program header {index}"))?;
        }
        Ok(elf)
    }

    /// How many program headers there are; past 65534 the number stands in the first section header.
    fn segments(&self, head: Wire<'_>) -> Result<u64> {
        let number = head.u16(56)?;
        if number != 0xffff {
            return Ok(number.into());
        }
        let mut bytes = [0; 64];
        self.file.read_exact_at(&mut bytes, head.u64(40)?)?;
        Ok(Wire { bytes: &bytes, big_endian: head.big_endian }.u32(44)?.into())
    }

    /// Takes in program header number `index`.
    fn add(&mut self, head: Wire<'_>, index: u64) -> Result<()> {
        let mut bytes = [0; 56];
        let at = index.checked_mul(56).and_then(|at| at.checked_add(head.u64(32).ok()?)).context("offset overflows")?;
        self.file.read_exact_at(&mut bytes, at)?;
        let wire = Wire { bytes: &bytes, big_endian: head.big_endian };
        let load = Load {
            offset: wire.u64(8)?,
            vaddr: wire.u64(16)?,
            paddr: wire.u64(24)?,
            filesz: wire.u64(32)?,
            memsz: wire.u64(40)?,
        };
        match wire.u32(0)? {
            1 => self.loads.push(load),
            4 => self.read_notes(load, head.big_endian)?,
            _ => {}
        }
        Ok(())
    }

    /// Looks for the VMCOREINFO note in a note segment.
    fn read_notes(&mut self, notes: Load, big_endian: bool) -> Result<()> {
        ensure!(notes.filesz <= MAX_NOTES, "notes of {} bytes", notes.filesz);
        let mut bytes = vec![0; usize::try_from(notes.filesz)?];
        self.file.read_exact_at(&mut bytes, notes.offset)?;
        let wire = Wire { bytes: &bytes, big_endian };
        let mut at = 0;
        while at + 12 <= bytes.len() {
            let (name_len, text_len) = (usize::try_from(wire.u32(at)?)?, usize::try_from(wire.u32(at + 4)?)?);
            let text_at = at + 12 + name_len.next_multiple_of(4);
            if wire.slice(at + 12, name_len)? == b"VMCOREINFO\0" {
                self.vmcoreinfo = String::from_utf8_lossy(wire.slice(text_at, text_len)?).into_owned();
            }
            at = text_at + text_len.next_multiple_of(4);
        }
        Ok(())
    }

    /// One past the highest pfn, in pages of `page_size` bytes.
    pub fn end_pfn(&self, page_size: u64) -> u64 {
        let ends = self.loads.iter().map(|load| load.paddr.saturating_add(load.memsz).div_ceil(page_size));
        ends.max().unwrap_or(0)
    }

    /// The bytes of a page that one segment holds whole; `None` where none does, or the file ends before it.
    pub fn page(&self, pfn: u64, page_size: u64) -> Option<Vec<u8>> {
        let from = pfn.checked_mul(page_size)?;
        let end = from.checked_add(page_size)?;
        let holds = |load: &&Load| load.paddr <= from && end <= load.paddr.saturating_add(load.filesz);
        let load = self.loads.iter().find(holds)?;
        let mut page = vec![0; usize::try_from(page_size).ok()?];
        self.file.read_exact_at(&mut page, load.offset.checked_add(from - load.paddr)?).ok()?;
        Some(page)
    }

    /// The `len` bytes of memory at physical address `paddr`. What no segment has, or has without bytes, is zero.
    ///
    /// # Errors
    /// If the file ends before the segment does.
    pub fn physical(&self, paddr: u64, len: u64) -> Result<Vec<u8>> {
        self.memory(paddr, len, |load| load.paddr)
    }

    /// The bytes at virtual address `vaddr`, of the ranges the segments name: kernel text and the direct mapping.
    ///
    /// # Errors
    /// If no segment maps it, or the file ends before the segment does.
    pub fn linear(&self, vaddr: u64, len: u64) -> Result<Vec<u8>> {
        let holds = |load: &Load| (load.vaddr..load.vaddr.saturating_add(load.memsz)).contains(&vaddr);
        ensure!(self.loads.iter().any(holds), "no segment maps {vaddr:#x}");
        self.memory(vaddr, len, |load| load.vaddr)
    }

    fn memory(&self, from: u64, len: u64, start: impl Fn(&Load) -> u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(len)?];
        for load in &self.loads {
            let low = from.max(start(load));
            let high = from.saturating_add(len).min(start(load).saturating_add(load.filesz));
            if low < high {
                let part = usize::try_from(low - from)?..usize::try_from(high - from)?;
                let part = bytes.get_mut(part).context("segment outside the window")?;
                self.file.read_exact_at(part, load.offset + (low - start(load)))?;
            }
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// One note segment and one PT_LOAD of 3 bytes in 8 at physical 0x1002, virtual 0x9002.
    fn sample() -> Vec<u8> {
        let mut file = vec![0u8; 64 + 2 * 56];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[32] = 64;
        file[56] = 2;
        let mut note = [11u32, 4, 0].map(u32::to_le_bytes).concat();
        note.extend(b"VMCOREINFO\0\0A=1\n");
        let data = file.len() + note.len();
        for (at, fields) in [(64, [4, 176, 0, 0, note.len(), 0]), (120, [1, data, 0x9002, 0x1002, 3, 8])] {
            file[at..at + 4].copy_from_slice(&(fields[0] as u32).to_le_bytes());
            for (index, field) in fields[1..].iter().enumerate() {
                file[at + 8 + 8 * index..][..8].copy_from_slice(&field.to_le_bytes());
            }
        }
        file.extend(note);
        file.extend(b"abc");
        file
    }

    #[test]
    fn fractions_and_gaps_read_as_zero() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&sample()).unwrap();
        let elf = Elf::open(file.path()).unwrap();
        assert_eq!(elf.vmcoreinfo, "A=1\n");
        assert_eq!(elf.physical(0x1000, 8).unwrap(), b"\0\0abc\0\0\0");
        assert_eq!(elf.linear(0x9003, 4).unwrap(), b"bc\0\0");
        assert!(elf.linear(0x9000, 4).is_err());
        assert_eq!((elf.end_pfn(4), elf.page(0x401, 4), elf.page(0x1003, 1)), (0x403, None, Some(b"b".to_vec())));
    }
}
