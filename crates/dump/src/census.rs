//! Pages by the dump levels that leave them out, all 32 at once: a scan of all struct pages a class, whose bitmaps are then
//! laid over one another.
//!
//! A level leaves out what any of its classes leaves out (`dump-filter`'s policy is a row a class), so that which classes
//! do is all there is to know of a page.

use crate::budget::{Budget, Taken};
use crate::dumpable::{Criteria, Dumpable, OnUnknown, Unidentified};
use crate::even_sample::EvenSample;
use crate::image::Image;
use crate::view::KernelView;
use dump_core::{Error, ErrorKind, PageSet, PageWindow, Pfn, PfnRange, Result, Watch};
use dump_filter::DumpLevel;
use dump_kernel::PhysMemory;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// The classes of pages that struct pages tell.
const CLASSES: [DumpLevel; 4] = [DumpLevel::CACHE, DumpLevel::CACHE_PRIVATE, DumpLevel::USER, DumpLevel::FREE];

/// Pages that the same classes leave out.
pub(crate) struct Stratum {
    /// The classes that leave them out.
    pub(crate) left_out_by: DumpLevel,
    /// The pages.
    pub(crate) pages: EvenSample,
}

/// All pages that some level keeps.
pub(crate) struct Census<'a> {
    /// A stratum a set of classes, in the order of their levels' numbers.
    pub(crate) strata: Vec<Stratum>,
    /// The pages that level 0 keeps.
    pub(crate) kept: Dumpable<'a>,
    /// How many scans of all struct pages it took.
    pub(crate) scans: u32,
}

impl<'a> Census<'a> {
    /// The pages below `end`; `most` of each stratum are picked at least. Without a `view` all pages are of one stratum.
    ///
    /// # Errors
    /// As [`Dumpable::new`].
    pub(crate) fn new(
        (image, memory, view): (&'a Image, &'a dyn PhysMemory, Option<&'a KernelView>),
        end: Pfn,
        budget: Budget,
        most: usize,
        unknown: OnUnknown<'a>,
        watch: &'a dyn Watch,
    ) -> Result<Census<'a>> {
        let classes = if view.is_some() { &CLASSES[..] } else { &[] };
        let bitmaps = classes.len() as u64 + 2;
        let window = budget.window(Taken::now(), rayon::current_num_threads(), bitmaps, u64::MAX, end.0);
        let criteria =
            |level| Criteria { image, memory, view, host: None, level, without_vmemmap: false, without_zeros: false };
        let kept = Dumpable::new(criteria(DumpLevel::empty()), end, window, unknown, watch)?;
        let said = Said::new(unknown);
        let once = |class: Unidentified<'_>| said.once(class);
        let with_class = |class: &DumpLevel| Dumpable::new(criteria(*class), end, window, &once, watch);
        let without: Vec<Dumpable<'_>> = classes.iter().map(with_class).collect::<Result<_>>()?;
        let mut strata: Vec<Stratum> = (0..1u32 << classes.len()).map(|set| Stratum::new(set, most)).collect();
        let mut at = Pfn(0);
        while at < end {
            if watch.stopped() {
                return Err(Error::new(ErrorKind::Interrupted, "interrupted while struct pages were read"));
            }
            let windows = without.iter().map(|pages| pages.window(at)).collect::<Result<Vec<_>>>()?;
            let all = kept.window(at)?;
            let here = PfnRange::new(at, end.min(at + window));
            all.runs(here).for_each(|run| split(&windows, 0, run, &mut strata));
            at = here.end;
        }
        let scans = 1 + without.len() as u32;
        drop(without);
        Ok(Census { strata, kept, scans })
    }
}

impl Stratum {
    /// Pages that the classes leave out whose places in [`CLASSES`] are bits of `set`.
    fn new(set: u32, most: usize) -> Stratum {
        let classes = CLASSES.iter().enumerate().filter(|(i, _)| set >> i & 1 != 0);
        Stratum { left_out_by: classes.map(|(_, class)| *class).collect(), pages: EvenSample::new(most) }
    }
}

/// Adds the pages of `run` to their strata: `set` are the classes so far that leave them out, the next is that of the
/// first of `windows`.
fn split(windows: &[PageWindow<'_>], set: usize, run: PfnRange, strata: &mut [Stratum]) {
    let Some((first, rest)) = windows.split_first() else {
        if let Some(stratum) = strata.get_mut(set).filter(|_| !run.is_empty()) {
            stratum.pages.add(run);
        }
        return;
    };
    let left_out = set | 1 << (strata.len().ilog2() as usize - windows.len());
    let mut at = run.start;
    for kept in first.runs(run) {
        split(rest, left_out, PfnRange::new(at, kept.start), strata);
        split(rest, set, kept, strata);
        at = kept.end;
    }
    split(rest, left_out, PfnRange::new(at, run.end), strata);
}

/// What was said of classes that cannot be identified: each scan says it anew.
struct Said<'a> {
    unknown: OnUnknown<'a>,
    classes: Mutex<BTreeSet<String>>,
}

impl<'a> Said<'a> {
    fn new(unknown: OnUnknown<'a>) -> Said<'a> {
        Said { unknown, classes: Mutex::default() }
    }

    /// What no scan said before.
    fn once(&self, class: Unidentified<'_>) -> Result<()> {
        let is_new = class.asked && {
            let mut classes = self.classes.lock().unwrap_or_else(PoisonError::into_inner);
            classes.insert(format!("{}: {}", class.class, class.why))
        };
        if is_new { (self.unknown)(class) } else { Ok(()) }
    }
}
