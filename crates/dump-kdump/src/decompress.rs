//! What a worker decompresses pages with.

use dump_core::Result;

use crate::codec::{CODECS, Codec, PageCodec};

/// A worker's codecs, each made when it is first needed, and room for a page.
#[derive(Default)]
pub(crate) struct Decompressor {
    codecs: [Option<Box<dyn PageCodec>>; CODECS.len()],
    page: Vec<u8>,
}

impl Decompressor {
    /// The page of `len` bytes that `bytes` are.
    ///
    /// # Errors
    /// `Corrupt` if they are none; `Unsupported` if this build leaves the codec out.
    pub(crate) fn page(&mut self, codec: &Codec, bytes: &[u8], len: usize) -> Result<&[u8]> {
        self.page.resize(len, 0);
        let decompressor = made(&mut self.codecs[codec.id.index()], codec)?;
        let done = decompressor.decompress(bytes, &mut self.page);
        done.map_err(|e| e.within(format_args!("{} bytes of {}", bytes.len(), codec.id.name())))?;
        Ok(&self.page)
    }

    /// Whether `bytes` are a page of `len` bytes, which nobody needs.
    ///
    /// # Errors
    /// As [`page`](Decompressor::page).
    pub(crate) fn verify(&mut self, codec: &Codec, bytes: &[u8], len: usize) -> Result<()> {
        match made(&mut self.codecs[codec.id.index()], codec)?.shows_page(bytes, len) {
            true => Ok(()),
            false => self.page(codec, bytes, len).map(drop),
        }
    }

    /// How many bytes the page of `len` bytes takes that `bytes` begin with, compressed with `codec`; `None` where that
    /// is none or cannot be told.
    pub(crate) fn page_len(&mut self, codec: &Codec, bytes: &[u8], len: usize) -> Option<usize> {
        self.page.resize(len, 0);
        made(&mut self.codecs[codec.id.index()], codec).ok()?.page_len(bytes, &mut self.page)
    }
}

fn made<'a>(slot: &'a mut Option<Box<dyn PageCodec>>, codec: &Codec) -> Result<&'a mut Box<dyn PageCodec>> {
    let made = match slot.take() {
        Some(made) => made,
        None => codec.creator()?(),
    };
    Ok(slot.insert(made))
}
