//! Reads the fake kernels back the way a debugger would, from the VMCOREINFO text and memory alone.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::single_range_in_vec_init,
    reason = "helpers of tests are tests too"
)]

use dump_synth::kernel::START_KERNEL_MAP;
use dump_synth::{Class, Content, Era, FakeKernel, FreeLists, KernelBuilder, Leaf, MemModel, RootSymbol, StructPages};

const MODELS: &[MemModel] = &[
    MemModel::Flat,
    MemModel::Sparse(StructPages::DirectMap),
    MemModel::Sparse(StructPages::Vmemmap(Leaf::M2)),
    MemModel::SparseExtreme(RootSymbol::Array, StructPages::Vmemmap(Leaf::M2)),
    MemModel::SparseExtreme(RootSymbol::PointerValue, StructPages::Vmemmap(Leaf::K4)),
    MemModel::SparseExtreme(RootSymbol::PointerAddress, StructPages::DirectMap),
];

const RECIPE: &str = "
    ram 0x0..0x9f
    ram 0x100..0x800
    anon 0x110..0x120
    free 0x180 order=3
    free 0x190 order=3
    free 0x198 order=3
    free 0x1a0 order=3
    thp 0x200
";

/// A reader that knows nothing but the text and a way to read physical memory.
struct Reader<'a> {
    kernel: &'a FakeKernel,
    phys_base: i64,
    levels: u32,
    mask: u64,
}

impl<'a> Reader<'a> {
    fn new(kernel: &'a FakeKernel) -> Self {
        let mut reader = Reader { kernel, phys_base: kernel.phys_base(), levels: 4, mask: 0x000f_ffff_ffff_f000 };
        if let Some(base) = reader.get("NUMBER(phys_base)") {
            reader.phys_base = base.parse().unwrap();
        }
        if reader.get("NUMBER(pgtable_l5_enabled)") == Some("1") {
            reader.levels = 5;
        }
        if let Some(mask) = reader.get("NUMBER(sme_mask)") {
            reader.mask &= !mask.parse::<u64>().unwrap();
        }
        reader
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        self.kernel.vmcoreinfo().lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    }

    fn number(&self, key: &str) -> u64 {
        self.get(key).unwrap_or_else(|| panic!("no {key}")).parse().unwrap()
    }

    fn symbol(&self, name: &str) -> u64 {
        u64::from_str_radix(self.get(&format!("SYMBOL({name})")).unwrap(), 16).unwrap()
    }

    fn image_to_phys(&self, virt: u64) -> u64 {
        (virt - START_KERNEL_MAP).wrapping_add_signed(self.phys_base)
    }

    fn translate(&self, virt: u64) -> u64 {
        let root = self.get("SYMBOL(init_top_pgt)").or(self.get("SYMBOL(init_level4_pgt)")).unwrap();
        let mut table = self.image_to_phys(u64::from_str_radix(root, 16).unwrap());
        for level in (1..=self.levels).rev() {
            let shift = 3 + 9 * level;
            let entry = self.kernel.memory().number(table + (virt >> shift & 511) * 8, 8);
            assert_eq!(entry & 1, 1, "{virt:#x} is not mapped at level {level}");
            if level == 1 || entry & 0x80 != 0 {
                let size = 1u64 << shift;
                return (entry & self.mask & !(size - 1)) + (virt & (size - 1));
            }
            table = entry & self.mask;
        }
        unreachable!("the lowest level always ends the walk")
    }

    fn word(&self, virt: u64) -> u64 {
        self.kernel.memory().number(self.translate(virt), 8)
    }

    fn text(&self, virt: u64) -> String {
        let bytes = self.kernel.memory().bytes(self.translate(virt), 65);
        String::from_utf8(bytes.split(|byte| *byte == 0).next().unwrap().to_vec()).unwrap()
    }

