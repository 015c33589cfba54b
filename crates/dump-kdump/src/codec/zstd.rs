//! zstd frames, by the C library.

use std::io;

use dump_core::{CodecId, Error, Result};
use zstd::bulk::{Compressor, Decompressor};

use super::{PageCodec, not_a_page};

/// makedumpfile's level. Frames carry their content's size and no checksum, as crash and libkdumpfile expect.
const LEVEL: i32 = 1;

/// Both directions, set up at first use.
#[derive(Default)]
pub(super) struct Zstd {
    packer: Option<Compressor<'static>>,
    unpacker: Option<Decompressor<'static>>,
}

impl PageCodec for Zstd {
    fn pack(&mut self, page: &[u8], out: &mut [u8]) -> Result<Option<usize>> {
        let packer = created(&mut self.packer, || Compressor::new(LEVEL))?;
        let room = page.len().saturating_sub(1).min(out.len());
        // The one failure with a context that exists is that `out` is too small: it would not have become smaller.
        Ok(packer.compress_to_buffer(page, &mut out[..room]).ok())
    }

    fn unpack(&mut self, packed: &[u8], page: &mut [u8]) -> Result<()> {
        let unpacker = created(&mut self.unpacker, Decompressor::new)?;
        let len = unpacker.decompress_to_buffer(packed, page).map_err(|e| not_a_page(CodecId::Zstd, packed, e))?;
        if len != page.len() {
            return Err(not_a_page(CodecId::Zstd, packed, format_args!("{len} bytes, less than a page")));
        }
        Ok(())
    }
}

fn created<T>(slot: &mut Option<T>, make: impl FnOnce() -> io::Result<T>) -> Result<&mut T> {
    let made = match slot.take() {
        Some(made) => made,
        None => make().map_err(|e| Error::unsupported(format!("zstd: {e}")))?,
    };
    Ok(slot.insert(made))
}
