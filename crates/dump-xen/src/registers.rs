//! Registers of guests that were running when Xen ended.
//!
//! The notes have Xen's own. Those of the guest that a CPU ran lie at the top of that CPU's stack, which is 32 KiB long and
//! as much aligned (xen/arch/x86/include/asm/current.h, struct cpu_info): 25 words (xen/include/public/arch-x86/
//! xen-x86_64.h, struct cpu_user_regs), and behind them, up to the end of the stack, what differs between versions. They
//! are known by their segments, which no kernel but a PV guest's has.

use crate::space::XenReader;
use dump_core::{Notes, VirtAddr};

/// Bytes of a CPU's stack.
const STACK: u64 = 32 << 10;

/// What is behind the registers in every version, with room (bytes).
const TOP: usize = 512;

const WORDS: usize = 25;
const RIP: usize = 16;
const CS: usize = 17;
const RSP: usize = 19;
const SS: usize = 20;

/// FLAT_KERNEL_CS64 and FLAT_KERNEL_SS64 (xen/include/public/arch-x86/xen-x86_64.h).
const KERNEL_CS: u64 = 0xe033;
const KERNEL_SS: u64 = 0xe02b;

/// CPUs that are looked at.
const MAX_CPUS: usize = 1 << 12;

/// NT_PRSTATUS of x86_64: its length (bytes), where registers begin, and the stack pointer of those.
const PRSTATUS: usize = 336;
const PRSTATUS_REGISTERS: usize = 112;
const PRSTATUS_RSP: usize = 19;

/// Registers of a PV guest in its kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestRegisters([u64; WORDS]);

impl GuestRegisters {
    /// Those of the guests that ran on the CPUs of `notes`.
    pub fn all(notes: &Notes, reader: &mut XenReader<'_>) -> Vec<GuestRegisters> {
        let cpus = notes.iter().filter(|note| note.name == b"CORE" && note.kind == 1).take(MAX_CPUS);
        cpus.filter_map(|note| {
            let at = PRSTATUS_REGISTERS + 8 * PRSTATUS_RSP;
            let stack = u64::from_le_bytes(*notes.desc(&note)?.get(at..)?.first_chunk()?);
            GuestRegisters::at(stack, reader)
        })
        .collect()
    }

    /// Those at the top of the stack that `stack` points into; `None` if nothing there can be them, or several can.
    fn at(stack: u64, reader: &mut XenReader<'_>) -> Option<GuestRegisters> {
        let end = (stack & !(STACK - 1)).checked_add(STACK)?;
        let mut bytes = [0; TOP];
        reader.read(VirtAddr(end - TOP as u64), &mut bytes).ok()?;
        let word = |i: usize| bytes.get(8 * i..)?.first_chunk().map(|word| u64::from_le_bytes(*word));
        let mut found = (0..=TOP / 8 - WORDS).filter_map(|from| {
            let mut words = [0; WORDS];
            for (i, to) in words.iter_mut().enumerate() {
                *to = word(from + i)?;
            }
            GuestRegisters(words).are_a_kernels().then_some(GuestRegisters(words))
        });
        found.next().filter(|_| found.next().is_none())
    }

    fn are_a_kernels(&self) -> bool {
        let kernel = |at: u64| at >> 47 == 0x1_ffff;
        let [cs, ss] = [self.0[CS] & 0xffff, self.0[SS] & 0xffff];
        cs == KERNEL_CS && ss == KERNEL_SS && kernel(self.0[RIP]) && kernel(self.0[RSP])
    }

    /// Where it ran, and its stack.
    pub fn pointers(&self) -> [VirtAddr; 2] {
        [self.0[RIP], self.0[RSP]].map(VirtAddr)
    }

    /// The descriptor of a note NT_PRSTATUS. The code segment has no privilege level, as Xen shows it to a guest's kernel;
    /// bases of segments are not known.
    pub fn prstatus(&self) -> Vec<u8> {
        let [general @ .., _, _, _, _, _, _, _, _, _, _] = self.0;
        let [.., error, rip, cs, flags, rsp, ss, es, ds, fs, gs] = self.0;
        let rest = [error >> 32, rip, cs & 0xfffc, flags, rsp, ss & 0xffff, 0, 0, ds, es, fs, gs];
        let mut desc = vec![0; PRSTATUS_REGISTERS];
        general.iter().chain(&rest).for_each(|word| desc.extend(word.to_le_bytes()));
        desc.resize(PRSTATUS, 0);
        desc
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_order_of_linux() {
        let mut words: [u64; WORDS] = std::array::from_fn(|i| i as u64);
        (words[15], words[CS]) = (7 << 32 | 9, 0xffff_0000_e033);
        let desc = GuestRegisters(words).prstatus();
        let registers: Vec<u64> =
            desc[112..328].chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
        assert_eq!(registers[..15], (0..15).collect::<Vec<_>>());
        assert_eq!(registers[15..], [7, 16, 0xe030, 18, 19, 20, 0, 0, 22, 21, 23, 24]);
        assert_eq!(desc.len(), 336);
    }
}
