//! ELF notes, as far as a kdump file's reader looks into them: where VMCOREINFO is, and how many CPUs there are.
//!
//! ```text
//! namesz u32, descsz u32, type u32, name, desc      name and desc each padded to 4 bytes, in 64-bit dumps too
//! ```

use std::ops::Range;

use dump_core::{ByteOrder, Fields, WordSize};

/// One note; its descriptor by place, so that others can point at it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Note<'a> {
    /// Its name without the NUL, which some producers leave out.
    pub(crate) name: &'a [u8],
    pub(crate) kind: u32,
    /// The descriptor's place in the stream (bytes).
    pub(crate) desc: Range<usize>,
}

const NT_PRSTATUS: u32 = 1;

/// Walks a stream of notes; ends quietly where a note does not fit what is left, or is all zero (the padding of a
/// block).
pub(crate) fn notes(stream: &[u8], order: ByteOrder) -> impl Iterator<Item = Note<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let mut f = Fields::new(stream, order, WordSize::Bits32).at(at);
        let sizes = [f.u32("namesz").ok()?, f.u32("descsz").ok()?];
        let kind = f.u32("type").ok()?;
        if sizes == [0, 0] && kind == 0 {
            return None;
        }
        let [name_len, desc_len] = sizes.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        let name = f.bytes("name", name_len).ok()?;
        f.skip(name_len.wrapping_neg() % 4).ok()?;
        let from = f.position();
        f.bytes("desc", desc_len).ok()?;
        // The last descriptor may go without its padding.
        at = from.checked_add(desc_len)?.checked_next_multiple_of(4)?;
        Some(Note { name: name.strip_suffix(b"\0").unwrap_or(name), kind, desc: from..from + desc_len })
    })
}

/// Where the text of VMCOREINFO lies in the stream.
pub(crate) fn vmcoreinfo(stream: &[u8], order: ByteOrder) -> Option<Range<usize>> {
    notes(stream, order).find(|note| note.name == b"VMCOREINFO").map(|note| note.desc)
}

/// How many CPUs left their registers.
pub(crate) fn cpus(stream: &[u8], order: ByteOrder) -> u32 {
    notes(stream, order).filter(|note| note.name == b"CORE" && note.kind == NT_PRSTATUS).fold(0, |n, _| n + 1)
}

/// A VMCOREINFO note of `text`, behind `stream`; returns where the text lies in it.
pub(crate) fn append_vmcoreinfo(stream: &mut Vec<u8>, text: &[u8], order: ByteOrder) -> Range<usize> {
    let name = b"VMCOREINFO\0";
    let mut f = dump_core::FieldsMut::new(order, WordSize::Bits32);
    f.u32(name.len() as u32).u32(text.len() as u32).u32(0).bytes(name).pad_to(24);
    stream.resize(stream.len().next_multiple_of(4), 0);
    stream.extend_from_slice(&f.into_bytes());
    let from = stream.len();
    stream.extend_from_slice(text);
    stream.resize(stream.len().next_multiple_of(4), 0);
    from..from + text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn walks() {
        let mut stream = Vec::new();
        for (name, kind, desc) in
            [("CORE\0", 1, &b"abcde"[..]), ("CORE", 1, b""), ("LINUX\0", 1, b"x"), ("CORE\0", 2, b"yy")]
        {
            stream.extend_from_slice(&(name.len() as u32).to_be_bytes());
            stream.extend_from_slice(&(desc.len() as u32).to_be_bytes());
            stream.extend_from_slice(&u32::to_be_bytes(kind));
            for bytes in [name.as_bytes(), desc] {
                stream.extend_from_slice(bytes);
                stream.resize(stream.len().next_multiple_of(4), 0);
            }
        }
        assert_eq!(cpus(&stream, ByteOrder::Big), 2);
        assert_eq!(cpus(&stream, ByteOrder::Little), 0);
        assert_eq!(vmcoreinfo(&stream, ByteOrder::Big), None);
        let at = append_vmcoreinfo(&mut stream, b"A=1\nB=22\n", ByteOrder::Big);
        assert_eq!(vmcoreinfo(&stream, ByteOrder::Big), Some(at.clone()));
        assert_eq!(&stream[at], b"A=1\nB=22\n");
        stream.resize(stream.len() + 100, 0);
        assert_eq!(notes(&stream, ByteOrder::Big).count(), 5);
    }

    proptest! {
        #[test]
        fn any_stream_ends(bytes in prop::collection::vec(prop::sample::select(vec![0u8, 1, 4, 5, 255]), 0..200)) {
            for note in notes(&bytes, ByteOrder::Little) {
                prop_assert!(note.desc.end <= bytes.len());
            }
        }
    }
}
