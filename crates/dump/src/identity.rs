//! Which kernel a dump holds.
//!
//! Notes and texts in memory are candidates alike: each is checked on the kernel that it describes. Memory is searched
//! only where no note holds. Where several hold (an older boot's image may lie in free memory, and a process may have
//! planned one), what decides is none of their texts, in this order:
//!
//! | evidence | why it can be believed |
//! |---|---|
//! | cr3 in QEMU's notes | a kernel maps its own names |
//! | the virtual address of the kernel image in PT_LOADs | written by who knew the running kernel |
//! | registers in NT_PRSTATUS | a kernel maps its own code and stacks |
//! | the release in a kdump header | written by who knew the running kernel |
//! | struct pages | no kernel runs in pages that another has free or gave to a process |

use crate::kernel_files::KernelFiles;
use crate::memory_search::{self, Candidate, Finds, Judgement, MAX_HOLDING};
use dump_core::{ByteOrder, Error, ErrorKind, Machine, Notes, PageSource, Pfn, PhysAddr, Result, Watch};
use dump_elf::QemuCpu;
use dump_kernel::arch::{MachineFacts, arch_of};
use dump_kernel::{Kernel, KernelSymbols, SourceMemory, Standing, Vmcoreinfo, Words, end_in_pages_of};
use dump_xen::is_host;

/// What is believed of a dump's kernel.
#[derive(Default)]
pub(crate) struct Identity {
    /// The vmcoreinfo that is believed.
    pub chosen: Option<Candidate>,
    /// Notes VMCOREINFO that are not believed, a line each.
    pub passed_over: Vec<Error>,
    /// Why its struct pages say nothing, though there is something that looks like a kernel.
    pub doubt: Option<Error>,
}

/// The lowest bit that CPUs have used as the C-bit: 47 on those with 48 bits of physical addresses (CPUID 0x8000001f).
const LOWEST_C_BIT: u32 = 47;

/// Page tables' roots and registers that are looked at: those of as many CPUs.
const MAX_CPUS: usize = 64;

impl Identity {
    /// Judges the notes of `source`; where none holds, what files say; where neither does, all of its memory.
    ///
    /// # Errors
    /// If its pages cannot be read at all; `OtherKernel` if files are of none that it has.
    pub(crate) fn of(source: &dyn PageSource, files: &KernelFiles, watch: &dyn Watch) -> Result<Identity> {
        let meta = source.meta();
        if let Some(text) = windows_guest(&meta.notes) {
            return Ok(Identity { doubt: Some(Error::unsupported(text)), ..Identity::default() });
        }
        let mut notes = note_texts(source);
        if is_host(&meta.notes) {
            let text = "a Xen host's dump: its memory is the machine's, dom0's struct pages count page frames of its own \
                 (--dom0 reads dom0 alone)";
            let chosen = notes.drain(..).next();
            return Ok(Identity { chosen, doubt: Some(Error::unsupported(text)), ..Identity::default() });
        }
        let evidence = Evidence::of(source);
        let mut identity = Identity::default();
        for desc in meta.notes.vmcoreinfo_without_text() {
            let text = format!("a note VMCOREINFO of {} bytes holds no text of a kernel", desc.len());
            identity.passed_over.push(Error::corrupt(text));
        }
        let (mut holding, mut open) = (Vec::new(), Vec::new());
        for mut note in notes {
            match evidence.standing(&mut note) {
                Standing::Holds => holding.push(note),
                Standing::Open(e) => open.push((note, e)),
                Standing::Fails(e) => identity.pass_over(&note, e),
            }
        }
        let mut stranger = None;
        if holding.is_empty() && open.is_empty() {
            for (path, text) in files.texts()? {
                let mut candidate = file_candidate(source, text);
                match evidence.standing(&mut candidate) {
                    Standing::Holds => holding.push(candidate),
                    Standing::Open(e) => open.push((candidate, e)),
                    Standing::Fails(e) => stranger = Some(e.within(path.display())),
                }
            }
        }
        if holding.is_empty() && open.is_empty() {
            let finds = memory_search::search(source, &|found: &mut Candidate| evidence.judge(found), watch)?;
            identity.choose_found(finds, &evidence);
            return match (&identity.chosen, stranger) {
                (None, Some(e)) => {
                    let text = "another kernel, or the same at other addresses (KASLR), which vmcoreinfo alone says";
                    Err(Error::new(ErrorKind::OtherKernel, e.to_string()).hint(text))
                }
                _ => Ok(identity),
            };
        }
        if holding.is_empty() {
            identity.chosen = Some(open.remove(0).0);
        } else {
            identity.choose(holding, &evidence);
        }
        open.into_iter().for_each(|(note, e)| identity.pass_over(&note, e));
        Ok(identity)
    }

