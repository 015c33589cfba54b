//! Pages out of extents of memory, whatever the extents are made of.
//!
//! ```text
//! run ─┬─ whole pages within one extent ──> as many at once as are alike: data, a hole of the file, past its end
//!      ├─ a page that no extent covers whole ──> what there is of it, the rest zeros
//!      └─ pages that no extent touches ──> excluded where they are RAM, else holes
//! ```

use crate::addr::{PageSize, Pfn, PfnRange, PhysAddr};
use crate::bitmap::PageBitmap;
use crate::bytes::{ByteReader, ReadAt};
use crate::codec::CodecSet;
use crate::error::{ErrorKind, Result};
use crate::extents::{Extent, Extents};
use crate::meta::DumpMeta;
use crate::source::{Absence, Claim, Content, PageReader, PageSource, Push, Span};
use crate::stretch::Stretch;

/// Memory that a file holds in extents.
pub trait ExtentMemory: Send + Sync {
    /// The extents.
    fn extents(&self) -> &Extents;

    /// A worker's half.
    fn reader(&self) -> Box<dyn ExtentReader + '_>;

    /// What the file has at address `addr`, which lies in `extent`.
    fn stretch_at(&self, _: &Extent, addr: u64) -> Stretch {
        Stretch::Data(u64::MAX - addr)
    }

    /// How many bytes of `extent` from `addr` on lie before the end of the file.
    fn bytes_there(&self, extent: &Extent, addr: u64) -> u64 {
        extent.end - addr
    }
}

/// A worker's half of an [`ExtentMemory`].
pub trait ExtentReader: Send {
    /// `len` bytes at address `addr`, all of which lie in `extent`.
    ///
    /// # Errors
    /// If they cannot be read or decompressed.
    fn view(&mut self, extent: &Extent, addr: u64, len: usize) -> Result<&[u8]>;
}

/// Memory that lies in the file as it is.
pub struct PlainMemory<R> {
    input: R,
    len: u64,
    extents: Extents,
}

impl<R: ReadAt> PlainMemory<R> {
    /// Memory that lies in `input` where `extents` say.
    ///
    /// # Errors
    /// As [`ReadAt::len`].
    pub fn new(input: R, extents: Extents) -> Result<PlainMemory<R>> {
        let len = input.len()?;
        Ok(PlainMemory { input, len, extents })
    }

    /// The file.
    pub fn input(&self) -> &R {
        &self.input
    }
}

fn offset(extent: &Extent, addr: u64) -> u64 {
    extent.offset.saturating_add(addr - extent.start)
}

impl<R: ReadAt> ExtentMemory for PlainMemory<R> {
    fn extents(&self) -> &Extents {
        &self.extents
    }

    fn reader(&self) -> Box<dyn ExtentReader + '_> {
        Box::new(PlainReader(self.input.reader()))
    }

    fn stretch_at(&self, extent: &Extent, addr: u64) -> Stretch {
        self.input.stretch_at(offset(extent, addr))
    }

    fn bytes_there(&self, extent: &Extent, addr: u64) -> u64 {
        self.len.saturating_sub(offset(extent, addr)).min(extent.end - addr)
    }
}

struct PlainReader<'a>(Box<dyn ByteReader + 'a>);

impl ExtentReader for PlainReader<'_> {
    fn view(&mut self, extent: &Extent, addr: u64, len: usize) -> Result<&[u8]> {
        self.0.view(offset(extent, addr), len)
    }
}

/// The pages of some memory.
pub struct ExtentPages<M> {
    memory: M,
    /// RAM where it is more than what the file has of it.
    ram: Option<Extents>,
    meta: DumpMeta,
}

impl<M: ExtentMemory> ExtentPages<M> {
    /// All the RAM there is lies in `memory`. The end of it in `meta` is computed here.
    pub fn new(memory: M, meta: DumpMeta) -> ExtentPages<M> {
        let end = memory.extents().end();
        ExtentPages { memory, ram: None, meta: ending_at(end, meta) }
    }

    /// RAM lies where `ram` says, and `memory` has a part of it; the rest was left out.
    pub fn of_ram(memory: M, ram: Extents, meta: DumpMeta) -> ExtentPages<M> {
        let end = ram.end().max(memory.extents().end());
        ExtentPages { memory, ram: Some(ram), meta: ending_at(end, meta) }
    }

    /// The memory.
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// The same memory as pages of `size`.
    pub fn set_page_size(&mut self, size: PageSize) {
        let bytes = self.meta.page_size.bytes_of(self.meta.end_pfn.0);
        (self.meta.page_size, self.meta.end_pfn) = (size, Pfn(size.pages_for(bytes)));
    }

