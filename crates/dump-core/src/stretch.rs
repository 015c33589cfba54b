//! Data and holes of sparse files.

use crate::addr::PageSize;
use std::fs::File;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{SeekFrom, seek};

/// What lies at an offset of a file, and for how many bytes from there on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stretch {
    /// Bytes that must be read to be known.
    Data(u64),
    /// Nothing is stored: reads as zeros.
    Hole(u64),
}

impl Stretch {
    /// Of up to `pages` pages that begin here: how many at the front are alike, at least one of any, and whether they
    /// lie whole in a hole.
    pub fn pages(self, size: PageSize, pages: u64) -> (u64, bool) {
        match self {
            Stretch::Hole(bytes) if bytes >> size.shift() > 0 => (pages.min(bytes >> size.shift()), true),
            Stretch::Hole(_) => (pages.min(1), false), // ends within the page
            Stretch::Data(bytes) => (pages.min(size.pages_for(bytes).max(1)), false),
        }
    }
}

/// Stretches remembered. File systems may walk a file page by page to answer (tmpfs does), so that each answer must
/// serve many questions; workers ask about a few neighbourhoods at a time.
const REMEMBERED: usize = 16;

/// The stretches of a sparse file, asked of its file system as they are needed.
pub(crate) struct Stretches {
    len: u64,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    list: Vec<(std::ops::Range<u64>, bool)>,
    oldest: usize,
}

impl Stretches {
    /// Of a file of `len` bytes.
    pub(crate) fn new(len: u64) -> Stretches {
        Stretches { len, known: Mutex::default() }
    }

    /// What lies at `offset`.
    pub(crate) fn at(&self, file: &File, offset: u64) -> Stretch {
        if offset >= self.len {
            return Stretch::Data(u64::MAX - offset); // whoever reads there learns that it ends
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.list.iter().find(|(range, _)| range.contains(&offset)).cloned();
        let (range, hole) = found.unwrap_or_else(|| {
            let asked = ask(file, offset, self.len);
            known.remember(asked.clone());
            asked
        });
        if hole { Stretch::Hole(range.end - offset) } else { Stretch::Data(range.end - offset) }
    }
}

impl Known {
    fn remember(&mut self, stretch: (std::ops::Range<u64>, bool)) {
        if self.list.len() < REMEMBERED {
            return self.list.push(stretch);
        }
        if let Some(slot) = self.list.get_mut(self.oldest) {
            *slot = stretch;
        }
        self.oldest = (self.oldest + 1) % REMEMBERED;
    }
}

/// Asks the file system (SEEK_DATA, SEEK_HOLE). One that does not know says that all is data.
fn ask(file: &File, offset: u64, len: u64) -> (std::ops::Range<u64>, bool) {
    let end = |result: Result<u64, rustix::io::Errno>, none: u64| result.unwrap_or(none).clamp(offset + 1, len);
    match seek(file, SeekFrom::Data(offset)) {
        Ok(data) if data > offset => (offset..end(Ok(data), len), true),
        Ok(_) => (offset..end(seek(file, SeekFrom::Hole(offset)), len), false),
        Err(rustix::io::Errno::NXIO) => (offset..len, true), // no data up to the end
        Err(_) => (offset..len, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn pages_of_a_stretch() {
        for (stretch, pages, want) in [
            (Stretch::Hole(3 * 4096 + 1), 9, (3, true)),
            (Stretch::Hole(3 * 4096), 2, (2, true)),
            (Stretch::Hole(4095), 9, (1, false)),
            (Stretch::Data(1), 9, (1, false)),
            (Stretch::Data(4097), 9, (2, false)),
            (Stretch::Data(u64::MAX), 9, (9, false)),
        ] {
            assert_eq!(stretch.pages(PageSize::K4, pages), want, "{stretch:?}");
        }
    }

    /// Whatever the file system says, what it calls a hole must read as zeros and stretches must cover the file.
    #[test]
    fn stretches_cover_a_file_and_holes_are_zeros() {
        let file = tempfile::tempfile().unwrap();
        let len = 64 << 20;
        file.set_len(len).unwrap();
        for at in [5 << 20, 6 << 20, 40 << 20] {
            file.write_all_at(&[7; 300_000], at).unwrap();
        }
        let stretches = Stretches::new(len);
        for step in [len, 100_000] {
            let mut at = 0;
            while at < len {
                let bytes = match stretches.at(&file, at) {
                    Stretch::Data(bytes) => bytes,
                    Stretch::Hole(bytes) => {
                        let mut read = vec![1; bytes as usize];
                        file.read_exact_at(&mut read, at).unwrap();
                        assert!(crate::is_zero(&read), "{at}");
                        bytes
                    }
                };
                assert!(bytes > 0 && at + bytes <= len);
                at += bytes.min(step);
            }
        }
        assert_eq!(stretches.at(&file, len), Stretch::Data(u64::MAX - len));
    }
}
