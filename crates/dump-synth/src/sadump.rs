//! Dumps of sadump, in each of its three forms.
//!
//! | block | what |
//! |---|---|
//! | partition | `sadump\0\0`; 88, 104, 120 GUIDs of the system, the disk set, the volume; 152 u32 number of the disk (0: none); 160 u64 bytes used; from 168 on u32s, each (the one before + 7) × 11 |
//! | disk set | u32 blocks, u32 disks, u64 bytes; from 16 on 32 bytes for each disk but the first: GUID, u64 bytes, u32, u32 |
//! | media | the system's and the disk set's GUID |
//! | dump | `sadump\0\0`; 8 u32 version; 16 EFI time; 40 u32 block size; 48 u32 blocks of the sub header; 52, 56 u32 blocks of both bitmaps; 60 u32 max_mapnr (version 0), 88 u64 (version 1); 76, 80 u32 current CPU, CPUs |
//! | sub | u32 bytes of all states; 16 bytes for each CPU: u64 APIC; 1024 for each: 1016 CR0, 1008 CR3, 1000 RFLAGS, 992 EFER, 984 RIP, 892 RSP, 860 RAX |
//!
//! Numbers are little endian; the first bit of a bitmap is the highest of its first byte.
//!
//! Source: makedumpfile's sadump_mod.h, by the offsets that its structures have.

use crate::memory::{FakeMemory, PAGE_SIZE};

/// A dump to be made.
#[derive(Clone, Debug)]
pub struct SadumpFile {
    /// Version of the header, 0 or 1.
    pub version: u32,
    /// Processors: page table and instruction pointer.
    pub cpus: Vec<(u64, u64)>,
    /// Bytes in a block.
    pub block: u64,
    /// Page frames that are dumped.
    pub dumped: Vec<u64>,
    /// Page frames that are RAM.
    pub ram: Vec<u64>,
    /// The pages that are dumped, in their order.
    pub pages: Vec<u8>,
    /// The page frame after the last.
    pub max_mapnr: u64,
}

const SYSTEM: [u8; 16] = *b"the system's one";
const SET: [u8; 16] = *b"the disk set's 1";

impl SadumpFile {
    /// All of `memory`.
    #[must_use]
    pub fn of(memory: &FakeMemory) -> SadumpFile {
        let ram: Vec<u64> = memory.pfns().collect();
        let pages = ram.iter().flat_map(|pfn| memory.bytes(pfn * PAGE_SIZE, PAGE_SIZE)).collect();
        let cpus = vec![(0x1000, 0xffff_ffff_8100_0000), (0x2000, 0xffff_ffff_8100_1000)];
        SadumpFile { version: 1, cpus, block: PAGE_SIZE, dumped: ram.clone(), ram, pages, max_mapnr: memory.max_pfn() }
    }

    fn block(&self) -> Vec<u8> {
        vec![0; self.block as usize]
    }

    fn partition(&self, disk: u32, used: u64) -> Vec<u8> {
        let mut out = self.block();
        put(&mut out, 0, b"sadump\0\0");
        put(&mut out, 88, &SYSTEM);
        put(&mut out, 104, &SET);
        put(&mut out, 120, &[disk as u8; 16]);
        put(&mut out, 152, &disk.to_le_bytes());
        put(&mut out, 160, &used.to_le_bytes());
        let mut number = 0x1234_5678u32;
        for at in (168..4096).step_by(4) {
            put(&mut out, at, &number.to_le_bytes());
            number = number.wrapping_add(7).wrapping_mul(11);
        }
        out
    }

    fn blocks_of(&self, bytes: usize) -> u32 {
        bytes.div_ceil(self.block as usize) as u32
    }

    fn bitmap(&self, pfns: &[u64]) -> Vec<u8> {
        let mut bytes = vec![0u8; (self.max_mapnr as usize).div_ceil(8)];
        pfns.iter().for_each(|pfn| bytes[*pfn as usize / 8] |= 0x80 >> (pfn % 8));
        bytes.resize((self.blocks_of(bytes.len()) as u64 * self.block) as usize, 0);
        bytes
    }