    /// The pages that `extent` touches, in part or whole.
    fn touched(&self, extent: &Extent) -> PfnRange {
        let size = self.meta.page_size;
        PfnRange::new(size.pfn_of(PhysAddr(extent.start)), Pfn(size.pages_for(extent.end)))
    }

    fn mark(&self, extents: &Extents, set: &mut PageBitmap) {
        // a set may be one of many windows, and extents many too
        let (size, span) = (self.meta.page_size, set.span());
        let below = |extent: &&Extent| size.pfn_of(PhysAddr(extent.start)) < span.end;
        extents.from(size.addr_of(span.start).0).take_while(below).for_each(|extent| set.set(self.touched(extent)));
    }

    /// Pushes pages that no extent of the memory touches.
    fn push_absent(&self, run: PfnRange, push: Push<'_>) -> Result<()> {
        let mut push = |start: Pfn, end: Pfn, why: Absence| {
            let pages = PfnRange::new(start, end);
            if pages.is_empty() { Ok(()) } else { push(Span { pages, content: Content::Absent(why) }) }
        };
        let mut at = run.start;
        let start = self.meta.page_size.addr_of(run.start).0;
        for extent in self.ram.iter().flat_map(|ram| ram.from(start)) {
            let ram = self.touched(extent).intersect(PfnRange::new(at, run.end));
            if ram.is_empty() && self.touched(extent).start >= run.end {
                break;
            }
            if !ram.is_empty() {
                push(at, ram.start, Absence::Hole)?;
                push(ram.start, ram.end, Absence::Excluded)?;
                at = ram.end;
            }
        }
        push(at, run.end, Absence::Hole)
    }
}

fn ending_at(end: u64, meta: DumpMeta) -> DumpMeta {
    DumpMeta { end_pfn: Pfn(meta.page_size.pages_for(end)), ..meta }
}

impl<M: ExtentMemory> PageSource for ExtentPages<M> {
    fn meta(&self) -> &DumpMeta {
        &self.meta
    }

    fn mark_ram(&self, ram: &mut PageBitmap) -> Result<()> {
        self.mark(self.ram.as_ref().unwrap_or(self.memory.extents()), ram);
        Ok(())
    }

    fn mark_held(&self, held: &mut PageBitmap) -> Result<()> {
        self.mark(self.memory.extents(), held);
        Ok(())
    }

    fn claim(&self) -> Claim {
        let shift = self.meta.page_size.shift();
        self.memory.extents().iter().fold(Claim::default(), |sum, extent| {
            let there = self.memory.bytes_there(extent, extent.start);
            Claim {
                held: sum.held.saturating_add(self.touched(extent).len()),
                missing: sum.missing.saturating_add((extent.end - extent.start).saturating_sub(there) >> shift),
            }
        })
    }

    fn reader(&self) -> Box<dyn PageReader + '_> {
        Box::new(ExtentPagesReader { pages: self, memory: self.memory.reader(), page: Vec::new() })
    }
}

/// A worker's half of [`ExtentPages`].
struct ExtentPagesReader<'a, M> {
    pages: &'a ExtentPages<M>,
    memory: Box<dyn ExtentReader + 'a>,
    /// A page that is put together of pieces.
    page: Vec<u8>,
}

impl<M: ExtentMemory> PageReader for ExtentPagesReader<'_, M> {
    fn visit(&mut self, run: PfnRange, _: CodecSet, push: Push<'_>) -> Result<()> {
        let mut rest = run.intersect(PfnRange::new(Pfn(0), self.end()));
        while !rest.is_empty() {
            rest.start = rest.start + self.visit_some(rest, push)?;
        }
        let past = PfnRange::new(run.start.max(self.end()), run.end);
        self.pages.push_absent(past, push)
    }
}

