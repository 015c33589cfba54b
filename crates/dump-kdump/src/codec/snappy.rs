//! Raw (unframed) snappy blocks, by snap.

#![cfg(feature = "snappy")]

use dump_core::{Error, Result};
use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::PageCodec;

/// Both directions.
struct Snappy {
    encoder: Encoder,
    decoder: Decoder,
}

/// One for a worker.
pub(super) fn create() -> Box<dyn PageCodec> {
    Box::new(Snappy { encoder: Encoder::new(), decoder: Decoder::new() })
}

impl PageCodec for Snappy {
    /// Snappy does not stop at the end of a buffer that is too small, it refuses to begin: a sixth more than a page.
    fn room(&self, page: usize) -> usize {
        max_compress_len(page).max(page)
    }

    fn compress(&mut self, page: &[u8], out: &mut [u8]) -> Result<Option<usize>> {
        let len = self.encoder.compress(page, out).map_err(|e| Error::unsupported(format!("snappy: {e}")))?;
        Ok((len < page.len()).then_some(len))
    }

    fn decompress(&mut self, compressed: &[u8], page: &mut [u8]) -> Result<()> {
        // The block begins with the length that it says it has; looked at before a byte is written.
        let says = decompress_len(compressed).map_err(|e| corrupt(&e))?;
        if says != page.len() {
            return Err(Error::corrupt(format!("decompresses to {says} bytes, expected {}", page.len())));
        }
        self.decoder.decompress(compressed, page).map_err(|e| corrupt(&e)).map(drop)
    }

    /// By the lengths and distances of its elements (snappy's format_description.txt): which bytes they copy changes
    /// nothing about where the next one is.
    fn shows_page(&self, compressed: &[u8], len: usize) -> bool {
        decompress_len(compressed).is_ok_and(|says| says == len) && elements(compressed) == Some(len)
    }
}

/// How many bytes the elements of a block make; `None` where one reaches before the first byte or past the block's end.
fn elements(block: &[u8]) -> Option<usize> {
    let preamble = block.iter().position(|byte| byte & 0x80 == 0)? + 1;
    let (mut rest, mut made) = (block.get(preamble..)?, 0usize);
    while let Some((tag, behind)) = rest.split_first() {
        let (tag, upper) = (*tag, usize::from(*tag >> 2));
        let (length, skip, distance) = match tag & 3 {
            0 if upper < 60 => (upper + 1, upper + 1, None),
            0 => {
                let bytes = upper - 59;
                let length = little_endian(behind.get(..bytes)?) + 1;
                (length, bytes.checked_add(length)?, None)
            }
            1 => (4 + (upper & 7), 1, Some(usize::from(tag >> 5) << 8 | usize::from(*behind.first()?))),
            2 => (upper + 1, 2, Some(little_endian(behind.get(..2)?))),
            _ => (upper + 1, 4, Some(little_endian(behind.get(..4)?))),
        };
        if distance.is_some_and(|distance| distance == 0 || distance > made) {
            return None;
        }
        (made, rest) = (made.checked_add(length)?, behind.get(skip..)?);
    }
    Some(made)
}

/// The number of at most four bytes.
fn little_endian(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

fn corrupt(e: &snap::Error) -> Error {
    Error::corrupt(e.to_string())
}
