//! Domain 0 of a Xen host, as an ordinary machine: its pages by its own page frame numbers.
//!
//! What a PV guest calls a page frame is none of the machine's. Its memory is read through its list of frames (p2m), and two
//! things in it change, for readers know no list:
//!
//! - its page tables, which hold the machine's frames: each of Xen's type gets its own frames in their place;
//! - the pointer `xen_start_info`, which becomes 0: readers that find it set take page tables to hold the machine's frames.
//!
//! All else is as it is in memory, the list of frames too.

use crate::claims;
use crate::image::Image;
use crate::kernel_files::KernelFiles;
use crate::open::Dump;
use crate::xen_files::XenFiles;
use crate::xen_host::{host, p2m};
use dump_core::{
    Absence, Claim, CodecSet, Container, Content, Depth, Description, DumpMeta, Error, Notes, PageBitmap, PageReader,
    PageSize, PageSource, Pfn, PfnRange, PhysAddr, Push, Result, Span, Survey, Watch, each_worker,
};
use dump_kernel::{PhysMemory, SourceMemory};
use dump_xen::{Frame, FrameReader, GuestRegisters, Owner, P2m, P2mRun, PageClass, TableKinds, XenHost, rewrite};
use std::sync::{Arc, OnceLock};

/// The variable by which readers tell a PV guest.
const XEN_START_INFO: &str = "xen_start_info";

/// The type of a note with the registers of a CPU.
const NT_PRSTATUS: u32 = 1;

/// Page frames that a worker looks up at once.
const PIECE: u64 = 1 << 15;

/// Top page tables that are held against the type of what they lead to.
const MAX_TOPS: usize = 16;

/// Domain 0 of a host, and what was found of it.
pub struct Domain0 {
    /// Its memory, and its kernel.
    pub image: Image,
    /// The hypervisor.
    pub host: XenHost,
    /// Page frames that it has.
    pub pages: u64,
    /// Those of them that are page tables, whose entries were changed.
    pub page_tables: u64,
    /// Page frames that it lists and that are not its own by Xen's frame table, left out.
    pub foreign: u64,
    /// CPUs whose registers are known, from the first on: those that ran its kernel when Xen ended.
    pub cpus: usize,
    /// The address of the pointer `xen_start_info`, which was changed; `None` where it is not known.
    pub start_info: Option<PhysAddr>,
}

impl Dump {
    /// Domain 0 of the Xen host that this is the dump of, as a machine of its own.
    ///
    /// # Errors
    /// `Unsupported` if it is no Xen host; `MissingInfo` if its notes do not lead to the hypervisor, or domain 0 is no PV
    /// guest; `Corrupt` if what they lead to makes no sense; as [`into_image_with`](Dump::into_image_with).
    pub fn into_domain0(self, xen: &XenFiles, files: &KernelFiles, watch: &dyn Watch) -> Result<Domain0> {
        claims::check(self.source())?;
        let name = self.name().to_owned();
        let host = host(self.source(), xen)?;
        if let Some(why) = host.misnumbering() {
            return Err(why.clone());
        }
        let p2m = p2m(self.source(), host.crash())?;
        let found = Found::look(self.source(), &host, &p2m)?;
        let (pages, page_tables, foreign) = (count(&found.own), count(&found.tables), found.foreign);
        let registers = registers(self.source(), &host);
        let patch = Arc::new(OnceLock::new());
        let memory = Memory::new(self, p2m, found, Arc::clone(&patch))?;
        let mut image = Dump::from_container(Box::new(memory), name).into_image_with(files, watch)?;
        let start_info = start_info(&image);
        if let Some(at) = start_info {
            let _ = patch.set(at); // the first, and only
        }
        // readers take the first note for that of the first CPU
        let mapped = registers.into_iter().filter(|registers| is_mapped(&image, registers));
        let own: Vec<_> = (0..).zip(mapped).take_while(|(i, own)| *i == own.cpu).map(|(_, own)| own).collect();
        for registers in &own {
            image = image.with_note(b"CORE", NT_PRSTATUS, &registers.prstatus())?;
        }
        Ok(Domain0 { image, host, pages, page_tables, foreign, start_info, cpus: own.len() })
    }
}

/// The registers of domain 0's vCPUs that ran its kernel when Xen ended.
fn registers(source: &dyn PageSource, host: &XenHost) -> Vec<GuestRegisters> {
    let memory = SourceMemory::new(source);
    let mut reader = host.frames().space().reader(memory.reader());
    let zero = host.domains().zero();
    zero.map_or(Vec::new(), |zero| GuestRegisters::all(&source.meta().notes, zero.at, &mut reader))
}

