//! kdump-compressed files, read for checking: either word size and byte order, not flattened, not split.
//!
//! | block             | holds                                                      |
//! |-------------------|------------------------------------------------------------|
//! | 0                 | main header                                                |
//! | 1                 | sub header, then the notes                                 |
//! | 1 + sub_hdr_size  | 1st bitmap (RAM), then 2nd bitmap (in this dump)           |
//! | + bitmap_blocks   | 24-byte page descriptors, one per bit of the 2nd bitmap    |
//! | after the table   | page data                                                  |

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::bitmap::Bitmap;
use crate::codec;
use crate::wire::Wire;

/// Bytes of one page descriptor.
const DESCRIPTOR: u64 = 24;

/// What a reader of the dump learns before it reads a page.
pub struct Header {
    /// The fields a reader looks at, by name, as text to compare.
    pub facts: Vec<(&'static str, String)>,
    /// Kernel release of the dumped machine (utsname).
    pub release: String,
    /// Bytes of a page.
    pub page_size: u64,
    /// One past the highest pfn.
    pub max_mapnr: u64,
    /// The codecs used, and bit 0x8: incomplete.
    pub status: u32,
    bitmap_at: u64,
    bitmap_len: u64,
}

/// An open dump.
pub struct Kdump {
    file: File,
    len: u64,
    big_endian: bool,
    /// What its headers say.
    pub header: Header,
    /// 1st bitmap: page frames that are RAM.
    pub ram: Bitmap,
    /// 2nd bitmap: page frames in this dump.
    pub kept: Bitmap,
    ranks: Vec<u64>,
    data_at: u64,
}

/// One page descriptor.
struct Descriptor {
    /// File offset of the page's bytes.
    offset: u64,
    /// How many they are.
    size: u32,
    /// What they are compressed with.
    flags: u32,
}

/// A page frame, as the dump has it.
#[derive(Debug, PartialEq, Eq)]
pub enum Page {
    /// Not in the 2nd bitmap.
    Excluded,
    /// In the 2nd bitmap, but its descriptor was never written.
    Lost,
    /// The page's bytes, and the flags that they were stored with.
    Held(Vec<u8>, u32),
}

impl Kdump {
    /// Whether `start`, a file's first bytes, are of this format.
    pub fn probe(start: &[u8]) -> bool {
        start.starts_with(b"KDUMP   ")
    }

    /// Opens the dump at `path`.
    ///
    /// # Errors
    /// If the file is not such a dump, or its headers do not agree with each other or with the file's length.
    pub fn open(path: &Path) -> Result<Self> {
        Self::read(path).with_context(|| format!("kdump file {}", path.display()))
    }

    fn read(path: &Path) -> Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        let main = at(&file, 0, 464)?;
        ensure!(Self::probe(&main), "the file does not start with \"KDUMP   \"");
        let (layout, big_endian) = layout(&main)?;
        let header = read_header(&file, len, Wire { bytes: &main, big_endian }, layout)?;
        let half = header.bitmap_len / 2;
        let bitmap = |from| Ok::<_, anyhow::Error>(Bitmap::new(at(&file, from, half)?, header.max_mapnr));
        let (ram, kept) = (bitmap(header.bitmap_at)?, bitmap(header.bitmap_at + half)?);
        let ranks = kept.ranks();
        let data_at = header.bitmap_at + header.bitmap_len + kept.count() * DESCRIPTOR;
        Ok(Self { file, len, big_endian, header, ram, kept, ranks, data_at })
    }

    /// Whether its headers are big-endian, which is the dumped machine's order.
    pub fn is_big_endian(&self) -> bool {
        self.big_endian
    }

    /// Whether the dump is flagged as one that was not finished.
    pub fn is_incomplete(&self) -> bool {
        self.header.status & 8 != 0
    }

