//! The codec that a new file is written with.

use dump_core::{BlockEncoder, CodecId, Error, PageSize, Result};

use crate::codec::{Codec, CreateCodec};
use crate::encoder::CompressingEncoder;

/// A codec that this build has.
#[derive(Clone, Copy)]
pub(crate) struct Compression {
    /// Its row.
    pub(crate) codec: &'static Codec,
    create: CreateCodec,
}

impl Compression {
    /// The codec of that id.
    ///
    /// # Errors
    /// `Unsupported` if kdump files cannot have it, or this build leaves it out.
    pub(crate) fn of(id: CodecId) -> Result<Compression> {
        let unknown = || Error::unsupported(format!("kdump files cannot have pages compressed with {}", id.name()));
        let codec = Codec::of(id).ok_or_else(unknown)?;
        Ok(Compression { codec, create: codec.creator()? })
    }

    /// A worker's half of the writer.
    pub(crate) fn encoder(self, page_size: PageSize) -> Box<dyn BlockEncoder> {
        Box::new(CompressingEncoder::new(page_size, self.codec.id, (self.create)()))
    }
}
