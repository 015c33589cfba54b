//! Migration streams of QEMU, mapped-ram files and libvirt's save files.
//!
//! | bytes | what |
//! |---|---|
//! | `QEVM`, u32 3 | magic, version; all numbers are big endian |
//! | 7, u32 n, name | the machine type |
//! | 5, u8 n, `configuration/capabilities`, u32 1, u32 count, (u8 n, name)… | capabilities that the other side must have |
//! | 1, u32 id, u8 n, `ram`, u32 0, u32 4 | the start of RAM |
//! | u64 total \| 4, (u8 n, name, u64 length)… | its blocks; with mapped-ram each has 28 bytes more: u32 1, u64 page size, u64 bitmap, u64 pages |
//! | u64 address \| 8 [\| 0x20], [u8 n, name], page | a page, of the block named or, with 0x20, of the one before |
//! | u64 address \| 2 [\| 0x20], [u8 n, name], u8 | a page of one byte |
//! | u64 0x10 | the end of a section's records |
//! | 0x7e, u32 id | the end of a section |
//! | 2, u32 id / 3, u32 id | a part of RAM; the last |
//! | 0 | the end |
//!
//! Source: QEMU docs/devel/migration/main.rst and mapped-ram.rst, and files that QEMU 7.2 and 10.0 wrote.

use crate::memory::{FakeMemory, PAGE_SIZE};

/// What a page record says.
#[derive(Clone, Debug)]
pub enum Record {
    /// A page's bytes.
    Page(Vec<u8>),
    /// A page that is full of one byte.
    Fill(u8),
    /// A record with these flags and these bytes behind it.
    Raw(u64, Vec<u8>),
}

/// A saved guest.
#[derive(Clone, Debug)]
pub struct MigrationStream {
    /// The machine type; none in old streams.
    pub machine: Option<String>,
    /// Capabilities that are stated.
    pub capabilities: Vec<String>,
    /// RAM blocks: name, bytes.
    pub blocks: Vec<(String, u64)>,
    /// Sections of RAM behind the first: block number, offset, what.
    pub sections: Vec<Vec<(usize, u64, Record)>>,
    /// Whether sections have footers.
    pub footers: bool,
    /// A section of a device before each of RAM: its name and its bytes, which may hold anything.
    pub device: Option<(String, Vec<u8>)>,
}

const RAM: u32 = 2;
const DEVICE: u32 = 7;

impl MigrationStream {
    /// Of a machine of type `machine` whose one block `block` holds what `memory` has at `ranges` (bytes), one behind the
    /// other in the block; zeros where it has none.
    #[must_use]
    pub fn of(memory: &FakeMemory, machine: &str, block: &str, ranges: &[std::ops::Range<u64>]) -> MigrationStream {
        let bytes = ranges.iter().map(|range| range.end - range.start).sum();
        let mut records = Vec::new();
        let mut offset = 0;
        for range in ranges {
            for at in range.clone().step_by(PAGE_SIZE as usize) {
                let page = memory.page(at / PAGE_SIZE).unwrap_or(vec![0; PAGE_SIZE as usize]);
                let record = if page.iter().all(|byte| *byte == 0) { Record::Fill(0) } else { Record::Page(page) };
                records.push((0, offset, record));
                offset += PAGE_SIZE;
            }
        }
        MigrationStream {
            machine: Some(machine.to_owned()),
            capabilities: Vec::new(),
            blocks: vec![(block.to_owned(), bytes)],
            sections: vec![records],
            footers: true,
            device: None,
        }
    }

    fn head(&self) -> Vec<u8> {
        let mut out = b"QEVM\0\0\0\x03".to_vec();
        if let Some(machine) = &self.machine {
            out.push(7);
            out.extend((machine.len() as u32).to_be_bytes());
            out.extend(machine.as_bytes());
            if !self.capabilities.is_empty() {
                out.push(5);
                name(&mut out, "configuration/capabilities");
                out.extend([0, 0, 0, 1]);
                out.extend((self.capabilities.len() as u32).to_be_bytes());
                self.capabilities.iter().for_each(|capability| name(&mut out, capability));
            }
        }
        out
    }

    fn begin_ram(&self, out: &mut Vec<u8>) {
        out.push(1);
        out.extend(RAM.to_be_bytes());
        name(out, "ram");
        out.extend([0, 0, 0, 0, 0, 0, 0, 4]);
        let total: u64 = self.blocks.iter().map(|(_, len)| len).sum();
        out.extend((total | 4).to_be_bytes());
    }

    fn end_section(&self, out: &mut Vec<u8>, number: u32) {
        if self.footers {
            out.push(0x7e);
            out.extend(number.to_be_bytes());
        }
    }

