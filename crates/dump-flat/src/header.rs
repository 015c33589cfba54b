//! The header of a flattened stream and those of its records.
//!
//! | off | type | field | value |
//! |---|---|---|---|
//! | 0 | char[16] | signature | `makedumpfile`, 4 NULs |
//! | 16 | i64 | type | 1 |
//! | 24 | i64 | version | 1 |
//! | 32 | | zeros | up to 4096 |
//!
//! | off | type | field of a record |
//! |---|---|---|
//! | 0 | i64 | offset in the image (bytes); -1 at the end of the stream |
//! | 8 | i64 | size of the data that follows (bytes); -1 at the end |
//!
//! All numbers are big endian, whatever the dumped machine is.

use dump_core::{ByteOrder, Error, ErrorKind, Fields, FieldsMut, Result, WordSize};

/// Bytes of the stream's header; the first record follows.
pub const HEADER_LEN: usize = 4096;

/// Bytes of a record's header.
pub const RECORD_LEN: usize = 16;

/// Bytes at the start by which a flattened stream is recognised.
pub(crate) const PREFIX_LEN: usize = 32;

const SIGNATURE: &[u8; 16] = b"makedumpfile\0\0\0\0";
const TYPE: i64 = 1;
const VERSION: i64 = 1;

/// What the end of the stream has for an offset and a size.
const END: i64 = -1;

/// The signature's text and one NUL: makedumpfile and crash ask for no more.
const TEXT: &[u8] = b"makedumpfile\0";

/// Whether a file that begins with `prefix` (13 bytes are enough) is to be opened as a flattened dump. Opening it shows whether
/// it is of the type that is read here.
pub fn is_flattened(prefix: &[u8]) -> bool {
    prefix.starts_with(TEXT)
}

/// Checks the start of the stream.
///
/// Like makedumpfile and crash it asks of the signature no more than its text. Both pass over the version, libkdumpfile does not; there has only been one, and nobody knows what another would mean.
///
/// # Errors
/// `BadMagic` if this is no flattened stream, `Truncated` if it ends too early to know, `Unsupported` if it is
/// of another type or version.
pub(crate) fn check(prefix: &[u8]) -> Result<()> {
    if !is_flattened(prefix) {
        let cut = !prefix.is_empty() && TEXT.starts_with(prefix);
        let kind = if cut { ErrorKind::Truncated } else { ErrorKind::BadMagic };
        return Err(Error::new(kind, "not a flattened dump: it does not begin with \"makedumpfile\""));
    }
    let mut f = fields(prefix).at(16);
    let kind = f.u64("type").map_err(cut_header)? as i64;
    let version = f.u64("version").map_err(cut_header)? as i64;
    if kind != TYPE || version != VERSION {
        let what = format!("flattened dump of type {kind}, version {version}, expected {TYPE} and {VERSION}");
        return Err(Error::unsupported(what));
    }
    Ok(())
}

fn cut_header(e: Error) -> Error {
    e.within("flattened dump: header")
}

/// The header of a stream.
pub(crate) fn encode() -> Vec<u8> {
    let mut out = FieldsMut::new(ByteOrder::Big, WordSize::Bits64);
    out.bytes(SIGNATURE).u64(TYPE as u64).u64(VERSION as u64).pad_to(HEADER_LEN);
    out.into_bytes()
}

/// The header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// Bytes of the image follow.
    Data {
        /// Where in the image (bytes).
        offset: u64,
        /// How many (bytes), at least one.
        len: u64,
    },
    /// The stream ends here.
    End,
}

impl Record {
    /// Reads the header that stands at offset `at` of the stream.
    ///
    /// # Errors
    /// `Corrupt` if the offset is negative, the size is not positive, or their sum exceeds 2^63; `Truncated` if
    /// fewer than [`RECORD_LEN`] bytes are given.
    pub fn decode(bytes: &[u8], at: u64) -> Result<Record> {
        Record::fields(bytes).map_err(|e| e.within(format_args!("flattened dump: record at offset {at:#x}")))
    }

