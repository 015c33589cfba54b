//! The bytes of all PT_NOTEs.

use dump_core::{Error, ReadAt, Result};
use std::ops::Range;

/// More bytes of notes than any dump has; device dumps (NT_VMCOREDD) take tens of MiB.
const MAX_NOTES: u64 = 256 << 20;

/// Notes of a core.
#[derive(Default)]
pub(crate) struct NoteBytes {
    /// All of them, one PT_NOTE behind the other.
    pub bytes: Vec<u8>,
    /// Which of them are the last PT_NOTE's.
    pub last: Range<usize>,
    /// What was left out, and why.
    pub fault: Option<Error>,
}

impl NoteBytes {
    /// Reads the PT_NOTEs at `places` (offset and length), as far as the file of `len` bytes has them. No more is read
    /// than the file is long: PT_NOTEs that lie over one another are no reason to hold a file many times.
    ///
    /// # Errors
    /// `Io`.
    pub fn read(input: &dyn ReadAt, places: &[(u64, u64)], len: u64) -> Result<NoteBytes> {
        let mut notes = NoteBytes::default();
        let mut room = len.min(MAX_NOTES);
        for (i, (offset, size)) in places.iter().enumerate() {
            let size = (*size).min(len.saturating_sub(*offset));
            if size > room {
                let text = format!(
                    "PT_NOTE at offset {offset:#x}, of {size:#x} bytes: all notes are more than the file can hold or \
                     {MAX_NOTES:#x} bytes; it and {} PT_NOTEs after it are left out",
                    places.len() - i - 1
                );
                notes.fault = Some(Error::corrupt(text));
                break;
            }
            room -= size;
            let from = notes.bytes.len().next_multiple_of(4);
            notes.bytes.resize(from + size as usize, 0);
            let to = notes.bytes.get_mut(from..).unwrap_or_default();
            input.read_exact_at(*offset, to).map_err(|e| e.within("notes"))?;
            notes.last = from..notes.bytes.len();
        }
        Ok(notes)
    }
}
