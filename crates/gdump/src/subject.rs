//! A dump with all that can be learnt of its kernel: from its notes, or from vmcoreinfo found in its memory, which puts right
//! what QEMU leaves out or gets wrong.

use crate::open::{Container, Dump};
use crate::plan::Inputs;
use dump_core::{
    CodecId, CodecSet, Content, DumpMeta, Error, FieldsMut, Machine, PageBitmap, PageSource, Pfn, PfnRange, Repaged,
    Result, Scratch, UtsName, Watch, WordSize, share_out,
};
use dump_kdump::desc::flags_of;
use dump_kernel::arch::{MachineFacts, arch_of};
use dump_kernel::{Kernel, MemMap, PageRules, PhysMemory, SourceMemory, Vmcoreinfo, Words, vmcoreinfo_at};

/// `e_machine` of architectures with names of their own here.
const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;
const EM_RISCV: u16 = 243;

/// A dump to be converted.
pub struct Subject {
    /// Its pages, in the size that its kernel has.
    pub source: Box<dyn PageSource>,
    /// What it says, with what was learnt.
    pub meta: DumpMeta,
    /// Its vmcoreinfo.
    pub info: Option<Vmcoreinfo>,
    /// Where in memory that was found, if it had to be searched for.
    pub found_at: Option<Pfn>,
    /// Why it ends early, where it does.
    pub damage: Option<Error>,
    /// How its pages are packed, if they are.
    pub codec: Option<CodecId>,
    /// The page frames that it holds, where it is one part of a split dump without the others.
    pub lone_part: Option<PfnRange>,
    /// Its names, for messages.
    pub name: String,
}

impl Subject {
    /// Learns what there is to learn of an opened dump.
    ///
    /// # Errors
    /// Where its pages cannot be looked at at all.
    pub fn new(mut dump: Dump, inputs: &Inputs, watch: &dyn Watch) -> Result<Subject> {
        let damage = dump.damage.take();
        let codec = codec_of(&dump);
        let lone_part = match &dump.container {
            Container::Kdump(file) => file.split_range(),
            _ => None,
        };
        let mut found = None;
        if dump.source().meta().vmcoreinfo_text().is_none() {
            found = search(dump.source(), watch)?;
            if let Some(size) = found.as_ref().and_then(|(_, _, text)| Vmcoreinfo::parse(text).page_size()) {
                dump.set_page_size(size);
            }
        }
        let source = dump.into_source();
        let mut meta = source.meta().clone();
        let found_at = found.as_ref().map(|(pfn, ..)| *pfn);
        if let Some((_, machine, text)) = found {
            meta.machine = machine;
            add_note(&mut meta, &text);
        }
        let info = meta.vmcoreinfo_text().map(Vmcoreinfo::parse);
        if let (0, Some(machine)) = (meta.machine.elf_machine, info.as_ref().and_then(Vmcoreinfo::elf_machine)) {
            meta.machine.elf_machine = machine;
        }
        let source = cut_to_page_size(source, info.as_ref(), &mut meta);
        let names: Vec<String> = inputs.paths.iter().map(|path| path.display().to_string()).collect();
        let name = names.join(", ");
        let mut subject = Subject { source, meta, info, found_at, damage, codec, lone_part, name };
        subject.complete();
        Ok(subject)
    }