    /// The page `pfn`.
    ///
    /// # Errors
    /// What crash or libkdumpfile could not read: a descriptor that points elsewhere than to page data, data that does
    /// not decompress to a page.
    pub fn page(&self, pfn: u64) -> Result<Page> {
        let Some(rank) = self.kept.rank(&self.ranks, pfn) else { return Ok(Page::Excluded) };
        let Some(found) = self.descriptor(rank)? else { return Ok(Page::Lost) };
        let stored = at(&self.file, found.offset, found.size.into())?;
        let page = codec::decompress(found.flags, &stored, usize::try_from(self.header.page_size)?)?;
        Ok(Page::Held(page, found.flags))
    }

    /// Descriptor number `rank`; `None` for one that was never written and so reads as zeros.
    fn descriptor(&self, rank: u64) -> Result<Option<Descriptor>> {
        let table = self.header.bitmap_at + self.header.bitmap_len;
        let bytes = at(&self.file, table + rank * DESCRIPTOR, DESCRIPTOR)?;
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let wire = Wire { bytes: &bytes, big_endian: self.big_endian };
        ensure!(wire.u64(16)? == 0, "page_flags of {:#x}: nobody writes them", wire.u64(16)?);
        let found = Descriptor { offset: wire.u64(0)?, size: wire.u32(8)?, flags: wire.u32(12)? };
        self.check(&found)?;
        Ok(Some(found))
    }

    /// What every descriptor must keep to, so that crash and libkdumpfile read it.
    fn check(&self, found: &Descriptor) -> Result<()> {
        let (page_size, data_at) = (self.header.page_size, self.data_at);
        let size = u64::from(found.size);
        ensure!(found.offset >= data_at, "data at {:#x} lies before {data_at:#x}, the table's end", found.offset);
        let end = found.offset.checked_add(size).context("data offset overflows")?;
        ensure!(end <= self.len, "data {:#x}..{end:#x} lies beyond the file's {:#x} bytes", found.offset, self.len);
        if found.flags == 0 {
            ensure!(size == page_size, "raw page of {size} bytes, libkdumpfile wants {page_size}");
        } else {
            ensure!(size < page_size, "compressed page of {size} bytes is no smaller than a page");
        }
        Ok(())
    }
}

/// `len` bytes of `file` from `offset`.
fn at(file: &File, offset: u64, len: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(len)?];
    file.read_exact_at(&mut bytes, offset).with_context(|| format!("{len} bytes at {offset:#x}"))?;
    Ok(bytes)
}

/// Where fields are that differ by the word size.
#[derive(Clone, Copy)]
struct Layout {
    /// Main header: `timestamp`, a word and another, and `status`, before six numbers of 4 bytes.
    timestamp: usize,
    status: usize,
    /// Bytes of a word.
    word: usize,
    /// Sub header.
    dump_level: usize,
    vmcoreinfo: usize,
    note: usize,
    size_eraseinfo: usize,
    max_mapnr_64: usize,
}

impl Layout {
    const BITS_64: Layout = Layout {
        timestamp: 408,
        status: 424,
        word: 8,
        dump_level: 8,
        vmcoreinfo: 32,
        note: 48,
        size_eraseinfo: 72,
        max_mapnr_64: 96,
    };
    /// i386, which aligns 8-byte numbers to 4.
    const BITS_32: Layout = Layout {
        timestamp: 404,
        status: 412,
        word: 4,
        dump_level: 4,
        vmcoreinfo: 20,
        note: 32,
        size_eraseinfo: 52,
        max_mapnr_64: 72,
    };
    /// arm, mips, ppc.
    const BITS_32_ALIGNED: Layout =
        Layout { vmcoreinfo: 24, note: 40, size_eraseinfo: 64, max_mapnr_64: 88, ..Layout::BITS_32 };

    fn block_size(self, main: Wire<'_>) -> Result<u32> {
        main.u32(self.status + 4)
    }

    fn bitmap_blocks(self, main: Wire<'_>) -> Result<u32> {
        main.u32(self.status + 12)
    }

    fn max_mapnr(self, main: Wire<'_>) -> Result<u32> {
        main.u32(self.status + 16)
    }

    fn word(self, wire: Wire<'_>, at: usize) -> Result<u64> {
        if self.word == 8 { wire.u64(at) } else { Ok(wire.u32(at)?.into()) }
    }
}

