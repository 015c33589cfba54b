//! Searching memory for vmcoreinfo, if no note has it.
//!
//! A guest's process can fill memory with texts that look like vmcoreinfo, so each is judged as it is found and nothing
//! is kept of those that do not hold.

use dump_core::{
    ByteOrder, CodecSet, Content, DumpMeta, Machine, PageBitmap, PageReader, PageSource, Pfn, PfnRange, Result, Watch,
    share_out,
};
use dump_kernel::{Vmcoreinfo, note_order, vmcoreinfo_at};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

/// A text that may be vmcoreinfo.
#[derive(Clone)]
pub(crate) struct Candidate {
    /// The page frames where it was found, ascending, the lowest [`MAX_PLACES`]; none for a note.
    pub places: Vec<Pfn>,
    /// The machine that the text is of.
    pub machine: Machine,
    /// Whether a note in memory says the machine's byte order.
    pub says_order: bool,
    /// The text.
    pub text: Vec<u8>,
}

/// What becomes of a text in memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Its kernel is in memory.
    Holds,
    /// Its kernel is in memory, and the CPUs ran another.
    Stranger,
    /// Its kernel cannot be looked for.
    Unwalked,
    /// Its kernel is not there.
    Rejected,
}

/// What a search found.
#[derive(Default)]
pub(crate) struct Finds {
    /// Texts whose kernels are in memory.
    pub holding: Vec<Candidate>,
    /// Whether there are more of those than are kept.
    pub more: bool,
    /// The lowest of the texts whose kernels the CPUs did not run.
    pub stranger: Option<Candidate>,
    /// The longest of the texts that could not be judged.
    pub unwalked: Option<Candidate>,
}

/// Texts that are kept, and places of each.
pub(crate) const MAX_HOLDING: usize = 64;
const MAX_PLACES: usize = 8;

/// Texts whose judgement a worker remembers: copies of one are common.
const REMEMBERED: usize = 4096;

/// Pages that a worker takes at a time, and that it reads at once.
const PAGES_PER_TURN: u64 = 1 << 12;
const PAGES_PER_READ: u64 = 16;

/// Every page of the kernel begins at a multiple of this (bytes), whatever the container's pages are.
const STEP: usize = 4096;

/// e_machine of PowerPC, where one number stands for both byte orders and QEMU states the big one.
const EM_PPC64: u16 = 21;

/// Looks at all of memory and has `judge` say what each text is; it may put right the machine that the text is of.
pub(crate) fn search(
    source: &dyn PageSource,
    judge: &(dyn Fn(&mut Candidate) -> Judgement + Sync),
    watch: &dyn Watch,
) -> Result<Finds> {
    let end = source.meta().end_pfn;
    let Some(mut held) = PageBitmap::new(end) else { return Ok(Finds::default()) };
    source.mark_held(&mut held)?;
    let turns = (0..end.0.div_ceil(PAGES_PER_TURN)).map(|i| PfnRange::at(Pfn(i * PAGES_PER_TURN), PAGES_PER_TURN));
    let turns = turns.filter(|turn| held.count(*turn) != 0);
    let (finds, hasher) = (Mutex::new(Finds::default()), RandomState::new());
    let done = share_out(
        turns,
        || Worker {
            reader: source.reader(),
            meta: source.meta(),
            judge,
            finds: &finds,
            hasher: &hasher,
            known: HashMap::new(),
        },
        |worker, turn| {
            for run in held.runs(turn) {
                let mut at = run.start;
                while at < run.end && !watch.stopped() {
                    let piece = PfnRange::new(at, run.end.min(at + PAGES_PER_READ));
                    worker.search(piece)?;
                    at = piece.end;
                }
            }
            Ok(())
        },
    );
    done.into_iter().collect::<Result<Vec<()>>>()?;
    let mut finds = finds.into_inner().unwrap_or_else(PoisonError::into_inner);
    finds.holding.sort_by(|a, b| a.places.cmp(&b.places));
    Ok(finds)
}

struct Worker<'a> {
    reader: Box<dyn PageReader + 'a>,
    meta: &'a DumpMeta,
    judge: &'a (dyn Fn(&mut Candidate) -> Judgement + Sync),
    finds: &'a Mutex<Finds>,
    hasher: &'a RandomState,
    /// Judgements of texts, and the machines that they are of, by their hashes.
    known: HashMap<u64, (Judgement, Machine)>,
}