/// Whether the kernel maps where they point to: else they are another guest's.
fn is_mapped(image: &Image, registers: &GuestRegisters) -> bool {
    let Ok(kernel) = image.kernel() else { return false };
    let memory = image.memory();
    let mut memory = kernel.memory(&memory);
    registers.pointers().into_iter().all(|at| memory.translate(at).is_ok())
}

fn count(bits: &PageBitmap) -> u64 {
    bits.count(bits.span())
}

/// Where the pointer is, if it points somewhere and lies within a page.
fn start_info(image: &Image) -> Option<PhysAddr> {
    let kernel = image.kernel().ok()?;
    let at = kernel.with_symbols(&image.memory(), |symbols| symbols.symbol(XEN_START_INFO))?;
    let mut bytes = [0; 8];
    kernel.memory(&image.memory()).read(at, &mut bytes).ok()?;
    let at = image.translate(at).ok()?;
    (u64::from_le_bytes(bytes) != 0 && at.0 % 8 == 0).then_some(at)
}

/// What Xen's frame table says of domain 0's frames.
struct Found {
    /// Those that are its own.
    own: PageBitmap,
    /// Those that are page tables.
    tables: PageBitmap,
    foreign: u64,
}

/// Tables by one way to name them.
#[derive(Default)]
struct Tables {
    all: Vec<PfnRange>,
    /// Some of the top ones, in the machine's frames.
    tops: Vec<Pfn>,
}

/// What a worker found.
#[derive(Default)]
struct Part {
    foreign: Vec<PfnRange>,
    tables: [Tables; TableKinds::ALL.len()],
}

impl Found {
    fn look(source: &dyn PageSource, host: &XenHost, p2m: &P2m) -> Result<Found> {
        let memory = SourceMemory::new(source);
        let pieces = p2m.runs().iter().flat_map(|run| {
            (0..run.pages.len().div_ceil(PIECE)).map(|i| P2mRun {
                pages: PfnRange::at(run.pages.start + i * PIECE, PIECE).intersect(run.pages),
                machine: run.machine + i * PIECE,
            })
        });
        let parts = each_worker(pieces, &|next| {
            let mut frames = host.frames().reader(&memory);
            let mut part = Part::default();
            while let Some(piece) = next() {
                part.look(host, &mut frames, piece);
            }
            part
        });
        let span = PfnRange::new(Pfn(0), p2m.end());
        let too_far = || Error::corrupt(format!("domain 0's memory up to page frame {}", span.end));
        let bits = || PageBitmap::windowed(span).ok_or_else(too_far);
        let (mut own, mut tables) = (bits()?, bits()?);
        p2m.runs().iter().for_each(|run| own.set(run.pages));
        let foreign = parts.iter().flat_map(|part| &part.foreign).map(|run| own.clear(*run)).sum();
        let kind = (0..TableKinds::ALL.len()).find(|i| are_tables(&parts, *i, host, p2m, &memory));
        let kind = kind
            .ok_or_else(|| Error::missing("Xen's frame table does not show which pages of domain 0 are page tables"))?;
        parts.iter().flat_map(|part| &part.tables[kind].all).for_each(|run| tables.set(*run));
        Ok(Found { own, tables, foreign })
    }
}

impl Part {
    fn look(&mut self, host: &XenHost, frames: &mut FrameReader<'_>, piece: P2mRun) {
        let run = PfnRange::at(piece.machine, piece.pages.len());
        frames.visit(run, &mut |machine, frame| {
            let Some(frame) = frame else { return };
            let pfn = piece.pages.start + (machine - piece.machine);
            if !is_own(host, frame) {
                add(&mut self.foreign, pfn);
                return;
            }
            for (kinds, tables) in TableKinds::ALL.iter().zip(&mut self.tables) {
                let Some(level) = kinds.level(frame) else { continue };
                add(&mut tables.all, pfn);
                if level == 4 && tables.tops.len() < MAX_TOPS {
                    tables.tops.push(machine);
                }
            }
        });
    }
}

/// Whether a frame is domain 0's, or not known to be another's. Xen's heap has pages that it gave to domain 0.
fn is_own(host: &XenHost, frame: Frame) -> bool {
    let zero = host.domains().zero().map(|zero| zero.owner);
    match host.class(frame) {
        PageClass::Owned(Owner::Zero) | PageClass::Unknown => true,
        PageClass::XenHeap => zero == Some(frame.owner),
        _ => false,
    }
}

