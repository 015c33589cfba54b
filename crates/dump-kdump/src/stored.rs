//! From bytes of the file to pages.

use dump_core::{ByteReader, Content, Damage, Error, ErrorKind, Pfn, PfnRange, Result};

use crate::beside::{self, Shown};
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

/// How many pages away damaged data are that nothing parts from pages in question.
#[derive(Clone, Copy)]
pub(crate) struct Beside {
    /// From the first of them.
    before: Option<u64>,
    /// From the last.
    after: Option<u64>,
}

impl<'a> StoredPages<'a> {
    /// Of the file of `head`.
    pub(crate) fn new(head: &'a Head) -> StoredPages<'a> {
        StoredPages { head, decompressor: Decompressor::default() }
    }

    /// Hands over pages whose bytes follow each other in `bytes`, from page `first` on; those that are not certain,
    /// where any is, are lost.
    pub(crate) fn push_all(
        &mut self,
        first: Pfn,
        fates: &[Fate],
        bytes: &[u8],
        beside: Option<Beside>,
        to: &mut Sinks<'_>,
    ) -> Result<()> {
        let doubtful = beside.map_or_else(Vec::new, |beside| self.doubtful(fates, bytes, beside));
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

    /// Looks for damage beside the pages whose data follow each other, and of which the first has descriptor `rank`,
    /// where a damaged file is read to save what is certain.
    pub(crate) fn beside(&mut self, rank: u64, fates: &[Fate], input: &mut dyn ByteReader) -> Option<Beside> {
        self.head.retable.as_ref()?;
        let (Some(Fate::Stored { codec: first, offset, .. }), Some(Fate::Stored { codec: last, offset: start, size })) =
            (fates.first(), fates.last())
        else {
            return None;
        };
        let (head, decompressor) = (self.head, &mut self.decompressor);
        // a checksum answers for its page
        let asks = |codec: &Option<&Codec>| codec.is_none_or(|codec| codec.checksum.is_none());
        let before = asks(first).then(|| beside::before(head, input, decompressor, rank, *offset)).flatten();
        let (rank, end) = (rank + fates.len() as u64 - 1, start.saturating_add(*size as u64));
        let after = asks(last).then(|| beside::after(head, input, decompressor, rank, end)).flatten();
        Some(Beside { before, after })
    }

    fn doubtful(&mut self, fates: &[Fate], bytes: &[u8], beside: Beside) -> Vec<bool> {
        let (page, mut rest) = (self.head.header.page_size.bytes(), bytes);
        let mut shown = Vec::with_capacity(fates.len());
        for fate in fates {
            let (data, tail) = rest.split_at_checked(fate.size()).unwrap_or((rest, &[]));
            rest = tail;
            let Fate::Stored { codec, .. } = fate else { continue };
            shown.push(Shown::by(*codec, data, page, &mut self.decompressor));
        }
        beside::doubtful(&shown, beside.before, beside.after)
    }

    fn push(&mut self, pfn: Pfn, fate: &Fate, data: &[u8], to: &mut Sinks<'_>) -> Result<()> {
        let (run, page) = (PfnRange::at(pfn, 1), self.head.header.page_size.bytes());
        let Fate::Stored { codec, offset, .. } = fate else { return Ok(()) };
        let Some(codec) = codec else { return to.push(run, Content::Bytes(data)) };
        // looked at also where it is passed on as it is: what is no page must not become a page of another dump
        let content = match to.accept.contains(codec.id) && data.len() < page {
            true => {
                let passed_on = Content::Compressed { codec: codec.id, bytes: data };
                self.decompressor.verify(codec, data, page).map(|()| passed_on)
            }
            false => self.decompressor.page(codec, data, page).map(Content::Bytes),
        };
        match content {
            Ok(content) => to.push(run, content),
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
