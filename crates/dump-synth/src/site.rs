//! The fake kernel under construction: where a recipe becomes memory, page tables, struct pages, zones.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::arena::Arena;
use crate::bytes::round_up;
use crate::config::KernelConfig;
use crate::era::Era;
use crate::expect::Class;
use crate::facts::Facts;
use crate::kernel::{FakeKernel, START_KERNEL_MAP};
use crate::memmodel::{MemMap, MemModel, Placement, RootSymbol, StructPages, coded_map, per_root};
use crate::memory::FakeMemory;
use crate::page::{PageWriter, Pointers, StructPage};
use crate::pgtable::{Leaf, PageTables};
use crate::recipe::{Content, Kind, Line};
use crate::vmcoreinfo;

const IMAGE_LINKED_AT: u64 = 0xffff_ffff_8100_0000;
const IMAGE_ALIGN: u64 = 2 << 20;
const DATA_IN_IMAGE: u64 = 1 << 20;

/// Memory for kernel variables other than `mem_section` (bytes), 174 KiB of pglist_data among them.
const VARIABLES: u64 = 512 << 10;

/// Memory for page tables, pages of sections, nodes and the rest (bytes): some tens of pages, 174 KiB of pglist_data.
const MISCELLANY: u64 = 512 << 10;

/// Physical minus link address of the kernel image (bytes): x86_64's alone, 0 elsewhere.
pub(crate) fn phys_base(image_phys: u64, config: &KernelConfig) -> i64 {
    let virt = IMAGE_LINKED_AT + config.kaslr;
    if config.machine.is_x86_64() { image_phys as i64 - (virt - START_KERNEL_MAP) as i64 } else { 0 }
}

/// Where the kernel image is mapped: at its link address on x86_64, else in the direct map.
pub(crate) fn image_virt(config: &KernelConfig, image_phys: u64) -> u64 {
    let direct = config.page_offset_or_default() + image_phys;
    if config.machine.is_x86_64() { IMAGE_LINKED_AT + config.kaslr } else { config.machine.image.unwrap_or(direct) }
}

/// A kernel under construction.
pub(crate) struct Site {
    pub(crate) config: KernelConfig,
    pub(crate) memory: FakeMemory,
    /// The kernel's allocations.
    pub(crate) arena: Arena,
    image: Arena,
    image_phys: u64,
    area: Range<u64>,
    /// RAM whose struct pages are those of section 0.
    repeated: Range<u64>,
    tables: PageTables,
    symbols: BTreeMap<&'static str, u64>,
    classes: BTreeMap<u64, Class>,
    /// Buddy blocks for the free lists: first pfn and order.
    pub(crate) free: Vec<(u64, u32)>,
}

impl Site {
    pub(crate) fn new(config: KernelConfig) -> Self {
        assert!(config.kaslr % IMAGE_ALIGN == 0, "a KASLR offset is a multiple of 2 MiB");
        let mut ram = config.recipe.present();
        let area = own_area(&config, &ram);
        ram.push(area.clone());
        let repeated = repeated(&config, &area);
        ram.push(repeated.clone());
        let image_phys = area.start * config.page_size();
        let image_end = image_phys + image_bytes(&config);
        let mut site = Site {
            memory: FakeMemory::with_pages(&ram, config.page_size()),
            arena: Arena::new(image_end..area.end * config.page_size()),
            image: Arena::new(image_phys + DATA_IN_IMAGE..image_end),
            image_phys,
            area,
            repeated,
            tables: PageTables { root: 0, shape: config.shape(), encryption: config.sme_mask },
            symbols: BTreeMap::new(),
            classes: BTreeMap::new(),
            free: Vec::new(),
            config,
        };
        site.symbols.insert("_stext", site.image_virt(image_phys));
        site
    }

    fn image_virt(&self, phys: u64) -> u64 {
        image_virt(&self.config, self.image_phys) + (phys - self.image_phys)
    }

