//! ELF core files, 32 and 64 bit, both byte orders, with the program headers wherever a producer puts them.
//!
//! | Ehdr64 | Ehdr32 | field | | Phdr64 | Phdr32 | field |
//! |---|---|---|---|---|---|---|
//! | 16 | 16 | e_type, e_machine (u16), e_version (u32) | | 0 | 0 | p_type |
//! | 24 | 24 | e_entry | | 4 | 24 | p_flags |
//! | 32 | 28 | e_phoff | | 8 | 4 | p_offset |
//! | 40 | 32 | e_shoff | | 16 | 8 | p_vaddr |
//! | 48 | 36 | e_flags (u32) | | 24 | 12 | p_paddr |
//! | 52 | 40 | e_ehsize, e_phentsize, e_phnum (u16) | | 32 | 16 | p_filesz |
//! | 58 | 46 | e_shentsize, e_shnum, e_shstrndx (u16) | | 40, 48 | 20, 28 | p_memsz, p_align |
//!
//! Past 65534 program headers `e_phnum` is PN_XNUM (0xffff) and `sh_info` of section header 0 (at 44, or 28) holds the
//! count.

use crate::bytes::{Endian, Sink, Width, round_up};

/// `e_phnum` of a file that keeps the real count in section header 0.
pub const PN_XNUM: u16 = 0xffff;

const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const SHT_STRTAB: u32 = 3;
const STRTAB: &[u8] = b"\0.shstrtab\0";

/// Where the program headers stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderPlace {
    /// Directly after the file header, as the kernel, kexec-tools and makedumpfile write them.
    AfterFileHeader,
    /// After two section headers (null and `.shstrtab`, its text at the end of the file), as QEMU 7.2 and later.
    AfterSectionHeaders,
}

/// One PT_LOAD segment.
#[derive(Clone, Debug)]
pub struct Load {
    /// `p_paddr`.
    pub paddr: u64,
    /// `p_vaddr`.
    pub vaddr: u64,
    /// The segment's bytes in the file; their number is `p_filesz`.
    pub data: Vec<u8>,
    /// `p_memsz`; `None` is the size of `data`.
    pub memsz: Option<u64>,
    /// `p_offset` is a multiple of this plus `skew`. 1 packs segments without a gap.
    pub file_align: u64,
    /// Bytes between the aligned offset and the segment.
    pub skew: u64,
    /// `p_offset` as given, the data (if any) being written nowhere: segments that share bytes, lie outside the file,
    /// or carry all ones as QEMU's filtered segments do.
    pub offset: Option<u64>,
    /// `p_align`.
    pub p_align: u64,
    /// `p_flags`.
    pub p_flags: u32,
}

impl Load {
    /// A segment at `paddr`, page-aligned in the file, `p_align` 0 as in `/proc/vmcore`.
    #[must_use]
    pub fn new(paddr: u64, vaddr: u64, data: Vec<u8>) -> Self {
        Load { paddr, vaddr, data, memsz: None, file_align: 4096, skew: 0, offset: None, p_align: 0, p_flags: 7 }
    }

    /// Sets `p_memsz` (bytes).
    #[must_use]
    pub fn memsz(mut self, memsz: u64) -> Self {
        self.memsz = Some(memsz);
        self
    }

    /// Places the segment at a multiple of `align` plus `skew` in the file.
    #[must_use]
    pub fn placed(mut self, align: u64, skew: u64) -> Self {
        self.file_align = align;
        self.skew = skew;
        self
    }

    /// Gives `p_offset` literally; `data` then only says `p_filesz`.
    #[must_use]
    pub fn at(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }
}

/// An ELF core file to be.
#[derive(Clone, Debug)]
pub struct ElfCore {
    /// Word size: the ELF class.
    pub width: Width,
    /// Byte order.
    pub endian: Endian,
    /// `e_machine`; 62 is x86_64.
    pub machine: u16,
    /// `e_flags`; makedumpfile sets bit 0 in incomplete files.
    pub e_flags: u32,
    /// `e_ehsize`; `None` is the right size, QEMU 7.2 to 9 wrote 8.
    pub ehsize: Option<u16>,
    /// Where the program headers stand.
    pub place: HeaderPlace,
    /// PN_XNUM even where the count would fit.
    pub force_xnum: bool,
    /// Contents of the PT_NOTE segments, which come first.
    pub notes: Vec<Vec<u8>>,
    /// The PT_LOAD segments, in header order.
    pub loads: Vec<Load>,
}

