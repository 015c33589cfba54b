//! ELF notes: `namesz`, `descsz`, `type`, then name and descriptor, each padded to 4 bytes.
//!
//! ELF64 cores pad to 4 as well (Linux, fs/proc/vmcore.c), whatever the gABI says.

use dump_core::{ByteOrder, Error, Fields, FieldsMut, Result, WordSize, is_zero};
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

/// The longest name that an owner is believed to have (bytes); those known have 15 at most.
const MAX_NAME: u32 = 64;

/// Whether bytes begin as a note does: with an owner's name. Structures that stand where notes should be do not.
pub(crate) fn is_stream(bytes: &[u8], order: ByteOrder) -> bool {
    let mut f = Fields::new(bytes, order, WordSize::Bits32);
    let namesz = f.u32("n_namesz").ok().filter(|size| (1..=MAX_NAME).contains(size));
    let name = namesz.and_then(|size| f.at(12).bytes("note name", size as usize).ok());
    let name = name.map(|name| name.strip_suffix(b"\0").unwrap_or(name));
    name.is_some_and(|name| !name.is_empty() && name.iter().all(|b| (b' '..=b'~').contains(b)))
}

/// The text of the first ERASEINFO note, without the zeros that makedumpfile pads it with; `None` where there is none.
pub(crate) fn erase_info(stream: &[u8], order: ByteOrder) -> Option<&[u8]> {
    let note = notes(stream, order).find(is_erase_info)?;
    let text = stream.get(note.desc)?;
    let end = text.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
    text.get(..end)
}

fn is_erase_info(note: &Note<'_>) -> bool {
    note.name == b"ERASEINFO"
}

/// `stream` byte for byte, with one more note ERASEINFO where `text` is not empty.
///
/// It comes after the last note, ahead of zeros that follow: who walks the notes ends at those. Where what follows is
/// something else (QNX), it comes at the end. A source that was erased from before has such a note already. Where
/// `text` says all that the note says, it takes the note's place: readers look at one of them.
///
/// # Errors
/// `Unsupported` where `text` is longer than a note can be.
pub(crate) fn with_erase_info(stream: &[u8], text: &[u8], order: ByteOrder) -> Result<Vec<u8>> {
    let old = erase_info(stream, order);
    if text.is_empty() || old == Some(text) {
        return Ok(stream.to_vec());
    }
    let replaces = old.is_some_and(|old| text.starts_with(old));
    let (mut out, mut at) = (Vec::new(), 0);
    for note in notes(stream, order) {
        let end = note.desc.end.next_multiple_of(4).min(stream.len());
        if !(replaces && is_erase_info(&note)) {
            out.extend_from_slice(&stream[at..end]);
        }
        at = end;
    }
    let rest = &stream[at..];
    if !is_zero(rest) {
        out.extend_from_slice(rest);
    }
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend(note_bytes(b"ERASEINFO\0", text, order)?);
    if is_zero(rest) {
        out.extend_from_slice(rest);
    }
    Ok(out)
}

/// A note of type 0; `name` with its NUL.
fn note_bytes(name: &[u8], desc: &[u8], order: ByteOrder) -> Result<Vec<u8>> {
    let size = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| Error::unsupported("a note of 4 GiB and more"));
    let mut f = FieldsMut::new(order, WordSize::Bits32);
    f.u32(size(name)?).u32(size(desc)?).u32(0);
    f.bytes(name).pad_to(12 + name.len().next_multiple_of(4)).bytes(desc);
    let mut note = f.into_bytes();
    note.resize(note.len().next_multiple_of(4), 0);
    Ok(note)
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

    #[test]
    fn a_stream_begins_with_a_name() {
        let le = ByteOrder::Little;
        for name in [&b"CORE\0"[..], b"VBCORE", b"VMCOREINFO_XEN\0", b"XEN CORE\0"] {
            assert!(is_stream(&note(name, 1, b""), le));
            assert!(!is_stream(&note(name, 1, b""), ByteOrder::Big));
        }
        for bytes in [vec![], vec![0; 40], note(b"", 1, b"abc"), note(b"\0", 1, b""), note(b"C\x01E\0", 1, b"")] {
            assert!(!is_stream(&bytes, le), "{bytes:?}");
        }
    }

    #[test]
    fn erase_text_comes_where_a_walk_finds_it() {
        let le = ByteOrder::Little;
        let (one, text) = (note(b"CORE\0", 1, &[7; 6]), b"erase x size 9\n");
        let erase = note(b"ERASEINFO\0", 0, text);
        assert_eq!(with_erase_info(&one, b"", le).unwrap(), one);
        assert_eq!(with_erase_info(&one, text, le).unwrap(), [&one[..], &erase].concat());
        assert_eq!(with_erase_info(&[], text, le).unwrap(), erase);
        // a stream whose last descriptor goes without its padding
        assert_eq!(with_erase_info(&one[..one.len() - 2], text, le).unwrap(), [&one[..], &erase].concat());
        let padded = [&one[..], &[0; 100]].concat();
        let with = with_erase_info(&padded, text, le).unwrap();
        assert_eq!(with, [&one[..], &erase, &[0; 100]].concat());
        assert_eq!(notes(&with, le).map(|n| &with[n.desc]).last(), Some(&text[..]));
        let longer = [&text[..], b"erase y nullify\n"].concat();
        let again = with_erase_info(&with, &longer, le).unwrap();
        assert_eq!(again, [&one[..], &note(b"ERASEINFO\0", 0, &longer), &[0; 100]].concat());
        assert_eq!(with_erase_info(&again, &longer, le).unwrap(), again);
        assert_eq!(erase_info(&again, le), Some(&longer[..]));
        assert_eq!(with_erase_info(&again, text, le).unwrap().len(), again.len() + erase.len());
        let zeros = [&text[..], &[0; 9]].concat();
        assert_eq!(erase_info(&note(b"ERASEINFO\0", 0, &zeros), le), Some(&text[..]));
        let foreign = [[0xff; 41].as_slice(), &[0; 7]].concat();
        assert_eq!(with_erase_info(&foreign, text, le).unwrap(), [&foreign[..], &erase].concat());
    }
}