    fn put_device(&self, out: &mut Vec<u8>) {
        if let Some((device, bytes)) = &self.device {
            out.push(4);
            out.extend(DEVICE.to_be_bytes());
            name(out, device);
            out.extend([0, 0, 0, 0, 0, 0, 0, 1]);
            out.extend(bytes);
            self.end_section(out, DEVICE);
        }
    }

    /// The stream.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.head();
        self.put_device(&mut out);
        self.begin_ram(&mut out);
        for (block, len) in &self.blocks {
            name(&mut out, block);
            out.extend(len.to_be_bytes());
        }
        out.extend(0x10u64.to_be_bytes());
        self.end_section(&mut out, RAM);
        let last = self.sections.len().wrapping_sub(1);
        for (i, section) in self.sections.iter().enumerate() {
            self.put_device(&mut out);
            out.push(if i == last { 3 } else { 2 });
            out.extend(RAM.to_be_bytes());
            let mut before = None;
            for (block, offset, record) in section {
                let goes_on = if before == Some(block) { 0x20 } else { 0 };
                let mut begin = |flags: u64| {
                    out.extend((offset | flags | goes_on).to_be_bytes());
                    if goes_on == 0 {
                        name(&mut out, &self.blocks[*block].0);
                    }
                };
                match record {
                    Record::Page(bytes) => {
                        begin(8);
                        out.extend(bytes);
                    }
                    Record::Fill(byte) => {
                        begin(2);
                        out.push(*byte);
                    }
                    Record::Raw(flags, bytes) => {
                        out.extend((offset | flags).to_be_bytes());
                        out.extend(bytes);
                    }
                }
                before = Some(block);
            }
            out.extend(0x10u64.to_be_bytes());
            self.end_section(&mut out, RAM);
        }
        self.put_device(&mut out);
        out.push(0);
        out
    }

    /// The same guest as a mapped-ram file that begins at `base` of a larger one: the last record of a page counts. What
    /// was written and became zero keeps its bytes, without a bit.
    #[must_use]
    pub fn to_mapped(&self, base: u64) -> Vec<u8> {
        let with = MigrationStream { capabilities: vec!["mapped-ram".to_owned()], ..self.clone() };
        let mut out = with.head();
        with.begin_ram(&mut out);
        for (number, (block, len)) in self.blocks.iter().enumerate() {
            name(&mut out, block);
            out.extend(len.to_be_bytes());
            let bitmap_at = base + out.len() as u64 + 28;
            let mut bitmap = vec![0u8; (len / PAGE_SIZE).div_ceil(64) as usize * 8];
            let pages_at = (bitmap_at + bitmap.len() as u64).next_multiple_of(1 << 20);
            out.extend([0, 0, 0, 1]);
            [PAGE_SIZE, bitmap_at, pages_at].iter().for_each(|n| out.extend(n.to_be_bytes()));
            let mut pages = vec![0u8; *len as usize];
            for (_, offset, record) in self.sections.iter().flatten().filter(|(block, ..)| *block == number) {
                let (page, at) = ((offset / PAGE_SIZE) as usize, *offset as usize);
                match record {
                    Record::Page(bytes) => {
                        pages[at..at + bytes.len()].copy_from_slice(bytes);
                        bitmap[page / 8] |= 1 << (page % 8);
                    }
                    _ => bitmap[page / 8] &= !(1 << (page % 8)),
                }
            }
            out.extend(bitmap);
            out.resize((pages_at - base) as usize, 0);
            out.extend(pages);
        }
        out.extend(0x10u64.to_be_bytes());
        with.end_section(&mut out, RAM);
        out.push(0);
        out
    }
}

fn name(out: &mut Vec<u8>, name: &str) {
    out.push(name.len() as u8);
    out.extend(name.as_bytes());
}

/// The header and XML of a libvirt save file whose stream is of `format` (0 raw, 1 gzip, 2 bzip2, 3 xz, 4 lzop, 5 zstd, 6
/// sparse), padded to `len` bytes.
#[must_use]
pub fn libvirt_head(machine: &str, format: u32, whole: bool, len: usize) -> Vec<u8> {
    let xml = format!("<domain type='kvm'><os><type arch='x86_64' machine='{machine}'>hvm</type></os></domain>");
    let mut out = if whole { b"LibvirtQemudSave".to_vec() } else { b"LibvirtQemudPart".to_vec() };
    let data = len.max(92 + xml.len() + 1) - 92;
    [2, data as u32, 1, format, xml.len() as u32 + 1].iter().for_each(|n: &u32| out.extend(n.to_le_bytes()));
    out.resize(92, 0);
    out.extend(xml.as_bytes());
    out.resize(92 + data, 0);
    out
}
