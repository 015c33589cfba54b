//! Where fields stand in the headers of Windows crash dumps (bytes).
//!
//! Source: QEMU, include/qemu/win_dump_defs.h (WinDumpHeader64, WinDumpHeader32).

use dump_core::WordSize;

/// The places of one of the two headers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Bytes of the header.
    pub len: usize,
    pub word: WordSize,
    /// What it begins with.
    pub magic: &'static [u8; 8],
    pub major: usize,
    pub minor: usize,
    pub page_table: usize,
    pub pfn_database: usize,
    pub modules: usize,
    pub processes: usize,
    pub machine: usize,
    pub cpus: usize,
    pub bugcheck_code: usize,
    pub bugcheck_parameters: usize,
    pub debugger_data: usize,
    /// PhysicalMemoryBlock and how long it is.
    pub memory: usize,
    pub memory_len: usize,
    pub context: usize,
    pub dump_type: usize,
    pub required_space: usize,
    pub system_time: usize,
    pub up_time: usize,
    pub comment: usize,
    pub product_type: usize,
    pub suite_mask: usize,
    pub writer_status: usize,
    pub secondary_version: usize,
}

/// DUMP_HEADER64.
pub(crate) static WIDE: Layout = Layout {
    len: 0x2000,
    word: WordSize::Bits64,
    magic: b"PAGEDU64",
    major: 0x8,
    minor: 0xc,
    page_table: 0x10,
    pfn_database: 0x18,
    modules: 0x20,
    processes: 0x28,
    machine: 0x30,
    cpus: 0x34,
    bugcheck_code: 0x38,
    bugcheck_parameters: 0x40,
    debugger_data: 0x80,
    memory: 0x88,
    memory_len: 700,
    context: 0x348,
    dump_type: 0xf98,
    required_space: 0xfa0,
    system_time: 0xfa8,
    up_time: 0x1030,
    comment: 0xfb0,
    product_type: 0x1040,
    suite_mask: 0x1044,
    writer_status: 0x1048,
    secondary_version: 0x104d,
};

/// DUMP_HEADER32.
pub(crate) static NARROW: Layout = Layout {
    len: 0x1000,
    word: WordSize::Bits32,
    magic: b"PAGEDUMP",
    major: 0x8,
    minor: 0xc,
    page_table: 0x10,
    pfn_database: 0x14,
    modules: 0x18,
    processes: 0x1c,
    machine: 0x20,
    cpus: 0x24,
    bugcheck_code: 0x28,
    bugcheck_parameters: 0x2c,
    debugger_data: 0x60,
    memory: 0x64,
    memory_len: 700,
    context: 0x320,
    dump_type: 0xf88,
    required_space: 0xfa0,
    system_time: 0xfc0,
    up_time: 0xfb8,
    comment: 0x820,
    product_type: 0xf94,
    suite_mask: 0xf98,
    writer_status: 0xf9c,
    secondary_version: 0x5d,
};

impl Layout {
    /// The one of a file that begins with `prefix`.
    pub fn of(prefix: &[u8]) -> Option<&'static Layout> {
        [&WIDE, &NARROW].into_iter().find(|layout| prefix.starts_with(layout.magic))
    }

    /// Runs of memory that the header has room for.
    pub fn most_runs(&self) -> usize {
        let word = self.word.bytes();
        (self.memory_len - 2 * word) / (2 * word)
    }
}
