//! Fake kernels as this crate sees them: their memory, and an architecture for machines that no `Arch` walks.

use dump_core::{ByteOrder, Error, PageSize, PhysAddr, Result, Segment, VirtAddr, WordSize};
use dump_kernel::arch::{ARCHES, Arch, MachineFacts, SectionBits};
use dump_kernel::{
    Kernel, KernelSymbols, Mapping, PhysMemory, PhysReader, TableCache, TableShape, Translate, Vmcoreinfo, Words,
};
use dump_synth::{
    Endian, Era, FakeKernel, FakeMemory, KernelBuilder, Leaf, Machine, MemModel, RootSymbol, StructPages, Width,
    every_kind_on,
};
use std::sync::LazyLock;

/// Fake memory as physical memory.
pub struct Memory<'a>(pub &'a FakeMemory);

impl PhysMemory for Memory<'_> {
    fn reader(&self) -> Box<dyn PhysReader + '_> {
        Box::new(Reader(self.0))
    }
}

struct Reader<'a>(&'a FakeMemory);

impl PhysReader for Reader<'_> {
    fn read(&mut self, at: PhysAddr, buf: &mut [u8]) -> Result<()> {
        if self.0.read(at.0, buf) { Ok(()) } else { Err(Error::missing(format!("{at} is not RAM"))) }
    }
}

/// An architecture made of a fake machine: page tables of any shape.
struct Radix(&'static Machine);

static MADE_UP: LazyLock<Vec<Radix>> = LazyLock::new(|| Machine::MADE_UP.iter().map(Radix).collect());

impl Arch for Radix {
    fn name(&self) -> &'static str {
        self.0.name
    }

    fn elf_machine(&self) -> u16 {
        self.0.elf_machine
    }

    fn has_words(&self, words: Words) -> bool {
        words == words_of(self.0)
    }

    fn keys(&self) -> &'static [&'static str] {
        &[]
    }

    fn phys_base(&self, _: MachineFacts<'_>) -> Option<u64> {
        None
    }

    fn is_kernel(&self, at: VirtAddr) -> bool {
        at.0 >= self.0.page_offset
    }

    fn section_bits(&self, _: &dyn KernelSymbols, _: PageSize) -> Option<SectionBits> {
        None
    }

    fn page_tables(&self, facts: MachineFacts<'_>) -> Result<Box<dyn Translate>> {
        let lacking = || Error::missing("SYMBOL(swapper_pg_dir) and NUMBER(page_offset)");
        let root = facts.symbols.symbol("swapper_pg_dir").ok_or_else(lacking)?;
        let page_offset = facts.symbols.number("page_offset").ok_or_else(lacking)? as u64;
        Ok(Box::new(Walk { machine: self.0, root: PhysAddr(root.0 - page_offset) }))
    }
}

struct Walk {
    machine: &'static Machine,
    root: PhysAddr,
}

impl Translate for Walk {
    fn translate(&self, memory: &mut dyn PhysReader, cache: &mut TableCache, at: VirtAddr) -> Result<Mapping> {
        let (machine, mut table) = (self.machine, self.root);
        let mut span = machine.page_size << machine.levels.iter().sum::<u32>();
        for (level, bits) in machine.levels.iter().enumerate() {
            span >>= bits;
            let order = words_of(machine).order;
            let shape = TableShape { entries: 1 << bits, entry_bytes: machine.entry as usize, order };
            let index = (at.0 / span) as usize & (shape.entries - 1);
            let entry = cache.entry(memory, level, table, shape, index)?;
            if entry & 1 == 0 {
                return Err(Error::missing(format!("{at} is not mapped")));
            }
            table = PhysAddr(entry & !0xfff);
        }
        let into = at.0 % machine.page_size;
        Ok(Mapping { virt: at, phys: PhysAddr(table.0 + into), bytes: machine.page_size - into })
    }
}

/// The words of a fake machine.
pub fn words_of(machine: &Machine) -> Words {
    Words {
        order: if machine.endian == Endian::Little { ByteOrder::Little } else { ByteOrder::Big },
        size: if machine.width == Width::W32 { WordSize::Bits32 } else { WordSize::Bits64 },
    }
}

/// Machines of every word size, byte order and shape of page tables.
pub fn machines() -> impl Iterator<Item = &'static Machine> {
    std::iter::once(&Machine::X86_64).chain(Machine::REAL).chain(Machine::MADE_UP)
}

/// The kernel of `fake`, which runs on `machine`.
pub fn kernel(fake: &FakeKernel, machine: &Machine) -> Kernel {
    kernel_with(fake, machine, fake.vmcoreinfo()).unwrap()
}

/// The same with another text of vmcoreinfo.
pub fn kernel_with(fake: &FakeKernel, machine: &Machine, text: &str) -> Result<Kernel> {
    let page_size = PageSize::from_bytes(machine.page_size).unwrap();
    assert_eq!(Vmcoreinfo::parse(text.as_bytes()).page_size().unwrap_or(page_size), page_size);
    kernel_of(fake, machine, text, page_size)
}

/// The same with pages of another size.
pub fn kernel_of(fake: &FakeKernel, machine: &Machine, text: &str, page_size: PageSize) -> Result<Kernel> {
    let arch: &'static dyn Arch = match MADE_UP.iter().find(|arch| arch.0 == machine) {
        Some(radix) => radix,
        None => *ARCHES.iter().find(|arch| arch.elf_machine() == machine.elf_machine).unwrap(),
    };
    let segment = Segment { paddr: PhysAddr(fake.image().start), vaddr: VirtAddr(fake.image_virt()), bytes: 1 };
    let info = Vmcoreinfo::parse(text.as_bytes());
    Kernel::with_arch(arch, info, words_of(machine), page_size, &[segment])
}

/// Memory models that any machine can have.
pub const MODELS: [MemModel; 6] = [
    MemModel::Flat,
    MemModel::Sparse(StructPages::DirectMap),
    MemModel::Sparse(StructPages::Vmemmap(Leaf::K4)),
    MemModel::SparseExtreme(RootSymbol::Array, StructPages::DirectMap),
    MemModel::SparseExtreme(RootSymbol::PointerValue, StructPages::Vmemmap(Leaf::K4)),
    MemModel::SparseExtreme(RootSymbol::PointerAddress, StructPages::DirectMap),
];

/// A kernel of `era` with every kind of page, all of them zero: their contents are nobody's business here.
pub fn builder(era: Era, machine: &Machine, model: MemModel) -> KernelBuilder {
    let is_use = |line: &str| !line.trim().is_empty() && !line.trim().starts_with(['r', 'h']);
    let zero = |line: &str| if is_use(line) { format!("{line} zero\n") } else { format!("{line}\n") };
    let recipe: String = every_kind_on(era, machine).lines().map(zero).collect();
    KernelBuilder::new(era).machine(*machine).model(model).recipe(&recipe)
}

/// Every era on every machine, the memory models in turns; on machines that exist every fourth, in turns too.
pub fn every_era_and_machine() -> impl Iterator<Item = (Era, &'static Machine, MemModel)> {
    let pairs =
        Era::ALL.iter().enumerate().flat_map(|(i, era)| machines().enumerate().map(move |(j, m)| (i + j, *era, m)));
    let pairs = pairs.filter(|(turn, era, machine)| {
        machine.is_of(*era) && (turn % 4 == 0 || !Machine::REAL.iter().any(|real| real == *machine))
    });
    pairs.map(|(turn, era, machine)| (era, machine, MODELS[turn % MODELS.len()]))
}
