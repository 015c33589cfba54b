//! Raw LZO1X blocks, by lzo1x (GPL-2.0).

use dump_core::{CodecId, Result};
use lzo1x::CompressLevel;

use super::{PageCodec, not_a_page};

/// LZO1X-1 with a hash of 12 bits, where the LZO library has 14: the table is cleared for each page, and four times as large
/// a table finds next to nothing more in one. 11597 pages of a 6.12 kernel become 0.2 % larger than with 14 bits, the pages of
/// the fixture 0.4 %.
const LEVEL: CompressLevel = CompressLevel::new(2);

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
