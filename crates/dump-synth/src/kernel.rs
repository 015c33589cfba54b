//! The fake kernel: a recipe turned into memory, page tables, struct pages, zones and VMCOREINFO.
//!
//! Physical layout, from low to high:
//!
//! | where | what |
//! |---|---|
//! | the recipe's RAM | the pages that the recipe describes |
//! | next multiple of 2 MiB, 2 MiB or more | kernel image: `_stext` first, variables from 1 MiB on |
//! | behind it | struct pages, page tables, sections, nodes: everything the kernel allocated |
//!
//! The kernel image of x86_64 is mapped at `0xffffffff81000000` plus the KASLR offset, everything at the direct map's
//! base.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::config::KernelConfig;
use crate::expect::{Class, Expected};
use crate::memmodel::MemMap;
use crate::memory::FakeMemory;
use crate::printk::LogPlaces;
use crate::site::{Site, image_bytes, image_virt, phys_base};
use crate::zones;

/// `__START_KERNEL_map`: where physical address `phys_base` is mapped.
pub const START_KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;

/// A kernel in its memory, ready to be dumped.
#[derive(Clone, Debug)]
pub struct FakeKernel {
    pub(crate) config: KernelConfig,
    pub(crate) memory: FakeMemory,
    pub(crate) symbols: BTreeMap<&'static str, u64>,
    pub(crate) map: MemMap,
    pub(crate) image_phys: u64,
    pub(crate) classes: BTreeMap<u64, Class>,
    pub(crate) vmcoreinfo: String,
    pub(crate) area: Range<u64>,
    pub(crate) root: u64,
    pub(crate) log: LogPlaces,
}

impl FakeKernel {
    pub(crate) fn build(config: KernelConfig) -> Self {
        let mut site = Site::new(config);
        site.map_kernel();
        let mut map = site.place_struct_pages();
        site.repeat_struct_pages(&map);
        site.put_sections(&map);
        site.put_default_pages(&map);
        site.put_lines(&mut map);
        site.put_utsname();
        zones::put(&mut site, &map);
        site.finish(map)
    }

    /// The memory image.
    #[must_use]
    pub fn memory(&self) -> &FakeMemory {
        &self.memory
    }

    /// Overwrites memory at physical address `at`: damage.
    ///
    /// # Panics
    /// When part of it is a hole.
    pub fn overwrite(&mut self, at: u64, bytes: &[u8]) {
        self.memory.write(at, bytes);
    }

    /// Where its log is.
    #[must_use]
    pub fn log(&self) -> LogPlaces {
        self.log
    }

    /// The pfn ranges that are RAM, ascending; the last holds the kernel's own memory.
    #[must_use]
    pub fn ram(&self) -> &[Range<u64>] {
        self.memory.ram()
    }

    /// The kernel's own memory (pfns): image, struct pages, page tables. Nothing there is ever dropped.
    #[must_use]
    pub fn own_pages(&self) -> Range<u64> {
        self.area.clone()
    }

    /// One past the highest pfn.
    #[must_use]
    pub fn max_pfn(&self) -> u64 {
        self.memory.max_pfn()
    }

    /// Content of a page frame, `None` for a hole.
    #[must_use]
    pub fn page(&self, pfn: u64) -> Option<Vec<u8>> {
        self.memory.page(pfn)
    }

    /// The text of VMCOREINFO, as the kernel of the era would print it.
    #[must_use]
    pub fn vmcoreinfo(&self) -> &str {
        &self.vmcoreinfo
    }

    /// Virtual address of a kernel symbol, in VMCOREINFO or not.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<u64> {
        self.symbols.get(name).copied()
    }

    /// Physical address of the top page table (CR3).
    #[must_use]
    pub fn page_table_root(&self) -> u64 {
        self.root
    }

    /// Virtual address of physical address 0.
    #[must_use]
    pub fn page_offset(&self) -> u64 {
        self.config.page_offset_or_default()
    }

    /// Physical minus link-time address of the kernel image (bytes); negative with a large KASLR offset.
    #[must_use]
    pub fn phys_base(&self) -> i64 {
        phys_base(self.image_phys, &self.config)
    }

    /// Physical addresses of the kernel image: what its PT_LOAD covers.
    #[must_use]
    pub fn image(&self) -> Range<u64> {
        self.image_phys..self.image_phys + image_bytes(&self.config)
    }

    /// Virtual address of the kernel image, `_stext`.
    #[must_use]
    pub fn image_virt(&self) -> u64 {
        image_virt(&self.config, self.image_phys)
    }

    /// Virtual and physical address of the struct page of `pfn`, `None` where the kernel has none.
    #[must_use]
    pub fn struct_page(&self, pfn: u64) -> Option<(u64, u64)> {
        self.map.find(pfn)
    }

    /// What `pfn` is for, by the recipe.
    #[must_use]
    pub fn class(&self, pfn: u64) -> Class {
        self.classes.get(&pfn).copied().unwrap_or(Class::Kept)
    }

    /// What a dump at `level` must keep, by the recipe's meaning and no struct page (see [`Expected`]).
    #[must_use]
    pub fn expected(&self, level: u32) -> Expected {
        Expected::of(&self.memory, &self.classes, level)
    }
}
