//! kdump-compressed files, versions 0 to 6, any word size and byte order, from pages the caller has encoded.
//!
//! | block | content |
//! |---|---|
//! | 0 | main header: 464 bytes (64 bit) or 452 |
//! | 1 | sub header: up to 104 bytes (64 bit), 80 (32 bit packed) or 96 (32 bit padded), then the notes |
//! | 1 + sub_hdr_size | 1st bitmap: RAM; absent in single-bitmap files |
//! | then | 2nd bitmap: pages in the dump |
//! | then | page descriptors, 24 bytes each: offset (i64), size (u32), flags (u32), page_flags (u64) |
//! | then | data, byte aligned; text of erased symbols |
//!
//! Source: formats.md §1 and §3.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::bytes::{Endian, Sink, Width, overlay, round_up};

/// Signature of a kdump-compressed file.
pub const KDUMP: &[u8; 8] = b"KDUMP   ";
/// Signature of the older diskdump format, same layout.
pub const DISKDUMP: &[u8; 8] = b"DISKDUMP";

/// `status` bit of a file that ran out of space.
pub const INCOMPLETE: u32 = 8;

/// Alignment of 8-byte members in a 32-bit sub header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// To 4 bytes: i386, and all 32-bit files of QEMU.
    Packed,
    /// To 8 bytes: ARM, MIPS and PPC builds of makedumpfile.
    Padded,
}

/// Where one page's data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slot {
    /// These bytes, appended to the data area, under these descriptor flags (0 raw, 1 zlib, 2 LZO, 4 snappy, 0x20
    /// zstd).
    Stored(u32, Vec<u8>),
    /// The page of zeros at the start of the data area, raw.
    Zero,
    /// The data of another (stored) page.
    SameAs(u64),
    /// No data: an all-zero descriptor, as in incomplete files.
    Missing,
    /// Offset, size and flags as given, whatever is there.
    Raw(i64, u32, u32),
}

/// A kdump-compressed file to be.
#[derive(Clone, Debug)]
pub struct KdumpFile {
    /// First eight bytes.
    pub signature: [u8; 8],
    /// `header_version`; decides which members the sub header has.
    pub version: i32,
    /// Word size.
    pub width: Width,
    /// Byte order.
    pub endian: Endian,
    /// Sub header layout of 32-bit files.
    pub packing: Packing,
    /// `block_size` (bytes), also the page size.
    pub block_size: u32,
    /// sysname, nodename, release, version, machine, domainname.
    pub utsname: [String; 6],
    /// `timestamp.tv_sec`.
    pub seconds: u64,
    /// In a 32-bit file: a timestamp of 8-byte integers, as a program with a 64-bit `time_t` has it.
    pub wide_time: bool,
    /// `status`.
    pub status: u32,
    /// `nr_cpus`.
    pub nr_cpus: i32,
    /// `phys_base`, as the word it is stored in.
    pub phys_base: u64,
    /// `dump_level`.
    pub dump_level: i32,
    /// The pfns of this part of a split dump.
    pub split: Option<Range<u64>>,
    /// Number of pfns the bitmaps describe.
    pub max_pfn: u64,
    /// The 1st bitmap.
    pub ram: BTreeSet<u64>,
    /// The 2nd bitmap, that of all parts in a split dump.
    pub dumped: BTreeSet<u64>,
    /// One bitmap (the 2nd) instead of two.
    pub single_bitmap: bool,
    /// The notes behind the sub header (version 4 and later).
    pub notes: Vec<u8>,
    /// The VMCOREINFO text, found in `notes` for the pointer to it (version 3 and later).
    pub vmcoreinfo: Vec<u8>,
    /// Text at the end of the file (version 5 and later).
    pub eraseinfo: Vec<u8>,
    /// Least number of blocks of the sub header; the notes may need more.
    pub sub_hdr_size: u32,
    /// Page data, for every pfn of `dumped` within this part.
    pub slots: BTreeMap<u64, Slot>,
}

/// File offsets of the parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KdumpLayout {
    /// Blocks of the sub header with its notes.
    pub sub_hdr_size: u32,
    /// Blocks of both bitmaps.
    pub bitmap_blocks: u32,
    /// First bitmap in the file.
    pub bitmaps: u64,
    /// Page descriptors.
    pub descriptors: u64,
    /// Page data.
    pub data: u64,
    /// The notes.
    pub notes: u64,
    /// Text of erased symbols.
    pub eraseinfo: u64,
}

