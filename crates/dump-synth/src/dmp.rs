//! Windows crash dumps: full, with a bitmap, with a list of runs; of 64 and of 32 bits.
//!
//! | off (64, 32 bit) | field |
//! |---|---|
//! | 0x0 | "PAGEDU64", "PAGEDUMP" |
//! | 0x10 | page tables' root |
//! | 0x30, 0x20 | machine (u32), then processors (u32), bug check code (u32) |
//! | 0x40, 0x2c | four parameters of the bug check |
//! | 0x80, 0x60 | the debugger's data |
//! | 0x88, 0x64 | number of runs, number of pages, then each run: first page and length |
//! | 0xf98, 0xf88 | type of the dump |
//! | 0xfa8, 0xfc0 | time, in 100 ns since 1601 |
//! | 0xfb0, 0x820 | comment |
//! | 0x2000, 0x1000 | what the type says |
//!
//! All little endian; what is not set reads "PAGE". Source: QEMU's win_dump_defs.h, kdmp-parser's structs.rs.

use std::collections::BTreeSet;
use std::ops::Range;

const PAGE: usize = 4096;

/// What follows the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DmpKind {
    /// The pages of the runs of RAM (type 1).
    Full,
    /// A bitmap (type 5 with "FDMP", 6 with "SDMP") and the pages that are held.
    Bitmap(u32),
    /// A list of runs (type 8, 9, 10) and the pages that are held.
    Ranges(u32),
}

/// A Windows crash dump to be.
#[derive(Clone, Debug)]
pub struct DmpFile {
    /// What follows the header.
    pub kind: DmpKind,
    /// Whether it has the header of 32 bits.
    pub narrow: bool,
    /// IMAGE_FILE_MACHINE.
    pub machine: u32,
    /// Runs of RAM, page frames.
    pub runs: Vec<Range<u64>>,
    /// Page frames that are left out, of dumps that can leave some out.
    pub without: BTreeSet<u64>,
    /// The physical address of the page tables' root.
    pub root: u64,
    /// The virtual address of the debugger's data.
    pub debugger_data: u64,
    /// Bug check code and its parameters.
    pub bugcheck: (u32, [u64; 4]),
    /// In 100 ns since 1601.
    pub time: u64,
    /// Bits of a bitmap besides those that the last page needs.
    pub more_bits: u64,
}

impl DmpFile {
    /// A dump of an x86_64 machine with RAM in `runs`.
    #[must_use]
    pub fn new(kind: DmpKind, runs: &[Range<u64>]) -> DmpFile {
        DmpFile {
            kind,
            narrow: false,
            machine: 0x8664,
            runs: runs.to_vec(),
            without: BTreeSet::new(),
            root: 0x1aa000,
            debugger_data: 0xffff_f803_0ac0_1b20,
            bugcheck: (0xd1, [0x1234, 2, 0, 0xffff_f803_0abc_def0]),
            time: 133_500_000_000_000_000,
            more_bits: 0,
        }
    }

    /// The same of a 32-bit machine.
    #[must_use]
    pub fn narrow(self) -> DmpFile {
        DmpFile { narrow: true, machine: 0x14c, debugger_data: 0x8293_0be8, ..self }
    }

    /// The same, without some pages.
    #[must_use]
    pub fn without(self, pages: impl IntoIterator<Item = u64>) -> DmpFile {
        DmpFile { without: pages.into_iter().collect(), ..self }
    }

    /// The page frames that it holds, ascending.
    #[must_use]
    pub fn held(&self) -> Vec<u64> {
        let pages: BTreeSet<u64> = self.runs.iter().cloned().flatten().collect();
        pages.difference(&self.without).copied().collect()
    }

