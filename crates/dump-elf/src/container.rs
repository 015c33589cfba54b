//! An ELF core as a container of physical pages.
//!
//! PT_LOADs may overlap, and the first one wins, but a segment's missing tail (`p_filesz < p_memsz`) never hides the
//! data of another: what the file has and what is RAM are extents of their own. See `claims` for overlaps whose
//! contents differ.

use crate::claims::{Claims, Look, are_virtual_only};
use crate::flavor::{Evidence, Flavor};
use crate::format;
use crate::header::{FileHeader, INCOMPLETE};
use crate::judgement::Judgement;
use crate::qnx::{self, QnxNote};
use crate::section;
use crate::table::ProgramTable;
use dump_core::{
    Claim, Container, Description, DumpMeta, Error, Extent, ExtentPages, Extents, LargeNotes, NoteBytes, Notes,
    OpenOptions, OwnNote, PageBitmap, PageReader, PageSize, PageSource, PlainMemory, ReadAt, Result, Segment,
};
use std::sync::Arc;

/// An opened ELF core.
///
/// ELF does not state the page size of the dumped machine. A core opens with pages of 4 KiB; its VMCOREINFO may have
/// another size, and whoever reads it there [sets](Container::set_page_size) it.
pub struct ElfCore<R> {
    pages: ExtentPages<PlainMemory<Arc<R>>>,
    header: FileHeader,
    flavor: Flavor,
    filtered: bool,
    qnx: Option<QnxNote>,
    damage: Option<Error>,
    /// Where PT_LOADs claim the same memory.
    claims: Claims,
    /// Whether their contents are known to differ.
    conflicting: bool,
    /// What is wrong with the headers, as far as that was noticed when the core was opened.
    faults: Vec<Error>,
}

impl<R: ReadAt + 'static> ElfCore<R> {
    /// Reads the headers and the notes.
    ///
    /// # Errors
    /// `BadMagic` if it is no ELF core, `Unsupported` if it is one, but not a machine's memory (`/proc/kcore`, a
    /// Xen domain, a process, one without physical addresses), `Corrupt` or `Truncated` if its headers make no sense.
    /// A file that ends within its memory or its notes is not an error: what is there can be read, and
    /// [`damage`](Container::damage) has the reason.
    pub fn open(input: R) -> Result<ElfCore<R>> {
        ElfCore::open_as(input, &OpenOptions::default())
    }

    /// The same, where `options` may say that `/proc/kcore` is read as well.
    ///
    /// # Errors
    /// As [`open`](ElfCore::open).
    pub fn open_as(input: R, options: &OpenOptions) -> Result<ElfCore<R>> {
        let header = FileHeader::read(&input)?;
        let mut table = ProgramTable::read(&input, &header)?;
        let len = input.len()?;
        let input = Arc::new(input);
        let order = header.machine.order;
        let NoteBytes { bytes, last, large, fault, .. } = NoteBytes::read(&input, &table.notes, len, order)?;
        let notes = Notes::with_large(bytes, order, LargeNotes::new(input.clone(), large));
        let sections = section::names(&input, &header);
        let last_notes = notes.as_bytes().get(last.clone()).unwrap_or_default();
        let evidence = Evidence { header: &header, table: &table, notes: &notes, last_notes, sections: &sections };
        let (flavor, filtered) = (evidence.flavor(), evidence.is_filtered());
        if let Some(refusal) = flavor.refusal(options.live).or(table.fault.take()) {
            return Err(refusal);
        }
        if table.segments.is_empty() {
            return Err(Error::corrupt("no PT_LOAD with a physical address: the core holds no memory"));
        }
        let record = if flavor == Flavor::QnxGuest { QnxNote::decode(last_notes, order) } else { None };
        let mut log = None;
        let notes = match &record {
            Some(note) => {
                let segments = qnx::Segments::read(&input, &header, note)?;
                log = segments.log;
                let others = notes.as_bytes().get(..last.start).unwrap_or_default().to_vec();
                let others = Notes::with_large(others, order, notes.large().clone());
                qnx::take_over(&input, &others, last_notes, note, &segments, header.machine)?
            }
            None => notes,
        };
        let kept = notes.own(OwnNote::QnxRecord);
        let qnx = record.or(kept.and_then(|record| QnxNote::decode(record, order)));
        let virtual_only = are_virtual_only(&table.in_file);
        let mut claims = Claims::default();
        let in_file = Extents::layered(std::mem::take(&mut table.in_file), &mut |overlap| {
            // what memory has of the log is a ring, and the segment the text
            let is_log = |at: u64| log.is_some_and(|(_, len, offset)| (offset..offset + len).contains(&at));
            if !is_log(overlap.winner) && !is_log(overlap.loser) {
                claims.add(overlap);
            }
        });
        // a running kernel's memory changes between one look and the next
        let conflict = match claims.are_kexecs(&table.segments) || (flavor == Flavor::Kcore && !virtual_only) {
            true => None,
            false => claims.conflict(&input, Look::Few),
        };
        let conflicting = conflict.is_some();
        if conflicting && virtual_only {
            return Err(without_physical_addresses(table.segments.len()));
        }
        let odd = match table.file_end <= len && table.oversized.is_none() && flavor.has_plain_headers() {
            true => contradiction(&table, &header, &input, len),
            false => None,
        };
        let faults = [fault, conflict, oversized(&table), odd].into_iter().flatten().collect();
        let damage = (table.file_end > len).then(|| Error::truncated("its memory", table.file_end, len));
        let ram = ram(&table.segments);
        let meta = meta(&header, notes, qnx.as_ref(), table.segments);
        let pages = ExtentPages::of_ram(PlainMemory::new(input, in_file)?, ram, meta);
        Ok(ElfCore { pages, header, flavor, filtered, qnx, damage, claims, conflicting, faults })
    }

    /// The same, known to be damaged.
    pub(crate) fn with_damage(self, damage: Error) -> ElfCore<R> {
        ElfCore { damage: Some(damage), ..self }
    }

    /// Who made it.
    pub fn flavor(&self) -> Flavor {
        self.flavor
    }

    /// Whether pages were left out when it was made.
    pub fn is_filtered(&self) -> bool {
        self.filtered
    }

    /// What the QNX hypervisor has in place of notes, where that makes sense.
    pub fn qnx_note(&self) -> Option<&QnxNote> {
        self.qnx.as_ref()
    }

    /// The ELF header.
    pub fn header(&self) -> &FileHeader {
        &self.header
    }
}

