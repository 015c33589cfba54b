//! The ELF header and the program headers.

use crate::table::all_ones;
use dump_core::{ByteOrder, Error, ErrorKind, Fields, FieldsMut, Machine, Patch, ReadAt, Result, WordSize};
use goblin::elf::header::{
    EI_CLASS, EI_DATA, ELFCLASS32, ELFCLASS64, ELFDATA2LSB, ELFDATA2MSB, ELFMAG, ET_CORE, EV_CURRENT,
};

/// More program headers than any dump has: a 64 TiB machine in pieces of 16 MiB.
pub(crate) const MAX_PROGRAM_HEADERS: u64 = 4 << 20;

/// `e_phnum` where the number does not fit: section header 0 has it in `sh_info`.
pub(crate) const PN_XNUM: u16 = 0xffff;

/// Program headers read at once: 56 KiB of them.
const HEADERS_PER_READ: u64 = 1024;

/// `e_machine` where the architecture is not stated.
const EM_NONE: u16 = 0;

/// Bit of `e_flags`: the dump was cut off (makedumpfile's DUMP_ELF_INCOMPLETE).
pub(crate) const INCOMPLETE: u32 = 1;

/// Sizes of the headers of a class (bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// The ELF header.
    pub file: u16,
    /// A program header.
    pub program: u16,
    /// A section header.
    pub section: u16,
}

impl Sizes {
    /// Those of the class for words of that size.
    pub fn of(word: WordSize) -> Sizes {
        match word {
            WordSize::Bits32 => Sizes { file: 52, program: 32, section: 40 },
            WordSize::Bits64 => Sizes { file: 64, program: 56, section: 64 },
        }
    }
}

/// The ELF header, as far as a core file uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// Architecture, byte order, and the word size of the headers: that of the class, not of the kernel.
    pub machine: Machine,
    /// Offset of the program headers (bytes).
    pub phoff: u64,
    /// Offset of the section headers (bytes), 0 where there are none.
    pub shoff: u64,
    /// makedumpfile sets bit 0 where the dump is incomplete.
    pub flags: u32,
    /// Size of this header, as it says itself; QEMU 7.2 to 9.x write 8.
    pub ehsize: u16,
    /// Bytes from one program header to the next.
    pub phentsize: u16,
    /// Number of program headers, or 0xffff where section header 0 has it.
    pub phnum: u16,
    /// Bytes from one section header to the next.
    pub shentsize: u16,
    /// Number of section headers.
    pub shnum: u16,
    /// The section that holds the sections' names.
    pub shstrndx: u16,
}

