//! The registers of a CPU, and CONTEXT, the form in which Windows keeps them.
//!
//! | off | field |
//! |---|---|
//! | 0x30 | ContextFlags (u32): 0x100000, control 1, integer 2, segments 4 |
//! | 0x34 | MxCsr (u32) |
//! | 0x38 | cs ds es fs gs ss (u16 each), EFlags (u32) |
//! | 0x78 | rax rcx rdx rbx rsp rbp rsi rdi, r8 ... r15, rip (u64 each) |
//! | 0x118 | MxCsr once more, of FltSave |

use dump_core::{ByteOrder, FieldsMut, WordSize};

/// Bytes of CONTEXT.
pub(crate) const CONTEXT: usize = 0x4d0;

/// Of x86_64, with control, integer and segment registers.
const FLAGS: u32 = 0x10_0007;

/// MXCSR after a reset.
const MXCSR: u32 = 0x1f80;

/// An x86_64 CPU's registers, as far as they say something of its kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// rax rbx rcx rdx rsi rdi rsp rbp, r8 ... r15.
    pub general: [u64; 16],
    /// Instruction pointer.
    pub rip: u64,
    /// Flags.
    pub rflags: u64,
    /// Selectors of cs ds es fs gs ss.
    pub selectors: [u16; 6],
    /// Physical address of the page tables' root, with flags in its low bits.
    pub cr3: u64,
    /// Whether page tables have five levels.
    pub five_levels: bool,
    /// Linear address of the interrupt descriptor table.
    pub idt: u64,
    /// The base of gs, and what swapgs would put there, where that is known: one of them is the CPU's own data of Windows.
    pub gs: [u64; 2],
}

impl Cpu {
    /// Its registers as Windows keeps them.
    pub(crate) fn context(&self) -> Vec<u8> {
        let [rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, rest @ ..] = self.general;
        let mut f = FieldsMut::new(ByteOrder::Little, WordSize::Bits64);
        f.pad_to(0x30).u32(FLAGS).u32(MXCSR);
        for selector in self.selectors {
            f.u16(selector);
        }
        f.u32(self.rflags as u32).pad_to(0x78);
        for value in [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi].iter().chain(&rest) {
            f.u64(*value);
        }
        f.u64(self.rip).pad_to(0x118).u32(MXCSR).pad_to(CONTEXT);
        f.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_by_their_place() {
        let general = std::array::from_fn(|i| 0x100 + i as u64);
        let cpu = Cpu {
            general,
            rip: 0x77,
            rflags: 0x246,
            selectors: [0x10, 0x2b, 0x2b, 0x53, 0x2b, 0x18],
            ..Cpu::default()
        };
        let bytes = cpu.context();
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        assert_eq!((bytes.len(), word(0x30), word(0x38)), (0x4d0, 0x1f80_0010_0007, 0x0053_002b_002b_0010));
        assert_eq!((word(0x40), word(0x78), word(0x80), word(0x90)), (0x0246_0018_002b, 0x100, 0x102, 0x101));
        assert_eq!((word(0x98), word(0xa0), word(0xa8), word(0xb0)), (0x106, 0x107, 0x104, 0x105));
        assert_eq!((word(0xb8), word(0xf0), word(0xf8), word(0x118)), (0x108, 0x10f, 0x77, 0x1f80));
    }
}
