//! Free lists with changes: each block is of page frames that have struct pages, and no more are found than there can be.

use crate::fakes::FAKES;
use crate::input::Input;
use crate::mem_map::find;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let fake = input.one_of(&FAKES);
    let kernel = fake.kernel(fake.info()).unwrap();
    let memory = fake.changed(&mut input);
    let Ok(map) = find(fake, &kernel, &memory) else { return };
    let Ok(lists) = kernel.free_lists(&memory) else { return };
    let mut found = 0;
    let _ = lists.walk(&mut kernel.memory(&memory), &map, fake.end().0, &mut |block| {
        let run = block.pages();
        assert!(!run.is_empty() && map.struct_page(run.start).is_some());
        found += run.len();
    });
    assert!(found <= fake.end().0, "{found} free pages of {}", fake.end());
}