fn add(runs: &mut Vec<PfnRange>, pfn: Pfn) {
    match runs.last_mut() {
        Some(last) if last.end == pfn => last.end = pfn + 1,
        _ => runs.push(PfnRange::at(pfn, 1)),
    }
}

/// Whether top page tables by the `i`th way lead to tables of the level below by the same, and to nothing else of domain 0's.
fn are_tables(parts: &[Part], i: usize, host: &XenHost, p2m: &P2m, memory: &SourceMemory<'_>) -> bool {
    let (mut led, mut reader, mut frames) = (0, memory.reader(), host.frames().reader(memory));
    for top in parts.iter().flat_map(|part| &part.tables[i].tops).take(MAX_TOPS) {
        let mut table = [0; 4096];
        if reader.read(PageSize::K4.addr_of(*top), &mut table).is_err() {
            continue;
        }
        for next in dump_xen::table_frames(&table).filter(|next| p2m.domain(*next).is_some()) {
            let mut level = None;
            frames.visit(PfnRange::at(next, 1), &mut |_, frame| {
                level = frame.and_then(|frame| TableKinds::ALL[i].level(frame));
            });
            match level {
                Some(3) => led += 1,
                // one that maps itself
                Some(4) => {}
                _ => return false,
            }
        }
    }
    led != 0
}

/// Domain 0's memory, over the host's.
struct Memory {
    below: Box<dyn Container>,
    damage: Option<Error>,
    p2m: P2m,
    own: PageBitmap,
    held: PageBitmap,
    tables: PageBitmap,
    meta: DumpMeta,
    /// The 8 bytes that are 0.
    patch: Arc<OnceLock<PhysAddr>>,
}

impl Memory {
    fn new(dump: Dump, p2m: P2m, found: Found, patch: Arc<OnceLock<PhysAddr>>) -> Result<Memory> {
        let damage = dump.damage().cloned();
        let below = dump.into_container();
        let Found { own, tables, .. } = found;
        let span = own.span();
        let mut held = PageBitmap::windowed(span).ok_or_else(|| Error::corrupt("domain 0's memory has no end"))?;
        for run in p2m.runs() {
            let machine = PfnRange::at(run.machine, run.pages.len());
            let Some(mut there) = PageBitmap::windowed(machine) else { continue };
            below.mark_held(&mut there)?;
            for part in there.runs(machine) {
                held.set(PfnRange::at(run.pages.start + (part.start - run.machine), part.len()));
            }
        }
        let gaps: Vec<PfnRange> = gaps(&own).collect();
        gaps.into_iter().for_each(|gap| {
            held.clear(gap);
        });
        let from = below.meta();
        let meta = DumpMeta {
            end_pfn: span.end,
            notes: Notes::empty(from.machine.order),
            erase_info: from.erase_info.clone(),
            incomplete: from.incomplete,
            dump_level: from.dump_level,
            ..DumpMeta::new(from.machine, PageSize::K4)
        };
        Ok(Memory { below, damage, p2m, own, held, tables, meta, patch })
    }

    fn is_changed(&self, pfn: Pfn) -> bool {
        self.tables.get(pfn) || self.patched(pfn).is_some()
    }

    /// Where in a page the bytes are that are 0.
    fn patched(&self, pfn: Pfn) -> Option<usize> {
        let at = self.patch.get()?;
        (PageSize::K4.pfn_of(*at) == pfn).then_some((at.0 % 4096) as usize)
    }

    fn change(&self, pfn: Pfn, page: &mut [u8]) {
        if self.tables.get(pfn) {
            rewrite(page, &|machine| self.p2m.domain(machine), &|pfn| self.own.get(pfn));
        }
        if let Some(bytes) = self.patched(pfn).and_then(|at| page.get_mut(at..at + 8)) {
            bytes.fill(0);
        }
    }

    /// The first of `run` that is to be changed, and those after it that are too.
    fn next_changed(&self, run: PfnRange) -> PfnRange {
        let table = self.tables.next_set(run.start).unwrap_or(run.end).min(run.end);
        let patch = self.patch.get().map(|at| PageSize::K4.pfn_of(*at)).filter(|pfn| run.contains(*pfn));
        PfnRange::at(patch.unwrap_or(run.end).min(table), 1)
    }
}

/// What is not in a set.
fn gaps(bits: &PageBitmap) -> impl Iterator<Item = PfnRange> + '_ {
    let mut at = bits.span().start;
    std::iter::from_fn(move || {
        let start = bits.next_clear(at);
        let end = bits.next_set(start).unwrap_or(bits.span().end);
        at = end;
        (start < end).then(|| PfnRange::new(start, end))
    })
}

