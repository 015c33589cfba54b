//! Physical memory of the dumped machine.

use dump_core::{CodecSet, Content, Error, ErrorKind, PageSource, Pfn, PfnRange, PhysAddr, Result, Scratch};
use std::sync::Mutex;

/// Physical memory by address.
pub trait PhysMemory: Send + Sync {
    /// Fills `buf` from `at` on.
    ///
    /// # Errors
    /// Where a byte of it is not in the dump or cannot be read.
    fn read(&self, at: PhysAddr, buf: &mut [u8]) -> Result<()>;

    /// Shows `len` bytes from `at` on to `see`, once, where they lie if that can be done, else copied to `scratch`.
    ///
    /// # Errors
    /// As [`read`](PhysMemory::read); `see` is not called then.
    fn show(&self, at: PhysAddr, len: usize, scratch: &mut Scratch, see: &mut dyn FnMut(&[u8])) -> Result<()> {
        let buf = scratch.take(len);
        self.read(at, buf)?;
        see(buf);
        Ok(())
    }
}

/// Pages asked of the source at a time: bounds its scratch memory to 64 KiB for 4 KiB pages.
const PAGES_AT_ONCE: u64 = 16;

/// The pages of a source as physical memory.
pub struct SourceMemory<'a> {
    source: &'a dyn PageSource,
    scratches: Mutex<Vec<Scratch>>,
}

impl<'a> SourceMemory<'a> {
    /// Memory over `source`.
    pub fn new(source: &'a dyn PageSource) -> SourceMemory<'a> {
        SourceMemory { source, scratches: Mutex::default() }
    }

    /// Copies from the pages of `run`, `skip` bytes into the first.
    fn read_run(&self, run: PfnRange, skip: usize, buf: &mut [u8], scratch: &mut Scratch) -> Result<()> {
        let size = self.source.meta().page_size;
        let mut missing = None;
        self.source.visit(run, CodecSet::NONE, scratch, &mut |span| {
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
                _ => missing = missing.or(Some(span.pages.start)),
            }
            Ok(())
        })?;
        missing.map_or(Ok(()), |pfn| Err(not_there(pfn)))
    }
}

fn not_there(pfn: Pfn) -> Error {
    Error::new(ErrorKind::MissingInfo, format!("page frame {pfn} is not in the dump or cannot be read"))
}

impl PhysMemory for SourceMemory<'_> {
    fn read(&self, at: PhysAddr, buf: &mut [u8]) -> Result<()> {
        let size = self.source.meta().page_size;
        let mut scratch = self.scratches.lock().ok().and_then(|mut pool| pool.pop()).unwrap_or_default();
        let mut pfn = size.pfn_of(at);
        let mut skip = (at.0 - size.addr_of(pfn).0) as usize;
        let mut rest = buf;
        while !rest.is_empty() {
            let pages = size.pages_for((skip + rest.len()) as u64).min(PAGES_AT_ONCE);
            let here = (size.bytes_of(pages) as usize - skip).min(rest.len());
            let (now, later) = rest.split_at_mut(here);
            self.read_run(PfnRange::at(pfn, pages), skip, now, &mut scratch)?;
            (rest, skip, pfn) = (later, 0, pfn + pages);
        }
        if let Ok(mut pool) = self.scratches.lock() {
            pool.push(scratch);
        }
        Ok(())
    }

    fn show(&self, at: PhysAddr, len: usize, scratch: &mut Scratch, see: &mut dyn FnMut(&[u8])) -> Result<()> {
        let size = self.source.meta().page_size;
        let first = size.pfn_of(at);
        let skip = (at.0 - size.addr_of(first).0) as usize;
        let run = PfnRange::at(first, size.pages_for((skip + len) as u64));
        let mut seen = false;
        if run.len() <= PAGES_AT_ONCE {
            self.source.visit(run, CodecSet::NONE, scratch, &mut |span| {
                if let (Content::Bytes(bytes), true) = (span.content, span.pages == run) {
                    if let Some(bytes) = bytes.get(skip..skip + len) {
                        see(bytes);
                        seen = true;
                    }
                }
                Ok(())
            })?;
        }
        if !seen {
            // in pieces, or not all there
            let buf = scratch.take(len);
            self.read(at, buf)?;
            see(buf);
        }
        Ok(())
    }
}
