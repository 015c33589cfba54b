//! Pages out of ranges of memory, whatever the ranges are made of.

use crate::extents::{Extent, Extents};
use dump_core::{
    Absence, Content, PageBitmap, PageSize, Pfn, PfnRange, PhysAddr, ReadAt, Result, Scratch, Span, Stretch,
};

/// Memory that a file holds in ranges.
pub(crate) trait Memory {
    /// The ranges; together they are all the memory there is.
    fn extents(&self) -> &Extents;

    /// Fills `out` with the bytes at address `addr` on, all of which lie in `extent`.
    ///
    /// # Errors
    /// Where they cannot be read or unpacked.
    fn read(&self, extent: &Extent, addr: u64, out: &mut [u8]) -> Result<()>;

    /// `len` bytes at address `addr`, all of which lie in `extent`, borrowed where the file is mapped.
    ///
    /// # Errors
    /// As [`read`](Memory::read).
    fn view<'a>(&'a self, extent: &Extent, addr: u64, len: usize, scratch: &'a mut Scratch) -> Result<&'a [u8]> {
        let out = scratch.take(len);
        self.read(extent, addr, out)?;
        Ok(out)
    }

    /// What the file has at address `addr`, which lies in `extent`.
    fn stretch_at(&self, _: &Extent, addr: u64) -> Stretch {
        Stretch::Data(u64::MAX - addr)
    }
}

/// Memory that lies in the file as it is.
pub(crate) struct Plain<R> {
    pub input: R,
    pub extents: Extents,
}

impl<R: ReadAt> Memory for Plain<R> {
    fn extents(&self) -> &Extents {
        &self.extents
    }

    fn read(&self, extent: &Extent, addr: u64, out: &mut [u8]) -> Result<()> {
        self.input.read_exact_at(extent.offset + (addr - extent.start), out)
    }

    fn view<'a>(&'a self, extent: &Extent, addr: u64, len: usize, scratch: &'a mut Scratch) -> Result<&'a [u8]> {
        self.input.view(extent.offset + (addr - extent.start), len, scratch)
    }

    fn stretch_at(&self, extent: &Extent, addr: u64) -> Stretch {
        self.input.stretch_at(extent.offset + (addr - extent.start))
    }
}

pub(crate) type Push<'p> = &'p mut dyn FnMut(Span<'_>) -> Result<()>;

/// The pages of some memory.
pub(crate) struct Pages<'a> {
    pub memory: &'a dyn Memory,
    pub size: PageSize,
}

