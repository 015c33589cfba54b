//! Fake kernels whose memory has a few words changed: struct pages, page tables, sections, lists.

use crate::Seed;
use crate::input::Input;
use dump_core::{Error, Machine, PageSize, Pfn, PfnRange, PhysAddr, Result, Segment, VirtAddr};
use dump_kernel::{Kernel, PhysMemory, PhysReader, Vmcoreinfo};
use dump_synth::{Era, FakeKernel, KernelBuilder, Leaf, MemModel, RootSymbol, StructPages, every_kind};
use std::collections::BTreeMap;
use std::sync::LazyLock;

const PAGE: u64 = 4096;

/// Pages that recipes describe.
const RECIPE_PAGES: u64 = 0x2000;

/// A fake kernel, and where its memory is worth a change.
pub struct Fake {
    pub kernel: FakeKernel,
    /// Pages that the kernel wrote for itself and that are not struct pages: page tables, sections, zones.
    own: Vec<u64>,
}

/// Kernels of several eras and memory models.
pub static FAKES: LazyLock<Vec<Fake>> = LazyLock::new(|| {
    use MemModel::{Flat, Sparse, SparseExtreme};
    let sparse = Sparse(StructPages::DirectMap);
    let vmemmap = |root, leaf| SparseExtreme(root, StructPages::Vmemmap(leaf));
    [
        builder(Era::V6_12, vmemmap(RootSymbol::PointerValue, Leaf::M2)).repeated_to(0x1_8000),
        builder(Era::V3_8, Flat),
        builder(Era::V3_8, sparse).numa(),
        builder(Era::V4_4, SparseExtreme(RootSymbol::Array, StructPages::DirectMap)),
        builder(Era::V5_10, vmemmap(RootSymbol::PointerValue, Leaf::K4)).five_level().kaslr(0x1200_0000),
        builder(Era::V7_2, vmemmap(RootSymbol::PointerValue, Leaf::M2)).repeated_to(0x1_8000),
        builder(Era::V4_16, vmemmap(RootSymbol::PointerAddress, Leaf::K4)),
    ]
    .into_iter()
    .map(|builder| Fake::new(builder.build()))
    .collect()
});

/// A kernel with every kind of page, all of them zero: their contents are nobody's business here.
fn builder(era: Era, model: MemModel) -> KernelBuilder {
    let is_use = |line: &str| !line.trim().is_empty() && !line.trim().starts_with(['r', 'h']);
    let zero = |line: &str| if is_use(line) { format!("{line} zero\n") } else { format!("{line}\n") };
    let recipe: String = every_kind(era).lines().map(zero).collect();
    KernelBuilder::new(era).model(model).recipe(&recipe)
}

impl Fake {
    /// A kernel that may be changed.
    pub fn new(kernel: FakeKernel) -> Fake {
        let structs: Vec<u64> = (0..RECIPE_PAGES).filter_map(|pfn| Some(kernel.struct_page(pfn)?.1 / PAGE)).collect();
        let own = kernel.memory().written(kernel.own_pages()).map(|(pfn, _)| pfn);
        let own = own.filter(|pfn| structs.binary_search(pfn).is_err() && !structs.contains(pfn)).collect();
        Fake { kernel, own }
    }

    /// What a dump of it would be opened as.
    pub fn kernel(&self, info: Vmcoreinfo) -> Result<Kernel> {
        let (image, virt) = (self.kernel.image(), self.kernel.image_virt());
        let text = Segment { paddr: PhysAddr(image.start), vaddr: VirtAddr(virt), bytes: image.end - image.start };
        let machine = Machine { elf_machine: Some(62), ..Machine::UNKNOWN };
        Kernel::new(info, machine, PageSize::K4, &[text])
    }

    /// What it says of itself.
    pub fn info(&self) -> Vmcoreinfo {
        Vmcoreinfo::parse(self.kernel.vmcoreinfo().as_bytes())
    }

    /// The page frame after the last.
    pub fn end(&self) -> Pfn {
        Pfn(self.kernel.max_pfn())
    }

