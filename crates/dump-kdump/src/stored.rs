//! From bytes of the file to pages.

use dump_core::{Content, Damage, Error, ErrorKind, Pfn, PfnRange, Result};

use crate::codec::Codec;
use crate::decompress::Decompressor;
use crate::fate::Fate;
use crate::head::Head;
use crate::sinks::Sinks;

/// Hands over pages whose bytes are read.
pub(crate) struct StoredPages<'a> {
    head: &'a Head,
    decompressor: Decompressor,
}

impl<'a> StoredPages<'a> {
    /// Of the file of `head`.
    pub(crate) fn new(head: &'a Head) -> StoredPages<'a> {
        StoredPages { head, decompressor: Decompressor::default() }
    }

    /// Hands over pages whose bytes follow each other in `bytes`, from page `first` on.
    pub(crate) fn push_all(&mut self, first: Pfn, fates: &[Fate], bytes: &[u8], to: &mut Sinks<'_>) -> Result<()> {
        let doubtful = if self.head.retable.is_some() { self.doubtful(fates, bytes) } else { Vec::new() };
        let mut rest = bytes;
        for (i, fate) in fates.iter().enumerate() {
            let Some((data, tail)) = rest.split_at_checked(fate.size()) else { break };
            rest = tail;
            let pfn = first + i as u64;
            match doubtful.get(i) {
                Some(true) => to.unreadable(pfn, Damage::Compressed, Error::corrupt("beside damaged data"))?,
                _ => self.push(pfn, fate, data, to)?,
            }
        }
        Ok(())
    }

    /// Which pages are not certain because data beside them are damaged, and they carry no checksum: damage is seldom
    /// of one page alone. Only looked for where a damaged file is read to save what is certain.
    fn doubtful(&mut self, fates: &[Fate], bytes: &[u8]) -> Vec<bool> {
        let (page, mut rest) = (self.head.header.page_size.bytes(), bytes);
        // whether each page decompresses, and whether a checksum says so
        let mut seen = Vec::with_capacity(fates.len());
        for fate in fates {
            let (data, tail) = rest.split_at_checked(fate.size()).unwrap_or((rest, &[]));
            rest = tail;
            let Fate::Stored { codec, .. } = fate else { continue };
            let reads = codec.is_none_or(|codec| self.decompressor.page(codec, data, page).is_ok());
            seen.push((reads, codec.is_some_and(|codec| codec.checksum.is_some())));
        }
        let mut doubtful = vec![false; seen.len()];
        for (at, _) in seen.iter().enumerate().filter(|(_, (reads, _))| !reads) {
            let without = |i: &usize| matches!(seen.get(*i), Some((true, false)));
            (at + 1..seen.len()).take_while(without).for_each(|i| doubtful[i] = true);
            (0..at).rev().take_while(without).for_each(|i| doubtful[i] = true);
        }
        doubtful
    }

    fn push(&mut self, pfn: Pfn, fate: &Fate, data: &[u8], to: &mut Sinks<'_>) -> Result<()> {
        let (run, page) = (PfnRange::at(pfn, 1), self.head.header.page_size.bytes());
        let Fate::Stored { codec, offset, .. } = fate else { return Ok(()) };
        let Some(codec) = codec else { return to.push(run, Content::Bytes(data)) };
        // decompressed also where it is passed on as it is: what is no page must not become a page of another dump
        match self.decompressor.page(codec, data, page) {
            Ok(_) if to.accept.contains(codec.id) && data.len() < page => {
                to.push(run, Content::Compressed { codec: codec.id, bytes: data })
            }
            Ok(bytes) => to.push(run, Content::Bytes(bytes)),
            Err(e) if concerns_all(&e, codec, self.head) => Err(e),
            Err(e) => to.unreadable(pfn, Damage::Compressed, within_page(e, pfn, *offset)),
        }
    }
}

/// Whether a codec's failure is that of the whole file: this build leaves out what the header says that it is
/// compressed with. A codec that the header does not speak of is one page's flipped bit.
fn concerns_all(e: &Error, codec: &Codec, head: &Head) -> bool {
    e.kind() == ErrorKind::Unsupported && head.header.main.status & codec.status_bit != 0
}

/// A failure of the page at `pfn`, whose bytes begin at `offset`.
pub(crate) fn within_page(e: Error, pfn: Pfn, offset: u64) -> Error {
    e.within(format_args!("page of pfn {pfn} at offset {offset:#x}"))
}