fn mark(from: &PageBitmap, into: &mut PageBitmap) {
    let runs: Vec<PfnRange> = from.runs(into.span()).collect();
    runs.into_iter().for_each(|run| into.set(run));
}

impl PageSource for Memory {
    fn meta(&self) -> &DumpMeta {
        &self.meta
    }

    fn mark_ram(&self, ram: &mut PageBitmap) -> Result<()> {
        mark(&self.own, ram);
        Ok(())
    }

    fn mark_held(&self, held: &mut PageBitmap) -> Result<()> {
        mark(&self.held, held);
        Ok(())
    }

    fn claim(&self) -> Claim {
        self.below.claim()
    }

    fn reader(&self) -> Box<dyn PageReader + '_> {
        Box::new(Reader { memory: self, below: self.below.reader(), page: Vec::new() })
    }
}

impl Container for Memory {
    fn describe(&self) -> Description {
        Description { producer: Some("Xen host, domain 0"), part: None, ..self.below.describe() }
    }

    fn damage(&self) -> Option<&Error> {
        self.damage.as_ref()
    }

    fn mixes_pages_up(&self) -> bool {
        self.below.mixes_pages_up()
    }

    fn header_faults(&self) -> &[Error] {
        self.below.header_faults()
    }

    fn doubts_pages(&self) -> bool {
        self.below.doubts_pages()
    }

    fn survey(&self, depth: Depth) -> Result<Survey> {
        self.below.survey(depth)
    }

    fn states_page_size(&self) -> bool {
        true
    }

    fn set_page_size(&mut self, _: PageSize) {}
}

/// A worker's half.
struct Reader<'a> {
    memory: &'a Memory,
    below: Box<dyn PageReader + 'a>,
    page: Vec<u8>,
}

impl Reader<'_> {
    /// Pages that the machine has in the order in which domain 0 has them.
    fn copy(&mut self, run: P2mRun, accept: CodecSet, push: Push<'_>) -> Result<()> {
        let machine = PfnRange::at(run.machine, run.pages.len());
        self.below.visit(machine, accept, &mut |span| {
            let first = run.pages.start + (span.pages.start - run.machine);
            push(Span { pages: PfnRange::at(first, span.pages.len()), content: span.content })
        })
    }

    fn changed(&mut self, run: P2mRun, push: Push<'_>) -> Result<()> {
        let (memory, page) = (self.memory, &mut self.page);
        self.below.visit(PfnRange::at(run.machine, 1), CodecSet::NONE, &mut |span| {
            let content = match span.content {
                Content::Bytes(bytes) => {
                    page.clear();
                    page.extend_from_slice(bytes);
                    memory.change(run.pages.start, page);
                    Content::Bytes(page)
                }
                other => other,
            };
            push(Span { pages: run.pages, content })
        })
    }

    /// A run that domain 0 has.
    fn there(&mut self, run: P2mRun, accept: CodecSet, push: Push<'_>) -> Result<()> {
        let mut rest = run;
        while !rest.pages.is_empty() {
            let changed = self.memory.next_changed(rest.pages);
            let plain = PfnRange::new(rest.pages.start, changed.start);
            if !plain.is_empty() {
                self.copy(P2mRun { pages: plain, machine: rest.machine }, accept, push)?;
            }
            rest = after(rest, changed.start);
            if !rest.pages.is_empty() {
                debug_assert!(self.memory.is_changed(changed.start));
                self.changed(P2mRun { pages: changed, machine: rest.machine }, push)?;
                rest = after(rest, changed.end);
            }
        }
        Ok(())
    }
}

/// What is left of a run from `pfn` on.
fn after(run: P2mRun, pfn: Pfn) -> P2mRun {
    let pages = PfnRange::new(pfn, run.pages.end);
    P2mRun { pages, machine: run.machine + (pfn - run.pages.start) }
}

impl PageReader for Reader<'_> {
    fn visit(&mut self, run: PfnRange, accept: CodecSet, push: Push<'_>) -> Result<()> {
        let memory = self.memory;
        let mut at = run.start;
        let hole = |from: Pfn, to: Pfn, push: Push<'_>| match PfnRange::new(from, to) {
            pages if pages.is_empty() => Ok(()),
            pages => push(Span { pages, content: Content::Absent(Absence::Hole) }),
        };
        for own in memory.own.runs(run) {
            for mapped in memory.p2m.within(own) {
                hole(at, mapped.pages.start, push)?;
                self.there(mapped, accept, push)?;
                at = mapped.pages.end;
            }
        }
        hole(at, run.end, push)
    }
}
