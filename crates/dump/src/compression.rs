//! Files that are compressed as a whole: one row each.
//!
//! All these formats are *frames*, one after the other (gzip: members; xz, bzip2: streams): files that were joined, or
//! that several threads compressed, have many. What stands behind the last one is either padding, zeros as on a block
//! device, or something that nobody compressed, which is said.

use crate::decoder::{Bzip2, Decoder, Flate, Lz4, Xz, Zstd};
use crate::unpack::Input;
use dump_core::Result;

/// How a file as a whole is compressed.
pub(crate) struct Compression {
    /// Its usual name.
    pub name: &'static str,
    /// Whether a frame begins with these bytes.
    begins: fn(&[u8]) -> bool,
    /// Whether frames that hold no data may stand between others: 4 bytes 0x184D2A50 to 5F, then a length, u32 little
    /// endian.
    pub skippable: bool,
    /// Whether zeros may stand between frames, not only behind the last.
    pub padded: bool,
    /// What decodes a frame.
    pub decoder: for<'a> fn(Input<'a>) -> Result<Box<dyn Decoder<'a> + 'a>>,
}

const COMPRESSIONS: &[Compression] = &[
    // the window is bounded by the decoder's own limit, 128 MiB (--long=27)
    Compression {
        name: "zstd",
        begins: |prefix| prefix.starts_with(b"\x28\xb5\x2f\xfd"),
        skippable: true,
        padded: false,
        decoder: |input| Ok(Box::new(Zstd::new(input)?)),
    },
    Compression {
        name: "gzip",
        // the third byte is the method, of which there is one (RFC 1952): memory may begin with the other two
        begins: |prefix| prefix.starts_with(b"\x1f\x8b") && matches!(prefix.get(2), None | Some(8)),
        skippable: false,
        padded: false,
        decoder: |input| Ok(Box::new(Flate::gzip(input))),
    },
    Compression {
        name: "xz",
        begins: |prefix| prefix.starts_with(b"\xfd7zXZ\0"),
        skippable: false,
        padded: true,
        decoder: |input| Ok(Box::new(Xz::new(input)?)),
    },
    // "BZh", the size of blocks, and the start of a block or the end of an empty stream
    Compression {
        name: "bzip2",
        begins: |prefix| {
            prefix.starts_with(b"BZh")
                && matches!(prefix.get(3), None | Some(b'1'..=b'9'))
                && matches!(prefix.get(4), None | Some(0x31 | 0x17))
        },
        skippable: false,
        padded: false,
        decoder: |input| Ok(Box::new(Bzip2::new(input))),
    },
    Compression {
        name: "lz4",
        begins: |prefix| prefix.starts_with(b"\x04\x22\x4d\x18"),
        skippable: true,
        padded: false,
        decoder: |input| Ok(Box::new(Lz4::new(input))),
    },
    // LiME can write through the kernel's zlib. Two bytes are little to go by: deflate, a window of 32 KiB, no dictionary
    // and a check of them. So what follows has to be deflated as well.
    Compression {
        name: "zlib",
        begins: |prefix| matches!(prefix, [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..]) && Flate::is_zlib(prefix),
        skippable: false,
        padded: false,
        decoder: |input| Ok(Box::new(Flate::zlib(input))),
    },
];

/// The header of a frame to be passed over.
const SKIPPABLE_HEADER: usize = 8;

/// How many bytes a frame takes that is to be passed over, its header included, if `prefix` begins one.
pub(crate) fn skippable(prefix: &[u8]) -> Option<u64> {
    match prefix.get(..SKIPPABLE_HEADER)? {
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, len @ ..] => {
            let len = u32::from_le_bytes(len.try_into().ok()?);
            Some(SKIPPABLE_HEADER as u64 + u64::from(len))
        }
        _ => None,
    }
}

impl Compression {
    /// How a file that begins with `prefix` is compressed, if it is. pzstd writes a frame to be passed over first.
    pub fn probe(prefix: &[u8]) -> Option<&'static Compression> {
        let skipped = skippable(prefix).and_then(|len| usize::try_from(len).ok());
        let first = skipped.map_or(Some(prefix), |len| prefix.get(len..)).unwrap_or_default();
        COMPRESSIONS.iter().find(|row| row.begins_frame(first) && (skipped.is_none() || row.skippable))
    }

    /// Whether a frame begins with `prefix`.
    pub fn begins_frame(&self, prefix: &[u8]) -> bool {
        (self.begins)(prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_their_first_bytes() {
        let name = |prefix: &[u8]| Compression::probe(prefix).map(|row| row.name);
        for (prefix, want) in [
            (&b"\x28\xb5\x2f\xfd\x04"[..], Some("zstd")),
            (b"\x50\x2a\x4d\x18\x04\0\0\0abcd\x28\xb5\x2f\xfd\x04", Some("zstd")),
            (b"\x5f\x2a\x4d\x18\x00\0\0\0\x04\x22\x4d\x18", Some("lz4")),
            (b"\x5f\x2a\x4d\x18\x00\0\0\0\x1f\x8b", None),
            (b"\x50\x2a\x4d\x18\xff\xff\xff\xffabcd", None),
            (b"BZh91AY&SY", Some("bzip2")),
            (b"BZhello", None),
            (b"\x78\x5e\xed\x9b\xe1\x67", Some("zlib")),
            (b"x^ what is this?", None),
            (b"KDUMP", None),
            (b"", None),
        ] {
            assert_eq!(name(prefix), want, "{prefix:?}");
        }
    }
}
