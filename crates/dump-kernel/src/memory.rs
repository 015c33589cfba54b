//! Physical memory of the dumped machine.

use dump_core::{
    Absence, CodecSet, Content, Error, ErrorKind, PageReader, PageSize, PageSource, Pfn, PfnRange, PhysAddr, Result,
};

/// Physical memory by address, shared by all workers.
pub trait PhysMemory: Send + Sync {
    /// A worker's half, with the buffers that it reads through.
    fn reader(&self) -> Box<dyn PhysReader + '_>;
}

/// Physical memory as one worker reads it.
pub trait PhysReader: Send {
    /// Fills `buf` from `at` on.
    ///
    /// # Errors
    /// If a byte of it is not in the dump or cannot be read.
    fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<()>;

    /// Shows `len` bytes from `at` on to `see`, once, where they lie if that can be done, else copied.
    ///
    /// # Errors
    /// As [`read`](PhysReader::read); `see` is not called then.
    fn show(&mut self, at: PhysAddr, len: usize, see: &mut dyn FnMut(&[u8])) -> Result<()> {
        let mut buf = vec![0; len];
        self.read(at, &mut buf)?;
        see(&buf);
        Ok(())
    }
}

/// Pages asked of the source in one visit: bounds its buffers to 64 KiB for 4 KiB pages.
const PAGES_PER_VISIT: u64 = 16;

/// The pages of a source as physical memory.
pub struct SourceMemory<'a> {
    source: &'a dyn PageSource,
}

impl<'a> SourceMemory<'a> {
    /// Memory over `source`.
    pub fn new(source: &'a dyn PageSource) -> SourceMemory<'a> {
        SourceMemory { source }
    }
}

impl PhysMemory for SourceMemory<'_> {
    fn reader(&self) -> Box<dyn PhysReader + '_> {
        Box::new(SourceReader { reader: self.source.reader(), size: self.source.meta().page_size, copy: Vec::new() })
    }
}

/// A worker's half of [`SourceMemory`].
struct SourceReader<'a> {
    reader: Box<dyn PageReader + 'a>,
    size: PageSize,
    /// For bytes that the source does not hand over in one piece.
    copy: Vec<u8>,
}

impl SourceReader<'_> {
    /// Copies from the pages of `run`, `skip` bytes into the first.
    fn read_run(&mut self, run: PfnRange, skip: usize, buf: &mut [u8]) -> Result<()> {
        let size = self.size;
        let mut absent = None;
        self.reader.visit(run, CodecSet::NONE, &mut |span| {
            let start = size.bytes_of(span.pages.start - run.start) as usize;
            let end = start + size.bytes_of(span.pages.len()) as usize;
            let (from, to) = (start.max(skip), end.min(skip + buf.len()));
            if from >= to {
                return Ok(());
            }
            let out = &mut buf[from - skip..to - skip];
            match span.content {
                Content::Bytes(bytes) if bytes.len() >= to - start => {
                    out.copy_from_slice(&bytes[from - start..to - start])
                }
                Content::Zero => out.fill(0),
                Content::Absent(why) => absent = absent.or(Some((span.pages.start, why))),
                _ => absent = absent.or(Some((span.pages.start, Absence::Unreadable))),
            }
            Ok(())
        })?;
        absent.map_or(Ok(()), |(pfn, why)| Err(not_there(pfn, why)))
    }

    /// Shows bytes that the source hands over in one piece; whether it did.
    fn show_in_place(
        &mut self,
        run: PfnRange,
        bytes: std::ops::Range<usize>,
        see: &mut dyn FnMut(&[u8]),
    ) -> Result<bool> {
        let mut seen = false;
        if run.len() <= PAGES_PER_VISIT {
            self.reader.visit(run, CodecSet::NONE, &mut |span| {
                if let (Content::Bytes(all), true) = (span.content, span.pages == run) {
                    if let Some(asked) = all.get(bytes.clone()) {
                        see(asked);
                        seen = true;
                    }
                }
                Ok(())
            })?;
        }
        Ok(seen)
    }
}

fn not_there(pfn: Pfn, why: Absence) -> Error {
    let kind = match why {
        Absence::Hole => ErrorKind::NoMemory,
        Absence::Unreadable => ErrorKind::Io,
        _ => ErrorKind::MissingInfo,
    };
    Error::new(kind, format!("page frame {pfn} is not in the dump or cannot be read"))
}

impl PhysReader for SourceReader<'_> {
    fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<()> {
        let size = self.size;
        let mut pfn = size.pfn_of(at);
        let mut skip = (at.0 - size.addr_of(pfn).0) as usize;
        let mut rest = buf;
        while !rest.is_empty() {
            let pages = size.pages_for((skip + rest.len()) as u64).min(PAGES_PER_VISIT);
            let here = (size.bytes_of(pages) as usize - skip).min(rest.len());
            let (now, later) = rest.split_at_mut(here);
            self.read_run(PfnRange::at(pfn, pages), skip, now)?;
            (rest, skip, pfn) = (later, 0, pfn + pages);
        }
        Ok(())
    }

    fn show(&mut self, at: PhysAddr, len: usize, see: &mut dyn FnMut(&[u8])) -> Result<()> {
        let size = self.size;
        let first = size.pfn_of(at);
        let skip = (at.0 - size.addr_of(first).0) as usize;
        let run = PfnRange::at(first, size.pages_for((skip + len) as u64));
        if self.show_in_place(run, skip..skip + len, see)? {
            return Ok(());
        }
        // several pieces, or not all there
        let mut copy = std::mem::take(&mut self.copy);
        copy.resize(len, 0);
        let read = self.read(at, &mut copy);
        if read.is_ok() {
            see(&copy);
        }
        self.copy = copy;
        read
    }
}
