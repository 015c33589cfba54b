//! The page descriptor: where the bytes of one dumped page are.
//!
//! ```text
//!  0  offset      i64  where in the file (bytes); 0 where the page is lost (the file was cut off)
//!  8  size        u32  bytes stored there
//! 12  flags       u32  0 as they are, else their codec's (see codec/mod.rs)
//! 16  page_flags  u64  0
//! ```
//!
//! The same on every machine but for byte order. Descriptors stand in the order of their pages, data in any order, and
//! several may share one offset: that is how zero pages are stored. Source: makedumpfile diskdump_mod.h `page_desc`.

use dump_core::{ByteOrder, Damage, Fields, FieldsMut, Result, WordSize};

use crate::codec::Codec;

/// One page's descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageDesc {
    /// Where the page's bytes begin (bytes from the start of the file); 0 where they are lost.
    pub offset: u64,
    /// How many bytes are stored: the page size where `flags` is 0, less otherwise.
    pub size: u32,
    /// How they are compressed; see [`codec`](PageDesc::codec).
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
    /// `Truncated` if the bytes end before it does.
    pub fn decode(f: &mut Fields<'_>) -> Result<PageDesc> {
        let desc = PageDesc { offset: f.u64("offset")?, size: f.u32("size")?, flags: f.u32("flags")? };
        f.skip(8)?; // page_flags: always 0, and no reader looks
        Ok(desc)
    }

    /// The mirror of [`decode`](PageDesc::decode).
    pub fn encode(&self, f: &mut FieldsMut) {
        f.u64(self.offset).u32(self.size).u32(self.flags).u64(0);
    }

    /// How the bytes are compressed: `Some(None)` where they are not, `None` where no writer writes such flags.
    pub fn codec(&self) -> Option<Option<&'static Codec>> {
        match self.flags {
            0 => Some(None),
            flags => Codec::of_flags(flags).map(Some),
        }
    }

    /// How many bytes of the file a page of `page` bytes takes, and how they are compressed.
    ///
    /// # Errors
    /// What is wrong with size or flags.
    pub(crate) fn stored_len(
        &self,
        page: usize,
    ) -> std::result::Result<(usize, Option<&'static Codec>), (Damage, String)> {
        let PageDesc { size, flags, .. } = *self;
        let codec = self.codec().ok_or_else(|| (Damage::Flags, format!("unknown flags {flags:#x}")))?;
        let bytes = size as usize;
        if bytes > page || bytes == 0 || (codec.is_none() && bytes != page) {
            let kind = codec.map_or("an uncompressed page", |codec| codec.id.name());
            return Err((Damage::Size, format!("size {size} of {kind}, block_size {page}")));
        }
        Ok((bytes, codec))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{LZO, SNAPPY, ZLIB, ZSTD};

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
            (1, Some(Some(ZLIB))),
            (2, Some(Some(LZO))),
            (4, Some(Some(SNAPPY))),
            (0x20, Some(Some(ZSTD))),
            (3, None),
            (8, None),
            (0x8000_0001, None),
        ] {
            let desc = PageDesc { flags, ..PageDesc::default() };
            assert_eq!(desc.codec().map(|codec| codec.map(|codec| codec.id)), codec, "{flags:#x}");
        }
    }
}
