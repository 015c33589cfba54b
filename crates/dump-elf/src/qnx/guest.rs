//! What a dump says of a guest, from the notes that any container keeps.

use super::dump_info;
use super::prstatus::{is_prstatus, prstatus};
use super::record::{QnxCpu, QnxNote};
use super::segments::Segments;
use dump_core::{Machine, Notes, OwnNote, ReadAt, Result};

/// Bytes ahead of the log's segment in its note: its address.
const LOG_AT: usize = 8;

/// A guest of the QNX hypervisor, or QNX itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QnxGuest {
    /// Why the dump was taken, and how many CPUs there are.
    pub head: QnxNote,
    /// The CPUs, or the one that failed alone.
    pub cpus: Vec<QnxCpu>,
    /// What the guest's kernel logged, where it is QNX and left that in the dump.
    pub log: Option<String>,
}

impl QnxGuest {
    /// From the notes of a dump; `None` where it is none of QNX.
    pub fn of(notes: &Notes) -> Option<QnxGuest> {
        let (record, order) = (notes.own(OwnNote::QnxRecord)?, notes.order());
        let head = QnxNote::decode(record, order)?;
        let log = notes.own(OwnNote::QnxDumpInfo).and_then(|info| dump_info::text(info.get(LOG_AT..)?, order));
        Some(QnxGuest { cpus: head.cpus_in(record, order), head, log })
    }
}

/// The notes of a file with `record`, of the head `note`, in place of what came with it: `notes` are the others. The CPUs
/// get notes NT_PRSTATUS too, unless they have some, or the record lacks CPUs: nothing would say which of them they are.
pub(crate) fn take_over(
    input: &dyn ReadAt,
    notes: &Notes,
    record: &[u8],
    note: &QnxNote,
    segments: &Segments,
    machine: Machine,
) -> Result<Notes> {
    let (mut all, order) = (notes.clone(), notes.order());
    let cpus = note.cpus_in(record, order);
    if cpus.len() == usize::from(note.cpus) && !notes.iter().any(|note| is_prstatus(&note)) {
        for desc in prstatus(&cpus, machine) {
            all = all.with_note(b"CORE", 1, &desc)?;
        }
    }
    all = all.with_own(OwnNote::QnxRecord, record)?;
    let log = segments.read_log(input, order);
    if let Some(log) = log.filter(|log| dump_info::text(log.get(LOG_AT..).unwrap_or_default(), order).is_some()) {
        all = all.with_own(OwnNote::QnxDumpInfo, &log)?;
    }
    match segments.encode(order) {
        Some(places) => all.with_own(OwnNote::QnxSegments, &places),
        None => Ok(all),
    }
}
