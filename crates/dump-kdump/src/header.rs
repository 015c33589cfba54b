//! The main header (`disk_dump_header`) and the sub header (`kdump_sub_header`).
//!
//! ```text
//! main header, at 0                  64-bit   32-bit     sub header, at block_size   64-bit   unpadded   padded
//! signature      "KDUMP   "               0        0     phys_base          v0            0          0        0
//! header_version i32                      8        8     dump_level         v1 i32        8          4        4
//! utsname        6 * 65 bytes            12       12     split              v2 i32       12          8        8
//! timestamp      2 words                408      404     start_pfn, end_pfn v2 words     16         12       12
//! status         u32                    424      412     vmcoreinfo         v3 at, len   32         20       24
//! block_size     i32                    428      416     note               v4 at, len   48         32       40
//! sub_hdr_size   i32 (blocks)           432      420     eraseinfo          v5 at, len   64         44       56
//! bitmap_blocks  u32 (blocks)           436      424     start_pfn_64       v6 u64       80         56       72
//! max_mapnr      u32                    440      428     end_pfn_64         v6 u64       88         64       80
//! total_ram_blocks .. current_cpu       444      432     max_mapnr_64       v6 u64       96         72       88
//! nr_cpus        i32                    460      448
//! end                                   464      452     end                            104         80       96
//! ```
//!
//! Integers are those of the dumped machine. No field states its byte order or word size, so [`Header::read`] decodes
//! the main header in all four ways and keeps the one that makes most sense, rather than the first that makes any: a
//! lone test on block_size can be met by chance (a 64-bit file read as 32-bit has its tv_usec there).
//!
//! 32-bit sub headers exist in two shapes, because i386 aligns 8-byte integers to 4 (and QEMU writes the structure
//! without padding for every 32-bit target) while ARM, MIPS and PPC align them to 8. Nothing but the content sets them
//! apart, so that is ranked too.
//!
//! Sources: makedumpfile diskdump_mod.h, crash diskdump.h, libkdumpfile diskdump.c, QEMU dump.h.

use dump_core::{
    ByteOrder, Error, ErrorKind, Fields, FieldsMut, Machine, PageSize, Patch, ReadAt, Result, UtsName, WordSize,
};

use crate::codec::CODECS;
use crate::layout::Layout;

/// What a kdump file begins with.
pub const SIGNATURE: [u8; 8] = *b"KDUMP   ";

/// What a file of the diskdump era (Linux 2.4 and early 2.6) begins with; recognised, not read.
pub const SIGNATURE_DISKDUMP: [u8; 8] = *b"DISKDUMP";

/// The newest header version, which new files have. makedumpfile and QEMU have written it since 2013.
pub const VERSION: i32 = 6;

/// Bit of `status`: the file was cut off (no space), some descriptors are zero. Since makedumpfile 1.5.8.
pub const STATUS_INCOMPLETE: u32 = 0x8;
/// Bit of `status`: pages of the vmemmap that describe excluded pages are excluded too (makedumpfile -e).
pub const STATUS_EXCLUDED_VMEMMAP: u32 = 0x10;

/// All bits of `status` that have a meaning.
fn known_status() -> u32 {
    CODECS.iter().fold(STATUS_INCOMPLETE | STATUS_EXCLUDED_VMEMMAP, |known, codec| known | codec.status_bit)
}

/// More CPUs than any machine that Linux runs on has (NR_CPUS is 8192 at most).
const MAX_CPUS: i32 = 65536;

/// The longest main header (64-bit).
const MAIN_MAX: usize = 464;

/// The shape of a file's integers and structures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abi {
    /// Byte order of the dumped machine.
    pub order: ByteOrder,
    /// Word size of the dumped machine.
    pub word: WordSize,
    /// Whether 8-byte integers of the sub header are aligned to 8 (64-bit, and 32-bit ARM, MIPS, PPC) rather than to 4.
    pub padded: bool,
}

impl Abi {
    /// Bytes of the main header.
    pub fn main_len(self) -> usize {
        match self.word {
            WordSize::Bits32 => 452,
            WordSize::Bits64 => MAIN_MAX,
        }
    }

    /// Bytes of the sub header, which is where notes begin after it.
    pub fn sub_len(self) -> usize {
        match (self.word, self.padded) {
            (WordSize::Bits64, _) => 104,
            (WordSize::Bits32, true) => 96,
            (WordSize::Bits32, false) => 80,
        }
    }

