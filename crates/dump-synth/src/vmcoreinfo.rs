//! The text of VMCOREINFO: the keys each era's kernel prints, in its order.
//!
//! The common part follows `crash_save_vmcoreinfo_init()` (kernel/kexec.c, later crash_core.c and vmcore_info.c), the
//! end `arch_crash_save_vmcoreinfo()` of each architecture (arch/*/kernel/{vmcore_info,crash_core,machine_kexec}.c).
//! SYMBOL values are hexadecimal without 0x, all others decimal, except KERNELOFFSET (hexadecimal) and VMALLOC_START
//! (0x).

use std::collections::BTreeMap;
use std::fmt::Display;

use crate::config::KernelConfig;
use crate::era::Era;
use crate::facts::{Compound, FREE_ORDERS, Facts, HUGETLB_DTOR, Tail};
use crate::memmodel::{MemModel, per_root};
use crate::printk::{Form, header_size, info_size};
use crate::zones;

/// Symbols printed for completeness; the variables are there, filled with zeros.
pub(crate) const FILLER: &[&str] = &[
    "vmlist",
    "vmap_area_list",
    "prb",
    "printk_rb_static",
    "clear_seq",
    "log_buf",
    "log_buf_len",
    "log_first_idx",
    "clear_idx",
    "log_next_idx",
    "kallsyms_names",
    "kallsyms_num_syms",
    "kallsyms_token_table",
    "kallsyms_token_index",
    "kallsyms_offsets",
    "kallsyms_relative_base",
    "lowcore_ptr",
    "high_memory",
    "vmemmap_list",
    "mmu_vmemmap_psize",
    "mmu_psize_defs",
    "cur_cpu_spec",
];

/// When the fake kernels crashed (seconds since 1970).
pub const CRASHTIME: u64 = 1_700_000_000;

/// Offset of the name in `struct uts_namespace`: behind a kref until 5.10, which also began to say so.
pub(crate) fn utsname_offset(era: Era) -> u64 {
    if era >= Era::V5_10 { 0 } else { 4 }
}

/// The whole text.
pub(crate) fn text(
    config: &KernelConfig,
    symbols: &BTreeMap<&'static str, u64>,
    image_phys: u64,
    phys_base: i64,
) -> String {
    let mut out = Text { config, symbols, image_phys, era: config.era, facts: config.facts(), lines: Vec::new() };
    out.basics();
    out.model();
    out.structures();
    out.log();
    out.numbers();
    out.kallsyms();
    out.machine(phys_base);
    out.line("CRASHTIME", CRASHTIME);
    out.lines.extend(config.extra.iter().cloned());
    let omitted = |line: &String| config.omitted.iter().any(|key| line.split('=').next() == Some(key));
    out.lines.retain(|line| !omitted(line));
    out.lines.iter().map(|line| format!("{line}\n")).collect()
}

struct Text<'a> {
    config: &'a KernelConfig,
    symbols: &'a BTreeMap<&'static str, u64>,
    image_phys: u64,
    era: Era,
    facts: Facts,
    lines: Vec<String>,
}

