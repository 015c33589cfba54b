//! ELF notes: `namesz`, `descsz`, `type` (4 bytes each), then name and descriptor, each padded to 4 bytes.
//!
//! ELF64 cores pad to 4 as well (Linux, fs/proc/vmcore.c), whatever the gABI says. Containers other than ELF keep the
//! same stream of notes in their headers.

use crate::error::{Error, Result};
use crate::large_notes::LargeNotes;
use crate::machine::{ByteOrder, WordSize};
use crate::wire::{Fields, FieldsMut};
use crate::zero::is_zero;
use std::ops::Range;
use std::sync::Arc;

/// One note, as places in the stream that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    /// The owner's name, without its NUL, which some producers leave out.
    pub name: &'a [u8],
    /// The type, which means what the owner says.
    pub kind: u32,
    /// Where the descriptor lies in the stream (bytes).
    pub desc: Range<usize>,
}

/// A stream of notes, kept byte for byte, but for [large](LargeNotes) ones, which come before. Copies share the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notes {
    bytes: Arc<Vec<u8>>,
    order: ByteOrder,
    large: LargeNotes,
    /// Where the text of VMCOREINFO lies (bytes), of the one note that is believed. A note that was appended counts though
    /// a walk from the start may not come to it, past what is no note.
    vmcoreinfo: Option<Range<usize>>,
}

const VMCOREINFO: &[u8] = b"VMCOREINFO";

/// NT_PRSTATUS, the registers of one CPU, of the owner CORE.
const NT_PRSTATUS: u32 = 1;

/// The longest name that an owner is believed to have (bytes); those known have 15 at most.
const MAX_NAME: u32 = 64;

impl Notes {
    /// The notes of `bytes`, whose integers are of `order`. The first note VMCOREINFO that holds text is believed, until
    /// somebody knows better.
    pub fn new(bytes: Vec<u8>, order: ByteOrder) -> Notes {
        Notes::with_large(bytes, order, LargeNotes::default())
    }

    /// The notes of `bytes`, and others that stay where they are.
    pub fn with_large(bytes: Vec<u8>, order: ByteOrder, large: LargeNotes) -> Notes {
        let mut notes = Notes { bytes: Arc::new(bytes), order, large, vmcoreinfo: None };
        let believed = notes.named_vmcoreinfo().find(|at| notes.is_text(at));
        notes.vmcoreinfo = believed;
        notes
    }

    /// These and others that stay where they are.
    #[must_use]
    pub fn and_large(self, large: LargeNotes) -> Notes {
        Notes { large, ..self }
    }

    /// No notes.
    pub fn empty(order: ByteOrder) -> Notes {
        Notes::new(Vec::new(), order)
    }

    /// Those that are not part of the stream, to be copied ahead of it.
    pub fn large(&self) -> &LargeNotes {
        &self.large
    }

    /// The stream, without large notes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Byte order of the stream.
    pub fn order(&self) -> ByteOrder {
        self.order
    }

