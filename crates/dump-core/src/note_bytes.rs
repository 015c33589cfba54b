//! Notes as they lie in a file: what is looked into is read, the rest stays where it is.

use crate::bytes::ReadAt;
use crate::error::{Error, Result};
use crate::machine::{ByteOrder, WordSize};
use crate::notes::note_len;
use crate::wire::FieldsMut;
use crate::zero::is_zero;
use std::ops::Range;

/// More bytes of notes than any dump has; device dumps (NT_VMCOREDD) take tens of MiB.
const MAX_NOTES: u64 = 256 << 20;

/// The longest note that is read whole (bytes): registers take some KiB, and a text of VMCOREINFO that has more than 1 MiB
/// is not believed.
const MAX_READ: u64 = (1 << 20) + (64 << 10);

/// Up to how many bytes of notes more are read (bytes), by their owner. The kernel's text is wanted whatever comes before
/// it, devices' dumps, say; registers of a CPU take less than 4 KiB.
const MAX_ALL_READ: [(u64, &[&[u8]]); 2] = [
    (20 << 20, &[VMCOREINFO]),
    (
        16 << 20,
        &[b"CORE", b"QEMU", b"Xen", b"VMCOREINFO_XEN", b"ERASEINFO", b"VBCORE", b"VBCPU", b"QNX", b"SNAP", b"GDUMP"],
    ),
];

const VMCOREINFO: &[u8] = b"VMCOREINFO";

/// The same for all other owners.
const MAX_OTHERS_READ: u64 = 8 << 20;

/// How many notes are read of all owners but the kernel's text, and with that: 8192 CPUs with 16 each, more than any
/// machine has. Without a bound, empty ones would be a million.
const MAX_COUNT: u64 = 1 << 17;
const MAX_ALL_COUNT: u64 = 2 * MAX_COUNT;

/// Bytes of a note's header.
const HEADER: usize = 12;

/// Bytes of a note's header and of the longest of those names.
const START: u64 = HEADER as u64 + 16;

/// Bytes that disks and damage count by, at least.
const SECTOR: usize = 512;

/// Notes of a file.
#[derive(Debug, Default)]
pub struct NoteBytes {
    /// Those that were read, one place behind the other, with what follows the last note of each.
    pub bytes: Vec<u8>,
    /// Which of them are the last place's.
    pub last: Range<usize>,
    /// Which of them follow the last note of the last place, and are none.
    pub rest: Range<usize>,
    /// Where those lie that were not: offset and length (bytes), as [`LargeNotes`](crate::LargeNotes) has them.
    pub large: Vec<(u64, u64)>,
    /// What was left out, and why.
    pub fault: Option<Error>,
    /// How many were read.
    count: u64,
}

impl NoteBytes {
    /// Reads the streams of notes at `places` (offset and length), as far as the file of `len` bytes has them. No more is
    /// taken than the file is long: places that lie over one another are no reason to have a file many times.
    ///
    /// # Errors
    /// `Io`.
    pub fn read(input: &dyn ReadAt, places: &[(u64, u64)], len: u64, order: ByteOrder) -> Result<NoteBytes> {
        let mut notes = NoteBytes::default();
        let mut room = len.min(MAX_NOTES);
        for (i, (offset, size)) in places.iter().enumerate() {
            let size = (*size).min(len.saturating_sub(*offset));
            if size > room {
                let text = format!(
                    "notes at offset {offset:#x}, of {size:#x} bytes: all notes are more than the file can hold or \
                     {MAX_NOTES:#x} bytes; these and those of {} places after them are left out",
                    places.len() - i - 1
                );
                notes.fault = Some(Error::corrupt(text));
                break;
            }
            room -= size;
            let from = notes.bytes.len().next_multiple_of(4);
            notes.bytes.resize(from, 0);
            notes.read_one(input, *offset, size, order).map_err(|e| e.within("notes"))?;
            notes.last = from..notes.bytes.len();
        }
        Ok(notes)
    }

    /// What of the last place was not written, if that shows: no note begins with zeros, and no writer leaves as many at
    /// the end as a sector has.
    pub fn unwritten(&self) -> Option<String> {
        let rest = self.bytes.get(self.rest.clone()).filter(|rest| rest.get(..HEADER).is_some_and(is_zero))?;
        let zeros = rest.iter().take_while(|byte| **byte == 0).count();
        match rest.len() {
            len if len != zeros => {
                Some(format!("the last {len:#x} bytes begin with {zeros:#x} zeros, as no note does"))
            }
            len if len >= SECTOR => Some(format!("the last {len:#x} bytes are all zeros")),
            _ => None,
        }
    }