    /// Dump header, sub header, bitmaps.
    fn headers(&self) -> Vec<u8> {
        let (ram, dumped) = (self.bitmap(&self.ram), self.bitmap(&self.dumped));
        let mut sub = ((self.cpus.len() * 1024) as u32).to_le_bytes().to_vec();
        (0..self.cpus.len() as u64).for_each(|i| sub.extend([(i << 24).to_le_bytes(), [0; 8]].concat()));
        for (cr3, rip) in &self.cpus {
            let mut state = vec![0; 1024];
            let registers = [
                (1016, 0x8005_0033),
                (1008, *cr3),
                (1000, 0x46),
                (992, 0x500),
                (984, *rip),
                (892, 0xffff_8880_1234_0000u64),
                (860, 77),
            ];
            registers.iter().for_each(|(at, value)| put(&mut state, *at, &value.to_le_bytes()));
            put(&mut state, 940, &0x10u32.to_le_bytes());
            sub.extend(state);
        }
        sub.resize((self.blocks_of(sub.len()) as u64 * self.block) as usize, 0);
        let mut head = self.block();
        put(&mut head, 0, b"sadump\0\0");
        put(&mut head, 8, &self.version.to_le_bytes());
        put(&mut head, 16, &[0xe8, 7, 2, 29, 12, 30, 15, 0, 0, 0, 0, 0, 0xff, 7]); // 2024-02-29 12:30:15, no time zone
        put(&mut head, 40, &(self.block as u32).to_le_bytes());
        put(&mut head, 48, &self.blocks_of(sub.len()).to_le_bytes());
        put(&mut head, 52, &self.blocks_of(ram.len()).to_le_bytes());
        put(&mut head, 56, &self.blocks_of(dumped.len()).to_le_bytes());
        put(&mut head, 76, &1u32.to_le_bytes());
        put(&mut head, 80, &(self.cpus.len() as u32).to_le_bytes());
        match self.version {
            0 => put(&mut head, 60, &(self.max_mapnr as u32).to_le_bytes()),
            _ => put(&mut head, 88, &self.max_mapnr.to_le_bytes()),
        }
        [head, sub, ram, dumped].concat()
    }

    /// One partition.
    #[must_use]
    pub fn partition_bytes(&self) -> Vec<u8> {
        [self.partition(0, 0), self.headers(), self.pages.clone()].concat()
    }

    /// A media backup.
    #[must_use]
    pub fn backup_bytes(&self) -> Vec<u8> {
        let mut media = self.block();
        put(&mut media, 0, &SYSTEM);
        put(&mut media, 16, &SET);
        [media, self.partition_bytes()].concat()
    }

    /// A disk set whose pages are cut at these offsets (bytes).
    #[must_use]
    pub fn disks(&self, cuts: &[usize]) -> Vec<Vec<u8>> {
        let count = cuts.len() as u32 + 1;
        let mut set = self.block();
        put(&mut set, 0, &1u32.to_le_bytes());
        put(&mut set, 4, &count.to_le_bytes());
        (2..=count).for_each(|disk| put(&mut set, 16 + 32 * (disk as usize - 2), &[disk as u8; 16]));
        let bounds: Vec<usize> = [&[0], cuts, &[self.pages.len()]].concat();
        let disk = |i: usize| {
            let head = if i == 0 { [set.clone(), self.headers()].concat() } else { Vec::new() };
            let body = [head, self.pages[bounds[i]..bounds[i + 1]].to_vec()].concat();
            let used = self.block + body.len() as u64;
            // a device is longer than what was saved to it
            [self.partition(i as u32 + 1, used), body, vec![0xee; 5000]].concat()
        };
        (0..count as usize).map(disk).collect()
    }
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    out[at..at + bytes.len()].copy_from_slice(bytes);
}
