//! The flag of an incomplete dump.

use crate::check;
use crate::formats::{FORMATS, probe};
use crate::salvage::{self, SharedBytes};
use dump_core::{Error, OpenOptions, PROBE_BYTES, Patch, ReadAt, Result, Stretch, WriteAt};

/// What is kept of a dump's beginning (bytes): the headers that have the flag, of any format.
const HEADERS: usize = 4096;

/// Flags the dump that `input` begins with as incomplete, by writing to `output`, the same file, which is made long
/// enough for what the header refers to.
///
/// # Errors
/// If too little arrived to be flagged, the format has no such flag, or it cannot be written.
pub fn flag_incomplete(input: &dyn ReadAt, output: &dyn WriteAt) -> Result<()> {
    let len = usize::try_from(input.len()?).unwrap_or(PROBE_BYTES).min(PROBE_BYTES);
    let mut prefix = vec![0; len];
    input.read_exact_at(0, &mut prefix)?;
    let patch = patch_of(&prefix, input)?;
    if patch.min_len > input.len()? {
        output.zeros(0, patch.min_len)?;
    }
    output.write_at(patch.offset, &patch.bytes)
}

fn patch_of(prefix: &[u8], input: &dyn ReadAt) -> Result<Patch> {
    let format = FORMATS.iter().find(|format| (format.probe)(prefix, &OpenOptions::default()));
    let flag = format.and_then(|format| format.incomplete_flag);
    flag.ok_or_else(|| Error::unsupported("no dump of a format with an incomplete flag"))?(input)
}

/// The flag of a dump that is copied byte by byte: set in what is written until all of it is there.
pub struct EarlyFlag {
    /// What the dump begins with.
    beginning: Vec<u8>,
    offset: u64,
    /// The flag's field as the dump has it.
    plain: Vec<u8>,
    /// The bits of it that say "incomplete".
    bits: Vec<u8>,
    /// Where what headers refer to begins; 0 where a format has no such place.
    dense_from: u64,
}

impl EarlyFlag {
    /// Of the dump that begins with `beginning`, if that is enough to find the flag.
    pub fn of(beginning: &[u8]) -> Option<EarlyFlag> {
        let patch = patch_of(beginning, &beginning).ok()?;
        let plain = beginning.get(usize::try_from(patch.offset).ok()?..)?.get(..patch.bytes.len())?.to_vec();
        let bits = plain.iter().zip(&patch.bytes).map(|(plain, set)| plain ^ set).collect();
        let beginning = beginning.get(..HEADERS).unwrap_or(beginning).to_vec();
        Some(EarlyFlag { beginning, offset: patch.offset, plain, bits, dense_from: patch.min_len })
    }

    /// `bytes`, which go to `offset`, with the flag set where they hold it; `None` where they do not.
    pub fn set_in(&mut self, offset: u64, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut flagged = None;
        for (i, (plain, bit)) in self.plain.iter_mut().zip(&self.bits).enumerate() {
            let at = (self.offset + i as u64).checked_sub(offset).and_then(|at| usize::try_from(at).ok());
            let Some((at, byte)) = at.and_then(|at| bytes.get(at).map(|byte| (at, *byte))) else { continue };
            *plain = byte;
            flagged.get_or_insert_with(|| bytes.to_vec())[at] = byte | bit;
        }
        flagged
    }

    /// From where on (bytes) whoever writes such a dump writes everything: the page descriptors and pages of a kdump
    /// file. `None` where zeros may be left unwritten anywhere.
    pub fn dense_from(&self) -> Option<u64> {
        (self.dense_from != 0).then_some(self.dense_from)
    }

    /// Whether the dump itself says that it is incomplete, by what came of it so far.
    pub fn is_set(&self) -> bool {
        let mut beginning = self.beginning.clone();
        for (i, plain) in self.plain.iter().enumerate() {
            let at = usize::try_from(self.offset).ok().and_then(|offset| beginning.get_mut(offset + i));
            at.into_iter().for_each(|byte| *byte = *plain);
        }
        patch_of(&beginning, &beginning.as_slice()).is_ok_and(|patch| patch.bytes == self.plain)
    }

    /// What is wrong with the dump in `file`, where the flag is set for now, besides its pages: see [`Dump::check`](crate::Dump::check).
    pub fn troubles(&self, file: impl ReadAt + 'static) -> Vec<String> {
        let Some(format) = probe(&self.beginning, &OpenOptions::default()) else { return Vec::new() };
        let plain = Unflagged { file, offset: self.offset, plain: self.plain.clone() };
        match (format.open)(Box::new(plain), &OpenOptions::default()) {
            Ok(container) => check::index_troubles(container.as_ref()),
            Err(e) => vec![e.to_string()],
        }
    }

    /// Makes the flag what it is in the dump.
    ///
    /// # Errors
    /// What `output` returns.
    pub fn clear(&self, output: &dyn WriteAt) -> Result<()> {
        output.write_at(self.offset, &self.plain)
    }
}

/// A dump with its flag as it is meant.
struct Unflagged<R> {
    file: R,
    offset: u64,
    plain: Vec<u8>,
}

impl<R: ReadAt> ReadAt for Unflagged<R> {
    fn len(&self) -> Result<u64> {
        self.file.len()
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.file.read_exact_at(offset, buf)?;
        for (at, plain) in (self.offset..).zip(&self.plain) {
            let at = at.checked_sub(offset).and_then(|at| usize::try_from(at).ok());
            at.and_then(|at| buf.get_mut(at)).into_iter().for_each(|byte| *byte = *plain);
        }
        Ok(())
    }

    fn stretch_at(&self, offset: u64) -> Stretch {
        self.file.stretch_at(offset)
    }
}

/// Whether `file`, which begins with nothing that is known, is what is left of a dump that lost its first header.
pub fn lacks_header(file: impl ReadAt + 'static) -> bool {
    let files = [(String::new(), SharedBytes::new(Box::new(file)))];
    salvage::open(&files, None).is_some_and(|opened| opened.is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_set_in_whatever_pieces_it_comes() {
        let mut header = vec![0; 64];
        header[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        header[16] = 4; // ET_CORE
        header[18] = 62; // x86_64
        header[48] = 6; // flags of its own
        let mut flag = EarlyFlag::of(&header).unwrap();
        assert_eq!(flag.set_in(0, &header).unwrap()[48], 7);
        assert!(!flag.is_set());
        assert_eq!(flag.set_in(48, &[3]).unwrap(), [3]);
        assert!(flag.is_set());
        assert_eq!(flag.set_in(48, &[2]).unwrap(), [3]);
        assert!(!flag.is_set());
        assert_eq!(flag.set_in(47, &[8]), None);
        assert_eq!(flag.set_in(52, &[8]), None);
        let output = dump_kit::MemoryOutput::default();
        flag.clear(&output).unwrap();
        assert_eq!(output.bytes()[48..], [2, 0, 0, 0]);
        assert!(EarlyFlag::of(&header[..20]).is_none() && EarlyFlag::of(b"EMiL").is_none());
    }
}
