//! Struct pages with changes, and what a level leaves out by them: counts add up, what was walked to find them
//! stays, and windows of any size keep the same pages.

use crate::Seed;
use crate::fakes::{self, FAKES, Fake};
use crate::input::Input;
use crate::mem_map::find;
use dump_core::{NoWatch, PageBitmap, Pfn, PfnRange};
use dump_filter::{DumpLevel, Exclusion, Rest, Tally, exclude};
use dump_kernel::{Footprint, Vmcoreinfo};

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let fake = input.one_of(&FAKES);
    let level = DumpLevel::new(u32::from(input.u8() & 31)).unwrap();
    let kernel = fake.kernel(fake.info()).unwrap();
    let memory = fake.changed(&mut input);
    let Ok(map) = find(fake, &kernel, &memory) else { return };
    let rules = kernel.page_rules(&memory).unwrap();
    let footprint = Footprint::find(&kernel, &memory, &map, fake.end());
    let job = Exclusion { kernel: &kernel, memory: &memory, map: &map, rules: &rules, footprint: &footprint, level };
    let (kept, tally) = left(fake, &job, u64::MAX);
    let (again, by_window) = left(fake, &job, PageBitmap::CHUNK_PAGES);
    assert!(kept == again, "-d {}: windows keep other pages", level.bits());
    assert_eq!(tally, by_window, "-d {}: windows count otherwise", level.bits());
    let walked = footprint.runs().iter().flat_map(|walked| fake.ram().map(|ram| ram.intersect(*walked)));
    for walked in walked.filter(|walked| !walked.is_empty()) {
        let is_kept = kept.iter().any(|kept| kept.intersect(walked) == walked);
        assert!(is_kept, "-d {}: what was walked was left out: {walked:?}", level.bits());
    }
}

/// What stays of a kernel at level 31 by `info`; all, where it says too little to leave anything out.
pub fn kept(fake: &Fake, info: Vmcoreinfo) -> Vec<PfnRange> {
    let memory = fake.changed(&mut Input::new(&[]));
    let all = || {
        let mut all = Vec::new();
        fake.ram().for_each(|run| join(&mut all, run));
        all
    };
    let Ok(kernel) = fake.kernel(info) else { return all() };
    let (Ok(map), Ok(rules)) = (find(fake, &kernel, &memory), kernel.page_rules(&memory)) else { return all() };
    let footprint = Footprint::find(&kernel, &memory, &map, fake.end());
    let (kernel, memory, map, rules, footprint) = (&kernel, &memory, &map, &rules, &footprint);
    left(fake, &Exclusion { kernel, memory, map, rules, footprint, level: DumpLevel::all() }, u64::MAX).0
}

/// Appends a run to those before it, as one where they meet.
fn join(runs: &mut Vec<PfnRange>, run: PfnRange) {
    match runs.last_mut() {
        Some(last) if last.end == run.start => last.end = run.end,
        _ => runs.push(run),
    }
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
        bits.runs(span).for_each(|run| join(&mut kept, run));
        start = span.end.0;
    }
    (kept, tally)
}

pub fn seeds() -> Vec<Seed> {
    let with = |(name, bytes): Seed| (name, [&bytes[..1], &[31], &bytes[1..]].concat());
    fakes::seeds().into_iter().map(with).collect()
}
