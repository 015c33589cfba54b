//! All that is known of a host's hypervisor.

use crate::crash_info::CrashInfo;
use crate::domains::{DomainKind, Domains, Places};
use crate::flags::{Flags, State, is_allocated, is_xen_heap};
use crate::frame_table::{Frame, FrameReader, FrameTable};
use crate::pdx::Pdx;
use crate::space::XenSpace;
use dump_core::{Error, Notes, Pfn, PfnRange, PhysAddr, Result, VirtAddr};
use dump_kernel::{KernelSymbols, PhysMemory, Vmcoreinfo};

/// Says where Xen has a symbol.
pub type SymbolOf<'a> = &'a dyn Fn(&str) -> Option<VirtAddr>;

/// What is known of Xen beside its dump.
#[derive(Default)]
pub struct Knowledge<'a> {
    /// The text of its vmcoreinfo.
    pub vmcoreinfo: Option<&'a [u8]>,
    /// Where its image begins in machine memory; what the crash note says without it.
    pub phys_start: Option<PhysAddr>,
    /// Its symbols, of which vmcoreinfo has few.
    pub symbol: Option<SymbolOf<'a>>,
    /// The machine's memory, as ranges of frames.
    pub ram: &'a [PfnRange],
}

/// The hypervisor of a dumped host.
#[derive(Clone, Debug)]
pub struct XenHost {
    crash: Option<CrashInfo>,
    version: String,
    frames: FrameTable,
    domains: Domains,
    flags: Result<Flags>,
    /// Why it is not known which `page_info` is that of which frame.
    numbering: Option<Error>,
}

/// Who has a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Domain 0.
    Zero,
    /// Another guest.
    Guest,
    /// A domain that stands for Xen's own memory, or for what all may map.
    Special,
    /// None.
    Nobody,
    /// One that no list has.
    Stranger,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageClass {
    /// Nothing is known of it, or what is contradicts itself.
    Unknown,
    /// Memory of Xen's own heap.
    XenHeap,
    /// In use by Xen, or its image.
    Xen,
    /// A domain's.
    Owned(Owner),
    /// Free.
    Free,
    /// Free, and still with what it had before: it is to be scrubbed.
    Dirty,
    /// Broken.
    Broken,
    /// Taken off line.
    Offlined,
}

/// Frames of each piece that is looked at to tell the layout, and pieces that are.
const SAMPLE: u64 = 1 << 15;
const SAMPLES: u64 = 64;

impl XenHost {
    /// By the dump's notes and what else is known.
    ///
    /// # Errors
    /// `MissingInfo` if there is no vmcoreinfo of Xen, or it lacks a key, or memory lacks what it leads to; `Corrupt` if
    /// that makes no sense.
    pub fn new(notes: &Notes, knowledge: &Knowledge<'_>, memory: &dyn PhysMemory) -> Result<XenHost> {
        let crash = CrashInfo::of(notes);
        let text = knowledge.vmcoreinfo.ok_or_else(|| {
            Error::missing("no note VMCOREINFO_XEN").hint("--xen-syms FILE or --xen-vmcoreinfo FILE has what it says")
        })?;
        let info = Vmcoreinfo::parse(text);
        let symbol = |name: &str| {
            let found = info.symbol(name);
            found.ok_or_else(|| Error::missing(format!("VMCOREINFO_XEN lacks SYMBOL({name})")))
        };
        let offset = |name: &str| {
            let found = info.offset_of(name);
            found.ok_or_else(|| Error::missing(format!("VMCOREINFO_XEN lacks OFFSET({name})")))
        };
        let start = knowledge.phys_start.or_else(|| crash.as_ref().and_then(|crash| crash.phys_start));
        let start = start.ok_or_else(|| {
            let text = "the crash note does not say where Xen's image begins";
            Error::missing(text).hint("--xen_phys_start ADDR does")
        })?;
        let list = symbol("domain_list")?;
        let space = XenSpace::new(list, symbol("pgd_l4")?, start, memory.reader().as_mut())?;
        let mut reader = space.reader(memory.reader());
        let pdx = match knowledge.symbol {
            Some(symbol) => Pdx::read(symbol, &mut reader)?,
            None => None,
        };
        let certain = pdx.is_some();
        let frames = FrameTable::new(&info, space, pdx.unwrap_or(Pdx::Same), &mut reader)?;
        let places = Places {
            list,
            special: ["dom_xen", "dom_io", "dom_cow"].iter().filter_map(|name| info.symbol(name)).collect(),
            id: offset("domain.domain_id")?,
            next: offset("domain.next_in_list")?,
            big: frames.is_big(),
        };
        let domains = Domains::read(&places, &mut reader)?;
        let version = crash.as_ref().map(|crash| crash.version(reader.memory())).unwrap_or_default();
        let nothing = || Error::missing("not looked at");
        let mut host = XenHost { crash, version, frames, domains, flags: Err(nothing()), numbering: None };
        host.numbering = if certain { None } else { host.misnumbered(knowledge.ram, memory) };
        host.flags = host.tell_flags(knowledge.ram, memory);
        Ok(host)
    }

    /// What it left when it ended, where it left that.
    pub fn crash(&self) -> Option<&CrashInfo> {
        self.crash.as_ref()
    }

    /// Its version in full; empty where it is not known.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Its domains.
    pub fn domains(&self) -> &Domains {
        &self.domains
    }

    /// Its frame table.
    pub fn frames(&self) -> &FrameTable {
        &self.frames
    }

    /// Where its frames have their flags.
    ///
    /// # Errors
    /// Why that is not known.
    pub fn flags(&self) -> Result<Flags> {
        self.flags.clone()
    }

