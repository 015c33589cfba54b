//! Which pages are which, where the bitmap that says so is damaged: pages of the kernel hold their own addresses.
//!
//! An empty list of Linux is two pointers to itself (`INIT_LIST_HEAD`), and where all memory is mapped in line, its virtual
//! address less its physical one is the same everywhere. That number has the vote of every such page that the bitmap
//! still places rightly: counted from the front as far as the damage, and from the back behind it. Then each of these
//! pages places itself. Between two of them for which the bitmap counts as many pages as there are descriptors it is
//! believed; from the first two for which it does not to the last, nothing is.

use std::collections::BTreeMap;
use std::ops::Range;

use dump_core::{ByteOrder, ByteReader, Pfn, PfnRange, Ranked, Result};

use crate::decompress::Decompressor;
use crate::desc::PageDesc;
use crate::fate::Fate;
use crate::head::Head;
use crate::header::Abi;
use crate::table::descriptors;

/// Descriptors that are read at once.
const PER_READ: u64 = 4096;

/// The mapping of all memory begins at a multiple of this, at least, on every architecture: a page more or less is none.
const BASE_STEP: u64 = 1 << 20;

/// x86_64's entries of the third level map as much, and it begins with one, also where it is at random (`kaslr.c`).
const BASE_STEP_OF_X86_64: u64 = 1 << 30;

/// The machine number of x86_64 in ELF.
const EM_X86_64: u16 = 62;

/// Least votes for the mapping.
const LEAST_VOTES: u64 = 16;

/// The next best place of the same mapping has at most this part of the votes.
const LEAD: u64 = 4;

/// Stretches between pages that place themselves, beside the damage, are not believed either until so many bits would have
/// had to fall right by chance: noise counts right in every second stretch of a page.
const PROOF: u32 = 24;

/// Pages of which nothing says which is which.
pub(crate) struct Gap {
    /// Where they lie.
    pub(crate) pages: PfnRange,
    /// Their descriptors.
    pub(crate) ranks: Range<u64>,
}

/// A page that places itself: how many pages lie below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    rank: u64,
    pfn: u64,
}

/// The stretch that the damage of the 2nd bitmap of the file of `head` lies in, of which the table has `count`
/// descriptors, and the 1st bitmap is `ram`; `None` if too few pages place themselves.
///
/// # Errors
/// If the table cannot be read.
pub(crate) fn gap(head: &Head, ram: &Ranked, count: u64, input: &mut dyn ByteReader) -> Result<Option<Gap>> {
    let found = addresses(head, count, input)?;
    let (page, end) = (head.header.page_size.bytes() as u64, head.header.sub.max_mapnr);
    let step = if head.meta.machine.elf_machine == Some(EM_X86_64) { BASE_STEP_OF_X86_64 } else { BASE_STEP };
    let votes = votes(&found, &head.held, count, page, end);
    let Some(base) = base(&votes, step, end.saturating_mul(page)) else { return Ok(None) };
    let place = |&(rank, address): &(u64, u64)| {
        let pfn = address.wrapping_sub(base) / page;
        (pfn < end && pfn >= rank && ram.bits().get(Pfn(pfn))).then_some(Mark { rank, pfn })
    };
    let mut marks = ascending(&found.iter().filter_map(place).collect::<Vec<_>>());
    marks.insert(0, Mark { rank: 0, pfn: 0 });
    marks.push(Mark { rank: count, pfn: end });
    Ok(between(&marks, &head.held, ram))
}