    /// Its memory by physical address.
    pub fn memory(&self) -> SourceMemory<'_> {
        SourceMemory::new(self.source.as_ref())
    }

    /// Puts in what vmcoreinfo tells: it wins over headers, since QEMU leaves utsname empty, misreads phys_base (a decimal
    /// number taken for hexadecimal) and knows no crash time.
    fn complete(&mut self) {
        let Some(info) = &self.info else { return };
        self.meta.crash_time = info.crash_time().unwrap_or(self.meta.crash_time);
        let facts = MachineFacts {
            symbols: info,
            words: Words::of(self.meta.machine),
            page_size: self.meta.page_size,
            segments: &self.meta.segments,
        };
        let phys_base = arch_of(self.meta.machine).and_then(|arch| arch.phys_base(facts));
        self.meta.phys_base = phys_base.unwrap_or(self.meta.phys_base);
        let named = UtsName::named(info.release().unwrap_or_default(), machine_name(self.meta.machine));
        let read = Kernel::new(info.clone(), self.meta.machine, self.meta.page_size, &self.meta.segments)
            .and_then(|kernel| kernel.utsname(&self.memory()))
            .ok()
            .filter(|uts| info.release().is_some_and(|release| uts.release() == release));
        if let Some(uts) = read {
            self.meta.utsname = uts;
        } else if Some(self.meta.utsname.release().as_str()) != info.release() {
            self.meta.utsname = named;
        }
    }
}

/// What the kernel tells of its pages.
pub struct KernelView {
    /// The kernel.
    pub kernel: Kernel,
    /// Its struct pages.
    pub map: MemMap,
    /// How they are marked.
    pub rules: PageRules,
}

impl KernelView {
    /// Learns where the struct pages are and what they say.
    ///
    /// # Errors
    /// Where the dump does not tell, or cannot be read there.
    pub fn new(info: &Vmcoreinfo, meta: &DumpMeta, memory: &dyn PhysMemory) -> Result<KernelView> {
        let kernel = Kernel::new(info.clone(), meta.machine, meta.page_size, &meta.segments)?;
        let rules = kernel.page_rules()?;
        let map = kernel.mem_map(memory, meta.end_pfn).map_err(|e| e.within("mem_map cannot be found"))?;
        Ok(KernelView { kernel, map, rules })
    }
}

/// The codec that a kdump file says it uses.
fn codec_of(dump: &Dump) -> Option<CodecId> {
    let status = match &dump.container {
        Container::Kdump(file) => file.header().main.status,
        Container::Split(set) => set.parts().first()?.header().main.status,
        _ => 0,
    };
    CodecId::ALL.into_iter().find(|codec| status & flags_of(Some(*codec)) != 0)
}

/// Pages as the kernel has them, where the container has larger ones (QEMU has 64 KiB for every arm64 guest).
fn cut_to_page_size(
    source: Box<dyn PageSource>,
    info: Option<&Vmcoreinfo>,
    meta: &mut DumpMeta,
) -> Box<dyn PageSource> {
    let Some(page_size) = info.and_then(Vmcoreinfo::page_size) else { return source };
    match Repaged::new(source, page_size) {
        Ok(cut) => {
            meta.page_size = page_size;
            meta.end_pfn = cut.meta().end_pfn;
            Box::new(cut)
        }
        Err(source) => source,
    }
}

/// What `uname -m` calls a machine; empty where that is not known.
pub fn machine_name(machine: Machine) -> &'static str {
    match (machine.elf_machine, machine.word) {
        (3, _) => "i686",
        (8, WordSize::Bits64) => "mips64",
        (8, WordSize::Bits32) => "mips",
        (20, _) => "ppc",
        (21, _) if machine.order == dump_core::ByteOrder::Little => "ppc64le",
        (21, _) => "ppc64",
        (22, _) => "s390x",
        (40, _) => "armv7l",
        (EM_X86_64, _) => "x86_64",
        (EM_AARCH64, _) => "aarch64",
        (EM_RISCV, _) => "riscv64",
        (258, _) => "loongarch64",
        _ => "",
    }
}

/// Appends a VMCOREINFO note.
fn add_note(meta: &mut DumpMeta, text: &[u8]) {
    let mut note = FieldsMut::new(meta.machine.order, meta.machine.word);
    note.u32(11).u32(text.len() as u32).u32(0).bytes(b"VMCOREINFO\0\0");
    let from = meta.notes.len().next_multiple_of(4);
    meta.notes.resize(from, 0);
    meta.notes.extend(note.into_bytes());
    let start = meta.notes.len();
    meta.notes.extend_from_slice(text);
    meta.vmcoreinfo = Some(start..meta.notes.len());
    meta.notes.resize(meta.notes.len().next_multiple_of(4), 0);
}

