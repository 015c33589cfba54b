//! Machines that a fake kernel can run on: word size, byte order, page size, shape of the page tables.

use crate::bytes::{Endian, Width};
use crate::entries::Entries;
use crate::era::Era;
use crate::pgtable::Shape;

/// A fake machine: x86_64, one of [`Machine::REAL`], or one that is [made up](Machine::MADE_UP), whose kernel image is in
/// the direct map, and the address of physical address 0 in VMCOREINFO as NUMBER(page_offset).
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
    /// How entries of its page tables are written.
    pub entries: Entries,
    /// Where the kernel image is mapped, if not in the direct map; x86_64's is where it is linked.
    pub image: Option<u64>,
    /// Order of a hugetlb page that it can have (log2 of pages).
    pub hugetlb: u32,
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
        entries: Entries::X86_64,
        image: None,
        hugetlb: 9,
    };

    /// Machines that exist, x86_64 apart, in the shapes that their page tables have.
    pub const REAL: &'static [Machine] = &[
        Machine::ARM64,
        Machine {
            levels: &[9; 3],
            page_offset: 0xffff_ff80_0000_0000,
            image: Some(0xffff_ffc0_0800_0000),
            vmemmap: 0xffff_fffe_0000_0000,
            ..Machine::ARM64
        },
        // LPA2
        Machine {
            levels: &[4, 9, 9, 9, 9],
            page_offset: 0xfff0_0000_0000_0000,
            vmemmap: 0xffff_fc00_0000_0000,
            entries: Entries::Arm64 { lpa2: true },
            ..Machine::ARM64
        },
        Machine {
            page_size: 16 << 10,
            hugetlb: 7,
            levels: &[11; 3],
            page_offset: 0xffff_8000_0000_0000,
            image: Some(0xffff_c000_8000_0000),
            vmemmap: 0xffff_fffc_0000_0000,
            ..Machine::ARM64
        },
        Machine { page_size: 16 << 10, hugetlb: 7, levels: &[1, 11, 11, 11], ..Machine::ARM64 },
        Machine {
            page_size: 64 << 10,
            hugetlb: 5,
            levels: &[13, 13],
            page_offset: 0xffff_fc00_0000_0000,
            image: Some(0xffff_fe00_8000_0000),
            vmemmap: 0xffff_ffff_0000_0000,
            ..Machine::ARM64
        },
        Machine { page_size: 64 << 10, hugetlb: 5, levels: &[6, 13, 13], ..Machine::ARM64 },
        Machine {
            page_size: 64 << 10,
            hugetlb: 5,
            levels: &[10, 13, 13],
            page_offset: 0xfff0_0000_0000_0000,
            vmemmap: 0xffff_fc00_0000_0000,
            ..Machine::ARM64
        },
        Machine {
            levels: &[9; 3],
            page_offset: 0xffff_ffd6_0000_0000,
            vmemmap: 0xffff_ffc5_0000_0000,
            ..Machine::RISCV64
        },
        Machine::RISCV64,
        Machine {
            levels: &[9; 5],
            page_offset: 0xff60_0000_0000_0000,
            vmemmap: 0xff1c_0000_0000_0000,
            ..Machine::RISCV64
        },
        Machine::S390X,
        // since 6.10, where the image is no longer where its physical address is
        Machine { image: Some(0x3ff_e000_0000), ..Machine::S390X },
        Machine { levels: &[13, 9, 9, 5], page_size: 64 << 10, hugetlb: 5, ..Machine::PPC64LE },
        Machine::PPC64LE,
        Machine { name: "ppc64", endian: Endian::Big, ..Machine::PPC64LE },
        Machine {
            name: "loongarch64",
            elf_machine: 258,
            page_size: 16 << 10,
            levels: &[11; 3],
            page_offset: 0x9000_0000_0000_0000,
            hugetlb: 11,
            vmemmap: 0xffff_ffff_0000_0000,
            entries: Entries::Loongarch,
            ..Machine::WORDS_OF_64_BITS
        },
        Machine { name: "i686", elf_machine: 3, levels: &[10, 10], hugetlb: 10, ..Machine::WORDS_OF_32_BITS },
        Machine {
            name: "i686",
            elf_machine: 3,
            levels: &[2, 9, 9],
            entry: 8,
            entries: Entries::Pae,
            ..Machine::WORDS_OF_32_BITS
        },
        Machine {
            name: "armv7l",
            elf_machine: 40,
            levels: &[12, 8],
            entries: Entries::Short,
            ..Machine::WORDS_OF_32_BITS
        },
        Machine {
            name: "armv7l",
            elf_machine: 40,
            levels: &[2, 9, 9],
            entry: 8,
            entries: Entries::Arm64 { lpa2: false },
            ..Machine::WORDS_OF_32_BITS
        },
    ];

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
        entries: Entries::Low,
        image: None,
        hugetlb: 9,
    };

    const ARM64: Machine = Machine {
        name: "aarch64",
        elf_machine: 183,
        levels: &[9; 4],
        page_offset: 0xffff_0000_0000_0000,
        vmemmap: 0xffff_fdff_c000_0000,
        entries: Entries::Arm64 { lpa2: false },
        image: Some(0xffff_8000_8000_0000),
        ..Machine::WORDS_OF_64_BITS
    };

    const RISCV64: Machine = Machine {
        name: "riscv64",
        elf_machine: 243,
        levels: &[9; 4],
        page_offset: 0xffff_af80_0000_0000,
        vmemmap: 0xffff_8d80_0000_0000,
        entries: Entries::Riscv,
        image: Some(0xffff_ffff_8000_0000),
        ..Machine::WORDS_OF_64_BITS
    };

    const S390X: Machine = Machine {
        name: "s390x",
        elf_machine: 22,
        endian: Endian::Big,
        levels: &[11, 11, 8],
        page_offset: 0,
        hugetlb: 8,
        vmemmap: 0x372_0000_0000,
        entries: Entries::S390,
        ..Machine::WORDS_OF_64_BITS
    };

    const PPC64LE: Machine = Machine {
        name: "ppc64le",
        elf_machine: 21,
        levels: &[13, 9, 9, 9],
        page_offset: 0xc000_0000_0000_0000,
        vmemmap: 0xc00c_0000_0000_0000,
        entries: Entries::Radix,
        ..Machine::WORDS_OF_64_BITS
    };

    const WORDS_OF_64_BITS: Machine = Machine {
        elf_machine: 0xfe64,
        width: Width::W64,
        entry: 8,
        page_offset: 0xffff_8000_0000_0000,
        vmemmap: 0xffff_fe00_0000_0000,
        ..Machine::WORDS_OF_32_BITS
    };

    /// Registers in its NT_PRSTATUS: how many, which is the program counter, and which the stack pointer; size of all of
    /// it (bytes).
    pub(crate) fn registers(&self) -> (usize, usize, usize, usize) {
        match self.elf_machine {
            3 => (17, 12, 15, 144),
            21 => (48, 32, 1, 504),
            22 => (27, 1, 17, 336),
            40 => (18, 15, 13, 148),
            183 => (34, 32, 31, 392),
            243 => (32, 0, 2, 376),
            258 => (45, 33, 3, 480),
            _ => (27, 16, 19, 336),
        }
    }

    /// Whether kernels of `era` are like that on this machine: ppc64 has radix trees since 4.7, with today's entries since
    /// 4.11; s390x moved its image out of the identity mapping in 6.10 (c98d2ecae08f).
    #[must_use]
    pub fn is_of(&self, era: Era) -> bool {
        match self.entries {
            Entries::Radix => era.version() >= (4, 11),
            Entries::S390 => self.image.is_some() == (era.version() >= (6, 10)),
            _ => true,
        }
    }

    /// Bits of a virtual address that its page tables translate.
    pub(crate) fn virtual_bits(&self) -> u32 {
        self.page_size.trailing_zeros() + self.levels.iter().sum::<u32>()
    }

    pub(crate) fn is_x86_64(&self) -> bool {
        self.elf_machine == Machine::X86_64.elf_machine
    }

    pub(crate) fn shape(&self) -> Shape {
        Shape {
            levels: self.levels,
            entry: self.entry,
            page_shift: self.page_size.trailing_zeros(),
            endian: if self.entries == Entries::Radix { Endian::Big } else { self.endian },
            entries: self.entries,
        }
    }
}
