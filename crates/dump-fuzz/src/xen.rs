//! A Xen host of which bytes are others: each frame is shown once, in order; domain 0's frames are no more than the
//! machine's, and name each other; a page table is changed where its entries are present, and nowhere else.

use crate::Seed;
use crate::input::Input;
use dump_core::{ByteOrder, Error, Notes, Pfn, PfnRange, PhysAddr, Result};
use dump_kernel::{PhysMemory, PhysReader};
use dump_synth::{Era, FakeMemory, FakeXen, KernelBuilder, Leaf, XenFlags, XenPdx};
use dump_xen::{CrashInfo, Knowledge, P2m, XenHost, rewrite};
use std::sync::OnceLock;

/// Changes of an input that are made: each is 8 bytes somewhere.
const MAX_CHANGES: usize = 64;

struct Machine(FakeMemory);

impl PhysMemory for Machine {
    fn reader(&self) -> Box<dyn PhysReader + '_> {
        Box::new(Reader(&self.0))
    }
}

struct Reader<'a>(&'a FakeMemory);

impl PhysReader for Reader<'_> {
    fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<()> {
        let end = at.0.checked_add(buf.len() as u64);
        let there = end.is_some() && self.0.read(at.0, buf);
        if there { Ok(()) } else { Err(Error::missing("not there")) }
    }
}

fn hosts() -> &'static [FakeXen] {
    static HOSTS: OnceLock<Vec<FakeXen>> = OnceLock::new();
    HOSTS.get_or_init(|| {
        let kernel = KernelBuilder::new(Era::V6_1).recipe("ram 0..0x200\nanon 0x100..0x110");
        let kernel = kernel.direct_leaf(Leaf::K4).build();
        let host = |(flags, pdx, big)| FakeXen::new(&kernel, flags, pdx, big);
        [
            (XenFlags::Since, XenPdx::Same, false),
            (XenFlags::Before, XenPdx::Same, true),
            (XenFlags::Since4_22, XenPdx::Mask, false),
        ]
        .map(host)
        .to_vec()
    })
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let hosts = hosts();
    let host = &hosts[usize::from(input.u8()) % hosts.len()];
    let mut memory = host.memory.clone();
    let mut changes = 0;
    while !input.is_empty() && changes < MAX_CHANGES {
        changes += 1;
        // Xen's variables and tables, its domains, its frame table, the lists of domain 0's frames
        let first = [0x100_u64, 0x110, 0x180, 0x200, 0x800, 0x200][usize::from(input.u8()) % 6];
        let at = first * 4096 + u64::from(input.u16()) * 8;
        memory.write(at, &input.u64().to_le_bytes());
    }
    let notes = Notes::new(host.notes(10, true), ByteOrder::Little);
    let crash = CrashInfo::of(&notes);
    let machine = Machine(memory);
    let ram: Vec<PfnRange> = machine.0.ram().iter().map(|run| PfnRange::new(Pfn(run.start), Pfn(run.end))).collect();
    let knowledge = Knowledge { vmcoreinfo: Some(host.vmcoreinfo.as_bytes()), ram: &ram, ..Knowledge::default() };
    if let Ok(xen) = XenHost::new(&notes, &knowledge, &machine) {
        assert!(xen.domains().all().len() <= (1 << 15) + 3, "domains have 15 bits of numbers");
        let mut frames = xen.frames().reader(&machine);
        for run in &ram {
            let mut next = run.start;
            xen.classify(&mut frames, *run, &mut |pfn, _| {
                assert_eq!(pfn, next, "in order");
                next = pfn + 1;
            });
            assert_eq!(next, run.end);
        }
    }
    let top = crash.and_then(|crash| crash.frame_list_list).unwrap_or(0);
    let pages = ram.iter().map(|run| run.len()).sum();
    let Ok(p2m) = P2m::read(top, pages, machine.reader().as_mut()) else { return };
    assert!(p2m.pages() <= pages);
    let mut before = Pfn(0);
    for run in p2m.runs() {
        assert!(run.pages.start >= before && !run.pages.is_empty(), "runs ascend");
        before = run.pages.end;
        assert_eq!(p2m.machine(run.pages.start), Some(run.machine));
        let named = p2m.domain(run.machine).and_then(|pfn| p2m.machine(pfn));
        assert_eq!(named, Some(run.machine), "frames name each other");
    }
    let table = machine.0.page(0x110).unwrap_or_default();
    let mut changed = table.clone();
    rewrite(&mut changed, &|mfn| p2m.domain(mfn), &|pfn| p2m.machine(pfn).is_some());
    for (old, new) in table.chunks(8).zip(changed.chunks(8)) {
        assert!(old == new || old[0] & 1 != 0, "what is not present stays");
    }
}

pub fn seeds() -> Vec<Seed> {
    let change = |host: u8, place: u8, word: u16, value: u64| {
        [&[host, place][..], &word.to_le_bytes(), &value.to_le_bytes()].concat()
    };
    vec![
        ("whole".to_owned(), vec![0]),
        ("big".to_owned(), vec![1]),
        ("compressed".to_owned(), vec![2]),
        ("domain-loop".to_owned(), change(0, 2, 512 + 17, 0xffff_8300_0018_0000)),
        ("max-page".to_owned(), change(0, 0, 2, 1 << 60)),
        ("frame-table".to_owned(), change(0, 0, 1, 0xffff_ffff_ffff_fff0)),
        ("list-of-lists".to_owned(), change(0, 4, 0, 0x800)),
        ("leaf-anywhere".to_owned(), change(1, 4, 1024, 0x00ff_ffff_ffff)),
    ]
}
