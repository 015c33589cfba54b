//! Register sets, as QNX stores them and as Linux's NT_PRSTATUS does.
//!
//! | machine | bytes | order |
//! |---|---|---|
//! | AArch64 | 272 | x0 ... x30, sp, pc, pstate, 8 bytes each |
//! | x86-64 | 160 | rdi rsi rdx r10 r8 r9 rax rbx rbp rcx r11 r12 r13 r14 r15 rip, 8 bytes each, then cs (4, and 4 of padding), |
//! | | | rflags, rsp (8 each), ss (4, and 4 of padding) |
//! | x86 | 52 | edi esi ebp exx ebx edx ecx eax eip cs efl esp ss, 4 bytes each; exx is what pusha stores for esp |

use dump_core::{ByteOrder, Fields, FieldsMut, Machine, WordSize};

const EM_386: u16 = 3;
const EM_486: u16 = 6;
const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;

/// The registers of a machine.
#[derive(Debug)]
pub(super) struct Registers {
    machines: &'static [u16],
    /// Of all registers and of words in Linux's note.
    word: WordSize,
    /// As QNX stores them.
    names: &'static [&'static str],
    /// As Linux does; a name that QNX has not, a register it does not store.
    linux: &'static [&'static str],
    /// Bytes of Linux's `struct elf_prstatus`, and where the CPU's process number and its registers are in it.
    pub prstatus: [usize; 3],
}

const AARCH64: &[&str] = &[
    "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17",
    "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x29", "x30", "sp", "pc", "pstate",
];

const SETS: [Registers; 3] = [
    Registers {
        machines: &[EM_AARCH64],
        word: WordSize::Bits64,
        names: AARCH64,
        linux: AARCH64,
        prstatus: [392, 32, 112],
    },
    Registers {
        machines: &[EM_X86_64],
        word: WordSize::Bits64,
        // with their padding, the selectors are words too
        names: &[
            "rdi", "rsi", "rdx", "r10", "r8", "r9", "rax", "rbx", "rbp", "rcx", "r11", "r12", "r13", "r14", "r15",
            "rip", "cs", "rflags", "rsp", "ss",
        ],
        linux: &[
            "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi",
            "orig_rax", "rip", "cs", "rflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs",
        ],
        prstatus: [336, 32, 112],
    },
    Registers {
        machines: &[EM_386, EM_486],
        word: WordSize::Bits32,
        names: &["edi", "esi", "ebp", "exx", "ebx", "edx", "ecx", "eax", "eip", "cs", "efl", "esp", "ss"],
        linux: &[
            "ebx", "ecx", "edx", "esi", "edi", "ebp", "eax", "ds", "es", "fs", "gs", "orig_eax", "eip", "cs", "efl",
            "esp", "ss",
        ],
        prstatus: [144, 24, 72],
    },
];

/// What says that no system call is under way, in place of its number.
const NO_CALL: u64 = u64::MAX;

impl Registers {
    /// The set of `machine`, as both QNX and Linux store it.
    pub fn native(machine: Machine) -> Option<&'static Registers> {
        SETS.iter().find(|set| machine.elf_machine.is_some_and(|number| set.machines.contains(&number)))
    }

    /// The set of `machine`, if it has `size` bytes.
    pub fn of(machine: Machine, size: usize) -> Option<&'static Registers> {
        Registers::native(machine).filter(|set| set.size() == size)
    }

    /// Bytes of the set, as QNX stores it.
    pub fn size(&self) -> usize {
        self.names.len() * self.word_bytes()
    }

    /// Bytes of the set in Linux's note.
    pub fn linux_size(&self) -> usize {
        self.linux.len() * self.word_bytes()
    }

    fn word_bytes(&self) -> usize {
        if self.word == WordSize::Bits64 { 8 } else { 4 }
    }

    /// The registers by name, of what QNX stores.
    pub fn decode(&self, bytes: &[u8], order: ByteOrder) -> Vec<(String, u64)> {
        self.names.iter().zip(self.words(bytes, order)).map(|(name, value)| ((*name).to_owned(), value)).collect()
    }

    /// Linux's words, of what QNX stores; 0 for what that lacks.
    pub fn to_linux(&self, bytes: &[u8], order: ByteOrder) -> Vec<u8> {
        let words = self.words(bytes, order);
        self.translated(self.names, &words, self.linux, order)
    }

    /// What QNX stores, of Linux's words.
    pub fn of_linux(&self, bytes: &[u8], order: ByteOrder) -> Vec<u8> {
        let words = self.words(bytes, order);
        self.translated(self.linux, &words, self.names, order)
    }

    fn words(&self, bytes: &[u8], order: ByteOrder) -> Vec<u64> {
        let mut f = Fields::new(bytes, order, self.word);
        std::iter::from_fn(|| f.word("register").ok()).collect()
    }

    fn translated(&self, from: &[&str], words: &[u64], to: &[&str], order: ByteOrder) -> Vec<u8> {
        let mut f = FieldsMut::new(order, self.word);
        for name in to {
            let value = from.iter().position(|other| other == name).and_then(|at| words.get(at).copied());
            f.word(value.unwrap_or(if name.starts_with("orig") { NO_CALL } else { 0 }));
        }
        f.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(name: &str) -> Machine {
        Machine::by_name(name).unwrap()
    }

    #[test]
    fn sizes_are_those_of_the_structures() {
        for (name, size, linux, [prstatus, _, at]) in [
            ("aarch64", 272, 272, [392, 32, 112]),
            ("x86_64", 160, 216, [336, 32, 112]),
            ("i686", 52, 68, [144, 24, 72]),
        ] {
            let set = Registers::native(machine(name)).unwrap();
            assert_eq!((set.size(), set.linux_size(), set.prstatus[0], set.prstatus[2]), (size, linux, prstatus, at));
            // pr_fpvalid follows, and what aligns the whole
            assert!((4..=8).contains(&(prstatus - at - linux)), "{name}");
            assert!(Registers::of(machine(name), size + 4).is_none());
        }
        assert!(Registers::native(machine("ppc64le")).is_none());
    }

    #[test]
    fn registers_keep_their_values_by_name() {
        let order = ByteOrder::Little;
        for name in ["aarch64", "x86_64", "i686"] {
            let set = Registers::native(machine(name)).unwrap();
            let bytes: Vec<u8> = (0..set.size()).map(|i| i as u8 ^ 0x35).collect();
            let linux = set.to_linux(&bytes, order);
            assert_eq!(linux.len(), set.linux_size());
            let back = set.of_linux(&linux, order);
            let lost: Vec<_> = set.decode(&bytes, order).into_iter().zip(set.decode(&back, order)).collect();
            for (was, is) in lost {
                assert_eq!(is.1, if was.0 == "exx" { 0 } else { was.1 }, "{name}: {}", was.0);
            }
        }
        let set = Registers::native(machine("x86_64")).unwrap();
        let mut bytes = vec![0; 160];
        bytes[120..128].copy_from_slice(&0xffff_ffff_8100_0000u64.to_le_bytes());
        let linux = set.to_linux(&bytes, order);
        assert_eq!(linux[16 * 8..17 * 8], bytes[120..128]);
        assert_eq!(linux[15 * 8..16 * 8], [0xff; 8]);
    }
}
