//! An ELF file by its sections, of either word size and byte order (System V ABI, chapters 4 and 5).

use dump_core::{ByteOrder, Error, ErrorKind, InputFile, ReadAt, Result, WordSize};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The largest section that is read (bytes): a distribution's `.debug_info` is some 300 MiB.
const MAX_SECTION: u64 = 4 << 30;

/// What a file's sections are read and unpacked by (bytes).
const STEP: usize = 1 << 20;

/// A debug file of a kernel has some hundred sections, and up to some ten thousand where each function has its own.
const MAX_SECTIONS: u64 = 1 << 20;

/// sh_flags: the section begins with a header that says how it is compressed.
const COMPRESSED: u64 = 1 << 11;
const ALLOCATED: u64 = 2;

const NOBITS: u64 = 8;
const NOTE: u64 = 7;

/// NT_GNU_BUILD_ID.
const BUILD_ID: u64 = 3;

/// A section, as its header has it.
#[derive(Clone, Debug)]
struct Section {
    name: String,
    kind: u64,
    flags: u64,
    addr: u64,
    offset: u64,
    size: u64,
}

/// An ELF file.
pub(crate) struct Elf<R> {
    file: R,
    pub(crate) order: ByteOrder,
    pub(crate) word: WordSize,
    pub(crate) machine: u16,
    sections: Vec<Section>,
}

/// A symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Symbol {
    pub(crate) value: u64,
    global: bool,
}

/// Opens the file at `path`.
///
/// # Errors
/// If the system refuses it.
pub(crate) fn open_file(path: &Path) -> Result<InputFile> {
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    Ok(InputFile::new(file, len))
}

impl<R: ReadAt> Elf<R> {
    /// Reads the header and the section headers.
    ///
    /// # Errors
    /// `BadMagic` if it is no ELF file; `Truncated` or `Corrupt` if it has no sections that can be read.
    pub(crate) fn new(file: R) -> Result<Elf<R>> {
        let mut head = [0; 64];
        let len = file.len()?.min(64) as usize;
        file.read_exact_at(0, &mut head[..len])?;
        let word = match head[4] {
            1 => WordSize::Bits32,
            2 => WordSize::Bits64,
            _ => return Err(not_elf()),
        };
        let order = match head[5] {
            1 => ByteOrder::Little,
            2 => ByteOrder::Big,
            _ => return Err(not_elf()),
        };
        if !head.starts_with(b"\x7fELF") || len < 52 {
            return Err(not_elf());
        }
        let fields = Fields { bytes: &head, order };
        let (at, entry, mut count, mut names) = match word {
            WordSize::Bits32 => (fields.u32(0x20), fields.u16(0x2e), fields.u16(0x30), fields.u16(0x32)),
            WordSize::Bits64 => (fields.u64(0x28), fields.u16(0x3a), fields.u16(0x3c), fields.u16(0x3e)),
        };
        let machine = fields.u16(0x12) as u16;
        let mut elf = Elf { file, order, word, machine, sections: Vec::new() };
        let least = if word == WordSize::Bits64 { 64 } else { 40 };
        if at == 0 || entry < least {
            return Err(Error::corrupt("an ELF file without section headers"));
        }
        // the first header has what the file header has no room for
        let first = elf.header(&elf.read(at, entry)?);
        if count == 0 {
            count = first.size;
        }
        if names == 0xffff {
            names = first.link;
        }
        if count > MAX_SECTIONS {
            return Err(Error::corrupt(format!("an ELF file of {count} sections, expected at most {MAX_SECTIONS}")));
        }
        let table = elf.read(at, count * entry)?;
        let headers: Vec<Header> = table.chunks_exact(entry as usize).map(|bytes| elf.header(bytes)).collect();
        let strings = match headers.get(names as usize) {
            Some(header) if header.kind != NOBITS => elf.read(header.offset, header.size)?,
            _ => return Err(Error::corrupt("an ELF file whose sections have no names")),
        };
        let named = headers.iter().map(|header| Section {
            name: String::from_utf8_lossy(text_at(&strings, header.name)).into_owned(),
            kind: header.kind,
            flags: header.flags,
            addr: header.addr,
            offset: header.offset,
            size: header.size,
        });
        elf.sections = named.collect();
        Ok(elf)
    }

