//! A Windows guest of x86_64: page tables, the page that it shares with user space, an interrupt table, the kernel's
//! image with the record of its PDB, the debugger's data in clear and encoded, and each CPU's own data.
//!
//! Virtual addresses (all of 4 KiB pages but for one of 2 MiB):
//!
//! | at | what |
//! |---|---|
//! | 0xfffff780_00000000 | KUSER_SHARED_DATA: product type at 0x264, suite mask at 0x2d0 |
//! | [`KERNEL`] | the image: "MZ", PE header at 0xe0, debug directory at 0x1000, RSDS at 0x1100 |
//! | + 0x5abc | where interrupt 0 goes; the page at + 0x3000 is not mapped |
//! | + 0x8b20 | KDBG, encoded or not |
//! | + 0x9000 | KdVersionBlock; + 0x9100 KiWaitNever, KiWaitAlways, KdpDataBlockEncoded |
//! | + 0xa000 | KiProcessorBlock; + 0xa800 the bug check |
//! | [`IDT`] | interrupt 0 |
//! | [`PRCB`] + 0x10000 × CPU | its data: the address of its CONTEXT at 0x1e0, the CONTEXT at 0xf40, over a page's end |
//! | [`COPY`] | KDBG in clear, as the driver has it |
//!
//! Source: QEMU, contrib/elf2dmp and dump/win_dump.c.

use crate::bytes::Endian;
use crate::elf::{ElfCore, Load};
use crate::memory::FakeMemory;
use crate::note::Notes;
use std::ops::Range;

/// Where the kernel's image begins.
pub const KERNEL: u64 = 0xffff_f803_1220_0000;
/// Where the interrupt table is.
pub const IDT: u64 = 0xffff_f803_1400_0000;
/// Where the first CPU's own data are.
pub const PRCB: u64 = 0xffff_f803_1500_0000;
/// Where the driver has its copy of KDBG.
pub const COPY: u64 = 0xffff_f803_1600_0040;
/// Where KDBG is.
pub const KDBG: u64 = KERNEL + 0x8b20;
/// The page that is shared with user space.
pub const SHARED: u64 = 0xffff_f780_0000_0000;

/// Physical address of the page tables' root.
pub const ROOT: u64 = 0x1a_a000;

/// Bytes of KDBG.
const KDBG_LEN: usize = 0x380;

const WAIT_NEVER: u64 = 0x1234_5678_9abc_de2d;
const WAIT_ALWAYS: u64 = 0x0fed_cba9_8765_4321;
const ENCODED_FLAG: u64 = KERNEL + 0x9110;

/// Names that the PDB has, and where they are in the image.
const SYMBOLS: [(&str, u32); 5] = [
    ("KdDebuggerDataBlock", 0x8b20),
    ("KdVersionBlock", 0x9000),
    ("KiWaitNever", 0x9100),
    ("KiWaitAlways", 0x9108),
    ("KdpDataBlockEncoded", 0x9110),
];

/// The GUID of the PDB, as it is stored.
const GUID: [u8; 16] = [0x78, 0x56, 0x34, 0x12, 0xbc, 0x9a, 0xf0, 0xde, 1, 2, 3, 4, 5, 6, 7, 8];
const AGE: u32 = 0x1b;

/// A guest.
#[derive(Clone, Debug)]
pub struct WindowsGuest {
    /// Its memory.
    pub memory: FakeMemory,
    /// How many CPUs it has.
    pub cpus: u32,
    next_table: u64,
}

impl WindowsGuest {
    /// Where RAM is (page frames).
    pub const RAM: [Range<u64>; 2] = [1..0x9f, 0x100..0x600];

    /// A guest whose KDBG is encoded or not, and whose bug check is `bugcheck` (0s of one that runs).
    #[must_use]
    pub fn new(encoded: bool, bugcheck: [u64; 5]) -> WindowsGuest {
        let mut guest = WindowsGuest { memory: FakeMemory::new(&WindowsGuest::RAM), cpus: 2, next_table: 0x400_000 };
        // what nobody looks at
        for pfn in 2..0x90 {
            guest.memory.write(pfn * 4096, &[pfn as u8; 4096][..4096 - pfn as usize]);
        }
        let mut page = 0x11_0000;
        let mut mapped = vec![SHARED, IDT, COPY & !0xfff];
        mapped.extend([0, 1, 5, 8, 9, 0xa].map(|i| KERNEL + i * 0x1000));
        mapped.extend((0..4).map(|i| PRCB + i / 2 * 0x10000 + i % 2 * 0x1000));
        for at in mapped {
            guest.map(at, page);
            page += 0x1000;
        }
        guest.write(SHARED + 0x264, &3u32.to_le_bytes());
        guest.write(SHARED + 0x2d0, &0x110u32.to_le_bytes());
        guest.write_image();
        guest.write_debugger_data(encoded, bugcheck);
        let handler = KERNEL + 0x5abc;
        let entry = [
            &(handler as u16).to_le_bytes()[..],
            &[0x10, 0, 0, 0x8e],
            &((handler >> 16) as u16).to_le_bytes(),
            &((handler >> 32) as u32).to_le_bytes(),
            &[0; 4],
        ];
        guest.write(IDT, &entry.concat());
        guest
    }

