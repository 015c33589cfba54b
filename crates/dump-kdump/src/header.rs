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
//! Integers are those of the program that wrote it, which most often are those of the dumped machine. No field states
//! their byte order or word size, so [`Header::read`] decodes both headers in all ways there are and keeps the one that
//! makes most sense, rather than the first that makes any: a lone test on block_size can be met by chance (a 64-bit
//! file read as 32-bit has its tv_usec there). What can differ is told apart one by one:
//!
//! - byte order and word size;
//! - the timestamp of a 32-bit program, which has 8-byte integers where it was built with a 64-bit `time_t` (armhf in
//!   Debian 13, musl). They are aligned to 8, so that status stands at 424 as in a 64-bit header, or on i386 to 4, so
//!   that it stands at 420;
//! - padding in 32-bit sub headers, because i386 aligns 8-byte integers to 4 (and QEMU writes the structure without
//!   padding for every 32-bit target) while ARM, MIPS and PPC align them to 8.
//!
//! The word size of the kernel is none of these: see [`Machine::of_kernel`].
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
pub(crate) fn known_status() -> u32 {
    CODECS.iter().fold(STATUS_INCOMPLETE | STATUS_EXCLUDED_VMEMMAP, |known, codec| known | codec.status_bit)
}

/// More CPUs than any machine that Linux runs on has (NR_CPUS is 8192 at most).
const MAX_CPUS: i32 = 65536;

/// The longest main header (64-bit).
const MAIN_MAX: usize = 464;

/// The integers of a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timestamp {
    /// Of the headers' word size.
    Words,
    /// Of 8 bytes in a 32-bit header, aligned to 8.
    Wide,
    /// Of 8 bytes in a 32-bit header, aligned to 4.
    WidePacked,
}

/// The shape of a file's integers and structures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abi {
    /// Byte order of the dumped machine.
    pub order: ByteOrder,
    /// Word size of the program that wrote the headers.
    pub word: WordSize,
    /// Integers of the timestamp.
    pub timestamp: Timestamp,
    /// Whether 8-byte integers of the sub header are aligned to 8 (64-bit, and 32-bit ARM, MIPS, PPC) rather than to 4.
    pub padded: bool,
}

impl Abi {
    /// Bytes of the main header.
    pub fn main_len(self) -> usize {
        self.status_at() + 40
    }

    /// Where the timestamp begins in the main header, behind names that end at 402 (bytes).
    fn timestamp_at(self) -> usize {
        match (self.word, self.timestamp) {
            (WordSize::Bits64, _) | (WordSize::Bits32, Timestamp::Wide) => 408,
            (WordSize::Bits32, Timestamp::Words | Timestamp::WidePacked) => 404,
        }
    }

