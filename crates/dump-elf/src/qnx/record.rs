//! The record of the CPUs.
//!
//! | off | size | field (`struct kdump_note`) |
//! |---|---|---|
//! | 0 | 1 each | note_version (0), sig_num, sig_code, fault_num |
//! | 4 | 2 each | num_cpus, faulting_cpu |
//! | 8 | 4 each | regset_size (bytes), cpu_info |
//! | 16 | 4 each | procnto_segnum, syspage_segnum, dumpinfo_segnum: program headers by number |
//! | 28 | 12 | spare |
//! | 40 | | for each CPU 128 bytes (`struct kdump_note_cpu`) and `regset_size` bytes of registers |
//!
//! | off | size | field (`struct kdump_note_cpu`) |
//! |---|---|---|
//! | 0 | 8 | pgtbl, the physical address of the page table's root |
//! | 8 | 4 | cpunum |
//! | 12 | 16 | spare |
//! | 28 | 100 | process_name, with a NUL |
//!
//! The writer of 2008 had one CPU; what it would do with more stands in its comments: a CPU's registers follow its record,
//! then comes the next CPU. So does its reader have it, which takes the registers behind the first record. The other way,
//! all records and then all registers, is believed only where CPUs' numbers make sense so, and not in the first.

use super::prstatus;
use super::registers::Registers;
use dump_core::{ByteOrder, Error, Fields, FieldsMut, Machine, Notes, Result, WordSize};
use std::collections::BTreeSet;

/// Bytes before the CPUs' records.
const HEAD: usize = 40;

/// Bytes of a CPU's record.
const CPU: usize = 128;

/// Bytes of a process's name.
const NAME: usize = 100;

/// Bounds of what is believed; a register set has 272 bytes on AArch64.
const MAX_REGISTERS: u32 = 64 << 10;
const MAX_CPUS: u16 = 1024;

/// The head of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QnxNote {
    /// Version of the structure, 0.
    pub version: u8,
    /// Signal number, signal code and fault number that the dump was taken for.
    pub cause: [u8; 3],
    /// CPUs of the guest.
    pub cpus: u16,
    /// The one that failed.
    pub faulting_cpu: u16,
    /// Size of a CPU's registers (bytes).
    pub regset_size: u32,
    /// Depends on the machine: PAE on x86, the family of a PowerPC.
    pub cpu_info: u32,
    /// Program headers of the microkernel, the system page and the dump's own data. Not checked.
    pub segments: [u32; 3],
}

/// A CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QnxCpu {
    /// Its number.
    pub number: u32,
    /// Physical address of the page table's root, 0 where nobody knew.
    pub page_table: u64,
    /// The process that ran there, where a name is given.
    pub process: String,
    /// Its registers as they were stored.
    pub registers: Vec<u8>,
}

impl QnxNote {
    /// From the bytes of the PT_NOTE; `None` where its numbers do not fit each other or its length.
    pub fn decode(bytes: &[u8], order: ByteOrder) -> Option<QnxNote> {
        QnxNote::fields(&mut Fields::new(bytes, order, WordSize::Bits32))
            .ok()
            .filter(|note| note.held(bytes.len()).is_some())
    }

    fn fields(f: &mut Fields<'_>) -> Result<QnxNote> {
        let mut head = [0; 4];
        head.copy_from_slice(f.bytes("note_version", 4)?);
        let [version, cause @ ..] = head;
        Ok(QnxNote {
            version,
            cause,
            cpus: f.u16("num_cpus")?,
            faulting_cpu: f.u16("faulting_cpu")?,
            regset_size: f.u32("regset_size")?,
            cpu_info: f.u32("cpu_info")?,
            segments: [f.u32("procnto_segnum")?, f.u32("syspage_segnum")?, f.u32("dumpinfo_segnum")?],
        })
    }

    /// How many CPUs there are records of, all or one, if they fill `len` bytes up to padding and the rest makes sense.
    fn held(&self, len: usize) -> Option<usize> {
        let step = CPU + self.regset_size as usize;
        let fills = |cpus: &usize| len.checked_sub(HEAD + cpus * step).is_some_and(|pad| pad < 16);
        let makes_sense = self.version == 0
            && (1..=MAX_CPUS).contains(&self.cpus)
            && self.faulting_cpu < self.cpus
            && (1..=MAX_REGISTERS).contains(&self.regset_size);
        [usize::from(self.cpus), 1].into_iter().find(|cpus| makes_sense && fills(cpus))
    }