/// Pages that hold their own virtual address, by their number.
fn addresses(head: &Head, count: u64, input: &mut dyn ByteReader) -> Result<Vec<(u64, u64)>> {
    let page = head.header.page_size.bytes();
    let (mut decompressor, mut found, mut table) = (Decompressor::default(), Vec::new(), Vec::new());
    for first in (0..count).step_by(PER_READ as usize) {
        let at = head.layout.descriptor(first).unwrap_or(u64::MAX);
        table.clear();
        table.extend_from_slice(input.view(at, (count - first).min(PER_READ) as usize * PageDesc::SIZE)?);
        for (rank, desc) in (first..).zip(descriptors(&table, &head.header)) {
            let Ok(Fate::Stored { codec, offset, size }) = Fate::of(desc, head) else { continue };
            let Ok(data) = input.view(offset, size) else { continue };
            let bytes = match codec {
                None => data,
                Some(codec) => match decompressor.page(codec, data, page) {
                    Ok(bytes) => bytes,
                    Err(_) => continue,
                },
            };
            found.extend(own_address(bytes, head.header.abi).map(|address| (rank, address)));
        }
    }
    Ok(found)
}

/// The virtual address of a page that has empty lists, if all of them agree on it.
fn own_address(page: &[u8], abi: Abi) -> Option<u64> {
    let size = abi.word.bytes();
    let words = page.chunks_exact(size);
    let mut agreed = None;
    for (i, (word, next)) in words.clone().zip(words.skip(1)).enumerate() {
        let (offset, low) = (i * size, word_of(word, abi.order));
        if low & (page.len() as u64 - 1) != offset as u64 || word != next {
            continue;
        }
        let address = low - offset as u64;
        if address == 0 || *agreed.get_or_insert(address) != address {
            return None;
        }
    }
    agreed
}

fn word_of(bytes: &[u8], order: ByteOrder) -> u64 {
    let add = |word: u64, byte: &u8| word << 8 | u64::from(*byte);
    match order {
        ByteOrder::Little => bytes.iter().rev().fold(0, add),
        ByteOrder::Big => bytes.iter().fold(0, add),
    }
}

/// The votes of pages at `found` for where memory is mapped in line, their numbers counted from the front and from the
/// back of `held`.
fn votes(found: &[(u64, u64)], held: &Ranked, count: u64, page: u64, end: u64) -> BTreeMap<u64, u64> {
    let total = held.rank(Pfn(end));
    let mut votes = BTreeMap::new();
    let mut vote = |address: u64, pfn: u64| {
        let base = pfn.checked_mul(page).map(|physical| address.wrapping_sub(physical));
        if let Some(base) = base.filter(|base| base % BASE_STEP == 0) {
            *votes.entry(base).or_default() += 1;
        }
    };
    let runs = || held.bits().runs(PfnRange::new(Pfn(0), Pfn(end)));
    let (mut front, mut back) = (Numbered::new(runs()), Numbered::new(runs()));
    for &(rank, address) in found {
        if let Some(pfn) = front.page(rank) {
            vote(address, pfn);
        }
        if let Some(pfn) = (total + rank).checked_sub(count).and_then(|rank| back.page(rank)) {
            vote(address, pfn);
        }
    }
    votes
}

/// What most `votes` are for, of multiples of `step`, if those for others that map the `span` bytes of memory to nearly
/// the same place are few.
fn base(votes: &BTreeMap<u64, u64>, step: u64, span: u64) -> Option<u64> {
    let can_be = || votes.iter().filter(|(base, _)| *base % step == 0);
    let (&base, &most) = can_be().max_by_key(|(_, votes)| **votes)?;
    let near = can_be().filter(|(other, _)| **other != base && other.abs_diff(base) < span);
    let next = near.map(|(_, votes)| *votes).max().unwrap_or(0);
    (most >= LEAST_VOTES && next.saturating_mul(LEAD) <= most).then_some(base)
}

/// Pages of a set by their number, asked for in ascending order.
struct Numbered<I> {
    runs: I,
    run: PfnRange,
    /// The number of the first page of `run`.
    first: u64,
}

impl<I: Iterator<Item = PfnRange>> Numbered<I> {
    fn new(runs: I) -> Numbered<I> {
        Numbered { runs, run: PfnRange::at(Pfn(0), 0), first: 0 }
    }

