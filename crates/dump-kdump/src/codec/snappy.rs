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
}

fn corrupt(e: &snap::Error) -> Error {
    Error::corrupt(e.to_string())
}