    /// Address of the struct page of `pfn`, the way `model` finds it.
    fn struct_page(&self, model: MemModel, pfn: u64, section_bits: u32) -> u64 {
        if model == MemModel::Flat {
            return self.word(self.symbol("mem_map")) + pfn * 64;
        }
        let size = self.number("SIZE(mem_section)");
        let number = pfn >> (section_bits - 12);
        let array = self.symbol("mem_section");
        let entry = match model {
            MemModel::SparseExtreme(root, _) => {
                let array = if root == RootSymbol::PointerAddress { self.word(array) } else { array };
                let each = 4096 / size;
                self.word(array + number / each * 8) + number % each * size
            }
            _ => array + number * size,
        };
        let coded = self.word(entry);
        assert_eq!(coded & 1, 1, "section {number} is present");
        (coded & !31).wrapping_add(pfn * 64)
    }
}

fn check(kernel: &FakeKernel, model: MemModel, section_bits: u32) {
    let reader = Reader::new(kernel);
    let name = if reader.get("OFFSET(uts_namespace.name)").is_some() { 0 } else { 4 };
    let release = reader.text(reader.symbol("init_uts_ns") + name + 2 * 65);
    assert_eq!(Some(release.as_str()), reader.get("OSRELEASE"));
    for pfn in [0, 0x9e, 0x100, 0x180, 0x2ff, 0x7ff, kernel.max_pfn() - 1] {
        let virt = reader.struct_page(model, pfn, section_bits);
        assert_eq!(kernel.struct_page(pfn), Some((virt, reader.translate(virt))), "pfn {pfn:#x}");
        assert_eq!(reader.translate(kernel.page_offset() + pfn * 4096), pfn * 4096);
    }
    assert_eq!(reader.image_to_phys(reader.symbol("_stext")), reader.translate(kernel.image_virt()));
}

#[test]
fn every_era_in_every_model() {
    for era in Era::ALL {
        for model in MODELS {
            let kernel = KernelBuilder::new(*era).model(*model).recipe(RECIPE).build();
            check(&kernel, *model, 27);
        }
    }
}

#[test]
fn five_levels_kaslr_and_encryption() {
    for model in MODELS {
        let builder = KernelBuilder::new(Era::V5_10).model(*model).recipe(RECIPE);
        let kernel = builder.five_level().kaslr(0x31c0_0000).sme_mask(1 << 47).direct_leaf(Leaf::K4).build();
        assert!(kernel.phys_base() < 0);
        check(&kernel, *model, 27);
    }
}

#[test]
fn small_sections() {
    let model = MemModel::SparseExtreme(RootSymbol::PointerValue, StructPages::DirectMap);
    let ram = "ram 0x10000..0x10100\nram 0..0x9f\nram 0x100..0x800";
    let kernel = KernelBuilder::new(Era::V6_12).model(model).sections(24, 40).recipe(ram).build();
    let reader = Reader::new(&kernel);
    assert_eq!(reader.number("NUMBER(SECTION_SIZE_BITS)"), 24);
    let virt = reader.struct_page(model, 0x10080, 24);
    assert_eq!(kernel.struct_page(0x10080).map(|at| at.0), Some(virt));
    assert_eq!(kernel.struct_page(0x8000), None);
}

/// Follows every list of the populated zone, forwards; returns the pfns, or `None` when a link does not lead back.
fn free_pages(kernel: &FakeKernel) -> Option<Vec<u64>> {
    let reader = Reader::new(kernel);
    let zone = reader.symbol("contig_page_data") + reader.number("SIZE(zone)");
    assert_eq!(reader.word(zone + reader.number("OFFSET(zone.spanned_pages)")), kernel.max_pfn());
    let map = reader.word(reader.symbol("mem_map"));
    let mut found = Vec::new();
    for order in 0..reader.number("LENGTH(zone.free_area)") {
        for kind in 0..reader.number("LENGTH(free_area.free_list)") {
            let area = reader.number("OFFSET(zone.free_area)") + order * reader.number("SIZE(free_area)");
            let head = zone + area + kind * 16;
            let mut here = head;
            loop {
                let next = reader.word(here);
                if reader.word(next + 8) != here {
                    return None;
                }
                if next == head {
                    break;
                }
                let first = (next - reader.number("OFFSET(page.lru)") - map) / 64;
                found.extend(first..first + (1 << order));
                here = next;
            }
        }
    }
    found.sort_unstable();
    Some(found)
}

