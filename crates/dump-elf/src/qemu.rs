//! QEMU's note of a CPU: the one place in a dump of an x86 guest that has its control registers.
//!
//! | off | field |
//! |---|---|
//! | 0 | version (u32), 1 |
//! | 4 | size (u32) of the descriptor |
//! | 8 | rax rbx rcx rdx rsi rdi rsp rbp, r8 ... r15, rip, rflags: 18 × u64 |
//! | 152 | cs ds es fs gs ss ldt tr gdt idt: selector, limit, flags, padding (u32 each), base (u64) |
//! | 392 | cr0 ... cr4: 5 × u64 |
//! | 432 | kernel_gs_base (u64), in newer versions |
//!
//! Little endian, as all x86. A 32-bit guest has zeros in the upper halves. With cr3 or the interrupt table's address,
//! the kernel can be found where there is no VMCOREINFO. Source: QEMU, target/i386/arch_dump.c, QEMUCPUState.

use dump_core::{ByteOrder, Fields, Notes, Result, WordSize};

const VERSION: u32 = 1;

/// Bytes up to `kernel_gs_base`.
const SIZE: usize = 432;

/// A segment or a descriptor table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QemuSegment {
    /// Selector; 0 of the descriptor tables.
    pub selector: u32,
    /// Limit (bytes), the last offset that belongs to it.
    pub limit: u32,
    /// Bits 8 to 23 of the descriptor's second word, and QEMU's own.
    pub flags: u32,
    /// Linear address where it begins.
    pub base: u64,
}

/// The registers of one CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QemuCpu {
    /// rax rbx rcx rdx rsi rdi rsp rbp, r8 ... r15.
    pub general: [u64; 16],
    /// Instruction pointer.
    pub rip: u64,
    /// Flags.
    pub rflags: u64,
    /// cs ds es fs gs ss ldt tr gdt idt.
    pub segments: [QemuSegment; 10],
    /// cr0 ... cr4.
    pub control: [u64; 5],
    /// What swapgs would put to the base of gs; `None` where QEMU is too old to say.
    pub kernel_gs_base: Option<u64>,
}

impl QemuCpu {
    /// The CPUs of a dump, one for each note that is whole and of a version that is known. Their order is that of the
    /// CPUs.
    pub fn all(notes: &Notes) -> Vec<QemuCpu> {
        let ours = notes.iter().filter(|note| note.name == b"QEMU" && note.kind == 0);
        ours.filter_map(|note| QemuCpu::decode(notes.desc(&note)?)).collect()
    }

    /// From the descriptor of a note; `None` where it is cut short or of another version.
    pub fn decode(desc: &[u8]) -> Option<QemuCpu> {
        let mut f = Fields::new(desc, ByteOrder::Little, WordSize::Bits64);
        let (version, size) = (f.u32("version").ok()?, f.u32("size").ok()?);
        if version != VERSION || (size as usize) < SIZE {
            return None;
        }
        QemuCpu::fields(&mut f, size as usize > SIZE).ok()
    }

    fn fields(f: &mut Fields<'_>, has_kernel_gs: bool) -> Result<QemuCpu> {
        let mut cpu = QemuCpu::default();
        for register in &mut cpu.general {
            *register = f.u64("general register")?;
        }
        (cpu.rip, cpu.rflags) = (f.u64("rip")?, f.u64("rflags")?);
        for segment in &mut cpu.segments {
            (segment.selector, segment.limit) = (f.u32("selector")?, f.u32("limit")?);
            segment.flags = f.u32("flags")?;
            f.u32("padding")?;
            segment.base = f.u64("base")?;
        }
        for register in &mut cpu.control {
            *register = f.u64("control register")?;
        }
        if has_kernel_gs {
            cpu.kernel_gs_base = Some(f.u64("kernel_gs_base")?);
        }
        Ok(cpu)
    }

    /// Physical address of the page tables' root, with flags in its low bits.
    pub fn cr3(&self) -> u64 {
        self.control[3]
    }

    /// Linear address of the interrupt descriptor table.
    pub fn idt_base(&self) -> u64 {
        self.segments[9].base
    }

    /// Whether page tables have five levels (cr4 bit 12).
    pub fn has_five_levels(&self) -> bool {
        self.control[4] >> 12 & 1 != 0
    }

    /// Whether paging is on (cr0 bit 31); before that, addresses are physical.
    pub fn is_paging(&self) -> bool {
        self.control[0] >> 31 & 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dump_synth::Endian;

    /// A descriptor whose 8-byte words say where they stand.
    fn desc(size: usize) -> Vec<u8> {
        let mut out: Vec<u8> = (0..size / 8).flat_map(|i| (0x8000_0000 + 8 * i as u64).to_le_bytes()).collect();
        out[..4].copy_from_slice(&1u32.to_le_bytes());
        out[4..8].copy_from_slice(&(size as u32).to_le_bytes());
        out
    }

    #[test]
    fn registers_stand_where_the_table_says() {
        let cpu = QemuCpu::decode(&desc(440)).unwrap();
        let at = |offset: u64| 0x8000_0000 + offset;
        assert_eq!((cpu.general[0], cpu.general[15], cpu.rip, cpu.rflags), (at(8), at(128), at(136), at(144)));
        assert_eq!(cpu.segments[0], QemuSegment { selector: 0x8000_0098, limit: 0, flags: 0x8000_00a0, base: at(168) });
        assert_eq!((cpu.idt_base(), cpu.cr3(), cpu.is_paging()), (at(384), at(416), true));
        assert_eq!(cpu.kernel_gs_base, Some(at(432)));
        assert_eq!(QemuCpu::decode(&desc(432)).unwrap().kernel_gs_base, None);
    }

    #[test]
    fn other_notes_are_passed_over() {
        let mut later = desc(440);
        later[0] = 2;
        for len in 0..440 {
            assert_eq!(QemuCpu::decode(&desc(440)[..len]), None, "{len}");
        }
        let stream = dump_synth::Notes::new(Endian::Little)
            .prstatus_x86_64(1, &[0; 27])
            .note("QEMU", 0, &desc(440))
            .note("QEMU", 0, &later)
            .note("QEMU", 1, &desc(440))
            .note("QEMU", 0, &desc(432))
            .into_bytes();
        assert_eq!(QemuCpu::all(&Notes::new(stream, ByteOrder::Little)).len(), 2);
    }
}
