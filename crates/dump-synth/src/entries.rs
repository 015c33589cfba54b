//! Entries of page tables, as each architecture's hardware, or its kernel where that walks them, has them.

/// How the entries of page tables are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entries {
    /// x86_64: bit 0 present, bit 7 a large page, bit 63 no-execute. Entries here also carry what real ones may: bit 12
    /// (PAT) in large pages and a software bit (52).
    X86_64,
    /// The same low bits and no high ones: i386, and machines that do not exist.
    Low,
    /// i386 with PAE: the same, no-execute, and a top table whose entries are present or not and no more.
    Pae,
    /// arm64 and LPAE of arm: bits 1..0 are 3 for a table and for a page, 1 for a block.
    Arm64 {
        /// Whether bits 9..8 are address bits (LPA2), rather than shareability.
        lpa2: bool,
    },
    /// Short descriptors of arm: 1 a coarse table, 2 a section of 1 MiB or a small page.
    Short,
    /// riscv64: the page frame's number from bit 10 on; a leaf is readable, writable or executable.
    Riscv,
    /// s390x: what is not there has its invalid bit set; region and segment tables say which they are.
    S390,
    /// Radix trees of ppc64: big-endian on any kernel, bit 63 valid, bit 62 a leaf.
    Radix,
    /// loongarch64: tables are virtual addresses of the direct window, huge pages have bit 6, and bit 12 global.
    Loongarch,
}

/// The window of loongarch64 that its kernel uses for cached memory.
const WINDOW: u64 = 0x9000_0000_0000_0000;

/// Address bits, of a table whose entries are address and flags.
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;

impl Entries {
    /// The entry for a table at `phys`; `below` is the level of that table, the lowest being 1, and `bits` index it.
    pub(crate) fn table(self, phys: u64, below: u32, bits: u32) -> u64 {
        match self {
            Entries::X86_64 | Entries::Low => phys | 0x67, // present, writable, user, accessed, dirty
            Entries::Pae => phys | if below == 2 { 1 } else { 0x67 },
            Entries::Arm64 { .. } => phys | 3 | 1 << 59,  // PXNTable
            Entries::Short => phys | 1 | 1 << 4 | 1 << 5, // domain 1
            Entries::Riscv => phys >> 12 << 10 | 1,
            // the type of a region table is that of the table with the entry; all have their full length
            Entries::S390 if below == 1 => phys,
            Entries::S390 => phys | u64::from(below - 1) << 2 | 3,
            Entries::Radix => phys | 1 << 63 | u64::from(bits),
            Entries::Loongarch => phys | WINDOW,
        }
    }

    /// The entry for memory at `phys`, of a table of `level`.
    pub(crate) fn page(self, phys: u64, level: u32) -> u64 {
        let large = level > 1;
        let low = phys | 0x163 | if large { 1 << 7 } else { 0 }; // present, writable, accessed, dirty, global
        match self {
            Entries::X86_64 => low | 1 << 52 | 1 << 63 | if large { 1 << 12 } else { 0 },
            Entries::Low => low,
            Entries::Pae => low | 1 << 63,
            // attributes, accessed; contiguous, never executed, software bits
            Entries::Arm64 { lpa2 } => {
                let shareable = if lpa2 { 0 } else { 3 << 8 };
                phys | 1 << 2 | 1 << 10 | shareable | 1 << 52 | 3 << 53 | 0xf << 55 | if large { 1 } else { 3 }
            }
            Entries::Short if large => phys | 2 | 1 << 10 | 1 << 4, // a section, executed never
            Entries::Short => phys | 2 | 1 << 4 | 3 << 2,
            // readable, writable, global, accessed, dirty; a software bit
            Entries::Riscv => phys >> 12 << 10 | 1 | 3 << 1 | 1 << 5 | 3 << 6 | 1 << 8,
            Entries::S390 if large => phys | 1 << 10 | u64::from(level - 2) << 2,
            Entries::S390 => phys | 0x3f, // software bits
            Entries::Radix => phys | 3 << 62 | 0x18e,
            Entries::Loongarch if large => phys | 0x1d1 | 1 << 12,
            Entries::Loongarch => phys | 0x1d1, // present, writable, modified, coherent, global, valid
        }
    }

    /// The table that `entry` is for; `None` where it is for nothing.
    pub(crate) fn next(self, entry: u64) -> Option<u64> {
        match self {
            _ if entry == 0 => None,
            Entries::S390 => (entry & 0x20 == 0).then_some(entry & !0xfff),
            Entries::Riscv => Some(entry >> 10 << 12),
            Entries::Short => Some(entry & !0x3ff),
            _ => Some(entry & ADDRESS),
        }
    }

    /// What stands in a new table of `level`.
    pub(crate) fn empty(self, level: u32) -> u64 {
        match self {
            Entries::S390 if level == 1 => 0x400,
            Entries::S390 => 0x20 | u64::from(level - 2) << 2,
            _ => 0,
        }
    }
}