    /// A cursor over `bytes` in this shape.
    pub fn fields(self, bytes: &[u8]) -> Fields<'_> {
        Fields::new(bytes, self.order, self.word)
    }

    /// An empty header in this shape.
    pub fn fields_mut(self) -> FieldsMut {
        FieldsMut::new(self.order, self.word)
    }

    fn describe(self) -> String {
        let order = if self.order == ByteOrder::Little { "little" } else { "big" };
        let bits = if self.word == WordSize::Bits32 { 32 } else { 64 };
        format!("{bits}-bit {order} endian")
    }
}

/// `disk_dump_header`: the first block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MainHeader {
    /// Which fields of the sub header exist, 0 to 6.
    pub version: i32,
    /// Names of the dumped system; QEMU fills the machine name at most.
    pub utsname: UtsName,
    /// When the kernel crashed (seconds since 1970); 0 where not known.
    pub tv_sec: u64,
    /// Its fraction (microseconds); makedumpfile and QEMU write 0.
    pub tv_usec: u64,
    /// `STATUS_*` bits, and the bit of the codec that pages are compressed with (for information: each page's own flags
    /// decide).
    pub status: u32,
    /// Bytes in a block, which is a page too.
    pub block_size: i32,
    /// Blocks from the sub header to the bitmaps: what the sub header, notes and the like take.
    pub sub_hdr_size: i32,
    /// Blocks of both bitmaps together.
    pub bitmap_blocks: u32,
    /// The page frame after the last; from version 6 on `max_mapnr_64` counts, and this is cut off at `u32::MAX`.
    pub max_mapnr: u32,
    /// Pages of RAM, in diskdump files; 0 since.
    pub total_ram_blocks: u32,
    /// Blocks of the dump device, in diskdump files; 0 since.
    pub device_blocks: u32,
    /// Blocks written to it, in diskdump files; 0 since.
    pub written_blocks: u32,
    /// The CPU that crashed, in diskdump files; 0 since.
    pub current_cpu: u32,
    /// CPUs: those with an NT_PRSTATUS note (makedumpfile) or all (QEMU).
    pub nr_cpus: i32,
}

impl MainHeader {
    /// Decodes the main header, in the order on disk; the signature is the caller's to look at.
    ///
    /// # Errors
    /// `Truncated` if the bytes end before it does.
    pub fn decode(f: &mut Fields<'_>, abi: Abi) -> Result<MainHeader> {
        f.bytes("signature", SIGNATURE.len())?;
        let version = f.i32("header_version")?;
        let mut names = [0; UtsName::SIZE];
        names.copy_from_slice(f.bytes("utsname", UtsName::SIZE)?);
        f.skip(utsname_gap(abi))?;
        Ok(MainHeader {
            version,
            utsname: UtsName::from_bytes(&names),
            tv_sec: f.word("tv_sec")?,
            tv_usec: f.word("tv_usec")?,
            status: f.u32("status")?,
            block_size: f.i32("block_size")?,
            sub_hdr_size: f.i32("sub_hdr_size")?,
            bitmap_blocks: f.u32("bitmap_blocks")?,
            max_mapnr: f.u32("max_mapnr")?,
            total_ram_blocks: f.u32("total_ram_blocks")?,
            device_blocks: f.u32("device_blocks")?,
            written_blocks: f.u32("written_blocks")?,
            current_cpu: f.u32("current_cpu")?,
            nr_cpus: f.i32("nr_cpus")?,
        })
    }

    /// The mirror of [`decode`](MainHeader::decode): the header's bytes, unpadded.
    pub fn encode(&self, abi: Abi) -> Vec<u8> {
        let mut f = abi.fields_mut();
        f.bytes(&SIGNATURE).i32(self.version);
        for name in &self.utsname.fields {
            f.bytes(name);
        }
        f.bytes(&[0; 6][..utsname_gap(abi)]);
        f.word(self.tv_sec).word(self.tv_usec).u32(self.status);
        f.i32(self.block_size).i32(self.sub_hdr_size).u32(self.bitmap_blocks).u32(self.max_mapnr);
        f.u32(self.total_ram_blocks).u32(self.device_blocks).u32(self.written_blocks);
        f.u32(self.current_cpu).i32(self.nr_cpus);
        f.into_bytes()
    }

    /// Bytes in a block, where the header has a possible value.
    fn page_size(&self) -> Option<PageSize> {
        PageSize::from_bytes(u64::try_from(self.block_size).ok()?)
    }