    fn header(&self, bytes: &[u8]) -> Header {
        let fields = Fields { bytes, order: self.order };
        match self.word {
            WordSize::Bits32 => Header {
                name: fields.u32(0),
                kind: fields.u32(4),
                flags: fields.u32(8),
                addr: fields.u32(12),
                offset: fields.u32(16),
                size: fields.u32(20),
                link: fields.u32(24),
            },
            WordSize::Bits64 => Header {
                name: fields.u32(0),
                kind: fields.u32(4),
                flags: fields.u64(8),
                addr: fields.u64(16),
                offset: fields.u64(24),
                size: fields.u64(32),
                link: fields.u32(40),
            },
        }
    }

    /// `len` bytes of the file, which has as many.
    fn read(&self, at: u64, len: u64) -> Result<Vec<u8>> {
        let (end, all) = (at.checked_add(len), self.file.len()?);
        if end.is_none_or(|end| end > all) || len > MAX_SECTION {
            return Err(Error::truncated("a section", end.unwrap_or(u64::MAX), all));
        }
        let mut bytes = vec![0; len as usize];
        self.file.read_exact_at(at, &mut bytes)?;
        Ok(bytes)
    }

    /// Whether a section of that name has bytes in the file.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.sections.iter().any(|section| section.name == name && section.kind != NOBITS && section.size != 0)
    }

    /// The bytes of a section, unpacked; none where there is none, or it has none in the file.
    ///
    /// # Errors
    /// If it cannot be read or unpacked; `Unsupported` for compression that is not known.
    pub(crate) fn section(&self, name: &str) -> Result<Vec<u8>> {
        let found = self.sections.iter().find(|section| section.name == name && section.kind != NOBITS);
        let Some(section) = found else { return Ok(Vec::new()) };
        let bytes = self.read(section.offset, section.size).and_then(|bytes| match section.flags & COMPRESSED {
            0 => Ok(bytes),
            _ => self.unpacked(&bytes),
        });
        bytes.map_err(|e| e.within(format_args!("section {name}")))
    }

    /// What a section that is compressed holds: after a header with the kind of compression and the length.
    fn unpacked(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let fields = Fields { bytes, order: self.order };
        let (len, header) = match self.word {
            WordSize::Bits32 => (fields.u32(4), 12),
            WordSize::Bits64 => (fields.u64(8), 24),
        };
        let packed = bytes.get(header..).unwrap_or_default();
        let most = MAX_SECTION.min(MOST_TIMES * packed.len() as u64 + (1 << 20));
        if len > most {
            return Err(Error::corrupt(format!("{len} bytes when unpacked, expected at most {most}")));
        }
        match fields.u32(0) {
            1 => unpack(flate2::bufread::ZlibDecoder::new(packed), len),
            2 => unpack(zstd::stream::read::Decoder::with_buffer(packed)?, len),
            kind => Err(Error::unsupported(format!("compression {kind} is not known"))),
        }
    }

    /// The symbol of that name: the global one, or the only one.
    pub(crate) fn symbol(&self, symbols: &Symbols, name: &str) -> Option<u64> {
        let entry = if self.word == WordSize::Bits64 { 24 } else { 16 };
        let mut found: Option<Symbol> = None;
        for bytes in symbols.table.chunks_exact(entry) {
            let fields = Fields { bytes, order: self.order };
            let (info, section, value) = match self.word {
                WordSize::Bits64 => (bytes[4], fields.u16(6), fields.u64(8)),
                WordSize::Bits32 => (bytes[12], fields.u16(14), fields.u32(4)),
            };
            if section == 0 || text_at(&symbols.strings, fields.u32(0)) != name.as_bytes() {
                continue;
            }
            let symbol = Symbol { value, global: info >> 4 != 0 };
            match found {
                Some(known) if known.global => {}
                Some(known) if !symbol.global && known.value != value => return None,
                _ => found = Some(symbol),
            }
        }
        found.map(|symbol| symbol.value)
    }

    /// The table of symbols; empty where there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn symbols(&self) -> Result<Symbols> {
        Ok(Symbols { table: self.section(".symtab")?, strings: self.section(".strtab")? })
    }

    /// `len` bytes at a virtual address, if the file has them.
    pub(crate) fn bytes_at(&self, at: u64, len: usize) -> Option<Vec<u8>> {
        let len = len as u64;
        let holds = |section: &&Section| {
            let into = at.checked_sub(section.addr);
            section.flags & (ALLOCATED | COMPRESSED) == ALLOCATED
                && section.kind != NOBITS
                && into.and_then(|into| into.checked_add(len)).is_some_and(|end| end <= section.size)
        };
        let section = self.sections.iter().find(holds)?;
        self.read(section.offset.checked_add(at - section.addr)?, len).ok()
    }

    /// The build ID: the descriptor of a note in some section of notes.
    pub(crate) fn build_id(&self) -> Option<Vec<u8>> {
        let notes = self.sections.iter().filter(|section| section.kind == NOTE && section.size < STEP as u64);
        let bytes = notes.filter_map(|section| self.read(section.offset, section.size).ok());
        bytes.into_iter().find_map(|bytes| self.build_id_in(&bytes))
    }

    fn build_id_in(&self, mut notes: &[u8]) -> Option<Vec<u8>> {
        while notes.len() >= 12 {
            let fields = Fields { bytes: notes, order: self.order };
            let (name, desc, kind) = (fields.u32(0) as usize, fields.u32(4) as usize, fields.u32(8));
            let own = notes.get(12..)?.get(..name)?;
            let desc_at = 12 + name.next_multiple_of(4);
            let bytes = notes.get(desc_at..)?.get(..desc)?;
            if own == b"GNU\0" && kind == BUILD_ID && !bytes.is_empty() {
                return Some(bytes.to_vec());
            }
            notes = notes.get(desc_at + desc.next_multiple_of(4)..).unwrap_or_default();
        }
        None
    }
}