    fn pass_over(&mut self, note: &Candidate, e: Error) {
        self.passed_over.push(e.within(format_args!("the note VMCOREINFO of {}", release(note))));
    }

    /// Of what was found in memory. A text that cannot be judged is believed only if there is no other.
    fn choose_found(&mut self, finds: Finds, evidence: &Evidence<'_>) {
        if finds.more {
            let text = format!("more than {MAX_HOLDING} texts in memory would be the vmcoreinfo of its kernel");
            self.doubt = Some(Error::missing(text));
        } else if !finds.holding.is_empty() {
            self.choose(finds.holding, evidence);
        } else if let Some(stranger) = finds.stranger {
            let text = format!("{} is in memory, but its CPUs ran something else", name(&stranger));
            self.doubt = Some(Error::missing(text));
        } else if finds.unwalked.is_some() {
            self.chosen = finds.unwalked;
        } else if let Some(e) = evidence.encrypted() {
            self.doubt = Some(e);
        } else if !self.passed_over.is_empty() {
            self.doubt = Some(self.passed_over.remove(0));
        }
    }

    fn choose(&mut self, candidates: Vec<Candidate>, evidence: &Evidence<'_>) {
        match evidence.decide(candidates) {
            Ok(chosen) => self.chosen = Some(chosen),
            Err(doubt) => self.doubt = Some(doubt),
        }
    }
}

/// What Windows leaves in its note, for people; `None` where the guest is another.
pub(crate) fn windows_guest(notes: &Notes) -> Option<&'static str> {
    let is_header = |desc: &[u8]| desc.starts_with(b"PAGEDU64") || desc.starts_with(b"PAGEDUMP");
    let header = notes.vmcoreinfo_without_text().any(is_header);
    header.then_some(
        "a Windows guest, which has no struct pages: what of its memory is user data or free only Windows knows",
    )
}

/// The text of a file, of the machine that the dump states.
fn file_candidate(source: &dyn PageSource, text: Vec<u8>) -> Candidate {
    let machine = source.meta().machine.or_numbered(Vmcoreinfo::parse(&text).elf_machine());
    Candidate { places: Vec::new(), machine, says_order: false, text }
}

/// That a text is of another machine than the one stated, where it has keys of that.
fn other_machine(stated: Machine, text: &[u8]) -> Option<Error> {
    let number = stated.elf_machine?;
    let told = Vmcoreinfo::parse(text).elf_machine().filter(|told| *told != number)?;
    let name = |machine: Machine| match (machine.name(), machine.elf_machine) {
        (Some(name), Some(number)) => format!("{name} (e_machine {number})"),
        (_, number) => format!("e_machine {}", number.unwrap_or_default()),
    };
    let other = Machine { elf_machine: Some(told), ..stated };
    Some(Error::corrupt(format!("it has the keys of {}, and the dump's header says {}", name(other), name(stated))))
}

/// The texts of the notes, each once.
fn note_texts(source: &dyn PageSource) -> Vec<Candidate> {
    let meta = source.meta();
    let mut texts: Vec<Candidate> = Vec::new();
    for at in meta.notes.vmcoreinfo_texts() {
        let text = meta.notes.as_bytes().get(at).unwrap_or_default();
        if texts.iter().all(|known| known.text != text) {
            let machine = meta.machine.or_numbered(Vmcoreinfo::parse(text).elf_machine());
            texts.push(Candidate { places: Vec::new(), machine, says_order: false, text: text.to_vec() });
        }
    }
    texts
}

fn release(candidate: &Candidate) -> String {
    Vmcoreinfo::parse(&candidate.text).release().unwrap_or("an unknown kernel").to_owned()
}

/// A candidate, for messages.
fn name(candidate: &Candidate) -> String {
    match candidate.places.first() {
        Some(pfn) => format!("{} (vmcoreinfo in page frame {pfn})", release(candidate)),
        None => format!("{} (a note)", release(candidate)),
    }
}

