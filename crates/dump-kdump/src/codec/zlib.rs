//! zlib streams (RFC 1950), by zlib-rs.

use dump_core::{CodecId, Error, Result};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::{PageCodec, not_a_page};

/// The level that makes dumps as small as makedumpfile's, which uses zlib's level 1.
///
/// Bytes that 4 KiB pages of three dumps become (all of the first, every fourth of the others, no zero pages), and MB/s
/// of input on one core, best of five:
///
/// ```text
///               10604 pages     11609 pages     13488 pages
/// zlib 1.2.13 1  9690091 132    21026866  91    25817761  92   = 1
/// zlib-rs 1     12072236 326    23815377 264    28943583 245   1.146
/// zlib-rs 2      9952284 159    21379752 129    26260551 128   1.019
/// zlib-rs 3      9816187 142    21211772 111    26071466 116   1.010, but 1.013 of the first
/// zlib-rs 4      9764775 138    21138583 111    26007000 108   1.007
/// ```
///
/// Level 4 stays within 1 % of every dump and is faster than zlib's level 1. A window of 8 KiB instead of 32
/// changes no size and no speed worth it.
const LEVEL: u32 = 4;

/// Both directions, set up at first use.
#[derive(Default)]
pub(super) struct Zlib {
    packer: Option<Compress>,
    unpacker: Option<Decompress>,
}

impl PageCodec for Zlib {
    fn pack(&mut self, page: &[u8], out: &mut [u8]) -> Result<Option<usize>> {
        let packer = self.packer.get_or_insert_with(|| Compress::new(Compression::new(LEVEL), true));
        packer.reset();
        let room = page.len().saturating_sub(1).min(out.len());
        let status = packer.compress(page, &mut out[..room], FlushCompress::Finish);
        match status.map_err(|e| Error::unsupported(format!("zlib: {e}")))? {
            Status::StreamEnd => Ok(usize::try_from(packer.total_out()).ok()),
            Status::Ok | Status::BufError => Ok(None), // no room: it would not have become smaller
        }
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