    /// Reads a stream by windows, each of which begins with a note.
    fn read_one(&mut self, input: &dyn ReadAt, offset: u64, size: u64, order: ByteOrder) -> Result<()> {
        let (mut reader, mut at) = (input.reader(), 0);
        while at < size {
            let window = reader.view(offset + at, MAX_READ.min(size - at) as usize)?;
            let (mut done, ends) = (0, window.len() as u64 == size - at);
            let rest = loop {
                let rest = window.get(done as usize..).unwrap_or_default();
                if !ends && (rest.len() as u64) < START {
                    break None; // what it is shows in the next window
                }
                let note = note_len(rest, order).filter(|(_, bare)| *bare <= size - at - done);
                let Some((padded, _)) = note else { break Some(rest) };
                let len = padded.min(size - at - done);
                if len > MAX_READ && owner(rest) == VMCOREINFO {
                    let Some(start) = rest.get(..MAX_READ as usize) else { break None };
                    self.shorten(start, order);
                } else if len > MAX_READ || !self.has_room(rest, len) {
                    self.leave(offset + at + done, len);
                } else if let Some(note) = rest.get(..len as usize) {
                    self.bytes.extend_from_slice(note);
                    self.count += 1;
                } else {
                    break None;
                }
                done += len;
            };
            if let Some(rest) = rest {
                // zeros, or what is no note: as much of it as anybody looks at
                let from = self.bytes.len();
                self.bytes.extend_from_slice(rest);
                self.rest = from..self.bytes.len();
                return Ok(());
            }
            at += done;
        }
        Ok(())
    }

    /// Takes the start of a note that is too long to be a kernel's text, which is enough to see that. It is not copied
    /// whole: a reader may take it for the text.
    fn shorten(&mut self, start: &[u8], order: ByteOrder) {
        if self.bytes.len() as u64 + MAX_READ > most(start) {
            self.fault = Some(Error::corrupt("notes VMCOREINFO of more than 16 MiB, some are left out"));
            return;
        }
        let from = self.bytes.len();
        self.bytes.extend_from_slice(start);
        let name = (VMCOREINFO.len() + 1).next_multiple_of(4);
        let mut size = FieldsMut::new(order, WordSize::Bits32);
        size.u32((start.len() - HEADER - name) as u32); // MAX_READ at most
        self.bytes.splice(from + 4..from + 8, size.into_bytes());
    }

    /// Whether a note of `len` bytes that begins `bytes` is read.
    fn has_room(&self, bytes: &[u8], len: u64) -> bool {
        let count = if owner(bytes) == VMCOREINFO { MAX_ALL_COUNT } else { MAX_COUNT };
        self.bytes.len() as u64 + len <= most(bytes) && self.count < count
    }

    fn leave(&mut self, offset: u64, len: u64) {
        match self.large.last_mut() {
            Some((at, before)) if *at + *before == offset && *before % 4 == 0 => *before += len,
            _ => self.large.push((offset, len)),
        }
    }
}

/// Up to how many bytes of notes one is read that begins `bytes`.
fn most(bytes: &[u8]) -> u64 {
    let known = MAX_ALL_READ.iter().find(|(_, owners)| owners.contains(&owner(bytes)));
    known.map_or(MAX_OTHERS_READ, |(most, _)| *most)
}

