//! Whether a vmcoreinfo is that of the kernel in memory, asked of that memory.
//!
//! | question | what it proves |
//! |---|---|
//! | is utsname where the text has it, with the text's release | the text belongs to a kernel that lies there |
//! | do a CPU's page tables map it there too | that kernel ran on the CPU |
//! | do other kernels' struct pages call its page frames free, or data of processes and files | that it did not run |

use crate::kernel::Kernel;
use crate::mem_map::MemMap;
use crate::memory::PhysMemory;
use crate::page::{Block, PageFacts, PageScanner, PageState, PageVisitor, StructPages};
use crate::virt::KernelMemory;
use crate::words::WordLayout;
use crate::{BuddyMark, PageRules};
use dump_core::{Error, ErrorKind, PageSize, Pfn, PfnRange, PhysAddr, Result, UtsName};

/// What memory says of a vmcoreinfo.
#[derive(Clone, Debug)]
pub enum Standing {
    /// Its kernel's names are where it says, with its release.
    Holds,
    /// It cannot be judged: it lacks a key, memory lacks the page, or the page tables are not supported.
    Open(Error),
    /// What is there is something else.
    Fails(Error),
}

impl Standing {
    /// By the error that kept a kernel from being made of it, or its names from being read.
    pub fn of_error(e: Error) -> Standing {
        match e.kind() {
            ErrorKind::NoMemory | ErrorKind::Corrupt => Standing::Fails(e),
            _ => Standing::Open(e),
        }
    }
}

/// Blocks are looked for up to this order: 2^18 pages of 4 KiB are 1 GiB, the largest compound page that x86_64 has.
const MAX_ORDER: u8 = 18;

/// What no kernel keeps itself in.
const GIVEN_AWAY: PageFacts = PageFacts::BUDDY
    .union(PageFacts::UNACCEPTED)
    .union(PageFacts::CACHE)
    .union(PageFacts::ANON)
    .union(PageFacts::HUGETLB)
    .union(PageFacts::OFFLINE);

impl Kernel {
    /// What memory says of its vmcoreinfo, by `init_uts_ns`.
    pub fn standing(&self, phys: &dyn PhysMemory) -> Standing {
        let stated = self.info().release().unwrap_or_default();
        match self.utsname(phys) {
            Ok(uts) if uts.release() == stated => Standing::Holds,
            Ok(uts) => {
                let text = format!("init_uts_ns has the release {:?}, not {stated:?}", uts.release());
                self.fails(phys, Error::corrupt(text))
            }
            Err(e) => match Standing::of_error(e) {
                Standing::Fails(e) => self.fails(phys, e),
                open => open,
            },
        }
    }

    /// That page tables do not lead to the kernel; where its image is all the same where the dump says, they are what is
    /// wrong.
    fn fails(&self, phys: &dyn PhysMemory, e: Error) -> Standing {
        let in_image = || {
            let at = self.arch().in_image(self.facts(self.info()), self.names_at(phys).ok()?)?;
            let mut bytes = [0; UtsName::SIZE];
            phys.reader().read(at, &mut bytes).ok()?;
            Some(UtsName::from_bytes(&bytes).release() == self.info().release()?)
        };
        if in_image() != Some(true) {
            return Standing::Fails(e);
        }
        let text = "the kernel is where phys_base has it, but its page tables lead elsewhere: they are damaged, or what \
                    vmcoreinfo says of their levels is wrong, or they are those of a Xen PV guest and hold page frames of \
                    the machine, for which its table of frames (p2m) is not read";
        Standing::Fails(Error::unsupported(text))
    }

    /// Where its names and its top page table lie in physical memory.
    ///
    /// # Errors
    /// As [`utsname`](Kernel::utsname).
    pub fn landmarks(&self, phys: &dyn PhysMemory) -> Result<Vec<PhysAddr>> {
        let names = self.memory(phys).translate(self.names_at(phys)?)?.phys;
        Ok([Some(names), self.xlat().root()].into_iter().flatten().collect())
    }

    /// Whether a CPU whose top page table is at `root` runs this kernel: whether its tables map the kernel's names to
    /// where the kernel's own do. `None` where they do not map them at all, as those of user mode do not, or the
    /// kernel's do not.
    pub fn runs_with(&self, phys: &dyn PhysMemory, root: PhysAddr) -> Option<bool> {
        let at = self.names_at(phys).ok()?;
        let own = self.memory(phys).translate(at).ok()?.phys;
        let tables = self.arch().page_tables_at(self.facts(self.info()), root)?;
        let running = KernelMemory::new(phys, tables.as_ref(), self.words()).translate(at).ok()?.phys;
        Some(own == running)
    }

