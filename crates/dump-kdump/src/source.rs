//! A kdump file as a source of pages.
//!
//! Page frames are those of the file: its page number times its block size is the physical address, on every
//! architecture but one, which `frames` sees to.
//!
//! Opening reads headers, notes and the 2nd bitmap, which is held; of the 1st only the stretches that are asked about,
//! and of the descriptors only those of the pages visited.

use std::ops::Range;
use std::sync::Arc;

use dump_core::{
    Claim, Container, Depth, Description, DumpMeta, Error, LargeNotes, PageBitmap, PageChecker, PageReader, PageSize,
    PageSource, Pfn, PfnRange, Ranked, ReadAt, Result, Survey,
};

use crate::codec::Codec;
use crate::format;
use crate::head::Head;
use crate::header::Header;
use crate::layout::Layout;
use crate::reader::KdumpReader;
use crate::survey;

/// A kdump file, or one part of a split dump.
pub struct KdumpFile<R> {
    file: Arc<R>,
    head: Head,
}

impl<R: ReadAt + 'static> KdumpFile<R> {
    /// Opens a file.
    ///
    /// # Errors
    /// `BadMagic`, `Truncated` if headers or bitmaps are cut off, `Corrupt` if they contradict each other,
    /// `Unsupported`, `Io`. A file cut off later than that opens; its pages past the end are unreadable.
    pub fn open(file: R) -> Result<KdumpFile<R>> {
        let head = Head::read(&file)?;
        Ok(KdumpFile::of(file, head))
    }

    /// Opens a file of which parts are damaged, to read what is certain: see [`salvage`](crate::salvage).
    pub(crate) fn of(file: R, mut head: Head) -> KdumpFile<R> {
        let file = Arc::new(file);
        let large = LargeNotes::new(file.clone(), std::mem::take(&mut head.large_notes));
        head.meta.notes = head.meta.notes.and_large(large);
        KdumpFile { file, head }
    }
}

impl<R: ReadAt> KdumpFile<R> {
    /// Both headers as they were decoded.
    pub fn header(&self) -> &Header {
        &self.head.header
    }

    /// Where the file's areas are.
    pub fn layout(&self) -> Layout {
        self.head.layout
    }

    /// The page frames that this file answers for, where it is a part of a split dump. Pages outside are said to be
    /// excluded, though another part may have them.
    pub fn split_range(&self) -> Option<PfnRange> {
        self.head.header.sub.split.then_some(self.head.part)
    }

    /// The first page frame, as the file counts them, that is RAM.
    pub(crate) fn first_ram(&self) -> Result<Option<Pfn>> {
        self.head.first_ram(self.file.reader().as_mut())
    }

    /// The 2nd bitmap.
    pub(crate) fn held(&self) -> &Arc<Ranked> {
        &self.head.held
    }

    /// Drops this file's bitmap for an equal one.
    pub(crate) fn share_held(&mut self, held: &Arc<Ranked>) {
        self.head.held = Arc::clone(held);
    }

    /// A worker's half.
    pub(crate) fn pages(&self) -> KdumpReader<'_> {
        KdumpReader::new(&self.head, self.file.reader())
    }
}

impl<R: ReadAt> PageSource for KdumpFile<R> {
    fn meta(&self) -> &DumpMeta {
        &self.head.meta
    }

    fn mark_ram(&self, ram: &mut PageBitmap) -> Result<()> {
        self.head.ram_runs(self.file.reader().as_mut(), ram.span(), &mut |run| {
            ram.set(run);
            Ok(())
        })
    }

    fn mark_held(&self, held: &mut PageBitmap) -> Result<()> {
        for run in self.held().bits().runs(held.span().intersect(self.head.part)) {
            held.set(run);
        }
        Ok(())
    }

    fn claim(&self) -> Claim {
        self.head.claim()
    }

    fn reader(&self) -> Box<dyn PageReader + '_> {
        Box::new(self.pages())
    }
}

impl<R: ReadAt> Container for KdumpFile<R> {
    fn describe(&self) -> Description {
        let main = &self.head.header.main;
        Description {
            version: Some(main.version),
            codec: Codec::of_status(main.status).map(|codec| codec.id),
            part: self.split_range(),
            ..Description::of(format::NAME)
        }
    }

    fn damage(&self) -> Option<&Error> {
        self.head.table.trouble.as_ref()
    }

    fn mixes_pages_up(&self) -> bool {
        self.head.table.trouble.is_some() && self.head.table.mixes_pages_up
    }

    fn header_faults(&self) -> &[Error] {
        &self.head.faults
    }

    fn doubts_pages(&self) -> bool {
        self.head.doubts_pages
    }

    /// Descriptors that are not believed tell nothing.
    fn survey(&self, depth: Depth) -> Result<Survey> {
        match self.head.retable {
            Some(_) => Ok(Survey::default()),
            None => survey::survey(&self.head, self.file.reader().as_mut(), depth),
        }
    }

    fn pages_in(&self, bytes: Range<u64>) -> Result<Vec<PfnRange>> {
        survey::pages_in(&self.head, self.file.reader().as_mut(), &bytes)
    }

    fn checker(&self) -> Box<dyn PageChecker + '_> {
        Box::new(self.pages())
    }

    fn states_page_size(&self) -> bool {
        true
    }

    fn set_page_size(&mut self, _: PageSize) {}
}
