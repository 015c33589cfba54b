//! Marks by which pages go at every dump level, held against what else tells of the kernel before the first page goes:
//! a wrong number for them would take sound pages out of every dump.

use crate::era::PageRules;
use crate::kernel::Kernel;
use crate::mem_map::MemMap;
use crate::memory::PhysMemory;
use crate::own::{Own, OwnSymbols};
use crate::page::{PageFacts, PageScanner, PageVisitor, StructPages};
use crate::symbols::KernelSymbols;
use crate::words::WordLayout;
use dump_core::Pfn;
use std::sync::OnceLock;

/// What marks such pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Broken memory.
    Hwpoison,
    /// Given back to the hypervisor.
    Offline,
    /// Not yet accepted by a confidential guest.
    Unaccepted,
}

impl Mark {
    /// The number of vmcoreinfo that has it.
    pub fn number(self) -> &'static str {
        match self {
            Mark::Hwpoison => "PG_hwpoison",
            Mark::Offline => "PAGE_OFFLINE_MAPCOUNT_VALUE",
            Mark::Unaccepted => "PAGE_UNACCEPTED_MAPCOUNT_VALUE",
        }
    }
}

/// What was found, once it was asked for, by mark.
#[derive(Default)]
pub(crate) struct Proofs([OnceLock<bool>; 3]);

impl Kernel {
    /// Whether nothing contradicts the mark that `rules` have: a file of vmcoreinfo, the kernel's own BTF and a vmlinux
    /// have the same number, those of them that there are; where none has one, no more memory is marked as broken than
    /// the kernel has counted, if its count can be read. Asked once, whoever asks.
    pub fn stands_by(&self, phys: &dyn PhysMemory, map: &MemMap, rules: &PageRules, mark: Mark) -> bool {
        let Some(sources) = self.sources() else { return true };
        *self.proofs().0[mark as usize].get_or_init(|| {
            let own = OwnSymbols { own: sources.own.get_or_init(Own::default), kernel: self, phys };
            let types = self.types_say(&sources.beside(&own), phys, mark);
            types.unwrap_or_else(|| mark != Mark::Hwpoison || self.counts_as_many(phys, map, rules))
        })
    }

    /// Whether all that has a number for the mark has the one that is used; `None` where nothing has.
    fn types_say(&self, all: &[&dyn KernelSymbols], phys: &dyn PhysMemory, mark: Mark) -> Option<bool> {
        let name = mark.number();
        let used = self.with_symbols(phys, |symbols| symbols.number(name))?;
        let numbers: Vec<i64> = all.iter().filter_map(|symbols| symbols.number(name)).collect();
        if numbers.is_empty() {
            return all.iter().any(|symbols| symbols.lacks_number(name)).then_some(false);
        }
        // types are printed as signed and as unsigned integers of 4 bytes
        Some(numbers.iter().all(|number| *number as u32 == used as u32))
    }

    /// Whether about as much memory is marked as broken as the kernel has counted (`num_poisoned_pages` of
    /// mm/memory-failure.c, a word since 2.6.32, 6a46079cf57a).
    fn counts_as_many(&self, phys: &dyn PhysMemory, map: &MemMap, rules: &PageRules) -> bool {
        let at = self.with_symbols(phys, |symbols| symbols.symbol("num_poisoned_pages"));
        let Some(count) = at.and_then(|at| self.memory(phys).read_word(at).ok()) else { return true };
        // pages on their way in or out are marked and not counted, or the other way round
        let most = count.saturating_mul(2).saturating_add(u64::from(count != 0) * 16);
        let mut scanner = PageScanner::new(rules, map, self.memory(phys));
        let mut marked = Marked(0);
        for run in map.runs() {
            for window in scanner.windows(run.pages) {
                scanner.show(window, &mut marked);
                if marked.0 > most {
                    return false;
                }
            }
        }
        true
    }
}

/// Pages that are marked as broken.
struct Marked(u64);

impl PageVisitor for Marked {
    fn visit<W: WordLayout>(&mut self, pages: StructPages<'_, W>) {
        let all = (pages.window().start.0..pages.window().end.0).map(Pfn);
        self.0 += all.filter(|pfn| pages.state(*pfn).facts.contains(PageFacts::HWPOISON)).count() as u64;
    }
}
