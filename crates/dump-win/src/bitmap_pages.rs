//! The pages of a bitmap dump: one behind the other, those whose bits are set.

use crate::bitmap::BitmapHeader;
use dump_core::{
    Absence, ByteReader, Claim, CodecSet, Content, DumpMeta, Error, ErrorKind, PageBitmap, PageReader, PageSet,
    PageSize, PageSource, Pfn, PfnRange, Push, Ranked, ReadAt, Result, Span,
};

const PAGE: PageSize = PageSize::K4;

/// Pages of a file with a bitmap that says which they are.
pub(crate) struct BitmapPages<R> {
    input: R,
    len: u64,
    held: Ranked,
    /// RAM, where that is more than what is held.
    ram: Vec<PfnRange>,
    first_page: u64,
    meta: DumpMeta,
}

impl<R: ReadAt> BitmapPages<R> {
    /// Reads the bitmap. `ram` are the runs of RAM, ascending and apart from each other, none where that is not known.
    ///
    /// # Errors
    /// What reading returns.
    pub fn new(input: R, header: &BitmapHeader, ram: Vec<PfnRange>, meta: DumpMeta) -> Result<BitmapPages<R>> {
        let len = input.len()?;
        let held = Ranked::read(input.reader().as_mut(), header.bitmap_at(), Pfn(header.bits))?;
        let last = PageSet::end_in(held.bits(), held.bits().span())?.unwrap_or_default();
        let end_pfn = ram.last().map_or(last, |run| run.end.max(last));
        Ok(BitmapPages { input, len, held, ram, first_page: header.first_page, meta: DumpMeta { end_pfn, ..meta } })
    }

    /// How many pages it means to hold.
    pub fn held(&self) -> u64 {
        self.held.bits().count(self.held.bits().span())
    }

    /// Why it ends early, if it does.
    pub fn damage(&self) -> Option<Error> {
        let end = self.first_page.saturating_add(PAGE.bytes_of(self.held()));
        (end > self.len).then(|| Error::truncated("the last page", end, self.len))
    }

    /// Where page `pfn`, which is held, begins in the file (bytes).
    fn offset(&self, pfn: Pfn) -> u64 {
        self.first_page.saturating_add(PAGE.bytes_of(self.held.rank(pfn)))
    }

    /// Pushes pages that are not held.
    fn push_absent(&self, run: PfnRange, push: Push<'_>) -> Result<()> {
        let mut push = |start: Pfn, end: Pfn, why: Absence| {
            let pages = PfnRange::new(start, end);
            if pages.is_empty() { Ok(()) } else { push(Span { pages, content: Content::Absent(why) }) }
        };
        let mut at = run.start;
        for ram in &self.ram {
            let ram = ram.intersect(PfnRange::new(at, run.end));
            if !ram.is_empty() {
                push(at, ram.start, Absence::Hole)?;
                push(ram.start, ram.end, Absence::Excluded)?;
                at = ram.end;
            }
        }
        push(at, run.end, Absence::Hole)
    }
}

impl<R: ReadAt> PageSource for BitmapPages<R> {
    fn meta(&self) -> &DumpMeta {
        &self.meta
    }

    fn mark_ram(&self, ram: &mut PageBitmap) -> Result<()> {
        self.ram.iter().for_each(|run| ram.set(*run));
        self.mark_held(ram)
    }

    fn mark_held(&self, held: &mut PageBitmap) -> Result<()> {
        let bits = self.held.bits();
        PageSet::each_run(bits, held.span(), &mut |run| {
            held.set(run);
            Ok(())
        })
    }

    fn claim(&self) -> Claim {
        let held = self.held();
        let there = self.len.saturating_sub(self.first_page) >> PAGE.shift();
        Claim { held, missing: held.saturating_sub(there) }
    }

    fn reader(&self) -> Box<dyn PageReader + '_> {
        Box::new(BitmapReader { pages: self, input: self.input.reader() })
    }
}

struct BitmapReader<'a, R> {
    pages: &'a BitmapPages<R>,
    input: Box<dyn ByteReader + 'a>,
}

impl<R: ReadAt> PageReader for BitmapReader<'_, R> {
    fn visit(&mut self, run: PfnRange, _: CodecSet, push: Push<'_>) -> Result<()> {
        let pages = self.pages;
        let bits = pages.held.bits();
        let mut at = run.start;
        for held in bits.runs(run) {
            pages.push_absent(PfnRange::new(at, held.start), push)?;
            at = held.start;
            while at < held.end {
                at = at + self.visit_some(PfnRange::new(at, held.end), push)?;
            }
        }
        pages.push_absent(PfnRange::new(at, run.end), push)
    }
}

impl<R: ReadAt> BitmapReader<'_, R> {
    /// Pushes pages at the start of `run`, all of which are held, that are alike: in a hole of the file, past its end, or
    /// neither. Returns how many.
    fn visit_some(&mut self, run: PfnRange, push: Push<'_>) -> Result<u64> {
        let offset = self.pages.offset(run.start);
        let there = self.pages.len.saturating_sub(offset) >> PAGE.shift();
        if there == 0 {
            push(Span { pages: run, content: Content::Absent(Absence::Unreadable) })?;
            return Ok(run.len());
        }
        let (pages, hole) = self.pages.input.stretch_at(offset).pages(PAGE, run.len().min(there));
        let run = PfnRange::at(run.start, pages);
        match hole {
            true => push(Span { pages: run, content: Content::Zero })?,
            false => self.push_stored(run, offset, push)?,
        }
        Ok(pages)
    }

    /// Pushes pages that lie at `offset` of the file; page by page where they cannot be read at once.
    fn push_stored(&mut self, run: PfnRange, offset: u64, push: Push<'_>) -> Result<()> {
        match self.input.view(offset, PAGE.bytes_of(run.len()) as usize) {
            Ok(bytes) => push(Span { pages: run, content: Content::Bytes(bytes) }),
            Err(e) if e.kind() == ErrorKind::Unreachable => Err(e),
            Err(_) if run.len() > 1 => {
                let mut pages = (0..run.len()).map(|i| (PfnRange::at(run.start + i, 1), offset + PAGE.bytes_of(i)));
                pages.try_for_each(|(page, offset)| self.push_stored(page, offset, push))
            }
            Err(_) => push(Span { pages: run, content: Content::Absent(Absence::Unreadable) }),
        }
    }
}