    fn fields(bytes: &[u8]) -> Result<Record> {
        let mut f = fields(bytes);
        let offset = f.u64("offset")? as i64;
        let size = f.u64("size")? as i64;
        match (u64::try_from(offset), u64::try_from(size)) {
            _ if (offset, size) == (END, END) => Ok(Record::End),
            (Err(_), _) => Err(Error::corrupt(format!("offset {offset} is negative, but this is not the end marker"))),
            (_, Err(_) | Ok(0)) => Err(Error::corrupt(format!("size {size} is not positive"))),
            (Ok(offset), Ok(len)) if offset + len > i64::MAX as u64 => {
                Err(Error::corrupt(format!("offset {offset:#x} + size {len:#x} exceeds 2^63")))
            }
            (Ok(offset), Ok(len)) => Ok(Record::Data { offset, len }),
        }
    }

    /// The header's bytes.
    pub fn encode(self) -> [u8; RECORD_LEN] {
        let (offset, len) = match self {
            Record::Data { offset, len } => (offset, len),
            Record::End => (END as u64, END as u64),
        };
        let mut out = [0; RECORD_LEN];
        out[..8].copy_from_slice(&offset.to_be_bytes());
        out[8..].copy_from_slice(&len.to_be_bytes());
        out
    }
}

fn fields(bytes: &[u8]) -> Fields<'_> {
    Fields::new(bytes, ByteOrder::Big, WordSize::Bits64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_what_makedumpfile_writes() {
        let header = encode();
        assert_eq!(header.len(), 4096);
        assert_eq!(&header[..16], b"makedumpfile\0\0\0\0");
        assert_eq!(header[16..32], [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert!(header[32..].iter().all(|byte| *byte == 0));
        assert!(is_flattened(&header) && is_flattened(&header[..32]));
    }

    #[test]
    fn what_is_not_a_header() {
        let with = |at: usize, byte: u8| {
            let mut header = encode();
            header[at] = byte;
            header
        };
        for (bytes, kind) in [
            (vec![], ErrorKind::BadMagic),
            (b"makedump".to_vec(), ErrorKind::Truncated),
            (b"makedumpfile".to_vec(), ErrorKind::Truncated),
            (encode()[..31].to_vec(), ErrorKind::Truncated),
            (vec![0; 4096], ErrorKind::BadMagic),
            (with(0, b'M'), ErrorKind::BadMagic),
            (with(12, b'2'), ErrorKind::BadMagic),
            (with(23, 2), ErrorKind::Unsupported),
            (with(31, 2), ErrorKind::Unsupported),
        ] {
            assert_eq!(check(&bytes).unwrap_err().kind(), kind, "{:?}", bytes.get(..32));
        }
        check(&with(13, b'x')).unwrap();
    }

    #[test]
    fn records() {
        let raw = |offset: i64, size: i64| [offset.to_be_bytes(), size.to_be_bytes()].concat();
        let data = Record::Data { offset: 0x1000, len: 3 };
        assert_eq!(data.encode(), [0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
        assert_eq!(Record::End.encode(), [0xff; 16]);
        for record in [data, Record::End, Record::Data { offset: 0, len: i64::MAX as u64 }] {
            assert_eq!(Record::decode(&record.encode(), 0).unwrap(), record);
        }
        for (offset, size) in
            [(-1, 5), (5, -1), (-2, -1), (0, 0), (7, 0), (7, i64::MIN), (i64::MIN, 1), (i64::MAX, 1), (1, i64::MAX)]
        {
            let e = Record::decode(&raw(offset, size), 0x1234).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Corrupt, "{offset} {size}");
            assert!(e.to_string().contains("at offset 0x1234"), "{e}");
        }
        assert_eq!(Record::decode(&[0; 15], 0).unwrap_err().kind(), ErrorKind::Truncated);
    }
}
