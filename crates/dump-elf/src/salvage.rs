//! Reading what is certain of a core whose headers are damaged.
//!
//! In every core program headers follow the ELF header, which says little else: it is made up where it makes no sense.
//! A program header that makes no sense, or contradicts another, is left out, and with it the memory that only it
//! describes. Linux maps all of RAM at one distance from its physical addresses, so that where virtual addresses are
//! given, a physical address that is off shows. The kernel's text has a segment of its own at another distance, which
//! nothing confirms; its memory is in a segment of RAM too.

use crate::container::ElfCore;
use crate::header::{FileHeader, ProgramHeader, Sizes};
use dump_core::{ByteOrder, Bytes, Container, Error, FieldsMut, Machine, Part, ReadAt, Result, WordSize};
use goblin::elf::program_header::{PT_LOAD, PT_NOTE, PT_NULL};
use std::collections::BTreeMap;

/// Physical addresses end here on all machines that there are.
const MAX_ADDR: u64 = 1 << 52;

/// Program headers that are looked at: more than any writer but one that needs PN_XNUM has.
const MAX_HEADERS: u64 = 0xffff;

/// Opens a core, whatever of its headers is damaged.
///
/// # Errors
/// If it is none, or there is more than one file.
pub fn salvage(parts: Vec<Part>) -> Result<Box<dyn Container>> {
    let mut parts = parts.into_iter();
    let (Some(Part { bytes, .. }), None) = (parts.next(), parts.next()) else {
        return Err(Error::unsupported("ELF cores are not split into several files"));
    };
    let (header, headers) = headers(&bytes)?;
    let judged = judged(&headers, header.phoff, bytes.len()?);
    let front = front(header, &headers, &judged);
    let memory = believed(&headers, &judged);
    let left_out: Vec<String> = (0..headers.len())
        .filter(|i| !judged[*i] && !is_covered(&headers[*i], &memory))
        .map(|i| i.to_string())
        .collect();
    let core = ElfCore::open(Refronted { front, rest: bytes })?;
    Ok(Box::new(match left_out.is_empty() {
        true => core,
        false => core.with_damage(Error::corrupt(format!(
            "program headers {} make no sense; memory that only they describe is lost",
            left_out.join(", ")
        ))),
    }))
}

/// The ELF header, made up if need be, and all program headers.
fn headers(file: &dyn ReadAt) -> Result<(FileHeader, Vec<ProgramHeader>)> {
    let stated = FileHeader::read(file).ok();
    let usual = |header: &FileHeader| {
        let sizes = Sizes::of(header.machine.word);
        header.phentsize == sizes.program && header.phoff == u64::from(sizes.file)
    };
    if let Some(header) = stated.filter(usual) {
        if let Ok(headers) = program_headers(&header, file) {
            let (count, room) = counted(file, &header)?;
            if count != 0 && (count..=room).contains(&(headers.len() as u64)) {
                return Ok((header, headers));
            }
        }
    }
    let mut best: Option<(usize, FileHeader, Vec<ProgramHeader>)> = None;
    for machine in machines(stated) {
        let header = made_up(machine, stated);
        let count = counted(file, &header)?.0;
        let header = FileHeader { phnum: count as u16, ..header };
        let Ok(headers) = program_headers(&header, file) else { continue };
        let good = judged(&headers, header.phoff, file.len()?).iter().filter(|good| **good).count();
        if good != 0 && best.as_ref().is_none_or(|(most, ..)| good > *most) {
            best = Some((good, header, headers));
        }
    }
    let none = || Error::corrupt("no program header makes sense, so nothing says what memory there is");
    best.map(|(_, header, headers)| (header, headers)).ok_or_else(none)
}

/// The machines that it may be, the likeliest first.
fn machines(stated: Option<FileHeader>) -> Vec<Machine> {
    let elf_machine = stated.and_then(|header| header.machine.elf_machine);
    let mut all = Vec::new();
    for word in [WordSize::Bits64, WordSize::Bits32] {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            all.push(Machine { elf_machine, order, word });
        }
    }
    all
}

fn made_up(machine: Machine, stated: Option<FileHeader>) -> FileHeader {
    let Sizes { file, program, section } = Sizes::of(machine.word);
    let flags = stated.map_or(0, |header| header.flags);
    FileHeader {
        machine,
        phoff: u64::from(file),
        shoff: 0,
        flags: flags & crate::header::INCOMPLETE,
        ehsize: file,
        phentsize: program,
        phnum: 0,
        shentsize: section,
        shnum: 0,
        shstrndx: 0,
    }
}

/// How many program headers there are at least, up to the last that makes sense, and how many there is room for before
/// the first content that one of them speaks of.
fn counted(file: &dyn ReadAt, header: &FileHeader) -> Result<(u64, u64)> {
    let (size, len) = (u64::from(header.phentsize), file.len()?);
    let mut end = len.min(header.phoff + MAX_HEADERS * size);
    let (mut count, mut last) = (0, 0);
    while header.phoff + (count + 1) * size <= end {
        let one = FileHeader { phoff: header.phoff + count * size, phnum: 1, ..*header };
        let Ok(headers) = program_headers(&one, file) else { break };
        count += 1;
        for load in headers.iter().filter(|load| makes_sense(load, header.phoff, len)) {
            end = end.min(load.offset.max(header.phoff));
            last = count;
        }
        if count > last + 64 {
            break; // a stretch of headers that none stands in is memory
        }
    }
    Ok((last, end.saturating_sub(header.phoff) / size))
}

