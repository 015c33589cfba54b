//! Files that are compressed as a whole: one row each.

use dump_core::{Error, ErrorKind, Result};
use std::io::{BufReader, Read};

/// Bytes in their order.
type Stream<'a> = Box<dyn Read + 'a>;

/// How a file as a whole is compressed.
pub(crate) struct Compression {
    /// Its usual name.
    pub name: &'static str,
    magic: &'static [u8],
    decoder: fn(Stream<'_>) -> Result<Stream<'_>>,
}

const COMPRESSIONS: &[Compression] = &[
    // the window is bounded by the decoder's own limit, 128 MiB (--long=27)
    Compression {
        name: "zstd",
        magic: b"\x28\xb5\x2f\xfd",
        decoder: |r| Ok(Box::new(zstd::stream::read::Decoder::new(r)?)),
    },
    Compression { name: "gzip", magic: b"\x1f\x8b", decoder: |r| Ok(Box::new(flate2::read::MultiGzDecoder::new(r))) },
    Compression { name: "xz", magic: b"\xfd7zXZ\0", decoder: xz },
    Compression { name: "bzip2", magic: b"BZh", decoder: |r| Ok(Box::new(bzip2::read::MultiBzDecoder::new(r))) },
    Compression {
        name: "lz4",
        magic: b"\x04\x22\x4d\x18",
        decoder: |r| Ok(Box::new(lz4_flex::frame::FrameDecoder::new(r))),
    },
];

/// Memory that an xz decoder may take (bytes): more than xz -9 needs (65 MiB); what asks for more is not decompressed.
const XZ_MEMORY: u64 = 256 << 20;

fn xz(compressed: Stream<'_>) -> Result<Stream<'_>> {
    let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED);
    let stream = stream.map_err(|e| Error::new(ErrorKind::Io, format!("xz: {e}")))?;
    Ok(Box::new(liblzma::read::XzDecoder::new_stream(BufReader::new(compressed), stream)))
}

impl Compression {
    /// How a file that begins with `prefix` is compressed, if it is.
    pub fn probe(prefix: &[u8]) -> Option<&'static Compression> {
        COMPRESSIONS.iter().find(|row| prefix.starts_with(row.magic))
    }

    /// A stream of what was compressed.
    ///
    /// # Errors
    /// If a decoder cannot be set up.
    pub fn decoder<'a>(&self, compressed: impl Read + 'a) -> Result<Stream<'a>> {
        (self.decoder)(Box::new(compressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_their_first_bytes() {
        let name = |prefix: &[u8]| Compression::probe(prefix).map(|row| row.name);
        assert_eq!([name(b"\x28\xb5\x2f\xfd\x04"), name(b"BZh9"), name(b"KDUMP")], [Some("zstd"), Some("bzip2"), None]);
    }

    #[test]
    fn members_one_after_the_other_are_one_stream() {
        let gzip = |text: &[u8]| {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut out, text).unwrap();
            out.finish().unwrap()
        };
        let two = [gzip(b"one"), gzip(b"two")].concat();
        let mut text = String::new();
        Compression::probe(&two).unwrap().decoder(&two[..]).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "onetwo");
    }
}
