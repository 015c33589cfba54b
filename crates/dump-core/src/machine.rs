//! Machines: what ELF numbers and what `uname -m` names, in one table.

/// Byte order of the dumped machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// Word size of the dumped machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordSize {
    /// 4-byte words.
    Bits32,
    /// 8-byte words.
    Bits64,
}

impl WordSize {
    /// Bytes of a word.
    pub fn bytes(self) -> usize {
        match self {
            Bits32 => 4,
            Bits64 => 8,
        }
    }
}

use ByteOrder::{Big, Little};
use WordSize::{Bits32, Bits64};

/// The dumped machine, as far as its container states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// `e_machine` of an ELF core, the common coin for architectures (62 is x86_64); `None` where the container does
    /// not state it.
    pub elf_machine: Option<u16>,
    /// Byte order.
    pub order: ByteOrder,
    /// Word size of its kernel, which headers need not share: kexec-tools writes 64-bit ELF cores of i386 kernels.
    pub word: WordSize,
}

/// Name, `e_machine`, byte order, word size. The first name of a machine is the one that is written.
///
/// Names without a row in crash's and libkdumpfile's tables are left out on purpose: an unknown name decides nothing.
const MACHINES: &[(&str, u16, ByteOrder, WordSize)] = &[
    ("x86_64", 62, Little, Bits64),
    ("i686", 3, Little, Bits32),
    ("i386", 3, Little, Bits32),
    ("i486", 3, Little, Bits32),
    ("i586", 3, Little, Bits32),
    ("aarch64", 183, Little, Bits64),
    ("aarch64_be", 183, Big, Bits64),
    ("armv7l", 40, Little, Bits32),
    ("armv5tejl", 40, Little, Bits32),
    ("armv5tel", 40, Little, Bits32),
    ("armv6l", 40, Little, Bits32),
    ("armv8l", 40, Little, Bits32),
    ("arm", 40, Little, Bits32),
    ("armv7b", 40, Big, Bits32),
    ("ppc64le", 21, Little, Bits64),
    ("ppc64", 21, Big, Bits64),
    ("ppc", 20, Big, Bits32),
    ("s390x", 22, Big, Bits64),
    ("s390", 22, Big, Bits32),
    ("riscv64", 243, Little, Bits64),
    ("riscv32", 243, Little, Bits32),
    ("loongarch64", 258, Little, Bits64),
    ("ia64", 50, Little, Bits64),
    ("alpha", 0x9026, Little, Bits64),
    ("sparc64", 43, Big, Bits64),
];

/// `uname -m` gives "mips" and "mips64" in either byte order, so these state the word size only.
const MIPS: &[(&str, WordSize)] = &[("mips64", Bits64), ("mips", Bits32)];

const EM_MIPS: u16 = 8;
const EM_386: u16 = 3;
const EM_S390: u16 = 22;
const EM_ARM: u16 = 40;

impl Machine {
    /// A machine of which nothing is known: little endian and 64 bits are what most are.
    pub const UNKNOWN: Machine = Machine { elf_machine: None, order: Little, word: Bits64 };

    /// The machine that `uname -m` calls `name`, where the name alone states byte order and word size.
    pub fn by_name(name: &str) -> Option<Machine> {
        let (_, elf_machine, order, word) = *MACHINES.iter().find(|(known, ..)| *known == name)?;
        Some(Machine { elf_machine: Some(elf_machine), order, word })
    }

    /// The same machine; where it has no number, with `elf_machine`, and the word size of all machines that have this one.
    pub fn or_numbered(self, elf_machine: Option<u16>) -> Machine {
        if self.elf_machine.is_some() {
            return self;
        }
        let mut words = MACHINES.iter().filter(|row| Some(row.1) == elf_machine).map(|row| row.3);
        let first = words.next().filter(|first| words.all(|word| word == *first));
        Machine { elf_machine, word: first.unwrap_or(self.word), ..self }
    }

    /// `e_machine` of the machine that `uname -m` calls `name`.
    pub fn elf_machine_by_name(name: &str) -> Option<u16> {
        let mips = || MIPS.iter().any(|(known, _)| *known == name).then_some(EM_MIPS);
        Machine::by_name(name).and_then(|machine| machine.elf_machine).or_else(mips)
    }