    /// Its RAM.
    pub fn ram(&self) -> impl Iterator<Item = PfnRange> + '_ {
        self.kernel.ram().iter().map(|run| PfnRange::new(Pfn(run.start), Pfn(run.end)))
    }

    /// A physical address that is worth a change: two of three are words of struct pages.
    fn place(&self, which: u8, page: u16, word: u16) -> u64 {
        let (page, word) = (u64::from(page), u64::from(word));
        match which % 4 {
            0 | 1 => self.kernel.struct_page(page % RECIPE_PAGES).map_or(0, |(_, at)| at + word % 64),
            2 => self.own[page as usize % self.own.len()] * PAGE + word % PAGE,
            _ => page % self.kernel.max_pfn() * PAGE + word % PAGE,
        }
    }

    /// Its memory.
    pub fn unchanged(&self) -> Changed<'_> {
        Changed { fake: self, pages: BTreeMap::new() }
    }

    /// Its memory with the changes that follow in `input`.
    pub fn changed<'a>(&'a self, input: &mut Input<'_>) -> Changed<'a> {
        let mut changed = self.unchanged();
        let mut count = 0;
        while !input.is_empty() && count < 64 {
            count += 1;
            let how = input.u8();
            let at = self.place(how, input.u16(), input.u16());
            match how >> 2 & 3 {
                0 => changed.write(at, input.take(8)),
                1 => changed.write(at, input.take(1)),
                2 => {
                    // another struct page in place of this one
                    let from = self.place(0, input.u16(), 0);
                    let mut page = [0; 64];
                    if changed.read(from, &mut page) {
                        changed.write(at & !63, &page);
                    }
                }
                _ => {
                    // the address of another place: lists and tables that lead elsewhere
                    let virt = self.kernel.page_offset() + self.place(input.u8(), input.u16(), input.u16());
                    changed.write(at & !7, &virt.to_le_bytes());
                }
            }
        }
        changed
    }
}

/// The memory of a fake kernel, changed.
pub struct Changed<'a> {
    fake: &'a Fake,
    pages: BTreeMap<u64, Vec<u8>>,
}

impl Changed<'_> {
    /// Changes bytes.
    pub fn write(&mut self, at: u64, bytes: &[u8]) {
        for (at, byte) in (at..).zip(bytes) {
            let Some(page) = self.fake.kernel.page(at / PAGE) else { continue };
            self.pages.entry(at / PAGE).or_insert(page)[(at % PAGE) as usize] = *byte;
        }
    }

    fn read(&self, at: u64, buf: &mut [u8]) -> bool {
        let mut done = 0;
        while done < buf.len() {
            let Some(at) = at.checked_add(done as u64) else { return false };
            let into = at % PAGE;
            let step = (buf.len() - done).min((PAGE - into) as usize);
            let part = &mut buf[done..done + step];
            match self.pages.get(&(at / PAGE)) {
                Some(page) => part.copy_from_slice(&page[into as usize..into as usize + step]),
                None if self.fake.kernel.memory().read(at, part) => {}
                None => return false,
            }
            done += step;
        }
        true
    }
}

impl PhysMemory for Changed<'_> {
    fn reader(&self) -> Box<dyn PhysReader + '_> {
        Box::new(Reader(self))
    }
}

struct Reader<'a>(&'a Changed<'a>);

impl PhysReader for Reader<'_> {
    fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<()> {
        if self.0.read(at.0, buf) { Ok(()) } else { Err(Error::missing(format!("{at} is not RAM"))) }
    }
}

/// Each kernel as it is, and with changes of each sort.
pub fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for i in 0..FAKES.len() as u8 {
        seeds.push((format!("kernel{i}"), vec![i]));
        seeds.push((format!("copied{i}"), [&[i][..], &[8, 0x10, 1, 0, 0, 0, 8], &[8, 0, 2, 0, 0, 0x10, 1]].concat()));
        seeds.push((format!("led{i}"), [&[i][..], &[14, 3, 0, 8, 0, 2, 1, 0, 0, 0]].concat()));
    }
    seeds
}
