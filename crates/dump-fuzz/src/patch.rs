//! A file with a few bytes changed, of which an input holds only the changes: a dump is too long for a fuzzer to find
//! its headers by chance.

use crate::input::Input;
use dump_core::{Error, ReadAt, Result};

/// Bytes of a block that holds something.
const BLOCK: usize = 512;

/// A file, and which of its blocks are not zeros.
pub struct Base {
    bytes: Vec<u8>,
    blocks: Vec<usize>,
}

impl Base {
    pub fn new(bytes: Vec<u8>) -> Base {
        let blocks = bytes.chunks(BLOCK).enumerate().filter(|(_, block)| block.iter().any(|byte| *byte != 0));
        Base { blocks: blocks.map(|(i, _)| i * BLOCK).collect(), bytes }
    }

    /// The file with the changes that follow in `input`.
    pub fn patched(&'static self, input: &mut Input<'_>) -> Patched {
        let mut patched = Patched { base: &self.bytes, len: self.bytes.len(), patches: Vec::new() };
        while !input.is_empty() && patched.patches.len() < 64 {
            let (how, block, into) = (input.u8(), usize::from(input.u16()), usize::from(input.u16()));
            let at = match how & 3 {
                0 => block, // headers are at the front
                _ => self.blocks[block % self.blocks.len()] + into % BLOCK,
            };
            match how >> 2 & 3 {
                0 => patched.patches.push((at, input.take(1).to_vec())),
                1 => patched.patches.push((at, input.take(4).to_vec())),
                2 => patched.patches.push((at, input.take(8).to_vec())),
                _ => patched.len = patched.len.min(at),
            }
        }
        patched
    }
}

/// A file with changes, and perhaps cut short.
pub struct Patched {
    base: &'static [u8],
    len: usize,
    patches: Vec<(usize, Vec<u8>)>,
}

impl ReadAt for Patched {
    fn len(&self) -> Result<u64> {
        Ok(self.len as u64)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.base[..self.len]
            .read_exact_at(offset, buf)
            .map_err(|_| Error::truncated("a read", offset, self.len as u64))?;
        let from = offset as usize;
        for (at, bytes) in &self.patches {
            for (at, byte) in (*at..).zip(bytes).filter(|(at, _)| *at >= from) {
                if let Some(to) = buf.get_mut(at - from) {
                    *to = *byte;
                }
            }
        }
        Ok(())
    }
}