    /// What `uname -m` prints on it. Where no machine has these words (an ELF64 core of a 32-bit kernel, say), the name of the
    /// first that has its number.
    pub fn name(self) -> Option<&'static str> {
        let elf_machine = self.elf_machine?;
        let mips = || MIPS.iter().find(|(_, word)| elf_machine == EM_MIPS && *word == self.word).map(|(name, _)| *name);
        let mut related = MACHINES.iter().filter(|row| row.1 == elf_machine);
        let first = related.clone().next();
        let exact = related.find(|row| (row.2, row.3) == (self.order, self.word));
        exact.or(first).map(|row| row.0).or_else(mips)
    }

    /// The machine of a kernel whose headers have the words of this one: with the word size that its architecture has,
    /// where all of its kernels have the same.
    #[must_use]
    pub fn of_kernel(self) -> Machine {
        let mut words = MACHINES.iter().filter(|row| Some(row.1) == self.elf_machine).map(|row| row.3);
        match words.next() {
            Some(word) if words.all(|other| other == word) => Machine { word, ..self },
            _ => self,
        }
    }

    /// Whether page frames are numbered from the start of RAM (phys_base) in kdump files: on 32-bit ARM, where mem_map
    /// begins there (makedumpfile.h `ARCH_PFN_OFFSET`, crash diskdump.c `paddr_to_pfn`). Everywhere else frame 0 is
    /// physical address 0.
    pub fn counts_frames_from_ram(self) -> bool {
        self.elf_machine == Some(EM_ARM)
    }

    /// Whether the kernel's virtual address of RAM is its physical one, 0 too: on s390x (arch/s390/kernel/crash_dump.c
    /// `loads_init`), whose kernel has an address space to itself. Everywhere else virtual address 0 is no address of the
    /// kernel's.
    pub fn maps_ram_at_its_address(self) -> bool {
        self.elf_machine == Some(EM_S390) && self.word == Bits64
    }

    /// Whether its C compiler aligns 8-byte integers to 8. Of the 32-bit machines i386 alone does not; a machine that
    /// nobody named is laid out as QEMU does all of them, which is also what readers fall back to.
    pub fn aligns_to_8(self) -> bool {
        self.word == Bits64 || ![None, Some(EM_386)].contains(&self.elf_machine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_says_the_word_size() {
        let of = |number| Machine::UNKNOWN.or_numbered(Some(number));
        assert_eq!([3, 40, 62, 183].map(|number| of(number).word), [Bits32, Bits32, Bits64, Bits64]);
        let stated = Machine { elf_machine: Some(62), ..Machine::UNKNOWN };
        assert_eq!((stated.or_numbered(Some(3)), Machine::UNKNOWN.or_numbered(None)), (stated, Machine::UNKNOWN));
    }

    #[test]
    fn names_and_numbers() {
        for (name, elf) in [
            ("x86_64", Some(62)),
            ("s390x", Some(22)),
            ("mips64", Some(8)),
            ("armv6l", Some(40)),
            ("Unknown", None),
            ("", None),
        ] {
            assert_eq!(Machine::elf_machine_by_name(name), elf, "{name}");
        }
        for (elf_machine, order, word, name) in [
            (62, Little, Bits64, Some("x86_64")),
            (21, Big, Bits64, Some("ppc64")),
            (21, Little, Bits64, Some("ppc64le")),
            (8, Big, Bits32, Some("mips")),
            (8, Little, Bits64, Some("mips64")),
            (3, Little, Bits32, Some("i686")),
            (22, Big, Bits32, Some("s390")),
            (3, Little, Bits64, Some("i686")),
            (9, Big, Bits64, None),
        ] {
            let machine = Machine { elf_machine: Some(elf_machine), order, word };
            assert_eq!(machine.name(), name, "{elf_machine}");
        }
        assert_eq!(Machine::UNKNOWN.name(), None);
    }

    #[test]
    fn the_word_size_is_the_kernels_where_the_architecture_has_one() {
        for (elf_machine, word, kernel) in [
            (Some(3), Bits64, Bits32),
            (Some(40), Bits64, Bits32),
            (Some(62), Bits32, Bits64),
            (Some(22), Bits32, Bits32),
            (Some(22), Bits64, Bits64),
            (Some(243), Bits32, Bits32),
            (Some(8), Bits64, Bits64),
            (None, Bits32, Bits32),
        ] {
            assert_eq!(
                Machine { elf_machine, order: Little, word }.of_kernel().word,
                kernel,
                "{elf_machine:?} {word:?}"
            );
        }
    }

    #[test]
    fn of_32_bit_machines_i386_and_the_unknown_do_not_align() {
        let of = |name| Machine::by_name(name).map(Machine::aligns_to_8);
        assert_eq!([of("x86_64"), of("armv7l"), of("i686")], [Some(true), Some(true), Some(false)]);
        assert!(!Machine { word: Bits32, ..Machine::UNKNOWN }.aligns_to_8());
    }
}
