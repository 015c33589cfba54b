//! Any text as vmcoreinfo, and the text of a kernel with lines taken out or changed, on that kernel's memory: fewer keys
//! never leave out more pages.

use crate::Seed;
use crate::fakes::{FAKES, Fake};
use crate::filter::kept;
use crate::input::Input;
use crate::mem_map::find;
use crate::samples::{self, seed};
use dump_core::{ByteOrder, Pfn, PfnRange, WordSize};
use dump_kernel::{KernelSymbols, PageRules, Vmcoreinfo, Words, vmcoreinfo_at};

/// What a value is changed to, for the most part.
const VALUES: [&str; 12] =
    ["0", "1", "-1", "4096", "65536", "64", "0x7fffffffffffffff", "18446744073709551615", "4294967295", "zz", "", "63"];

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    if input.u8() & 1 == 0 {
        let text = input.rest();
        if let Some(found) = vmcoreinfo_at(text) {
            assert!(Vmcoreinfo::parse(found).page_size().is_some(), "what is found has a page size");
        }
        parse(text);
        return;
    }
    let fake = input.one_of(&FAKES);
    let (text, only_removed) = changed(fake.kernel.vmcoreinfo(), &mut input);
    parse(text.as_bytes());
    let info = Vmcoreinfo::parse(text.as_bytes());
    use_on(fake, info.clone());
    if only_removed {
        let (right, kept) = (kept(fake, fake.info()), kept(fake, info));
        // struct pages that repeat contradict themselves where tails name heads, which needs the keys of both
        let once = PfnRange::new(Pfn(0), Pfn(fake.kernel.own_pages().end));
        let mut right = right.iter().map(|right| right.intersect(once));
        let lost = right.find(|right| !kept.iter().any(|kept| kept.intersect(*right) == *right));
        assert!(lost.is_none(), "with fewer keys {lost:?} is left out");
    }
}

/// The text with lines changed, and whether lines were removed and nothing else.
fn changed(text: &str, input: &mut Input<'_>) -> (String, bool) {
    let mut only_removed = true;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    while !input.is_empty() && !lines.is_empty() {
        let (how, which) = (input.u8(), usize::from(input.u8()) % lines.len());
        let key = lines[which].split('=').next().unwrap_or_default().to_owned();
        only_removed &= how & 3 == 0;
        match how & 3 {
            0 => drop(lines.remove(which)),
            1 => lines[which] = format!("{key}={}", input.one_of(&VALUES)),
            2 => lines[which] = format!("{key}={}", input.u64()),
            _ => lines[which] = format!("{key}={:x}", fake_address(input)),
        }
    }
    (lines.join("\n"), only_removed)
}

fn fake_address(input: &mut Input<'_>) -> u64 {
    0xffff_8880_0000_0000 + u64::from(input.u32())
}

fn parse(text: &[u8]) {
    let info = Vmcoreinfo::parse(text);
    let _ = (info.release(), info.version(), info.page_size(), info.crash_time(), info.elf_machine());
    for (key, _) in info.lines().take(64) {
        let first = info.lines().find(|(other, _)| *other == key).map(|(_, value)| value);
        assert_eq!(info.get(key), first, "the first line of a key counts");
        let name = key.split(['(', ')']).nth(1).unwrap_or_default();
        let _ = (info.symbol(name), info.size_of(name), info.offset_of(name), info.length_of(name), info.number(name));
    }
    for (order, size) in [(ByteOrder::Little, WordSize::Bits64), (ByteOrder::Big, WordSize::Bits32)] {
        let _ = PageRules::new(&info, Words { order, size });
    }
}

/// Everything that the text is used for.
fn use_on(fake: &Fake, info: Vmcoreinfo) {
    let Ok(kernel) = fake.kernel(info) else { return };
    let memory = fake.changed(&mut Input::new(&[]));
    let _ = (kernel.utsname(&memory), kernel.standing(&memory), kernel.landmarks(&memory), kernel.page_rules(&memory));
    let Ok(map) = find(fake, &kernel, &memory) else { return };
    let Ok(lists) = kernel.free_lists(&memory) else { return };
    let mut found = 0;
    let _ = lists.walk(&mut kernel.memory(&memory), &map, fake.end().0, &mut |block| found += block.pages().len());
    assert!(found <= fake.end().0);
}

pub fn seeds() -> Vec<Seed> {
    let mut seeds = vec![seed("text", [&[0][..], samples::VMCOREINFO.as_bytes()].concat())];
    for i in 0..FAKES.len() as u8 {
        seeds.push(seed(&format!("kernel{i}"), [1, i]));
        seeds.push(seed(&format!("without{i}"), [1, i, 0, 20, 1, 30, 7]));
    }
    seeds.push(seed("real", [&[0][..], FAKES[0].kernel.vmcoreinfo().as_bytes()].concat()));
    seeds
}
