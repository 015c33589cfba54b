//! Blocks of memory compressed with snappy, as AVML writes them.
//!
//! ```text
//! 32-byte header │ snappy stream, framed: all bytes of the block │ u64: length of the stream │ next header ...
//!                 └ identifier, chunk, chunk ...  each holds up to 64 KiB of memory
//! ```
//!
//! The length stands behind the stream, so where a block ends is found by walking its chunks, once, when the image is
//! opened. The walk leaves a piece for each 16 chunks: 24 bytes for a MiB of memory, or 24 MiB for a TiB. A read walks
//! at most 16 chunk headers from there and decompresses what it needs, however long the block is (AVML writes 16 MiB at
//! most today, earlier versions wrote all of a range at once).
//!
//! Source: microsoft/avml, src/image.rs and src/io/snappy.rs.

use crate::payload::Pieces;
use crate::record::Header;
use crate::snappy::{Chunk, Kind};
use dump_core::{Error, ReadAt, Result};

/// Chunks in a piece. Fewer make reads start nearer to what they want, more make the index smaller.
const CHUNKS_PER_PIECE: usize = 16;

/// Appends the pieces of the block whose stream begins at `stream`; returns where the next header stands.
///
/// # Errors
/// `Truncated` or `Corrupt` if the stream ends early or makes no sense; what came before is in `pieces`.
pub(crate) fn index(input: &dyn ReadAt, stream: u64, header: &Header, pieces: &mut Pieces) -> Result<u64> {
    if Chunk::read(input, stream)?.kind != Kind::Identifier {
        return Err(Error::corrupt(format!("no snappy stream at offset {stream:#x}")));
    }
    let mut walk = Walk { at: stream, left: header.len() };
    while walk.left > 0 {
        let from = Walk { ..walk };
        let walked = walk.chunks(input);
        pieces.push_chunks(from.at, from.left - walk.left)?;
        walked?;
    }
    let mut trailer = [0; 8];
    input.read_exact_at(walk.at, &mut trailer)?;
    let (said, found) = (u64::from_le_bytes(trailer), walk.at - stream);
    if said != found {
        let what = format!("its compressed length, at offset {:#x}, is {said:#x}, expected {found:#x}", walk.at);
        return Err(Error::corrupt(what));
    }
    Ok(walk.at + trailer.len() as u64)
}

/// A walk over the chunks of a block.
struct Walk {
    /// Where in the file (bytes).
    at: u64,
    /// Memory of the block that is still to come (bytes).
    left: u64,
}

impl Walk {
    /// Goes on by as many chunks as make a piece.
    fn chunks(&mut self, input: &dyn ReadAt) -> Result<()> {
        for _ in 0..CHUNKS_PER_PIECE {
            if self.left == 0 {
                break;
            }
            let chunk = Chunk::read(input, self.at)?;
            if chunk.memory > self.left {
                return Err(Error::corrupt(format!("the snappy chunk at offset {:#x} exceeds the range", self.at)));
            }
            self.at += chunk.len;
            self.left -= chunk.memory;
        }
        Ok(())
    }
}
