//! A 64-bit little-endian kdump file, read with a few lines of our own and with the codecs' own decoders.

use std::io::Read;
use std::path::Path;

/// A kdump file in memory.
pub struct Kdump {
    bytes: Vec<u8>,
    /// Bit 0x8: incomplete.
    pub status: u32,
    pub max_mapnr: u64,
    bitmap1: usize,
    bitmap2: usize,
    descriptors: usize,
    /// Set bits of bitmap 2 below each 64th page.
    ranks: Vec<usize>,
}

/// A page of a kdump file.
#[derive(Debug, PartialEq, Eq)]
pub enum Page {
    /// Not in the 2nd bitmap.
    Excluded,
    /// In the 2nd bitmap, with no descriptor.
    Lost,
    /// Its bytes, and the flags they were stored with.
    Held(Vec<u8>, u32),
}

impl Kdump {
    pub fn open(path: &Path) -> Kdump {
        let bytes = std::fs::read(path).unwrap();
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        assert_eq!((&bytes[..8], u32_at(8)), (&b"KDUMP   "[..], 6), "signature and version");
        let block = u32_at(428) as usize;
        assert_eq!(block, 4096);
        let bitmap_bytes = u32_at(436) as usize * block;
        let bitmap1 = block * (1 + u32_at(432) as usize);
        let bitmap2 = bitmap1 + bitmap_bytes / 2;
        let max_mapnr = u64_at(block + 96);
        assert_eq!(u64::from(u32_at(440)), max_mapnr);
        let mut kdump = Kdump {
            status: u32_at(424),
            max_mapnr,
            bitmap1,
            bitmap2,
            descriptors: bitmap1 + bitmap_bytes,
            ranks: Vec::new(),
            bytes,
        };
        let mut rank = 0;
        for word in 0..max_mapnr.div_ceil(64) {
            kdump.ranks.push(rank);
            rank += (64 * word..64 * word + 64).filter(|pfn| kdump.kept(*pfn)).count();
        }
        kdump
    }

    fn bit(&self, bitmap: usize, pfn: u64) -> bool {
        pfn < self.max_mapnr && self.bytes[bitmap + pfn as usize / 8] >> (pfn % 8) & 1 == 1
    }

    /// Whether a page is RAM.
    pub fn ram(&self, pfn: u64) -> bool {
        self.bit(self.bitmap1, pfn)
    }

    /// Whether a page is in the dump.
    pub fn kept(&self, pfn: u64) -> bool {
        self.bit(self.bitmap2, pfn)
    }

    /// The 2nd bitmap.
    pub fn bitmap2(&self) -> &[u8] {
        &self.bytes[self.bitmap2..self.bitmap2 + self.max_mapnr.div_ceil(8) as usize]
    }

    /// The kernel release in the header.
    pub fn release(&self) -> &str {
        std::str::from_utf8(&self.bytes[142..207]).unwrap().trim_end_matches('\0')
    }

    pub fn is_incomplete(&self) -> bool {
        self.status & 8 != 0
    }

    /// A page, unpacked.
    pub fn page(&self, pfn: u64) -> Page {
        if !self.kept(pfn) {
            return Page::Excluded;
        }
        let rank = self.ranks[pfn as usize / 64] + (pfn / 64 * 64..pfn).filter(|p| self.kept(*p)).count();
        let desc = &self.bytes[self.descriptors + 24 * rank..][..24];
        let offset = u64::from_le_bytes(desc[..8].try_into().unwrap()) as usize;
        let size = u32::from_le_bytes(desc[8..12].try_into().unwrap()) as usize;
        let flags = u32::from_le_bytes(desc[12..16].try_into().unwrap());
        assert!(desc[16..].iter().all(|b| *b == 0), "page_flags");
        if offset == 0 {
            assert!(desc.iter().all(|b| *b == 0), "a lost page has an empty descriptor");
            return Page::Lost;
        }
        Page::Held(unpack(&self.bytes[offset..offset + size], flags), flags)
    }
}

fn unpack(data: &[u8], flags: u32) -> Vec<u8> {
    let mut page = Vec::new();
    match flags {
        0 => page = data.to_vec(),
        1 => drop(flate2::read::ZlibDecoder::new(data).read_to_end(&mut page).unwrap()),
        2 => {
            page = vec![0; 4096];
            lzo1x::decompress(data, &mut page).unwrap();
        }
        4 => page = snap::raw::Decoder::new().decompress_vec(data).unwrap(),
        0x20 => page = zstd::decode_all(data).unwrap(),
        other => panic!("flags {other:#x}"),
    }
    assert_eq!(page.len(), 4096);
    assert!(flags == 0 || data.len() < 4096, "a page that does not become smaller is stored as it is");
    page
}