/// Which program headers are to be believed.
fn judged(headers: &[ProgramHeader], phoff: u64, len: u64) -> Vec<bool> {
    let mut good: Vec<bool> =
        headers.iter().map(|header| header.kind == PT_NULL || makes_sense(header, phoff, len)).collect();
    let loads = |good: &[bool]| -> Vec<usize> {
        (0..headers.len()).filter(|i| good[*i] && headers[*i].kind == PT_LOAD).collect()
    };
    // the distance at which most of RAM is mapped, where it is
    let mut distances: BTreeMap<u64, u64> = BTreeMap::new();
    let mapped = loads(&good).into_iter().filter(|i| headers[*i].vaddr != 0);
    for load in mapped.map(|i| &headers[i]) {
        let bytes = distances.entry(load.vaddr.wrapping_sub(load.paddr)).or_default();
        *bytes = load.memsz.saturating_add(*bytes);
    }
    let usual = distances.iter().max_by_key(|(_, bytes)| **bytes).map(|(distance, _)| *distance);
    let all = loads(&good);
    for i in &all {
        let load = &headers[*i];
        good[*i] = load.vaddr == 0 || usual.is_none_or(|usual| load.vaddr.wrapping_sub(load.paddr) == usual);
    }
    let unmapped: Vec<usize> = all.iter().copied().filter(|i| headers[*i].vaddr == 0).collect();
    let in_file = clashing(&all, |i| (headers[i].offset, headers[i].filesz));
    let in_memory = clashing(&unmapped, |i| (headers[i].paddr, headers[i].memsz));
    in_file.into_iter().chain(in_memory).for_each(|i| good[i] = false);
    good
}

/// Those of `all` that share bytes with another, given where each begins and how long it is.
fn clashing(all: &[usize], range: impl Fn(usize) -> (u64, u64)) -> Vec<usize> {
    let mut sorted: Vec<usize> = all.iter().copied().filter(|i| range(*i).1 != 0).collect();
    sorted.sort_by_key(|i| range(*i));
    let (mut clash, mut furthest): (Vec<usize>, Option<(u64, usize)>) = (Vec::new(), None);
    for i in sorted {
        let (start, len) = range(i);
        let end = start.saturating_add(len);
        if let Some((_, other)) = furthest.filter(|(furthest, _)| start < *furthest) {
            clash.extend([i, other]);
        }
        furthest = furthest.max(Some((end, i)));
    }
    clash
}

/// Physical memory that the file has by the segments that are believed, ascending, joined where it touches.
fn believed(headers: &[ProgramHeader], good: &[bool]) -> Vec<(u64, u64)> {
    let loads = headers.iter().zip(good).filter(|(load, good)| **good && load.kind == PT_LOAD);
    let mut ranges: Vec<(u64, u64)> =
        loads.map(|(load, _)| (load.paddr, load.paddr.saturating_add(load.filesz))).collect();
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
    let covers = |(start, end): &(u64, u64)| *start <= load.paddr && load.paddr.saturating_add(load.memsz) <= *end;
    load.kind == PT_LOAD && memory.get(at).is_some_and(covers)
}

fn makes_sense(header: &ProgramHeader, phoff: u64, len: u64) -> bool {
    let in_file = header.offset > phoff && header.offset.checked_add(header.filesz).is_some_and(|end| end >> 63 == 0);
    let notes = header.kind == PT_NOTE && header.offset.checked_add(header.filesz).is_some_and(|end| end <= len);
    let load = header.kind == PT_LOAD
        && header.memsz != 0
        && header.filesz <= header.memsz
        && header.offset <= len
        && header.paddr.checked_add(header.memsz).is_some_and(|end| end <= MAX_ADDR);
    in_file && (notes || load)
}

/// The start of the file with those headers that are believed.
fn front(header: FileHeader, headers: &[ProgramHeader], good: &[bool]) -> Vec<u8> {
    let mut f = FieldsMut::new(header.machine.order, header.machine.word);
    for (header_, good) in headers.iter().zip(good) {
        let kept = if *good { *header_ } else { ProgramHeader { kind: PT_NULL, ..ProgramHeader::default() } };
        kept.encode(header.machine.word, &mut f);
    }
    [header.encode(), f.into_bytes()].concat()
}

/// A file with another start.
struct Refronted {
    front: Vec<u8>,
    rest: Bytes,
}

impl ReadAt for Refronted {
    fn len(&self) -> Result<u64> {
        self.rest.len()
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.rest.read_exact_at(offset, buf)?;
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        let front = self.front.get(at..).unwrap_or_default();
        let len = front.len().min(buf.len());
        buf[..len].copy_from_slice(&front[..len]);
        Ok(())
    }
}
/// All program headers of a core.
fn program_headers(header: &FileHeader, file: &dyn ReadAt) -> Result<Vec<ProgramHeader>> {
    let mut headers = Vec::new();
    header.each_program_header(file, &mut |one| headers.push(*one))?;
    Ok(headers)
}
