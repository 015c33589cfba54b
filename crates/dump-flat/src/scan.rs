//! The records of a flattened file, one after the other: reads their headers and passes over their data.

use crate::header::{self, HEADER_LEN, RECORD_LEN, Record};
use dump_core::{Error, ErrorKind, ReadAt, Result};

/// Bytes read at a time. Most records are longer, so that a window holds one header; reading 4 KiB that are in the page
/// cache costs what reading 16 bytes does. Of records of a few bytes it holds hundreds.
const BYTES_PER_READ: usize = 4096;

/// The data of a record, as far as the file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Data {
    /// Where in the image (bytes).
    pub offset: u64,
    /// Where in the file (bytes).
    pub pos: u64,
    /// How much (bytes).
    pub len: u64,
}

/// How the stream ended.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// With its marker.
    Marker,
    /// Without, at the end of the file; `at` is where the record begins that is not there or not whole.
    Cut { at: u64, len: u64 },
    /// At a record that makes no sense, and of which nobody knows where the next one begins.
    Broken(Error),
}

impl End {
    /// What is wrong with it, if anything is.
    pub fn damage(&self) -> Option<Error> {
        match *self {
            End::Marker => None,
            End::Broken(ref e) => Some(e.clone()),
            End::Cut { at, len } if at == len => {
                let what = format!("flattened dump: ends at offset {len:#x} without an end marker");
                Some(Error::new(ErrorKind::Truncated, what))
            }
            End::Cut { at, len } => {
                let what = format!("flattened dump: ends at offset {len:#x}, within the record at offset {at:#x}");
                Some(Error::new(ErrorKind::Truncated, what))
            }
        }
    }
}

/// A walk over the records of a file.
pub(crate) struct Scan<'a> {
    input: &'a dyn ReadAt,
    len: u64,
    at: u64,
    window: Vec<u8>,
    window_at: u64,
    /// Set once there is no further record.
    pub end: Option<End>,
}

impl<'a> Scan<'a> {
    /// Checks the header.
    ///
    /// # Errors
    /// As [`header::check`]; `Truncated` if the file ends within its header.
    pub fn new(input: &'a dyn ReadAt) -> Result<Scan<'a>> {
        let len = input.len()?;
        let mut scan = Scan { input, len, at: HEADER_LEN as u64, window: Vec::new(), window_at: 0, end: None };
        header::check(scan.bytes(0, header::PREFIX_LEN)?)?;
        if len < HEADER_LEN as u64 {
            return Err(Error::truncated("flattened dump: header", HEADER_LEN as u64, len));
        }
        Ok(scan)
    }

    /// Where in the file the walk stands (bytes).
    pub fn position(&self) -> u64 {
        self.at
    }

    /// The next record; `None` at the end of the stream, of which [`end`](Scan::end) has more.
    ///
    /// # Errors
    /// `Io` if a record header cannot be read.
    pub fn next(&mut self) -> Result<Option<Data>> {
        let (at, len) = (self.at, self.len);
        if self.end.is_some() {
            return Ok(None);
        }
        let header = self.bytes(at, RECORD_LEN)?;
        if header.len() < RECORD_LEN {
            self.end = Some(End::Cut { at, len });
            return Ok(None);
        }
        let (offset, size) = match Record::decode(header, at) {
            Ok(Record::Data { offset, len }) => (offset, len),
            Ok(Record::End) => {
                self.end = Some(End::Marker);
                return Ok(None);
            }
            Err(e) => {
                self.end = Some(End::Broken(e));
                return Ok(None);
            }
        };
        let pos = at + RECORD_LEN as u64;
        let there = size.min(len - pos);
        self.at = pos + there;
        if there < size {
            self.end = Some(End::Cut { at, len });
        }
        Ok((there > 0).then_some(Data { offset, pos, len: there }))
    }

    /// `want` bytes at `at`, fewer where the file ends.
    fn bytes(&mut self, at: u64, want: usize) -> Result<&[u8]> {
        let rest = self.len.saturating_sub(at);
        let want = want.min(usize::try_from(rest).unwrap_or(usize::MAX));
        let inside = at.checked_sub(self.window_at).and_then(|from| usize::try_from(from).ok());
        let from = match inside.filter(|from| from.saturating_add(want) <= self.window.len()) {
            Some(from) => from,
            None => {
                self.window.resize(BYTES_PER_READ.min(usize::try_from(rest).unwrap_or(BYTES_PER_READ)), 0);
                self.window_at = at;
                self.input.read_exact_at(at, &mut self.window).map_err(|e| e.within("flattened dump"))?;
                0
            }
        };
        Ok(self.window.get(from..from + want).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(records: &[(u64, &[u8])], marker: bool) -> Vec<u8> {
        let mut out = header::encode();
        for &(offset, bytes) in records {
            out.extend(Record::Data { offset, len: <[u8]>::len(bytes) as u64 }.encode());
            out.extend_from_slice(bytes);
        }
        if marker {
            out.extend(Record::End.encode());
        }
        out
    }

    fn walk(file: &[u8]) -> Result<(Vec<Data>, Option<End>)> {
        let input = file.to_vec();
        let mut scan = Scan::new(&input)?;
        let mut out = Vec::new();
        while let Some(data) = scan.next()? {
            out.push(data);
        }
        assert_eq!(scan.next()?, None, "the end stays the end");
        Ok((out, scan.end))
    }

    fn is_marker(end: Option<End>) -> bool {
        matches!(end, Some(End::Marker))
    }

    #[test]
    fn records_up_to_the_marker() {
        let long = vec![9; 10_000];
        let mut bytes = file(&[(5, b"abc"), (0, &long), (1 << 40, b"z")], true);
        bytes.extend(b"what follows is not read");
        let (data, end) = walk(&bytes).unwrap();
        let want = [
            Data { offset: 5, pos: 4112, len: 3 },
            Data { offset: 0, pos: 4131, len: 10_000 },
            Data { offset: 1 << 40, pos: 14_147, len: 1 },
        ];
        assert_eq!(data, want);
        assert!(is_marker(end));
    }

    #[test]
    fn cut_files_tell_where() {
        let whole = file(&[(0, b"abcd")], true);
        for (cut, records, at) in
            [(4096, 0, 4096), (4111, 0, 4096), (4112, 0, 4096), (4113, 1, 4096), (4116, 1, 4116), (4131, 1, 4116)]
        {
            let (data, end) = walk(&whole[..cut]).unwrap();
            assert_eq!(data.len(), records, "{cut}");
            assert!(matches!(end, Some(End::Cut { at: from, len }) if (from, len) == (at, cut as u64)), "{cut}");
            let damage = end.and_then(|end| end.damage()).unwrap();
            assert_eq!(damage.kind(), ErrorKind::Truncated);
            assert!(damage.to_string().contains(&format!("offset {cut:#x}")), "{damage}");
        }
        for cut in [0, 12, 31, 32, 4095] {
            assert!(walk(&whole[..cut]).is_err(), "{cut}");
        }
    }
}