    /// Writes a word of the machine.
    pub(crate) fn put_word(&mut self, at: u64, value: u64) {
        self.memory.write_number(at, value, self.config.word(), self.config.machine.endian);
    }

    /// Writes a number of 4 bytes.
    pub(crate) fn put_u32(&mut self, at: u64, value: u32) {
        self.memory.write_number(at, value.into(), 4, self.config.machine.endian);
    }

    /// The word of the machine at `at`.
    pub(crate) fn word(&self, at: u64) -> u64 {
        self.memory.number_in(at, self.config.word(), self.config.machine.endian)
    }

    pub(crate) fn direct(&self, phys: u64) -> u64 {
        self.config.page_offset_or_default() + phys
    }

    /// A kernel variable of `size` bytes in the image; returns its physical address.
    pub(crate) fn variable(&mut self, name: &'static str, size: u64, align: u64) -> u64 {
        let phys = self.image.take(size, align);
        self.symbols.insert(name, self.image_virt(phys));
        phys
    }

    /// Virtual address of a symbol named before.
    pub(crate) fn address_of(&self, name: &str) -> u64 {
        self.symbols[name]
    }

    /// A symbol that is not (the address of) a variable of ours.
    pub(crate) fn name(&mut self, name: &'static str, address: u64) {
        self.symbols.insert(name, address);
    }

    pub(crate) fn map_kernel(&mut self) {
        let size = self.tables.shape.root_bytes().next_multiple_of(4096);
        self.tables.root = self.variable("init_top_pgt", size, size);
        self.tables.clear(&mut self.memory, self.tables.root, self.config.shape().levels.len() as u32);
        let root = self.symbols["init_top_pgt"];
        self.name("init_level4_pgt", root);
        self.name("swapper_pg_dir", root);
        if self.config.machine.is_x86_64() {
            let virt = self.image_virt(self.image_phys);
            self.map(virt, self.image_phys, image_bytes(&self.config), Leaf::M2);
        } else if let Some(virt) = self.config.machine.image {
            self.map(virt, self.image_phys, image_bytes(&self.config), Leaf::K4);
        }
        let leaf = self.config.direct_leaf;
        let runs = match leaf {
            Leaf::G1 => vec![0..self.area.end; 1],
            _ => self.own_ram(),
        };
        for run in runs {
            let (page, each) = (self.config.page_size(), self.tables.shape.leaf_size(leaf));
            let start = run.start * page / each * each;
            let size = round_up(run.end * page, each) - start;
            self.map(self.direct(start), start, size, leaf);
        }
    }

    fn map(&mut self, virt: u64, phys: u64, size: u64, leaf: Leaf) {
        self.tables.map(&mut self.memory, &mut self.arena, virt, phys, size, leaf);
    }

    /// RAM without what is repeated.
    fn own_ram(&self) -> Vec<Range<u64>> {
        self.memory.ram().iter().filter(|run| run.end <= self.area.end).cloned().collect()
    }

    /// Maps the struct pages of section 0 as those of each section of the repeated RAM.
    pub(crate) fn repeat_struct_pages(&mut self, map: &MemMap) {
        let pages = self.config.sections_or_default().pages();
        for first in self.repeated.clone().step_by(pages as usize) {
            let (virt, phys) = map.find(0).expect("section 0 is RAM");
            self.map(
                virt + first * self.config.facts().page_struct,
                phys,
                pages * self.config.facts().page_struct,
                Leaf::M2,
            );
        }
    }

    pub(crate) fn place_struct_pages(&mut self) -> MemMap {
        let ram = self.own_ram();
        placement(&self.config, &ram).place(&mut self.memory, &mut self.arena, &self.tables)
    }

    pub(crate) fn put_sections(&mut self, map: &MemMap) {
        // Sparse kernels without NUMA have (and export) the variable too; nobody sets it.
        let word = self.config.word();
        let mem_map = self.variable("mem_map", word, word);
        match self.config.model {
            MemModel::Flat => self.put_word(mem_map, map.find(0).expect("FLATMEM begins at pfn 0").0),
            MemModel::Sparse(_) => self.put_sparse(map),
            MemModel::SparseExtreme(root, _) => self.put_extreme(map, root),
        }
    }

