//! Raw LZO1X blocks, written by dump-lzo, read by lzo1x (GPL-2.0).

#![cfg(feature = "lzo")]

use dump_core::{Error, Result};
use dump_lzo::PageLzo;

use super::PageCodec;

/// Both directions, set up at first use.
#[derive(Default)]
struct Lzo {
    compressor: Option<PageLzo>,
}

/// One for a worker.
pub(super) fn create() -> Box<dyn PageCodec> {
    Box::new(Lzo::default())
}

impl PageCodec for Lzo {
    fn compress(&mut self, page: &[u8], out: &mut [u8]) -> Result<Option<usize>> {
        let compressor = self.compressor.get_or_insert_with(PageLzo::new);
        let room = page.len().saturating_sub(1).min(out.len());
        Ok(compressor.compress(page, &mut out[..room]))
    }

    fn decompress(&mut self, compressed: &[u8], page: &mut [u8]) -> Result<()> {
        lzo1x::decompress(compressed, page).map_err(|e| Error::corrupt(e.to_string()))
    }

    fn shows_page(&self, compressed: &[u8], len: usize) -> bool {
        dump_lzo::is_block_of(compressed, len)
    }
}