    /// Whether one of `frames` is free or holds data of processes or files by this kernel's struct pages, those of the
    /// page frames below `end`. A page frame without a struct page is not given away.
    ///
    /// # Errors
    /// If its struct pages cannot be located, or none of those asked for can be read.
    pub fn given_away(&self, phys: &dyn PhysMemory, end: Pfn, frames: &[Pfn]) -> Result<Vec<bool>> {
        let (map, rules) = (self.mem_map(phys, end)?, self.page_rules(phys)?);
        if rules.buddy() == BuddyMark::Lists {
            let mut given: Vec<bool> = self.marked(phys, &map, &rules, frames);
            let mut free = |block: Block| {
                let run = PfnRange::at(block.first, 1 << block.order);
                frames.iter().zip(&mut given).for_each(|(pfn, given)| *given |= run.contains(*pfn));
            };
            self.free_lists(phys)?.walk(&mut self.memory(phys), &map, end.0, &mut free)?;
            return Ok(given);
        }
        Ok(self.marked(phys, &map, &rules, frames))
    }

    fn marked(&self, phys: &dyn PhysMemory, map: &MemMap, rules: &PageRules, frames: &[Pfn]) -> Vec<bool> {
        let mut pages = SinglePages(PageScanner::new(rules, map, self.memory(phys)));
        frames.iter().map(|pfn| pages.is_given_away(*pfn)).collect()
    }
}

/// Struct pages, one by one.
struct SinglePages<'a>(PageScanner<'a>);

impl SinglePages<'_> {
    /// Whether the page frame is given away: by itself, or as a part of a free block or a compound page.
    fn is_given_away(&mut self, pfn: Pfn) -> bool {
        let own = self.state(pfn).unwrap_or_default();
        if own.facts.contains(PageFacts::UNREAD) {
            return false;
        }
        let is_tail = own.facts.contains(PageFacts::TAIL);
        if !is_tail && own.facts.intersects(GIVEN_AWAY) {
            return true;
        }
        (1..=MAX_ORDER).any(|order| {
            let first = Pfn(pfn.0 >> order << order);
            let block = self.state(first).unwrap_or_default();
            let free = block.facts.intersects(PageFacts::BUDDY | PageFacts::UNACCEPTED) && block.free_order >= order;
            free || (is_tail && block.order >= order && block.facts.intersects(GIVEN_AWAY))
        })
    }

    fn state(&mut self, pfn: Pfn) -> Option<PageState> {
        // with the one behind it, where a compound page has its order
        let end = Pfn((pfn.0 / PageScanner::PAGES_PER_WINDOW + 1) * PageScanner::PAGES_PER_WINDOW).min(pfn + 2);
        let window = self.0.windows(PfnRange::new(pfn, end)).next().filter(|window| window.start == pfn)?;
        let mut first = First { pfn, state: None };
        self.0.show(window, &mut first);
        first.state
    }
}

struct First {
    pfn: Pfn,
    state: Option<PageState>,
}

impl PageVisitor for First {
    fn visit<W: WordLayout>(&mut self, pages: StructPages<'_, W>) {
        self.state = Some(pages.state(self.pfn));
    }
}

/// The page frame after the last in pages of `to`, where it is `end` in pages of `from`.
pub fn end_in_pages_of(end: Pfn, from: PageSize, to: PageSize) -> Pfn {
    Pfn(to.pages_for(from.bytes_of(end.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_contradicts_and_what_is_lacking() {
        let fails = |kind| matches!(Standing::of_error(Error::new(kind, "")), Standing::Fails(_));
        assert!(fails(ErrorKind::NoMemory) && fails(ErrorKind::Corrupt));
        assert!(!fails(ErrorKind::MissingInfo) && !fails(ErrorKind::Unsupported) && !fails(ErrorKind::Io));
    }

    #[test]
    fn ends_in_other_pages() {
        assert_eq!(end_in_pages_of(Pfn(3), PageSize::from_bytes(65536).unwrap(), PageSize::K4), Pfn(48));
        assert_eq!(end_in_pages_of(Pfn(17), PageSize::K4, PageSize::from_bytes(65536).unwrap()), Pfn(2));
    }
}
