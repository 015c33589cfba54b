//! The header of bitmap dumps, behind the one that all dumps have.
//!
//! | off | field |
//! |---|---|
//! | 0 | "SDMP" or "FDMP", then "DUMP" |
//! | 0x20 | FirstPage (u64): where the first page begins in the file (bytes) |
//! | 0x28 | TotalPresentPages (u64): bits that are set |
//! | 0x30 | Pages (u64): bits in the bitmap |
//! | 0x38 | the bitmap, a bit a page frame, lowest first; then the pages whose bits are set, ascending |

use crate::header::Header;
use dump_core::{Error, ErrorKind, Fields, FieldsMut, PageBitmap, Pfn, ReadAt, Result, WordSize};

/// Bytes of the header.
pub(crate) const LEN: u64 = 0x38;

/// Bits are a multiple of this: LeechCore passes over the last ones of a number that is none, Volatility reads words of
/// 32.
const BITS: u64 = 64;

/// Where pages begin is a multiple of this (bytes): LeechCore asks for it.
const ALIGN: u64 = 4096;

const SUMMARY: &[u8; 4] = b"SDMP";
const FULL: &[u8; 4] = b"FDMP";
const VALID: &[u8; 4] = b"DUMP";

/// Where a dump has its bitmap and its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BitmapHeader {
    /// Where this header stands (bytes).
    pub at: u64,
    /// Where the first page begins (bytes).
    pub first_page: u64,
    /// Pages that it says to have.
    pub present: u64,
    /// Page frames that have a bit.
    pub bits: u64,
}

impl BitmapHeader {
    /// The header at `at` of the file.
    ///
    /// # Errors
    /// `Corrupt` if it is none, or its bitmap does not end before its pages begin; `Truncated` if the file ends within
    /// the bitmap.
    pub fn read(input: &dyn ReadAt, at: u64) -> Result<BitmapHeader> {
        let mut bytes = [0; LEN as usize];
        let context = |e: Error| e.within(format_args!("bitmap header at offset {at:#x}"));
        input.read_exact_at(at, &mut bytes).map_err(context)?;
        let header = BitmapHeader::decode(&bytes, at).map_err(context)?;
        let (end, len) = (header.bitmap_end(), input.len()?);
        if end > len {
            return Err(
                Error::truncated("the bitmap", end, len).within(format_args!("offset {:#x}", header.bitmap_at()))
            );
        }
        Ok(header)
    }

    fn decode(bytes: &[u8], at: u64) -> Result<BitmapHeader> {
        let mut f = Fields::new(bytes, Header::ORDER, WordSize::Bits64);
        let (signature, valid) = (f.bytes("signature", 4)?, f.bytes("signature", 4)?);
        if ![&SUMMARY[..], FULL].contains(&signature) || valid != VALID {
            let found = String::from_utf8_lossy(&bytes[..8]).escape_debug().to_string();
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!("it begins with {found}, expected SDMPDUMP or FDMPDUMP"),
            ));
        }
        let mut f = f.at(0x20);
        let header = BitmapHeader {
            at,
            first_page: f.u64("FirstPage")?,
            present: f.u64("TotalPresentPages")?,
            bits: f.u64("Pages")?,
        };
        if header.bits > PageBitmap::MAX_PAGES {
            let (bits, most) = (header.bits, PageBitmap::MAX_PAGES);
            return Err(Error::corrupt(format!("{bits:#x} page frames, expected at most {most:#x}")));
        }
        if header.first_page < header.bitmap_end() {
            let (first, end) = (header.first_page, header.bitmap_end());
            return Err(Error::corrupt(format!(
                "pages begin at offset {first:#x}, within the bitmap that ends at {end:#x}"
            )));
        }
        Ok(header)
    }

    /// The header of a dump with these pages, at `at` of the file.
    pub fn place(at: u64, end: Pfn, present: u64) -> BitmapHeader {
        let bits = end.0.next_multiple_of(BITS);
        let first_page = (at + LEN + bits / 8).next_multiple_of(ALIGN);
        BitmapHeader { at, first_page, present, bits }
    }

    /// Where the bitmap begins in the file (bytes).
    pub fn bitmap_at(&self) -> u64 {
        self.at + LEN
    }

    fn bitmap_end(&self) -> u64 {
        self.bitmap_at() + self.bits.div_ceil(8)
    }

    /// The header, byte for byte.
    pub fn encode(&self) -> Vec<u8> {
        let mut f = FieldsMut::new(Header::ORDER, WordSize::Bits64);
        f.bytes(FULL).bytes(VALID).pad_to(0x20).u64(self.first_page).u64(self.present).u64(self.bits);
        f.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_readers_ask_for() {
        let header = BitmapHeader::place(0x2000, Pfn(100), 7);
        assert_eq!((header.bits, header.first_page), (128, 0x3000));
        let full = BitmapHeader::place(0x2000, Pfn(0x7e40), 7); // ends at 0x3000
        assert_eq!((full.bits, full.first_page), (0x7e40, 0x3000));
        assert_eq!(BitmapHeader::place(0x2000, Pfn(0x7e41), 7).first_page, 0x4000);
        let bytes = header.encode();
        assert_eq!((bytes.len(), &bytes[..8], bytes[0x28]), (0x38, &b"FDMPDUMP"[..], 7));
        assert_eq!(BitmapHeader::decode(&bytes, 0x2000).unwrap(), header);
    }
}