/// Neither word size nor byte order is stated: they are those that make version, block size and bitmaps sane.
fn layout(main: &[u8]) -> Result<(Layout, bool)> {
    for layout in [Layout::BITS_32, Layout::BITS_64] {
        for big_endian in [false, true] {
            let wire = Wire { bytes: main, big_endian };
            let block = layout.block_size(wire)?;
            let bits = u64::from(layout.bitmap_blocks(wire)?) * u64::from(block) * 4;
            let is_block = block.is_power_of_two() && (4096..=262_144).contains(&block);
            let holds = bits != 0 && bits >= u64::from(layout.max_mapnr(wire)?);
            if wire.u32(8)? < 100 && is_block && holds {
                return Ok((layout, big_endian));
            }
        }
    }
    bail!("no word size and byte order make a header of this")
}

fn read_header(file: &File, len: u64, main: Wire<'_>, mut layout: Layout) -> Result<Header> {
    let page_size = u64::from(layout.block_size(main)?);
    let bitmap_at = (1 + u64::from(main.u32(layout.status + 8)?)) * page_size;
    let bitmap_len = u64::from(layout.bitmap_blocks(main)?) * page_size;
    // Before anything is sized by them.
    ensure!(bitmap_at + bitmap_len <= len, "bitmaps end at {:#x}, the file at {len:#x}", bitmap_at + bitmap_len);
    let bytes = at(file, page_size, page_size)?;
    let sub = Wire { bytes: &bytes, big_endian: main.big_endian };
    ensure!(main.u32(8)? == 6, "header version {}, this reader knows 6", main.u32(8)?);
    let low = layout.max_mapnr(main)?;
    if layout.word == 4 && sub.u64(layout.max_mapnr_64)? as u32 != low {
        layout = Layout::BITS_32_ALIGNED;
    }
    ensure!(sub.u32(layout.dump_level + 4)? == 0, "a part of a split dump");
    let max_mapnr = sub.u64(layout.max_mapnr_64)?;
    ensure!(max_mapnr <= bitmap_len * 4, "bitmaps of {bitmap_len} bytes do not hold {max_mapnr} pfns twice");
    ensure!(
        low == u32::try_from(max_mapnr).unwrap_or(u32::MAX),
        "max_mapnr is {low:#x} in the main header, {max_mapnr:#x} in the sub header"
    );
    let section = |field: &str, at_field: usize| -> Result<Vec<u8>> {
        let (offset, size) = (sub.u64(at_field)?, layout.word(sub, at_field + 8)?);
        ensure!(
            offset.checked_add(size).is_some_and(|end| end <= len),
            "{field} {offset:#x}+{size:#x} ends past the file"
        );
        at(file, offset, size)
    };
    let vmcoreinfo = String::from_utf8_lossy(&section("vmcoreinfo", layout.vmcoreinfo)?).into_owned();
    let notes = section("notes", layout.note)?;
    let facts = facts(main, sub, layout, &vmcoreinfo, &notes)?;
    let (release, status) = (uts(main, 2)?, main.u32(layout.status)?);
    Ok(Header { facts, release, page_size, max_mapnr, status, bitmap_at, bitmap_len })
}

/// The fields that crash, drgn and libkdumpfile look at, in the order they stand on disk.
fn facts(
    main: Wire<'_>,
    sub: Wire<'_>,
    layout: Layout,
    vmcoreinfo: &str,
    notes: &[u8],
) -> Result<Vec<(&'static str, String)>> {
    let names = ["sysname", "nodename", "release", "version", "machine", "domainname"];
    let mut facts = Vec::new();
    for (index, name) in names.into_iter().enumerate() {
        facts.push((name, uts(main, index)?));
    }
    facts.extend([
        ("timestamp", layout.word(main, layout.timestamp)?.to_string()),
        ("status", format!("{:#x}", main.u32(layout.status)?)),
        ("block_size", layout.block_size(main)?.to_string()),
        ("max_mapnr (32 bit)", format!("{:#x}", layout.max_mapnr(main)?)),
        ("nr_cpus", main.u32(layout.status + 36)?.to_string()),
        ("phys_base", format!("{:#x}", layout.word(sub, 0)?)),
        ("dump_level", sub.u32(layout.dump_level)?.to_string()),
        ("vmcoreinfo", vmcoreinfo.to_string()),
        ("notes", notes.iter().map(|byte| format!("{byte:02x}")).collect()),
        ("size_eraseinfo", layout.word(sub, layout.size_eraseinfo)?.to_string()),
        ("max_mapnr_64", format!("{:#x}", sub.u64(layout.max_mapnr_64)?)),
    ]);
    Ok(facts)
}