impl Pages<'_> {
    /// Puts all pages of which a byte is there into `set`.
    pub fn mark(&self, set: &mut PageBitmap) {
        self.memory.extents().iter().for_each(|extent| set.set(self.touched(extent)));
    }

    /// Pushes the pages of `run`: whole ones as many at once as lie in one range, others one by one.
    pub fn visit(&self, run: PfnRange, scratch: &mut Scratch, push: Push<'_>) -> Result<()> {
        // Addresses of pages far past the end may not fit 64 bits.
        let end = Pfn(self.size.pages_for(self.memory.extents().end()));
        let mut rest = run.intersect(PfnRange::new(Pfn(0), end));
        while !rest.is_empty() {
            rest.start = rest.start + self.visit_some(rest, scratch, push)?;
        }
        let past = PfnRange::new(run.start.max(end), run.end);
        if past.is_empty() { Ok(()) } else { push(hole(past)) }
    }

    /// Pushes pages at the start of `run` that have something in common; returns how many.
    fn visit_some(&self, run: PfnRange, scratch: &mut Scratch, push: Push<'_>) -> Result<u64> {
        let start = self.size.addr_of(run.start).0;
        let Some(extent) = self.memory.extents().from(start).next() else {
            push(hole(run))?;
            return Ok(run.len());
        };
        let until_next = (self.touched(extent).start - run.start).min(run.len());
        if until_next > 0 {
            push(hole(PfnRange::at(run.start, until_next)))?;
            return Ok(until_next);
        }
        let whole = if extent.start <= start { (extent.end - start) >> self.size.shift() } else { 0 };
        match whole.min(run.len()) {
            0 => self.push_pieces(run.start, scratch, push).map(|()| 1),
            pages => self.push_alike(extent, PfnRange::at(run.start, pages), scratch, push),
        }
    }

    /// Pushes pages of `run`, which lies whole in `extent`, as many as are alike: in a hole of the file or not. Returns how
    /// many.
    fn push_alike(&self, extent: &Extent, run: PfnRange, scratch: &mut Scratch, push: Push<'_>) -> Result<u64> {
        let stretch = self.memory.stretch_at(extent, self.size.addr_of(run.start).0);
        let (pages, hole) = stretch.pages(self.size, run.len());
        let run = PfnRange::at(run.start, pages);
        match hole {
            true => push(Span { pages: run, content: Content::Zero })?,
            false => self.push_whole(extent, run, scratch, push)?,
        }
        Ok(pages)
    }

    /// Pushes pages that lie whole in `extent`; page by page where they cannot be read at once.
    fn push_whole(&self, extent: &Extent, run: PfnRange, scratch: &mut Scratch, push: Push<'_>) -> Result<()> {
        let bytes = self.size.bytes_of(run.len()) as usize;
        match self.memory.view(extent, self.size.addr_of(run.start).0, bytes, scratch) {
            Ok(bytes) => push(Span { pages: run, content: Content::Bytes(bytes) }),
            Err(_) if run.len() > 1 => {
                let mut pages = (0..run.len()).map(|i| PfnRange::at(run.start + i, 1));
                pages.try_for_each(|page| self.push_whole(extent, page, scratch, push))
            }
            Err(_) => push(Span { pages: run, content: Content::Absent(Absence::Unreadable) }),
        }
    }

    /// Pushes one page that no range covers whole: what there is of it, the rest zeros.
    fn push_pieces(&self, pfn: Pfn, scratch: &mut Scratch, push: Push<'_>) -> Result<()> {
        let start = self.size.addr_of(pfn).0;
        let end = start.saturating_add(self.size.bytes() as u64);
        let page = scratch.take(self.size.bytes());
        page.fill(0);
        let mut content = Ok(());
        for extent in self.memory.extents().overlapping(start..end) {
            let (from, to) = (extent.start.max(start), extent.end.min(end));
            let out = &mut page[(from - start) as usize..(to - start) as usize];
            content = content.and_then(|()| self.memory.read(extent, from, out));
        }
        let content = content.map_or(Content::Absent(Absence::Unreadable), |()| Content::Bytes(page));
        push(Span { pages: PfnRange::at(pfn, 1), content })
    }

    /// The pages that `extent` touches, in part or whole.
    fn touched(&self, extent: &Extent) -> PfnRange {
        PfnRange::new(self.size.pfn_of(PhysAddr(extent.start)), Pfn(self.size.pages_for(extent.end)))
    }
}

