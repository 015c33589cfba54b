//! Marks by which pages go at every dump level, held against what else tells of the kernel before the first page goes:
//! a wrong number for them would take sound pages out of every dump.

use crate::era::PageRules;
use crate::kernel::Kernel;
use crate::keys::offline_number;
use crate::mem_map::MemMap;
use crate::memory::PhysMemory;
use crate::own::{Own, OwnSymbols};
use crate::page::{PageFacts, PageScanner, PageVisitor, StructPages};
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

    /// The keys by which it is read in struct pages.
    fn places(self) -> [&'static str; 2] {
        match self {
            Mark::Hwpoison => ["SIZE(page)", "OFFSET(page.flags)"],
            Mark::Offline | Mark::Unaccepted => ["SIZE(page)", "OFFSET(page._mapcount)"],
        }
    }
}

/// The numbers that the page types which go at every level have had in Linux (include/linux/page-flags.h). No page of
/// another release has one of them as its type. A distribution that took a type back took its number with it, as far as
/// is known; the pages of one that did not are kept.
const LINUX_HAD: [(Mark, i64); 4] = [
    // 4.18 to 6.10: a bit, first of balloons alone (6e292b9be7f4), exported since 5.1 (e04b742f74c2)
    (Mark::Offline, !0x100),
    // 6.11: bits from the top down (8db00ad56461)
    (Mark::Offline, !0x2000_0000),
    // since 6.12: the top byte (4ffca5a96678), 0xf1 and 0xf7, the latter exported since 6.16
    (Mark::Offline, TOP_BYTES + (1 << 24)),
    (Mark::Unaccepted, TOP_BYTES + (7 << 24)),
];

/// The first type since 6.12, 0xf0 in the top byte, as the kernel's `int` has it.
const TOP_BYTES: i64 = -0x1000_0000;

/// What was found, once it was asked for, by mark.
#[derive(Default)]
pub(crate) struct Proofs([OnceLock<bool>; 3]);

impl Kernel {
    /// Whether nothing contradicts the mark that `rules` have: a file of vmcoreinfo, the kernel's own BTF and a vmlinux
    /// have the same number, those of them that there are, and BTF the same places; where none has a number, a type is
    /// one that Linux had, and no more memory is marked as broken than the kernel has counted, if its count can be read.
    /// Asked once, whoever asks.
    pub fn stands_by(&self, phys: &dyn PhysMemory, map: &MemMap, rules: &PageRules, mark: Mark) -> bool {
        *self.proofs().0[mark as usize].get_or_init(|| {
            let used = self.with_symbols(phys, |symbols| match mark {
                Mark::Offline => offline_number(symbols),
                _ => symbols.number(mark.number()),
            });
            let types = used.and_then(|used| self.types_say(used, phys, mark));
            types.unwrap_or_else(|| match mark {
                Mark::Hwpoison => self.sources().is_none() || self.counts_as_many(phys, map, rules),
                Mark::Offline | Mark::Unaccepted => used.is_some_and(|used| linux_had(mark, used)),
            })
        })
    }

    /// Whether all that has a number for the mark has the one that is used; `None` where nothing has.
    fn types_say(&self, used: i64, phys: &dyn PhysMemory, mark: Mark) -> Option<bool> {
        let (name, sources) = (mark.number(), self.sources()?);
        let own = OwnSymbols { own: sources.own.get_or_init(Own::default), kernel: self, phys };
        if own.differ_on(&mark.places()) {
            return Some(false);
        }
        let files = sources.files().filter_map(|file| file.number(name));
        let mut numbers = files.chain(own.number_as_read(name)).peekable();
        if numbers.peek().is_none() {
            let lacking = own.lacks_number_as_read(name) || sources.files().any(|file| file.lacks_number(name));
            return lacking.then_some(false);
        }
        Some(numbers.all(|number| is_same(number, used)))
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

/// Types are printed as signed and as unsigned integers of 4 bytes.
fn is_same(number: i64, other: i64) -> bool {
    number as u32 == other as u32
}

fn linux_had(mark: Mark, number: i64) -> bool {
    LINUX_HAD.iter().any(|(of, had)| *of == mark && is_same(*had, number))
}

/// Pages that are marked as broken.
struct Marked(u64);

impl PageVisitor for Marked {
    fn visit<W: WordLayout>(&mut self, pages: StructPages<'_, W>) {
        let all = (pages.window().start.0..pages.window().end.0).map(Pfn);
        self.0 += all.filter(|pfn| pages.state(*pfn).facts.contains(PageFacts::HWPOISON)).count() as u64;
    }
}
