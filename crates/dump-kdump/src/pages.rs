//! From descriptors to pages.
//!
//! ```text
//! for each batch of dumped pages:
//!     read their descriptors in one piece
//!     judge each: zeros, lost, faulty, or stored somewhere in the file
//!     for each stretch of pages stored behind one another:
//!         read it in one piece; hand each page over, unpacked unless the caller takes it packed
//! ```
//!
//! Writers put pages down in order, so a batch is one read of descriptors and one or few of data. Nothing is kept
//! between batches but buffers and codecs, which a [`Worker`] holds: they are set up once for each thread that reads at
//! a time.

use dump_core::{Absence, CodecId, CodecSet, Content, Error, ErrorKind, Pfn, PfnRange, ReadAt, Result, Scratch, Span};

use crate::codec::{self, PageCodec};
use crate::damage::{Damage, Fault};
use crate::desc::{PageDesc, codec_of, flags_of};
use crate::header::Header;
use crate::layout::Layout;

/// Most bytes of pages in a batch, so that its data are read at once, and most pages, so that a batch's descriptors are
/// within two pages of the file.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_PAGES: usize = 256;

/// Codecs and buffers of one thread that reads.
#[derive(Default)]
pub(crate) struct Worker {
    codecs: [Option<Box<dyn PageCodec>>; CodecId::ALL.len()],
    fates: Vec<Fate>,
    page: Vec<u8>,
}

impl Worker {
    fn codec(&mut self, id: CodecId) -> Result<&mut Box<dyn PageCodec>> {
        let slot = self.codecs.get_mut(id as usize).ok_or_else(|| codec::left_out(id))?;
        if slot.is_none() {
            *slot = codec::create(id);
        }
        slot.as_mut().ok_or_else(|| codec::left_out(id))
    }
}

/// What a descriptor means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Zero,
    Absent(Absence),
    Stored { codec: Option<CodecId>, offset: u64, size: usize },
}

impl Fate {
    /// Whether the page after this one can be handed over, or read, together with it.
    fn joins(&self, next: &Fate) -> bool {
        match (self, next) {
            (Fate::Stored { offset, size, .. }, Fate::Stored { offset: next, .. }) => {
                offset.checked_add(*size as u64) == Some(*next)
            }
            (Fate::Stored { .. }, _) | (_, Fate::Stored { .. }) => false,
            (this, next) => this == next,
        }
    }
}

/// The data of a file, as far as reading pages needs to know it.
pub(crate) struct Pages<'a> {
    pub(crate) file: &'a dyn ReadAt,
    pub(crate) file_len: u64,
    pub(crate) header: &'a Header,
    pub(crate) layout: Layout,
    /// Where a page of zeros lies that others share, as seen at opening.
    pub(crate) zero_at: Option<u64>,
}

/// Where pages and faults go.
pub(crate) struct Sinks<'a, 'b> {
    pub(crate) accept: CodecSet,
    pub(crate) push: &'a mut dyn FnMut(Span<'_>) -> Result<()>,
    pub(crate) fault: &'b mut dyn FnMut(Fault),
}

impl Sinks<'_, '_> {
    fn push(&mut self, pages: PfnRange, content: Content<'_>) -> Result<()> {
        (self.push)(Span { pages, content })
    }

    fn unreadable(&mut self, pfn: Pfn, damage: Damage, error: Error) -> Result<()> {
        (self.fault)(Fault { pfn, damage, error });
        self.push(PfnRange::at(pfn, 1), Content::Absent(Absence::Unreadable))
    }
}

