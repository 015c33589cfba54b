//! arm64: known by its keys; its page tables are not walked yet.

use super::{Arch, MachineFacts, SectionBits, not_walked};
use crate::symbols::KernelSymbols;
use crate::words::Words;
use crate::xlat::Translate;
use dump_core::{PageSize, Result, VirtAddr, WordSize};

/// The architecture.
#[derive(Clone, Copy, Debug)]
pub struct Arm64;

impl Arch for Arm64 {
    fn name(&self) -> &'static str {
        "arm64"
    }

    fn elf_machine(&self) -> u16 {
        183
    }

    fn has_words(&self, words: Words) -> bool {
        words.size == WordSize::Bits64
    }

    fn keys(&self) -> &'static [&'static str] {
        &["NUMBER(kimage_voffset)"]
    }

    /// Where RAM begins, which is what makedumpfile puts there.
    fn phys_base(&self, facts: MachineFacts<'_>) -> Option<u64> {
        facts.symbols.number("PHYS_OFFSET").map(|value| value as u64)
    }

    fn is_kernel(&self, at: VirtAddr) -> bool {
        at.0 >> 63 == 1
    }

    fn section_bits(&self, _: &dyn KernelSymbols, _: PageSize) -> Option<SectionBits> {
        None // by page size and version
    }

    fn page_tables(&self, _: MachineFacts<'_>) -> Result<Box<dyn Translate>> {
        Err(not_walked(self))
    }
}