    /// How much sense the header makes, for choosing among decodings of the same bytes.
    ///
    /// block_size weighs most: of 2^32 values seven are possible. A machine name says most after it, since it was
    /// written as text; yet it cannot outweigh block_size, because sadump conversions and QEMU leave it empty or vague.
    fn sense(&self, abi: Abi, gap: &[u8], file_len: u64) -> u32 {
        let block = u64::from(self.block_size.unsigned_abs());
        let head = u64::from(self.sub_hdr_size.unsigned_abs()).saturating_add(u64::from(self.bitmap_blocks));
        let capacity = u64::from(self.bitmap_blocks).saturating_mul(block).saturating_mul(8);
        let named = Machine::by_name(&self.utsname.machine());
        let signs = [
            (8, self.page_size().is_some()),
            (4, named.is_some_and(|m| m.word == abi.word && m.order == abi.order)),
            (3, named.is_none_or(|m| m.word == abi.word && m.order == abi.order)),
            (3, (0..=VERSION).contains(&self.version)),
            (2, self.sub_hdr_size >= 1),
            (2, head.saturating_mul(block) <= file_len),
            (2, capacity >= u64::from(self.max_mapnr)),
            (1, self.bitmap_blocks != 0),
            (1, (0..=MAX_CPUS).contains(&self.nr_cpus)),
            (1, self.status & !known_status() == 0),
            (1, self.tv_usec < 1_000_000),
            (1, gap.iter().all(|byte| *byte == 0)),
        ];
        signs.iter().filter(|(_, holds)| *holds).map(|(weight, _)| weight).sum()
    }
}

/// Bytes between the names (which end at 402) and the timestamp, which is aligned to a word.
fn utsname_gap(abi: Abi) -> usize {
    match abi.word {
        WordSize::Bits32 => 2,
        WordSize::Bits64 => 6,
    }
}

/// A range of the file that the sub header points at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileRange {
    /// Where it begins (bytes from the start of the file); 0 where there is none.
    pub offset: u64,
    /// Its length (bytes).
    pub size: u64,
}

impl FileRange {
    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.offset == 0 || self.size == 0
    }

    /// Where it ends, `None` where that is past any file's end.
    pub fn end(self) -> Option<u64> {
        self.offset.checked_add(self.size).filter(|end| *end <= i64::MAX as u64)
    }
}

/// `kdump_sub_header`: block 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubHeader {
    /// Physical minus link address of the kernel image on x86 (bytes, two's complement); the start of RAM on ARM.
    pub phys_base: u64,
    /// Page classes left out: 1 zero, 2 cache, 4 private cache, 8 user, 16 free. Since version 1.
    pub dump_level: i32,
    /// Whether this is a part of a split dump. Since version 2.
    pub split: bool,
    /// The part's first page frame and the one after its last, cut off at the word size. Since version 2, obsolete in
    /// 6.
    pub old_pfns: [u64; 2],
    /// The text of VMCOREINFO, within the notes. Since version 3.
    pub vmcoreinfo: FileRange,
    /// The ELF notes. Since version 4.
    pub notes: FileRange,
    /// The text that names what was erased from pages. Since version 5.
    pub erase_info: FileRange,
    /// The part's first page frame; 0 where not split. Since version 6.
    pub start_pfn: u64,
    /// The page frame after the part's last; 0 where not split. Since version 6.
    pub end_pfn: u64,
    /// The page frame after the machine's last. Since version 6.
    pub max_mapnr: u64,
}

impl SubHeader {
    /// Decodes the sub header, in the order on disk. What a version does not have yet is read too, see
    /// [`as_of`](SubHeader::as_of).
    ///
    /// # Errors
    /// `Truncated` if the bytes end before it does.
    pub fn decode(f: &mut Fields<'_>, abi: Abi) -> Result<SubHeader> {
        let gap = sub_gap(abi);
        let phys_base = f.word("phys_base")?;
        let dump_level = f.i32("dump_level")?;
        let split = f.i32("split")? != 0;
        let old_pfns = [f.word("start_pfn")?, f.word("end_pfn")?];
        f.skip(gap)?;
        let mut range = |name: &str| -> Result<FileRange> {
            let found = FileRange { offset: f.u64(name)?, size: f.word(name)? };
            f.skip(gap)?;
            Ok(found)
        };
        let vmcoreinfo = range("vmcoreinfo")?;
        let notes = range("note")?;
        let erase_info = range("eraseinfo")?;
        let (start_pfn, end_pfn, max_mapnr) = (f.u64("start_pfn_64")?, f.u64("end_pfn_64")?, f.u64("max_mapnr_64")?);
        Ok(SubHeader {
            phys_base,
            dump_level,
            split,
            old_pfns,
            vmcoreinfo,
            notes,
            erase_info,
            start_pfn,
            end_pfn,
            max_mapnr,
        })
    }