fn hole(pages: PfnRange) -> Span<'static> {
    Span { pages, content: Content::Absent(Absence::Hole) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Physical byte `addr` holds this; extents lie in a file in turn.
    fn byte(addr: u64) -> u8 {
        (addr.wrapping_mul(0x9e37_79b9) >> 13) as u8 | 1
    }

    fn memory(ranges: &[(u64, u64)]) -> Plain<Vec<u8>> {
        let (mut input, mut list) = (vec![0; 7], Vec::new());
        for (start, end) in ranges {
            list.push(Extent { start: *start, end: *end, offset: <[u8]>::len(&input) as u64 });
            input.extend((*start..*end).map(byte));
        }
        Plain { input, extents: Extents::new(list).unwrap() }
    }

    /// Spans as (first page, pages, what), their bytes checked.
    fn spans(memory: &Plain<Vec<u8>>, run: PfnRange) -> Vec<(u64, u64, &'static str)> {
        let held = |addr| memory.extents.overlapping(addr..addr + 1).next().is_some();
        let pages = Pages { memory, size: PageSize::K4 };
        let mut out = Vec::new();
        let mut next = run.start;
        let mut push = |span: Span<'_>| {
            assert_eq!(span.pages.start, next);
            next = span.pages.end;
            let what = match span.content {
                Content::Bytes(bytes) => {
                    let start = span.pages.start.0 * 4096;
                    for (addr, got) in (start..).zip(bytes) {
                        assert_eq!(*got, if held(addr) { byte(addr) } else { 0 }, "address {addr:#x}");
                    }
                    assert_eq!(bytes.len() as u64, span.pages.len() * 4096);
                    "bytes"
                }
                Content::Absent(Absence::Hole) => "hole",
                Content::Absent(Absence::Unreadable) => "bad",
                other => panic!("{other:?}"),
            };
            out.push((span.pages.start.0, span.pages.len(), what));
            Ok(())
        };
        pages.visit(run, &mut Scratch::default(), &mut push).unwrap();
        assert_eq!(next, run.end);
        out
    }

    fn all(end: u64) -> PfnRange {
        PfnRange::new(Pfn(0), Pfn(end))
    }

    #[test]
    fn whole_pages_fractions_and_holes() {
        let mem =
            memory(&[(0x1000, 0x3400), (0x3800, 0x3900), (0x3900, 0x6000), (0x6000, 0x8000), (0x20_0000, 0x20_0010)]);
        let want = [
            (0, 1, "hole"),
            (1, 2, "bytes"),
            (3, 1, "bytes"),
            (4, 2, "bytes"),
            (6, 2, "bytes"),
            (8, 0x1f8, "hole"),
            (0x200, 1, "bytes"),
            (0x201, 0xff, "hole"),
        ];
        assert_eq!(spans(&mem, all(0x300)), want);
        assert_eq!(spans(&mem, PfnRange::new(Pfn(5), Pfn(7))), [(5, 1, "bytes"), (6, 1, "bytes")]);
        let far = PfnRange::new(Pfn(u64::MAX - 3), Pfn(u64::MAX));
        assert_eq!(spans(&mem, far), [(far.start.0, 3, "hole")]);
        let mut set = PageBitmap::new(Pfn(0x300)).unwrap();
        Pages { memory: &mem, size: PageSize::K4 }.mark(&mut set);
        assert_eq!(set.runs(all(0x300)).collect::<Vec<_>>(), [PfnRange::at(Pfn(1), 7), PfnRange::at(Pfn(0x200), 1)]);
    }

    #[test]
    fn pages_that_cannot_be_read() {
        let mut mem = memory(&[(0, 0x4000), (0x4800, 0x5000)]);
        mem.input.truncate(7 + 0x2800);
        let want = [(0, 1, "bytes"), (1, 1, "bytes"), (2, 1, "bad"), (3, 1, "bad"), (4, 1, "bad")];
        assert_eq!(spans(&mem, all(5)), want);
    }

    #[test]
    fn memory_up_to_the_last_address() {
        let last = u64::MAX - 0x1fff;
        let mem = Plain {
            input: vec![3; 0x1fff],
            extents: Extents::new(vec![Extent { start: last, end: u64::MAX, offset: 0 }]).unwrap(),
        };
        let mut seen = Vec::new();
        let mut push = |span: Span<'_>| {
            if let Content::Bytes(bytes) = span.content {
                seen.extend_from_slice(bytes);
            }
            Ok(())
        };
        let pages = Pages { memory: &mem, size: PageSize::K4 };
        pages.visit(PfnRange::new(Pfn(last >> 12), Pfn(1 << 52)), &mut Scratch::default(), &mut push).unwrap();
        assert_eq!((seen.len(), seen.iter().filter(|byte| **byte == 3).count()), (0x2000, 0x1fff));
    }
}
