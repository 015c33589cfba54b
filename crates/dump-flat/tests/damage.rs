//! Streams that are cut, flipped, or made up: an error that says where, or what there is of the image; never a panic.

// Lints know functions marked #[test] as tests, not what they call.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use dump_core::{Error, ErrorKind, NoWatch, Phase, ReadAt, Result, Stretch, Watch, WriteAt};
use dump_flat::{FlatIndex, FlatStream, Rearranged, rearrange};
use std::sync::atomic::{AtomicU64, Ordering};

fn records() -> Vec<Write> {
    vec![(0, noise(1, 40)), (100, noise(2, 30)), (130, noise(3, 30)), (160, noise(4, 30)), (20, noise(5, 90))]
}

/// Where the headers of the records stand.
fn headers() -> Vec<usize> {
    let lens = records().into_iter().map(|(_, bytes)| bytes.len());
    lens.fold(vec![4096], |mut at, len| {
        at.push(at[at.len() - 1] + 16 + len);
        at
    })
}

fn run(bytes: &[u8]) -> (Result<Rearranged>, Image) {
    let image = Image::default();
    let done = rearrange(&mut Pipe::new(bytes), None, &image, 1 << 20, &NoWatch);
    (done, image)
}

/// An error that is one line and names an offset.
fn assert_located(e: &Error) {
    let text = e.to_string();
    assert!(text.contains("offset 0x") && !text.contains('\n'), "{text}");
}

#[test]
fn every_prefix() {
    let whole = stream(&records(), true);
    let image = model(&records());
    for cut in 0..whole.len() {
        let bytes = &whole[..cut];
        let (done, out) = run(bytes);
        let e = done.unwrap_err();
        assert!(matches!(e.kind(), ErrorKind::Truncated | ErrorKind::BadMagic), "{cut}: {e}");
        if cut >= 4096 {
            assert!(e.to_string().contains(&format!("{cut:#x}")), "{cut}: {e}");
        }
        let index = match FlatIndex::read(bytes.to_vec()) {
            Ok(index) => index,
            Err(e) => {
                assert!(cut <= 4112, "{cut}: {e}");
                assert!(out.bytes().is_empty());
                continue;
            }
        };
        // Both give what the records say as far as they go, and the index says that there should be more.
        let salvaged = out.bytes();
        let mut read = vec![0; ReadAt::len(&index).unwrap() as usize];
        index.read_exact_at(0, &mut read).unwrap();
        assert!(read == salvaged, "{cut}");
        assert_located(&index.truncation().unwrap());
        if cut >= headers()[4] && cut <= headers()[4] + 16 {
            assert!(read[..100] == model(&records()[..4])[..100] && read.len() == image.len());
        }
    }
}

#[test]
fn every_flipped_header_bit() {
    let whole = stream(&records(), true);
    for at in headers().into_iter().flat_map(|at| at..at + 16) {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            let (done, _) = run(&bytes);
            let index = FlatIndex::read(bytes.clone());
            // A device goes on behind the dump: with more to read, a size too large is not noticed at its end.
            bytes.extend(vec![0; 1 << 12]);
            let (_, _) = run(&bytes);
            match index {
                Err(e) => assert_located(&e),
                Ok(index) => {
                    let len = ReadAt::len(&index).unwrap();
                    let mut buf = vec![0; len.min(5000) as usize];
                    index.read_exact_at(0, &mut buf).unwrap();
                    index.read_exact_at(len - buf.len() as u64, &mut buf).unwrap();
                    let (whole, fits) = (index.truncation().is_none(), len <= 1 << 20);
                    assert_eq!(done.is_ok(), whole && fits, "byte {at} bit {bit}");
                }
            }
        }
    }
}

#[test]
fn made_up_records() {
    let raw = |offset: i64, size: i64, data: &[u8]| {
        let mut bytes = stream(&[(0, noise(1, 8))], false);
        bytes.extend([offset.to_be_bytes(), size.to_be_bytes()].concat());
        bytes.extend(data);
        bytes.extend([0xff; 16]);
        bytes
    };
    for (offset, size) in [
        (0, -1),
        (-1, 0),
        (-1, 8),
        (-2, -1),
        (0, 0),
        (0, i64::MIN),
        (i64::MIN, 8),
        (i64::MAX, 8),
        (8, i64::MAX),
        (i64::MAX, i64::MAX),
    ] {
        let bytes = raw(offset, size, &[1; 8]);
        // what came before is there, and the damage is known
        let index = FlatIndex::read(bytes.clone()).unwrap();
        let mut before = [0; 8];
        index.read_exact_at(0, &mut before).unwrap();
        assert_eq!((before.to_vec(), index.covered()), (noise(1, 8), 8), "{offset} {size}");
        for e in [index.truncation().unwrap(), run(&bytes).0.unwrap_err()] {
            assert_eq!(e.kind(), ErrorKind::Corrupt, "{offset} {size}");
            assert!(e.to_string().contains("offset 0x1018"), "{e}");
        }
    }
    // A size beyond the end of the file is a file cut short; an offset near 2^63 is a long image.
    let huge = FlatIndex::read(raw(8, i64::MAX - 8, &[1; 8])).unwrap();
    assert!(huge.truncation().is_some());
    let far = raw(i64::MAX - 8, 8, &[1; 8]);
    let (done, image) = run(&far);
    assert_eq!(done.unwrap_err().kind(), ErrorKind::NoSpace);
    assert_eq!(image.bytes(), noise(1, 8), "what came before was written");
    let far = FlatIndex::read(far).unwrap();
    assert_eq!(ReadAt::len(&far).unwrap(), i64::MAX as u64);
    let mut buf = [7; 4096];
    far.read_exact_at(1 << 50, &mut buf).unwrap();
    assert!(buf == [0; 4096]);
    assert_eq!(far.covered(), 16);
    assert_eq!([far.stretch_at(7), far.stretch_at(8)], [Stretch::Data(1), Stretch::Hole(i64::MAX as u64 - 16)]);
}

