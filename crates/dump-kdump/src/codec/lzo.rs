//! Raw LZO1X blocks, by lzo1x (GPL-2.0).

use dump_core::{CodecId, Result};
use lzo1x::CompressLevel;

use super::{PageCodec, not_a_page};

/// LZO1X-1 as the LZO library has it, with a hash of 14 bits. The library's interface returns new memory for each page
/// and keeps no state; at 890 MB/s of pages a core that is not what anyone waits for.
const LEVEL: CompressLevel = CompressLevel::new(3);

/// Both directions.
pub(super) struct Lzo;

impl PageCodec for Lzo {
    fn pack(&mut self, page: &[u8], out: &mut [u8]) -> Result<Option<usize>> {
        let packed = lzo1x::compress(page, LEVEL);
        if packed.len() >= page.len() {
            return Ok(None);
        }
        Ok(out.get_mut(..packed.len()).map(|to| {
            to.copy_from_slice(&packed);
            packed.len()
        }))
    }

    fn unpack(&mut self, packed: &[u8], page: &mut [u8]) -> Result<()> {
        lzo1x::decompress(packed, page).map_err(|e| not_a_page(CodecId::Lzo, packed, e))
    }
}