    fn page(&mut self, rank: u64) -> Option<u64> {
        while rank - self.first >= self.run.len() {
            self.first += self.run.len();
            self.run = self.runs.next().unwrap_or(PfnRange::at(Pfn(0), 0));
            if self.run.is_empty() {
                return None;
            }
        }
        Some(self.run.start.0 + (rank - self.first))
    }
}

/// The longest series of `marks`, ascending by rank, that all can be right: no two are nearer to each other than there
/// are pages between them. What is left out holds the address of another page, of which it is a copy.
fn ascending(marks: &[Mark]) -> Vec<Mark> {
    let key = |mark: &Mark| mark.pfn - mark.rank;
    // the mark that the best series of each length ends with, and before each mark the one that its series has
    let (mut ends, mut before): (Vec<usize>, Vec<Option<usize>>) = (Vec::new(), Vec::new());
    for (i, mark) in marks.iter().enumerate() {
        let at = ends.partition_point(|end| marks.get(*end).is_some_and(|end| key(end) <= key(mark)));
        before.push(at.checked_sub(1).and_then(|last| ends.get(last).copied()));
        match ends.get_mut(at) {
            Some(end) => *end = i,
            None => ends.push(i),
        }
    }
    let series = std::iter::successors(ends.last().copied(), |i| before.get(*i).copied().flatten());
    let mut series: Vec<Mark> = series.filter_map(|i| marks.get(i).copied()).collect();
    series.reverse();
    series
}

/// The stretch outside of which `held` agrees with all `marks`, and with `ram`.
fn between(marks: &[Mark], held: &Ranked, ram: &Ranked) -> Option<Gap> {
    let wrong = |pair: &[Mark]| {
        let [from, to] = pair else { return false };
        let pages = PfnRange::new(Pfn(from.pfn), Pfn(to.pfn));
        held.bits().count(pages) != to.rank - from.rank
            || held.bits().runs(pages).any(|run| ram.bits().count(run) != run.len())
    };
    let first = marks.windows(2).position(wrong)?;
    let last = marks.windows(2).rposition(wrong)?;
    let before = marks.get(..=first)?.windows(2).rev();
    let behind = marks.get(last + 1..)?.windows(2);
    let (from, to) = (first.checked_sub(unproven(before))?, last + 1 + unproven(behind));
    let (from, to) = (marks.get(from)?, marks.get(to)?);
    let gap = Gap { pages: PfnRange::new(Pfn(from.pfn), Pfn(to.pfn)), ranks: from.rank..to.rank };
    (ram.bits().count(gap.pages) >= to.rank - from.rank).then_some(gap)
}

/// How many of the stretches between two marks it takes, from the damage on, until it is certain that it is over.
fn unproven<'a>(pairs: impl Iterator<Item = &'a [Mark]>) -> usize {
    let mut proof = 0;
    let bits = |pair: &[Mark]| match pair {
        [from, to] => 1 + (to.pfn - from.pfn).checked_ilog2().unwrap_or(0) / 2, // noise has n of n pages once in √n times
        _ => 0,
    };
    let more = |pair: &&[Mark]| {
        let more = proof < PROOF;
        proof += bits(pair);
        more
    };
    pairs.take_while(more).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_another_page_is_left_out() {
        let mark = |(rank, pfn)| Mark { rank, pfn };
        let right = [(0, 4), (3, 9), (5, 11), (9, 40)].map(mark);
        let copies = [(0, 4), (1, 300), (3, 9), (4, 5), (5, 11), (7, 8), (9, 40)].map(mark);
        assert_eq!(ascending(&right), right);
        assert_eq!(ascending(&copies), right);
        assert_eq!(ascending(&[]), []);
    }

    #[test]
    fn pages_by_number() {
        let runs = [PfnRange::at(Pfn(3), 2), PfnRange::at(Pfn(8), 3)];
        let mut pages = Numbered::new(runs.into_iter());
        let found = [0, 1, 1, 2, 4, 5, 6].map(|rank| pages.page(rank));
        assert_eq!(found, [Some(3), Some(4), Some(4), Some(8), Some(10), None, None]);
    }
}
