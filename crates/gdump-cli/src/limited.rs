//! Outputs that may not become longer than somebody wants (`-L`).

use dump::{Error, ErrorKind, Result, WriteAt};

/// An output of a limited length: what does not fit is a full disk.
pub struct Limited<'a> {
    inner: &'a dyn WriteAt,
    /// Bytes.
    limit: u64,
}

impl<'a> Limited<'a> {
    /// `inner` with `limit` bytes at most.
    pub fn new(inner: &'a dyn WriteAt, limit: u64) -> Limited<'a> {
        Limited { inner, limit }
    }

    /// How much of `len` bytes at `offset` fits.
    fn room(&self, offset: u64, len: u64) -> u64 {
        self.limit.saturating_sub(offset).min(len)
    }

    fn reached(&self) -> Error {
        Error::new(ErrorKind::NoSpace, reached(self.limit))
    }
}

/// What makedumpfile says where a limit is reached.
pub fn reached(limit: u64) -> String {
    format!("Size limit({limit}) reached.")
}

impl WriteAt for Limited<'_> {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let room = self.room(offset, bytes.len() as u64) as usize; // not more than there are
        let (fits, rest) = bytes.split_at(room);
        if !fits.is_empty() || rest.is_empty() {
            self.inner.write_at(offset, fits)?;
        }
        if rest.is_empty() { Ok(()) } else { Err(self.reached()) }
    }

    fn zeros(&self, offset: u64, len: u64) -> Result<()> {
        let room = self.room(offset, len);
        self.inner.zeros(offset, room)?;
        if room == len { Ok(()) } else { Err(self.reached()) }
    }

    fn can_rewrite(&self) -> bool {
        self.inner.can_rewrite()
    }

    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Bytes(Mutex<Vec<u8>>);

    impl WriteAt for Bytes {
        fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
            let mut all = self.0.lock().unwrap();
            let (from, end) = (offset as usize, offset as usize + bytes.len());
            let len = all.len().max(end);
            all.resize(len, 0);
            all[from..end].copy_from_slice(bytes);
            Ok(())
        }

        fn zeros(&self, offset: u64, len: u64) -> Result<()> {
            self.write_at(offset, &vec![0; len as usize])
        }
    }

    #[test]
    fn what_fits_is_written_and_the_rest_is_a_full_disk() {
        let bytes = Bytes::default();
        let limited = Limited::new(&bytes, 10);
        limited.write_at(0, b"01234567").unwrap();
        let e = limited.write_at(8, b"8901").unwrap_err();
        assert_eq!((e.kind(), e.to_string().as_str()), (ErrorKind::NoSpace, "Size limit(10) reached."));
        assert_eq!(*bytes.0.lock().unwrap(), b"0123456789");
        assert!(limited.write_at(u64::MAX, b"x").is_err() && limited.zeros(9, 2).is_err());
        limited.write_at(2, b"--").unwrap(); // a flag is still set
        assert_eq!(*bytes.0.lock().unwrap(), b"01--45678\0");
    }
}