fn not_elf() -> Error {
    Error::new(ErrorKind::BadMagic, "not an ELF file")
}

/// A table of symbols and the names in it.
pub(crate) struct Symbols {
    table: Vec<u8>,
    strings: Vec<u8>,
}

struct Header {
    name: u64,
    kind: u64,
    flags: u64,
    addr: u64,
    offset: u64,
    size: u64,
    link: u64,
}

/// Integers of a header; 0 past its end.
struct Fields<'a> {
    bytes: &'a [u8],
    order: ByteOrder,
}

impl Fields<'_> {
    fn integer(&self, at: usize, len: usize) -> u64 {
        let bytes = self.bytes.get(at..at + len).unwrap_or_default();
        let add = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        match self.order {
            ByteOrder::Little => bytes.iter().rev().fold(0, add),
            ByteOrder::Big => bytes.iter().fold(0, add),
        }
    }

    fn u16(&self, at: usize) -> u64 {
        self.integer(at, 2)
    }

    fn u32(&self, at: usize) -> u64 {
        self.integer(at, 4)
    }

    fn u64(&self, at: usize) -> u64 {
        self.integer(at, 8)
    }
}

/// The text at `at`, up to its NUL.
fn text_at(strings: &[u8], at: u64) -> &[u8] {
    let text = usize::try_from(at).ok().and_then(|at| strings.get(at..)).unwrap_or_default();
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A section is no more than so many times what it is packed in, and a mebibyte: DWARF packs to a third, tables of it to a
/// twentieth.
const MOST_TIMES: u64 = 100;

/// `len` bytes out of `packed`, which must have as many and no more. Grows as they come.
fn unpack(mut packed: impl Read, len: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    packed.by_ref().take(len + 1).read_to_end(&mut bytes).map_err(|e| Error::corrupt(format!("cannot unpack: {e}")))?;
    if bytes.len() as u64 == len {
        Ok(bytes)
    } else {
        Err(Error::corrupt(format!("{} bytes or more when unpacked, its header says {len}", bytes.len())))
    }
}
