//! The ELF header and the program headers.

use dump_core::{ByteOrder, Error, ErrorKind, Fields, Machine, ReadAt, Result, Scratch, WordSize};
use goblin::elf::header::{EI_CLASS, EI_DATA, ELFCLASS32, ELFCLASS64, ELFDATA2LSB, ELFDATA2MSB, ELFMAG, ET_CORE};

/// More program headers than any dump has: a 64 TiB machine in pieces of 16 MiB.
const MAX_PROGRAM_HEADERS: u64 = 4 << 20;

/// `e_phnum` where the number does not fit: section header 0 has it in `sh_info`.
const PN_XNUM: u16 = 0xffff;

/// The ELF header, as far as a core file uses it.
#[derive(Clone, Copy, Debug)]
pub struct FileHeader {
    /// Word size, byte order and architecture.
    pub machine: Machine,
    /// Offset of the program headers (bytes).
    pub phoff: u64,
    /// Offset of the section headers (bytes), 0 where there are none.
    pub shoff: u64,
    /// makedumpfile sets bit 0 where the dump is incomplete.
    pub flags: u32,
    /// Bytes from one program header to the next.
    pub phentsize: u16,
    /// Number of program headers, or 0xffff where section header 0 has it.
    pub phnum: u16,
    /// Bytes from one section header to the next.
    pub shentsize: u16,
}

impl FileHeader {
    /// Reads and checks the header. `e_ehsize` is not looked at: QEMU 7.2 to 9.x write 8 there.
    ///
    /// # Errors
    /// `BadMagic` where the file is not an ELF core (an executable, say), `Truncated` where it ends within the header.
    pub fn read(input: &dyn ReadAt) -> Result<FileHeader> {
        let mut ident = [0; 16];
        input.read_exact_at(0, &mut ident).map_err(|e| not_elf(e, input))?;
        if !ident.starts_with(ELFMAG) {
            return Err(bad_magic(&ident));
        }
        let order = match ident[EI_DATA] {
            ELFDATA2LSB => ByteOrder::Little,
            ELFDATA2MSB => ByteOrder::Big,
            other => return Err(Error::corrupt(format!("ELF header: EI_DATA is {other}, expected 1 or 2"))),
        };
        let (word, size) = match ident[EI_CLASS] {
            ELFCLASS32 => (WordSize::Bits32, 52),
            ELFCLASS64 => (WordSize::Bits64, 64),
            other => return Err(Error::corrupt(format!("ELF header: EI_CLASS is {other}, expected 1 or 2"))),
        };
        let mut bytes = [0; 64];
        let bytes = &mut bytes[..size];
        input.read_exact_at(0, bytes).map_err(|e| e.within("ELF header"))?;
        decode(&mut Fields::new(bytes, order, word).at(16), order, word)
    }

    /// Reads the program headers, all of them.
    ///
    /// # Errors
    /// `Corrupt` where their place or number makes no sense, `Truncated` where the file ends before they do.
    pub fn program_headers(&self, input: &dyn ReadAt) -> Result<Vec<ProgramHeader>> {
        let (order, word) = (self.machine.order, self.machine.word);
        let size = if word == WordSize::Bits64 { 56 } else { 32 };
        if u64::from(self.phentsize) < size {
            return Err(Error::corrupt(format!("ELF header: e_phentsize is {}, expected {size}", self.phentsize)));
        }
        let count = self.program_header_count(input)?;
        let len = input.len()?;
        let end = self.phoff.saturating_add(count * u64::from(self.phentsize));
        if end > len {
            return Err(Error::truncated("the program header table", end, len));
        }
        let mut scratch = Scratch::default();
        let mut headers = Vec::new();
        for i in 0..count {
            let at = self.phoff + i * u64::from(self.phentsize);
            let bytes = input.view(at, size as usize, &mut scratch)?;
            let mut fields = Fields::new(bytes, order, word);
            headers.push(ProgramHeader::decode(&mut fields, word)?);
        }
        Ok(headers)
    }

