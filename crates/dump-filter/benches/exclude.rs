//! The scan of struct pages, in struct pages per second, on one thread: 512 MiB of a made kernel's memory in several
//! mixes, at the strictest level.
//!
//! ```text
//! cargo bench -p dump-filter --bench exclude
//! ```

#![allow(missing_docs, clippy::unwrap_used)]

use divan::Bencher;
use divan::counter::ItemsCount;
use dump_core::{
    ByteOrder, Error, ErrorKind, Machine, NoWatch, PageBitmap, PageSize, Pfn, PfnRange, PhysAddr, Result, WordSize,
};
use dump_filter::{DumpLevel, Exclusion, exclude};
use dump_kernel::{Footprint, Kernel, PhysMemory, PhysReader, Vmcoreinfo};
use dump_synth::{Era, FakeKernel, KernelBuilder};

/// Pages of the recipe's RAM; the kernel's own come on top.
const PAGES: u64 = 1 << 17;

const MIXES: [&str; 5] = ["kernel", "free", "anonymous", "huge", "mixed"];

/// The pages of a mix. Contents are zero: nobody looks at them, and a page that is zero takes no memory here.
fn recipe(mix: &str) -> String {
    match mix {
        "free" => format!("free 0..{PAGES} order=10 zero"),
        "anonymous" => format!("anon 0..{PAGES} zero"),
        "huge" => format!("thp 0..{PAGES} zero"),
        "mixed" => (0..PAGES).step_by(256).map(mixed).collect(),
        _ => String::new(), // what no line names is the kernel's
    }
}

/// 1 MiB of a machine in use.
fn mixed(at: u64) -> String {
    let uses =
        [("anon", 96, 0), ("cache", 48, 0), ("slab", 16, 3), ("kernel", 24, 0), ("pgtable", 8, 0), ("free", 64, 4)];
    let mut start = at;
    let line = |(kind, pages, order): (&str, u64, u32)| {
        let line = format!("{kind} {start}..{} order={order} zero\n", start + pages);
        start += pages;
        line
    };
    uses.map(line).concat()
}

/// The fake kernel's memory in one piece: its own keeps pages in a tree, whose cost would be measured.
struct Flat(Vec<u8>);

impl Flat {
    fn of(kernel: &FakeKernel) -> Flat {
        let mut bytes = vec![0; (kernel.max_pfn() << 12) as usize];
        let memory = kernel.memory();
        for pfn in memory.pfns().filter(|pfn| !memory.is_zero(*pfn)) {
            let page = memory.page(pfn).unwrap();
            bytes[(pfn << 12) as usize..][..page.len()].copy_from_slice(&page);
        }
        Flat(bytes)
    }
}

impl PhysMemory for Flat {
    fn reader(&self) -> Box<dyn PhysReader + '_> {
        Box::new(FlatReader(&self.0))
    }
}

struct FlatReader<'a>(&'a [u8]);

impl FlatReader<'_> {
    fn bytes(&self, at: PhysAddr, len: usize) -> Result<&[u8]> {
        let bytes = self.0.get(at.0 as usize..).and_then(|rest| rest.get(..len));
        bytes.ok_or_else(|| Error::new(ErrorKind::MissingInfo, "past the memory's end"))
    }
}

impl PhysReader for FlatReader<'_> {
    fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<()> {
        buf.copy_from_slice(self.bytes(at, buf.len())?);
        Ok(())
    }

    fn show(&mut self, at: PhysAddr, len: usize, see: &mut dyn FnMut(&[u8])) -> Result<()> {
        see(self.bytes(at, len)?);
        Ok(())
    }
}

#[divan::bench(args = MIXES, sample_count = 20, sample_size = 1)]
fn scan(bencher: Bencher<'_, '_>, mix: &str) {
    let fake = KernelBuilder::new(Era::V6_1).recipe(&format!("ram 0..{PAGES}\n{}", recipe(mix))).build();
    let memory = Flat::of(&fake);
    let machine = Machine { elf_machine: Some(62), order: ByteOrder::Little, word: WordSize::Bits64 };
    let info = Vmcoreinfo::parse(fake.vmcoreinfo().as_bytes());
    let kernel = Kernel::new(info, machine, PageSize::K4, &[]).unwrap();
    let end = Pfn(fake.max_pfn());
    let (map, rules) = (kernel.mem_map(&memory, end).unwrap(), kernel.page_rules(&memory).unwrap());
    let footprint = &Footprint::find(&kernel, &memory, &map, end);
    let level = DumpLevel::new(31).unwrap();
    let job = Exclusion { kernel: &kernel, memory: &memory, map: &map, rules: &rules, footprint, level };
    let mut ram = PageBitmap::new(end).unwrap();
    fake.ram().iter().for_each(|run| ram.set(PfnRange::new(Pfn(run.start), Pfn(run.end))));
    check(&fake, &job, &ram);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let pages = ram.count(ram.span());
    bencher
        .counter(ItemsCount::new(pages))
        .with_inputs(|| ram.clone())
        .bench_local_refs(|bits| pool.install(|| exclude(&job, bits, &[], &NoWatch).unwrap()));
}

/// What is measured is right: as many pages are left out as the recipe says.
fn check(fake: &FakeKernel, job: &Exclusion<'_>, ram: &PageBitmap) {
    let mut bits = ram.clone();
    exclude(job, &mut bits, &[], &NoWatch).unwrap();
    assert_eq!(bits.count(bits.span()), fake.expected(31).kept.len() as u64);
}

fn main() {
    divan::main();
}