impl<M: ExtentMemory> ExtentPagesReader<'_, M> {
    fn size(&self) -> PageSize {
        self.pages.meta.page_size
    }

    /// The page after the last of the memory; addresses of pages far past it may not fit 64 bits.
    fn end(&self) -> Pfn {
        Pfn(self.size().pages_for(self.pages.memory.extents().end()))
    }

    /// Pushes pages at the start of `run` that have something in common; returns how many.
    fn visit_some(&mut self, run: PfnRange, push: Push<'_>) -> Result<u64> {
        let start = self.size().addr_of(run.start).0;
        let Some(extent) = self.pages.memory.extents().from(start).next().copied() else {
            self.pages.push_absent(run, push)?;
            return Ok(run.len());
        };
        let until_next = (self.pages.touched(&extent).start - run.start).min(run.len());
        if until_next > 0 {
            self.pages.push_absent(PfnRange::at(run.start, until_next), push)?;
            return Ok(until_next);
        }
        let whole = if extent.start <= start { (extent.end - start) >> self.size().shift() } else { 0 };
        match whole.min(run.len()) {
            0 => self.push_pieces(run.start, push).map(|()| 1),
            pages => self.push_alike(&extent, PfnRange::at(run.start, pages), push),
        }
    }

    /// Pushes pages of `run`, which lies whole in `extent`, as many as are alike: in a hole of the file, past its end,
    /// or neither. Returns how many.
    fn push_alike(&mut self, extent: &Extent, run: PfnRange, push: Push<'_>) -> Result<u64> {
        let start = self.size().addr_of(run.start).0;
        let (pages, hole) = self.pages.memory.stretch_at(extent, start).pages(self.size(), run.len());
        let there = self.pages.memory.bytes_there(extent, start) >> self.size().shift();
        let (pages, content) = match (hole, there) {
            (true, _) => (pages, Some(Content::Zero)),
            (false, 0) => (run.len(), Some(Content::Absent(Absence::Unreadable))),
            (false, there) => (pages.min(there), None),
        };
        let run = PfnRange::at(run.start, pages);
        match content {
            Some(content) => push(Span { pages: run, content })?,
            None => self.push_whole(extent, run, push)?,
        }
        Ok(pages)
    }

    /// Pushes pages that lie whole in `extent`; page by page where they cannot be read at once.
    fn push_whole(&mut self, extent: &Extent, run: PfnRange, push: Push<'_>) -> Result<()> {
        let bytes = self.size().bytes_of(run.len()) as usize;
        match self.memory.view(extent, self.size().addr_of(run.start).0, bytes) {
            Ok(bytes) => push(Span { pages: run, content: Content::Bytes(bytes) }),
            Err(e) if e.kind() == ErrorKind::Unreachable => Err(e),
            Err(_) if run.len() > 1 => {
                let mut pages = (0..run.len()).map(|i| PfnRange::at(run.start + i, 1));
                pages.try_for_each(|page| self.push_whole(extent, page, push))
            }
            Err(_) => push(Span { pages: run, content: Content::Absent(Absence::Unreadable) }),
        }
    }

    /// Pushes one page that no extent covers whole: what there is of it, the rest zeros.
    fn push_pieces(&mut self, pfn: Pfn, push: Push<'_>) -> Result<()> {
        let start = self.size().addr_of(pfn).0;
        let end = start.saturating_add(self.size().bytes() as u64); // the last page of all ends with the address space
        self.page.clear();
        self.page.resize(self.size().bytes(), 0);
        let mut unreadable = false;
        for extent in self.pages.memory.extents().overlapping(start..end) {
            let (from, to) = (extent.start.max(start), extent.end.min(end));
            match self.memory.view(extent, from, (to - from) as usize) {
                Ok(bytes) => self.page[(from - start) as usize..(to - start) as usize].copy_from_slice(bytes),
                Err(e) if e.kind() == ErrorKind::Unreachable => return Err(e),
                Err(_) => unreadable = true,
            }
        }
        let content = match unreadable {
            true => Content::Absent(Absence::Unreadable),
            false => Content::Bytes(&self.page),
        };
        push(Span { pages: PfnRange::at(pfn, 1), content })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    /// Physical byte `addr` holds this; extents lie in a file in turn.
    fn byte(addr: u64) -> u8 {
        (addr.wrapping_mul(0x9e37_79b9) >> 13) as u8 | 1
    }

    fn plain(input: Vec<u8>, list: Vec<Extent>) -> PlainMemory<Vec<u8>> {
        PlainMemory::new(input, Extents::disjoint(list).unwrap()).unwrap()
    }

    fn meta() -> DumpMeta {
        DumpMeta::new(Machine::UNKNOWN, PageSize::K4)
    }

    /// Memory of `ranges`, of whose bytes the file has `len` at most.
    fn memory(ranges: &[(u64, u64)], len: usize) -> PlainMemory<Vec<u8>> {
        let (mut input, mut list) = (vec![0; 7], Vec::new());
        for (start, end) in ranges {
            list.push(Extent { start: *start, end: *end, offset: <[u8]>::len(&input) as u64 });
            input.extend((*start..*end).map(byte));
        }
        input.truncate(len);
        plain(input, list)
    }

    /// Spans as (first page, pages, what), their bytes checked.
    fn spans(source: &ExtentPages<PlainMemory<Vec<u8>>>, run: PfnRange) -> Vec<(u64, u64, &'static str)> {
        let held = |addr| source.memory.extents.overlapping(addr..addr + 1).next().is_some();
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
                Content::Absent(Absence::Excluded) => "excluded",
                Content::Absent(Absence::Unreadable) => "bad",
                other => panic!("{other:?}"),
            };
            out.push((span.pages.start.0, span.pages.len(), what));
            Ok(())
        };
        source.reader().visit(run, CodecSet::NONE, &mut push).unwrap();
        assert_eq!(next, run.end);
        out
    }

    fn all(end: u64) -> PfnRange {
        PfnRange::new(Pfn(0), Pfn(end))
    }

    #[test]
    fn whole_pages_fractions_and_holes() {
        let ranges = [(0x1000, 0x3400), (0x3800, 0x3900), (0x3900, 0x6000), (0x6000, 0x8000), (0x20_0000, 0x20_0010)];
        let source = ExtentPages::new(memory(&ranges, usize::MAX), meta());
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
        assert_eq!(spans(&source, all(0x300)), want);
        assert_eq!(spans(&source, PfnRange::new(Pfn(5), Pfn(7))), [(5, 1, "bytes"), (6, 1, "bytes")]);
        let far = PfnRange::new(Pfn(u64::MAX - 3), Pfn(u64::MAX));
        assert_eq!(spans(&source, far), [(far.start.0, 3, "hole")]);
        assert_eq!(source.meta().end_pfn, Pfn(0x201));
        let mut set = PageBitmap::new(Pfn(0x300)).unwrap();
        source.mark_held(&mut set).unwrap();
        assert_eq!(set.runs(all(0x300)).collect::<Vec<_>>(), [PfnRange::at(Pfn(1), 7), PfnRange::at(Pfn(0x200), 1)]);
    }

    #[test]
    fn ram_of_which_the_file_has_a_part() {
        let ram = [(0, 0x3000), (0x3000, 0x3800), (0x6000, 0x9000), (0x40_0000, 0x40_1000)];
        let ram = ram.map(|(start, end)| Extent { start, end, offset: 0 });
        let held = memory(&[(0x1000, 0x2000), (0x7000, 0x8000)], usize::MAX);
        let source = ExtentPages::of_ram(held, Extents::disjoint(ram.to_vec()).unwrap(), meta());
        let joined = |run| {
            let mut list: Vec<(u64, u64, &str)> = Vec::new();
            for (start, pages, what) in spans(&source, run) {
                match list.last_mut() {
                    Some(last) if last.2 == what => last.1 += pages,
                    _ => list.push((start, pages, what)),
                }
            }
            list
        };
        let want = [
            (0, 1, "excluded"),
            (1, 1, "bytes"),
            (2, 2, "excluded"),
            (4, 2, "hole"),
            (6, 1, "excluded"),
            (7, 1, "bytes"),
            (8, 1, "excluded"),
            (9, 0x3f7, "hole"),
            (0x400, 1, "excluded"),
            (0x401, 0xff, "hole"),
        ];
        assert_eq!(joined(all(0x500)), want);
        assert_eq!(joined(PfnRange::new(Pfn(0x100), Pfn(0x200))), [(0x100, 0x100, "hole")]);
        assert_eq!(source.meta().end_pfn, Pfn(0x401));
    }

    #[test]
    fn pages_that_cannot_be_read() {
        let source = ExtentPages::new(memory(&[(0, 0x4000), (0x4800, 0x5000)], 7 + 0x2800), meta());
        let want = [(0, 2, "bytes"), (2, 2, "bad"), (4, 1, "bad")];
        assert_eq!(spans(&source, all(5)), want);
        assert_eq!(source.claim(), Claim { held: 5, missing: 1 }, "a page of which there is a part is not missing");
    }

    #[test]
    fn memory_up_to_the_last_address() {
        let last = u64::MAX - 0x1fff;
        let memory = plain(vec![3; 0x1fff], vec![Extent { start: last, end: u64::MAX, offset: 0 }]);
        let mut seen = Vec::new();
        let mut push = |span: Span<'_>| {
            if let Content::Bytes(bytes) = span.content {
                seen.extend_from_slice(bytes);
            }
            Ok(())
        };
        let source = ExtentPages::new(memory, meta());
        let run = PfnRange::new(Pfn(last >> 12), Pfn(1 << 52));
        source.reader().visit(run, CodecSet::NONE, &mut push).unwrap();
        assert_eq!((seen.len(), seen.iter().filter(|byte| **byte == 3).count()), (0x2000, 0x1fff));
    }
}
