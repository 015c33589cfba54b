//! Reading what is certain of a core whose headers are damaged.
//!
//! A core whose headers contradict nothing is opened as any other. Else the ELF header, which says little but where the
//! program headers are, is made up where it makes no sense, and program headers that are not believed are left out, and
//! with them the memory that only they describe.

use crate::container::ElfCore;
use crate::header::{FileHeader, PN_XNUM, ProgramHeader, Sizes};
use crate::judgement::{Judgement, makes_sense};
use dump_core::{ByteOrder, Bytes, Container, Error, FieldsMut, Machine, Part, ReadAt, Result, WordSize};
use goblin::elf::program_header::{PT_LOAD, PT_NOTE};

/// Program headers that are looked for: more than any writer but one that needs PN_XNUM has.
const MAX_HEADERS: u64 = 0xffff;

/// Headers in a row that make no sense end a table: what follows is memory.
const MAX_NONSENSE: u64 = 64;

/// Opens a core, whatever of its headers is damaged.
///
/// # Errors
/// If it is none, or there is more than one file.
pub fn salvage(parts: Vec<Part>) -> Result<Box<dyn Container>> {
    let mut parts = parts.into_iter();
    let (Some(Part { bytes, .. }), None) = (parts.next(), parts.next()) else {
        return Err(Error::unsupported("ELF cores are not split into several files"));
    };
    let stated = FileHeader::read(&bytes).ok();
    let (header, headers) = table(stated, &bytes)?;
    let judgement = Judgement::new(&headers, table_end(&header, headers.len()), &bytes)?;
    if judgement.is_sound() && stated == Some(header) {
        return Ok(Box::new(ElfCore::open(bytes)?));
    }
    let lost: Vec<String> = judgement.lost().iter().map(usize::to_string).collect();
    let core = ElfCore::open(Patched::new(bytes, &header, &judgement))?;
    Ok(Box::new(match lost.is_empty() {
        true => core,
        false => core.with_damage(Error::corrupt(format!(
            "program headers {} make no sense; memory that only they describe is lost",
            lost.join(", ")
        ))),
    }))
}

/// An ELF header and all program headers.
type Table = (FileHeader, Vec<ProgramHeader>);

/// The headers as the file has them, where it has as many program headers as it says, or none can be made up.
fn table(stated: Option<FileHeader>, file: &dyn ReadAt) -> Result<Table> {
    let Some(header) = stated.filter(|header| header.phentsize == Sizes::of(header.machine.word).program) else {
        return made_up(stated, file);
    };
    let Ok(headers) = program_headers(&header, file) else { return made_up(stated, file) };
    let found = Found::count(file, &header)?;
    let fits = (found.last..=found.room).contains(&(headers.len() as u64));
    if found.last != 0 && (header.phnum == PN_XNUM || fits) {
        return Ok((header, headers));
    }
    let made_up = made_up(stated, file);
    if made_up.is_err() && !headers.is_empty() { Ok((header, headers)) } else { made_up }
}

/// The ELF header with which most of the program headers make sense.
fn made_up(stated: Option<FileHeader>, file: &dyn ReadAt) -> Result<Table> {
    let mut best: Option<(usize, Table)> = None;
    for header in candidates(stated) {
        let header = FileHeader { phnum: Found::count(file, &header)?.last as u16, ..header };
        let Ok(headers) = program_headers(&header, file) else { continue };
        let believed = Judgement::new(&headers, table_end(&header, headers.len()), file)?.believed();
        if believed != 0 && best.as_ref().is_none_or(|(most, _)| believed > *most) {
            best = Some((believed, (header, headers)));
        }
    }
    let none = || Error::corrupt("no program header makes sense, so nothing says what memory there is");
    best.map(|(_, table)| table).ok_or_else(none)
}

