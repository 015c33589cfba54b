//! Sections with changes: struct pages lie in runs that ascend, and a struct page and its page frame name each other.

use crate::fakes::{FAKES, Fake};
use crate::input::Input;
use dump_core::{Pfn, PfnRange, Result};
use dump_kernel::{Kernel, MemMap, PhysMemory};

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let fake = input.one_of(&FAKES);
    let kernel = fake.kernel(fake.info()).unwrap();
    let memory = fake.changed(&mut input);
    let _ = find(fake, &kernel, &memory);
}

/// The struct pages of a kernel, checked.
pub fn find(fake: &Fake, kernel: &Kernel, memory: &dyn PhysMemory) -> Result<MemMap> {
    let map = kernel.mem_map(memory, fake.end())?;
    let mut end = Pfn(0);
    for run in map.runs() {
        assert!(run.pages.start >= end && !run.pages.is_empty() && run.pages.end <= fake.end(), "{run:?}");
        end = run.pages.end;
        for pfn in [run.pages.start, Pfn(run.pages.end.0 - 1)] {
            let Some(at) = map.struct_page(pfn) else { continue };
            let named = map.pfn_of(at).expect("a struct page is some page frame's");
            // sections may claim the same struct pages; the first counts
            assert!(named <= pfn && map.struct_page(named) == Some(at), "{pfn} is {at}, which is {named}");
        }
    }
    let all = PfnRange::new(Pfn(0), fake.end());
    let found: u64 = map.runs_of(all).map(|run| run.len()).sum();
    assert_eq!(found, map.runs().iter().map(|run| run.pages.len()).sum::<u64>());
    Ok(map)
}
