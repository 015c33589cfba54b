//! Flattened streams whose first bytes are lost.

use dump_core::{ReadAt, Result};

use crate::header::{self, HEADER_LEN, RECORD_LEN, Record};

/// A flattened stream with a header of its own in place of one that is damaged or missing.
///
/// The header says nothing but that it is one, so that nothing is lost with it, where the first record is still there.
pub struct Beheaded<R> {
    input: R,
    header: Vec<u8>,
    /// Where in the input the first record is.
    records: u64,
}

impl<R: ReadAt> Beheaded<R> {
    /// A stream whose first record begins where the header should, or behind a header that is none; `None` where there
    /// is no such record. `is_dump` says of the bytes that an image begins with whether it is a dump.
    pub fn find(input: R, is_dump: impl Fn(&[u8]) -> bool) -> Option<Beheaded<R>> {
        let first = |at: u64| is_first_record(&input, at, &is_dump);
        let records = [0, HEADER_LEN as u64].into_iter().find(|at| first(*at))?;
        Some(Beheaded { input, header: header::encode(), records })
    }
}

/// Whether a record is at `at` with the start of an image.
fn is_first_record(input: &dyn ReadAt, at: u64, is_dump: &dyn Fn(&[u8]) -> bool) -> bool {
    let mut bytes = [0; RECORD_LEN + 64];
    let Ok(len) = input.len() else { return false };
    if input.read_exact_at(at, &mut bytes).is_err() {
        return false;
    }
    let (head, image) = bytes.split_at(RECORD_LEN);
    let record = Record::decode(head, at);
    matches!(record, Ok(Record::Data { offset: 0, len: size }) if (64..=len).contains(&size)) && is_dump(image)
}

impl<R: ReadAt> ReadAt for Beheaded<R> {
    fn len(&self) -> Result<u64> {
        Ok(self.input.len()?.saturating_sub(self.records).saturating_add(HEADER_LEN as u64))
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        let own = self.header.get(at..).unwrap_or_default();
        let (front, rest) = buf.split_at_mut(own.len().min(buf.len()));
        front.copy_from_slice(&own[..front.len()]);
        let behind = offset.saturating_add(front.len() as u64).saturating_sub(HEADER_LEN as u64);
        if rest.is_empty() { Ok(()) } else { self.input.read_exact_at(self.records.saturating_add(behind), rest) }
    }
}
