//! Made-up pages, sets of them, and notes.

use crate::source::Page;
use dump_core::{ByteOrder, CodecSet, Content, PageBitmap, PageReader, PageSize, Pfn, PfnRange, Push, Result, Span};

/// A reader of pages that a function makes, one by one.
pub struct MadePages<F>(pub F);

impl<F: FnMut(Pfn) -> Page + Send> PageReader for MadePages<F> {
    fn visit(&mut self, run: PfnRange, _: CodecSet, push: Push<'_>) -> Result<()> {
        for pfn in (run.start.0..run.end.0).map(Pfn) {
            let page = (self.0)(pfn);
            let content = page.as_ref().map_or_else(|why| Content::Absent(*why), |bytes| Content::Bytes(bytes));
            push(Span { pages: PfnRange::at(pfn, 1), content })?;
        }
        Ok(())
    }
}

/// Bytes for page `pfn`: of four pages one is zeros, one noise, two are text with a little noise.
pub fn made_page(size: PageSize, pfn: Pfn) -> Vec<u8> {
    let mut x = pfn.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut noise = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 32) as u8
    };
    match pfn.0 % 4 {
        0 => vec![0; size.bytes()],
        1 => (0..size.bytes()).map(|_| noise()).collect(),
        _ => (0..size.bytes()).map(|i| if i % 97 == 0 { noise() } else { (i / 64) as u8 | 1 }).collect(),
    }
}

/// The pages of `runs`, each from its first page to the one after its last, in a set that ends at page `end`.
pub fn set_of(runs: &[(u64, u64)], end: u64) -> PageBitmap {
    let mut set = PageBitmap::new(Pfn(end)).unwrap();
    runs.iter().for_each(|(start, end)| set.set(PfnRange::new(Pfn(*start), Pfn(*end))));
    set
}

/// A note by the layout that ELF gives it, written down a second time; `name` is taken as it is, with its NUL or without.
pub fn note(order: ByteOrder, name: &[u8], kind: u32, desc: &[u8]) -> Vec<u8> {
    let u32 = |x: usize| if order == ByteOrder::Little { (x as u32).to_le_bytes() } else { (x as u32).to_be_bytes() };
    let mut out = [u32(name.len()), u32(desc.len()), u32(kind as usize)].concat();
    for bytes in [name, desc] {
        out.extend_from_slice(bytes);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}
