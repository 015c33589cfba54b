//! Which program headers of a damaged core are to be believed.
//!
//! All are, but those that contradict something. Alone: a type that no core has, content
//! past the end of the file (unless it goes on where another's ends: the file was cut), memory past what machines
//! address. Together: the same bytes of the file for headers and memory, or for different memory, the same memory with different bytes, a physical
//! address where none is expected.
//!
//! What looks odd and is sound stays: several PT_LOADs over the same memory with the same bytes, be they stored once
//! (our own ELF output, QEMU with paging) or twice (kexec's segment of the kernel's image), mapped at any distance from
//! their physical addresses.

use crate::claims::{Look, differs};
use crate::header::ProgramHeader;
use dump_core::{Error, Overlap, ReadAt, Result};
use goblin::elf::program_header::{PT_LOAD, PT_NOTE, PT_NULL};
use std::collections::BTreeMap;

/// Physical addresses end here on all machines that there are.
const MAX_ADDR: u64 = 1 << 52;

/// Types of the ELF gABI end here; PT_LOAD and PT_NOTE are among them.
const PT_NUM: u32 = 8;

/// Types of GNU's and their number (PT_GNU_EH_FRAME, _STACK, _RELRO, _PROPERTY).
const PT_GNU: (u32, u32) = (0x6474_e550, 4);

/// The most that writers leave between one segment and the next in a file: the largest page of a machine's.
const MAX_PADDING: u64 = 256 << 10;

/// RAM of PCs goes on here behind a gap for devices, wherever it ends below (bytes).
const RESUMES: u64 = 1 << 32;

/// A verdict on each program header.
pub(crate) struct Judgement<'a> {
    headers: &'a [ProgramHeader],
    verdicts: Vec<Verdict>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Believed,
    /// It says where memory lies, not where that lies in the file.
    Doubted,
    /// It does not even say where memory lies.
    Astray,
}

impl<'a> Judgement<'a> {
    /// Judges the headers of a table that ends at `table_end` of `file`.
    ///
    /// # Errors
    /// As [`ReadAt::len`].
    pub fn new(headers: &'a [ProgramHeader], table_end: u64, file: &dyn ReadAt) -> Result<Judgement<'a>> {
        let len = file.len()?;
        let verdict = |sense| if sense { Verdict::Believed } else { Verdict::Doubted };
        let verdicts = headers.iter().map(|header| verdict(makes_sense(header))).collect();
        let mut judgement = Judgement { headers, verdicts };
        judgement.doubt_what_ends_past(len);
        judgement.doubt_shared_bytes(table_end, len);
        judgement.doubt_the_misplaced();
        judgement.doubt_shared_memory(file, len);
        Ok(judgement)
    }

    /// The first of the headers that says what cannot be so beside the others, without a look at memory; `next` is what
    /// stands behind the table in a file of `len` bytes.
    pub fn contradiction(
        headers: &[ProgramHeader],
        table_end: u64,
        next: Option<&ProgramHeader>,
        len: u64,
    ) -> Option<Error> {
        let verdict = |sense| if sense { Verdict::Believed } else { Verdict::Doubted };
        let verdicts = headers.iter().map(|header| verdict(fits_a_core(header))).collect();
        let mut judgement = Judgement { headers, verdicts };
        judgement.doubt_shared_bytes(table_end, len);
        judgement.doubt_the_misplaced();
        let says = |i: usize, what: &str| Some(Error::corrupt(format!("program header {i} {what}")));
        if let Some(i) = (0..headers.len()).find(|i| !judgement.believes(*i)) {
            return says(i, "is not one of a core's, or contradicts others about what lies where");
        }
        let loads = judgement.in_file();
        let end = loads.iter().map(|(_, load)| load.end()).max()?;
        let follows = loads.iter().skip(1).map(|(_, load)| load.offset).chain([len]);
        let cut = |((_, load), next): &(&(usize, &ProgramHeader), u64)| {
            load.filesz < load.memsz && load.offset.checked_add(load.memsz) == Some(*next)
        };
        if let Some(((i, _), _)) = loads.iter().zip(follows).find(cut) {
            return says(*i, "has p_filesz below p_memsz, but the file has room for the rest and nothing else there");
        }
        let goes_on = |h: &&ProgramHeader| h.kind == PT_LOAD && h.filesz != 0 && makes_sense(h);
        let next = next.filter(goes_on).filter(|next| next.offset == end && next.end() <= len);
        next.and_then(|_| {
            says(headers.len(), "would be a PT_LOAD of what follows in the file, but e_phnum ends before it")
        })
    }

    /// Whether every one is believed.
    pub fn is_sound(&self) -> bool {
        self.verdicts.iter().all(|verdict| *verdict == Verdict::Believed)
    }

    /// How many are believed that say anything.
    pub fn believed(&self) -> usize {
        (0..self.headers.len()).filter(|i| self.believes(*i) && self.headers[*i].kind != PT_NULL).count()
    }

    /// The headers, with nothing in place of those that are not believed.
    pub fn headers(&self) -> impl Iterator<Item = ProgramHeader> + '_ {
        let nothing = ProgramHeader { kind: PT_NULL, ..ProgramHeader::default() };
        self.headers.iter().enumerate().map(move |(i, header)| if self.believes(i) { *header } else { nothing })
    }

