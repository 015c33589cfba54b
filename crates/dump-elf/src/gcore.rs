//! Writing cores as the QNX hypervisor writes them of its guests (`.gcore`), for kdserver, gdb and `use -i`.
//!
//! ```text
//! ELF header (64 bit, whatever the guest is), program headers: PT_LOADs, then PT_NOTEs
//! notes, if there are some that the record does not have; the kernel's log; the record of the CPUs
//! memory
//! ```
//!
//! What the public reader (kdserver) takes: `e_phnum` program headers, so less than 65535; the last PT_NOTE, which is a
//! record and no notes (see `qnx`); PT_LOADs by their number, those before the PT_NOTEs; of memory `p_filesz` bytes, of the
//! first PT_LOAD that has it. `p_vaddr` is 0. It seeks, so that the record may come before memory; the dump of a guest that
//! is cut off has it then.

use crate::format::EXACT_LOADS;
use crate::header::{PN_XNUM, ProgramHeader};
use crate::layout::{Layout, Load, Wish};
use crate::qnx::{QnxNote, Segments, is_prstatus, of_notes, prstatus};
use crate::writer::{ElfFile, Ends, named, stream_len};
use dump_core::{
    DumpMeta, DumpWriter, Error, Fields, Notes, OwnNote, PageSet, PageWriter, PhysAddr, Placer, Result, Segment,
    VirtAddr, WordSize,
};
use goblin::elf::program_header::{PF_R, PF_W, PF_X, PT_LOAD, PT_NOTE};

/// PT_LOADs at most, besides the few of QNX's own.
const MAX_LOADS: usize = PN_XNUM as usize - 16;

/// Bytes ahead of the log's segment in its note: its address.
const LOG_AT: usize = 8;

/// Writes a guest's core, all of it to output 0. A dump that was one has its record again, another's is made of what its
/// notes say of its CPUs.
#[derive(Default)]
pub struct GcoreWriter;

impl DumpWriter for GcoreWriter {
    fn prepare(
        self: Box<Self>,
        meta: &DumpMeta,
        ram: &dyn PageSet,
        dumpable: &dyn PageSet,
        out: &mut dyn Placer,
    ) -> Result<Box<dyn PageWriter>> {
        let parts = Parts::of(meta).map_err(|e| e.within("gcore output"))?;
        let notes = parts.notes.with_erase_info(&meta.erase_info)?;
        let last: Vec<Segment> = parts.aliases.iter().flatten().copied().collect();
        let without: Vec<Segment> = last.iter().copied().chain(parts.log_segment()).collect();
        let others = 1 + u64::from(stream_len(&notes) != 0) + u64::from(parts.log.is_some());
        let wish = Wish {
            others,
            most: MAX_LOADS,
            wide: true,
            without: &without,
            last: &last,
            ..Wish::core(stream_len(&notes) + parts.behind_len(), EXACT_LOADS)
        };
        let mut layout = Layout::new(meta, ram, dumpable, &wish).map_err(named)?;
        layout.loads.iter_mut().for_each(|load| load.vaddr = 0);
        if layout.is_extended() {
            let text = format!("{} PT_LOADs, which is more than its readers take", layout.loads.len());
            return Err(Error::unsupported(text).within("gcore output"));
        }
        let ends = parts.ends(stream_len(&notes), &layout.loads);
        ElfFile::begin(meta, &notes, layout, ends, dumpable, out)
    }
}

/// What the notes of a dump become.
struct Parts {
    /// Those that the record does not have.
    notes: Notes,
    head: QnxNote,
    record: Vec<u8>,
    aliases: [Option<Segment>; 3],
    /// The log's segment, and where it lies in memory.
    log: Option<(u64, Vec<u8>)>,
    order: dump_core::ByteOrder,
}

impl Parts {
    fn of(meta: &DumpMeta) -> Result<Parts> {
        let (notes, order) = (&meta.notes, meta.machine.order);
        let own = |what| notes.own(what).filter(|_| notes.order() == order);
        let known = own(OwnNote::QnxRecord).and_then(|bytes| Some((QnxNote::decode(bytes, order)?, bytes.to_vec())));
        let (head, record) = match known.clone() {
            Some(known) => known,
            None => of_notes(notes, meta.machine).map(|(head, cpus)| (head, head.encode(&cpus, order)))?,
        };
        // notes that come of the record come of it again
        let derived = known.map_or(Vec::new(), |(head, bytes)| prstatus(&head.cpus_in(&bytes, order), meta.machine));
        let of_qnx = [OwnNote::QnxRecord, OwnNote::QnxDumpInfo, OwnNote::QnxSegments];
        let notes = notes.filtered(|note, desc| {
            let again = is_prstatus(note) && derived.iter().any(|known| known == desc);
            !again && !of_qnx.iter().any(|own| own.is(note))
        });
        let log = own(OwnNote::QnxDumpInfo).and_then(|bytes| {
            let paddr = Fields::new(bytes, order, WordSize::Bits64).u64("paddr").ok()?;
            Some((paddr, bytes.get(LOG_AT..)?.to_vec()))
        });
        let aliases = own(OwnNote::QnxSegments).map_or([None; 3], |bytes| Segments::decode(bytes, order));
        Ok(Parts { notes, head, record, aliases, log, order })
    }

    fn log_segment(&self) -> Option<Segment> {
        let (paddr, bytes) = self.log.as_ref()?;
        Some(Segment { paddr: PhysAddr(*paddr), vaddr: VirtAddr(0), bytes: bytes.len() as u64 })
    }

    fn behind_len(&self) -> u64 {
        self.record_at() + self.record.len() as u64
    }

    /// Where the record begins, behind the notes.
    fn record_at(&self) -> u64 {
        self.log.as_ref().map_or(0, |(_, bytes)| bytes.len() as u64).next_multiple_of(8)
    }

    /// What comes behind `notes` bytes of notes, with the numbers of `loads`.
    fn ends(self, notes: u64, loads: &[Load]) -> Ends {
        let at = self.record_at();
        let number = |alias: &Option<Segment>| {
            let alias = alias.as_ref()?;
            loads.iter().rposition(|load| load.paddr == alias.paddr.0).map(|at| at as u32) // MAX_LOADS at most
        };
        let [procnto, _, system] = &self.aliases;
        let log = self.log.is_some().then_some(loads.len() as u32);
        let segments = [number(procnto), number(system), log].map(|number| number.unwrap_or(0));
        let head = QnxNote { segments, ..self.head };
        // of the record as it was, nothing but the numbers changes
        let mut record = self.record;
        let new = head.encode(&[], self.order);
        let len = new.len().min(28).min(record.len());
        record[..len].copy_from_slice(&new[..len]);
        let mut headers = Vec::new();
        let mut behind = Vec::new();
        if let Some((paddr, bytes)) = self.log {
            let len = bytes.len() as u64;
            let flags = PF_R | PF_W | PF_X;
            headers.push(ProgramHeader {
                kind: PT_LOAD,
                flags,
                paddr,
                filesz: len,
                memsz: len,
                ..ProgramHeader::default()
            });
            behind = bytes;
        }
        behind.resize(at as usize, 0);
        let len = record.len() as u64;
        behind.extend(record);
        headers.push(ProgramHeader { kind: PT_NOTE, offset: at, filesz: len, memsz: len, ..ProgramHeader::default() });
        Ends { notes, behind, headers }
    }
}
