//! Memory with some bytes other than they are: what a dump is to have that the machine had not.

use dump_core::{
    Claim, CodecSet, Content, DumpMeta, PageBitmap, PageReader, PageSize, PageSource, Pfn, PfnRange, PhysAddr, Push,
    Result, Span, read_pages,
};
use std::collections::BTreeMap;

/// Bytes by physical address. They lie within one page each, and not over one another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patches(BTreeMap<u64, Vec<u8>>);

impl Patches {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds `bytes` at physical address `at`, in place of what was added there before.
    pub fn put(&mut self, at: u64, bytes: &[u8]) {
        self.0.insert(at, bytes.to_vec());
    }

    /// The bytes, ascending by their address.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.0.iter().map(|(at, bytes)| (*at, bytes.as_slice()))
    }

    /// The pages of `run` that are touched, ascending.
    fn pages(&self, run: PfnRange, size: PageSize) -> Vec<Pfn> {
        // pages far past the end of memory have no address of 64 bits
        let address = |pfn: Pfn| pfn.0.saturating_mul(size.bytes() as u64);
        let (start, end) = (address(run.start), address(run.end));
        let mut pages: Vec<Pfn> = self.0.range(start..end).map(|(at, _)| size.pfn_of(PhysAddr(*at))).collect();
        pages.dedup();
        pages
    }

    fn apply(&self, pfn: Pfn, page: &mut [u8], size: PageSize) {
        let start = size.addr_of(pfn).0;
        for (at, bytes) in self.0.range(start..start.saturating_add(page.len() as u64)) {
            let from = (at - start) as usize;
            let len = bytes.len().min(page.len() - from);
            page[from..from + len].copy_from_slice(&bytes[..len]);
        }
    }
}

/// Memory with patches. What is absent stays so.
pub struct Patched {
    source: Box<dyn PageSource>,
    patches: Patches,
}

impl Patched {
    /// `source` with `patches`.
    pub fn new(source: Box<dyn PageSource>, patches: Patches) -> Patched {
        Patched { source, patches }
    }
}

impl PageSource for Patched {
    fn meta(&self) -> &DumpMeta {
        self.source.meta()
    }

    fn mark_ram(&self, ram: &mut PageBitmap) -> Result<()> {
        self.source.mark_ram(ram)
    }

    fn mark_held(&self, held: &mut PageBitmap) -> Result<()> {
        self.source.mark_held(held)
    }

    fn claim(&self) -> Claim {
        self.source.claim()
    }

    fn reader(&self) -> Box<dyn PageReader + '_> {
        Box::new(PatchedReader { memory: self, reader: self.source.reader(), page: Vec::new() })
    }
}

struct PatchedReader<'a> {
    memory: &'a Patched,
    reader: Box<dyn PageReader + 'a>,
    page: Vec<u8>,
}

impl PageReader for PatchedReader<'_> {
    fn visit(&mut self, run: PfnRange, accept: CodecSet, push: Push<'_>) -> Result<()> {
        let size = self.memory.meta().page_size;
        let mut at = run.start;
        for pfn in self.memory.patches.pages(run, size) {
            self.rest(PfnRange::new(at, pfn), accept, push)?;
            self.patched(pfn, size, push)?;
            at = pfn + 1;
        }
        self.rest(PfnRange::new(at, run.end), accept, push)
    }
}

impl PatchedReader<'_> {
    fn rest(&mut self, run: PfnRange, accept: CodecSet, push: Push<'_>) -> Result<()> {
        if run.is_empty() { Ok(()) } else { self.reader.visit(run, accept, push) }
    }

    fn patched(&mut self, pfn: Pfn, size: PageSize, push: Push<'_>) -> Result<()> {
        let pages = PfnRange::at(pfn, 1);
        self.page.resize(size.bytes(), 0);
        let content = match read_pages(self.reader.as_mut(), size, pages, &mut self.page)? {
            Some(absence) => Content::Absent(absence),
            None => {
                self.memory.patches.apply(pfn, &mut self.page, size);
                Content::Bytes(&self.page)
            }
        };
        push(Span { pages, content })
    }
}