    /// The notes up to the end of the stream or to the first bytes that are no note.
    ///
    /// An all-zero header ends them too: kernels leave room after the last note of a CPU.
    pub fn iter(&self) -> impl Iterator<Item = Note<'_>> {
        notes_of(&self.bytes, self.order)
    }

    /// The descriptor of the first note of `name`, whatever its type.
    pub fn find(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter().find(|note| note.name == name).and_then(|note| self.desc(&note))
    }

    /// The descriptor of a note of this stream.
    pub fn desc(&self, note: &Note<'_>) -> Option<&[u8]> {
        self.bytes.get(note.desc.clone())
    }

    /// Where the text of VMCOREINFO lies in the stream (bytes), where there is one.
    pub fn vmcoreinfo_range(&self) -> Option<Range<usize>> {
        self.vmcoreinfo.clone()
    }

    /// Where the texts of the notes VMCOREINFO lie (bytes): several, where tools or guests added theirs. A note of that
    /// name that holds no text is none. No more than 64 are looked at.
    pub fn vmcoreinfo_texts(&self) -> Vec<Range<usize>> {
        let mut texts: Vec<_> = self.named_vmcoreinfo().take(MAX_TEXTS).filter(|at| self.is_text(at)).collect();
        texts.extend(self.vmcoreinfo.clone().filter(|at| !texts.contains(at)));
        texts
    }

    /// What the notes VMCOREINFO hold that hold no text: nothing, what Windows leaves there, or more than any kernel
    /// writes.
    pub fn vmcoreinfo_without_text(&self) -> impl Iterator<Item = &[u8]> {
        let named = self.named_vmcoreinfo().take(MAX_TEXTS).filter(|at| !self.is_text(at));
        named.filter_map(|at| self.bytes.get(at))
    }

    /// Whether `text` is believed and no note VMCOREINFO holds anything else.
    pub fn has_only_vmcoreinfo(&self, text: &[u8]) -> bool {
        self.vmcoreinfo() == Some(text) && self.named_vmcoreinfo().all(|at| self.bytes.get(at) == Some(text))
    }

    /// Descriptors of the notes VMCOREINFO that a walk comes to.
    fn named_vmcoreinfo(&self) -> impl Iterator<Item = Range<usize>> {
        self.iter().filter(|note| note.name == VMCOREINFO).map(|note| note.desc)
    }

    fn is_text(&self, at: &Range<usize>) -> bool {
        self.bytes.get(at.clone()).is_some_and(is_keys)
    }

    /// Believes no note VMCOREINFO; their bytes stay.
    pub fn disbelieve_vmcoreinfo(&mut self) {
        self.vmcoreinfo = None;
    }

    /// The stream with `text` as its only VMCOREINFO: the note that holds it, where there is one, or else a new one.
    /// Others of the name are left out, for some readers take the first of them and some the last. A new one takes their
    /// place, ahead of zeros, which end a walk.
    ///
    /// # Errors
    /// `Unsupported` if `text` is longer than a note can be.
    pub fn with_vmcoreinfo(&self, text: &[u8]) -> Result<Notes> {
        let (mut named, mut held, mut out) = (false, false, Vec::new());
        let end = self.copy_notes(&mut out, |note, desc| {
            let is_first = note.name == VMCOREINFO && !held && desc == text;
            (named, held) = (named | (note.name == VMCOREINFO), held | is_first);
            note.name != VMCOREINFO || is_first
        });
        let rest = &self.bytes[end..];
        let replaces = named && !held && is_zero(rest);
        if replaces {
            // the last descriptor may go without its padding, which nothing follows
            out.resize(out.len().next_multiple_of(4), 0);
            out.extend(encode(VMCOREINFO, 0, text, self.order)?);
        }
        out.extend_from_slice(rest);
        let mut notes = Notes::with_large(out, self.order, self.large.clone());
        if !held && !replaces {
            notes.push(VMCOREINFO, text)?;
        }
        Ok(notes)
    }

    /// Copies the notes that `keeps` to `out`, with their padding; returns where the rest begins, which is no note.
    fn copy_notes(&self, out: &mut Vec<u8>, mut keeps: impl FnMut(&Note<'_>, &[u8]) -> bool) -> usize {
        let mut at = 0;
        for note in self.iter() {
            let end = note.desc.end.next_multiple_of(4).min(self.bytes.len());
            if keeps(&note, &self.bytes[note.desc.clone()]) {
                out.extend_from_slice(&self.bytes[at..end]);
            }
            at = end;
        }
        at
    }

    /// The text of VMCOREINFO, where there is one.
    pub fn vmcoreinfo(&self) -> Option<&[u8]> {
        self.bytes.get(self.vmcoreinfo.clone()?)
    }

    /// How many CPUs left their registers.
    pub fn cpus(&self) -> u32 {
        let prstatus = self.iter().filter(|note| note.name == b"CORE" && note.kind == NT_PRSTATUS);
        u32::try_from(prstatus.count()).unwrap_or(u32::MAX)
    }

    /// Whether the stream begins as a note does: with an owner's name. Structures that stand where notes should be do
    /// not.
    pub fn is_stream(&self) -> bool {
        let mut f = Fields::new(&self.bytes, self.order, WordSize::Bits32);
        let namesz = f.u32("n_namesz").ok().filter(|size| (1..=MAX_NAME).contains(size));
        let name = namesz.and_then(|size| f.at(12).bytes("note name", size as usize).ok());
        let name = name.map(|name| name.strip_suffix(b"\0").unwrap_or(name));
        name.is_some_and(|name| !name.is_empty() && name.iter().all(|b| (b' '..=b'~').contains(b)))
    }

    /// Appends a note of type 0; `name` without its NUL.
    ///
    /// # Errors
    /// `Unsupported` if name or descriptor is longer than a note can be.
    pub fn push(&mut self, name: &[u8], desc: &[u8]) -> Result<()> {
        let note = encode(name, 0, desc, self.order)?;
        let bytes = Arc::make_mut(&mut self.bytes);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        if name == VMCOREINFO && self.vmcoreinfo.is_none() {
            let from = bytes.len() + NAME_AT + (name.len() + 1).next_multiple_of(4);
            self.vmcoreinfo = Some(from..from + desc.len());
        }
        bytes.extend_from_slice(&note);
        Ok(())
    }

    /// The same notes with one more after the last, ahead of what follows and is no note; `name` without its NUL. What is
    /// believed stays so.
    ///
    /// # Errors
    /// `Unsupported` if name or descriptor is longer than a note can be.
    pub fn with_note(&self, name: &[u8], kind: u32, desc: &[u8]) -> Result<Notes> {
        let mut bytes = Vec::new();
        let end = self.copy_notes(&mut bytes, |_, _| true);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let note = encode(name, kind, desc, self.order)?;
        let moved = bytes.len() + note.len() - end;
        let believed =
            self.vmcoreinfo.clone().map(|at| if at.start < end { at } else { at.start + moved..at.end + moved });
        bytes.extend(note);
        bytes.extend_from_slice(self.bytes.get(end..).unwrap_or_default());
        Ok(Notes { bytes: Arc::new(bytes), order: self.order, large: self.large.clone(), vmcoreinfo: believed })
    }

    /// Those notes that `keeps` keeps by themselves and their descriptors, and nothing that is no note.
    #[must_use]
    pub fn filtered(&self, keeps: impl FnMut(&Note<'_>, &[u8]) -> bool) -> Notes {
        let mut bytes = Vec::new();
        self.copy_notes(&mut bytes, keeps);
        Notes::with_large(bytes, self.order, self.large.clone())
    }

    /// The text of the first ERASEINFO note, without the zeros that makedumpfile pads it with; `None` where there is
    /// none.
    pub fn erase_info(&self) -> Option<&[u8]> {
        let text = self.find(ERASE_INFO)?;
        let end = text.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
        text.get(..end)
    }

    /// The stream with one more note ERASEINFO where `text` is not empty.
    ///
    /// It comes after the last note, ahead of zeros that follow: who walks the notes ends at those. Where what follows
    /// is something else (QNX), it comes at the end, unless what follows is a note that was cut off, of which it would be a
    /// part. A source that was erased from before has such a note already. Where `text` says all
    /// that the note says, it takes the note's place: readers look at one of them.
    ///
    /// # Errors
    /// `Unsupported` if `text` is longer than a note can be.
    pub fn with_erase_info(&self, text: &[u8]) -> Result<Notes> {
        let old = self.erase_info();
        if text.is_empty() || old == Some(text) {
            return Ok(self.clone());
        }
        let replaces = old.is_some_and(|old| text.starts_with(old));
        let mut out = Vec::new();
        let end = self.copy_notes(&mut out, |note, _| !(replaces && note.name == ERASE_INFO));
        let rest = &self.bytes[end..];
        let with = |parts: [&[u8]; 2]| {
            let mut notes = Notes::with_large([&out, parts[0]].concat(), self.order, self.large.clone());
            notes.push(ERASE_INFO, text)?;
            Arc::make_mut(&mut notes.bytes).extend_from_slice(parts[1]);
            Ok(Notes::with_large(Arc::unwrap_or_clone(notes.bytes), self.order, notes.large))
        };
        let at_end = if is_zero(rest) { None } else { Some(with([rest, &[]])?) };
        let kept = notes_of(&out, self.order).count();
        let is_part = |notes: &Notes| notes.iter().nth(kept).is_some_and(|note| notes.desc(&note) != Some(text));
        match at_end.filter(|notes| !is_part(notes)) {
            Some(notes) => Ok(notes),
            None => with([&[], rest]),
        }
    }
}

fn notes_of(bytes: &[u8], order: ByteOrder) -> impl Iterator<Item = Note<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (note, next) = parse(bytes, at, order)?;
        at = next;
        Some(note)
    })
}

