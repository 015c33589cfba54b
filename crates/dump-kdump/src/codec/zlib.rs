//! zlib streams (RFC 1950), written by dump-deflate, read by zlib-rs.

#![cfg(feature = "zlib")]

use dump_core::{Error, Result};
use dump_deflate::PageDeflater;
use flate2::{Decompress, FlushDecompress, Status};

use super::PageCodec;

/// Both directions, set up at first use.
#[derive(Default)]
struct Zlib {
    compressor: Option<PageDeflater>,
    decompressor: Option<Decompress>,
}

/// One for a worker.
pub(super) fn create() -> Box<dyn PageCodec> {
    Box::new(Zlib::default())
}

impl PageCodec for Zlib {
    fn compress(&mut self, page: &[u8], out: &mut [u8]) -> Result<Option<usize>> {
        let compressor = self.compressor.get_or_insert_with(PageDeflater::new);
        let room = page.len().saturating_sub(1).min(out.len());
        Ok(compressor.compress(page, &mut out[..room]))
    }

    fn decompress(&mut self, compressed: &[u8], page: &mut [u8]) -> Result<()> {
        let decompressor = self.decompressor.get_or_insert_with(|| Decompress::new(true));
        decompressor.reset(true);
        let status = decompressor.decompress(compressed, page, FlushDecompress::Finish);
        // Bytes after the stream's end are let pass, as uncompress() does: the checksum before them vouches for the
        // page.
        match status.map_err(|e| Error::corrupt(e.to_string()))? {
            Status::StreamEnd if decompressor.total_out() == page.len() as u64 => Ok(()),
            Status::StreamEnd => Err(Error::corrupt("decompresses to less than a page")),
            Status::Ok | Status::BufError => Err(Error::corrupt("cut off, or decompresses to more than a page")),
        }
    }

    fn page_len(&mut self, bytes: &[u8], page: &mut [u8]) -> Option<usize> {
        self.decompress(bytes, page).ok()?;
        let taken = self.decompressor.as_ref()?.total_in();
        usize::try_from(taken).ok()
    }
}
