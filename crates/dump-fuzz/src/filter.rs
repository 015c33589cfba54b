//! Struct pages with changes, and what a level leaves out by them: counts add up, nothing is left out that was not there,
//! and windows of any size keep the same pages.

use crate::Seed;
use crate::fakes::{self, FAKES, Fake};
use crate::input::Input;
use crate::mem_map::find;
use dump_core::{NoWatch, PageBitmap, Pfn, PfnRange};
use dump_filter::{DumpLevel, Exclusion, Rest, Tally, exclude};

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let fake = input.one_of(&FAKES);
    let level = DumpLevel::new(u32::from(input.u8() & 31)).unwrap();
    let kernel = fake.kernel(fake.info()).unwrap();
    let memory = fake.changed(&mut input);
    let Ok(map) = find(fake, &kernel, &memory) else { return };
    let rules = kernel.page_rules().unwrap();
    let job = Exclusion { kernel: &kernel, memory: &memory, map: &map, rules: &rules, level };
    let (kept, tally) = left(fake, &job, u64::MAX);
    let (again, by_window) = left(fake, &job, PageBitmap::CHUNK_PAGES);
    assert!(kept == again, "-d {}: windows keep other pages", level.bits());
    assert_eq!(tally, by_window, "-d {}: windows count otherwise", level.bits());
}

/// What stays at a level, `window` pages at a time, and the counts.
fn left(fake: &Fake, job: &Exclusion<'_>, window: u64) -> (Vec<PfnRange>, Tally) {
    let all = PfnRange::new(Pfn(0), fake.end());
    let (mut kept, mut tally, mut before) = (Vec::<PfnRange>::new(), Tally::default(), Vec::<Rest>::new());
    let mut start = 0;
    while start < all.end.0 {
        let span = PfnRange::at(Pfn(start), window).intersect(all);
        let mut bits = PageBitmap::windowed(span).unwrap();
        fake.ram().map(|run| run.intersect(span)).filter(|run| !run.is_empty()).for_each(|run| bits.set(run));
        let there = bits.count(span);
        let excluded = crate::alone(|| exclude(job, &mut bits, &before, &NoWatch)).unwrap();
        assert_eq!(bits.count(span) + excluded.tally.total(), there, "counts add up");
        tally.merge(&excluded.tally);
        before = excluded.beyond;
        for run in bits.runs(span) {
            match kept.last_mut() {
                Some(last) if last.end == run.start => last.end = run.end,
                _ => kept.push(run),
            }
        }
        start = span.end.0;
    }
    (kept, tally)
}

pub fn seeds() -> Vec<Seed> {
    let with = |(name, bytes): Seed| (name, [&bytes[..1], &[31], &bytes[1..]].concat());
    fakes::seeds().into_iter().map(with).collect()
}