#[test]
fn what_is_not_flattened_is_refused_untouched() {
    let mut other_type = stream(&records(), true);
    other_type[23] = 9;
    let mut bad_record = stream(&[], false);
    bad_record.extend([0x80; 16]);
    for (bytes, kind) in [
        (vec![], ErrorKind::BadMagic),
        (vec![0; 1 << 16], ErrorKind::BadMagic),
        (noise(3, 1 << 16), ErrorKind::BadMagic),
        (b"KDUMP   ".to_vec(), ErrorKind::BadMagic),
        (b"makedumpfile".to_vec(), ErrorKind::Truncated),
        (other_type, ErrorKind::Unsupported),
        (stream(&[], false), ErrorKind::Truncated),
        (bad_record, ErrorKind::Corrupt),
    ] {
        let (done, image) = run(&bytes);
        assert_eq!(done.unwrap_err().kind(), kind, "{:?}", bytes.get(..16));
        assert_eq!((image.bytes().len(), image.writes()), (0, 0));
        assert_eq!(FlatIndex::read(bytes).err().unwrap().kind(), kind);
    }
    // Refused at its first bytes: a pipe that brings something else is not read to its end.
    let mut pipe = Pipe::new(&[7; 100_000]);
    rearrange(&mut pipe, None, &Image::default(), 1 << 20, &NoWatch).unwrap_err();
    assert!(pipe.rest() >= 100_000 - 32);
}

#[test]
fn an_empty_image_is_one() {
    let (done, image) = run(&stream(&[], true));
    assert_eq!(done.unwrap(), Rearranged { len: 0, records: 0, stream_len: 4112, holes: vec![] });
    assert!(image.bytes().is_empty());
    assert!(ReadAt::is_empty(&FlatIndex::read(stream(&[], true)).unwrap()).unwrap());
}

#[test]
fn a_flattened_dump_may_hold_one() {
    let inner = stream(&records(), true);
    let outer = stream(&[(0, inner[..5].to_vec()), (5, inner[5..].to_vec())], true);
    let index = FlatIndex::read(FlatIndex::read(outer).unwrap()).unwrap();
    let mut buf = vec![0; ReadAt::len(&index).unwrap() as usize];
    index.read_exact_at(0, &mut buf).unwrap();
    assert!(buf == model(&records()));
}

#[test]
fn a_full_output_ends_it() {
    struct Full;
    impl WriteAt for Full {
        fn write_at(&self, offset: u64, _: &[u8]) -> Result<()> {
            match offset {
                0 => Ok(()),
                _ => Err(Error::new(ErrorKind::NoSpace, "full")),
            }
        }
        fn zeros(&self, _: u64, _: u64) -> Result<()> {
            Ok(())
        }
    }
    let e = rearrange(&mut Pipe::new(&stream(&records(), true)), None, &Full, 1 << 20, &NoWatch).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NoSpace);
}

/// Counts what is reported, and asks to stop after a while.
struct Stopping(AtomicU64, u64);

impl Watch for Stopping {
    fn begin(&self, phase: Phase, _: u64) {
        assert_eq!(phase, Phase::Rearrange);
    }
    fn advance(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }
    fn end(&self) {}
    fn stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed) > self.1
    }
}

#[test]
fn the_watch_is_told_and_obeyed() {
    let bytes = stream(&[(0, noise(1, 100_000))], true);
    let watch = Stopping(AtomicU64::new(0), u64::MAX);
    rearrange(&mut Pipe::new(&bytes), None, &Image::default(), 1 << 20, &watch).unwrap();
    assert_eq!(watch.0.load(Ordering::Relaxed), bytes.len() as u64);
    let watch = Stopping(AtomicU64::new(0), 50_000);
    let e = rearrange(&mut Pipe::new(&bytes), None, &Image::default(), 1 << 20, &watch).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Interrupted);
}

#[test]
fn an_unfinished_stream_shows_it() {
    let out = FlatStream::new(Vec::new());
    out.write_at(0, b"head").unwrap();
    assert!(FlatIndex::read(out.into_inner()).unwrap().truncation().is_some());
}