    /// The mirror of [`decode`](SubHeader::decode): the sub header's bytes, unpadded.
    pub fn encode(&self, abi: Abi) -> Vec<u8> {
        let gap = &[0; 4][..sub_gap(abi)];
        let mut f = abi.fields_mut();
        f.word(self.phys_base).i32(self.dump_level).i32(i32::from(self.split));
        f.word(self.old_pfns[0]).word(self.old_pfns[1]).bytes(gap);
        for range in [self.vmcoreinfo, self.notes, self.erase_info] {
            f.u64(range.offset).word(range.size).bytes(gap);
        }
        f.u64(self.start_pfn).u64(self.end_pfn).u64(self.max_mapnr);
        f.into_bytes()
    }

    /// What a file of `version` says: fields that came later are 0, and the 64-bit page frames are filled from the old
    /// ones, so that callers look in one place.
    #[must_use]
    pub fn as_of(mut self, version: i32, max_mapnr: u32) -> SubHeader {
        if version < 6 {
            let [start, end] = if version < 2 { [0, 0] } else { self.old_pfns };
            (self.start_pfn, self.end_pfn, self.max_mapnr) = (start, end, u64::from(max_mapnr));
        }
        self.erase_info = if version < 5 { FileRange::default() } else { self.erase_info };
        self.notes = if version < 4 { FileRange::default() } else { self.notes };
        self.vmcoreinfo = if version < 3 { FileRange::default() } else { self.vmcoreinfo };
        self.split &= version >= 2;
        self.dump_level = if version < 1 { 0 } else { self.dump_level };
        self
    }

    /// How much sense the sub header makes, for choosing between the shapes without and with padding.
    fn sense(&self, main: &MainHeader, abi: Abi, file_len: u64) -> u32 {
        let lies_inside = |s: FileRange| s == FileRange::default() || s.end().is_some_and(|end| end <= file_len);
        // Every writer puts the notes right behind the sub header, so their offset names the shape outright.
        let notes_at = u64::from(main.block_size.unsigned_abs()) + abi.sub_len() as u64;
        let pfns = self.start_pfn <= self.end_pfn && self.end_pfn <= self.max_mapnr;
        let low = self.max_mapnr as u32;
        let signs = [
            (1, lies_inside(self.vmcoreinfo)),
            (1, lies_inside(self.notes)),
            (1, lies_inside(self.erase_info)),
            (4, self.notes.offset == notes_at),
            (2, main.max_mapnr == low || u64::from(main.max_mapnr) == self.max_mapnr.min(u64::from(u32::MAX))),
            (1, pfns),
        ];
        signs.iter().filter(|(_, holds)| *holds).map(|(weight, _)| weight).sum()
    }
}

/// Bytes that align what follows a 32-bit word to 8.
fn sub_gap(abi: Abi) -> usize {
    if abi.word == WordSize::Bits32 && abi.padded { 4 } else { 0 }
}

/// Both headers and the shape in which they were found.
#[derive(Clone, Debug)]
pub struct Header {
    /// Shape of the file's integers.
    pub abi: Abi,
    /// The first block.
    pub main: MainHeader,
    /// Block 1, as of the file's version (see [`SubHeader::as_of`]).
    pub sub: SubHeader,
    /// The block's size, which is the page's.
    pub page_size: PageSize,
}

impl Header {
    /// Whether a file that begins with `bytes` is a kdump file, of whatever version.
    pub fn probe(bytes: &[u8]) -> bool {
        bytes.starts_with(&SIGNATURE) || bytes.starts_with(&SIGNATURE_DISKDUMP)
    }

    /// Reads both headers and determines their layout.
    ///
    /// # Errors
    /// `BadMagic` without the signature; `Unsupported` for a diskdump file; `Truncated`; `Corrupt` if the likeliest
    /// reading of the main header is impossible still.
    pub fn read(file: &dyn ReadAt) -> Result<Header> {
        let file_len = file.len()?;
        let mut bytes = vec![0; usize::try_from(file_len).unwrap_or(MAIN_MAX).min(MAIN_MAX)];
        file.read_exact_at(0, &mut bytes)?;
        check_signature(&bytes)?;
        let (abi, main) = likeliest_main(&bytes, file_len)?;
        let page_size = main.checked_page_size().map_err(|e| e.within(format_args!("header ({})", abi.describe())))?;
        let mut block = [0; 104];
        file.read_exact_at(page_size.bytes() as u64, &mut block).map_err(|e| e.within("sub header"))?;
        let (abi, sub) = likeliest_sub(&block, &main, abi, file_len)?;
        Ok(Header { abi, main, sub, page_size })
    }
}