/// What there is beside the texts.
struct Evidence<'a> {
    source: &'a dyn PageSource,
    memory: SourceMemory<'a>,
    /// CPUs that translate addresses.
    cpus: Vec<QemuCpu>,
}

/// A candidate that holds, and its kernel.
struct Contender {
    candidate: Candidate,
    kernel: Kernel,
}

impl<'a> Evidence<'a> {
    fn of(source: &'a dyn PageSource) -> Evidence<'a> {
        let mut cpus = QemuCpu::all(&source.meta().notes);
        cpus.retain(QemuCpu::is_paging);
        cpus.sort_by_key(QemuCpu::cr3);
        cpus.dedup_by_key(|cpu| cpu.cr3());
        cpus.truncate(MAX_CPUS);
        Evidence { source, memory: SourceMemory::new(source), cpus }
    }

    fn kernel(&self, candidate: &Candidate) -> Result<Kernel> {
        self.kernel_of(candidate, candidate.machine)
    }

    fn kernel_of(&self, candidate: &Candidate, machine: Machine) -> Result<Kernel> {
        let (meta, info) = (self.source.meta(), Vmcoreinfo::parse(&candidate.text));
        let page_size = info.page_size().unwrap_or(meta.page_size);
        Kernel::new(info, machine, page_size, &meta.segments)
    }

    fn standing(&self, candidate: &mut Candidate) -> Standing {
        self.settle_order(candidate);
        let standing = match self.kernel(candidate) {
            Ok(kernel) => kernel.standing(&self.memory),
            Err(e) => Standing::of_error(e),
        };
        match (standing, other_machine(self.source.meta().machine, &candidate.text)) {
            (Standing::Fails(_) | Standing::Open(_), Some(e)) => Standing::Fails(e),
            (standing, _) => standing,
        }
    }

    /// That nobody but the guest can read its memory: its page tables' root has a bit that is none of its place (SEV's
    /// C-bit, AMD64 Architecture Programmer's Manual, volume 2, 15.34).
    fn encrypted(&self) -> Option<Error> {
        let meta = self.source.meta();
        let end = meta.page_size.addr_of(meta.end_pfn).0;
        let mark = |cpu: &QemuCpu| {
            let root = cpu.cr3() & 0x000f_ffff_ffff_f000;
            let bit = root.checked_ilog2().filter(|bit| *bit >= LOWEST_C_BIT)?;
            (root ^ 1 << bit < end && end <= 1 << bit).then_some(bit)
        };
        let bit = self.cpus.iter().find_map(mark)?;
        let text =
            format!("the guest's memory is encrypted (SEV: bit {bit} of cr3), and nobody but itself can read it");
        Some(Error::unsupported(text))
    }

    /// Puts right the byte order, where one number stands for machines of either and the container states that of its
    /// own headers: by what the kernel calls its machine, "ppc64" or "ppc64le", which can be read in one of the two.
    fn settle_order(&self, candidate: &mut Candidate) {
        let stated = candidate.machine.order;
        let other = if stated == ByteOrder::Big { ByteOrder::Little } else { ByteOrder::Big };
        let named = |order| {
            let machine = Machine { order, ..candidate.machine };
            let kernel = self.kernel_of(candidate, machine).ok()?;
            let named = Machine::by_name(&kernel.utsname(&self.memory).ok()?.machine())?;
            (named.elf_machine == machine.elf_machine).then_some(named.order)
        };
        if let Some(order) = named(stated).or_else(|| named(other)) {
            candidate.machine.order = order;
        }
    }

    /// Of a text in memory.
    fn judge(&self, found: &mut Candidate) -> Judgement {
        self.settle_order(found);
        match self.kernel(found) {
            Ok(kernel) => match kernel.standing(&self.memory) {
                Standing::Holds if self.ran(&kernel) == Some(false) => Judgement::Stranger,
                Standing::Holds => Judgement::Holds,
                _ => Judgement::Rejected,
            },
            Err(e) if e.kind() == ErrorKind::Unsupported => Judgement::Unwalked,
            Err(_) => Judgement::Rejected,
        }
    }

    /// Whether a CPU ran it; `None` where they do not say.
    fn ran(&self, kernel: &Kernel) -> Option<bool> {
        let five = kernel.info().number("pgtable_l5_enabled").unwrap_or(0) != 0;
        let cpus = self.cpus.iter().filter(|cpu| cpu.has_five_levels() == five);
        let mut says = cpus.filter_map(|cpu| kernel.runs_with(&self.memory, PhysAddr(cpu.cr3())));
        let first = says.next()?;
        Some(first || says.any(|ran| ran))
    }

    /// Whether PT_LOADs have the kernel image where it does.
    fn in_segments(&self, contender: &Contender) -> Option<bool> {
        let (meta, kernel) = (self.source.meta(), &contender.kernel);
        let arch = arch_of(contender.candidate.machine)?;
        let base = |symbols: &dyn KernelSymbols| {
            let words = Words::of(contender.candidate.machine);
            arch.phys_base(MachineFacts { symbols, words, page_size: meta.page_size, segments: &meta.segments })
        };
        Some(base(&Vmcoreinfo::default())? == base(kernel.info())?)
    }

    /// Whether it maps what the CPUs' registers point to; `None` where some are mapped and some are not.
    fn fits_registers(&self, contender: &Contender) -> Option<bool> {
        let notes = &self.source.meta().notes;
        let cpus = notes.iter().filter(|note| note.name == b"CORE" && note.kind == 1).take(MAX_CPUS);
        let arch = contender.kernel.arch();
        let mut memory = contender.kernel.memory(&self.memory);
        let pointers = cpus.flat_map(|note| arch.kernel_pointers(notes.desc(&note).unwrap_or_default()));
        let mapped: Vec<bool> = pointers.map(|at| memory.translate(at).is_ok()).collect();
        let first = *mapped.first()?;
        mapped.iter().all(|mapped| *mapped == first).then_some(first)
    }

    fn has_stated_release(&self, contender: &Contender) -> Option<bool> {
        let stated = self.source.meta().release()?;
        Some(contender.kernel.info().release() == Some(stated.as_str()))
    }

    /// The one whose kernel ran.
    ///
    /// # Errors
    /// If nothing decides.
    fn decide(&self, candidates: Vec<Candidate>) -> std::result::Result<Candidate, Error> {
        let candidates = without_parts(candidates);
        if let [_] = candidates[..] {
            return candidates.into_iter().next().ok_or_else(|| Error::bug("no candidate"));
        }
        let with_kernel = |candidate: Candidate| Some(Contender { kernel: self.kernel(&candidate).ok()?, candidate });
        let mut left: Vec<Contender> = candidates.into_iter().filter_map(with_kernel).collect();
        narrow(&mut left, |contender| self.ran(&contender.kernel));
        narrow(&mut left, |contender| self.in_segments(contender));
        narrow(&mut left, |contender| self.fits_registers(contender));
        narrow(&mut left, |contender| self.has_stated_release(contender));
        if left.len() > 1 {
            left = self.by_struct_pages(left);
        }
        match &mut left[..] {
            [_] => left.pop().map(|contender| contender.candidate).ok_or_else(|| Error::bug("no contender")),
            [first, second, ..] => Err(undecided(first, second)),
            [] => Err(Error::bug("no contender is left")),
        }
    }

    /// Those that none has given away; all of them where that leaves none. Who has no struct pages to show is none.
    fn by_struct_pages(&self, all: Vec<Contender>) -> Vec<Contender> {
        let frames: Vec<Frames> = all.iter().map(|contender| self.frames(contender)).collect();
        let given: Vec<Option<Vec<bool>>> = all.iter().map(|by| self.gives_away(by, &frames)).collect();
        let knows = |i: usize| given.get(i).is_some_and(Option::is_some);
        let gives = |by: usize, i: usize| given.get(by).and_then(Option::as_ref).is_some_and(|given| given[i]);
        // first those that contradict themselves, whose word does not count
        let sound: Vec<usize> = (0..all.len()).filter(|i| knows(*i) && !gives(*i, *i)).collect();
        let kept: Vec<usize> =
            sound.iter().copied().filter(|i| !sound.iter().any(|by| by != i && gives(*by, *i))).collect();
        let kept = if kept.is_empty() { sound } else { kept };
        if kept.is_empty() {
            return all;
        }
        let numbered = all.into_iter().enumerate();
        numbered.filter(|(i, _)| kept.contains(i)).map(|(_, contender)| contender).collect()
    }

    fn frames(&self, contender: &Contender) -> Frames {
        let size = self.source.meta().page_size;
        let own = contender.kernel.landmarks(&self.memory).unwrap_or_default();
        let text = contender.candidate.places.iter().map(|pfn| size.addr_of(*pfn)).collect();
        Frames { own, text }
    }

    /// Which of the contenders whose frames these are `by` has given away; `None` where its struct pages are not found.
    fn gives_away(&self, by: &Contender, frames: &[Frames]) -> Option<Vec<bool>> {
        let (meta, size) = (self.source.meta(), by.kernel.info().page_size()?);
        let end = end_in_pages_of(meta.end_pfn, meta.page_size, size);
        let all: Vec<Pfn> =
            frames.iter().flat_map(|f| f.own.iter().chain(&f.text)).map(|at| size.pfn_of(*at)).collect();
        let mut given = by.kernel.given_away(&self.memory, end, &all).ok()?.into_iter();
        let verdicts = frames.iter().map(|f| {
            let own = given.by_ref().take(f.own.len()).fold(false, |any, given| any | given);
            // copies of a text may lie anywhere, but one is the kernel's own
            let text = given.by_ref().take(f.text.len()).fold(true, |all, given| all & given);
            own || (text && !f.text.is_empty())
        });
        Some(verdicts.collect())
    }
}

/// Where a contender lies.
struct Frames {
    /// Its names and its top page table.
    own: Vec<PhysAddr>,
    /// Its vmcoreinfo.
    text: Vec<PhysAddr>,
}

/// Without texts that are others before they were complete: the kernel adds the time when it crashes, and a text at
/// the end of what was read is cut.
fn without_parts(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates.sort_by(|a, b| b.text.len().cmp(&a.text.len()).then_with(|| a.text.cmp(&b.text)));
    let mut whole: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        match whole.iter_mut().find(|whole| is_part(&candidate.text, &whole.text)) {
            Some(whole) => whole.add_places(&candidate.places),
            None => whole.push(candidate),
        }
    }
    whole.sort_by(|a, b| a.places.cmp(&b.places));
    whole
}