    fn put_sparse(&mut self, map: &MemMap) {
        let size = self.config.facts().section_struct;
        let array = self.variable("mem_section", mem_section_bytes(&self.config), self.config.page_size());
        for number in self.present_sections() {
            self.put_section(map, number, array + number * size);
        }
    }

    fn put_extreme(&mut self, map: &MemMap, root: RootSymbol) {
        let each = per_root(&self.config.facts(), self.config.page_size());
        let size = mem_section_bytes(&self.config);
        let array = match root {
            RootSymbol::Array => self.variable("mem_section", size, self.config.page_size()),
            _ => self.arena.take(size, self.config.page_size()),
        };
        match root {
            RootSymbol::Array => {}
            RootSymbol::PointerValue => self.name("mem_section", self.direct(array)),
            RootSymbol::PointerAddress => {
                let pointer = self.variable("mem_section", self.config.word(), self.config.word());
                self.put_word(pointer, self.direct(array));
            }
        }
        for number in self.present_sections() {
            let page = self.root_page(array + number / each * self.config.word());
            self.put_section(map, number, page + number % each * self.config.facts().section_struct);
        }
    }

    /// Physical address of the page of sections that `slot` points to, a new one if none yet.
    fn root_page(&mut self, slot: u64) -> u64 {
        let address = self.word(slot);
        if address != 0 {
            return address - self.config.page_offset_or_default();
        }
        let page = self.arena.take(self.config.page_size(), self.config.page_size());
        self.put_word(slot, self.direct(page));
        page
    }

    fn put_section(&mut self, map: &MemMap, number: u64, at: u64) {
        let sections = self.config.sections_or_default();
        // in vmemmap, where the struct page of pfn 0 would be is the same for all
        let like = if self.repeated.contains(&(number * sections.pages())) { 0 } else { number };
        let coded = coded_map(map, sections, like, self.config.facts().section_flags);
        self.put_word(at, coded);
        // Second word: pageblock_flags, section usage. Any kernel address.
        self.put_word(at + self.config.word(), self.direct(self.image_phys + 0x40));
    }

    fn present_sections(&self) -> Vec<u64> {
        let pages = self.config.sections_or_default().pages();
        let runs = self.memory.ram().iter();
        let mut numbers: Vec<u64> = runs.flat_map(|run| run.start / pages..=(run.end - 1) / pages).collect();
        numbers.dedup();
        let limit = self.config.sections_or_default().count();
        assert!(numbers.iter().all(|number| *number < limit), "RAM beyond MAX_PHYSMEM_BITS");
        numbers
    }

    fn writer(&self) -> PageWriter {
        let pointers = Pointers {
            hugetlb_dtor: self.image_virt(self.image_phys) + 0x1230,
            compound_dtor: self.image_virt(self.image_phys) + 0x4560,
            object: self.direct(self.image_phys + 0x7800),
            masks: self.config.model.is_vmemmap(),
        };
        PageWriter { facts: self.config.facts(), pointers, endian: self.config.machine.endian }
    }

    pub(crate) fn put_default_pages(&mut self, map: &MemMap) {
        let writer = self.writer();
        self.name("free_huge_page", writer.pointers.hugetlb_dtor);
        for pfn in map.pfns() {
            let (virt, phys) = map.find(pfn).expect("pfns() are found");
            let garbage = self.config.recipe.holes.iter().any(|(hole, garbage)| *garbage && hole.contains(&pfn));
            let page = if self.memory.is_ram(pfn) { writer.plain(virt) } else { writer.hole(virt, garbage) };
            self.memory.write(phys, &page.bytes);
        }
    }

    pub(crate) fn put_lines(&mut self, map: &mut MemMap) {
        for line in self.config.recipe.lines.clone() {
            let usable = line.pfns.clone().all(|pfn| self.memory.is_ram(pfn) && !self.area.contains(&pfn));
            assert!(usable, "{line:x?} names page frames that are not RAM");
            for first in line.blocks() {
                self.put_block(map, &line, first);
            }
        }
    }