    /// The same with other memory.
    #[must_use]
    pub fn with_memory(self, memory: FakeMemory) -> WindowsGuest {
        WindowsGuest { memory, ..self }
    }

    /// Physical address of virtual address `at`.
    ///
    /// # Panics
    /// Where it is not mapped.
    #[must_use]
    pub fn phys(&self, at: u64) -> u64 {
        let mut table = ROOT;
        for shift in [39, 30, 21, 12] {
            let entry = self.memory.number(table + (at >> shift & 0x1ff) * 8, 8);
            assert!(entry & 1 == 1, "{at:#x} is not mapped");
            table = entry & 0xf_ffff_ffff_f000;
        }
        table + (at & 0xfff)
    }

    /// Bytes at virtual address `at`.
    #[must_use]
    pub fn bytes(&self, at: u64, len: u64) -> Vec<u8> {
        (at..at + len).flat_map(|at| self.memory.bytes(self.phys(at), 1)).collect()
    }

    fn map(&mut self, at: u64, to: u64) {
        let mut table = ROOT;
        for shift in [39, 30, 21] {
            let slot = table + (at >> shift & 0x1ff) * 8;
            if self.memory.number(slot, 8) == 0 {
                self.memory.write(slot, &(self.next_table | 0x63).to_le_bytes());
                self.next_table += 0x1000;
            }
            table = self.memory.number(slot, 8) & 0xf_ffff_ffff_f000;
        }
        self.memory.write(table + (at >> 12 & 0x1ff) * 8, &(to | 0x63 | 1 << 63).to_le_bytes());
    }

    fn write(&mut self, at: u64, bytes: &[u8]) {
        for (at, byte) in (at..).zip(bytes) {
            let phys = self.phys(at);
            self.memory.write(phys, &[*byte]);
        }
    }

    fn write_image(&mut self) {
        self.write(KERNEL, b"MZ");
        self.write(KERNEL + 0x3c, &0xe0u32.to_le_bytes());
        self.write(KERNEL + 0xe0, b"PE\0\0\x64\x86");
        self.write(KERNEL + 0xe0 + 24, &0x20bu16.to_le_bytes());
        // the seventh data directory of the optional header, which begins 24 bytes on
        let directory = KERNEL + 0xe0 + 24 + 112 + 6 * 8;
        self.write(directory, &[0x1000u32.to_le_bytes(), 56u32.to_le_bytes()].concat());
        let rsds = [&b"RSDS"[..], &GUID, &AGE.to_le_bytes(), b"ntkrnlmp.pdb\0"].concat();
        let entry = |kind: u32| {
            [0, 0, 0, kind, rsds.len() as u32, 0x1100, 0x700].iter().flat_map(|word| word.to_le_bytes()).collect()
        };
        // one of another kind comes first
        let entries: [Vec<u8>; 2] = [entry(13), entry(2)];
        self.write(KERNEL + 0x1000, &entries.concat());
        self.write(KERNEL + 0x1100, &rsds);
    }

