//! Machines that a fake kernel can run on: word size, byte order, page size, shape of the page tables.

use crate::bytes::{Endian, Width};
use crate::pgtable::Shape;

/// A fake machine. Only [`Machine::X86_64`] is a real one; the others have its page table entries in tables of other
/// shapes, the kernel image in the direct map, and the address of physical address 0 in VMCOREINFO as
/// NUMBER(page_offset).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// `uname -m`.
    pub name: &'static str,
    /// `e_machine` of its ELF files.
    pub elf_machine: u16,
    /// Word size.
    pub width: Width,
    /// Byte order.
    pub endian: Endian,
    /// Bytes of a page frame, at least 4096.
    pub page_size: u64,
    /// Index bits of each level of page tables, the top one first.
    pub levels: &'static [u32],
    /// Bytes of a page table entry: 4 or 8.
    pub entry: u64,
    /// Virtual address of physical address 0.
    pub page_offset: u64,
    /// Virtual address of the struct page of pfn 0 in vmemmap kernels.
    pub vmemmap: u64,
}

impl Machine {
    /// x86_64 with 4 levels.
    pub const X86_64: Machine = Machine {
        name: "x86_64",
        elf_machine: 62,
        width: Width::W64,
        endian: Endian::Little,
        page_size: 4096,
        levels: &[9; 4],
        entry: 8,
        page_offset: 0xffff_8880_0000_0000,
        vmemmap: 0xffff_ea00_0000_0000,
    };

    /// Machines of every word size and byte order, with page tables of several shapes and pages of several sizes, none
    /// of which exists.
    pub const MADE_UP: &'static [Machine] = &[
        Machine { name: "le32", levels: &[10, 10], entry: 4, ..Machine::WORDS_OF_32_BITS },
        Machine { name: "le32-pae", levels: &[2, 9, 9], entry: 8, ..Machine::WORDS_OF_32_BITS },
        Machine { name: "be32", endian: Endian::Big, levels: &[10, 10], entry: 4, ..Machine::WORDS_OF_32_BITS },
        Machine { name: "be64", endian: Endian::Big, levels: &[11, 11, 11, 8], ..Machine::WORDS_OF_64_BITS },
        Machine { name: "le64-16k", page_size: 16 << 10, levels: &[11; 3], ..Machine::WORDS_OF_64_BITS },
        Machine {
            name: "be64-64k",
            endian: Endian::Big,
            page_size: 64 << 10,
            levels: &[13; 3],
            ..Machine::WORDS_OF_64_BITS
        },
    ];

    const WORDS_OF_32_BITS: Machine = Machine {
        name: "",
        elf_machine: 0xfe32,
        width: Width::W32,
        endian: Endian::Little,
        page_size: 4096,
        levels: &[],
        entry: 4,
        page_offset: 0xc000_0000,
        vmemmap: 0xf000_0000,
    };

    const WORDS_OF_64_BITS: Machine = Machine {
        elf_machine: 0xfe64,
        width: Width::W64,
        entry: 8,
        page_offset: 0xffff_8000_0000_0000,
        vmemmap: 0xffff_fe00_0000_0000,
        ..Machine::WORDS_OF_32_BITS
    };

    pub(crate) fn is_x86_64(&self) -> bool {
        self.elf_machine == Machine::X86_64.elf_machine
    }

    pub(crate) fn shape(&self) -> Shape {
        Shape {
            levels: self.levels,
            entry: self.entry,
            page_shift: self.page_size.trailing_zeros(),
            endian: self.endian,
        }
    }
}
