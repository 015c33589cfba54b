//! What every source of pages promises.

use dump_core::{
    Absence, CodecSet, Content, PageBitmap, PageReader, PageSize, PageSource, Pfn, PfnRange, Span, read_pages,
};

/// What a page holds, or why nothing.
pub type Page = Result<Vec<u8>, Absence>;

/// Page `pfn`.
pub fn page_at(source: &dyn PageSource, pfn: Pfn) -> Page {
    let size = source.meta().page_size;
    let mut out = vec![0xee; size.bytes()];
    match read_pages(source.reader().as_mut(), size, PfnRange::at(pfn, 1), &mut out).unwrap() {
        None => Ok(out),
        Some(why) => Err(why),
    }
}

/// All pages below `end`, by one reader that is asked for `step` pages at a time, not compressed.
///
/// # Panics
/// Where the spans do not ascend, do not cover each run exactly, or do not have the bytes of their pages.
pub fn contents(source: &dyn PageSource, end: Pfn, step: u64) -> Vec<Page> {
    let (mut reader, size) = (source.reader(), source.meta().page_size);
    runs_of(end, step).flat_map(|run| visit(reader.as_mut(), size, run)).collect()
}

/// Checks all that a sound source promises, up to some pages past its last, and returns its pages below `end`.
///
/// It has the same pages whatever runs it is asked for (of so many pages as `steps` say), in any order, by several readers at
/// once. What it means to hold is RAM; the rest of RAM is excluded; all else is holes; nothing lies at `end_pfn` or past it; and
/// sets that do not begin at page 0 are marked as others are.
///
/// # Panics
/// Where any of that does not hold.
pub fn check_source(source: &dyn PageSource, end: Pfn, steps: &[u64]) -> Vec<Page> {
    let pages = contents(source, end, end.0.max(1));
    for step in steps {
        assert!(contents(source, end, *step) == pages, "runs of {step} pages");
        check_backwards(source, &pages, *step);
    }
    check_marks(source, &pages);
    check_past_the_end(source);
    pages
}

/// Ascending runs of `step` pages below `end`.
fn runs_of(end: Pfn, step: u64) -> impl DoubleEndedIterator<Item = PfnRange> {
    let run = move |i| PfnRange::new(Pfn(i * step), Pfn((i + 1) * step).min(end));
    (0..end.0.div_ceil(step)).map(run)
}

/// The pages of `run`.
fn visit(reader: &mut dyn PageReader, size: PageSize, run: PfnRange) -> Vec<Page> {
    let (mut out, mut next) = (Vec::new(), run.start);
    let mut push = |span: Span<'_>| {
        assert_eq!(span.pages.start, next, "spans follow each other");
        assert!(!span.pages.is_empty() && span.pages.end <= run.end, "{} in {run}", span.pages);
        next = span.pages.end;
        push_pages(span, size, &mut out);
        Ok(())
    };
    reader.visit(run, CodecSet::NONE, &mut push).unwrap();
    assert_eq!(next, run.end, "spans cover the run");
    out
}

fn push_pages(span: Span<'_>, size: PageSize, out: &mut Vec<Page>) {
    let alike = |page: Page| std::iter::repeat_n(page, span.pages.len() as usize);
    match span.content {
        Content::Bytes(bytes) => {
            assert_eq!(bytes.len() as u64, size.bytes_of(span.pages.len()), "pages {}", span.pages);
            out.extend(bytes.chunks(size.bytes()).map(|page| Ok(page.to_vec())));
        }
        Content::Zero => out.extend(alike(Ok(vec![0; size.bytes()]))),
        Content::Absent(why) => out.extend(alike(Err(why))),
        Content::Compressed { codec, .. } => {
            panic!("pages {} come compressed with {codec:?}, which nobody asked for", span.pages)
        }
    }
}

/// Later pages before earlier ones, by two readers in turns.
fn check_backwards(source: &dyn PageSource, pages: &[Page], step: u64) {
    let (mut readers, size) = ([source.reader(), source.reader()], source.meta().page_size);
    for (i, run) in runs_of(Pfn(pages.len() as u64), step).rev().enumerate() {
        let found = visit(readers[i % 2].as_mut(), size, run);
        assert!(found == pages[run.start.0 as usize..run.end.0 as usize], "{run} after those above it");
    }
}