impl Header {
    /// Whether both headers say the same, as far as both say it.
    pub(crate) fn agrees(&self) -> bool {
        let (main, sub) = (&self.main, &self.sub);
        let notes_at = self.page_size.bytes() as u64 + self.abi.sub_len() as u64;
        let notes = main.version < 4 || sub.notes == FileRange::default() || sub.notes.offset == notes_at;
        let level = (0..=31).contains(&sub.dump_level);
        notes && level && u64::from(main.max_mapnr) == sub.max_mapnr.min(u64::from(u32::MAX))
    }

    /// Whether the sub header, if it is not made up, can say that the file is a part.
    pub(crate) fn says_split(&self) -> bool {
        !self.sub.notes.is_empty()
    }

    /// What flags the file as incomplete. To be opened then it must reach to the end of its bitmaps.
    pub fn incomplete_flag(&self) -> Patch {
        // status follows the timestamp: two words of 8 or 4 bytes, themselves aligned, behind 402 bytes
        let offset = if self.abi.word == WordSize::Bits64 { 424 } else { 412 };
        let mut bytes = self.abi.fields_mut();
        bytes.u32(self.main.status | STATUS_INCOMPLETE);
        let min_len = Layout::of(&self.main, self.page_size).descriptors();
        Patch { offset, bytes: bytes.into_bytes(), min_len }
    }
}

impl MainHeader {
    /// The block size, where all that later arithmetic builds on is possible.
    fn checked_page_size(&self) -> Result<PageSize> {
        let page_size = self.page_size().ok_or_else(|| {
            Error::corrupt(format!("block_size {} is not a power of two from 4096 to 262144", self.block_size))
        })?;
        if self.version < 0 {
            return Err(Error::corrupt(format!("header_version {} is negative", self.version)));
        }
        if self.sub_hdr_size < 1 {
            return Err(Error::corrupt(format!("sub_hdr_size {} leaves no room for a sub header", self.sub_hdr_size)));
        }
        if !(0..=MAX_CPUS).contains(&self.nr_cpus) {
            return Err(Error::corrupt(format!("nr_cpus {} is not from 0 to {MAX_CPUS}", self.nr_cpus)));
        }
        Ok(page_size)
    }
}

fn check_signature(bytes: &[u8]) -> Result<()> {
    if bytes.starts_with(&SIGNATURE) {
        return Ok(());
    }
    if bytes.starts_with(&SIGNATURE_DISKDUMP) {
        return Err(Error::unsupported("a diskdump file (netdump era, before kdump)").hint("crash reads these"));
    }
    Err(Error::new(ErrorKind::BadMagic, "not a kdump file: it does not begin with \"KDUMP   \""))
}

/// The reading of the main header that makes most sense; among equals the first, the commonest machine.
fn likeliest_main(bytes: &[u8], file_len: u64) -> Result<(Abi, MainHeader)> {
    let mut best: Option<(u32, Abi, MainHeader)> = None;
    for word in [WordSize::Bits64, WordSize::Bits32] {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let abi = Abi { order, word, padded: word == WordSize::Bits64 };
            let Ok(main) = MainHeader::decode(&mut abi.fields(bytes), abi) else { continue };
            let gap = bytes.get(402..402 + utsname_gap(abi)).unwrap_or_default();
            let sense = main.sense(abi, gap, file_len);
            if best.as_ref().is_none_or(|(most, ..)| sense > *most) {
                best = Some((sense, abi, main));
            }
        }
    }
    let (_, abi, main) = best.ok_or_else(|| Error::truncated("the header", MAIN_MAX as u64, bytes.len() as u64))?;
    Ok((abi, main))
}

/// The shape of the sub header that makes most sense; the one without padding where both do, which is where
/// nothing speaks for either.
fn likeliest_sub(block: &[u8], main: &MainHeader, abi: Abi, file_len: u64) -> Result<(Abi, SubHeader)> {
    let read = |padded| -> Result<(u32, Abi, SubHeader)> {
        let abi = Abi { padded, ..abi };
        let sub = SubHeader::decode(&mut abi.fields(block), abi)?.as_of(main.version, main.max_mapnr);
        Ok((sub.sense(main, abi, file_len), abi, sub))
    };
    let padded = read(true)?;
    let chosen = match abi.word {
        WordSize::Bits64 => padded,
        WordSize::Bits32 => {
            let unpadded = read(false)?;
            if padded.0 > unpadded.0 { padded } else { unpadded }
        }
    };
    Ok((chosen.1, chosen.2))
}