impl Worker<'_> {
    fn search(&mut self, run: PfnRange) -> Result<()> {
        let (size, stated) = (self.meta.page_size.bytes(), self.meta.machine);
        let (judge, finds, hasher, known) = (self.judge, self.finds, self.hasher, &mut self.known);
        self.reader.visit(run, CodecSet::NONE, &mut |span| {
            let Content::Bytes(bytes) = span.content else { return Ok(()) };
            for at in (0..bytes.len()).step_by(STEP) {
                let page = &bytes[at..];
                let Some(text) = vmcoreinfo_at(page) else { continue };
                let key = hasher.hash_one((text, note_order(page).map(|order| order == ByteOrder::Big)));
                if known.get(&key).is_some_and(|(judgement, _)| *judgement == Judgement::Rejected) {
                    continue;
                }
                let places = vec![span.pages.start + (at / size) as u64];
                let (machine, says_order) = machine_of(text, note_order(page), stated);
                let mut found = Candidate { places, machine, says_order, text: text.to_vec() };
                if known.len() >= REMEMBERED {
                    known.clear();
                }
                let judged = || (judge(&mut found), found.machine);
                let (judgement, machine) = *known.entry(key).or_insert_with(judged);
                found.machine = machine;
                finds.lock().unwrap_or_else(PoisonError::into_inner).add(judgement, found);
            }
            Ok(())
        })
    }
}

impl Finds {
    /// Adds a text; what comes out does not depend on the order of the texts.
    fn add(&mut self, judgement: Judgement, found: Candidate) {
        match judgement {
            Judgement::Holds => self.add_holding(found),
            Judgement::Stranger => {
                let lower = self.stranger.as_ref().is_none_or(|known| found.places < known.places);
                self.stranger = if lower { Some(found) } else { self.stranger.take() };
            }
            Judgement::Unwalked => {
                let rank = |c: &Candidate| (std::cmp::Reverse((c.text.len(), c.says_order)), c.places.clone());
                let better = self.unwalked.as_ref().is_none_or(|known| rank(&found) < rank(known));
                self.unwalked = if better { Some(found) } else { self.unwalked.take() };
            }
            Judgement::Rejected => {}
        }
    }

    fn add_holding(&mut self, found: Candidate) {
        let same = |known: &Candidate| known.text == found.text && known.machine == found.machine;
        match self.holding.iter().position(same) {
            Some(i) => self.holding[i].add_places(&found.places),
            None if self.holding.len() < MAX_HOLDING => self.holding.push(found),
            None => self.more = true,
        }
    }
}

impl Candidate {
    /// A text that lies in `places` too.
    pub(crate) fn add_places(&mut self, places: &[Pfn]) {
        self.places.extend_from_slice(places);
        self.places.sort_unstable();
        self.places.dedup();
        self.places.truncate(MAX_PLACES);
    }
}

/// The container's machine, or the one whose keys the text has where the container does not state it; and whether the
/// byte order is the kernel's own, as its note in memory has it.
fn machine_of(text: &[u8], order: Option<ByteOrder>, stated: Machine) -> (Machine, bool) {
    let machine = stated.or_numbered(Vmcoreinfo::parse(text).elf_machine());
    let own = order.filter(|_| machine.elf_machine == Some(EM_PPC64));
    (Machine { order: own.unwrap_or(stated.order), ..machine }, own.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, pfn: u64) -> Candidate {
        Candidate { places: vec![Pfn(pfn)], machine: Machine::UNKNOWN, says_order: false, text: text.into() }
    }

    #[test]
    fn what_is_kept_is_bounded_and_in_no_order() {
        let mut finds = Finds::default();
        for pfn in (0..20).rev() {
            finds.add(Judgement::Holds, found("a", pfn));
            finds.add(Judgement::Stranger, found("b", pfn));
            finds.add(Judgement::Unwalked, found(if pfn == 7 { "longer" } else { "c" }, pfn));
        }
        assert_eq!(finds.holding[0].places, (0..8).map(Pfn).collect::<Vec<_>>());
        assert_eq!((finds.holding.len(), finds.more), (1, false));
        assert_eq!(finds.stranger.as_ref().unwrap().places, [Pfn(0)]);
        assert_eq!(finds.unwalked.as_ref().unwrap().places, [Pfn(7)]);
        for n in 0..1000 {
            finds.add(Judgement::Holds, found(&format!("{n}"), n));
        }
        assert_eq!((finds.holding.len(), finds.more), (MAX_HOLDING, true));
    }

    #[test]
    fn power_is_of_the_order_that_its_own_note_has() {
        let stated = Machine { elf_machine: Some(EM_PPC64), order: ByteOrder::Big, ..Machine::UNKNOWN };
        let order = |order, stated| machine_of(b"OSRELEASE=6.1\n", order, stated).0.order;
        assert_eq!(order(Some(ByteOrder::Little), stated), ByteOrder::Little);
        assert_eq!(order(None, stated), ByteOrder::Big);
        let other = Machine { elf_machine: Some(22), ..stated };
        assert_eq!(order(Some(ByteOrder::Little), other), ByteOrder::Big);
    }
}
