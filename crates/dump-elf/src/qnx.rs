//! What the QNX hypervisor puts where notes should be.
//!
//! The PT_NOTE of a guest's `.gcore` holds a structure instead of notes:
//!
//! | off | size | field |
//! |---|---|---|
//! | 0 | 1 each | note_version (0), sig_num, sig_code, fault_num |
//! | 4 | 2 each | num_cpus, faulting_cpu |
//! | 8 | 4 each | regset_size (bytes), cpu_info |
//! | 16 | 4 each | procnto_segnum, syspage_segnum, dumpinfo_segnum: program headers by number |
//! | 28 | 12 | spare |
//! | 40 | | for each CPU a record of 128 bytes and `regset_size` bytes of registers |
//!
//! Known from public sources of 2007 and 2008 (sys/kdump.h, service/kdumper) whose writer had one CPU only. Whether
//! records and registers alternate where there are more is not known; both ways take the same room, which is all that
//! counts here.

use dump_core::{ByteOrder, Fields, Result, WordSize};

/// Bytes before the CPUs' records.
const HEAD: u64 = 40;

/// Bytes of a CPU's record.
const CPU: u64 = 128;

/// Bounds of what is believed; a register set has 272 bytes on AArch64.
const MAX_REGISTERS: u32 = 64 << 10;
const MAX_CPUS: u16 = 1024;

/// The structure's head.
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

impl QnxNote {
    /// From the bytes of the PT_NOTE; `None` where its numbers do not fit each other or its length.
    pub fn decode(bytes: &[u8], order: ByteOrder) -> Option<QnxNote> {
        QnxNote::fields(&mut Fields::new(bytes, order, WordSize::Bits32))
            .ok()
            .filter(|note| note.is_plausible(bytes.len() as u64))
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

    /// Whether records for all CPUs, or for one, fill the length, up to padding.
    fn is_plausible(&self, len: u64) -> bool {
        let filled = |cpus: u64| HEAD + cpus * (CPU + u64::from(self.regset_size));
        self.version == 0
            && (1..=MAX_CPUS).contains(&self.cpus)
            && self.faulting_cpu < self.cpus
            && (1..=MAX_REGISTERS).contains(&self.regset_size)
            && [u64::from(self.cpus), 1]
                .into_iter()
                .any(|cpus| len.checked_sub(filled(cpus)).is_some_and(|pad| pad < 16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let le = ByteOrder::Little;
        let note = QnxNote::decode(&bytes(4, 2, 272, 4), le).unwrap();
        assert_eq!((note.cpus, note.faulting_cpu, note.regset_size, note.cause), (4, 2, 272, [11, 1, 14]));
        assert_eq!(note.segments, [1, 2, 3]);
        assert!(QnxNote::decode(&bytes(4, 0, 160, 1), le).is_some());
        let mut padded = bytes(1, 0, 52, 1);
        padded.resize(padded.len() + 4, 0);
        assert!(QnxNote::decode(&padded, le).is_some());
        for bad in
            [bytes(4, 2, 272, 3), bytes(0, 0, 272, 1), bytes(2, 2, 272, 2), bytes(1, 0, 0, 1), bytes(1, 0, 272, 2)]
        {
            assert_eq!(QnxNote::decode(&bad, le), None);
        }
        assert_eq!(QnxNote::decode(&bytes(4, 2, 272, 4), ByteOrder::Big), None);
        assert_eq!(QnxNote::decode(&[0; 39], le), None);
    }
}
