//! Machine names as `uname -m` has them, and what they say of byte order and word size.

use dump_core::{ByteOrder, Machine, WordSize};

use ByteOrder::{Big, Little};
use WordSize::{Bits32, Bits64};

/// Name, `e_machine`, byte order, word size. The first name of an `e_machine` is the one that is written.
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

/// `uname -m` says "mips" and "mips64" in either byte order, so these tell the word size only.
const MIPS: &[(&str, WordSize)] = &[("mips64", Bits64), ("mips", Bits32)];

const EM_MIPS: u16 = 8;
const EM_386: u16 = 3;

/// The machine of that name, where the name alone tells byte order and word size.
pub(crate) fn by_name(name: &str) -> Option<Machine> {
    let (_, elf_machine, order, word) = *MACHINES.iter().find(|(known, ..)| *known == name)?;
    Some(Machine { elf_machine, order, word })
}

/// `e_machine` of the machine of that name; 0 where it is not known.
pub(crate) fn elf_machine(name: &str) -> u16 {
    match by_name(name) {
        Some(machine) => machine.elf_machine,
        None if MIPS.iter().any(|(known, _)| *known == name) => EM_MIPS,
        None => 0,
    }
}

/// What `uname -m` says on `machine`, as far as its numbers tell.
pub(crate) fn name_of(machine: Machine) -> Option<&'static str> {
    let mips = || MIPS.iter().find(|(_, word)| machine.elf_machine == EM_MIPS && *word == machine.word);
    MACHINES
        .iter()
        .find(|(_, id, order, word)| (*id, *order, *word) == (machine.elf_machine, machine.order, machine.word))
        .map(|(name, ..)| *name)
        .or_else(|| mips().map(|(name, _)| *name))
}

/// Whether the machine's C compiler aligns 8-byte integers to 8. Of the 32-bit ones i386 alone does not; a machine that
/// nobody named is written packed as QEMU writes all, which is also what readers fall back to.
pub(crate) fn aligns_to_8(machine: Machine) -> bool {
    machine.word == Bits64 || ![0, EM_386].contains(&machine.elf_machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for (name, elf) in [("x86_64", 62), ("s390x", 22), ("mips64", 8), ("armv6l", 40), ("Unknown", 0), ("", 0)] {
            assert_eq!(elf_machine(name), elf, "{name}");
        }
        for (elf_machine, order, word, name) in [
            (62, Little, Bits64, Some("x86_64")),
            (21, Big, Bits64, Some("ppc64")),
            (21, Little, Bits64, Some("ppc64le")),
            (8, Big, Bits32, Some("mips")),
            (3, Little, Bits32, Some("i686")),
            (62, Big, Bits64, None),
            (0, Little, Bits64, None),
        ] {
            assert_eq!(name_of(Machine { elf_machine, order, word }), name, "{elf_machine}");
        }
    }
}