impl KdumpFile {
    /// A version 6 file of x86_64 without any page, 4 KiB blocks.
    #[must_use]
    pub fn new(max_pfn: u64) -> Self {
        KdumpFile {
            signature: *KDUMP,
            version: 6,
            width: Width::W64,
            endian: Endian::Little,
            packing: Packing::Packed,
            block_size: 4096,
            utsname: ["Linux", "synth", "6.12.0-synth", "#1 SMP gdump", "x86_64", "(none)"].map(str::to_owned),
            seconds: crate::CRASHTIME,
            wide_time: false,
            status: 0,
            nr_cpus: 1,
            phys_base: 0,
            dump_level: 0,
            split: None,
            max_pfn,
            ram: BTreeSet::new(),
            dumped: BTreeSet::new(),
            single_bitmap: false,
            notes: Vec::new(),
            vmcoreinfo: Vec::new(),
            eraseinfo: Vec::new(),
            sub_hdr_size: 1,
            slots: BTreeMap::new(),
        }
    }

    /// Sets word size and byte order.
    #[must_use]
    pub fn abi(mut self, width: Width, endian: Endian, packing: Packing) -> Self {
        self.width = width;
        self.endian = endian;
        self.packing = packing;
        self
    }

    /// Sets the header version.
    #[must_use]
    pub fn version(mut self, version: i32) -> Self {
        self.version = version;
        self
    }

    /// Adds a dumped page.
    #[must_use]
    pub fn page(mut self, pfn: u64, slot: Slot) -> Self {
        self.ram.insert(pfn);
        self.dumped.insert(pfn);
        self.slots.insert(pfn, slot);
        self
    }

    /// Adds page frames that are RAM but not in the dump.
    #[must_use]
    pub fn excluded(mut self, pfns: Range<u64>) -> Self {
        self.ram.extend(pfns);
        self
    }

    /// Sets the notes and the VMCOREINFO text that is one of them.
    #[must_use]
    pub fn notes(mut self, notes: Vec<u8>, vmcoreinfo: &str) -> Self {
        self.notes = notes;
        self.vmcoreinfo = vmcoreinfo.as_bytes().to_vec();
        self
    }

    /// The same dump cut at `bounds` (ascending pfns): one part more than bounds, as `makedumpfile --split` writes
    /// them.
    #[must_use]
    pub fn split_at(&self, bounds: &[u64]) -> Vec<KdumpFile> {
        let mut edges = vec![0];
        edges.extend_from_slice(bounds);
        edges.push(self.max_pfn);
        edges.windows(2).map(|pair| self.part(pair[0]..pair[1])).collect()
    }

    fn part(&self, pfns: Range<u64>) -> KdumpFile {
        let mut part = self.clone();
        part.slots.retain(|pfn, _| pfns.contains(pfn));
        for slot in part.slots.values_mut() {
            match *slot {
                // Its data is in another file.
                Slot::SameAs(other) if !pfns.contains(&other) => *slot = self.slots[&other].clone(),
                _ => {}
            }
        }
        part.split = Some(pfns);
        part
    }

    /// Computes where everything goes.
    ///
    /// In a split part the descriptor table has room for the pages of all parts.
    #[must_use]
    pub fn layout(&self) -> KdumpLayout {
        let block = u64::from(self.block_size);
        let head = self.sub_header_size();
        let notes = if self.version >= 4 { self.notes.len() as u64 } else { 0 };
        let sub_hdr_size = (head + notes).div_ceil(block).max(self.sub_hdr_size.into());
        let bitmap_blocks = self.bitmap_bytes() / block * if self.single_bitmap { 1 } else { 2 };
        let bitmaps = block * (1 + sub_hdr_size);
        let descriptors = bitmaps + bitmap_blocks * block;
        let data = descriptors + 24 * self.dumped.len() as u64;
        let zero = if self.has_zero() { block } else { 0 };
        let stored: u64 = self.slots.values().map(Slot::stored).sum();
        KdumpLayout {
            sub_hdr_size: sub_hdr_size as u32,
            bitmap_blocks: bitmap_blocks as u32,
            bitmaps,
            descriptors,
            data,
            notes: block + head,
            eraseinfo: data + zero + stored,
        }
    }