    fn program_header_count(&self, input: &dyn ReadAt) -> Result<u64> {
        let count = match self.phnum {
            PN_XNUM => u64::from(self.extended_count(input)?),
            n => u64::from(n),
        };
        if count > MAX_PROGRAM_HEADERS {
            return Err(Error::corrupt(format!(
                "{count} program headers, more than the {MAX_PROGRAM_HEADERS} any dump has"
            )));
        }
        Ok(count)
    }

    /// `sh_info` of section header 0 (the ELF gABI's extension for 65535 and more program headers).
    fn extended_count(&self, input: &dyn ReadAt) -> Result<u32> {
        let (size, info) = if self.machine.word == WordSize::Bits64 { (64, 44) } else { (40, 28) };
        if self.shoff == 0 || u64::from(self.shentsize) < size {
            return Err(Error::corrupt(format!(
                "ELF header: e_phnum is 0xffff, but there is no section header 0 that holds the number \
                 (e_shoff {:#x}, e_shentsize {})",
                self.shoff, self.shentsize
            )));
        }
        let mut bytes = [0; 64];
        let bytes = &mut bytes[..size as usize];
        input.read_exact_at(self.shoff, bytes).map_err(|e| e.within("section header 0"))?;
        Fields::new(bytes, self.machine.order, self.machine.word).at(info).u32("sh_info")
    }
}

fn decode(f: &mut Fields<'_>, order: ByteOrder, word: WordSize) -> Result<FileHeader> {
    let kind = f.u16("e_type")?;
    if kind != ET_CORE {
        return Err(Error::new(
            ErrorKind::BadMagic,
            format!("an ELF {}, not a core (e_type is {kind}, expected {ET_CORE})", kind_name(kind)),
        ));
    }
    let elf_machine = f.u16("e_machine")?;
    f.u32("e_version")?;
    f.word("e_entry")?;
    let phoff = f.word("e_phoff")?;
    let shoff = f.word("e_shoff")?;
    let flags = f.u32("e_flags")?;
    f.u16("e_ehsize")?;
    let phentsize = f.u16("e_phentsize")?;
    let phnum = f.u16("e_phnum")?;
    let shentsize = f.u16("e_shentsize")?;
    Ok(FileHeader { machine: Machine { elf_machine, order, word }, phoff, shoff, flags, phentsize, phnum, shentsize })
}

fn kind_name(kind: u16) -> &'static str {
    match kind {
        1 => "relocatable object",
        2 => "executable",
        3 => "shared object or executable",
        _ => "file of unknown type",
    }
}

fn not_elf(e: Error, input: &dyn ReadAt) -> Error {
    match (e.kind(), input.len()) {
        (ErrorKind::Truncated, Ok(len)) => {
            Error::new(ErrorKind::BadMagic, format!("not an ELF core: only {len} bytes long"))
        }
        _ => e,
    }
}

fn bad_magic(found: &[u8; 16]) -> Error {
    let found: Vec<String> = found[..4].iter().map(|b| format!("{b:02x}")).collect();
    Error::new(ErrorKind::BadMagic, format!("not an ELF core: begins with {}, expected 7f 45 4c 46", found.join(" ")))
}

/// A program header, as far as a core file uses it. Sizes and offsets in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramHeader {
    /// 1 PT_LOAD, 4 PT_NOTE.
    pub kind: u32,
    /// Where its content lies in the file; all ones where QEMU left it out.
    pub offset: u64,
    /// Where the kernel had it mapped.
    pub vaddr: u64,
    /// Where it lay physically; all ones where the producer did not know.
    pub paddr: u64,
    /// How much of it is in the file.
    pub filesz: u64,
    /// How much of it there was; what exceeds `filesz` was left out.
    pub memsz: u64,
}

impl ProgramHeader {
    fn decode(f: &mut Fields<'_>, word: WordSize) -> Result<ProgramHeader> {
        let kind = f.u32("p_type")?;
        if word == WordSize::Bits64 {
            f.u32("p_flags")?; // ELF32 has it after p_memsz
        }
        let (offset, vaddr, paddr) = (f.word("p_offset")?, f.word("p_vaddr")?, f.word("p_paddr")?);
        let (filesz, memsz) = (f.word("p_filesz")?, f.word("p_memsz")?);
        Ok(ProgramHeader { kind, offset, vaddr, paddr, filesz, memsz })
    }
}