    fn put_block(&mut self, map: &mut MemMap, line: &Line, first: u64) {
        let (virt, _) = map.find(first).expect("RAM has struct pages");
        let pages = self.writer().block(virt, line);
        let class = Class::of(line, self.config.era, self.config.free_lists);
        check_order(line);
        let own = if line.hvo { self.share_tails(map, first, &pages) } else { pages.len() };
        for (pfn, page) in (first..).zip(&pages[..own]) {
            let (_, phys) = map.find(pfn).expect("RAM has struct pages");
            self.memory.write(phys, &page.bytes);
        }
        for pfn in first..first + pages.len() as u64 {
            self.put_content(pfn, line.content);
            let earlier = self.classes.insert(pfn, class);
            assert!(earlier.is_none(), "pfn {pfn:#x} is named twice");
        }
        if line.kind == Kind::Free {
            self.free.push((first, line.order));
        }
    }

    /// Memory that was never written reads as zeros.
    fn put_content(&mut self, pfn: u64, content: Content) {
        if content != Content::Zero {
            let mut page = vec![0; self.config.page_size() as usize];
            content.fill(pfn, &mut page);
            self.memory.write(pfn * self.config.page_size(), &page);
        }
    }

    /// Maps the struct pages beyond the first page of them to a shared page; returns how many are not shared.
    fn share_tails(&mut self, map: &mut MemMap, first: u64, pages: &[StructPage]) -> usize {
        assert!(self.config.era >= Era::V5_10, "hugetlb pages do not share struct pages before 5.14");
        let per_page = (self.config.page_size() / self.config.facts().page_struct) as usize;
        let (_, head) = map.find(first).expect("RAM has struct pages");
        let target = if self.config.era >= Era::V7_1 { self.tail_page(&pages[per_page..2 * per_page]) } else { head };
        for virt in map.share(first, pages.len() as u64, target) {
            self.map(virt, target, self.config.page_size(), Leaf::K4);
        }
        per_page
    }

    fn tail_page(&mut self, tails: &[StructPage]) -> u64 {
        let page = self.arena.take(self.config.page_size(), self.config.page_size());
        for (index, tail) in (0u64..).zip(tails) {
            self.memory.write(page + index * self.config.facts().page_struct, &tail.bytes);
        }
        page
    }

    pub(crate) fn put_utsname(&mut self) {
        // The kref that came first until 5.10 moved the name by 4 bytes.
        let offset = vmcoreinfo::utsname_offset(self.config.era);
        let at = self.variable("init_uts_ns", 0x1a0, 64) + offset;
        let release = self.config.release_or_default();
        let fields = ["Linux", "synth", &release, "#1 SMP gdump", self.config.machine.name, "(none)"];
        for (index, field) in (0u64..).zip(fields) {
            self.memory.write(at + index * 65, field.as_bytes());
        }
    }

    pub(crate) fn finish(mut self, map: MemMap) -> FakeKernel {
        let base = phys_base(self.image_phys, &self.config);
        let variable = self.variable("phys_base", self.config.word(), self.config.word());
        self.put_word(variable, base as u64);
        let log = self.config.log.clone().map(|log| log.put(&mut self)).unwrap_or_default();
        for name in vmcoreinfo::FILLER {
            if !self.symbols.contains_key(name) {
                self.variable(name, 256, 64);
            }
        }
        let text = vmcoreinfo::text(&self.config, &self.symbols, self.image_phys, base);
        let note = self.arena.take(self.config.page_size(), self.config.page_size());
        self.memory.write(note, text.as_bytes());
        FakeKernel {
            root: self.tables.root,
            config: self.config,
            memory: self.memory,
            symbols: self.symbols,
            map,
            image_phys: self.image_phys,
            classes: self.classes,
            vmcoreinfo: text,
            area: self.area,
            log,
        }
    }
}

