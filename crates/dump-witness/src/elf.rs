//! ELF vmcores, read for checking: of either word size and byte order, as /proc/vmcore and QEMU make them.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::wire::Wire;

/// Where fields stand in the headers of a word size.
struct Layout {
    /// Bytes of a word, which addresses, offsets and sizes are.
    word: usize,
    /// `e_phoff`, `e_shoff` and `e_phnum` of the file's header.
    phoff: usize,
    shoff: usize,
    phnum: usize,
    /// Bytes of a program header.
    program: u64,
    /// `p_offset` of a program header; `p_vaddr`, `p_paddr`, `p_filesz` and `p_memsz` follow.
    offset: usize,
    /// `sh_info` of a section header.
    info: usize,
}

/// ELFCLASS32 and ELFCLASS64.
const LAYOUTS: [Layout; 2] = [
    Layout { word: 4, phoff: 28, shoff: 32, phnum: 44, program: 32, offset: 4, info: 28 },
    Layout { word: 8, phoff: 32, shoff: 40, phnum: 56, program: 56, offset: 8, info: 44 },
];

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
        let there = file.read_at(&mut bytes, 0)?;
        ensure!(Self::probe(&bytes), "not an ELF file");
        let class = bytes.get(4).and_then(|class| LAYOUTS.get(usize::from(*class).checked_sub(1)?));
        let layout = class.context("neither a 32-bit nor a 64-bit ELF file")?;
        let head = Wire { bytes: bytes.get(..there).unwrap_or(&bytes), big_endian: bytes.get(5) == Some(&2) };
        let mut elf = Self { file, loads: Vec::new(), vmcoreinfo: String::new() };
        for index in 0..elf.segments(head, layout)? {
            elf.add(head, layout, index).with_context(|| format!("program header {index}"))?;
        }
        Ok(elf)
    }

    /// The same memory counted from physical address `start` on, as kdump files of 32-bit arm count it.
    #[must_use]
    pub fn counted_from(mut self, start: u64) -> Self {
        self.loads.retain(|load| load.paddr >= start);
        self.loads.iter_mut().for_each(|load| load.paddr -= start);
        self
    }

    /// How many program headers there are; past 65534 the number stands in the first section header.
    fn segments(&self, head: Wire<'_>, layout: &Layout) -> Result<u64> {
        let number = head.u16(layout.phnum)?;
        if number != 0xffff {
            return Ok(number.into());
        }
        let mut bytes = [0; 48];
        let bytes = bytes.get_mut(..layout.info + 4).context("sh_info is beyond")?;
        self.file.read_exact_at(bytes, head.word(layout.shoff, layout.word)?)?;
        Ok(Wire { bytes, big_endian: head.big_endian }.u32(layout.info)?.into())
    }

    /// Takes in program header number `index`.
    fn add(&mut self, head: Wire<'_>, layout: &Layout, index: u64) -> Result<()> {
        let first = head.word(layout.phoff, layout.word)?;
        let at = index.checked_mul(layout.program).and_then(|at| at.checked_add(first)).context("offset overflows")?;
        let mut bytes = vec![0; usize::try_from(layout.program)?];
        self.file.read_exact_at(&mut bytes, at)?;
        let wire = Wire { bytes: &bytes, big_endian: head.big_endian };
        let word = |number: usize| wire.word(layout.offset + number * layout.word, layout.word);
        let load = Load { offset: word(0)?, vaddr: word(1)?, paddr: word(2)?, filesz: word(3)?, memsz: word(4)? };
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

    /// One note segment and one PT_LOAD of 3 bytes in 8 at physical 0x1002, virtual 0x9002, by elf(5).
    fn sample(words: usize, big_endian: bool, many: bool) -> Vec<u8> {
        let number = |value: usize, bytes: usize| {
            let all = (value as u64).to_be_bytes();
            let mut part = all[8 - bytes..].to_vec();
            if !big_endian {
                part.reverse();
            }
            part
        };
        let word = |value| number(value, words);
        let (header, program, section) = if words == 8 { (64, 56, 64) } else { (52, 32, 40) };
        let mut note = [11, 4, 0].map(|value| number(value, 4)).concat();
        note.extend(b"VMCOREINFO\0\0A=1\n");
        let notes = header + 2 * program + section;
        let mut file = b"\x7fELF".to_vec();
        file.extend([words as u8 / 4, 1 + u8::from(big_endian), 1]);
        file.resize(16, 0);
        file.extend(
            [number(4, 2), number(62, 2), number(1, 4), word(0), word(header), word(header + 2 * program)].concat(),
        );
        file.extend(
            [0, header, program, if many { 0xffff } else { 2 }, section, 1, 0].map(|value| number(value, 2)).concat(),
        );
        // e_flags has 4 bytes
        file.splice(16 + 8 + 3 * words..16 + 8 + 3 * words, [0; 2]);
        assert_eq!(file.len(), header);
        for (kind, fields) in [(4, [notes, 0, 0, note.len(), 0]), (1, [notes + note.len(), 0x9002, 0x1002, 3, 8])] {
            file.extend(number(kind, 4));
            if words == 8 {
                file.extend(number(6, 4));
            }
            file.extend(fields.map(word).concat());
            if words == 4 {
                file.extend(number(6, 4));
            }
            file.extend(word(0));
        }
        let numbers = [number(0, 4), number(0, 4), word(0), word(0), word(0), word(0), number(0, 4), number(2, 4)];
        file.extend([numbers.concat(), word(0), word(0)].concat());
        assert_eq!(file.len(), notes);
        file.extend(note);
        file.extend(b"abc");
        file
    }

    #[test]
    fn fractions_and_gaps_read_as_zero() {
        for (words, big_endian, many) in [(8, false, false), (8, true, true), (4, false, false), (4, true, true)] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&sample(words, big_endian, many)).unwrap();
            let elf = Elf::open(file.path()).unwrap();
            assert_eq!(elf.vmcoreinfo, "A=1\n");
            assert_eq!(elf.physical(0x1000, 8).unwrap(), b"\0\0abc\0\0\0");
            assert_eq!(elf.linear(0x9003, 4).unwrap(), b"bc\0\0");
            assert!(elf.linear(0x9000, 4).is_err());
            assert_eq!((elf.end_pfn(4), elf.page(0x401, 4), elf.page(0x1003, 1)), (0x403, None, Some(b"b".to_vec())));
            assert_eq!(elf.counted_from(0x1000).physical(0, 4).unwrap(), b"\0\0ab");
        }
    }
}
