//! A walk over a stream from its start to its end.

use dump_core::{Error, ReadAt, Result};

/// Bytes read at a time.
const BYTES_PER_READ: u64 = 64 << 10;

/// A place in a stream.
pub(crate) struct Cursor<'a> {
    input: &'a dyn ReadAt,
    len: u64,
    at: u64,
    /// Bytes of the stream from `start` on.
    buffer: Vec<u8>,
    start: u64,
}

impl<'a> Cursor<'a> {
    /// At byte `at` of `input`.
    ///
    /// # Errors
    /// As [`ReadAt::len`].
    pub fn new(input: &'a dyn ReadAt, at: u64) -> Result<Cursor<'a>> {
        Ok(Cursor { input, len: input.len()?, at, buffer: Vec::new(), start: 0 })
    }

    /// Where it is (bytes).
    pub fn at(&self) -> u64 {
        self.at
    }

    /// How long the file is.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Goes to byte `at`, which may lie past the end.
    pub fn go(&mut self, at: u64) {
        self.at = at;
    }

    /// Passes over `len` bytes, which need not be there.
    pub fn skip(&mut self, len: u64) {
        self.at = self.at.saturating_add(len);
    }

    /// The next `len` bytes, which are not passed; no more than [`BYTES_PER_READ`].
    pub fn peek(&mut self, len: usize) -> Result<&[u8]> {
        let end = self.at.saturating_add(len as u64);
        let held = self.start..self.start + self.buffer.len() as u64;
        if self.at < held.start || end > held.end {
            if end > self.len {
                return Err(Error::truncated("the stream", end, self.len));
            }
            let now = BYTES_PER_READ.max(len as u64).min(self.len - self.at);
            self.buffer.resize(usize::try_from(now).unwrap_or(len), 0);
            self.start = self.at;
            if let Err(e) = self.input.read_exact_at(self.at, &mut self.buffer) {
                self.buffer.clear();
                return Err(e);
            }
        }
        let from = (self.at - self.start) as usize;
        self.buffer.get(from..from + len).ok_or_else(|| Error::bug("a window of the stream is too short"))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.peek(N)?);
        self.skip(N as u64);
        Ok(out)
    }

    pub fn u8(&mut self) -> Result<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub fn u16(&mut self) -> Result<u16> {
        self.take().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32> {
        self.take().map(u32::from_be_bytes)
    }

    pub fn u64(&mut self) -> Result<u64> {
        self.take().map(u64::from_be_bytes)
    }

    /// A name of as many bytes as the next byte says.
    pub fn name(&mut self) -> Result<String> {
        let len = usize::from(self.u8()?);
        self.text(len)
    }

    /// A text of `len` bytes.
    pub fn text(&mut self, len: usize) -> Result<String> {
        let text = String::from_utf8_lossy(self.peek(len)?).into_owned();
        self.skip(len as u64);
        Ok(text)
    }

    /// Goes to the next place with the bytes of `mark` for which `fits` holds of what follows; the mark is passed. False
    /// at the end of the stream.
    pub fn find(&mut self, mark: &[u8], behind: usize, fits: &dyn Fn(&[u8]) -> bool) -> Result<bool> {
        let most = BYTES_PER_READ as usize;
        loop {
            let left = usize::try_from(self.len.saturating_sub(self.at)).unwrap_or(most).min(most);
            if left < mark.len() + 1 {
                return Ok(false);
            }
            let last = self.at + left as u64 == self.len;
            let window = self.peek(left)?;
            let places = window.windows(mark.len()).enumerate().filter(|(_, bytes)| *bytes == mark);
            let whole = |at: usize| last || at + mark.len() + behind <= window.len();
            let rest = |at: usize| window.get(at + mark.len()..).unwrap_or_default();
            let found = places.map(|(at, _)| at).find(|at| whole(*at) && fits(rest(*at)));
            match found {
                Some(at) => {
                    self.skip((at + mark.len()) as u64);
                    return Ok(true);
                }
                None if last => return Ok(false),
                None => self.skip((left - mark.len() - behind) as u64),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_wherever_windows_end() {
        for at in [0, 5, 65_520, 65_530, 65_533, 65_536, 131_060] {
            let mut bytes = vec![1u8; 140_000];
            bytes[at..at + 5].copy_from_slice(b"~abcd");
            bytes[at + 5] = 3;
            let mut cursor = Cursor::new(&bytes, 0).unwrap();
            assert!(cursor.find(b"~abcd", 16, &|rest| rest[0] == 3).unwrap(), "{at}");
            assert_eq!(cursor.at(), at as u64 + 5);
            let mut cursor = Cursor::new(&bytes, 0).unwrap();
            assert!(!cursor.find(b"~abcd", 16, &|rest| rest[0] == 4).unwrap());
        }
    }

    #[test]
    fn numbers_names_and_the_end() {
        let bytes = b"\x01\0\x02\0\0\0\x03\0\0\0\0\0\0\0\x04\x02ab".to_vec();
        let mut cursor = Cursor::new(&bytes, 0).unwrap();
        let numbers = (cursor.u8().unwrap(), cursor.u16().unwrap(), cursor.u32().unwrap(), cursor.u64().unwrap());
        assert_eq!((numbers, cursor.name().unwrap().as_str()), ((1, 2, 3, 4), "ab"));
        assert!(cursor.u8().is_err());
    }
}
