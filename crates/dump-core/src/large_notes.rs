//! Notes that are too large to be kept in memory: dumps of devices (NT_VMCOREDD), and whatever nobody looks into.
//!
//! They stay in the file that has them, and are copied from there when a dump is written.

use crate::bytes::ReadAt;
use crate::error::Result;
use crate::machine::{ByteOrder, WordSize};
use crate::notes::note_len;
use crate::wire::Fields;
use std::fmt;
use std::sync::Arc;

/// Bytes that are copied at a time.
const COPIED_AT_ONCE: u64 = 256 << 10;

/// Whole notes that lie in a file, in the order in which they are copied.
#[derive(Clone, Default)]
pub struct LargeNotes {
    input: Option<Arc<dyn ReadAt>>,
    /// Where they lie: offset and length (bytes). A length that is no multiple of 4 is padded with zeros.
    places: Arc<[(u64, u64)]>,
}

impl LargeNotes {
    /// The notes of `input` at `places`: offset and length (bytes).
    pub fn new(input: Arc<dyn ReadAt>, places: Vec<(u64, u64)>) -> LargeNotes {
        LargeNotes { input: Some(input), places: places.into() }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How long they are as part of a stream (bytes): a multiple of 4.
    pub fn stream_len(&self) -> u64 {
        self.places.iter().map(|(_, len)| len.next_multiple_of(4)).sum()
    }

    /// Hands them over piece by piece, each with its place in their stream (bytes).
    ///
    /// # Errors
    /// If they cannot be read; those of `put`.
    pub fn copy(&self, put: &mut dyn FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
        let Some(input) = &self.input else { return Ok(()) };
        let (mut reader, mut to) = (input.reader(), 0);
        for (offset, len) in self.places.iter() {
            let mut done = 0;
            while done < *len {
                let size = COPIED_AT_ONCE.min(len - done);
                let bytes = reader.view(offset + done, size as usize).map_err(|e| e.within("notes"))?;
                put(to + done, bytes)?;
                done += size;
            }
            let padding = len.next_multiple_of(4) - len;
            if padding != 0 {
                put(to + len, &[0; 4][..padding as usize])?;
            }
            to += len + padding;
        }
        Ok(())
    }
}

/// What a note begins with.
pub(crate) struct Head {
    /// The owner's name, without its NUL.
    pub name: Vec<u8>,
    /// The type.
    pub kind: u32,
    /// Length of the descriptor (bytes).
    pub size: usize,
    /// The first bytes of the descriptor.
    pub start: Vec<u8>,
}

/// Bytes of a note that are read to know what it is: its header, and a name and a label of some 50 bytes each.
const HEAD: u64 = 128;

impl LargeNotes {
    /// What the first `most` of them begin with, whose integers are of `order`; none past what cannot be read.
    pub(crate) fn heads(&self, order: ByteOrder, most: usize) -> Vec<Head> {
        let mut heads = Vec::new();
        for (offset, len) in self.places.iter() {
            let mut at = 0;
            while at < *len && heads.len() < most {
                let mut bytes = vec![0; HEAD.min(len - at) as usize];
                let read = self.input.as_ref().map(|input| input.read_exact_at(offset + at, &mut bytes));
                let (Some(Ok(())), Some((padded, _))) = (read, note_len(&bytes, order)) else { return heads };
                heads.extend(head(&bytes, order));
                at += padded;
            }
        }
        heads
    }
}

/// What a note begins with whose name is no longer than names are.
fn head(bytes: &[u8], order: ByteOrder) -> Option<Head> {
    let mut f = Fields::new(bytes, order, WordSize::Bits32);
    let (name, size, kind) = (f.u32("n_namesz").ok()?, f.u32("n_descsz").ok()?, f.u32("n_type").ok()?);
    let name = f.bytes("note name", name as usize).ok()?;
    let start = bytes.get(f.position().next_multiple_of(4)..).unwrap_or_default();
    let name = name.strip_suffix(b"\0").unwrap_or(name);
    Some(Head { name: name.to_vec(), kind, size: size as usize, start: start.to_vec() })
}

impl fmt::Debug for LargeNotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.places.iter()).finish()
    }
}

/// Alike where they are as long as each other: what they hold is not read for it.
impl PartialEq for LargeNotes {
    fn eq(&self, other: &LargeNotes) -> bool {
        let lens = |notes: &LargeNotes| notes.places.iter().map(|(_, len)| *len).collect::<Vec<_>>();
        lens(self) == lens(other)
    }
}

impl Eq for LargeNotes {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notes::Notes;

    /// A note of LINUX, NT_VMCOREDD, that begins at a multiple of 4.
    fn device(label: &[u8], len: usize) -> Vec<u8> {
        let mut note: Vec<u8> = [6, len as u32, 0x700].iter().flat_map(|n: &u32| n.to_le_bytes()).collect();
        note.extend(b"LINUX\0\0\0");
        note.extend(label);
        note.resize(20 + len, 0);
        note
    }

    #[test]
    fn they_are_listed_and_copied_with_what_comes_of_their_stream() {
        let file = [&[0xff; 8][..], &device(b"eth0", 200), &device(b"eth1", 301), &[0xff; 8]].concat();
        let places = vec![(8, 220), (228, 321)];
        let whole = [&file[8..549], &[0; 3]].concat();
        let large = LargeNotes::new(Arc::new(file), places);
        let notes = Notes::with_large(Vec::new(), ByteOrder::Little, large);
        let notes = notes.with_vmcoreinfo(b"A=1\n").unwrap().with_erase_info(b"erase x size 1\n").unwrap();
        let mut copied = vec![0; notes.large().stream_len() as usize];
        let mut put = |at: u64, bytes: &[u8]| {
            copied[at as usize..][..bytes.len()].copy_from_slice(bytes);
            Ok(())
        };
        notes.large().copy(&mut put).unwrap();
        assert!(copied == whole);
        let described = notes.describe();
        let labels: Vec<_> = described.iter().map(|note| (note.size, note.label.as_deref())).collect();
        assert_eq!(labels, [(200, Some("eth0")), (301, Some("eth1")), (4, None), (15, None)]);
        assert!(notes.in_order(ByteOrder::Big).large().is_empty());
    }
}
