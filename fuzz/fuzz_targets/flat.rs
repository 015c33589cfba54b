#![no_main]
//! Any bytes as a flattened stream: its index, and what -R makes of it, are one and the same image.

use std::sync::Mutex;

use dump_core::{Error, ErrorKind, NoWatch, ReadAt, Result, WriteAt};
use dump_flat::{FlatIndex, rearrange};
use libfuzzer_sys::fuzz_target;

/// The longest image.
const MOST: u64 = 1 << 20;

/// An image in memory.
#[derive(Default)]
struct Image(Mutex<Vec<u8>>);

impl WriteAt for Image {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let end = offset.saturating_add(bytes.len() as u64);
        if end > MOST {
            return Err(Error::new(ErrorKind::NoSpace, "full"));
        }
        let mut image = self.0.lock().unwrap();
        let len = image.len().max(end as usize);
        image.resize(len, 0);
        image[offset as usize..end as usize].copy_from_slice(bytes);
        Ok(())
    }

    fn zeros(&self, _: u64, _: u64) -> Result<()> {
        Ok(())
    }
}

fuzz_target!(|data: &[u8]| {
    let image = Image::default();
    let written = rearrange(&mut &data[..], &image, MOST, &NoWatch);
    let index = FlatIndex::read_watched(data.to_vec(), &NoWatch);
    if let (Ok(written), Ok(index)) = (written, index) {
        assert_eq!(index.len().unwrap(), written.len);
        let mut bytes = vec![0; written.len as usize];
        index.read_exact_at(0, &mut bytes).unwrap();
        assert!(bytes == *image.0.lock().unwrap());
    }
});
