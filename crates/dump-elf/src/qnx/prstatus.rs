//! The CPUs' registers as notes NT_PRSTATUS, which Linux's tools look for.

use super::record::QnxCpu;
use super::registers::Registers;
use crate::qemu::QemuCpu;
use dump_core::{ByteOrder, FieldsMut, Machine, Note, Notes, WordSize};

const OWNER: &[u8] = b"CORE";
const NT_PRSTATUS: u32 = 1;

/// Of cr3, what is no flag and no number of an address space.
const CR3_ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Whether it holds a CPU's registers.
pub(crate) fn is_prstatus(note: &Note<'_>) -> bool {
    note.name == OWNER && note.kind == NT_PRSTATUS
}

/// Descriptors of the notes of `cpus`, in the order of their numbers; none where the machine's registers are not known.
/// The number of a CPU's process is its own and 1, as QEMU has it.
pub(crate) fn prstatus(cpus: &[QnxCpu], machine: Machine) -> Vec<Vec<u8>> {
    let mut cpus: Vec<&QnxCpu> = cpus.iter().collect();
    cpus.sort_by_key(|cpu| cpu.number);
    cpus.into_iter().map_while(|cpu| encode(cpu, machine)).collect()
}

fn encode(cpu: &QnxCpu, machine: Machine) -> Option<Vec<u8>> {
    let set = Registers::of(machine, cpu.registers.len())?;
    let [size, pid, registers] = set.prstatus;
    let mut f = FieldsMut::new(machine.order, WordSize::Bits32);
    f.pad_to(pid).u32(cpu.number.saturating_add(1)).pad_to(registers);
    f.bytes(&set.to_linux(&cpu.registers, machine.order)).pad_to(size);
    Some(f.into_bytes())
}

/// The CPUs of `notes`, whose registers `set` are; the page table where QEMU's notes have it.
pub(super) fn cpus(notes: &Notes, machine: Machine, set: &Registers) -> Vec<QnxCpu> {
    let tables: Vec<u64> = QemuCpu::all(notes).iter().map(|cpu| cpu.control[3] & CR3_ADDRESS).collect();
    let [_, _, at] = set.prstatus;
    let order: ByteOrder = machine.order;
    let stored = notes.iter().filter(is_prstatus).filter_map(|note| notes.desc(&note)?.get(at..at + set.linux_size()));
    stored
        .zip(0u32..)
        .map(|(registers, number)| QnxCpu {
            number,
            page_table: tables.get(number as usize).copied().unwrap_or(0),
            process: String::new(),
            registers: set.of_linux(registers, order),
        })
        .collect()
}