impl FileHeader {
    /// Reads and checks the header. `e_ehsize` is not checked: QEMU 7.2 to 9.x write 8 there.
    ///
    /// # Errors
    /// `BadMagic` if the file is not an ELF core (an executable, say), `Truncated` if it ends within the header.
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
        let word = match ident[EI_CLASS] {
            ELFCLASS32 => WordSize::Bits32,
            ELFCLASS64 => WordSize::Bits64,
            other => return Err(Error::corrupt(format!("ELF header: EI_CLASS is {other}, expected 1 or 2"))),
        };
        let mut bytes = [0; 64];
        let bytes = &mut bytes[..usize::from(Sizes::of(word).file)];
        input.read_exact_at(0, bytes).map_err(|e| e.within("ELF header"))?;
        decode(&mut Fields::new(bytes, order, word).at(16), order, word)
    }

    /// What a field of the machine's word size holds where there is no address or no offset.
    pub(crate) fn all_ones(&self) -> u64 {
        all_ones(self.machine.word)
    }

    /// The header's bytes: [`read`](FileHeader::read) gives the same header back.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Machine { elf_machine, order, word } = self.machine;
        let mut f = FieldsMut::new(order, word);
        let class = if word == WordSize::Bits32 { ELFCLASS32 } else { ELFCLASS64 };
        let data = if order == ByteOrder::Little { ELFDATA2LSB } else { ELFDATA2MSB };
        f.bytes(ELFMAG).bytes(&[class, data, EV_CURRENT]).pad_to(16);
        f.u16(ET_CORE).u16(elf_machine.unwrap_or(EM_NONE)).u32(u32::from(EV_CURRENT));
        f.word(0).word(self.phoff).word(self.shoff).u32(self.flags); // a core has no entry point
        f.u16(self.ehsize).u16(self.phentsize).u16(self.phnum);
        f.u16(self.shentsize).u16(self.shnum).u16(self.shstrndx);
        f.into_bytes()
    }

    /// Hands over the program headers in their order.
    ///
    /// # Errors
    /// `Corrupt` if their place or number makes no sense, `Truncated` if the file ends before they do.
    pub fn each_program_header(&self, input: &dyn ReadAt, each: &mut dyn FnMut(&ProgramHeader)) -> Result<()> {
        let count = self.program_header_count(input)?;
        let (size, step) = (Sizes::of(self.machine.word).program, u64::from(self.phentsize));
        if count != 0 && self.phentsize < size {
            return Err(Error::corrupt(format!("ELF header: e_phentsize is {step}, expected {size}")));
        }
        let len = input.len()?;
        let end = self.phoff.saturating_add(count.saturating_mul(step));
        if end > len {
            return Err(Error::truncated("the program header table", end, len));
        }
        let mut reader = input.reader();
        for first in (0..count).step_by(HEADERS_PER_READ as usize) {
            let some = HEADERS_PER_READ.min(count - first) * step;
            let bytes = reader.view(self.phoff + first * step, some as usize)?;
            for header in bytes.chunks_exact(usize::from(self.phentsize)) {
                each(&ProgramHeader::decode(header, self.machine)?);
            }
        }
        Ok(())
    }

    /// The program header that stands at an offset of the file, if any can.
    pub(crate) fn program_header_at(&self, input: &dyn ReadAt, offset: u64) -> Option<ProgramHeader> {
        let mut bytes = vec![0; usize::from(Sizes::of(self.machine.word).program)];
        input.read_exact_at(offset, &mut bytes).ok()?;
        ProgramHeader::decode(&bytes, self.machine).ok()
    }

    /// What flags the file as incomplete: bit 0 of `e_flags`, as makedumpfile has it.
    pub fn incomplete_flag(&self) -> Patch {
        let offset = if self.machine.word == WordSize::Bits64 { 48 } else { 36 };
        let mut bytes = FieldsMut::new(self.machine.order, self.machine.word);
        bytes.u32(self.flags | INCOMPLETE);
        Patch { offset, bytes: bytes.into_bytes(), min_len: 0 }
    }

    fn program_header_count(&self, input: &dyn ReadAt) -> Result<u64> {
        let count = match self.phnum {
            PN_XNUM => u64::from(self.extended_count(input)?),
            n => u64::from(n),
        };
        if count > MAX_PROGRAM_HEADERS {
            return Err(Error::corrupt(format!("{count} program headers, expected at most {MAX_PROGRAM_HEADERS}")));
        }
        Ok(count)
    }

    /// `sh_info` of section header 0 (the ELF gABI's extension for 65535 and more program headers).
    fn extended_count(&self, input: &dyn ReadAt) -> Result<u32> {
        let size = Sizes::of(self.machine.word).section;
        if self.shoff == 0 || self.shentsize < size {
            return Err(Error::corrupt(format!(
                "ELF header: e_phnum is 0xffff, but there is no section header 0 that holds the number \
                 (e_shoff {:#x}, e_shentsize {})",
                self.shoff, self.shentsize
            )));
        }
        let mut bytes = [0; 64];
        let bytes = &mut bytes[..usize::from(size)];
        input.read_exact_at(self.shoff, bytes).map_err(|e| e.within("section header 0"))?;
        Ok(SectionHeader::decode(bytes, self.machine)?.info)
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
    let elf_machine = Some(f.u16("e_machine")?).filter(|number| *number != EM_NONE);
    f.u32("e_version")?;
    f.word("e_entry")?;
    let phoff = f.word("e_phoff")?;
    let shoff = f.word("e_shoff")?;
    let flags = f.u32("e_flags")?;
    let ehsize = f.u16("e_ehsize")?;
    let phentsize = f.u16("e_phentsize")?;
    let phnum = f.u16("e_phnum")?;
    let shentsize = f.u16("e_shentsize")?;
    let shnum = f.u16("e_shnum")?;
    let shstrndx = f.u16("e_shstrndx")?;
    let machine = Machine { elf_machine, order, word };
    Ok(FileHeader { machine, phoff, shoff, flags, ehsize, phentsize, phnum, shentsize, shnum, shstrndx })
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

/// A program header. Sizes and offsets in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgramHeader {
    /// 1 PT_LOAD, 4 PT_NOTE.
    pub kind: u32,
    /// Bits 0 execute, 1 write, 2 read. The kernel sets all of them, QEMU none.
    pub flags: u32,
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
    /// 0 in Linux's and QEMU's cores.
    pub align: u64,
}

