//! What the tests share: an image in memory, and streams made by hand.

// Each test binary uses its own part. Lints know functions marked #[test] as tests, not what they call.
#![allow(dead_code, clippy::unwrap_used)]

use dump_core::{Result, WriteAt};
use std::io::{self, Read};
use std::sync::Mutex;

/// A write: where, and what.
pub type Write = (u64, Vec<u8>);

/// A file in memory that counts what was written to it.
#[derive(Default)]
pub struct Image {
    bytes: Mutex<(Vec<u8>, usize)>,
}

impl Image {
    /// A device of so many bytes, with something on it.
    pub fn device(len: usize) -> Image {
        Image { bytes: Mutex::new((noise(77, len), 0)) }
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().0.clone()
    }

    pub fn writes(&self) -> usize {
        self.bytes.lock().unwrap().1
    }
}

impl WriteAt for Image {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut file = self.bytes.lock().unwrap();
        let (from, to) = (offset as usize, offset as usize + bytes.len());
        let len = file.0.len().max(to);
        file.0.resize(len, 0);
        file.0[from..to].copy_from_slice(bytes);
        file.1 += 1;
        Ok(())
    }

    fn zeros(&self, offset: u64, len: u64) -> Result<()> {
        let mut file = self.bytes.lock().unwrap();
        let (from, to) = (offset as usize, (offset + len) as usize);
        let len = file.0.len().max(to);
        file.0.resize(len, 0);
        file.0[from..to].fill(0);
        Ok(())
    }
}

/// What the writes make, one after the other.
pub fn model(writes: &[Write]) -> Vec<u8> {
    let image = Image::default();
    writes.iter().for_each(|(offset, bytes)| image.write_at(*offset, bytes).unwrap());
    image.bytes()
}

/// A stream by the layout that the format gives it, written down a second time.
pub fn stream(records: &[Write], marker: bool) -> Vec<u8> {
    let mut out = b"makedumpfile\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01".to_vec();
    out.resize(4096, 0);
    for (offset, bytes) in records {
        out.extend(offset.to_be_bytes());
        out.extend((bytes.len() as u64).to_be_bytes());
        out.extend(bytes);
    }
    if marker {
        out.extend([0xff; 16]);
    }
    out
}

/// A pipe: brings a few bytes at a time, is interrupted now and then, and must not be asked again once it ended.
pub struct Pipe<'a> {
    rest: &'a [u8],
    calls: usize,
    ended: bool,
}

impl<'a> Pipe<'a> {
    pub fn new(bytes: &'a [u8]) -> Pipe<'a> {
        Pipe { rest: bytes, calls: 0, ended: false }
    }

    pub fn rest(&self) -> usize {
        self.rest.len()
    }
}

impl Read for Pipe<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        assert!(!self.ended, "asked again after its end");
        self.calls += 1;
        if self.calls % 7 == 0 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let n = buf.len().min(self.rest.len()).min(1 + self.calls * 31 % 5000);
        buf[..n].copy_from_slice(&self.rest[..n]);
        self.rest = &self.rest[n..];
        self.ended = n == 0;
        Ok(n)
    }
}

/// Bytes that differ from those of another seed, and are seldom zero.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut byte = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 32) as u8
    };
    (0..len).map(|_| byte()).collect()
}
