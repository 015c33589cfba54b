//! zstd frames, by the C library.

#![cfg(feature = "zstd")]

use std::io;

use dump_core::{Error, Result};
use zstd::bulk::{Compressor, Decompressor};

use super::PageCodec;

/// makedumpfile's level. Frames carry their content's size and no checksum, as crash and libkdumpfile expect.
const LEVEL: i32 = 1;

/// Both directions, set up at first use.
#[derive(Default)]
struct Zstd {
    compressor: Option<Compressor<'static>>,
    decompressor: Option<Decompressor<'static>>,
}

/// One for a worker.
pub(super) fn create() -> Box<dyn PageCodec> {
    Box::new(Zstd::default())
}

impl PageCodec for Zstd {
    fn compress(&mut self, page: &[u8], out: &mut [u8]) -> Result<Option<usize>> {
        let compressor = created(&mut self.compressor, || Compressor::new(LEVEL))?;
        let room = page.len().saturating_sub(1).min(out.len());
        // The one failure with a context that exists is that `out` is too small: it would not have become smaller.
        Ok(compressor.compress_to_buffer(page, &mut out[..room]).ok())
    }

    fn decompress(&mut self, compressed: &[u8], page: &mut [u8]) -> Result<()> {
        let decompressor = created(&mut self.decompressor, Decompressor::new)?;
        let len = decompressor.decompress_to_buffer(compressed, page).map_err(|e| Error::corrupt(e.to_string()))?;
        if len != page.len() {
            return Err(Error::corrupt(format!("decompresses to {len} bytes, less than a page")));
        }
        Ok(())
    }

    fn page_len(&mut self, bytes: &[u8], page: &mut [u8]) -> Option<usize> {
        let len = zstd::zstd_safe::find_frame_compressed_size(bytes).ok()?;
        self.decompress(bytes.get(..len)?, page).ok().map(|()| len)
    }
}

fn created<T>(slot: &mut Option<T>, make: impl FnOnce() -> io::Result<T>) -> Result<&mut T> {
    let made = match slot.take() {
        Some(made) => made,
        None => make().map_err(|e| Error::unsupported(format!("zstd: {e}")))?,
    };
    Ok(slot.insert(made))
}
