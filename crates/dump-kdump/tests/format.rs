//! The row of the table of formats: what is opened by it, and how.

#![allow(clippy::unwrap_used)] // helpers are tests too

mod toy;

use dump_core::*;
use dump_kdump::FORMAT;
use dump_kit::{Dump, MadePages, contents};
use toy::*;

fn toy() -> Toy {
    Toy::new(SHAPES[0], 4096, 1000, 7)
}

fn part(name: &str, bytes: Vec<u8>) -> Part {
    Part { name: name.to_owned(), bytes: Box::new(bytes) }
}

/// Two files of a split dump.
fn halves() -> Vec<Vec<u8>> {
    toy().write(&WriteOptions { codec: None, parts: toy().split(2, 64) }, 64)
}

#[test]
fn files_are_known_by_their_first_bytes() {
    let probe = |prefix: &[u8]| (FORMAT.probe)(prefix, &OpenOptions::default());
    assert!(probe(b"KDUMP   \x06\0\0\0") && probe(b"DISKDUMP"));
    assert!(!probe(b"KDUMP") && !probe(b"\x7fELF") && !probe(b""));
}

#[test]
fn what_its_writer_writes_it_opens() {
    let output = FORMAT.output.unwrap();
    let (toy, all) = (toy(), output.abilities);
    assert!(
        all.contains(Abilities::SAYS_ZERO | Abilities::COMPRESSES | Abilities::SPLITS | Abilities::FLAGS_INCOMPLETE)
    );
    let writer = (output.create)(&with(None)).unwrap();
    let dump = Dump { meta: &toy.meta, ram: &toy.ram, dumpable: &toy.dumpable };
    let file = dump.write(writer, 64, &mut MadePages(|pfn| Ok(toy.page(pfn)))).bytes(0);
    let mut container = (FORMAT.open)(Box::new(file), &OpenOptions::default()).unwrap();
    assert!(container.states_page_size());
    container.set_page_size(PageSize::from_bytes(65536).unwrap());
    assert_eq!((container.meta().page_size, container.meta().end_pfn), (PageSize::K4, Pfn(1000)));
    let description = container.describe();
    assert_eq!((description.format, description.version, description.part), (FORMAT.name, Some(6), None));
    assert!(contents(&container, Pfn(1000), 100)[7 + 3] == Ok(toy.page(Pfn(10))));
}

#[test]
fn parts_are_opened_together_and_errors_name_them() {
    let halves = halves();
    let open = |parts| FORMAT.open_parts.unwrap()(parts, &OpenOptions::default());
    let whole = open(vec![part("b", halves[1].clone()), part("a", halves[0].clone())]).unwrap();
    assert_eq!((whole.describe().part, whole.states_page_size()), (None, true));
    let lone = toy().write(&with(None), 64).remove(0);
    for (file, why) in [
        (lone, "b: not a part of a split dump"),
        (b"\x7fELF".repeat(200), "b: not a part of a split dump"),
        (halves[1][..5000].to_vec(), "b: the area of the bitmaps"),
    ] {
        let e = open(vec![part("a", halves[0].clone()), part("b", file)]).err().unwrap();
        assert!(e.to_string().starts_with(why), "{e}");
    }
    let e = open(vec![part("a", halves[0].clone())]).err().unwrap();
    assert!(e.to_string().starts_with("parts of a split dump: none has"), "{e}");
}

#[test]
fn a_file_cut_off_is_flagged_incomplete() {
    for shape in SHAPES {
        let file = Toy::new(shape, 4096, 1000, 7).write(&with(None), 64).remove(0);
        let mut cut = file[..0x10000].to_vec(); // right before the bitmaps
        let patch = FORMAT.incomplete_flag.unwrap()(&cut).unwrap();
        assert_eq!(patch.min_len, 0x12000);
        cut.resize(patch.min_len as usize, 0);
        cut[patch.offset as usize..][..patch.bytes.len()].copy_from_slice(&patch.bytes);
        let container = (FORMAT.open)(Box::new(cut), &OpenOptions::default()).unwrap();
        assert!(container.meta().incomplete, "{shape:?}");
    }
    assert!(FORMAT.incomplete_flag.unwrap()(&b"KDUMP".to_vec()).is_err());
}
