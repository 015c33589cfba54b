//! Architectures that are known by name and by their keys, and no more.

use super::{Arch, MachineFacts, SectionBits, not_walked};
use crate::symbols::KernelSymbols;
use crate::words::Words;
use crate::xlat::Translate;
use dump_core::{PageSize, Result, VirtAddr};

/// An architecture without a file of its own.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    /// Its name, for messages.
    pub name: &'static str,
    /// Its `e_machine`.
    pub elf_machine: u16,
    /// Keys of vmcoreinfo that its kernels alone export.
    pub keys: &'static [&'static str],
}

impl Arch for Named {
    fn name(&self) -> &'static str {
        self.name
    }

    fn elf_machine(&self) -> u16 {
        self.elf_machine
    }

    fn has_words(&self, _: Words) -> bool {
        true
    }

    fn keys(&self) -> &'static [&'static str] {
        self.keys
    }

    fn phys_base(&self, _: MachineFacts<'_>) -> Option<u64> {
        None
    }

    fn is_kernel(&self, _: VirtAddr) -> bool {
        false
    }

    fn section_bits(&self, _: &dyn KernelSymbols, _: PageSize) -> Option<SectionBits> {
        None
    }

    fn page_tables(&self, _: MachineFacts<'_>) -> Result<Box<dyn Translate>> {
        Err(not_walked(self))
    }
}
