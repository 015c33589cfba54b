//! What differs between architectures: one file each, one row each in [`ARCHES`].
//!
//! | architecture | known by its keys | phys_base |
//! |---|---|---|
//! | x86_64 | yes | yes |
//! | arm64, riscv64 | yes | yes |
//! | loongarch64 | it has none | 0 |
//! | s390x, ppc64 | yes | – |
//! | arm, i386 | some | – |
//! | mips64, sparc64 | it has none | – |
//!
//! A new architecture is a file beside this one, with a type that implements [`Arch`], and its row. Everything else
//! here takes byte order, word size, page size and address layout from the dump or from `Arch`, never from x86_64.

mod arm;
mod arm64;
#[cfg(test)]
mod fake;
mod i386;
mod loongarch64;
mod mips64;
mod ppc64;
mod riscv64;
mod s390x;
mod self_mapped;
mod sparc64;
mod x86_64;

pub use arm::Arm;
pub use arm64::Arm64;
pub use i386::I386;
pub use loongarch64::Loongarch64;
pub use mips64::Mips64;
pub use ppc64::Ppc64;
pub use riscv64::Riscv64;
pub use s390x::S390x;
pub use sparc64::Sparc64;
pub use x86_64::X86_64;

use crate::symbols::KernelSymbols;
use crate::words::Words;
use crate::xlat::Translate;
use dump_core::{Machine, PageSize, PhysAddr, Result, Segment, VirtAddr};

/// Every architecture that is known, in the order in which `elf_machine_of` tries their keys.
pub const ARCHES: &[&dyn Arch] =
    &[&X86_64, &Arm64, &Riscv64, &Loongarch64, &S390x, &Ppc64, &I386, &Arm, &Mips64, &Sparc64];

/// What a dump says about the machine, for an architecture to work with.
#[derive(Clone, Copy)]
pub struct MachineFacts<'a> {
    /// The kernel's symbols and numbers.
    pub symbols: &'a dyn KernelSymbols,
    /// The kernel's words.
    pub words: Words,
    /// The kernel's page size.
    pub page_size: PageSize,
    /// Physical memory with virtual addresses; empty where the container has none.
    pub segments: &'a [Segment],
}

/// How large a section of memory is, and all of memory: log2 of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectionBits {
    /// SECTION_SIZE_BITS.
    pub section: i64,
    /// MAX_PHYSMEM_BITS.
    pub memory: i64,
}

/// Whose page tables an address goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// The kernel's.
    Kernel,
    /// A process's.
    Process,
    /// The kernel's where they map it, else a process's: where the one part ends and the other begins is not known.
    Either,
}

/// An architecture that Linux runs on.
pub trait Arch: Send + Sync {
    /// Its name, for messages.
    fn name(&self) -> &'static str;

    /// Its `e_machine` in ELF files.
    fn elf_machine(&self) -> u16;

    /// Whether it has words of this size and order.
    fn has_words(&self, words: Words) -> bool;

    /// Keys of vmcoreinfo that its kernels alone export (arch/*/kernel/{vmcore_info,crash_core,machine_kexec}.c).
    fn keys(&self) -> &'static [&'static str];

    /// Physical minus link address of the kernel image (bytes, two's complement) as kdump headers have it, where the
    /// dump says enough.
    fn phys_base(&self, facts: MachineFacts<'_>) -> Option<u64>;

    /// Whether an address lies in the kernel's part of the address space.
    fn is_kernel(&self, at: VirtAddr) -> bool;

    /// Whose page tables an address goes by, for one that somebody asks for.
    fn space_of(&self, at: VirtAddr) -> Space {
        if self.is_kernel(at) { Space::Kernel } else { Space::Process }
    }

    /// Where the kernel's image has `at`, where the dump says it without page tables.
    fn in_image(&self, _facts: MachineFacts<'_>, _at: VirtAddr) -> Option<PhysAddr> {
        None
    }

    /// The kernel's values where vmcoreinfo lacks SECTION_SIZE_BITS (exported since Linux 5.13, 4f5aecdff25f) or
    /// MAX_PHYSMEM_BITS (5.9, 1d50e5d0c505); `None` where they depend on what no key says.
    fn section_bits(&self, symbols: &dyn KernelSymbols, page_size: PageSize) -> Option<SectionBits>;

    /// The walk of the kernel's page tables.
    ///
    /// # Errors
    /// `MissingInfo`, naming the key, if the dump says too little; `Unsupported`, naming it, for a shape that is not walked.
    fn page_tables(&self, facts: MachineFacts<'_>) -> Result<Box<dyn Translate>>;

    /// The walk of page tables whose top one is at `root`, as a CPU's register has it; `None` where that says nothing.
    fn page_tables_at(&self, _facts: MachineFacts<'_>, _root: PhysAddr) -> Option<Box<dyn Translate>> {
        None
    }

    /// Orders that hugetlb pages can have (log2 of pages of this size); none where that is not known.
    fn hugetlb_orders(&self, _page_size: PageSize) -> &'static [u8] {
        &[]
    }

    /// Addresses of kernel code and kernel stacks among the registers of one CPU, the descriptor of an NT_PRSTATUS.
    fn kernel_pointers(&self, _prstatus: &[u8]) -> Vec<VirtAddr> {
        Vec::new()
    }
}

