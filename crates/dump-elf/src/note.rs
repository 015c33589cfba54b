//! ELF notes: `namesz`, `descsz`, `type`, then name and descriptor, each padded to 4 bytes.
//!
//! ELF64 cores pad to 4 as well (Linux, fs/proc/vmcore.c), whatever the gABI says.

use dump_core::{ByteOrder, Fields, WordSize};
use std::ops::Range;

/// One note, as places in the stream that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    /// The owner's name, without its NUL.
    pub name: &'a [u8],
    /// The type, which means what the owner says.
    pub kind: u32,
    /// Where the descriptor lies in the stream (bytes).
    pub desc: Range<usize>,
}

/// The notes of a stream, up to its end or to the first bytes that are no note.
///
/// An all-zero header ends it too: kernels leave room after the last note of a CPU.
pub fn notes(stream: &[u8], order: ByteOrder) -> impl Iterator<Item = Note<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (note, next) = parse(stream, at, order)?;
        at = next;
        Some(note)
    })
}

fn parse(stream: &[u8], at: usize, order: ByteOrder) -> Option<(Note<'_>, usize)> {
    let mut f = Fields::new(stream, order, WordSize::Bits32).at(at);
    let namesz = usize::try_from(f.u32("n_namesz").ok()?).ok()?;
    let descsz = usize::try_from(f.u32("n_descsz").ok()?).ok()?;
    let kind = f.u32("n_type").ok()?;
    if (namesz, descsz, kind) == (0, 0, 0) {
        return None;
    }
    let name = f.bytes("note name", namesz).ok()?;
    let name = name.strip_suffix(b"\0").unwrap_or(name);
    let desc = f.position().checked_next_multiple_of(4)?;
    let end = desc.checked_add(descsz).filter(|end| *end <= stream.len())?;
    Some((Note { name, kind, desc: desc..end }, end.checked_next_multiple_of(4)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(name: &[u8], kind: u32, desc: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for n in [name.len() as u32, desc.len() as u32, kind] {
            out.extend(n.to_le_bytes());
        }
        for part in [name, desc] {
            out.extend(part);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        out
    }

    #[test]
    fn walks_notes_and_stops_at_nonsense() {
        let mut stream = note(b"CORE\0", 1, &[7; 6]);
        stream.extend(note(b"VMCOREINFO\0", 0, b"OSRELEASE=1\n"));
        let whole = stream.len();
        stream.extend([0xff; 16]);
        let seen: Vec<_> = notes(&stream, ByteOrder::Little).collect();
        assert_eq!(seen.len(), 2);
        assert_eq!((seen[0].name, seen[0].kind, seen[0].desc.clone()), (&b"CORE"[..], 1, 20..26));
        assert_eq!(&stream[seen[1].desc.clone()], b"OSRELEASE=1\n");
        for cut in 0..whole {
            assert!(notes(&stream[..cut], ByteOrder::Little).count() < 2, "{cut}");
        }
    }
}