impl Text<'_> {
    fn line(&mut self, key: &str, value: impl Display) {
        self.lines.push(format!("{key}={value}"));
    }

    fn symbol(&mut self, name: &str) {
        let value = self.symbols.get(name).unwrap_or_else(|| panic!("no symbol {name}"));
        self.line(&format!("SYMBOL({name})"), format!("{value:x}"));
    }

    fn size(&mut self, name: &str, value: u64) {
        self.line(&format!("SIZE({name})"), value);
    }

    fn offset(&mut self, name: &str, value: u64) {
        self.line(&format!("OFFSET({name})"), value);
    }

    fn length(&mut self, name: &str, value: u64) {
        self.line(&format!("LENGTH({name})"), value);
    }

    fn number(&mut self, name: &str, value: impl Into<i64>) {
        let value: i64 = value.into();
        self.line(&format!("NUMBER({name})"), value);
    }

    fn since(&self, era: Era) -> bool {
        self.era >= era
    }

    fn basics(&mut self) {
        self.line("OSRELEASE", self.config.release_or_default());
        if self.since(Era::V5_10) {
            self.line("BUILD-ID", "0123456789abcdef0123456789abcdef01234567");
        }
        self.line("PAGESIZE", self.config.page_size());
        self.symbol("init_uts_ns");
        if self.since(Era::V5_10) {
            self.offset("uts_namespace.name", utsname_offset(self.era));
        }
        self.symbol("node_online_map");
        self.symbol("swapper_pg_dir");
        self.symbol("_stext");
        if self.since(Era::V6_9) {
            let start = if self.config.five_level { "0xffa0000000000000" } else { "0xffffc90000000000" };
            self.line("NUMBER(VMALLOC_START)", start);
        } else if self.since(Era::V3_10) {
            self.symbol("vmap_area_list");
        } else {
            self.symbol("vmlist");
        }
    }

    fn model(&mut self) {
        if !self.config.numa {
            self.symbol("mem_map");
            self.symbol("contig_page_data");
        }
        let sections = self.config.sections_or_default();
        let roots = match self.config.model {
            MemModel::Flat => return,
            MemModel::Sparse(_) => sections.count(),
            MemModel::SparseExtreme(..) => sections.count().div_ceil(per_root(&self.facts, self.config.page_size())),
        };
        if self.since(Era::V6_9) && self.config.model.is_vmemmap() {
            self.line("SYMBOL(vmemmap)", format!("{:x}", self.config.vmemmap_or_default()));
        }
        self.symbol("mem_section");
        self.length("mem_section", roots);
        self.size("mem_section", self.facts.section_struct);
        self.offset("mem_section.section_mem_map", 0);
        if self.since(Era::V5_10) || self.config.sections.is_some() || !self.config.machine.is_x86_64() {
            self.number("SECTION_SIZE_BITS", sections.size_bits);
            self.number("MAX_PHYSMEM_BITS", sections.physmem_bits);
        }
    }

    fn structures(&mut self) {
        let zone = self.facts.zone;
        self.size("page", self.facts.page_struct);
        self.size("pglist_data", zone.pgdat);
        self.size("zone", zone.zone);
        self.size("free_area", zones::area_size(&zone, self.facts.word));
        self.size("list_head", 2 * self.facts.word);
        self.size("nodemask_t", zone.nodemask);
        self.page_offsets();
        self.compound_offsets();
        self.node_offsets();
        self.offset("zone.free_area", zone.free_area);
        self.offset("zone.vm_stat", zone.vm_stat);
        self.offset("zone.spanned_pages", zone.spanned);
        self.offset("free_area.free_list", 0);
        self.offset("list_head.next", 0);
        self.offset("list_head.prev", self.facts.word);
        if !self.since(Era::V3_10) {
            self.offset("vm_struct.addr", 8);
        } else if !self.since(Era::V6_9) {
            self.offset("vmap_area.va_start", 0);
            self.offset("vmap_area.list", if self.since(Era::V5_1) { 40 } else { 48 });
        }
        self.length("zone.free_area", FREE_ORDERS);
    }

    fn page_offsets(&mut self) {
        let page = self.facts.page;
        self.offset("page.flags", 0);
        let count = if self.since(Era::V4_7) { "page._refcount" } else { "page._count" };
        self.offset(count, page.refcount);
        self.offset("page.mapping", page.mapping);
        self.offset("page.lru", page.lru);
        if self.since(Era::V3_10) {
            self.offset("page._mapcount", page.mapcount);
            self.offset("page.private", page.private);
        }
    }

    fn compound_offsets(&mut self) {
        if let Compound::Numbers { dtor, order, .. } = self.facts.compound {
            let (owner, base) =
                if self.since(Era::V6_3) { ("folio._folio_", self.facts.page_struct) } else { ("page.compound_", 0) };
            self.offset(&format!("{owner}dtor"), base + dtor);
            self.offset(&format!("{owner}order"), base + order);
        }
        match self.facts.tail {
            Tail::FirstPage(_) => {}
            Tail::Head(offset) => self.offset("page.compound_head", offset),
            Tail::Info(offset) => self.offset("page.compound_info", offset),
        }
    }

    fn node_offsets(&mut self) {
        let (start, word) = (zones::start_pfn_offset(self.config), self.facts.word);
        self.offset("pglist_data.node_zones", 0);
        self.offset("pglist_data.nr_zones", self.facts.zone.nr_zones);
        if self.config.model == MemModel::Flat {
            self.offset("pglist_data.node_mem_map", start - word);
        }
        self.offset("pglist_data.node_start_pfn", start);
        self.offset("pglist_data.node_spanned_pages", start + 2 * word);
        self.offset("pglist_data.node_id", start + 3 * word);
    }

    fn numbers(&mut self) {
        self.length("free_area.free_list", self.facts.zone.migrate_types);
        self.number("NR_FREE_PAGES", 0);
        self.flags();
        self.types();
    }

    fn flags(&mut self) {
        let flags = self.facts.flags;
        self.number("PG_lru", flags.lru);
        self.number("PG_private", flags.private);
        self.number("PG_swapcache", flags.swapcache);
        if self.since(Era::V4_18) {
            self.number("PG_swapbacked", flags.swapbacked);
        }
        if let (true, Some(slab)) = (self.since(Era::V3_10), flags.slab) {
            self.number("PG_slab", slab);
        }
        if let Some(slab) = self.facts.types.slab {
            self.number("PAGE_SLAB_MAPCOUNT_VALUE", slab);
        }
        if self.since(Era::V3_17) {
            self.number("PG_hwpoison", flags.hwpoison);
            self.number("PG_head_mask", 1i64 << flags.head);
        }
    }

    fn types(&mut self) {
        let types = self.facts.types;
        if self.since(Era::V3_10) {
            self.number("PAGE_BUDDY_MAPCOUNT_VALUE", types.buddy);
        }
        self.hugetlb();
        if let (true, Some(offline)) = (self.since(Era::V5_1), types.offline) {
            self.number("PAGE_OFFLINE_MAPCOUNT_VALUE", offline);
        }
        if let (true, Some(unaccepted)) = (self.since(Era::V6_16), types.unaccepted) {
            self.number("PAGE_UNACCEPTED_MAPCOUNT_VALUE", unaccepted);
        }
    }

    fn hugetlb(&mut self) {
        match (self.facts.compound, self.facts.types.hugetlb) {
            (_, Some(hugetlb)) => self.number("PAGE_HUGETLB_MAPCOUNT_VALUE", hugetlb),
            (Compound::FlagsByte { hugetlb: Some(bit) }, _) => self.number("PG_hugetlb", bit),
            (Compound::Numbers { .. }, _) => self.number("HUGETLB_PAGE_DTOR", HUGETLB_DTOR as i64),
            (Compound::ListPointers, _) if self.since(Era::V3_17) => self.symbol("free_huge_page"),
            _ => {}
        }
    }

    fn log(&mut self) {
        match self.config.log.as_ref().map(|log| log.form) {
            Some(Form::Text { .. }) => {
                ["log_buf", "log_end", "log_buf_len", "logged_chars"].into_iter().for_each(|name| self.symbol(name));
            }
            Some(Form::Records { callers, .. }) => self.record_log(callers),
            Some(Form::Ring { .. }) => self.ring_buffer(),
            None if self.since(Era::V5_10) => self.ring_buffer(),
            None => self.record_log(false),
        }
    }

    fn record_log(&mut self, callers: bool) {
        for name in ["log_buf", "log_buf_len", "log_first_idx", "clear_idx", "log_next_idx"] {
            self.symbol(name);
        }
        // struct log until 3.10.
        let name = if self.since(Era::V3_17) { "printk_log" } else { "log" };
        self.size(name, header_size(callers));
        for (field, at) in [("ts_nsec", 0), ("len", 8), ("text_len", 10), ("dict_len", 12)] {
            self.offset(&format!("{name}.{field}"), at);
        }
        if callers {
            self.offset(&format!("{name}.caller_id"), 16);
        }
    }

    fn ring_buffer(&mut self) {
        for name in ["prb", "printk_rb_static", "clear_seq"] {
            self.symbol(name);
        }
        let word = self.facts.word;
        let dev_info = if self.since(Era::V7_2) { 44 } else { 24 };
        self.size("printk_ringbuffer", 11 * word);
        let ring = [("desc_ring", 0), ("text_data_ring", 6 * word), ("fail", 10 * word)];
        self.members("printk_ringbuffer", &ring);
        self.size("prb_desc_ring", 6 * word);
        let descs =
            [("count_bits", 0), ("descs", word), ("infos", 2 * word), ("head_id", 3 * word), ("tail_id", 4 * word)];
        self.members("prb_desc_ring", &descs);
        self.size("prb_desc", 3 * word);
        self.members("prb_desc", &[("state_var", 0), ("text_blk_lpos", word)]);
        self.size("prb_data_blk_lpos", 2 * word);
        self.members("prb_data_blk_lpos", &[("begin", 0), ("next", word)]);
        self.size("printk_info", info_size(self.era));
        self.members(
            "printk_info",
            &[("seq", 0), ("ts_nsec", 8), ("text_len", 16), ("caller_id", 20), ("dev_info", dev_info)],
        );
        self.size("dev_printk_info", 64);
        self.offset("dev_printk_info.subsystem", 0);
        self.length("printk_info_subsystem", 16);
        self.offset("dev_printk_info.device", 16);
        self.length("printk_info_device", 48);
        self.size("prb_data_ring", 4 * word);
        let text = [("size_bits", 0), ("data", word), ("head_lpos", 2 * word), ("tail_lpos", 3 * word)];
        self.members("prb_data_ring", &text);
        self.size("atomic_long_t", word);
        self.offset("atomic_long_t.counter", 0);
        self.size("latched_seq", word + 16);
        self.offset("latched_seq.val", word);
    }

    fn members(&mut self, owner: &str, members: &[(&str, u64)]) {
        for (member, at) in members {
            self.offset(&format!("{owner}.{member}"), *at);
        }
    }

    fn kallsyms(&mut self) {
        if !self.since(Era::V6_1) {
            return;
        }
        for name in
            ["kallsyms_names", "kallsyms_num_syms", "kallsyms_token_table", "kallsyms_token_index", "kallsyms_offsets"]
        {
            self.symbol(name);
        }
        if !self.since(Era::V7_1) {
            self.symbol("kallsyms_relative_base");
        }
    }

    fn nodes(&mut self) {
        if self.config.numa {
            self.symbol("node_data");
            self.length("node_data", zones::NODES);
        }
    }

    /// What `arch_crash_save_vmcoreinfo()` adds.
    fn machine(&mut self, phys_base: i64) {
        match self.config.machine.elf_machine {
            3 => self.i386(),
            21 => self.ppc64(),
            22 => self.s390x(),
            40 => self.arm(),
            62 => self.x86_64(phys_base),
            183 => self.arm64(),
            243 => self.riscv64(),
            258 => self.nodes(),
            _ => self.made_up(),
        }
    }

    /// Where the image is mapped, and where it is.
    fn image(&self) -> (u64, u64) {
        (self.symbols["_stext"], self.image_phys)
    }

    fn arm64(&mut self) {
        let machine = self.config.machine;
        let (virt, phys) = self.image();
        self.nodes();
        self.number("VA_BITS", machine.virtual_bits());
        self.line("NUMBER(kimage_voffset)", format!("{:#x}", virt - phys));
        self.line("NUMBER(PHYS_OFFSET)", "0x0");
        // since 5.9 (bbdbc11804ff)
        if self.since(Era::V5_10) {
            self.line("NUMBER(TCR_EL1_T1SZ)", format!("{:#x}", 64 - machine.virtual_bits()));
        }
        self.line("KERNELOFFSET", "0");
    }

    fn riscv64(&mut self) {
        let machine = self.config.machine;
        let (virt, phys) = self.image();
        self.nodes();
        self.number("VA_BITS", machine.virtual_bits());
        self.number("phys_ram_base", 0);
        let area = |start: u64| format!("{start:#x}");
        self.line("NUMBER(PAGE_OFFSET)", area(machine.page_offset));
        self.line("NUMBER(VMALLOC_START)", area(machine.vmemmap + (64 << 30)));
        self.line("NUMBER(VMALLOC_END)", area(machine.vmemmap + (65 << 30) - 1));
        self.line("NUMBER(VMEMMAP_START)", area(machine.vmemmap));
        self.line("NUMBER(VMEMMAP_END)", area(machine.vmemmap + (64 << 30) - 1));
        self.line("NUMBER(MODULES_VADDR)", area(virt - (1 << 30)));
        self.line("NUMBER(MODULES_END)", area(virt - 1));
        self.line("NUMBER(KERNEL_LINK_ADDR)", area(virt));
        self.line("NUMBER(va_kernel_pa_offset)", area(virt - phys));
    }

    fn s390x(&mut self) {
        self.symbol("lowcore_ptr");
        self.symbol("high_memory");
        self.length("lowcore_ptr", 2);
        self.nodes();
        self.line("SAMODE31", "0");
        self.line("EAMODE31", "0");
        // 6.10 took the image out of the identity mapping; the offset is that of address 0 of the image
        if self.config.machine.image.is_some() {
            let (virt, phys) = self.image();
            self.line("IDENTITYBASE", "0");
            self.line("KERNELOFFSET", format!("{:x}", virt - (1 << 20)));
            self.line("KERNELOFFPHYS", format!("{:x}", phys - (1 << 20)));
        }
    }

    /// The list of what the vmemmap is made of is empty: it is in the radix tree, as 6.9 and later have it.
    fn ppc64(&mut self) {
        self.nodes();
        for name in ["vmemmap_list", "mmu_vmemmap_psize", "mmu_psize_defs"] {
            self.symbol(name);
        }
        self.size("vmemmap_backing", 24);
        self.members("vmemmap_backing", &[("list", 0), ("phys", 8), ("virt_addr", 16)]);
        self.size("mmu_psize_def", 64);
        self.offset("mmu_psize_def.shift", 0);
        self.symbol("cur_cpu_spec");
        self.offset("cpu_spec.mmu_features", 24);
        self.number("RADIX_MMU", 1);
    }

    fn i386(&mut self) {
        self.nodes();
        if self.config.machine.entry == 8 {
            self.line("CONFIG_X86_PAE", "y");
        }
        self.line("KERNELOFFSET", "0");
    }

    fn arm(&mut self) {
        self.nodes();
        if self.config.machine.entry == 8 {
            self.line("CONFIG_ARM_LPAE", "y");
        }
    }

    fn made_up(&mut self) {
        self.nodes();
        self.line("NUMBER(page_offset)", format!("{:#x}", self.config.page_offset_or_default()));
    }

    fn x86_64(&mut self, phys_base: i64) {
        // A symbol until 4.10 (401721ecd1dc): its value must then be taken from the program headers.
        if self.since(Era::V4_14) {
            self.number("phys_base", phys_base);
            self.symbol("init_top_pgt");
        } else {
            self.symbol("phys_base");
            self.symbol("init_level4_pgt");
        }
        if self.since(Era::V4_18) || self.config.five_level {
            self.number("pgtable_l5_enabled", self.config.five_level);
        }
        self.nodes();
        if self.since(Era::V3_17) {
            self.line("KERNELOFFSET", format!("{:x}", self.config.kaslr));
            self.number("KERNEL_IMAGE_SIZE", 1 << 30);
        }
        if self.since(Era::V5_1) || self.config.sme_mask != 0 {
            self.number("sme_mask", self.config.sme_mask as i64);
        }
    }
}
