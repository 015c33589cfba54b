//! What a file without headers knows of the machine: nothing but where its memory ends.

use dump_core::{ByteOrder, DumpMeta, Machine, PageSize, Pfn, WordSize};

/// A machine of which nothing is known, whose memory ends at `end` (bytes). Little endian and 64 bits are what most
/// are; who learns better from the memory itself says so.
pub(crate) fn unknown(page_size: PageSize, end: u64) -> DumpMeta {
    let machine = Machine { elf_machine: 0, order: ByteOrder::Little, word: WordSize::Bits64 };
    DumpMeta { end_pfn: Pfn(page_size.pages_for(end)), ..DumpMeta::new(machine, page_size) }
}
