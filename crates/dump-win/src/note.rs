//! The header of a Windows crash dump as a note, where other containers keep it.
//!
//! A Windows guest with the driver fwcfg publishes its header in the place of Linux's vmcoreinfo, and QEMU puts that
//! into every dump: a note VMCOREINFO whose descriptor is the header, in which the first parameter of the bug check is
//! where the debugger's data lie in clear. Source: QEMU, dump/dump.c (`guest_note`) and dump/win_dump.c.

use crate::header::Header;
use dump_core::{Notes, Result};

const OWNER: &[u8] = b"VMCOREINFO";

/// The header that is among `notes`; `None` where there is none, or a part of one.
pub fn header(notes: &Notes) -> Option<Header> {
    notes.vmcoreinfo_without_text().find_map(|desc| Header::new(desc).ok())
}

/// `notes` with `header` in place of what headers they have.
///
/// # Errors
/// `Unsupported` if there is no room for another note.
pub fn with_header(notes: &Notes, header: &Header) -> Result<Notes> {
    let old = notes.filtered(|note, desc| note.name != OWNER || !Header::begins(desc));
    let others = old.as_bytes().len();
    let whole = notes.iter().map(|note| note.desc.end.next_multiple_of(4)).max().unwrap_or(0);
    // what follows the last note and is none stays where it is
    let base = if others == whole { notes } else { &old };
    base.with_note(OWNER, 0, header.as_bytes())
}