fn placement<'a>(config: &KernelConfig, ram: &'a [Range<u64>]) -> Placement<'a> {
    Placement {
        model: config.model,
        sections: config.sections_or_default(),
        ram,
        page_offset: config.page_offset_or_default(),
        vmemmap: config.vmemmap_or_default(),
        page_struct: config.facts().page_struct,
        page_size: config.page_size(),
        shape: config.shape(),
    }
}

/// Some kinds of page do not come in every order.
fn check_order(line: &Line) {
    let max = Facts::max_order();
    let possible = match line.kind {
        Kind::Free => line.order <= max,
        Kind::Unaccepted => line.order == max,
        Kind::Hugetlb => line.order > 0,
        _ => true,
    };
    assert!(possible, "{line:x?} cannot have order {}", line.order);
}

/// Size of the array that `mem_section` is or points to (bytes).
fn mem_section_bytes(config: &KernelConfig) -> u64 {
    let count = config.sections_or_default().count();
    match config.model {
        MemModel::Flat => 0,
        MemModel::Sparse(_) => count * config.facts().section_struct,
        MemModel::SparseExtreme(..) => count.div_ceil(per_root(&config.facts(), config.page_size())) * config.word(),
    }
}

/// Size of the kernel image, its mapping and its PT_LOAD (bytes).
pub(crate) fn image_bytes(config: &KernelConfig) -> u64 {
    let is_static = matches!(config.model, MemModel::Sparse(_) | MemModel::SparseExtreme(RootSymbol::Array, _));
    let sections = if is_static { mem_section_bytes(config) } else { 0 };
    round_up(DATA_IN_IMAGE + VARIABLES + sections, IMAGE_ALIGN)
}

/// The kernel's own pfns, behind `ram`. Its struct pages are part of what it must hold, so its size is found by trying.
fn own_area(config: &KernelConfig, ram: &[Range<u64>]) -> Range<u64> {
    let end = ram.last().map_or(0, |run| run.end) * config.page_size();
    let start = round_up(end, IMAGE_ALIGN) / config.page_size();
    let mut size = 0;
    loop {
        let area = start..start + size / config.page_size() + 1;
        let mut with_area = ram.to_vec();
        with_area.push(area.clone());
        let tables = table_bytes(config, &with_area);
        let sections = mem_section_bytes(config);
        let repeated = config.repeated_to / config.sections_or_default().pages() * 64; // an entry and a section each
        let own = image_bytes(config) + sections + placement(config, &with_area).bytes();
        let needed = own + MISCELLANY + tables + repeated;
        if needed <= size {
            return start..start + size / config.page_size();
        }
        size = round_up(needed + config.facts().page_struct, config.page_size());
    }
}

/// The RAM that is added behind the kernel's own memory.
fn repeated(config: &KernelConfig, area: &Range<u64>) -> Range<u64> {
    let pages = config.sections_or_default().pages();
    let start = round_up(area.end, pages);
    let one_leaf = config.model.struct_pages() == StructPages::Vmemmap(Leaf::M2)
        && pages * config.facts().page_struct == config.shape().leaf_size(Leaf::M2);
    assert!(config.repeated_to == 0 || one_leaf, "a section's struct pages must be one large page");
    start..config.repeated_to.max(start)
}

/// At least what the tables of the direct map take (bytes).
fn table_bytes(config: &KernelConfig, ram: &[Range<u64>]) -> u64 {
    let (shape, page) = (config.shape(), config.page_size());
    let (leaf, table) = (shape.leaf_size(config.direct_leaf), shape.lowest_table());
    let per_table = leaf * (table / shape.entry);
    let covered: u64 = ram.iter().map(|run| (run.end - run.start) * page / per_table + 2).sum();
    // the image has tables of its own, and every part of the address space its upper ones
    let upper = image_bytes(config) / per_table + 3 * shape.levels.len() as u64;
    (covered + 8 + upper) * table.next_multiple_of(4096)
}