impl Pages<'_> {
    /// Hands over `pages`, all of which the file means to hold; the first has descriptor number `rank`.
    pub(crate) fn visit(
        &self,
        pages: PfnRange,
        rank: u64,
        worker: &mut Worker,
        scratch: &mut Scratch,
        to: &mut Sinks<'_, '_>,
    ) -> Result<()> {
        let step = (BATCH_BYTES / self.header.page_size.bytes()).clamp(1, BATCH_PAGES) as u64;
        let mut at = pages.start;
        while at < pages.end {
            let batch = PfnRange::new(at, (at + step).min(pages.end));
            let mut fates = std::mem::take(&mut worker.fates);
            self.judge_all(batch, rank.saturating_add(at - pages.start), &mut fates, scratch, to);
            for group in fates.chunk_by(Fate::joins) {
                let run = PfnRange::at(at, group.len() as u64);
                match group.first() {
                    Some(Fate::Zero) => to.push(run, Content::Zero)?,
                    Some(Fate::Absent(why)) => to.push(run, Content::Absent(*why))?,
                    _ => self.stored(at, group, worker, scratch, to)?,
                }
                at = run.end;
            }
            worker.fates = fates;
        }
        Ok(())
    }

    /// Fills `fates` with one for each page of `batch`. Descriptors past the end of the file make their pages
    /// unreadable.
    fn judge_all(&self, batch: PfnRange, rank: u64, fates: &mut Vec<Fate>, scratch: &mut Scratch, to: &mut Sinks) {
        fates.clear();
        let size = PageDesc::SIZE as u64;
        let at = self.layout.descriptor(rank).unwrap_or(u64::MAX);
        let there = batch.len().min(self.file_len.saturating_sub(at) / size);
        let bytes = self.file.view(at, (there * size) as usize, scratch);
        let mut failed = |pfn, damage, error| {
            (to.fault)(Fault { pfn, damage, error });
            Fate::Absent(if damage == Damage::Lost { Absence::Lost } else { Absence::Unreadable })
        };
        if let Ok(bytes) = bytes {
            let mut f = PageDesc::fields(bytes, self.header.abi.order);
            let pfns = (batch.start.0..batch.end.0).map(Pfn);
            fates.extend(pfns.map_while(|pfn| Some((pfn, PageDesc::decode(&mut f).ok()?))).map(|(pfn, desc)| {
                self.judge(desc).unwrap_or_else(|(damage, what)| {
                    failed(pfn, damage, Error::corrupt(format!("page descriptor of pfn {pfn}: {what}")))
                })
            }));
        }
        for pfn in batch.start.0 + fates.len() as u64..batch.end.0 {
            let pfn = Pfn(pfn);
            let at = at.saturating_add((pfn - batch.start) * size);
            let error =
                Error::truncated(&format!("page descriptor of pfn {pfn}"), at.saturating_add(size), self.file_len);
            fates.push(failed(pfn, Damage::Table, error));
        }
    }

    /// What a descriptor means, or what is wrong with it.
    fn judge(&self, desc: PageDesc) -> std::result::Result<Fate, (Damage, String)> {
        let page = self.header.page_size.bytes();
        let PageDesc { offset, size, flags } = desc;
        if offset == 0 {
            return Err((Damage::Lost, "no offset".into()));
        }
        let codec = codec_of(flags).ok_or_else(|| (Damage::Flags, format!("unknown flags {flags:#x}")))?;
        let bytes = size as usize;
        if bytes > page || bytes == 0 || (codec.is_none() && bytes != page) {
            let kind = codec.map_or("a raw page", CodecId::name);
            return Err((Damage::Size, format!("size {size} of {kind}, block_size {page}")));
        }
        if offset.checked_add(u64::from(size)).is_none_or(|end| end > self.file_len) {
            let what = format!("offset {offset:#x} and size {size}, the file ends at {:#x}", self.file_len);
            return Err((Damage::Offset, what));
        }
        match codec {
            None if self.zero_at == Some(offset) => Ok(Fate::Zero),
            codec => Ok(Fate::Stored { codec, offset, size: bytes }),
        }
    }

    /// Hands over pages whose data follow each other, from `first` on.
    fn stored(
        &self,
        first: Pfn,
        group: &[Fate],
        worker: &mut Worker,
        scratch: &mut Scratch,
        to: &mut Sinks<'_, '_>,
    ) -> Result<()> {
        let sizes = group.iter().map(|fate| if let Fate::Stored { size, .. } = fate { *size } else { 0 });
        let Some(Fate::Stored { offset, .. }) = group.first() else { return Ok(()) };
        let bytes = match self.file.view(*offset, sizes.clone().sum(), scratch) {
            Ok(bytes) => bytes,
            Err(e) if group.len() == 1 => return to.unreadable(first, Damage::Read, within_page(e, first, *offset)),
            // One bad sector must not take the pages around it along: one by one then.
            Err(_) => {
                let mut pages = group.iter().enumerate();
                return pages.try_for_each(|(i, fate)| {
                    self.stored(first + i as u64, std::slice::from_ref(fate), worker, scratch, to)
                });
            }
        };
        let mut rest = bytes;
        for (i, (fate, size)) in group.iter().zip(sizes).enumerate() {
            let Some((data, tail)) = rest.split_at_checked(size) else { break };
            rest = tail;
            self.one(first + i as u64, fate, data, worker, to)?;
        }
        Ok(())
    }

    /// Hands over one page whose stored bytes are `data`.
    fn one(&self, pfn: Pfn, fate: &Fate, data: &[u8], worker: &mut Worker, to: &mut Sinks<'_, '_>) -> Result<()> {
        let run = PfnRange::at(pfn, 1);
        let Fate::Stored { codec, offset, .. } = fate else { return Ok(()) };
        match codec {
            None => to.push(run, Content::Bytes(data)),
            Some(codec) if to.accept.contains(*codec) && data.len() < self.header.page_size.bytes() => {
                to.push(run, Content::Packed { codec: *codec, bytes: data })
            }
            Some(codec) => {
                let mut page = std::mem::take(&mut worker.page);
                page.resize(self.header.page_size.bytes(), 0);
                let pushed = match worker.codec(*codec).and_then(|codec| codec.unpack(data, &mut page)) {
                    Ok(()) => to.push(run, Content::Bytes(&page)),
                    Err(e) if self.concerns_all(&e, *codec) => Err(e),
                    Err(e) => to.unreadable(pfn, Damage::Packed, within_page(e, pfn, *offset)),
                };
                worker.page = page;
                pushed
            }
        }
    }

    /// Whether a codec's failure is that of the whole file: this build leaves out what the header says that it is
    /// packed with. A codec that the header does not speak of is one page's flipped bit.
    fn concerns_all(&self, e: &Error, codec: CodecId) -> bool {
        e.kind() == ErrorKind::Unsupported && self.header.main.status & flags_of(Some(codec)) != 0
    }
}

fn within_page(e: Error, pfn: Pfn, offset: u64) -> Error {
    e.within(format_args!("page of pfn {pfn} at offset {offset:#x}"))
}