/// Pages that a worker takes at a time in the search, and that a source is asked for at once.
const WINDOW: u64 = 1 << 12;
const AT_ONCE: u64 = 16;

/// Every page of the kernel begins at a multiple of this, whatever the container's pages are.
const STEP: usize = 4096;

/// Looks for vmcoreinfo in memory: the candidate that holds on the kernel itself, else, for an architecture that is not
/// walked yet, the longest.
fn search(source: &dyn PageSource, watch: &dyn Watch) -> Result<Option<(Pfn, Machine, Vec<u8>)>> {
    let mut candidates = candidates(source, watch)?;
    // several copies are normal; the most complete first, of equals the lowest
    candidates.sort_by_key(|(pfn, text)| (std::cmp::Reverse(text.len()), *pfn));
    let memory = SourceMemory::new(source);
    let meta = source.meta();
    let machine = |info: &Vmcoreinfo| match meta.machine.elf_machine {
        0 => Machine { elf_machine: info.elf_machine().unwrap_or(0), ..meta.machine },
        _ => meta.machine,
    };
    let holds = |text: &[u8]| {
        let info = Vmcoreinfo::parse(text);
        let machine = machine(&info);
        let kernel = Kernel::new(info.clone(), machine, meta.page_size, &meta.segments).ok()?;
        let uts = kernel.utsname(&memory).ok()?;
        (Some(uts.release().as_str()) == info.release()).then_some(())
    };
    if let Some(at) = candidates.iter().position(|(_, text)| holds(text).is_some()) {
        let (pfn, text) = candidates.swap_remove(at);
        let machine = machine(&Vmcoreinfo::parse(&text));
        return Ok(Some((pfn, machine, text)));
    }
    let first = candidates.into_iter().next().map(|(pfn, text)| (pfn, machine(&Vmcoreinfo::parse(&text)), text));
    Ok(first.filter(|(_, machine, _)| machine.elf_machine != EM_X86_64))
}

/// Where a text that may be vmcoreinfo was found, and the text.
type Candidate = (Pfn, Vec<u8>);

fn candidates(source: &dyn PageSource, watch: &dyn Watch) -> Result<Vec<Candidate>> {
    let end = source.meta().end_pfn;
    let Some(mut held) = PageBitmap::new(end) else { return Ok(Vec::new()) };
    source.mark_held(&mut held)?;
    let windows = (0..end.0.div_ceil(WINDOW)).map(|i| PfnRange::at(Pfn(i * WINDOW), WINDOW));
    let windows = windows.filter(|window| held.count(*window) != 0);
    let found = share_out(windows, Scratch::default, |scratch, window| {
        let mut found = Vec::new();
        for run in held.runs(window) {
            let mut at = run.start;
            while at < run.end && !watch.stopped() {
                let piece = PfnRange::new(at, run.end.min(at + AT_ONCE));
                search_run(source, piece, scratch, &mut found)?;
                at = piece.end;
            }
        }
        Ok(found)
    });
    Ok(found.into_iter().collect::<Result<Vec<_>>>()?.concat())
}

fn search_run(source: &dyn PageSource, run: PfnRange, scratch: &mut Scratch, found: &mut Vec<Candidate>) -> Result<()> {
    let size = source.meta().page_size.bytes();
    source.visit(run, CodecSet::NONE, scratch, &mut |span| {
        if let Content::Bytes(bytes) = span.content {
            for at in (0..bytes.len()).step_by(STEP) {
                if let Some(text) = vmcoreinfo_at(&bytes[at..]) {
                    found.push((span.pages.start + (at / size) as u64, text.to_vec()));
                }
            }
        }
        Ok(())
    })
}