fn check_marks(source: &dyn PageSource, pages: &[Page]) {
    let end = Pfn(pages.len() as u64);
    for mark in [PageSource::mark_ram, PageSource::mark_held] {
        let [mut all, mut upper] =
            [Pfn(0), Pfn(end.0 / 2)].map(|start| PageBitmap::windowed(PfnRange::new(start, end)).unwrap());
        mark(source, &mut all).unwrap();
        mark(source, &mut upper).unwrap();
        assert!((end.0 / 2..end.0).all(|pfn| all.get(Pfn(pfn)) == upper.get(Pfn(pfn))), "a window of pages");
        assert_eq!(all.next_set(source.meta().end_pfn), None, "pages past the last");
    }
    let [mut ram, mut held] = [(); 2].map(|()| PageBitmap::new(end).unwrap());
    source.mark_ram(&mut ram).unwrap();
    source.mark_held(&mut held).unwrap();
    for (pfn, page) in (0..).map(Pfn).zip(pages) {
        let sound = match (ram.get(pfn), held.get(pfn)) {
            (true, true) => !matches!(page, Err(Absence::Hole | Absence::Excluded)),
            (true, false) => *page == Err(Absence::Excluded),
            (false, false) => *page == Err(Absence::Hole),
            (false, true) => false,
        };
        let page = page.as_ref().map(|_| "bytes");
        assert!(sound, "page {pfn}: RAM {}, held {}, has {page:?}", ram.get(pfn), held.get(pfn));
    }
}

/// Pages past the last are holes, also where their addresses do not fit 64 bits.
fn check_past_the_end(source: &dyn PageSource) {
    let meta = source.meta();
    for start in [meta.end_pfn, Pfn(u64::MAX - 3)] {
        let past = visit(source.reader().as_mut(), meta.page_size, PfnRange::at(start, 3));
        assert!(past.iter().all(|page| *page == Err(Absence::Hole)), "pages from {start} on");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dump_core::{DumpMeta, Machine, Push, Result};

    /// Bytes in page 2, a zero page 3, an excluded page 5; page 2 may lie about its length, page 3 hide from a set.
    struct Small {
        meta: DumpMeta,
        bytes: usize,
        held: u64,
    }

    impl Small {
        fn new(bytes: usize, held: u64) -> Small {
            let meta = DumpMeta { end_pfn: Pfn(6), ..DumpMeta::new(Machine::UNKNOWN, PageSize::K4) };
            Small { meta, bytes, held }
        }

        fn content(&self, pfn: u64) -> Content<'_> {
            match pfn {
                2 => Content::Bytes(&[1; 8192][..self.bytes]),
                3 => Content::Zero,
                5 => Content::Absent(Absence::Excluded),
                _ => Content::Absent(Absence::Hole),
            }
        }
    }

    impl PageSource for Small {
        fn meta(&self) -> &DumpMeta {
            &self.meta
        }

        fn mark_ram(&self, ram: &mut PageBitmap) -> Result<()> {
            ram.set(PfnRange::at(Pfn(5), 1));
            self.mark_held(ram)
        }

        fn mark_held(&self, held: &mut PageBitmap) -> Result<()> {
            held.set(PfnRange::at(Pfn(2), self.held));
            Ok(())
        }

        fn reader(&self) -> Box<dyn PageReader + '_> {
            Box::new(SmallReader(self))
        }
    }

    struct SmallReader<'a>(&'a Small);

    impl PageReader for SmallReader<'_> {
        fn visit(&mut self, run: PfnRange, _: CodecSet, push: Push<'_>) -> Result<()> {
            (run.start.0..run.end.0)
                .try_for_each(|pfn| push(Span { pages: PfnRange::at(Pfn(pfn), 1), content: self.0.content(pfn) }))
        }
    }

    #[test]
    fn sources_that_lie_are_noticed() {
        let pages = check_source(&Small::new(4096, 2), Pfn(9), &[1, 2, 5]);
        assert_eq!((&pages[2], &pages[3]), (&Ok(vec![1; 4096]), &Ok(vec![0; 4096])));
        assert_eq!(page_at(&Small::new(4096, 2), Pfn(5)), Err(Absence::Excluded));
        for (bytes, held) in [(4095, 2), (8192, 2), (4096, 1), (4096, 3)] {
            let found = std::panic::catch_unwind(|| check_source(&Small::new(bytes, held), Pfn(9), &[1]));
            assert!(found.is_err(), "{bytes} {held}");
        }
    }
}