/// The architecture of a machine; `None` where it is not known.
pub fn arch_of(machine: Machine) -> Option<&'static dyn Arch> {
    let words = Words::of(machine);
    ARCHES.iter().copied().find(|arch| Some(arch.elf_machine()) == machine.elf_machine && arch.has_words(words))
}

/// The `e_machine` of the first architecture of which `has` has a key.
pub(crate) fn elf_machine_of(has: impl Fn(&str) -> bool) -> Option<u16> {
    ARCHES.iter().find(|arch| arch.keys().iter().any(|key| has(key))).map(|arch| arch.elf_machine())
}

/// MAX_PHYSMEM_BITS, of the `known` values that it has had, by how many sections or roots of them `mem_section` has.
fn memory_bits_of(symbols: &dyn KernelSymbols, page_size: PageSize, section: i64, known: &[i64]) -> Option<i64> {
    let (length, size) = (symbols.length_of("mem_section")?, symbols.size_of("mem_section")?);
    let per_root = (page_size.bytes() as u64).checked_div(size)?.max(1);
    let fits = |bits: i64| {
        let sections = 1u64 << (bits - section);
        [sections, sections.div_ceil(per_root)].contains(&length)
    };
    known.iter().copied().find(|bits| fits(*bits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmcoreinfo::Vmcoreinfo;
    use crate::words::{Be64, Le32, Le64, WordLayout};
    use dump_core::ErrorKind;

    fn facts<'a>(info: &'a Vmcoreinfo, words: Words) -> MachineFacts<'a> {
        MachineFacts { symbols: info, words, page_size: PageSize::K4, segments: &[] }
    }

    fn machine(elf_machine: u16, words: Words) -> Machine {
        Machine { elf_machine: Some(elf_machine), order: words.order, word: words.size }
    }

    #[test]
    fn machines_are_known_by_number_and_words() {
        let name = |number, words| arch_of(machine(number, words)).map(Arch::name);
        assert_eq!(name(62, Le64::WORDS), Some("x86_64"));
        assert_eq!(name(62, Le32::WORDS), None);
        assert_eq!((name(183, Le64::WORDS), name(183, Be64::WORDS)), (Some("arm64"), Some("arm64")));
        assert_eq!(name(9, Le64::WORDS), None);
    }

    #[test]
    fn no_key_and_no_name_belongs_to_two() {
        let keys: Vec<_> = ARCHES.iter().flat_map(|arch| arch.keys()).collect();
        let names: Vec<_> = ARCHES.iter().map(|arch| arch.name()).collect();
        assert!(keys.iter().enumerate().all(|(i, key)| !keys[..i].contains(key)));
        assert!(names.iter().enumerate().all(|(i, name)| !names[..i].contains(name)));
    }

    #[test]
    fn phys_base_is_where_ram_begins() {
        let info = Vmcoreinfo::parse(b"NUMBER(PHYS_OFFSET)=0x40000000\nNUMBER(phys_ram_base)=0x80200000\n");
        let base = |number| arch_of(machine(number, Le64::WORDS)).unwrap().phys_base(facts(&info, Le64::WORDS));
        assert_eq!((base(183), base(243)), (Some(0x4000_0000), Some(0x8020_0000)));
    }

    /// The windows of loongarch64 and mips64 need nothing of the dump; sparc64 has no pages of 4 KiB.
    #[test]
    fn what_is_missing_is_named() {
        let info = Vmcoreinfo::default();
        for arch in ARCHES.iter().filter(|arch| !["loongarch64", "mips64", "sparc64"].contains(&arch.name())) {
            let words =
                [Le64::WORDS, Be64::WORDS, Le32::WORDS].into_iter().find(|words| arch.has_words(*words)).unwrap();
            let e = arch.page_tables(facts(&info, words)).err().unwrap_or_else(|| panic!("{}", arch.name()));
            assert_eq!(e.kind(), ErrorKind::MissingInfo, "{}", arch.name());
            assert!(e.to_string().contains("vmcoreinfo lacks"), "{e}");
        }
    }
}
