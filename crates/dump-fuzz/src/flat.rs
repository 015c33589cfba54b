//! Any bytes as a flattened stream, and any writes as one: its index, what -R makes of it, and what was written are one
//! and the same image.

use crate::Seed;
use crate::input::Input;
use crate::samples::seed;
use dump_core::{Error, ErrorKind, NoWatch, ReadAt, Result, WriteAt};
use dump_flat::{FlatIndex, FlatStream, rearrange};
use dump_kit::MemoryOutput;

/// The longest image.
const MOST: u64 = 1 << 20;

/// An image in memory, which a record far away does not make long.
#[derive(Default)]
struct Image(MemoryOutput);

impl WriteAt for Image {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let end = offset.saturating_add(bytes.len() as u64);
        if end > MOST { Err(Error::new(ErrorKind::NoSpace, "full")) } else { self.0.write_at(offset, bytes) }
    }

    fn zeros(&self, _: u64, _: u64) -> Result<()> {
        Ok(())
    }
}

pub fn read(data: &[u8]) {
    let image = Image::default();
    let written = rearrange(&mut &data[..], None, &image, MOST, &NoWatch);
    let index = FlatIndex::read_watched(data.to_vec(), &NoWatch);
    if let (Ok(written), Ok(index)) = (written, index) {
        assert_eq!(index.len().unwrap(), written.len);
        let mut image = image.0.bytes();
        image.resize(written.len as usize, 0);
        assert!(all(&index) == image, "the index and -R make two images");
    }
}

fn all(index: &FlatIndex<Vec<u8>>) -> Vec<u8> {
    let mut bytes = vec![0; index.len().unwrap() as usize];
    index.read_exact_at(0, &mut bytes).unwrap();
    bytes
}

pub fn write(data: &[u8]) {
    let (mut input, mut image) = (Input::new(data), Vec::new());
    let stream = FlatStream::new(Vec::new());
    while !input.is_empty() {
        let (how, at) = (input.u8(), usize::from(input.u16()));
        let bytes = input.take(usize::from(how >> 1)).to_vec();
        if how & 1 == 0 {
            stream.write_at(at as u64, &bytes).unwrap();
            put(&mut image, at, &bytes);
        } else {
            // what was never written reads as zeros anyway
            let end = image.len();
            stream.zeros((end + at) as u64, bytes.len() as u64).unwrap();
        }
    }
    stream.finish().unwrap();
    let index = FlatIndex::read(stream.into_inner()).unwrap();
    assert!(index.truncation().is_none(), "it was finished");
    let mut read = all(&index);
    read.resize(read.len().max(image.len()), 0);
    image.resize(read.len(), 0);
    assert!(read == image, "what was written is not what is read");
}

fn put(image: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if !bytes.is_empty() {
        image.resize(image.len().max(at + bytes.len()), 0);
        image[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

pub fn seeds() -> Vec<Seed> {
    vec![
        seed("two", b"\x08\x05\x00abcd\x06\x01\x00xyz".to_vec()),
        seed("zeros", b"\x08\x05\x00abcd\x05\x03\x00ab".to_vec()),
    ]
}