fn is_part(part: &[u8], whole: &[u8]) -> bool {
    let Some(rest) = whole.strip_prefix(part) else { return false };
    let added = || rest.split(|byte| *byte == b'\n').all(|line| line.is_empty() || line.starts_with(b"CRASHTIME="));
    !part.ends_with(b"\n") || added()
}

/// Keeps those of which `says` is true; where it is true of none, those of which it is not false; where it is false of
/// all, it says nothing.
fn narrow(left: &mut Vec<Contender>, says: impl Fn(&Contender) -> Option<bool>) {
    if left.len() < 2 {
        return;
    }
    let said: Vec<Option<bool>> = left.iter().map(says).collect();
    let wanted = |said: Option<bool>, others: &[Option<bool>]| match others.contains(&Some(true)) {
        true => said == Some(true),
        false => said != Some(false),
    };
    if said.iter().any(|one| wanted(*one, &said)) {
        let mut each = said.iter();
        left.retain(|_| each.next().is_some_and(|one| wanted(*one, &said)));
    }
}

fn undecided(first: &Contender, second: &Contender) -> Error {
    let (first, second) = (name(&first.candidate), name(&second.candidate));
    Error::missing(format!("two kernels are in memory, {first} and {second}, and nothing says which one ran"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, pfn: u64) -> Candidate {
        Candidate { places: vec![Pfn(pfn)], machine: Machine::UNKNOWN, says_order: false, text: text.into() }
    }

    #[test]
    fn a_text_before_the_crash_is_no_other_kernel() {
        let texts = [found("A=1\nB=2\n", 9), found("A=1\nB=2\nCRASHTIME=3\n", 5), found("A=1\nB", 7)];
        let whole = without_parts(texts.to_vec());
        assert_eq!((whole.len(), whole[0].places.as_slice()), (1, &[Pfn(5), Pfn(7), Pfn(9)][..]));
        assert_eq!(without_parts(vec![found("A=1\n", 1), found("A=1\nB=2\n", 2)]).len(), 2, "another key");
    }
}