impl ProgramHeader {
    fn decode(bytes: &[u8], machine: Machine) -> Result<ProgramHeader> {
        let mut f = Fields::new(bytes, machine.order, machine.word);
        let kind = f.u32("p_type")?;
        let wide = machine.word == WordSize::Bits64;
        let early = if wide { f.u32("p_flags")? } else { 0 };
        let (offset, vaddr, paddr) = (f.word("p_offset")?, f.word("p_vaddr")?, f.word("p_paddr")?);
        let (filesz, memsz) = (f.word("p_filesz")?, f.word("p_memsz")?);
        let flags = if wide { early } else { f.u32("p_flags")? }; // ELF32 has it here
        let align = f.word("p_align")?;
        Ok(ProgramHeader { kind, flags, offset, vaddr, paddr, filesz, memsz, align })
    }

    /// Appends the header.
    pub(crate) fn encode(&self, word: WordSize, f: &mut FieldsMut) {
        let wide = word == WordSize::Bits64;
        f.u32(self.kind);
        if wide {
            f.u32(self.flags);
        }
        f.word(self.offset).word(self.vaddr).word(self.paddr).word(self.filesz).word(self.memsz);
        if !wide {
            f.u32(self.flags);
        }
        f.word(self.align);
    }
}

/// A section header, as far as cores use it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SectionHeader {
    /// Where its name begins in the section that holds the names.
    pub name: u32,
    /// Where its content lies in the file.
    pub offset: u64,
    /// How long that is.
    pub size: u64,
    /// In section header 0: the number of program headers, where it does not fit `e_phnum`.
    pub info: u32,
}

impl SectionHeader {
    pub fn decode(bytes: &[u8], machine: Machine) -> Result<SectionHeader> {
        let mut f = Fields::new(bytes, machine.order, machine.word);
        let name = f.u32("sh_name")?;
        f.u32("sh_type")?;
        f.word("sh_flags")?;
        f.word("sh_addr")?;
        let (offset, size) = (f.word("sh_offset")?, f.word("sh_size")?);
        f.u32("sh_link")?;
        let info = f.u32("sh_info")?;
        Ok(SectionHeader { name, offset, size, info })
    }

    /// Appends section header 0 (SHT_NULL) that carries the number of program headers.
    pub fn encode_count(program_headers: u32, f: &mut FieldsMut) {
        f.u32(0).u32(0);
        f.word(0).word(0).word(0).word(0);
        f.u32(0).u32(program_headers);
        f.word(0).word(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINES: [(Option<u16>, ByteOrder, WordSize); 5] = [
        (Some(62), ByteOrder::Little, WordSize::Bits64),
        (Some(22), ByteOrder::Big, WordSize::Bits64),
        (Some(3), ByteOrder::Little, WordSize::Bits32),
        (Some(20), ByteOrder::Big, WordSize::Bits32),
        (None, ByteOrder::Big, WordSize::Bits32),
    ];

    #[test]
    fn headers_come_back_as_they_were_written() {
        for (elf_machine, order, word) in MACHINES {
            let (machine, sizes) = (Machine { elf_machine, order, word }, Sizes::of(word));
            let header = FileHeader {
                machine,
                phoff: u64::from(sizes.file),
                shoff: 0x1020,
                flags: INCOMPLETE,
                ehsize: sizes.file,
                phentsize: sizes.program,
                phnum: PN_XNUM,
                shentsize: sizes.section,
                shnum: 1,
                shstrndx: 0,
            };
            let bytes = header.encode();
            assert_eq!(bytes.len(), usize::from(sizes.file));
            assert_eq!(FileHeader::read(&bytes).unwrap(), header);
            let load = ProgramHeader {
                kind: 1,
                flags: 7,
                offset: 0x3000,
                vaddr: 0xc000_0000,
                paddr: 0x10_0000,
                filesz: 0x2000,
                memsz: 0x5000,
                align: 0x1000,
            };
            let mut f = FieldsMut::new(order, word);
            load.encode(word, &mut f);
            let bytes = f.into_bytes();
            assert_eq!(bytes.len(), usize::from(sizes.program));
            assert_eq!(ProgramHeader::decode(&bytes, machine).unwrap(), load);
            let mut f = FieldsMut::new(order, word);
            SectionHeader::encode_count(70_001, &mut f);
            let bytes = f.into_bytes();
            assert_eq!(bytes.len(), usize::from(sizes.section));
            assert_eq!(
                SectionHeader::decode(&bytes, machine).unwrap(),
                SectionHeader { info: 70_001, ..Default::default() }
            );
        }
    }
}
