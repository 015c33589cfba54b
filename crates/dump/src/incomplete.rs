//! The flag of an incomplete dump.

use crate::formats::FORMATS;
use dump_core::{Error, OpenOptions, PROBE_BYTES, ReadAt, Result, WriteAt};

/// Flags the dump that `input` begins with as incomplete, by writing to `output`, the same file, which is made long
/// enough for what the header refers to.
///
/// # Errors
/// If too little arrived to be flagged, the format has no such flag, or it cannot be written.
pub fn flag_incomplete(input: &dyn ReadAt, output: &dyn WriteAt) -> Result<()> {
    let len = usize::try_from(input.len()?).unwrap_or(PROBE_BYTES).min(PROBE_BYTES);
    let mut prefix = vec![0; len];
    input.read_exact_at(0, &mut prefix)?;
    let format = FORMATS.iter().find(|format| (format.probe)(&prefix, &OpenOptions::default()));
    let flag = format.and_then(|format| format.incomplete_flag);
    let flag = flag.ok_or_else(|| Error::unsupported("no dump of a format with an incomplete flag"))?;
    let patch = flag(input)?;
    if patch.min_len > input.len()? {
        output.zeros(0, patch.min_len)?;
    }
    output.write_at(patch.offset, &patch.bytes)
}
