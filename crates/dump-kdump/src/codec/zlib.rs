//! zlib streams (RFC 1950), written by dump-deflate, read by zlib-rs.

use dump_core::{CodecId, Result};
use dump_deflate::PageDeflater;
use flate2::{Decompress, FlushDecompress, Status};

use super::{PageCodec, not_a_page};

/// Both directions, set up at first use.
#[derive(Default)]
pub(super) struct Zlib {
    packer: Option<PageDeflater>,
    unpacker: Option<Decompress>,
}

impl PageCodec for Zlib {
    fn pack(&mut self, page: &[u8], out: &mut [u8]) -> Result<Option<usize>> {
        let packer = self.packer.get_or_insert_with(PageDeflater::new);
        let room = page.len().saturating_sub(1).min(out.len());
        Ok(packer.compress(page, &mut out[..room]))
    }

    fn unpack(&mut self, packed: &[u8], page: &mut [u8]) -> Result<()> {
        let unpacker = self.unpacker.get_or_insert_with(|| Decompress::new(true));
        unpacker.reset(true);
        let status = unpacker.decompress(packed, page, FlushDecompress::Finish);
        // Bytes after the stream's end are let pass, as uncompress() does: the checksum before them vouches for the
        // page.
        match status.map_err(|e| not_a_page(CodecId::Zlib, packed, e))? {
            Status::StreamEnd if unpacker.total_out() == page.len() as u64 => Ok(()),
            Status::StreamEnd => Err(not_a_page(CodecId::Zlib, packed, "less than a page")),
            Status::Ok | Status::BufError => Err(not_a_page(CodecId::Zlib, packed, "cut off, or more than a page")),
        }
    }
}