#[test]
fn free_lists_are_closed() {
    for era in Era::ALL {
        let kernel = KernelBuilder::new(*era).model(MemModel::Flat).recipe(RECIPE).build();
        let expected: Vec<u64> = kernel.memory().pfns().filter(|pfn| kernel.class(*pfn) == Class::Free).collect();
        assert_eq!((free_pages(&kernel), expected.len()), (Some(expected), 32), "{era}");
    }
}

#[test]
fn damaged_lists_show() {
    for state in [FreeLists::BrokenPrev, FreeLists::Loop] {
        let builder = KernelBuilder::new(Era::V3_8).model(MemModel::Flat).recipe(RECIPE);
        let kernel = builder.free_lists(state).build();
        assert_eq!(free_pages(&kernel), None);
        assert_eq!(kernel.expected(31).counts.free, 0, "they cannot be identified then");
    }
}

#[test]
fn shared_tails_of_hugetlb_pages() {
    let model = MemModel::SparseExtreme(RootSymbol::PointerValue, StructPages::Vmemmap(Leaf::K4));
    for (era, is_tail) in [(Era::V6_12, 0), (Era::V7_1, 1)] {
        let kernel = KernelBuilder::new(era).model(model).recipe("hugetlb 0x400 order=9 hvo").build();
        let reader = Reader::new(&kernel);
        let base = reader.symbol("vmemmap");
        let shared = reader.translate(base + 0x440 * 64);
        assert_eq!(reader.translate(base + 0x5c0 * 64), shared);
        // Offset 8 is compound_head or compound_info: a false head until 7.1, a tail since.
        assert_eq!(reader.word(base + 0x440 * 64 + 8) & 1, is_tail, "{era}");
        assert_eq!(reader.word(base + 0x441 * 64 + 8) & 1, 1);
    }
}

#[test]
fn the_recipe_decides() {
    let kernel = KernelBuilder::new(Era::V6_16)
        .recipe(
            "ram 0..0x1000
             anon 0x10..0x20 zero
             cache-private 0x20..0x24
             offline 0x24
             hwpoison 0x25
             anon 0x26 poisoned
             unaccepted 0x400
             free-bad-order 0x27
             kernel 0x28 noise",
        )
        .build();
    let all = kernel.expected(0);
    assert_eq!((all.counts.hwpoison, all.counts.offline, all.counts.unaccepted), (2, 1, 1024));
    assert!(all.kept.contains(&0x10) && all.zero.contains(&0x10) && !all.kept.contains(&0x24));
    let most = kernel.expected(31);
    assert_eq!((most.counts.user, most.counts.hwpoison, most.counts.cache_private), (17, 1, 4));
    assert!(most.kept.contains(&0x27) && most.counts.zero > 0 && !most.zero.contains(&0x10));
    assert_eq!(most.bitmap(0x30)[4..6], [0x80, 0xff]);
    assert_eq!(kernel.page(0x28), Some(Content::Noise.page(0x28).to_vec()));
    assert!(kernel.own_pages().all(|pfn| most.kept.contains(&pfn)));
}

#[test]
fn vmcore_holds_memory_twice_where_the_image_is() {
    let kernel = KernelBuilder::new(Era::V6_12).recipe("ram 0..0x100\nkernel 0x10").build();
    let core = kernel.elf();
    let layout = core.layout();
    let bytes = kernel.vmcore();
    assert_eq!(core.loads.len(), 1 + kernel.ram().len());
    assert!(core.loads[0].vaddr >= START_KERNEL_MAP && core.loads[0].paddr == kernel.image().start);
    assert!(core.loads[2].paddr == core.loads[0].paddr);
    let at = layout.loads[1] as usize + 0x10 * 4096;
    assert_eq!(bytes[at..at + 4096], Content::Pattern.page(0x10));
}

#[test]
fn kdump_of_a_kernel() {
    let kernel = KernelBuilder::new(Era::V6_12).recipe("ram 0..0x100\nanon 0x10\nkernel 0x11").build();
    let file = kernel.kdump(31);
    assert!(file.ram.contains(&0x10) && !file.dumped.contains(&0x10) && file.dumped.contains(&0x11));
    let bytes = file.to_bytes();
    assert_eq!(&bytes[..8], b"KDUMP   ");
    assert_eq!(file.slots.len(), file.dumped.len());
}
