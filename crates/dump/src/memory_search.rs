//! Searching memory for vmcoreinfo, if no note has it.

use dump_core::{
    CodecSet, Content, DumpMeta, ErrorKind, Machine, PageBitmap, PageReader, PageSource, Pfn, PfnRange, Result, Watch,
    share_out,
};
use dump_kernel::{Kernel, SourceMemory, Vmcoreinfo, vmcoreinfo_at};

/// A text that may be vmcoreinfo, and where it lies.
#[derive(Clone)]
pub(crate) struct Candidate {
    /// The page frame.
    pub pfn: Pfn,
    /// The machine that the text is of.
    pub machine: Machine,
    /// The text.
    pub text: Vec<u8>,
}

/// Pages that a worker takes at a time, and that it reads at once.
const PAGES_PER_TURN: u64 = 1 << 12;
const PAGES_PER_READ: u64 = 16;

/// Every page of the kernel begins at a multiple of this (bytes), whatever the container's pages are.
const STEP: usize = 4096;

/// Looks for vmcoreinfo in memory: the candidate that the kernel in memory confirms or, for an architecture whose page
/// tables are not supported, the longest.
pub(crate) fn vmcoreinfo(source: &dyn PageSource, watch: &dyn Watch) -> Result<Option<Candidate>> {
    let mut found = candidates(source, watch)?;
    // several copies are normal; the most complete first, of equals the lowest
    found.sort_by_key(|found| (std::cmp::Reverse(found.text.len()), found.pfn));
    let memory = SourceMemory::new(source);
    if let Some(at) = found.iter().position(|found| holds(found, source.meta(), &memory)) {
        return Ok(Some(found.swap_remove(at)));
    }
    Ok(found.into_iter().next().filter(|found| !is_walked(found, source.meta())))
}

/// Whether the kernel of the text is the one in memory: its release is where the text has it.
fn holds(found: &Candidate, meta: &DumpMeta, memory: &SourceMemory<'_>) -> bool {
    let release = kernel(found, meta).and_then(|kernel| kernel.utsname(memory)).map(|uts| uts.release());
    release.is_ok_and(|release| Some(release.as_str()) == Vmcoreinfo::parse(&found.text).release())
}

/// Whether the page tables of its architecture are supported, so that a text that is not confirmed is rejected.
fn is_walked(found: &Candidate, meta: &DumpMeta) -> bool {
    kernel(found, meta).err().is_none_or(|e| e.kind() != ErrorKind::Unsupported)
}

fn kernel(found: &Candidate, meta: &DumpMeta) -> Result<Kernel> {
    Kernel::new(Vmcoreinfo::parse(&found.text), found.machine, meta.page_size, &meta.segments)
}

fn candidates(source: &dyn PageSource, watch: &dyn Watch) -> Result<Vec<Candidate>> {
    let end = source.meta().end_pfn;
    let Some(mut held) = PageBitmap::new(end) else { return Ok(Vec::new()) };
    source.mark_held(&mut held)?;
    let turns = (0..end.0.div_ceil(PAGES_PER_TURN)).map(|i| PfnRange::at(Pfn(i * PAGES_PER_TURN), PAGES_PER_TURN));
    let turns = turns.filter(|turn| held.count(*turn) != 0);
    let found = share_out(
        turns,
        || source.reader(),
        |reader, turn| {
            let mut found = Vec::new();
            for run in held.runs(turn) {
                let mut at = run.start;
                while at < run.end && !watch.stopped() {
                    let piece = PfnRange::new(at, run.end.min(at + PAGES_PER_READ));
                    search_run(reader.as_mut(), source.meta(), piece, &mut found)?;
                    at = piece.end;
                }
            }
            Ok(found)
        },
    );
    Ok(found.into_iter().collect::<Result<Vec<_>>>()?.concat())
}

fn search_run(reader: &mut dyn PageReader, meta: &DumpMeta, run: PfnRange, found: &mut Vec<Candidate>) -> Result<()> {
    let size = meta.page_size.bytes();
    reader.visit(run, CodecSet::NONE, &mut |span| {
        if let Content::Bytes(bytes) = span.content {
            for at in (0..bytes.len()).step_by(STEP) {
                if let Some(text) = vmcoreinfo_at(&bytes[at..]) {
                    let pfn = span.pages.start + (at / size) as u64;
                    found.push(Candidate { pfn, machine: machine_of(text, meta.machine), text: text.to_vec() });
                }
            }
        }
        Ok(())
    })
}

/// The container's machine, or the one whose keys the text has where the container does not state it.
fn machine_of(text: &[u8], stated: Machine) -> Machine {
    let elf_machine = stated.elf_machine.or_else(|| Vmcoreinfo::parse(text).elf_machine());
    Machine { elf_machine, ..stated }
}
