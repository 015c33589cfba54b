//! The page descriptor: where the bytes of one dumped page are.
//!
//! ```text
//!  0  offset      i64  where in the file (bytes); 0 where the page is lost (the file was cut off)
//!  8  size        u32  bytes stored there
//! 12  flags       u32  0 as they are, 1 zlib, 2 LZO, 4 snappy, 0x20 zstd
//! 16  page_flags  u64  0
//! ```
//!
//! The same on every machine but for byte order. Descriptors stand in the order of their pages, data in any order, and
//! several may share one offset: that is how zero pages are stored. Source: makedumpfile diskdump_mod.h `page_desc`.

use dump_core::{ByteOrder, CodecId, Fields, FieldsMut, Result, WordSize};

use crate::header::{STATUS_LZO, STATUS_SNAPPY, STATUS_ZLIB, STATUS_ZSTD};

/// One page's descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageDesc {
    /// Where the page's bytes begin (bytes from the start of the file); 0 where they are lost.
    pub offset: u64,
    /// How many bytes are stored: the page size where `flags` is 0, less otherwise.
    pub size: u32,
    /// How they are packed; see [`codec_of`] and [`flags_of`].
    pub flags: u32,
}

impl PageDesc {
    /// Bytes of a descriptor.
    pub const SIZE: usize = 24;

    /// A cursor over descriptors, which have the same shape whatever the word size.
    pub fn fields(bytes: &[u8], order: ByteOrder) -> Fields<'_> {
        Fields::new(bytes, order, WordSize::Bits64)
    }

    /// An empty run of descriptors.
    pub fn fields_mut(order: ByteOrder) -> FieldsMut {
        FieldsMut::new(order, WordSize::Bits64)
    }

    /// Decodes one descriptor.
    ///
    /// # Errors
    /// `Truncated` where the bytes end before it does.
    pub fn decode(f: &mut Fields<'_>) -> Result<PageDesc> {
        let desc = PageDesc { offset: f.u64("offset")?, size: f.u32("size")?, flags: f.u32("flags")? };
        f.skip(8)?; // page_flags: always 0, and no reader looks
        Ok(desc)
    }

    /// The mirror of [`decode`](PageDesc::decode).
    pub fn encode(&self, f: &mut FieldsMut) {
        f.u64(self.offset).u32(self.size).u32(self.flags).u64(0);
    }
}

/// Flags of a page packed with `codec`, which are its bit in the header's status too.
pub fn flags_of(codec: Option<CodecId>) -> u32 {
    match codec {
        None => 0,
        Some(CodecId::Zlib) => STATUS_ZLIB,
        Some(CodecId::Lzo) => STATUS_LZO,
        Some(CodecId::Snappy) => STATUS_SNAPPY,
        Some(CodecId::Zstd) => STATUS_ZSTD,
    }
}

/// What flags say: `Some(None)` bytes as they are, `None` something that no writer writes.
pub fn codec_of(flags: u32) -> Option<Option<CodecId>> {
    let codecs = CodecId::ALL.map(Some);
    [None].into_iter().chain(codecs).find(|codec| flags_of(*codec) == flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_by_hand() {
        let desc = PageDesc { offset: 0x1122_3344_5566, size: 0x789, flags: 0x20 };
        let little = [0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0, 0, 0x89, 7, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let big = [0, 0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0, 0, 7, 0x89, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0];
        for (order, bytes) in [(ByteOrder::Little, little), (ByteOrder::Big, big)] {
            let mut f = PageDesc::fields_mut(order);
            desc.encode(&mut f);
            assert_eq!(f.into_bytes(), bytes);
            assert_eq!(PageDesc::decode(&mut PageDesc::fields(&bytes, order)).unwrap(), desc);
        }
    }

    #[test]
    fn flags() {
        for (flags, codec) in [
            (0, Some(None)),
            (1, Some(Some(CodecId::Zlib))),
            (2, Some(Some(CodecId::Lzo))),
            (4, Some(Some(CodecId::Snappy))),
            (0x20, Some(Some(CodecId::Zstd))),
            (3, None),
            (8, None),
            (0x8000_0001, None),
        ] {
            assert_eq!(codec_of(flags), codec, "{flags:#x}");
        }
    }
}