    /// Where `status` stands, behind two integers of the timestamp (bytes).
    fn status_at(self) -> usize {
        let integer = match (self.word, self.timestamp) {
            (WordSize::Bits32, Timestamp::Words) => 4,
            _ => 8,
        };
        self.timestamp_at() + 2 * integer
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

    /// For people.
    pub(crate) fn describe(self) -> String {
        let order = if self.order == ByteOrder::Little { "little" } else { "big" };
        let bits = if self.word == WordSize::Bits32 { 32 } else { 64 };
        let time = if self.timestamp == Timestamp::Words { "" } else { ", 64-bit time" };
        format!("{bits}-bit {order} endian{time}")
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
    /// Sets or clears the flag of an incomplete dump.
    pub fn flag_incomplete(&mut self, incomplete: bool) {
        self.status = self.status & !STATUS_INCOMPLETE | if incomplete { STATUS_INCOMPLETE } else { 0 };
    }

    /// Decodes the main header, in the order on disk; the signature is the caller's to look at.
    ///
    /// # Errors
    /// `Truncated` if the bytes end before it does.
    pub fn decode(f: &mut Fields<'_>, abi: Abi) -> Result<MainHeader> {
        f.bytes("signature", SIGNATURE.len())?;
        let version = f.i32("header_version")?;
        let mut names = [0; UtsName::SIZE];
        names.copy_from_slice(f.bytes("utsname", UtsName::SIZE)?);
        f.skip(abi.timestamp_at() - NAMES_END)?;
        let is_wide = abi.timestamp != Timestamp::Words;
        let mut time = |name| if is_wide { f.u64(name) } else { f.word(name) };
        let (tv_sec, tv_usec) = (time("tv_sec")?, time("tv_usec")?);
        Ok(MainHeader {
            version,
            utsname: UtsName::from_bytes(&names),
            tv_sec,
            tv_usec,
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
        f.pad_to(abi.timestamp_at());
        for time in [self.tv_sec, self.tv_usec] {
            if abi.timestamp == Timestamp::Words {
                f.word(time)
            } else {
                f.u64(time)
            };
        }
        f.u32(self.status);
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

/// Where the names end in the main header (bytes).
const NAMES_END: usize = 402;

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

/// The dump level that leaves out all classes of pages.
const ALL_CLASSES: u32 = 31;

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

    /// The dump level; `None` where what the header has is none, so that nobody knows what was left out.
    pub fn level(&self) -> Option<u32> {
        u32::try_from(self.dump_level).ok().filter(|level| *level <= ALL_CLASSES)
    }

    /// What a file of `version` says: fields that came later are 0, and the 64-bit page frames are filled from the old
    /// ones, so that callers look in one place. So they are where a file has but the old ones, whatever its version.
    #[must_use]
    pub fn as_of(mut self, version: i32, max_mapnr: u32) -> SubHeader {
        if version < 6 || (self.max_mapnr == 0 && max_mapnr != 0) {
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

    /// How much sense the sub header makes, for choosing among decodings of the same bytes.
    fn sense(&self, main: &MainHeader, abi: Abi, file_len: u64) -> u32 {
        let stated = self.as_of(main.version, main.max_mapnr);
        let lies_inside = |s: FileRange| s == FileRange::default() || s.end().is_some_and(|end| end <= file_len);
        // Every writer puts the notes right behind the sub header, so their offset names the shape outright.
        let notes_at = u64::from(main.block_size.unsigned_abs()) + abi.sub_len() as u64;
        let pfns = stated.start_pfn <= stated.end_pfn && stated.end_pfn <= stated.max_mapnr;
        let low = self.max_mapnr as u32;
        let signs = [
            (1, lies_inside(stated.vmcoreinfo)),
            (1, lies_inside(stated.notes)),
            (1, lies_inside(stated.erase_info)),
            (6, stated.notes.offset == notes_at),
            (
                4,
                main.version < 6
                    || main.max_mapnr == low
                    || u64::from(main.max_mapnr) == self.max_mapnr.min(u64::from(u32::MAX)),
            ),
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
    /// Whether that is all zeros in the file.
    pub(crate) blank: bool,
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
        let likeliest = Reading::read(file)?;
        let Reading { abi, main, .. } = likeliest;
        let page_size = main.checked_page_size().map_err(|e| e.within(format_args!("header ({})", abi.describe())))?;
        let (sub, blank) = match likeliest.sub {
            Some(sub) => (sub.as_of(main.version, main.max_mapnr), sub == SubHeader::default()),
            // there is none to be had: the error says why
            None => return Err(read_sub_block(file, page_size).err().unwrap_or_else(|| Error::bug("no sub header"))),
        };
        Ok(Header { abi, main, sub, blank, page_size })
    }
}

impl Header {
    /// Whether both headers say the same, as far as both say it.
    pub(crate) fn agrees(&self) -> bool {
        let (main, sub) = (&self.main, &self.sub);
        let notes_at = self.page_size.bytes() as u64 + self.abi.sub_len() as u64;
        let notes = main.version < 4 || sub.notes == FileRange::default() || sub.notes.offset == notes_at;
        let level = sub.level().is_some();
        notes && level && u64::from(main.max_mapnr) == sub.max_mapnr.min(u64::from(u32::MAX))
    }

    /// Whether the sub header, if it is not made up, can say that the file is a part.
    pub(crate) fn says_split(&self) -> bool {
        !self.sub.notes.is_empty()
    }

    /// What flags the file as incomplete: it takes the main header alone. To be opened then the file must reach to the
    /// end of its bitmaps.
    ///
    /// # Errors
    /// As [`read`](Header::read), where the main header is what is wrong.
    pub fn incomplete_flag(file: &dyn ReadAt) -> Result<Patch> {
        let Reading { abi, main, .. } = Reading::read(file)?;
        let mut bytes = abi.fields_mut();
        bytes.u32(main.status | STATUS_INCOMPLETE);
        let min_len = Layout::of(&main, main.checked_page_size()?).descriptors();
        Ok(Patch { offset: abi.status_at() as u64, bytes: bytes.into_bytes(), min_len })
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

/// One way to read both headers.
struct Reading {
    abi: Abi,
    main: MainHeader,
    /// `None` where it cannot be read, the main header having no possible block size, for one.
    sub: Option<SubHeader>,
    /// How much sense it makes.
    sense: u32,
}

impl Reading {
    /// The likeliest reading of what `file` begins with.
    ///
    /// # Errors
    /// `BadMagic`, `Unsupported` or `Truncated`, as [`Header::read`].
    fn read(file: &dyn ReadAt) -> Result<Reading> {
        let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(MAIN_MAX).min(MAIN_MAX)];
        file.read_exact_at(0, &mut bytes)?;
        check_signature(&bytes)?;
        Reading::likeliest(&bytes, file)
    }

    /// The one that makes most sense; among equals the first, the commonest machine.
    ///
    /// # Errors
    /// `Truncated` if `bytes` are too few for any.
    fn likeliest(bytes: &[u8], file: &dyn ReadAt) -> Result<Reading> {
        let file_len = file.len()?;
        let mut best: Option<Reading> = None;
        for reading in shapes().filter_map(|abi| Reading::of(abi, bytes, file, file_len)) {
            if best.as_ref().is_none_or(|best| reading.sense > best.sense) {
                best = Some(reading);
            }
        }
        best.ok_or_else(|| Error::truncated("the header", MAIN_MAX as u64, bytes.len() as u64))
    }

    fn of(abi: Abi, bytes: &[u8], file: &dyn ReadAt, file_len: u64) -> Option<Reading> {
        let main = MainHeader::decode(&mut abi.fields(bytes), abi).ok()?;
        let gap = bytes.get(NAMES_END..abi.timestamp_at()).unwrap_or_default();
        let mut reading = Reading { abi, sense: main.sense(abi, gap, file_len), main, sub: None };
        let block = reading.main.page_size().and_then(|size| read_sub_block(file, size).ok());
        // among equals the one without padding, which is where nothing speaks for either
        let paddings: &[bool] = if abi.word == WordSize::Bits64 { &[true] } else { &[false, true] };
        let subs = block.iter().flat_map(|block| paddings.iter().map(move |padded| (block, *padded)));
        let mut most = None;
        for (block, padded) in subs {
            let abi = Abi { padded, ..abi };
            let Ok(sub) = SubHeader::decode(&mut abi.fields(block), abi) else { continue };
            let sense = sub.sense(&reading.main, abi, file_len);
            if most.is_none_or(|most| sense > most) {
                most = Some(sense);
                (reading.abi, reading.sub) = (abi, Some(sub));
            }
        }
        reading.sense += most.unwrap_or(0);
        Some(reading)
    }
}

/// Every shape that headers have, the commonest first.
fn shapes() -> impl Iterator<Item = Abi> {
    use Timestamp::{Wide, WidePacked, Words};
    use WordSize::{Bits32, Bits64};
    let shapes = [(Bits64, Words), (Bits32, Words), (Bits32, Wide), (Bits32, WidePacked)];
    shapes.into_iter().flat_map(|(word, timestamp)| {
        let abi = move |order| Abi { order, word, timestamp, padded: word == Bits64 };
        [ByteOrder::Little, ByteOrder::Big].map(abi)
    })
}

fn read_sub_block(file: &dyn ReadAt, page_size: PageSize) -> Result<[u8; 104]> {
    let mut block = [0; 104];
    file.read_exact_at(page_size.bytes() as u64, &mut block).map_err(|e| e.within("sub header"))?;
    Ok(block)
}