/// Notes of one name that are looked at, where one is the rule and two are rare.
const MAX_TEXTS: usize = 64;

/// The longest text that is believed to be a vmcoreinfo (bytes): the kernel's buffer is one page, and no page has more
/// than 256 KiB.
const MAX_VMCOREINFO: usize = 1 << 20;

/// Whether a descriptor is as long as vmcoreinfo may be and begins as it does: with a key and a value, as text.
fn is_keys(desc: &[u8]) -> bool {
    if desc.len() > MAX_VMCOREINFO {
        return false;
    }
    let key = desc.split(|byte| *byte == b'=').next().unwrap_or_default();
    key.len() < desc.len() && !key.is_empty() && key.iter().all(|byte| (b' '..=b'~').contains(byte))
}

const ERASE_INFO: &[u8] = b"ERASEINFO";

/// Bytes of a note before its name.
const NAME_AT: usize = 12;

/// The length of a note (bytes) that begins with `header`, with its padding and without it; `None` where it is none, or
/// zeros, which end a stream.
pub fn note_len(header: &[u8], order: ByteOrder) -> Option<(u64, u64)> {
    let mut f = Fields::new(header, order, WordSize::Bits32);
    let (name, desc) = (f.u32("n_namesz").ok()?, f.u32("n_descsz").ok()?);
    let kind = f.u32("n_type").ok()?;
    let bare = NAME_AT as u64 + u64::from(name).next_multiple_of(4) + u64::from(desc);
    ((name, desc, kind) != (0, 0, 0)).then_some((bare.next_multiple_of(4), bare))
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
    // the last descriptor may go without its padding
    Some((Note { name, kind, desc: desc..end }, end.checked_next_multiple_of(4)?))
}

