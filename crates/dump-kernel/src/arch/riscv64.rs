//! riscv64: known by its keys; its page tables are not walked yet.

use super::{Arch, MachineFacts, SectionBits, not_walked};
use crate::symbols::KernelSymbols;
use crate::words::{Le64, WordLayout, Words};
use crate::xlat::Translate;
use dump_core::{PageSize, Result, VirtAddr};

/// The architecture.
#[derive(Clone, Copy, Debug)]
pub struct Riscv64;

impl Arch for Riscv64 {
    fn name(&self) -> &'static str {
        "riscv64"
    }

    fn elf_machine(&self) -> u16 {
        243
    }

    fn has_words(&self, words: Words) -> bool {
        words == Le64::WORDS
    }

    fn keys(&self) -> &'static [&'static str] {
        &["NUMBER(va_kernel_pa_offset)", "NUMBER(phys_ram_base)"]
    }

    /// Where RAM begins, which is what makedumpfile puts there.
    fn phys_base(&self, facts: MachineFacts<'_>) -> Option<u64> {
        facts.symbols.number("phys_ram_base").map(|value| value as u64)
    }

    fn is_kernel(&self, at: VirtAddr) -> bool {
        at.0 >> 63 == 1
    }

    /// Linux arch/riscv/include/asm/sparsemem.h.
    fn section_bits(&self, _: &dyn KernelSymbols, _: PageSize) -> Option<SectionBits> {
        Some(SectionBits { section: 27, memory: 56 })
    }

    fn page_tables(&self, _: MachineFacts<'_>) -> Result<Box<dyn Translate>> {
        Err(not_walked(self))
    }
}
