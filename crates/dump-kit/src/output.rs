//! An output in memory.

use dump_core::{Error, ErrorKind, Result, WriteAt};
use std::sync::{Mutex, MutexGuard};

/// A file, or a device of some size, that is a `Vec`.
pub struct MemoryOutput {
    bytes: Mutex<Vec<u8>>,
    /// Where there is no more room (bytes).
    room: u64,
}

impl MemoryOutput {
    /// An output that holds `bytes`, as a device that was used before does; a new file holds none.
    pub fn holding(bytes: Vec<u8>) -> MemoryOutput {
        MemoryOutput { bytes: Mutex::new(bytes), room: u64::MAX }
    }

    /// A new file that is full at byte `room`: what is written there fails, after the bytes before it landed.
    pub fn full_at(room: u64) -> MemoryOutput {
        MemoryOutput { bytes: Mutex::default(), room }
    }

    /// All that it holds.
    pub fn bytes(&self) -> Vec<u8> {
        self.held().clone()
    }

    /// How long it is (bytes).
    pub fn len(&self) -> usize {
        self.held().len()
    }

    /// Whether nothing was written to it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn held(&self) -> MutexGuard<'_, Vec<u8>> {
        self.bytes.lock().unwrap()
    }

    fn put(&self, offset: u64, len: u64, fill: impl FnOnce(&mut [u8])) -> Result<()> {
        let there = offset.saturating_add(len).min(self.room).saturating_sub(offset);
        let (from, to) = (offset as usize, (offset + there) as usize);
        let mut held = self.held();
        if there > 0 && held.len() < to {
            held.resize(to, 0);
        }
        fill(held.get_mut(from..to).unwrap_or_default());
        if there < len { Err(Error::new(ErrorKind::NoSpace, "full")) } else { Ok(()) }
    }
}

impl Default for MemoryOutput {
    fn default() -> MemoryOutput {
        MemoryOutput::holding(Vec::new())
    }
}

impl WriteAt for MemoryOutput {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.put(offset, bytes.len() as u64, |to| to.copy_from_slice(&bytes[..to.len()]))
    }

    fn zeros(&self, offset: u64, len: u64) -> Result<()> {
        self.put(offset, len, |to| to.fill(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_lands() {
        let output = MemoryOutput::full_at(6);
        output.write_at(1, b"abc").unwrap();
        output.zeros(2, 1).unwrap();
        assert_eq!(output.write_at(4, b"defg").unwrap_err().kind(), ErrorKind::NoSpace);
        assert_eq!(output.bytes(), b"\0a\0cde");
        assert_eq!(output.zeros(6, 1).unwrap_err().kind(), ErrorKind::NoSpace);
        assert_eq!(output.len(), 6);
        output.zeros(0, 6).unwrap();
        assert!(output.bytes() == [0; 6]);
        let used = MemoryOutput::holding(vec![7; 4]);
        used.write_at(1, b"a").unwrap();
        assert_eq!(used.bytes(), [7, b'a', 7, 7]);
    }
}
