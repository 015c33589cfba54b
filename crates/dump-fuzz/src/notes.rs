//! Any bytes as a stream of notes, in either byte order.

use crate::Seed;
use crate::samples::{self, seed};
use dump_core::{ByteOrder, Notes};

pub fn run(data: &[u8]) {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let notes = Notes::new(data.to_vec(), order);
        let mut end = 0;
        for note in notes.iter() {
            assert!(note.desc.start >= end && note.desc.end <= data.len(), "notes ascend and lie in the stream");
            end = note.desc.end;
            assert_eq!(notes.desc(&note).unwrap().len(), note.desc.len());
        }
        let _ = (notes.describe(), notes.cpus(), notes.erase_info(), notes.is_stream());
        let _ = notes.vmcoreinfo_without_text().count();
        for at in notes.vmcoreinfo_texts() {
            assert!(data.get(at).is_some(), "texts lie in the stream");
        }
        put(&notes, b"OSRELEASE=1\n");
        if let Some(text) = notes.vmcoreinfo() {
            put(&notes, text);
        }
        let other = if order == ByteOrder::Little { ByteOrder::Big } else { ByteOrder::Little };
        let seen = |notes: &Notes| {
            notes.iter().map(|note| (note.name.to_vec(), note.kind, note.desc.len())).collect::<Vec<_>>()
        };
        let there = notes.in_order(other);
        // what follows the last note may look like one in the other order
        assert!(seen(&there).starts_with(&seen(&notes)), "the same notes in the other order");
    }
}

/// A text that was put in is the one that is believed, by a later reader of the bytes too where they are a stream.
fn put(notes: &Notes, text: &[u8]) {
    let with = notes.with_vmcoreinfo(text).unwrap();
    assert_eq!(with.vmcoreinfo(), Some(text), "the text that was put in");
    let erased = notes.with_erase_info(text).unwrap();
    let end = text.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if erased.iter().any(|note| note.name == b"ERASEINFO") {
        assert!(erased.erase_info().is_some_and(|erased| erased.len() >= end.min(1)));
    }
}

pub fn seeds() -> Vec<Seed> {
    let big = dump_synth::Notes::new(dump_synth::Endian::Big).vmcoreinfo(samples::VMCOREINFO);
    let erased = dump_synth::Notes::new(dump_synth::Endian::Little).note("ERASEINFO", 0, b"erase key\n\0\0");
    let two = dump_synth::Notes::new(dump_synth::Endian::Little).vmcoreinfo("a=b\n").vmcoreinfo(samples::VMCOREINFO);
    vec![
        seed("x86", samples::notes()),
        seed("big", big.into_bytes()),
        seed("erased", erased.into_bytes()),
        seed("two", two.into_bytes()),
    ]
}