    /// The CPUs of the record in `bytes`, of which this is the head: all, or the one that failed.
    pub fn cpus_in(&self, bytes: &[u8], order: ByteOrder) -> Vec<QnxCpu> {
        let Some(held) = self.held(bytes.len()) else { return Vec::new() };
        let size = self.regset_size as usize;
        let each = |places: &dyn Fn(usize) -> (usize, usize)| {
            (0..held).filter_map(|i| QnxCpu::decode(bytes, places(i), size, order)).collect::<Vec<_>>()
        };
        let next_to_each_other = each(&|i| (HEAD + i * (CPU + size), HEAD + i * (CPU + size) + CPU));
        if held == 1 || self.are_numbered(&next_to_each_other) {
            return next_to_each_other;
        }
        let apart = each(&|i| (HEAD + i * CPU, HEAD + held * CPU + i * size));
        if self.are_numbered(&apart) { apart } else { next_to_each_other }
    }

    /// Whether each CPU has a number of its own, of those that there are.
    fn are_numbered(&self, cpus: &[QnxCpu]) -> bool {
        let numbers: BTreeSet<u32> = cpus.iter().map(|cpu| cpu.number).collect();
        numbers.len() == cpus.len() && numbers.last().is_some_and(|last| *last < u32::from(self.cpus))
    }

    /// The record of these CPUs, in the layout of the writer.
    pub(crate) fn encode(&self, cpus: &[QnxCpu], order: ByteOrder) -> Vec<u8> {
        let mut f = FieldsMut::new(order, WordSize::Bits32);
        let [signal, code, fault] = self.cause;
        f.bytes(&[self.version, signal, code, fault]).u16(self.cpus).u16(self.faulting_cpu);
        f.u32(self.regset_size).u32(self.cpu_info);
        for number in self.segments {
            f.u32(number);
        }
        f.pad_to(HEAD);
        for (i, cpu) in cpus.iter().enumerate() {
            let at = HEAD + i * (CPU + self.regset_size as usize);
            f.u64(cpu.page_table).u32(cpu.number).pad_to(at + CPU - NAME);
            f.bytes(&cpu.process.as_bytes()[..cpu.process.len().min(NAME - 1)]);
            f.pad_to(at + CPU).bytes(&cpu.registers).pad_to(at + CPU + self.regset_size as usize);
        }
        f.into_bytes()
    }
}

impl QnxCpu {
    fn decode(bytes: &[u8], (record, registers): (usize, usize), size: usize, order: ByteOrder) -> Option<QnxCpu> {
        let mut f = Fields::new(bytes, order, WordSize::Bits32).at(record);
        let (page_table, number) = (f.u64("pgtbl").ok()?, f.u32("cpunum").ok()?);
        let name = f.at(record + CPU - NAME).bytes("process_name", NAME).ok()?;
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let registers = bytes.get(registers..registers + size)?.to_vec();
        Some(QnxCpu { number, page_table, process: String::from_utf8_lossy(name).into_owned(), registers })
    }

    /// The registers by their names, where the machine's are known: the pointer to the instruction is `rip`, `eip` or `pc`.
    pub fn named_registers(&self, machine: Machine) -> Vec<(String, u64)> {
        Registers::of(machine, self.registers.len())
            .map_or(Vec::new(), |set| set.decode(&self.registers, machine.order))
    }
}

