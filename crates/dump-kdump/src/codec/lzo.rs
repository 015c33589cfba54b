//! Raw LZO1X blocks, written by dump-lzo, read by lzo1x (GPL-2.0).

use dump_core::{CodecId, Result};
use dump_lzo::PageLzo;

use super::{PageCodec, not_a_page};

/// Both directions, set up at first use.
#[derive(Default)]
pub(super) struct Lzo {
    packer: Option<PageLzo>,
}

impl PageCodec for Lzo {
    fn pack(&mut self, page: &[u8], out: &mut [u8]) -> Result<Option<usize>> {
        let packer = self.packer.get_or_insert_with(PageLzo::new);
        let room = page.len().saturating_sub(1).min(out.len());
        Ok(packer.compress(page, &mut out[..room]))
    }

    fn unpack(&mut self, packed: &[u8], page: &mut [u8]) -> Result<()> {
        lzo1x::decompress(packed, page).map_err(|e| not_a_page(CodecId::Lzo, packed, e))
    }
}