    /// The numbers of those that are not believed and whose memory no other has all of.
    pub fn lost(&self) -> Vec<usize> {
        let memory =
            joined(self.loads().map(|(_, load)| (load.paddr, load.paddr.saturating_add(load.filesz))).collect());
        let is_lost = |i: &usize| match self.verdicts[*i] {
            Verdict::Believed => false,
            Verdict::Doubted => !is_covered(&self.headers[*i], &memory),
            Verdict::Astray => true,
        };
        (0..self.headers.len()).filter(is_lost).collect()
    }

    /// The PT_LOADs that are believed and lie somewhere in memory.
    fn loads(&self) -> impl Iterator<Item = (usize, &'a ProgramHeader)> + '_ {
        let all = self.headers.iter().enumerate();
        all.filter(|(i, header)| self.believes(*i) && header.kind == PT_LOAD && has_place(header))
    }

    /// Those with bytes in the file, ascending in it.
    fn in_file(&self) -> Vec<(usize, &'a ProgramHeader)> {
        let mut all: Vec<_> = self.loads().filter(|(_, load)| load.filesz != 0).collect();
        all.sort_by_key(|(i, load)| (load.offset, load.filesz, *i));
        all
    }

    fn believes(&self, i: usize) -> bool {
        self.verdicts[i] == Verdict::Believed
    }

    fn judge(&mut self, all: impl IntoIterator<Item = usize>, verdict: Verdict) {
        all.into_iter().for_each(|i| self.verdicts[i] = verdict);
    }

    /// What ends past the end of the file was cut off where it goes on behind another, or another behind it; else its
    /// offset or its size is made up.
    fn doubt_what_ends_past(&mut self, len: u64) {
        let mut end = self.headers.iter().filter(|h| h.kind == PT_NOTE && h.end() <= len).map(|h| h.end()).max();
        let mut bad = Vec::new();
        for (i, load) in self.in_file() {
            let follows = end.is_some_and(|end| load.offset <= end.saturating_add(MAX_PADDING));
            match load.offset <= len || follows {
                true => end = end.max(Some(load.end())),
                false => bad.push(i),
            }
        }
        let first = |from: u64| self.in_file().iter().map(|(_, load)| load.offset).find(|offset| *offset >= from);
        let whole =
            |h: &ProgramHeader| h.end() <= len || (h.offset <= len && first(h.offset).is_none_or(|at| at >= h.end()));
        let notes = self.headers.iter().enumerate().filter(|(_, h)| h.kind == PT_NOTE && !whole(h));
        bad.extend(notes.map(|(i, _)| i));
        self.judge(bad, Verdict::Doubted);
    }

    /// Bytes of the file are those of the headers or of one place in memory. Of two segments that say otherwise one was moved onto the
    /// other, which shows by what it left, or by what it no longer touches. Two that share all of their bytes, and leave
    /// none that nobody has, may come from a writer that stores what is alike once.
    fn doubt_shared_bytes(&mut self, table_end: u64, len: u64) {
        let all = self.in_file();
        let notes = self.headers.iter().filter(|h| h.kind == PT_NOTE && h.end() <= len).map(|h| h.end());
        let mut end = notes.fold(table_end, u64::max);
        let (mut clash, mut furthest, mut unclaimed): (Vec<[usize; 2]>, Option<usize>, Vec<u64>) = Default::default();
        for (i, load) in &all {
            unclaimed.push(load.offset.saturating_sub(end));
            let before = furthest.filter(|other| load.offset < self.headers[*other].end());
            clash.extend(before.filter(|other| self.headers[*other].bias() != load.bias()).map(|other| [other, *i]));
            if end < load.end() {
                (furthest, end) = (Some(*i), load.end());
            }
        }
        unclaimed.push(len.saturating_sub(end));
        unclaimed.sort_unstable();
        let has_left = |load: &ProgramHeader| {
            let at = unclaimed.partition_point(|gap| *gap < load.filesz);
            unclaimed.get(at).is_some_and(|gap| gap - load.filesz < MAX_PADDING)
        };
        let mut ends: Vec<u64> = all.iter().map(|(_, load)| load.end()).collect();
        ends.sort_unstable();
        let touches = |load: &ProgramHeader| {
            let follower = all.binary_search_by_key(&load.end(), |(_, next)| next.offset);
            follower.is_ok() || ends.binary_search(&load.offset).is_ok() || load.end() == len
        };
        let in_headers = all.iter().filter(|(_, load)| load.offset < table_end && has_left(load));
        let mut bad: Vec<usize> = in_headers.map(|(i, _)| *i).collect();
        for pair in clash {
            let [a, b] = pair.map(|i| self.headers[i]);
            match ([a, b].map(|load| has_left(&load)), [a, b].map(|load| touches(&load))) {
                ([true, false], _) | ([false, false], [false, true]) => bad.push(pair[0]),
                ([false, true], _) | ([false, false], [true, false]) => bad.push(pair[1]),
                ([false, false], _) if (a.offset, a.filesz) == (b.offset, b.filesz) => {}
                _ => bad.extend(pair),
            }
        }
        self.judge(bad, Verdict::Doubted);
    }

    /// Where all of RAM but one segment is mapped at one distance, and memory lacks just what that one's virtual address
    /// stands for, its physical address is wrong. The kernel's image is mapped elsewhere too, at no address of RAM's.
    fn doubt_the_misplaced(&mut self) {
        let Some(usual) = self.usual_distance() else { return };
        let (mapped_so, others): (Vec<_>, Vec<_>) =
            self.loads().filter(|(_, load)| is_mapped(load)).partition(|(_, load)| load.distance() == usual);
        let end = mapped_so.iter().map(|(_, load)| load.memory().1).max().unwrap_or(0).next_multiple_of(RESUMES);
        let place = |load: &ProgramHeader| load.vaddr.wrapping_sub(usual);
        let odd: Vec<_> = others.into_iter().filter(|(_, load)| place(load) <= end).collect();
        let [(i, load)] = odd.as_slice() else { return };
        let (start, end) = (place(load), place(load).saturating_add(load.memsz));
        let memory = joined(self.loads().filter(|(other, _)| other != i).map(|(_, load)| load.memory()).collect());
        if memory.iter().all(|(from, to)| *to <= start || end <= *from) {
            self.judge([*i], Verdict::Astray);
        }
    }

    /// The distance of virtual from physical addresses at which most of memory is mapped.
    fn usual_distance(&self) -> Option<u64> {
        let mut distances: BTreeMap<u64, u64> = BTreeMap::new();
        for (_, load) in self.loads().filter(|(_, load)| is_mapped(load)) {
            let bytes = distances.entry(load.distance()).or_default();
            *bytes = load.memsz.saturating_add(*bytes);
        }
        distances.into_iter().max_by_key(|(_, bytes)| *bytes).map(|(distance, _)| distance)
    }

    /// Segments that have the same memory have the same in it. The kernel's image, which lies whole in a segment of RAM,
    /// may have changed meanwhile where the machine ran on.
    fn doubt_shared_memory(&mut self, file: &dyn ReadAt, len: u64) {
        let usual = self.usual_distance();
        let mut all: Vec<_> = self.loads().filter(|(_, load)| load.filesz != 0).collect();
        all.sort_by_key(|(i, load)| (load.paddr, load.filesz, *i));
        let (mut this, mut that, mut left) = (file.reader(), file.reader(), len);
        let (mut bad, mut furthest): (Vec<usize>, Option<(usize, &ProgramHeader)>) = (Vec::new(), None);
        for (i, load) in all {
            let end = load.paddr.saturating_add(load.filesz);
            let Some((other, before)) = furthest else {
                furthest = Some((i, load));
                continue;
            };
            let covered = before.paddr.saturating_add(before.filesz);
            let range = load.paddr..end.min(covered);
            if range.start < range.end && before.bias() != load.bias() && !is_image(load, before) {
                let winner = before.offset.saturating_add(load.paddr - before.paddr);
                let overlap = Overlap { range, winner, loser: load.offset };
                if differs(&overlap, Look::Few, &mut left, this.as_mut(), that.as_mut()) {
                    match [load, before].map(|load| is_mapped(load) && Some(load.distance()) == usual) {
                        [true, false] => bad.push(other),
                        [false, true] => bad.push(i),
                        _ => bad.extend([i, other]),
                    }
                }
            }
            if covered < end {
                furthest = Some((i, load));
            }
        }
        self.judge(bad, Verdict::Astray);
    }
}

/// Whether one of two that have memory in common is mapped elsewhere, and lies whole in the other.
fn is_image(a: &ProgramHeader, b: &ProgramHeader) -> bool {
    let within = |(from, to): (u64, u64), (start, end): (u64, u64)| start <= from && to <= end;
    let whole = within(a.memory(), b.memory()) || within(b.memory(), a.memory());
    whole && is_mapped(a) && is_mapped(b) && a.distance() != b.distance()
}

/// Whether a header by itself can be one of a core's.
pub(crate) fn makes_sense(header: &ProgramHeader) -> bool {
    let in_file = header.filesz == 0 || header.end() >> 63 == 0;
    match header.kind {
        PT_NOTE => in_file,
        PT_LOAD => in_file && header.filesz <= header.memsz && (!has_place(header) || header.memory().1 <= MAX_ADDR),
        kind => kind < PT_NUM || kind.checked_sub(PT_GNU.0).is_some_and(|n| n < PT_GNU.1),
    }
}

/// Whether a header by itself can be one of a core's that a kernel or a hypervisor wrote: nothing but notes and memory
/// has content there.
fn fits_a_core(header: &ProgramHeader) -> bool {
    match header.kind {
        PT_NOTE | PT_LOAD => makes_sense(header),
        _ => header.filesz == 0,
    }
}

/// Whether a segment says where in physical memory it lies: not all ones.
fn has_place(load: &ProgramHeader) -> bool {
    !ALL_ONES.contains(&load.paddr)
}

/// Whether a segment says where it was mapped: neither 0 nor all ones.
fn is_mapped(load: &ProgramHeader) -> bool {
    load.vaddr != 0 && !ALL_ONES.contains(&load.vaddr)
}

/// What a field of either class holds where there is no address.
const ALL_ONES: [u64; 2] = [u32::MAX as u64, u64::MAX];

impl ProgramHeader {
    /// Where its content ends in the file.
    fn end(&self) -> u64 {
        self.offset.saturating_add(self.filesz)
    }

    /// Where its memory begins and ends.
    fn memory(&self) -> (u64, u64) {
        (self.paddr, self.paddr.saturating_add(self.memsz))
    }

    /// What those share whose memory and whose bytes lie alike.
    fn bias(&self) -> u64 {
        self.offset.wrapping_sub(self.paddr)
    }

    /// How far its virtual addresses are from the physical ones.
    fn distance(&self) -> u64 {
        self.vaddr.wrapping_sub(self.paddr)
    }
}

/// Ranges in ascending order, joined where they touch.
fn joined(mut ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    ranges.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (start, end) in ranges {
        match joined.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    joined
}

/// Whether `memory`, ascending, has all of a segment's.
fn is_covered(load: &ProgramHeader, memory: &[(u64, u64)]) -> bool {
    let at = memory.partition_point(|(_, end)| *end <= load.paddr);
    let covers = |(start, end): &(u64, u64)| *start <= load.paddr && load.memory().1 <= *end;
    load.kind == PT_LOAD && memory.get(at).is_some_and(covers)
}