    /// The file.
    ///
    /// # Panics
    /// When a slot points to a page that is not stored, or the VMCOREINFO text is not in the notes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let layout = self.layout();
        let mut bytes = self.main_header(&layout);
        overlay(&mut bytes, self.block_size.into(), &self.sub_header(&layout));
        if self.version >= 4 {
            overlay(&mut bytes, layout.notes, &self.notes);
        }
        let second = layout.descriptors - self.bitmap_bytes();
        // In single-bitmap files both are at the same place, and the 2nd is the one.
        overlay(&mut bytes, layout.bitmaps, &self.bitmap(&self.ram));
        overlay(&mut bytes, second, &self.bitmap(&self.dumped));
        self.put_pages(&layout, &mut bytes);
        overlay(&mut bytes, layout.eraseinfo, &self.eraseinfo);
        bytes
    }

    fn bitmap_bytes(&self) -> u64 {
        round_up(self.max_pfn.div_ceil(8), self.block_size.into())
    }

    fn bitmap(&self, pfns: &BTreeSet<u64>) -> Vec<u8> {
        let mut bytes = vec![0; self.bitmap_bytes() as usize];
        for pfn in pfns {
            bytes[(pfn / 8) as usize] |= 1 << (pfn % 8);
        }
        bytes
    }

    fn has_zero(&self) -> bool {
        self.slots.values().any(|slot| *slot == Slot::Zero)
    }

    fn main_header(&self, layout: &KdumpLayout) -> Vec<u8> {
        let mut sink = Sink::new(self.endian, self.width);
        sink.raw(&self.signature);
        sink.i32(self.version);
        for field in &self.utsname {
            sink.text(field, 65);
        }
        if self.wide_time {
            sink.pad_to(if self.packing == Packing::Padded { 408 } else { 404 });
            sink.u64(self.seconds);
            sink.u64(0);
        } else {
            sink.pad_to(if self.width == Width::W64 { 408 } else { 404 });
            sink.word(self.seconds);
            sink.word(0);
        }
        sink.u32(self.status);
        sink.u32(self.block_size);
        sink.u32(layout.sub_hdr_size);
        sink.u32(layout.bitmap_blocks);
        sink.u32(narrow(self.max_pfn));
        sink.u32(0); // total_ram_blocks
        sink.u32(0); // device_blocks
        sink.u32(0); // written_blocks
        sink.u32(0); // current_cpu
        sink.i32(self.nr_cpus);
        sink.pad_to(self.block_size.into());
        sink.into_bytes()
    }

    /// Size of the sub header's structure (bytes), which the notes follow whatever the version.
    fn sub_header_size(&self) -> u64 {
        match (self.width, self.packing) {
            (Width::W64, _) => 104,
            (Width::W32, Packing::Packed) => 80,
            (Width::W32, Packing::Padded) => 96,
        }
    }

    fn sub_header(&self, layout: &KdumpLayout) -> Vec<u8> {
        let mut sink = Sink::new(self.endian, self.width);
        let pfns = self.split.clone().unwrap_or(0..0);
        sink.word(self.phys_base);
        if self.version >= 1 {
            sink.i32(self.dump_level);
        }
        if self.version >= 2 {
            sink.i32(self.split.is_some().into());
            sink.word(self.narrow_word(pfns.start));
            sink.word(self.narrow_word(pfns.end));
        }
        if self.version >= 3 {
            self.put_extent(&mut sink, self.vmcoreinfo_at(layout), self.vmcoreinfo.len());
        }
        if self.version >= 4 {
            self.put_extent(&mut sink, layout.notes, self.notes.len());
        }
        if self.version >= 5 {
            let at = if self.eraseinfo.is_empty() { 0 } else { layout.eraseinfo };
            self.put_extent(&mut sink, at, self.eraseinfo.len());
        }
        if self.version >= 6 {
            self.align(&mut sink);
            sink.u64(pfns.start);
            sink.u64(pfns.end);
            sink.u64(self.max_pfn);
        }
        sink.into_bytes()
    }

    /// An offset (always 8 bytes) and a size (a word).
    fn put_extent(&self, sink: &mut Sink, offset: u64, size: usize) {
        self.align(sink);
        sink.u64(offset);
        sink.word(size as u64);
    }

    fn align(&self, sink: &mut Sink) {
        if self.width == Width::W64 || self.packing == Packing::Padded {
            sink.pad_to(round_up(sink.len(), 8));
        }
    }

    /// A pfn for a `long`, cut off where it does not fit.
    fn narrow_word(&self, pfn: u64) -> u64 {
        if self.width == Width::W64 { pfn } else { pfn & 0xffff_ffff }
    }

    /// File offset of the text within the notes; 0 without text, or where the version has no notes to hold it.
    fn vmcoreinfo_at(&self, layout: &KdumpLayout) -> u64 {
        if self.vmcoreinfo.is_empty() {
            return 0;
        }
        let found = self.notes.windows(self.vmcoreinfo.len()).position(|window| window == self.vmcoreinfo);
        layout.notes + found.expect("the VMCOREINFO text is part of the notes") as u64
    }

    fn put_pages(&self, layout: &KdumpLayout, bytes: &mut Vec<u8>) {
        overlay(bytes, layout.data, &[]);
        let mut cursor = layout.data;
        if self.has_zero() {
            overlay(bytes, cursor, &vec![0; self.block_size as usize]);
            cursor += u64::from(self.block_size);
        }
        let mut offsets = BTreeMap::new();
        for (pfn, slot) in &self.slots {
            if let Slot::Stored(_, data) = slot {
                overlay(bytes, cursor, data);
                offsets.insert(*pfn, cursor);
                cursor += data.len() as u64;
            }
        }
        for (rank, (pfn, slot)) in (0u64..).zip(&self.slots) {
            let descriptor = self.descriptor(layout, &offsets, *pfn, slot);
            overlay(bytes, layout.descriptors + 24 * rank, &descriptor);
        }
    }

    fn descriptor(&self, layout: &KdumpLayout, offsets: &BTreeMap<u64, u64>, pfn: u64, slot: &Slot) -> Vec<u8> {
        let (offset, size, flags) = match slot {
            Slot::Stored(flags, data) => (offsets[&pfn], data.len() as u32, *flags),
            Slot::Zero => (layout.data, self.block_size, 0),
            Slot::SameAs(other) => match self.slots.get(other) {
                Some(Slot::Stored(flags, data)) => (offsets[other], data.len() as u32, *flags),
                _ => panic!("pfn {pfn:#x} shares the data of {other:#x}, which has none"),
            },
            Slot::Missing => (0, 0, 0),
            Slot::Raw(offset, size, flags) => (*offset as u64, *size, *flags),
        };
        let mut sink = Sink::new(self.endian, self.width);
        sink.u64(offset);
        sink.u32(size);
        sink.u32(flags);
        sink.u64(0); // page_flags
        sink.into_bytes()
    }
}