/// The record of a dump that has none: what its notes say of its CPUs, or a CPU of which nothing is known.
///
/// # Errors
/// `Unsupported` for machines whose registers have no place in it.
pub(crate) fn of_notes(notes: &Notes, machine: Machine) -> Result<(QnxNote, Vec<QnxCpu>)> {
    let Some(set) = Registers::native(machine) else {
        let name = machine.name().unwrap_or("this machine");
        let text = format!("the QNX hypervisor has no guests of {name}, whose registers have no form there");
        return Err(Error::unsupported(text).hint("--format elf"));
    };
    let mut cpus = prstatus::cpus(notes, machine, set);
    if cpus.is_empty() {
        cpus.push(QnxCpu { number: 0, page_table: 0, process: String::new(), registers: vec![0; set.size()] });
    }
    cpus.truncate(usize::from(MAX_CPUS));
    let count = cpus.len() as u16; // MAX_CPUS at most
    let head = QnxNote {
        version: 0,
        cause: [0; 3],
        cpus: count,
        faulting_cpu: 0,
        regset_size: set.size() as u32,
        cpu_info: 0,
        segments: [0; 3],
    };
    Ok((head, cpus))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LE: ByteOrder = ByteOrder::Little;

    /// As the hypervisor writes it: `held` records of CPUs.
    fn bytes(cpus: u16, faulting: u16, regset: u32, held: usize) -> Vec<u8> {
        let mut out = vec![0, 11, 1, 14];
        out.extend(cpus.to_le_bytes());
        out.extend(faulting.to_le_bytes());
        for word in [regset, 0, 1, 2, 3] {
            out.extend(word.to_le_bytes());
        }
        out.resize(40 + held * (128 + regset as usize), 0);
        out
    }

    #[test]
    fn numbers_must_fit_each_other() {
        let note = QnxNote::decode(&bytes(4, 2, 272, 4), LE).unwrap();
        assert_eq!((note.cpus, note.faulting_cpu, note.regset_size, note.cause), (4, 2, 272, [11, 1, 14]));
        assert_eq!(note.segments, [1, 2, 3]);
        assert!(QnxNote::decode(&bytes(4, 0, 160, 1), LE).is_some());
        let mut padded = bytes(1, 0, 52, 1);
        padded.resize(padded.len() + 4, 0);
        assert!(QnxNote::decode(&padded, LE).is_some());
        for bad in
            [bytes(4, 2, 272, 3), bytes(0, 0, 272, 1), bytes(2, 2, 272, 2), bytes(1, 0, 0, 1), bytes(1, 0, 272, 2)]
        {
            assert_eq!(QnxNote::decode(&bad, LE), None);
        }
        assert_eq!(QnxNote::decode(&bytes(4, 2, 272, 4), ByteOrder::Big), None);
        assert_eq!(QnxNote::decode(&[0; 39], LE), None);
    }

    #[test]
    fn registers_follow_their_cpu_unless_numbers_say_otherwise() {
        let size = 160;
        for apart in [false, true] {
            let mut record = bytes(3, 1, size as u32, 3);
            for i in 0..3 {
                let (head, registers) = match apart {
                    false => (40 + i * (128 + size), 40 + i * (128 + size) + 128),
                    true => (40 + i * 128, 40 + 3 * 128 + i * size),
                };
                record[head] = 0x10 + i as u8;
                record[head + 8] = 2 - i as u8;
                record[head + 28..head + 33].copy_from_slice(b"idle\0");
                record[registers..registers + size].fill(0xa0 + i as u8);
            }
            let note = QnxNote::decode(&record, LE).unwrap();
            let cpus = note.cpus_in(&record, LE);
            let seen: Vec<_> = cpus.iter().map(|c| (c.number, c.page_table, c.registers[0])).collect();
            assert_eq!(seen, [(2, 0x10, 0xa0), (1, 0x11, 0xa1), (0, 0x12, 0xa2)], "{apart}");
            assert!(cpus.iter().all(|cpu| cpu.process == "idle" && cpu.registers.len() == size));
            assert_eq!(note.encode(&cpus, LE) == record, !apart);
        }
        // without numbers, the writer's layout
        let record = bytes(2, 0, 52, 2);
        let note = QnxNote::decode(&record, LE).unwrap();
        assert_eq!(note.encode(&note.cpus_in(&record, LE), LE), record);
    }

    #[test]
    fn a_name_that_fills_its_field_and_records_in_the_other_order() {
        let be = ByteOrder::Big;
        let cpu = QnxCpu { number: 0, page_table: 0x1000, process: "x".repeat(120), registers: vec![7; 52] };
        let head = QnxNote {
            version: 0,
            cause: [1; 3],
            cpus: 1,
            faulting_cpu: 0,
            regset_size: 52,
            cpu_info: 1,
            segments: [0; 3],
        };
        let bytes = head.encode(std::slice::from_ref(&cpu), be);
        assert_eq!(bytes.len(), 40 + 128 + 52);
        assert_eq!(QnxNote::decode(&bytes, be), Some(head));
        let [back] = head.cpus_in(&bytes, be).try_into().unwrap();
        assert_eq!((back.process.len(), back.page_table, &back.registers), (99, 0x1000, &cpu.registers));
    }
}