    /// KDBG in clear.
    #[must_use]
    pub fn debugger_data() -> Vec<u8> {
        let mut out = vec![0; KDBG_LEN];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0x10, b"KDBG");
        put(0x14, &(KDBG_LEN as u32).to_le_bytes());
        for (at, word) in [
            (0x18, KERNEL),
            (0x48, KERNEL + 0x123_4560),
            (0x50, KERNEL + 0x123_7890),
            (0x88, KERNEL + 0xa800),
            (0xc0, 0xffff_c000_0000_0000),
            (0x218, KERNEL + 0xa000),
        ] {
            put(at, &word.to_le_bytes());
        }
        put(0x338, &0x1e0u16.to_le_bytes());
        out
    }

    fn write_debugger_data(&mut self, encoded: bool, bugcheck: [u64; 5]) {
        let clear = WindowsGuest::debugger_data();
        let encode = |word: [u8; 8]| {
            let mixed = (u64::from_le_bytes(word) ^ WAIT_ALWAYS).swap_bytes() ^ ENCODED_FLAG;
            (mixed.rotate_right((WAIT_NEVER & 63) as u32) ^ WAIT_NEVER).to_le_bytes()
        };
        let words = clear.chunks_exact(8).map(|word| word.try_into().unwrap());
        let stored: Vec<u8> = if encoded { words.flat_map(encode).collect() } else { clear.clone() };
        self.write(KDBG, &stored);
        self.write(COPY, &clear);
        self.write(KERNEL + 0x9000, &[15, 0, 0x61, 0x4a, 6, 0, 0x47, 0, 0x64, 0x86]);
        self.write(KERNEL + 0x9100, &WAIT_NEVER.to_le_bytes());
        self.write(KERNEL + 0x9108, &WAIT_ALWAYS.to_le_bytes());
        self.write(ENCODED_FLAG, &[u8::from(encoded)]);
        let bugcheck: Vec<u8> = bugcheck.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.write(KERNEL + 0xa800, &bugcheck);
        for cpu in 0..u64::from(self.cpus) {
            self.write(KERNEL + 0xa000 + 8 * cpu, &(PRCB + 0x10000 * cpu).to_le_bytes());
            self.write(PRCB + 0x10000 * cpu + 0x1e0, &(WindowsGuest::context_at(cpu)).to_le_bytes());
        }
    }

    /// Where CPU number `cpu` keeps its CONTEXT.
    #[must_use]
    pub fn context_at(cpu: u64) -> u64 {
        PRCB + 0x10000 * cpu + 0xf40
    }

    /// The header that the guest's driver publishes: what the kernel knew when the driver was loaded.
    #[must_use]
    pub fn driver_header(&self) -> Vec<u8> {
        let mut out = b"PAGE".repeat(0x800);
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(4, b"DU64");
        put(8, &15u32.to_le_bytes());
        put(12, &19041u32.to_le_bytes());
        put(0x10, &ROOT.to_le_bytes());
        put(0x20, &(KERNEL + 0x123_4560).to_le_bytes());
        put(0x28, &(KERNEL + 0x123_7890).to_le_bytes());
        put(0x30, &0x8664u32.to_le_bytes());
        put(0x34, &self.cpus.to_le_bytes());
        put(0x38, &0u32.to_le_bytes());
        put(0x40, &COPY.to_le_bytes());
        put(0x80, &KDBG.to_le_bytes());
        let runs = &WindowsGuest::RAM;
        put(0x88, &(runs.len() as u64).to_le_bytes());
        put(0x90, &runs.iter().map(|run| run.end - run.start).sum::<u64>().to_le_bytes());
        for (i, run) in runs.iter().enumerate() {
            put(0x98 + 16 * i, &run.start.to_le_bytes());
            put(0xa0 + 16 * i, &(run.end - run.start).to_le_bytes());
        }
        put(0xf98, &1u32.to_le_bytes());
        put(0xfa8, &133_500_000_000_000_000u64.to_le_bytes());
        out
    }

    /// QEMU's notes of its CPUs: registers count up from 0x1000 × (CPU + 1).
    #[must_use]
    pub fn cpu_notes(&self) -> Notes {
        (0..u64::from(self.cpus)).fold(Notes::new(Endian::Little), |notes, cpu| {
            let mut desc = vec![0; 440];
            let mut put = |at: usize, word: u64| desc[at..at + 8].copy_from_slice(&word.to_le_bytes());
            put(0, 1 | 440 << 32);
            (0..18).for_each(|i| put(8 + 8 * i, 0x1000 * (cpu + 1) + i as u64));
            [0x10, 0x2b, 0x2b, 0x53, 0x2b, 0x18]
                .iter()
                .enumerate()
                .for_each(|(i, selector)| put(152 + 24 * i, *selector));
            put(152 + 24 * 9 + 16, IDT);
            put(392, 0x8000_0001);
            // the first runs a process whose page tables lack all of the kernel but its entry
            put(392 + 24, if cpu == 0 { 0x5f_0000 } else { ROOT | 2 });
            notes.prstatus_x86_64(cpu as u32 + 1, &[0; 27]).note("QEMU", 0, &desc)
        })
    }

    /// An ELF core with these notes.
    #[must_use]
    pub fn core(&self, notes: Notes) -> Vec<u8> {
        let load = |core: ElfCore, run: &Range<u64>| {
            let (at, len) = (run.start * 4096, (run.end - run.start) * 4096);
            core.load(Load::new(at, 0, self.memory.bytes(at, len)))
        };
        self.memory.ram().iter().fold(ElfCore::x86_64().note(notes.into_bytes()), load).to_bytes()
    }

    /// Its PDB's place on a symbol server.
    #[must_use]
    pub fn pdb_path() -> &'static str {
        "ntkrnlmp.pdb/123456789ABCDEF001020304050607081b/ntkrnlmp.pdb"
    }

    /// A PDB with its public symbols; of another build where `age` is another.
    #[must_use]
    pub fn pdb(age: Option<u32>) -> Vec<u8> {
        crate::pdb::pdb(GUID, age.unwrap_or(AGE), &SYMBOLS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_where() {
        let guest = WindowsGuest::new(true, [0; 5]);
        assert_eq!((guest.phys(SHARED), guest.phys(KERNEL + 0x5abc)), (0x11_0000, 0x11_5abc));
        assert_eq!(guest.bytes(COPY, 0x20)[0x10..0x14], *b"KDBG");
        assert_ne!(guest.bytes(KDBG, 0x20)[0x10..0x14], *b"KDBG");
        assert_eq!(WindowsGuest::new(false, [0; 5]).bytes(KDBG, 0x20)[0x10..0x14], *b"KDBG");
        // one word decoded by hand, as elf2dmp does it
        let word = u64::from_le_bytes(guest.bytes(KDBG + 0x18, 8).try_into().unwrap());
        let mixed = (word ^ WAIT_NEVER).rotate_left((WAIT_NEVER & 63) as u32) ^ ENCODED_FLAG;
        assert_eq!(mixed.swap_bytes() ^ WAIT_ALWAYS, KERNEL);
    }
}