    /// The header alone.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        let mut out = b"PAGE".repeat(if self.narrow { 0x400 } else { 0x800 });
        let put = |out: &mut Vec<u8>, at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        let kind = match self.kind {
            DmpKind::Full => 1,
            DmpKind::Bitmap(number) | DmpKind::Ranges(number) => number,
        };
        let pages: u64 = self.runs.iter().map(|run| run.end - run.start).sum();
        let four = |value: u64| (value as u32).to_le_bytes();
        put(&mut out, 8, &four(15));
        put(&mut out, 12, &four(19041));
        if self.narrow {
            put(&mut out, 4, b"DUMP");
            put(&mut out, 0x10, &four(self.root));
            put(&mut out, 0x20, &four(u64::from(self.machine)));
            put(&mut out, 0x24, &four(2));
            put(&mut out, 0x28, &four(u64::from(self.bugcheck.0)));
            self.bugcheck.1.iter().enumerate().for_each(|(i, value)| put(&mut out, 0x2c + 4 * i, &four(*value)));
            put(&mut out, 0x60, &four(self.debugger_data));
            put(&mut out, 0x64, &four(self.runs.len() as u64));
            put(&mut out, 0x68, &four(pages));
            for (i, run) in self.runs.iter().enumerate() {
                put(&mut out, 0x6c + 8 * i, &four(run.start));
                put(&mut out, 0x70 + 8 * i, &four(run.end - run.start));
            }
            put(&mut out, 0x820, b"made by hand\0");
            put(&mut out, 0xf88, &four(u64::from(kind)));
            put(&mut out, 0xfa0, &(0x1000 + pages * PAGE as u64).to_le_bytes());
            put(&mut out, 0xfc0, &self.time.to_le_bytes());
            return out;
        }
        put(&mut out, 4, b"DU64");
        put(&mut out, 0x10, &self.root.to_le_bytes());
        put(&mut out, 0x30, &self.machine.to_le_bytes());
        put(&mut out, 0x34, &four(2));
        put(&mut out, 0x38, &self.bugcheck.0.to_le_bytes());
        self.bugcheck.1.iter().enumerate().for_each(|(i, value)| put(&mut out, 0x40 + 8 * i, &value.to_le_bytes()));
        put(&mut out, 0x80, &self.debugger_data.to_le_bytes());
        if self.runs.len() <= 42 {
            put(&mut out, 0x88, &(self.runs.len() as u64).to_le_bytes());
            put(&mut out, 0x90, &pages.to_le_bytes());
            for (i, run) in self.runs.iter().enumerate() {
                put(&mut out, 0x98 + 16 * i, &run.start.to_le_bytes());
                put(&mut out, 0xa0 + 16 * i, &(run.end - run.start).to_le_bytes());
            }
        }
        put(&mut out, 0xf98, &four(u64::from(kind)));
        put(&mut out, 0xfa0, &(0x2000 + pages * PAGE as u64).to_le_bytes());
        put(&mut out, 0xfa8, &self.time.to_le_bytes());
        put(&mut out, 0xfb0, b"made by hand\0");
        put(&mut out, 0x1030, &36_000_000_000u64.to_le_bytes());
        out
    }

    /// The dump, whose page frames hold what `page` says.
    #[must_use]
    pub fn to_bytes(&self, page: impl Fn(u64) -> Vec<u8>) -> Vec<u8> {
        let mut out = self.header();
        let held = self.held();
        match self.kind {
            DmpKind::Full => {
                self.runs.iter().cloned().flatten().for_each(|pfn| out.extend(page(pfn)));
                return out;
            }
            DmpKind::Bitmap(kind) => {
                let bits = held.last().map_or(0, |last| last + 1) + self.more_bits;
                let mut bitmap = vec![0u8; bits.div_ceil(8) as usize];
                held.iter().for_each(|pfn| bitmap[(pfn / 8) as usize] |= 1 << (pfn % 8));
                let first = (0x2038 + bitmap.len()).next_multiple_of(0x1000) as u64;
                out.extend(if kind == 6 { b"SDMPDUMP" } else { b"FDMPDUMP" });
                out.resize(0x2020, 0);
                out.extend(first.to_le_bytes());
                out.extend((held.len() as u64).to_le_bytes());
                out.extend(bits.to_le_bytes());
                out.extend(bitmap);
                out.resize(first as usize, 0);
            }
            DmpKind::Ranges(kind) => {
                let mut runs: Vec<(u64, u64)> = Vec::new();
                for pfn in &held {
                    match runs.last_mut() {
                        Some((start, pages)) if *start + *pages == *pfn => *pages += 1,
                        _ => runs.push((*pfn, 1)),
                    }
                }
                let list = runs.len() as u64 * 16;
                let first = 0x2030 + list + if kind == 10 { 0 } else { 16 };
                out.extend(0x40u32.to_le_bytes());
                out.extend(b"RDMPDUMP\0\0\0\0");
                out.extend((first - 0x2020).to_le_bytes());
                out.extend(first.to_le_bytes());
                out.extend((runs.len() as u64).to_le_bytes());
                out.extend((held.len() as u64).to_le_bytes());
                for (start, pages) in runs {
                    out.extend(start.to_le_bytes());
                    out.extend(pages.to_le_bytes());
                }
                out.resize(first as usize, 0);
            }
        }
        held.iter().for_each(|pfn| out.extend(page(*pfn)));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_by_offset() {
        let file = DmpFile::new(DmpKind::Bitmap(5), &[1..3, 8..10]).without([8]);
        let bytes = file.to_bytes(|pfn| vec![pfn as u8; PAGE]);
        assert_eq!((&bytes[..8], bytes[0x88], bytes[0x90], bytes[0x98]), (&b"PAGEDU64"[..], 2, 4, 1));
        assert_eq!((&bytes[0x2000..0x2008], bytes[0x2028], bytes[0x2030]), (&b"FDMPDUMP"[..], 3, 10));
        assert_eq!((bytes[0x2038], bytes[0x2039], bytes.len()), (6, 2, 0x3000 + 3 * PAGE));
        assert_eq!([bytes[0x3000], bytes[0x4000], bytes[0x5000]], [1, 2, 9]);
        let list = DmpFile { kind: DmpKind::Ranges(8), ..file }.to_bytes(|pfn| vec![pfn as u8; PAGE]);
        assert_eq!(
            (&list[0x2000..0x2004], &list[0x2004..0x200c], list[0x2030], list[0x2040]),
            (&[0x40, 0, 0, 0][..], &b"RDMPDUMP"[..], 1, 9)
        );
        assert_eq!((list[0x2018] as usize, list[0x2060]), (0x60, 1));
    }
}