impl<R: ReadAt> PageSource for ElfCore<R> {
    fn meta(&self) -> &DumpMeta {
        self.pages.meta()
    }

    fn mark_ram(&self, ram: &mut PageBitmap) -> Result<()> {
        self.pages.mark_ram(ram)
    }

    fn mark_held(&self, held: &mut PageBitmap) -> Result<()> {
        self.pages.mark_held(held)
    }

    fn claim(&self) -> Claim {
        self.pages.claim()
    }

    fn reader(&self) -> Box<dyn PageReader + '_> {
        self.pages.reader()
    }
}

impl<R: ReadAt> Container for ElfCore<R> {
    fn describe(&self) -> Description {
        Description { producer: Some(self.flavor.name()), ..Description::of(format::NAME) }
    }

    fn damage(&self) -> Option<&Error> {
        self.damage.as_ref()
    }

    fn header_faults(&self) -> &[Error] {
        &self.faults
    }

    fn doubts_pages(&self) -> bool {
        !self.faults.is_empty()
    }

    fn check_headers(&self) -> Vec<Error> {
        let mut faults = self.faults.clone();
        if !self.conflicting {
            faults.extend(self.claims.conflict(self.pages.memory().input(), Look::All));
        }
        faults
    }

    fn states_page_size(&self) -> bool {
        false
    }

    fn set_page_size(&mut self, size: PageSize) {
        self.pages.set_page_size(size);
    }
}

/// The first program header that contradicts the others.
fn contradiction(table: &ProgramTable, header: &FileHeader, input: &dyn ReadAt, len: u64) -> Option<Error> {
    let table_end = header.phoff.saturating_add(table.count.saturating_mul(u64::from(header.phentsize)));
    let next = header.program_header_at(input, table_end);
    Judgement::contradiction(&table.headers, table_end, next.as_ref(), len)
}

/// What the headers and the notes say about the machine; where its memory ends is computed from its extents.
fn meta(header: &FileHeader, notes: Notes, qnx: Option<&QnxNote>, segments: Vec<Segment>) -> DumpMeta {
    DumpMeta {
        stated_cpus: qnx.map(|note| u32::from(note.cpus)),
        segments: segments.into(),
        erase_info: notes.erase_info().unwrap_or_default().to_vec(),
        incomplete: header.flags & INCOMPLETE != 0,
        notes,
        ..DumpMeta::new(header.machine.of_kernel(), PageSize::K4)
    }
}

/// Memory that there was. It is not looked up in the file: with their addresses as offsets, neighbours become one.
fn ram(segments: &[Segment]) -> Extents {
    let extent = |s: &Segment| Extent { start: s.paddr.0, end: s.paddr.0 + s.bytes, offset: s.paddr.0 };
    Extents::first_wins(segments.iter().map(extent))
}

fn oversized(table: &ProgramTable) -> Option<Error> {
    let (count, first) = table.oversized?;
    let text = format!("p_filesz exceeds p_memsz in {count} PT_LOADs, the first is program header {first}");
    Some(Error::corrupt(text))
}

fn without_physical_addresses(loads: usize) -> Error {
    let text = format!(
        "{loads} PT_LOADs, all at p_paddr 0 and with different content: a core with virtual addresses alone, where \
         nothing says which memory is which"
    );
    Error::unsupported(text).hint("gdb reads it")
}