/// Where the parts of a file ended up (file offsets).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElfLayout {
    /// `e_phoff`.
    pub phoff: u64,
    /// `e_shoff`, 0 without section headers.
    pub shoff: u64,
    /// Number of section headers.
    pub sections: u16,
    /// Number of program headers.
    pub segments: u64,
    /// `p_offset` of each PT_NOTE.
    pub notes: Vec<u64>,
    /// `p_offset` of each PT_LOAD.
    pub loads: Vec<u64>,
    /// Offset of the section name table, the end of everything before it.
    pub strtab: u64,
}

impl ElfCore {
    /// A core of `machine` with neither notes nor memory yet.
    #[must_use]
    pub fn new(width: Width, endian: Endian, machine: u16) -> Self {
        ElfCore {
            width,
            endian,
            machine,
            e_flags: 0,
            ehsize: None,
            place: HeaderPlace::AfterFileHeader,
            force_xnum: false,
            notes: Vec::new(),
            loads: Vec::new(),
        }
    }

    /// An x86_64 core: ELF64, little endian, EM_X86_64.
    #[must_use]
    pub fn x86_64() -> Self {
        ElfCore::new(Width::W64, Endian::Little, 62)
    }

    /// Adds a PT_NOTE segment.
    #[must_use]
    pub fn note(mut self, stream: Vec<u8>) -> Self {
        self.notes.push(stream);
        self
    }

    /// Adds a PT_LOAD segment.
    #[must_use]
    pub fn load(mut self, load: Load) -> Self {
        self.loads.push(load);
        self
    }

    /// Shapes the headers as QEMU 7.2 to 9 does: sections first, `e_ehsize` 8.
    #[must_use]
    pub fn like_qemu(mut self) -> Self {
        self.place = HeaderPlace::AfterSectionHeaders;
        self.ehsize = Some(8);
        self
    }

    /// Keeps the number of segments in section header 0 whatever it is.
    #[must_use]
    pub fn xnum(mut self) -> Self {
        self.force_xnum = true;
        self
    }

    /// Computes where everything goes.
    #[must_use]
    pub fn layout(&self) -> ElfLayout {
        let segments = (self.notes.len() + self.loads.len()) as u64;
        let sections = self.section_count(segments);
        let section_bytes = u64::from(sections) * self.shentsize();
        let segment_bytes = segments * self.phentsize();
        let (phoff, shoff) = match self.place {
            HeaderPlace::AfterFileHeader => (self.file_header(), self.file_header() + segment_bytes),
            HeaderPlace::AfterSectionHeaders => (self.file_header() + section_bytes, self.file_header()),
        };
        let mut cursor = self.file_header() + section_bytes + segment_bytes;
        let notes = self.notes.iter().map(|note| place(&mut cursor, 4, 0, note.len())).collect();
        let loads = self.loads.iter().map(|load| place_load(&mut cursor, load)).collect();
        let shoff = if sections == 0 { 0 } else { shoff };
        ElfLayout { phoff, shoff, sections, segments, notes, loads, strtab: cursor }
    }