/// What the ELF header may have been, the likeliest first: program headers follow it, or, as QEMU has it, two section
/// headers between.
fn candidates(stated: Option<FileHeader>) -> Vec<FileHeader> {
    let elf_machine = stated.and_then(|header| header.machine.elf_machine);
    let flags = stated.map_or(0, |header| header.flags) & crate::header::INCOMPLETE;
    let mut all = Vec::new();
    for sections in [0, 2] {
        for (word, order) in [WordSize::Bits64, WordSize::Bits32]
            .into_iter()
            .flat_map(|word| [ByteOrder::Little, ByteOrder::Big].map(|order| (word, order)))
        {
            let Sizes { file, program, section } = Sizes::of(word);
            let machine = Machine { elf_machine, order, word };
            all.push(FileHeader {
                machine,
                phoff: u64::from(file + sections * section),
                shoff: if sections == 0 { 0 } else { u64::from(file) },
                flags,
                ehsize: file,
                phentsize: program,
                phnum: 0,
                shentsize: section,
                shnum: sections,
                shstrndx: sections.saturating_sub(1),
            });
        }
    }
    all
}

/// Program headers, looked for without a number.
struct Found {
    /// How many there are at least, up to the last that makes sense.
    last: u64,
    /// How many there is room for before the first content that one of them speaks of.
    room: u64,
}

impl Found {
    fn count(file: &dyn ReadAt, header: &FileHeader) -> Result<Found> {
        let (size, len) = (u64::from(header.phentsize), file.len()?);
        let place = |n: u64| header.phoff.saturating_add(n * size);
        let mut end = len.min(place(MAX_HEADERS));
        let (mut count, mut last) = (0, 0);
        while place(count + 1) <= end && count <= last + MAX_NONSENSE {
            let one = FileHeader { phoff: place(count), phnum: 1, ..*header };
            let Ok(headers) = program_headers(&one, file) else { break };
            count += 1;
            if let Some(header) = headers.first().filter(|header| speaks(header, place(count), len)) {
                last = count;
                end = if header.filesz == 0 { end } else { end.min(header.offset) };
            }
        }
        Ok(Found { last, room: end.saturating_sub(header.phoff) / size })
    }
}

/// Whether a header speaks of content in the file, or of memory that was left out.
fn speaks(header: &ProgramHeader, table_end: u64, len: u64) -> bool {
    let says = match header.kind {
        PT_NOTE => header.filesz != 0,
        PT_LOAD => header.memsz != 0,
        _ => false,
    };
    let after = |header: &ProgramHeader| (table_end..=len).contains(&header.offset);
    says && makes_sense(header) && (header.filesz == 0 || after(header))
}

/// Where a table of `count` program headers ends.
fn table_end(header: &FileHeader, count: usize) -> u64 {
    header.phoff.saturating_add(count as u64 * u64::from(header.phentsize))
}

/// All program headers of a core.
fn program_headers(header: &FileHeader, file: &dyn ReadAt) -> Result<Vec<ProgramHeader>> {
    let mut headers = Vec::new();
    header.each_program_header(file, &mut |one| headers.push(*one))?;
    Ok(headers)
}

/// A file with other headers.
struct Patched {
    /// What stands where, instead.
    patches: [(u64, Vec<u8>); 2],
    rest: Bytes,
}

impl Patched {
    /// `rest` with an ELF header, and with those program headers that are believed.
    fn new(rest: Bytes, header: &FileHeader, judgement: &Judgement<'_>) -> Patched {
        let mut f = FieldsMut::new(header.machine.order, header.machine.word);
        judgement.headers().for_each(|one| one.encode(header.machine.word, &mut f));
        Patched { patches: [(0, header.encode()), (header.phoff, f.into_bytes())], rest }
    }
}

impl ReadAt for Patched {
    fn len(&self) -> Result<u64> {
        self.rest.len()
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.rest.read_exact_at(offset, buf)?;
        for (at, patch) in &self.patches {
            let from = offset.saturating_sub(*at).min(patch.len() as u64) as usize;
            let to = at.saturating_sub(offset).min(buf.len() as u64) as usize;
            let buf = buf[to..].iter_mut();
            buf.zip(&patch[from..]).for_each(|(byte, patched)| *byte = *patched);
        }
        Ok(())
    }
}