impl Slot {
    /// Bytes it takes in the data area.
    fn stored(&self) -> u64 {
        match self {
            Slot::Stored(_, data) => data.len() as u64,
            _ => 0,
        }
    }
}

fn narrow(pfn: u64) -> u32 {
    u32::try_from(pfn).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::Notes;

    fn u32_at(bytes: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    fn u64_at(bytes: &[u8], at: usize) -> u64 {
        u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
    }

    fn small() -> KdumpFile {
        let notes = Notes::new(Endian::Little).vmcoreinfo("OSRELEASE=6\n").into_bytes();
        KdumpFile::new(0x40)
            .notes(notes, "OSRELEASE=6\n")
            .excluded(4..6)
            .page(2, Slot::Zero)
            .page(3, Slot::Stored(1, vec![0xcc; 100]))
            .page(9, Slot::SameAs(3))
            .page(11, Slot::Missing)
    }

    #[test]
    fn main_header_of_64_bit() {
        let bytes = small().to_bytes();
        assert_eq!(&bytes[..12], b"KDUMP   \x06\0\0\0");
        assert_eq!(&bytes[12..18], b"Linux\0");
        assert_eq!(&bytes[272..279], b"x86_64\0");
        assert_eq!(u64_at(&bytes, 408), crate::CRASHTIME);
        let fields: Vec<u32> = (424..464).step_by(4).map(|at| u32_at(&bytes, at)).collect();
        assert_eq!(fields, [0, 4096, 1, 2, 0x40, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn sub_header_of_64_bit() {
        let bytes = small().to_bytes();
        let sub = &bytes[4096..];
        assert_eq!(u64_at(sub, 48), 4096 + 104); // offset_note
        assert_eq!(u64_at(sub, 56), 12 + 12 + 12);
        assert_eq!((u64_at(sub, 32), u64_at(sub, 40)), (4096 + 104 + 24, 12)); // VMCOREINFO's descriptor
        assert_eq!(&bytes[4096 + 128..4096 + 140], b"OSRELEASE=6\n");
        assert_eq!((u64_at(sub, 64), u64_at(sub, 96)), (0, 0x40));
    }

    #[test]
    fn bitmaps_descriptors_and_data() {
        let bytes = small().to_bytes();
        assert_eq!(bytes[8192..8194], [0b0011_1100, 0b1010]);
        assert_eq!(bytes[12288..12290], [0b0000_1100, 0b1010]);
        let desc = &bytes[16384..16384 + 96];
        let data = 16384 + 96;
        let got: Vec<(u64, u32, u32)> =
            (0..4).map(|n| (u64_at(desc, n * 24), u32_at(desc, n * 24 + 8), u32_at(desc, n * 24 + 12))).collect();
        assert_eq!(got, [(data, 4096, 0), (data + 4096, 100, 1), (data + 4096, 100, 1), (0, 0, 0)]);
        assert_eq!(bytes[data as usize + 4096..], [0xcc; 100]);
    }

    #[test]
    fn sub_headers_of_32_bit() {
        let mut file = small().abi(Width::W32, Endian::Little, Packing::Packed);
        let packed = file.to_bytes();
        assert_eq!((u64_at(&packed, 4096 + 32), u32_at(&packed, 4096 + 40)), (4096 + 80, 36)); // note
        assert_eq!(u64_at(&packed, 4096 + 72), 0x40);
        assert_eq!((u32_at(&packed, 412), u32_at(&packed, 416), u32_at(&packed, 448)), (0, 4096, 1));
        file.packing = Packing::Padded;
        let padded = file.to_bytes();
        assert_eq!((u64_at(&padded, 4096 + 40), u32_at(&padded, 4096 + 48)), (4096 + 96, 36));
        assert_eq!((u64_at(&padded, 4096 + 24), u32_at(&padded, 4096 + 32)), (4096 + 96 + 24, 12)); // vmcoreinfo
        assert_eq!(u64_at(&padded, 4096 + 88), 0x40);
    }

    #[test]
    fn big_endian_and_old_versions() {
        let file = KdumpFile::new(16).abi(Width::W64, Endian::Big, Packing::Packed).version(1);
        let bytes = file.to_bytes();
        assert_eq!(bytes[8..12], [0, 0, 0, 1]);
        assert_eq!(bytes[428..432], [0, 0, 0x10, 0]);
        assert_eq!(bytes[4096 + 12..8192], [0; 4084]);
    }

    #[test]
    fn split_parts_keep_bitmaps_and_room() {
        let mut whole = small();
        whole.dump_level = 31;
        let parts = whole.split_at(&[8]);
        let second = parts[1].to_bytes();
        let sub = &second[4096..];
        assert_eq!((u32_at(sub, 8), u32_at(sub, 12)), (31, 1));
        assert_eq!((u64_at(sub, 16), u64_at(sub, 24), u64_at(sub, 80), u64_at(sub, 88)), (8, 0x40, 8, 0x40));
        assert_eq!(second[12288], 0b0000_1100);
        assert_eq!(parts[1].layout().data, whole.layout().data);
        assert_eq!(parts[0].slots.len() + parts[1].slots.len(), 4);
    }

    #[test]
    fn one_bitmap() {
        let mut file = small();
        file.single_bitmap = true;
        let bytes = file.to_bytes();
        assert_eq!(u32_at(&bytes, 436), 1);
        assert_eq!(bytes[8192..8194], [0b0000_1100, 0b1010]);
        assert_eq!(file.layout().descriptors, 12288);
    }
}