    /// The file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let layout = self.layout();
        let mut sink = Sink::new(self.endian, self.width);
        self.put_file_header(&mut sink, &layout);
        if self.place == HeaderPlace::AfterSectionHeaders {
            self.put_sections(&mut sink, &layout);
        }
        self.put_segments(&mut sink, &layout);
        if self.place == HeaderPlace::AfterFileHeader {
            self.put_sections(&mut sink, &layout);
        }
        for (note, offset) in self.notes.iter().zip(&layout.notes) {
            sink.pad_to(*offset);
            sink.raw(note);
        }
        for (load, offset) in self.loads.iter().zip(&layout.loads) {
            if load.offset.is_none() {
                sink.pad_to(*offset);
                sink.raw(&load.data);
            }
        }
        if layout.sections > 1 {
            sink.pad_to(layout.strtab);
            sink.raw(STRTAB);
        }
        sink.into_bytes()
    }

    fn file_header(&self) -> u64 {
        self.sized(52, 64)
    }

    fn phentsize(&self) -> u64 {
        self.sized(32, 56)
    }

    fn shentsize(&self) -> u64 {
        self.sized(40, 64)
    }

    fn sized(&self, narrow: u64, wide: u64) -> u64 {
        match self.width {
            Width::W32 => narrow,
            Width::W64 => wide,
        }
    }

    fn needs_xnum(&self, segments: u64) -> bool {
        self.force_xnum || segments >= u64::from(PN_XNUM)
    }

    fn section_count(&self, segments: u64) -> u16 {
        match self.place {
            HeaderPlace::AfterSectionHeaders => 2,
            HeaderPlace::AfterFileHeader => u16::from(self.needs_xnum(segments)),
        }
    }

    fn put_file_header(&self, sink: &mut Sink, layout: &ElfLayout) {
        sink.raw(b"\x7fELF");
        sink.u8(if self.width == Width::W32 { 1 } else { 2 });
        sink.u8(if self.endian == Endian::Little { 1 } else { 2 });
        sink.u8(1);
        sink.pad_to(16);
        sink.u16(4); // ET_CORE
        sink.u16(self.machine);
        sink.u32(1);
        sink.word(0);
        sink.word(layout.phoff);
        sink.word(layout.shoff);
        sink.u32(self.e_flags);
        sink.u16(self.ehsize.unwrap_or(self.file_header() as u16));
        sink.u16(self.phentsize() as u16);
        sink.u16(if self.needs_xnum(layout.segments) { PN_XNUM } else { layout.segments as u16 });
        sink.u16(if layout.sections == 0 { 0 } else { self.shentsize() as u16 });
        sink.u16(layout.sections);
        sink.u16(layout.sections.saturating_sub(1)); // e_shstrndx: .shstrtab where there is one
    }

    fn put_segments(&self, sink: &mut Sink, layout: &ElfLayout) {
        for (note, offset) in self.notes.iter().zip(&layout.notes) {
            let size = note.len() as u64;
            self.put_segment(
                sink,
                &Phdr {
                    kind: PT_NOTE,
                    flags: 0,
                    offset: *offset,
                    vaddr: 0,
                    paddr: 0,
                    filesz: size,
                    memsz: size,
                    align: 0,
                },
            );
        }
        for (load, offset) in self.loads.iter().zip(&layout.loads) {
            let filesz = load.data.len() as u64;
            let memsz = load.memsz.unwrap_or(filesz);
            let (flags, align) = (load.p_flags, load.p_align);
            let (vaddr, paddr) = (load.vaddr, load.paddr);
            self.put_segment(sink, &Phdr { kind: PT_LOAD, flags, offset: *offset, vaddr, paddr, filesz, memsz, align });
        }
    }

    fn put_segment(&self, sink: &mut Sink, phdr: &Phdr) {
        sink.u32(phdr.kind);
        if self.width == Width::W64 {
            sink.u32(phdr.flags);
        }
        for word in [phdr.offset, phdr.vaddr, phdr.paddr, phdr.filesz, phdr.memsz] {
            sink.word(word);
        }
        if self.width == Width::W32 {
            sink.u32(phdr.flags);
        }
        sink.word(phdr.align);
    }

    fn put_sections(&self, sink: &mut Sink, layout: &ElfLayout) {
        if layout.sections == 0 {
            return;
        }
        let real = if self.needs_xnum(layout.segments) { layout.segments as u32 } else { 0 };
        self.put_section(sink, [0, 0], [0, 0], real);
        if layout.sections > 1 {
            self.put_section(sink, [1, SHT_STRTAB], [layout.strtab, STRTAB.len() as u64], 0);
        }
    }

    /// sh_name and sh_type; sh_offset and sh_size; sh_info.
    fn put_section(&self, sink: &mut Sink, name_type: [u32; 2], extent: [u64; 2], info: u32) {
        sink.u32(name_type[0]);
        sink.u32(name_type[1]);
        sink.word(0); // sh_flags
        sink.word(0); // sh_addr
        sink.word(extent[0]);
        sink.word(extent[1]);
        sink.u32(0); // sh_link
        sink.u32(info);
        sink.word(0); // sh_addralign
        sink.word(0); // sh_entsize
    }
}

struct Phdr {
    kind: u32,
    flags: u32,
    offset: u64,
    vaddr: u64,
    paddr: u64,
    filesz: u64,
    memsz: u64,
    align: u64,
}

fn place_load(cursor: &mut u64, load: &Load) -> u64 {
    match load.offset {
        Some(offset) => offset,
        None => place(cursor, load.file_align, load.skew, load.data.len()),
    }
}

fn place(cursor: &mut u64, align: u64, skew: u64, size: usize) -> u64 {
    let mut offset = round_up(*cursor, align) + skew;
    if offset >= align && offset - align >= *cursor {
        offset -= align; // the skew alone already clears what is before
    }
    *cursor = offset + size as u64;
    offset
}

#[cfg(test)]
mod tests {
    use super::*;

