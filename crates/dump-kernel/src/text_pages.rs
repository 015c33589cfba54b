//! What the struct pages of the kernel's own text say of the keys by which struct pages are read.
//!
//! Only the boot code writes them, and every release leaves them alike (`__init_single_page()` and `init_reserved_page()`
//! of Linux, mm/mm_init.c, before 6.4 mm/page_alloc.c): not mapped, without a mapping, on no list, no flag but PG_reserved
//! beside the numbers of their zone, node and section. Where they do not look so, a key is wrong.

use crate::era::PageRules;
use crate::kernel::Kernel;
use crate::mem_map::{MemMap, MemoryModel};
use crate::memory::PhysMemory;
use crate::symbols::KernelSymbols;
use dump_core::{Error, Pfn, Result, VirtAddr, is_zero};

/// How much of the text is looked at (bytes): no kernel has less.
const TEXT: u64 = 1 << 20;

/// Fewer struct pages say nothing.
const FEW: usize = 8;

/// A key, and whether the struct page of a page of text is as that key says that it is.
type Question = (&'static str, fn(&TextPage<'_>) -> bool);

const QUESTIONS: [Question; 7] = [
    ("OFFSET(page._mapcount)", |page| page.rules.mapcount == 0 || page.u32(page.rules.mapcount) == u32::MAX),
    // free pages alone have none
    ("OFFSET(page._refcount)", |page| page.rules.refcount.is_none_or(|at| page.u32(at) <= 1)),
    ("OFFSET(page.mapping)", |page| page.word(page.rules.mapping) == 0),
    ("NUMBER(PG_lru)", |page| !page.has(page.rules.lru)),
    ("NUMBER(PG_slab)", |page| !page.has(page.rules.slab_flag)),
    ("NUMBER(PG_head_mask)", |page| !page.has(page.rules.head)),
    ("NUMBER(PG_hwpoison)", |page| !page.has(page.rules.hwpoison)),
];

struct TextPage<'a> {
    rules: &'a PageRules,
    bytes: &'a [u8],
}

impl TextPage<'_> {
    fn word(&self, at: usize) -> u64 {
        let words = self.rules.words();
        self.bytes.get(at..at + words.bytes()).map_or(0, |bytes| words.integer(bytes))
    }

    fn u32(&self, at: usize) -> u32 {
        self.bytes.get(at..at + 4).map_or(0, |bytes| self.rules.words().integer(bytes) as u32)
    }

    fn has(&self, flags: u64) -> bool {
        self.word(self.rules.flags) & flags != 0
    }
}

impl Kernel {
    /// Asks the struct pages of the kernel's text whether `rules` and `map` fit them.
    ///
    /// # Errors
    /// `Corrupt`, naming the key, if most of them say that they do not, or if nodes have none for memory of the kernel's.
    pub fn ask_text(&self, phys: &dyn PhysMemory, map: &MemMap, rules: &PageRules) -> Result<()> {
        self.ask_nodes(phys, map)?;
        let (mut memory, mut fits, mut asked) = (self.memory(phys), [0; QUESTIONS.len()], 0);
        let Some(text) = self.info().symbol("_stext") else { return Ok(()) };
        let mut bytes = vec![0; rules.struct_page_size()];
        for into in (0..TEXT).step_by(self.page_size().bytes()) {
            let at = text.0.checked_add(into).and_then(|at| memory.translate(VirtAddr(at)).ok());
            let pfn = at.map(|at| Pfn(at.phys.0 / self.page_size().bytes() as u64));
            let struct_page = pfn.and_then(|pfn| map.struct_page(pfn));
            // one of zeros is not there either: a file that was cut off may have a hole in its place; nor is one of ones,
            // which the kernel did not write yet
            let is_blank = |bytes: &[u8]| is_zero(bytes) || bytes.iter().all(|byte| *byte == u8::MAX);
            if struct_page.is_none_or(|at| memory.read(at, &mut bytes).is_err()) || is_blank(&bytes) {
                continue;
            }
            asked += 1;
            let page = TextPage { rules, bytes: &bytes };
            fits.iter_mut().zip(QUESTIONS).for_each(|(fits, (_, fit))| *fits += usize::from(fit(&page)));
        }
        let wrong: Vec<_> = QUESTIONS.iter().zip(fits).filter(|(_, fits)| 2 * fits < asked).collect();
        match wrong[..] {
            [((key, _), fits), ..] if asked >= FEW => {
                // where several are wrong, all are read at wrong places
                let key = if wrong.len() > 1 { "SIZE(page), or several of its offsets," } else { key };
                Err(Error::corrupt(format!(
                    "vmcoreinfo: {key} cannot be what it says: the struct pages of {} of {asked} pages of the kernel's \
                     text contradict it",
                    asked - fits
                )))
            }
            _ => Ok(()),
        }
    }

    /// Whether nodes, where they alone say which page frames have struct pages, have those of the kernel's text and of
    /// the struct pages themselves. Where PAGESIZE is too small, nodes end at a part of the memory that they have.
    fn ask_nodes(&self, phys: &dyn PhysMemory, map: &MemMap) -> Result<()> {
        if !matches!(map.model(), MemoryModel::Flat | MemoryModel::Discontiguous) {
            return Ok(());
        }
        let mut memory = self.memory(phys);
        let text = self.info().symbol("_stext").map(|at| ("the kernel's text", at));
        let ends = |(first, bytes): (VirtAddr, u64)| [Some(first), first.checked_add(bytes.saturating_sub(1))];
        let arrays = map.struct_pages().flat_map(ends).flatten().map(|at| ("the array of struct pages", at));
        for (what, at) in text.into_iter().chain(arrays) {
            let lies = memory.translate(at).map(|mapping| self.page_size().pfn_of(mapping.phys));
            if let Some(pfn) = lies.ok().filter(|pfn| *pfn < map.end() && map.struct_page(*pfn).is_none()) {
                let text = format!("{what} at {at} is in page frame {pfn}, which no node has: PAGESIZE is too small");
                return Err(Error::corrupt(text));
            }
        }
        Ok(())
    }
}
