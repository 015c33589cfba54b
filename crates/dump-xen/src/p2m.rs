//! Domain 0's memory: which machine frame each of its page frames is.
//!
//! A PV guest counts frames of its own and keeps a list of the machine's for Xen's tools (xen/include/public/arch-x86/
//! xen.h, pfn_to_mfn_frame_list_list): a frame with the frames of lists, each with the frames of leaves, each with 512
//! entries. Linux marks in an entry what is another domain's, or a device's at its own address (arch/x86/include/asm/xen/
//! page.h, FOREIGN_FRAME_BIT and IDENTITY_FRAME_BIT).

use dump_core::{Error, Pfn, PfnRange, PhysAddr, Result};
use dump_kernel::PhysReader;
use std::collections::HashSet;

const ENTRIES: usize = 512;
const FOREIGN: u64 = 1 << 63;
const IDENTITY: u64 = 1 << 62;

/// Frames above this are none: 52 bits of addresses.
const END: u64 = 1 << 40;

/// Frames of a domain that are machine frames in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct P2mRun {
    /// The domain's.
    pub pages: PfnRange,
    /// The machine's first.
    pub machine: Pfn,
}

/// The frames of a domain.
#[derive(Clone, Debug, Default)]
pub struct P2m {
    /// In the order of the domain's frames.
    runs: Vec<P2mRun>,
    /// Places in that list, in the order of the machine's frames.
    by_machine: Vec<u32>,
    pages: u64,
}

impl P2m {
    /// Follows the lists from frame `top` on, for a machine of at most `machine` frames in its dump.
    ///
    /// # Errors
    /// `MissingInfo` if the first list is not in the dump; `Corrupt` if they say more than the machine has.
    pub fn read(top: u64, machine: u64, memory: &mut dyn PhysReader) -> Result<P2m> {
        let mut p2m = P2m::default();
        let mut empty = HashSet::new();
        let lists = entries(memory, top).map_err(|e| e.within("domain 0's list of p2m lists"))?;
        for (i, list) in lists.into_iter().enumerate() {
            if !is_frame(list) || empty.contains(&list) {
                continue;
            }
            let mut found = false;
            for (j, leaf) in entries(memory, list).unwrap_or([0; ENTRIES]).into_iter().enumerate() {
                if !is_frame(leaf) || empty.contains(&leaf) {
                    continue;
                }
                let first = Pfn(((i * ENTRIES + j) * ENTRIES) as u64);
                let some = p2m.add_leaf(first, &entries(memory, leaf).unwrap_or([0; ENTRIES]));
                found |= some;
                if !some {
                    empty.insert(leaf);
                }
                if p2m.pages > machine {
                    let text = format!("domain 0's p2m has more than {machine} page frames, and the machine no more");
                    return Err(Error::corrupt(text));
                }
            }
            if !found {
                empty.insert(list);
            }
        }
        if p2m.runs.is_empty() {
            return Err(Error::missing("domain 0's p2m names no page frame"));
        }
        p2m.index();
        Ok(p2m)
    }

    /// A leaf of frames from `first` on; whether it names any.
    fn add_leaf(&mut self, first: Pfn, leaf: &[u64; ENTRIES]) -> bool {
        let before = self.pages;
        for (i, entry) in leaf.iter().enumerate() {
            if !is_frame(*entry) {
                continue;
            }
            self.pages += 1;
            let (pfn, mfn) = (first + i as u64, Pfn(*entry));
            match self.runs.last_mut() {
                Some(P2mRun { pages, machine }) if pages.end == pfn && *machine + pages.len() == mfn => {
                    pages.end = pfn + 1;
                }
                _ => self.runs.push(P2mRun { pages: PfnRange::at(pfn, 1), machine: mfn }),
            }
        }
        self.pages != before
    }

    fn index(&mut self) {
        let mut order: Vec<u32> = (0..u32::try_from(self.runs.len()).unwrap_or(u32::MAX)).collect();
        order.sort_by_key(|i| self.runs[*i as usize].machine);
        self.by_machine = order;
    }

    /// All runs, in the order of the domain's frames.
    pub fn runs(&self) -> &[P2mRun] {
        &self.runs
    }

    /// How many frames it has.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// The domain's frame after the last.
    pub fn end(&self) -> Pfn {
        self.runs.last().map_or(Pfn(0), |run| run.pages.end)
    }

    /// The runs that touch `pages`, cut to it.
    pub fn within(&self, pages: PfnRange) -> impl Iterator<Item = P2mRun> + '_ {
        let first = self.runs.partition_point(|run| run.pages.end <= pages.start);
        let rest = self.runs.get(first..).unwrap_or_default();
        rest.iter().take_while(move |run| run.pages.start < pages.end).map(move |run| {
            let cut = run.pages.intersect(pages);
            P2mRun { pages: cut, machine: run.machine + (cut.start - run.pages.start) }
        })
    }

    /// The machine's frame that `pfn` is.
    pub fn machine(&self, pfn: Pfn) -> Option<Pfn> {
        self.within(PfnRange::at(pfn, 1)).next().map(|run| run.machine)
    }

    /// The domain's frame that the machine's `mfn` is.
    pub fn domain(&self, mfn: Pfn) -> Option<Pfn> {
        let after = self.by_machine.partition_point(|i| self.runs[*i as usize].machine <= mfn);
        let run = self.runs[*self.by_machine.get(after.checked_sub(1)?)? as usize];
        let offset = mfn - run.machine;
        (offset < run.pages.len()).then(|| run.pages.start + offset)
    }

    /// Some of the machine's frames, evenly spread over it.
    pub fn spread(&self, most: usize) -> Vec<Pfn> {
        let step = self.runs.len().div_ceil(most.max(1)).max(1);
        self.runs.iter().step_by(step).map(|run| run.machine + run.pages.len() / 2).collect()
    }
}

fn is_frame(entry: u64) -> bool {
    entry & (FOREIGN | IDENTITY) == 0 && entry < END && entry != 0
}

fn entries(memory: &mut dyn PhysReader, mfn: u64) -> Result<[u64; ENTRIES]> {
    let mut bytes = [0; 8 * ENTRIES];
    let at = mfn.checked_mul(4096).ok_or_else(|| Error::corrupt(format!("page frame {mfn:#x} is none")))?;
    memory.read(PhysAddr(at), &mut bytes)?;
    let mut entries = [0; ENTRIES];
    for (entry, bytes) in entries.iter_mut().zip(bytes.chunks_exact(8)) {
        *entry = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    }
    Ok(entries)
}
