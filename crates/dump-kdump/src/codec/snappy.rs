//! Raw (unframed) snappy blocks, by snap.

use dump_core::{CodecId, Error, Result};
use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::{PageCodec, not_a_page};

/// Both directions.
pub(super) struct Snappy {
    packer: Encoder,
    unpacker: Decoder,
}

impl Snappy {
    pub(super) fn new() -> Snappy {
        Snappy { packer: Encoder::new(), unpacker: Decoder::new() }
    }
}

impl PageCodec for Snappy {
    /// Snappy does not stop at the end of a buffer that is too small, it refuses to begin: a sixth more than a page.
    fn room(&self, page: usize) -> usize {
        max_compress_len(page).max(page)
    }

    fn pack(&mut self, page: &[u8], out: &mut [u8]) -> Result<Option<usize>> {
        let len = self.packer.compress(page, out).map_err(|e| Error::unsupported(format!("snappy: {e}")))?;
        Ok((len < page.len()).then_some(len))
    }

    fn unpack(&mut self, packed: &[u8], page: &mut [u8]) -> Result<()> {
        // The block begins with the length that it says it has; looked at before a byte is written.
        let says = decompress_len(packed).map_err(|e| not_a_page(CodecId::Snappy, packed, e))?;
        if says != page.len() {
            let why = format!("it says {says} bytes where a page has {}", page.len());
            return Err(not_a_page(CodecId::Snappy, packed, why));
        }
        self.unpacker.decompress(packed, page).map_err(|e| not_a_page(CodecId::Snappy, packed, e)).map(drop)
    }
}
