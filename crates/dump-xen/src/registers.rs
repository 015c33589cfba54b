//! Registers of guests that were running when Xen ended.
//!
//! The notes have Xen's own. Those of the guest that a CPU ran lie at the top of that CPU's stack, which is 32 KiB long and
//! as much aligned (xen/arch/x86/include/asm/current.h, struct cpu_info): 25 words (xen/include/public/arch-x86/
//! xen-x86_64.h, struct cpu_user_regs), and behind them, where versions differ, the CPU's number and a pointer to the vCPU
//! (xen/include/xen/sched.h, struct vcpu). They are known by their segments, which no kernel but a PV guest's has, and by a
//! vCPU that is of the domain and ran on that CPU.

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

/// Bytes at the start of a vCPU among which its domain is.
const VCPU: usize = 64;

/// The highest number of a vCPU that is believed.
const MAX_VCPU: u32 = 8192;

/// Registers of a vCPU of a PV guest in its kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestRegisters {
    /// The vCPU's number.
    pub cpu: u32,
    words: [u64; WORDS],
}

impl GuestRegisters {
    /// Those of the domain at `domain` that ran on the CPUs of `notes`, in the order of its vCPUs.
    pub fn all(notes: &Notes, domain: VirtAddr, reader: &mut XenReader<'_>) -> Vec<GuestRegisters> {
        let cpus = notes.iter().filter(|note| note.name == b"CORE" && note.kind == 1).take(MAX_CPUS);
        let of_cpu = |note| {
            let at = PRSTATUS_REGISTERS + 8 * PRSTATUS_RSP;
            let stack = u64::from_le_bytes(*notes.desc(&note)?.get(at..)?.first_chunk()?);
            GuestRegisters::at(stack, domain, reader)
        };
        let mut all: Vec<GuestRegisters> = cpus.filter_map(of_cpu).collect();
        all.sort_by_key(|registers| registers.cpu);
        all.dedup_by_key(|registers| registers.cpu);
        all
    }

    /// Those at the top of the stack that `stack` points into; `None` if nothing there can be them, or several can.
    fn at(stack: u64, domain: VirtAddr, reader: &mut XenReader<'_>) -> Option<GuestRegisters> {
        let end = (stack & !(STACK - 1)).checked_add(STACK)?;
        let mut bytes = [0; TOP];
        reader.read(VirtAddr(end - TOP as u64), &mut bytes).ok()?;
        let word = |i: usize| bytes.get(8 * i..)?.first_chunk().map(|word| u64::from_le_bytes(*word));
        let mut found = (0..=TOP / 8 - WORDS).filter_map(|from| {
            let mut words = [0; WORDS];
            for (i, to) in words.iter_mut().enumerate() {
                *to = word(from + i)?;
            }
            let registers = GuestRegisters { cpu: 0, words };
            registers.are_a_kernels().then_some((from + WORDS, registers))
        });
        let (behind, registers) = found.next().filter(|_| found.next().is_none())?;
        let numbered = (behind..TOP / 8 - 1).filter_map(|i| Some((word(i)? as u32, word(i + 1)?)));
        let cpu = numbered.filter_map(|(cpu, vcpu)| number_of(vcpu, cpu, domain, reader)).next()?;
        Some(GuestRegisters { cpu, ..registers })
    }

    fn are_a_kernels(&self) -> bool {
        let kernel = |at: u64| at >> 47 == 0x1_ffff;
        let [cs, ss] = [self.words[CS] & 0xffff, self.words[SS] & 0xffff];
        cs == KERNEL_CS && ss == KERNEL_SS && kernel(self.words[RIP]) && kernel(self.words[RSP])
    }

    /// Where it ran, and its stack.
    pub fn pointers(&self) -> [VirtAddr; 2] {
        [self.words[RIP], self.words[RSP]].map(VirtAddr)
    }

    /// The descriptor of a note NT_PRSTATUS. The code segment has no privilege level, as Xen shows it to a guest's kernel;
    /// bases of segments are not known.
    pub fn prstatus(&self) -> Vec<u8> {
        let [general @ .., _, _, _, _, _, _, _, _, _, _] = self.words;
        let [.., error, rip, cs, flags, rsp, ss, es, ds, fs, gs] = self.words;
        let rest = [error >> 32, rip, cs & 0xfffc, flags, rsp, ss & 0xffff, 0, 0, ds, es, fs, gs];
        let mut desc = vec![0; PRSTATUS_REGISTERS];
        general.iter().chain(&rest).for_each(|word| desc.extend(word.to_le_bytes()));
        desc.resize(PRSTATUS, 0);
        desc
    }
}

/// The number of the vCPU at `at`, if that is one of `domain` and runs on `cpu`.
fn number_of(at: u64, cpu: u32, domain: VirtAddr, reader: &mut XenReader<'_>) -> Option<u32> {
    if at >> 47 != 0x1_ffff {
        return None;
    }
    let mut bytes = [0; VCPU];
    reader.read(VirtAddr(at), &mut bytes).ok()?;
    let (numbers, rest) = bytes.split_first_chunk::<8>()?;
    let [number, processor] = [*numbers.first_chunk()?, *numbers.last_chunk()?].map(u32::from_le_bytes);
    let is_its = rest.chunks_exact(8).any(|word| word == domain.0.to_le_bytes());
    (is_its && processor == cpu && number < MAX_VCPU).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_order_of_linux() {
        let mut words: [u64; WORDS] = std::array::from_fn(|i| i as u64);
        (words[15], words[CS]) = (7 << 32 | 9, 0xffff_0000_e033);
        let desc = GuestRegisters { cpu: 0, words }.prstatus();
        let registers: Vec<u64> =
            desc[112..328].chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
        assert_eq!(registers[..15], (0..15).collect::<Vec<_>>());
        assert_eq!(registers[15..], [7, 16, 0xe030, 18, 19, 20, 0, 0, 22, 21, 23, 24]);
        assert_eq!(desc.len(), 336);
    }
}