fn encode(name: &[u8], kind: u32, desc: &[u8], order: ByteOrder) -> Result<Vec<u8>> {
    let size = |len: usize| u32::try_from(len).map_err(|_| Error::unsupported("a note of 4 GiB and more"));
    let mut f = FieldsMut::new(order, WordSize::Bits32);
    f.u32(size(name.len() + 1)?).u32(size(desc.len())?).u32(kind);
    f.bytes(name).pad_to(NAME_AT + (name.len() + 1).next_multiple_of(4)).bytes(desc);
    let mut note = f.into_bytes();
    note.resize(note.len().next_multiple_of(4), 0);
    Ok(note)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LE: ByteOrder = ByteOrder::Little;

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

    fn notes(bytes: &[u8]) -> Notes {
        Notes::new(bytes.to_vec(), LE)
    }

    #[test]
    fn walks_notes_and_stops_at_nonsense() {
        let mut stream = note(b"CORE\0", 1, &[7; 6]);
        stream.extend(note(b"CORE", 1, b""));
        stream.extend(note(b"LINUX\0", 1, b"x"));
        stream.extend(note(b"VMCOREINFO\0", 0, b"OSRELEASE=1\n"));
        let whole = stream.len();
        stream.extend([0xff; 16]);
        let all = notes(&stream);
        let seen: Vec<_> = all.iter().collect();
        assert_eq!((seen.len(), all.cpus()), (4, 2));
        assert_eq!((seen[0].name, seen[0].kind, seen[0].desc.clone()), (&b"CORE"[..], 1, 20..26));
        assert_eq!(all.vmcoreinfo(), Some(&b"OSRELEASE=1\n"[..]));
        for cut in 0..whole {
            assert!(notes(&stream[..cut]).iter().count() < 4, "{cut}");
        }
        assert_eq!(Notes::new(stream, ByteOrder::Big).iter().count(), 0);
    }

    #[test]
    fn one_of_several_texts_is_believed() {
        let cpu = note(b"CORE\0", 1, &[7; 8]);
        let long = b"A=1\n".repeat(MAX_VMCOREINFO / 4 + 1);
        let texts = [&long[..], b"PAGEDU64\x0f\0", b"A=old\n", b"A=new\n"];
        let mut stream = cpu.clone();
        texts.iter().for_each(|text| stream.extend(note(b"VMCOREINFO\0", 0, text)));
        stream.extend([0; 40]);
        let mut all = notes(&stream);
        assert_eq!(all.vmcoreinfo(), Some(texts[2]), "the first that holds text");
        let found: Vec<_> = all.vmcoreinfo_texts().into_iter().map(|at| &all.as_bytes()[at]).collect();
        assert_eq!(found, texts[2..]);
        assert_eq!(all.vmcoreinfo_without_text().collect::<Vec<_>>(), texts[..2]);
        for text in [texts[3], b"A=other\n"] {
            let one = all.with_vmcoreinfo(text).unwrap();
            let want = [cpu.clone(), note(b"VMCOREINFO\0", 0, text), vec![0; 40]].concat();
            assert_eq!((one.vmcoreinfo(), one.as_bytes()), (Some(text), &want[..]));
        }
        all.disbelieve_vmcoreinfo();
        assert_eq!((all.vmcoreinfo(), all.as_bytes()), (None, &stream[..]));
    }

    #[test]
    fn a_stream_begins_with_a_name() {
        for name in [&b"CORE\0"[..], b"VBCORE", b"VMCOREINFO_XEN\0", b"XEN CORE\0"] {
            assert!(notes(&note(name, 1, b"")).is_stream());
            assert!(!Notes::new(note(name, 1, b""), ByteOrder::Big).is_stream());
        }
        for bytes in [vec![], vec![0; 40], note(b"", 1, b"abc"), note(b"\0", 1, b""), note(b"C\x01E\0", 1, b"")] {
            assert!(!notes(&bytes).is_stream(), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_appended_is_found() {
        let mut big = Notes::empty(ByteOrder::Big);
        big.push(b"CORE", &[1; 5]).unwrap();
        big.push(b"VMCOREINFO", b"A=1\nB=22\n").unwrap();
        assert_eq!(big.vmcoreinfo(), Some(&b"A=1\nB=22\n"[..]));
        assert_eq!(big.vmcoreinfo_range().map(|at| &big.as_bytes()[at]), big.vmcoreinfo());
        assert_eq!(big.as_bytes().len(), 12 + 8 + 8 + 12 + 12 + 12);
        let mut unpadded = notes(&note(b"CORE\0", 1, &[7; 6])[..26]);
        unpadded.push(b"VMCOREINFO", b"x").unwrap();
        assert_eq!(unpadded.as_bytes(), [note(b"CORE\0", 1, &[7; 6]), note(b"VMCOREINFO\0", 0, b"x")].concat());
    }

    /// A dump whose notes are not of its own byte order, or no notes at all (QNX), with VMCOREINFO found elsewhere.
    /// Found by a fuzzer: the text that took the other's place stood where no note begins, and was lost.
    #[test]
    fn a_text_takes_the_place_of_another_behind_a_note_without_padding() {
        let stream = [note(b"VMCOREINFO\0", 0, b"\0"), note(b"CORE\0", 1, &[7; 6])].concat();
        for cut in 0..3 {
            let with = notes(&stream[..stream.len() - cut]).with_vmcoreinfo(b"OSRELEASE=2\n").unwrap();
            assert_eq!(with.vmcoreinfo(), Some(&b"OSRELEASE=2\n"[..]), "{cut}");
            assert_eq!(Notes::new(with.as_bytes().to_vec(), LE).vmcoreinfo(), with.vmcoreinfo(), "{cut}");
        }
    }

    #[test]
    fn vmcoreinfo_is_found_behind_what_is_no_note() {
        let mut odd = Notes::new(note(b"CORE\0", 1, &[7; 6]), ByteOrder::Big);
        assert_eq!((odd.iter().count(), odd.vmcoreinfo()), (0, None));
        odd.push(b"VMCOREINFO", b"A=1\n").unwrap();
        assert_eq!(odd.vmcoreinfo(), Some(&b"A=1\n"[..]));
        odd.push(b"VMCOREINFO", b"B=2\n").unwrap();
        assert_eq!(odd.vmcoreinfo(), Some(&b"A=1\n"[..]), "the first counts");
    }

    #[test]
    fn erase_text_comes_where_a_walk_finds_it() {
        let with = |stream: &[u8], text: &[u8]| notes(stream).with_erase_info(text).unwrap().as_bytes().to_vec();
        let (one, text) = (note(b"CORE\0", 1, &[7; 6]), b"erase x size 9\n");
        let erase = note(b"ERASEINFO\0", 0, text);
        assert_eq!(with(&one, b""), one);
        assert_eq!(with(&one, text), [&one[..], &erase].concat());
        assert_eq!(with(&[], text), erase);
        // a stream whose last descriptor goes without its padding
        assert_eq!(with(&one[..one.len() - 2], text), [&one[..], &erase].concat());
        let padded = [&one[..], &[0; 100]].concat();
        let once = with(&padded, text);
        assert_eq!(once, [&one[..], &erase, &[0; 100]].concat());
        let longer = [&text[..], b"erase y nullify\n"].concat();
        let again = with(&once, &longer);
        assert_eq!(again, [&one[..], &note(b"ERASEINFO\0", 0, &longer), &[0; 100]].concat());
        assert_eq!(with(&again, &longer), again);
        assert_eq!(notes(&again).erase_info(), Some(&longer[..]));
        assert_eq!(with(&again, text).len(), again.len() + erase.len());
        let zeros = [&text[..], &[0; 9]].concat();
        assert_eq!(notes(&note(b"ERASEINFO\0", 0, &zeros)).erase_info(), Some(&text[..]));
        let foreign = [[0xff; 41].as_slice(), &[0; 7]].concat();
        assert_eq!(with(&foreign, text), [&foreign[..], &erase].concat());
        // the descriptor of the last is cut off
        let cut = &note(b"ERASEINFO\0", 0, &[0; 12])[..33];
        assert_eq!(with(cut, text), [&erase, cut].concat());
    }

    proptest! {
        #[test]
        fn any_stream_ends(bytes in prop::collection::vec(prop::sample::select(vec![0u8, 1, 4, 5, 255]), 0..200)) {
            for note in notes(&bytes).iter() {
                prop_assert!(note.desc.end <= bytes.len());
            }
        }
    }
}