/// String number `index` of the six of utsname.
fn uts(main: Wire<'_>, index: usize) -> Result<String> {
    let field = main.slice(12 + 65 * index, 65)?;
    let text = field.split(|byte| *byte == 0).next().unwrap_or(field);
    Ok(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// A dump of pfns 1 (raw), 2 (lost) and 3 (zlib) out of four, written from the table in formats' terms, not from
    /// this reader.
    fn sample(big: bool) -> Vec<u8> {
        sample_of(big, 428, 96)
    }

    /// The same with `block_size` and `max_mapnr_64` there.
    fn sample_of(big: bool, block_size: usize, max_mapnr: usize) -> Vec<u8> {
        let mut file = vec![0u8; 4096 * 4 + 72];
        let mut put = |at: usize, size: usize, value: u64| {
            let bytes =
                if big { value.to_be_bytes()[8 - size..].to_vec() } else { value.to_le_bytes()[..size].to_vec() };
            file[at..at + size].copy_from_slice(&bytes);
        };
        for (at, size, value) in [(8, 4, 6), (0, 4, 4096), (4, 4, 1), (8, 4, 2), (12, 4, 4), (32, 4, 1)] {
            put(if value == 6 { at } else { block_size + at }, size, value);
        }
        let zlib = miniz_oxide::deflate::compress_to_vec_zlib(&[9; 4096], 1);
        let data = 4096 * 4 + 72;
        put(4096 + max_mapnr, 8, 4);
        for (at, size, value) in
            [(0, 8, data), (8, 4, 4096), (48, 8, data + 4096), (56, 4, zlib.len() as u64), (60, 4, 1)]
        {
            put(4096 * 4 + at, size, value);
        }
        file[..8].copy_from_slice(b"KDUMP   ");
        file[142..147].copy_from_slice(b"6.1.0");
        (file[4096 * 2], file[4096 * 3]) = (0b1111, 0b1110);
        file.extend([5; 4096]);
        file.extend(zlib);
        file
    }

    fn open(bytes: &[u8]) -> Result<Kdump> {
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(bytes)?;
        Kdump::open(file.path())
    }

    #[test]
    fn reads_pages_in_both_byte_orders_and_of_every_word_size() {
        let layouts = [(428, 96), (416, 72), (416, 88)];
        for (big, (block_size, max_mapnr)) in [false, true].into_iter().flat_map(|big| layouts.map(|at| (big, at))) {
            let dump = open(&sample_of(big, block_size, max_mapnr)).unwrap();
            assert_eq!(dump.header.release, "6.1.0");
            assert_eq!(dump.kept.ones().collect::<Vec<_>>(), [1, 2, 3]);
            let pages = [0, 1, 2, 3].map(|pfn| dump.page(pfn).unwrap());
            let held = |byte: u8, flags| Page::Held(vec![byte; 4096], flags);
            assert_eq!(pages, [Page::Excluded, held(5, 0), Page::Lost, held(9, 1)]);
            assert!(!dump.is_incomplete());
        }
    }

    #[test]
    fn refuses_damage() {
        let whole = sample(false);
        for len in (0..4096 * 4).step_by(97) {
            assert!(open(&whole[..len]).is_err(), "{len}");
        }
        assert!(open(&whole[..whole.len() - 1]).unwrap().page(3).is_err());
        let mut huge = whole;
        huge[4096 + 96..4096 + 104].fill(0xff);
        assert!(open(&huge).is_err());
    }
}
