//! Dumps of the QNX hypervisor's guests, laid out as QNX's kernel dumper writes one to a pipe: headers, memory segment
//! after segment, and last the record of the CPUs.
//!
//! | off | record (u8, u16, u32 as given) | off | a CPU (128 bytes, then its registers) |
//! |---|---|---|---|
//! | 0 | version, signal, code, fault (u8) | 0 | page table (u64) |
//! | 4 | CPUs, failed CPU (u16) | 8 | number (u32) |
//! | 8 | bytes of registers, CPU flags (u32) | 28 | process (100 bytes) |
//! | 16 | segments of procnto, system page, log (u32) | | |
//!
//! The log's segment: 16 bytes, a pointer, 12 bytes, size and index (u32), text.

use crate::bytes::{Endian, Sink, Width};

const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;

/// A CPU of a guest.
#[derive(Clone, Debug)]
pub struct QnxVcpu {
    /// Its number.
    pub number: u32,
    /// Physical address of its page table.
    pub page_table: u64,
    /// The process that runs there.
    pub process: &'static str,
    /// The registers as they are stored.
    pub registers: Vec<u8>,
}

impl QnxVcpu {
    /// A CPU whose registers are these words of 8 bytes, little endian: 34 for AArch64, 20 for x86-64.
    #[must_use]
    pub fn new(number: u32, words: &[u64]) -> Self {
        let registers = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        QnxVcpu { number, page_table: 0x1000 * u64::from(number + 1), process: "", registers }
    }
}

/// A dump to be.
#[derive(Clone, Debug)]
pub struct QnxGcore {
    /// `e_machine`; 62 is x86-64, 183 AArch64.
    pub machine: u16,
    /// Signal, code and fault.
    pub cause: [u8; 3],
    /// The CPU that failed.
    pub failed: u16,
    /// The CPUs.
    pub cpus: Vec<QnxVcpu>,
    /// All registers behind all records, as the old reader of many CPUs counts.
    pub apart: bool,
    /// Memory: address and bytes.
    pub ram: Vec<(u64, Vec<u8>)>,
    /// Where the code and the data of procnto and the system page are in memory (address and length); a guest that is
    /// not QNX has none.
    pub aliases: Option<[(u64, u64); 3]>,
    /// The log's address and its ring, and where the next byte goes.
    pub log: Option<(u64, Vec<u8>, usize)>,
}

impl QnxGcore {
    /// The dump of a guest that is not QNX.
    #[must_use]
    pub fn new(machine: u16, cpus: Vec<QnxVcpu>, ram: Vec<(u64, Vec<u8>)>) -> Self {
        QnxGcore { machine, cause: [0; 3], failed: 0, cpus, apart: false, ram, aliases: None, log: None }
    }

    /// The segment of the log, as the writer stores it: the oldest byte first.
    #[must_use]
    pub fn log_segment(&self) -> Option<Vec<u8>> {
        let (_, ring, next) = self.log.as_ref()?;
        let mut sink = Sink::new(Endian::Little, Width::W64);
        sink.pad_to(36);
        sink.u32(ring.len() as u32);
        sink.u32(*next as u32);
        match ring[*next] {
            0 => sink.raw(ring),
            _ => {
                sink.raw(&ring[*next..]);
                sink.raw(&ring[..*next]);
            }
        }
        Some(sink.into_bytes())
    }

    /// The record in place of notes.
    #[must_use]
    pub fn record(&self) -> Vec<u8> {
        let mut sink = Sink::new(Endian::Little, Width::W64);
        let [signal, code, fault] = self.cause;
        sink.raw(&[0, signal, code, fault]);
        sink.u16(self.cpus.len() as u16);
        sink.u16(self.failed);
        let size = self.cpus.first().map_or(0, |cpu| cpu.registers.len());
        sink.u32(size as u32);
        sink.u32(0);
        let first = self.ram.len() as u32;
        let numbers = match (&self.aliases, &self.log) {
            (Some(_), Some(_)) => [first, first + 2, first + 3],
            _ => [0; 3],
        };
        numbers.iter().for_each(|number| sink.u32(*number));
        sink.pad_to(40);
        for cpu in &self.cpus {
            let at = sink.len();
            sink.u64(cpu.page_table);
            sink.u32(cpu.number);
            sink.pad_to(at + 28);
            sink.text(cpu.process, 100);
            if !self.apart {
                sink.raw(&cpu.registers);
            }
        }
        if self.apart {
            self.cpus.iter().for_each(|cpu| sink.raw(&cpu.registers));
        }
        sink.into_bytes()
    }

    /// The file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut segments: Vec<(u32, u64, Vec<u8>)> =
            self.ram.iter().map(|(paddr, bytes)| (PT_LOAD, *paddr, bytes.clone())).collect();
        if let (Some(aliases), Some(log)) = (&self.aliases, self.log_segment()) {
            for (paddr, len) in aliases {
                segments.push((PT_LOAD, *paddr, self.memory(*paddr, *len)));
            }
            segments.push((PT_LOAD, self.log.as_ref().map_or(0, |log| log.0), log));
        }
        segments.push((PT_NOTE, 0, self.record()));
        let mut sink = Sink::new(Endian::Little, Width::W64);
        sink.raw(b"\x7fELF\x02\x01\x01");
        sink.pad_to(16);
        sink.u16(4);
        sink.u16(self.machine);
        sink.u32(1);
        sink.pad_to(32);
        sink.u64(64);
        sink.pad_to(52);
        [64, 56, segments.len() as u16].iter().for_each(|number| sink.u16(*number));
        sink.pad_to(64);
        let mut offset = 64 + 56 * segments.len() as u64;
        for (kind, paddr, bytes) in &segments {
            sink.u32(*kind);
            sink.u32(if *kind == PT_LOAD { 7 } else { 0 });
            [offset, 0, *paddr, bytes.len() as u64, bytes.len() as u64, 0].iter().for_each(|word| sink.u64(*word));
            offset += bytes.len() as u64;
        }
        segments.iter().for_each(|(_, _, bytes)| sink.raw(bytes));
        sink.into_bytes()
    }

    fn memory(&self, paddr: u64, len: u64) -> Vec<u8> {
        let holds = |(start, bytes): &&(u64, Vec<u8>)| *start <= paddr && paddr + len <= *start + bytes.len() as u64;
        let (start, bytes) = self.ram.iter().find(holds).expect("an alias lies in memory");
        bytes[(paddr - start) as usize..][..len as usize].to_vec()
    }
}