    fn le64(bytes: &[u8], at: usize) -> u64 {
        u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
    }

    #[test]
    fn elf64_little_endian_by_offset() {
        let core =
            ElfCore::x86_64().note(vec![0xee; 20]).load(Load::new(0x1000, 0xffff_8880_0000_1000, vec![0xaa; 4096]));
        let bytes = core.to_bytes();
        assert_eq!(bytes[..7], [0x7f, b'E', b'L', b'F', 2, 1, 1]);
        assert_eq!(bytes[16..20], [4, 0, 62, 0]);
        assert_eq!(le64(&bytes, 32), 64); // e_phoff
        assert_eq!(bytes[52..58], [64, 0, 56, 0, 2, 0]);
        assert_eq!(bytes[64], 4); // PT_NOTE
        assert_eq!(le64(&bytes, 64 + 8), 176); // p_offset, after two headers
        assert_eq!(le64(&bytes, 64 + 32), 20); // p_filesz
        let load = 64 + 56;
        assert_eq!(bytes[load], 1);
        assert_eq!(le64(&bytes, load + 8), 4096);
        assert_eq!(le64(&bytes, load + 16), 0xffff_8880_0000_1000);
        assert_eq!(le64(&bytes, load + 24), 0x1000);
        assert_eq!(le64(&bytes, load + 40), 4096);
        assert_eq!(bytes.len(), 8192);
        assert_eq!(bytes[4096..], [0xaa; 4096]);
    }

    #[test]
    fn elf32_big_endian_by_offset() {
        let core = ElfCore::new(Width::W32, Endian::Big, 8)
            .load(Load::new(0x2000, 0x8000_2000, vec![1; 3]).memsz(0x1000).placed(1, 0));
        let bytes = core.to_bytes();
        assert_eq!(bytes[4..6], [1, 2]);
        assert_eq!(bytes[28..32], [0, 0, 0, 52]); // e_phoff
        assert_eq!(bytes[40..46], [0, 52, 0, 32, 0, 1]);
        let p = 52;
        assert_eq!(bytes[p..p + 8], [0, 0, 0, 1, 0, 0, 0, 84]); // type, p_offset packed behind the headers
        assert_eq!(bytes[p + 8..p + 16], [0x80, 0, 0x20, 0, 0, 0, 0x20, 0]);
        assert_eq!(bytes[p + 16..p + 24], [0, 0, 0, 3, 0, 0, 0x10, 0]);
        assert_eq!(bytes[p + 24..p + 28], [0, 0, 0, 7]); // p_flags
        assert_eq!(bytes[84..], [1, 1, 1]);
    }

    #[test]
    fn qemu_puts_program_headers_behind_sections() {
        let bytes = ElfCore::x86_64().like_qemu().note(vec![1]).to_bytes();
        assert_eq!(le64(&bytes, 32), 64 + 2 * 64);
        assert_eq!(le64(&bytes, 40), 64);
        assert_eq!(bytes[52..54], [8, 0]);
        assert_eq!(bytes[60..64], [2, 0, 1, 0]);
        let strtab = le64(&bytes, 64 + 64 + 24) as usize;
        assert_eq!(&bytes[strtab..], STRTAB);
    }

    #[test]
    fn real_count_goes_to_section_header_0() {
        let mut core = ElfCore::x86_64().note(vec![]);
        for pfn in 0..70_000u64 {
            core.loads.push(Load::new(pfn * 0x2000, 0, vec![]));
        }
        let bytes = core.to_bytes();
        assert_eq!(bytes[56..58], [0xff, 0xff]);
        let shoff = le64(&bytes, 40) as usize;
        assert_eq!(shoff, 64 + 70_001 * 56);
        assert_eq!(bytes[shoff + 44..shoff + 48], 70_001u32.to_le_bytes());
    }

    #[test]
    fn a_skewed_segment_follows_closely() {
        let core = ElfCore::x86_64()
            .load(Load::new(0, 0, vec![1; 10]).placed(4096, 0x200))
            .load(Load::new(0, 0, vec![2; 4]).placed(1, 0));
        let layout = core.layout();
        assert_eq!(layout.loads, [0x200, 0x20a]);
    }

    #[test]
    fn a_segment_may_point_anywhere() {
        let bytes = ElfCore::x86_64().load(Load::new(0x5000, 0, vec![]).memsz(0x1000).at(u64::MAX)).to_bytes();
        assert_eq!(le64(&bytes, 64 + 8), u64::MAX);
        assert_eq!(bytes.len(), 120);
    }
}