/// Whose the note is that begins `bytes`.
fn owner(bytes: &[u8]) -> &[u8] {
    bytes.get(HEADER..).unwrap_or_default().split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VMC: &str = "VMCOREINFO";

    /// Notes, one after the other.
    #[derive(Default)]
    struct Stream(Vec<u8>);

    impl Stream {
        fn note(mut self, name: &str, kind: u32, desc: &[u8]) -> Stream {
            for n in [name.len() as u32 + 1, desc.len() as u32, kind] {
                self.0.extend(n.to_le_bytes());
            }
            for part in [&[name.as_bytes(), &[0]].concat(), desc] {
                self.0.extend(part);
                self.0.resize(self.0.len().next_multiple_of(4), 0);
            }
            self
        }

        fn small(self) -> Vec<u8> {
            self.note("CORE", 1, &[7; 336]).note(VMC, 0, b"OSRELEASE=6.1\n").0
        }
    }

    fn read(file: &[u8], places: &[(u64, u64)]) -> NoteBytes {
        NoteBytes::read(&file.to_vec(), places, file.len() as u64, ByteOrder::Little).unwrap()
    }

    #[test]
    fn small_streams_are_read_byte_for_byte() {
        let notes = Stream::default().small();
        let (zeros, noise) = ([&notes[..], &[0; 400]].concat(), [&notes[..], &[0xff; 40]].concat());
        for stream in [&notes[..], &zeros, &noise, &notes[..notes.len() - 1], &notes[..notes.len() - 30], &[1, 2, 3]] {
            let found = read(stream, &[(0, stream.len() as u64)]);
            assert!(found.bytes == stream && found.large.is_empty() && found.last == (0..stream.len()));
        }
    }

    #[test]
    fn zeros_instead_of_notes() {
        let notes = Stream::default().small();
        let unwritten = |stream: &[u8]| read(stream, &[(0, stream.len() as u64)]).unwritten();
        let with = |zeros: usize, rest: &[u8]| [&notes[..], &vec![0; zeros], rest].concat();
        for sound in [with(0, &[]), with(12, &[]), with(400, &[]), with(0, &[0xff; 40])] {
            assert_eq!(unwritten(&sound), None);
        }
        assert_eq!(unwritten(&with(600, &[])).unwrap(), "the last 0x258 bytes are all zeros");
        assert!(unwritten(&with(100, &notes)).unwrap().contains("begin with 0x64 zeros"));
    }

    #[test]
    fn notes_without_number_stay_where_they_are() {
        let new = Stream::default;
        let small = new().small();
        for owner in ["CORE", "LINUX", VMC] {
            let many = new().note(owner, 9, &[]).0.repeat(700_000);
            let file = [&many[..], &small].concat();
            let found = read(&file, &[(0, file.len() as u64)]);
            let notes = crate::Notes::new(found.bytes.clone(), ByteOrder::Little);
            let count = notes.iter().count() as u64;
            assert!((MAX_COUNT..=MAX_ALL_COUNT).contains(&count), "{owner}: {count}");
            let left: u64 = found.large.iter().map(|(_, len)| len).sum();
            assert_eq!(found.bytes.len() as u64 + left, file.len() as u64, "{owner}");
            assert!(found.large.len() <= 2 && (owner == VMC || notes.vmcoreinfo().is_some()), "{owner}");
        }
    }

    #[test]
    fn large_notes_stay_where_they_are() {
        let new = Stream::default;
        let small = new().small();
        let big = new().note("LINUX", 0x700, &vec![5; 3 << 20]).0;
        let many: Vec<u8> = (0..40).flat_map(|n| new().note("X", n, &vec![6; 1 << 19]).0).collect();
        let file = [&big[..], &small, &big, &big, &many, &small].concat();
        let found = read(&file, &[(0, file.len() as u64)]);
        let len = big.len() as u64;
        assert_eq!(found.large[..2], [(0, len), (len + small.len() as u64, 2 * len)]);
        assert!(found.bytes.starts_with(&small) && found.bytes.ends_with(&small));
        assert!(found.bytes.len() as u64 <= MAX_OTHERS_READ + MAX_READ);
        let left: u64 = found.large.iter().map(|(_, len)| len).sum();
        assert_eq!(found.bytes.len() as u64 + left, file.len() as u64);
        // no text of a kernel's, however long it says it is
        let text = b"OSRELEASE=6.1\n";
        let long = new().note(VMC, 0, &b"A=1\n".repeat(1 << 20)).note(VMC, 0, text).0;
        let found = read(&long, &[(0, long.len() as u64)]);
        let notes = crate::Notes::new(found.bytes, ByteOrder::Little);
        assert_eq!((notes.iter().count(), notes.vmcoreinfo()), (2, Some(&text[..])));
        // zeros without end, and a note without its padding
        let endless = [&small[..], &vec![0; 9 << 20]].concat();
        assert!(read(&endless, &[(0, endless.len() as u64)]).bytes.len() < 2 << 20);
        assert_eq!(read(&big[..big.len() - 8], &[(0, len)]).large, []);
    }
}
