//! The header of a range, which LiME and AVML share.
//!
//! | off | type | field |
//! |---|---|---|
//! | 0 | u32 | magic: `EMiL` for LiME, `AVML` for AVML |
//! | 4 | u32 | version: 1 for LiME, 2 for AVML |
//! | 8 | u64 | first physical address |
//! | 16 | u64 | last physical address, inclusive |
//! | 24 | u64 | reserved, zero |
//!
//! All little endian. Source: LiME's lime.h, `lime_mem_range_header`; AVML's src/image.rs, `Header`.

use crate::formats::{AVML_NAME, LIME_NAME};
use dump_core::{ByteOrder, Error, ErrorKind, Fields, FieldsMut, ReadAt, Result, WordSize};

/// Bytes of a header.
pub(crate) const LEN: usize = 32;

/// Which format's header it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Lime,
    Avml,
}

impl Dialect {
    fn magic(self) -> u32 {
        match self {
            Dialect::Lime => 0x4c69_4d45,
            Dialect::Avml => 0x4c4d_5641,
        }
    }

    /// Whether a file that begins with `prefix` is an image of it, of whatever version.
    pub fn begins(self, prefix: &[u8]) -> bool {
        prefix.starts_with(&self.magic().to_le_bytes())
    }

    fn version(self) -> u32 {
        match self {
            Dialect::Lime => 1,
            Dialect::Avml => 2,
        }
    }

    const ALL: [Dialect; 2] = [Dialect::Lime, Dialect::Avml];

    /// The name of its format.
    pub fn format(self) -> &'static str {
        match self {
            Dialect::Lime => LIME_NAME,
            Dialect::Avml => AVML_NAME,
        }
    }

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Lime => "LiME",
            Dialect::Avml => "AVML",
        }
    }

    /// Names the place of an error.
    pub fn at(self, offset: u64) -> String {
        format!("{} image: range at offset {offset:#x}", self.name())
    }
}

/// What an empty file is.
pub(crate) fn empty(dialect: Dialect) -> Error {
    Error::truncated("a header", LEN as u64, 0).within(dialect.at(0))
}

/// The header of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// First physical address.
    pub start: u64,
    /// The physical address after the last; never before `start`.
    pub end: u64,
}

impl Header {
    /// Bytes of the range, at least one.
    pub fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Reads the header at `offset`: of the `expected` dialect or, where none is, of either.
    ///
    /// # Errors
    /// `BadMagic` or `Unsupported` if it is none, `Corrupt` if the range makes no sense, `Truncated` if the file ends
    /// within it.
    pub fn read(input: &dyn ReadAt, offset: u64, expected: Option<Dialect>) -> Result<(Dialect, Header)> {
        let mut bytes = [0; LEN];
        input.read_exact_at(offset, &mut bytes)?;
        let begins = || Dialect::ALL.into_iter().find(|dialect| dialect.begins(&bytes));
        let dialect = expected.or_else(begins).unwrap_or(Dialect::Lime);
        Ok((dialect, Header::decode(&bytes, dialect)?))
    }

    fn decode(bytes: &[u8], dialect: Dialect) -> Result<Header> {
        let mut f = fields(bytes);
        check(&mut f, dialect)?;
        let start = f.u64("start")?;
        let last = f.u64("end")?;
        let reserved = f.u64("reserved")?;
        // 2^64 - 1 would make an end of 0 and a range that never ends.
        let end = last.checked_add(1).filter(|end| start < *end);
        let end = end.ok_or_else(|| Error::corrupt(format!("start {start:#x} is not below end {last:#x}")))?;
        // AVML's own reader refuses it; LiME's documentation leaves it to later versions, which would have another
        // number.
        if dialect == Dialect::Avml && reserved != 0 {
            return Err(Error::unsupported(format!("reserved is {reserved:#x}, expected 0")));
        }
        Ok(Header { start, end })
    }

    /// The header's bytes, for LiME.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = FieldsMut::new(ByteOrder::Little, WordSize::Bits64);
        out.u32(Dialect::Lime.magic())
            .u32(Dialect::Lime.version())
            .u64(self.start)
            .u64(self.end.wrapping_sub(1))
            .u64(0);
        out.into_bytes()
    }
}

fn check(f: &mut Fields<'_>, dialect: Dialect) -> Result<()> {
    let magic = f.u32("magic")?;
    let version = f.u32("version")?;
    if magic != dialect.magic() {
        return Err(Error::new(ErrorKind::BadMagic, format!("magic {magic:#x}, expected {:#x}", dialect.magic())));
    }
    if version != dialect.version() {
        return Err(Error::unsupported(format!("version {version}, expected {}", dialect.version())));
    }
    Ok(())
}

fn fields(bytes: &[u8]) -> Fields<'_> {
    Fields::new(bytes, ByteOrder::Little, WordSize::Bits64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_what_lime_writes() {
        // AVML's own test has these bytes for 0x1000..0x20001.
        let expected = b"\x45\x4d\x69\x4c\x01\x00\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\
                         \x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
        let header = Header { start: 0x1000, end: 0x20001 };
        assert_eq!(header.encode(), expected);
        assert_eq!(Header::decode(expected, Dialect::Lime).unwrap(), header);
        assert!(
            Dialect::Lime.begins(expected) && !Dialect::Lime.begins(&expected[..3]) && !Dialect::Avml.begins(expected)
        );
        let mut avml = *expected;
        avml[..5].copy_from_slice(b"AVML\x02");
        assert_eq!(Header::decode(&avml, Dialect::Avml).unwrap(), header);
        assert!(Dialect::Avml.begins(&avml) && !Dialect::Lime.begins(&avml));
    }

    #[test]
    fn what_is_not_a_header() {
        let header = |start: u64, last: u64| {
            let mut bytes = Header { start: 0, end: 1 }.encode();
            bytes[8..16].copy_from_slice(&start.to_le_bytes());
            bytes[16..24].copy_from_slice(&last.to_le_bytes());
            bytes
        };
        let with = |at: usize, byte: u8| {
            let mut bytes = header(0, 5);
            bytes[at] = byte;
            bytes
        };
        for (bytes, kind) in [
            (header(5, 4), ErrorKind::Corrupt),
            (header(0, u64::MAX), ErrorKind::Corrupt),
            (header(u64::MAX, u64::MAX), ErrorKind::Corrupt),
            (header(u64::MAX, 0), ErrorKind::Corrupt),
            (with(0, 0), ErrorKind::BadMagic),
            (with(4, 2), ErrorKind::Unsupported),
            (header(0, 5)[..31].to_vec(), ErrorKind::Truncated),
        ] {
            assert_eq!(Header::decode(&bytes, Dialect::Lime).unwrap_err().kind(), kind, "{bytes:?}");
        }
        assert_eq!(Header::decode(&header(7, 7), Dialect::Lime).unwrap().len(), 1);
        Header::decode(&with(24, 1), Dialect::Lime).unwrap();
        let mut avml = with(24, 1);
        avml[..5].copy_from_slice(b"AVML\x02");
        assert_eq!(Header::decode(&avml, Dialect::Avml).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