    /// Why it is not known which `page_info` is that of which frame: then nothing is known of any.
    pub fn misnumbering(&self) -> Option<&Error> {
        self.numbering.as_ref()
    }

    /// That frames of domain 0 are not its own by the frame table: then frames are numbered otherwise there. `probe` are
    /// frames that domain 0 itself says that it has.
    pub fn probe(&mut self, probe: &[Pfn], memory: &dyn PhysMemory) {
        if self.numbering.is_some() || self.frames.pdx().is_compressed() || probe.is_empty() {
            return;
        }
        let Some(owner) = self.domains.zero().map(|zero| zero.owner) else { return };
        let mut reader = self.frames.reader(memory);
        let mut own = 0;
        for pfn in probe {
            reader.visit(PfnRange::at(*pfn, 1), &mut |_, frame| {
                own += usize::from(frame.is_some_and(|frame| is_allocated(frame.count_info) && frame.owner == owner));
            });
        }
        if own * 2 < probe.len() {
            let text = format!("{own} of {} page frames of domain 0 are its own by Xen's frame table", probe.len());
            self.numbering = Some(compressed(text));
        }
    }

    /// Shows what each frame of `run` is, in order.
    pub fn classify(&self, frames: &mut FrameReader<'_>, run: PfnRange, see: &mut dyn FnMut(Pfn, PageClass)) {
        if self.numbering.is_some() {
            let mut pfn = run.start;
            while pfn < run.end {
                see(pfn, PageClass::Unknown);
                pfn = pfn + 1;
            }
            return;
        }
        frames.visit(run, &mut |pfn, frame| see(pfn, frame.map_or(PageClass::Unknown, |frame| self.class(frame))));
    }

    /// What a frame is.
    pub fn class(&self, frame: Frame) -> PageClass {
        if is_xen_heap(frame.count_info) {
            return PageClass::XenHeap;
        }
        match self.flags.as_ref().map(|flags| flags.state(frame.count_info)) {
            Ok(State::Broken) => return PageClass::Broken,
            Ok(State::Offlined) => return PageClass::Offlined,
            Ok(State::Free) => return PageClass::Free,
            Ok(State::Dirty) => return PageClass::Dirty,
            Ok(State::Contradiction) => return PageClass::Unknown,
            Ok(State::InUse) | Err(_) => {}
        }
        if !is_allocated(frame.count_info) {
            return if self.flags.is_ok() { PageClass::Xen } else { PageClass::Unknown };
        }
        PageClass::Owned(match (frame.owner, self.domains.by_owner(frame.owner)) {
            (0, _) => Owner::Nobody,
            (_, Some(domain)) => match domain.kind {
                DomainKind::Zero => Owner::Zero,
                // without a domain 0 any of them may be it
                DomainKind::Guest if self.domains.zero().is_none() => Owner::Stranger,
                DomainKind::Guest => Owner::Guest,
                DomainKind::Special => Owner::Special,
            },
            (_, None) => Owner::Stranger,
        })
    }

    /// That ends of memory have no `page_info`: the table is shorter than memory, whose numbers in it are other ones.
    fn misnumbered(&self, ram: &[PfnRange], memory: &dyn PhysMemory) -> Option<Error> {
        let mut reader = self.frames.reader(memory);
        for run in ram {
            let last = Pfn(run.end.0.min(self.frames.end().0));
            if last <= run.start {
                continue;
            }
            let mut there = true;
            reader.visit(PfnRange::new(Pfn(last.0 - 1), last), &mut |_, frame| there = frame.is_some());
            if !there {
                return Some(compressed(format!(
                    "Xen's frame table has nothing on page frame {}, which is memory",
                    last.0 - 1
                )));
            }
        }
        None
    }

    fn tell_flags(&self, ram: &[PfnRange], memory: &dyn PhysMemory) -> Result<Flags> {
        if let Some(why) = &self.numbering {
            return Err(why.clone());
        }
        let mut reader = self.frames.reader(memory);
        let runs = samples(ram);
        Flags::tell(&runs, &mut reader, &|pfn| self.frames.pdx().index(pfn.0), self.crash.as_ref())
    }
}

fn compressed(text: String) -> Error {
    Error::missing(format!("{text}: it leaves out holes in memory, by numbers that symbols alone tell"))
        .hint("--xen-syms FILE")
}

/// Pieces of memory, evenly spread.
fn samples(ram: &[PfnRange]) -> Vec<PfnRange> {
    let pieces = |run: &PfnRange| run.len().div_ceil(SAMPLE);
    let all: u64 = ram.iter().map(pieces).sum();
    let step = all.div_ceil(SAMPLES).max(1);
    let (mut runs, mut before) = (Vec::new(), 0_u64);
    for run in ram {
        let mut at = before.div_ceil(step) * step;
        while at < before + pieces(run) {
            runs.push(PfnRange::at(run.start + (at - before) * SAMPLE, SAMPLE).intersect(*run));
            at += step;
        }
        before += pieces(run);
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_spread_and_bounded() {
        let all = PfnRange::new(Pfn(0), Pfn(1 << 40));
        let spread = samples(&[all]);
        assert_eq!(spread.len() as u64, SAMPLES);
        assert!(spread.iter().all(|run| run.len() == SAMPLE));
        let small = [PfnRange::at(Pfn(0), 160), PfnRange::at(Pfn(256), 40000)];
        let runs = samples(&small);
        assert_eq!(runs.iter().map(|run| run.len()).sum::<u64>(), 40160, "all of a small machine");
    }
}
