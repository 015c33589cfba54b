//! A text of vmcoreinfo from a `vmlinux`, as makedumpfile's `-g` writes it: the same lines in the same order. Then what
//! kernels export that makedumpfile does not write, which is needed to tell their pages apart.

use crate::kernel_files::open_vmlinux;
use crate::vmlinux_symbols::{VmlinuxTypes, release_of, version_in};
use dump_core::{Error, PageSize, Result};
use dump_debuginfo::Vmlinux;
use dump_kernel::{KernelTypes, number_by_types};
use std::fmt::{Display, Write};
use std::path::Path;
use std::sync::Arc;

#[rustfmt::skip] // in makedumpfile's order
const SYMBOLS: [&str; 38] = [
    "mem_map", "vmem_map", "mem_section", "pkmap_count", "system_utsname", "init_uts_ns", "_stext", "swapper_pg_dir",
    "init_level4_pgt", "level4_kernel_pgt", "init_top_pgt", "vmlist", "vmap_area_list", "node_online_map", "node_states",
    "node_data", "pgdat_list", "contig_page_data", "prb", "clear_seq", "log_buf", "log_buf_len", "log_end",
    "log_first_idx", "clear_idx", "log_next_idx", "max_pfn", "high_memory", "node_remap_start_vaddr",
    "node_remap_end_vaddr", "node_remap_start_pfn", "vmemmap_list", "mmu_psize_defs", "mmu_vmemmap_psize", "cpu_pgd",
    "demote_segment_4k", "cur_cpu_spec", "free_huge_page",
];

#[rustfmt::skip]
const SIZES: [&str; 8] =
    ["page", "mem_section", "pglist_data", "zone", "free_area", "list_head", "node_memblk_s", "nodemask_t"];

/// Sizes and offsets of messages: of a lockless ring buffer since 5.10 (896fbe20b4e2), of records since 3.11, before.
const MESSAGES: [(&str, &[&str], &[&str]); 3] = [
    (
        "prb",
        &["printk_ringbuffer", "prb_desc", "printk_info", "latched_seq"],
        &[
            "printk_ringbuffer.desc_ring",
            "printk_ringbuffer.text_data_ring",
            "prb_desc_ring.count_bits",
            "prb_desc_ring.descs",
            "prb_desc_ring.infos",
            "prb_desc_ring.head_id",
            "prb_desc_ring.tail_id",
            "prb_desc.state_var",
            "prb_desc.text_blk_lpos",
            "prb_data_blk_lpos.begin",
            "prb_data_blk_lpos.next",
            "prb_data_ring.size_bits",
            "prb_data_ring.data",
            "printk_info.ts_nsec",
            "printk_info.text_len",
            "printk_info.caller_id",
            "atomic_long_t.counter",
            "latched_seq.val",
        ],
    ),
    (
        "printk_log",
        &["printk_log"],
        &["printk_log.ts_nsec", "printk_log.len", "printk_log.text_len", "printk_log.caller_id"],
    ),
    ("log", &["log"], &["log.ts_nsec", "log.len", "log.text_len"]),
];

const MORE_SIZES: [&str; 2] = ["vmemmap_backing", "mmu_psize_def"];

#[rustfmt::skip]
const OFFSETS: [&str; 32] = [
    "page.flags", "page._refcount", "page._count", "page.mapping", "page.lru", "page._mapcount", "page.private",
    "page.compound_dtor", "page.compound_order", "page.compound_head", "folio._folio_dtor", "folio._folio_order",
    "mem_section.section_mem_map", "pglist_data.node_zones", "pglist_data.nr_zones", "pglist_data.node_mem_map",
    "pglist_data.node_start_pfn", "pglist_data.node_spanned_pages", "pglist_data.pgdat_next", "zone.free_pages",
    "zone.free_area", "zone.vm_stat", "zone.spanned_pages", "free_area.free_list", "list_head.next", "list_head.prev",
    "node_memblk_s.start_paddr", "node_memblk_s.size", "node_memblk_s.nid", "vm_struct.addr", "vmap_area.va_start",
    "vmap_area.list",
];

#[rustfmt::skip]
const MORE_OFFSETS: [&str; 6] = [
    "vmemmap_backing.phys", "vmemmap_backing.virt_addr", "vmemmap_backing.list", "mmu_psize_def.shift",
    "cpu_spec.mmu_features", "uts_namespace.name",
];

/// Arrays that are variables, where there are such, and members.
const ARRAYS: [&str; 5] = ["node_data", "pgdat_list", "mem_section", "node_memblk", "node_remap_start_pfn"];
const MEMBER_ARRAYS: [&str; 2] = ["zone.free_area", "free_area.free_list"];

#[rustfmt::skip]
const NUMBERS: [&str; 11] = [
    "NR_FREE_PAGES", "N_ONLINE", "PG_lru", "PG_private", "PG_head_mask", "PG_swapcache", "PG_swapbacked", "PG_slab",
    "PG_hwpoison", "PG_hugetlb", "HUGETLB_PAGE_DTOR",
];

/// What kernels export and makedumpfile does not write, or not under this name.
#[rustfmt::skip]
const OWN_NUMBERS: [&str; 5] = [
    "PAGE_BUDDY_MAPCOUNT_VALUE", "PAGE_OFFLINE_MAPCOUNT_VALUE", "PAGE_SLAB_MAPCOUNT_VALUE",
    "PAGE_HUGETLB_MAPCOUNT_VALUE", "PAGE_UNACCEPTED_MAPCOUNT_VALUE",
];

/// A text of vmcoreinfo from the `vmlinux` at `path`, without KASLR, for dumps of its kernel that lack theirs.
///
/// # Errors
/// If it is no ELF file with debug information or BTF, or not a kernel's.
pub fn generate_vmcoreinfo(path: impl AsRef<Path>) -> Result<String> {
    vmcoreinfo_text(&Arc::new(open_vmlinux(path.as_ref())?))
}

/// The same of one that is open.
pub(crate) fn vmcoreinfo_text(file: &Arc<Vmlinux>) -> Result<String> {
    let lacking = |what: &str| Error::missing(format!("{}: no {what}: not a kernel's", file.path().display()));
    let release = release_of(file).ok_or_else(|| lacking("linux_banner"))?;
    let types = VmlinuxTypes::new(Arc::clone(file));
    if types.size_of("page").is_none() {
        return Err(lacking("struct page in its debug information"));
    }
    let mut text = Text { out: String::new(), file, types: &types, version: version_in(&release) };
    text.line("OSRELEASE", &release);
    text.line("PAGESIZE", PageSize::K4.bytes());
    text.all();
    Ok(text.out)
}

/// The text as it grows, line by line; what the file lacks has no line.
struct Text<'a> {
    out: String,
    file: &'a Vmlinux,
    types: &'a VmlinuxTypes,
    version: Option<(u32, u32)>,
}

impl Text<'_> {
    fn all(&mut self) {
        let messages = self.messages();
        SYMBOLS.iter().for_each(|name| self.symbol(name));
        SIZES.iter().chain(messages.0).chain(&MORE_SIZES).for_each(|name| self.size(name));
        OFFSETS.iter().chain(messages.1).chain(&MORE_OFFSETS).for_each(|name| self.offset(name));
        let variables = ARRAYS.iter().filter(|name| self.file.symbol(name).is_some());
        variables.chain(&MEMBER_ARRAYS).for_each(|name| self.length(name));
        NUMBERS.iter().for_each(|name| self.number(name));
        if let Some(path) = self.file.declared_in("pud_t") {
            self.line("SRCFILE(pud_t)", path);
        }
        if let Some(id) = self.file.build_id() {
            let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
            self.line("BUILD-ID", hex);
        }
        self.offset("page.compound_info");
        OWN_NUMBERS.iter().for_each(|name| self.number(name));
    }

    /// How the kernel keeps its messages: the sizes and offsets of that.
    fn messages(&self) -> (&'static [&'static str], &'static [&'static str]) {
        let [ring, records, old] = MESSAGES;
        match (self.file.symbol(ring.0), self.types.size_of(records.0)) {
            (Some(_), _) => (ring.1, ring.2),
            (None, Some(_)) => (records.1, records.2),
            (None, None) => (old.1, old.2),
        }
    }

    fn line(&mut self, key: &str, value: impl Display) {
        let _ = writeln!(self.out, "{key}={value}"); // to a string, which takes all
    }

    fn put(&mut self, kind: &str, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.line(&format!("{kind}({name})"), value);
        }
    }

    fn symbol(&mut self, name: &str) {
        let at = self.file.symbol(name).filter(|at| *at != 0);
        self.put("SYMBOL", name, at.map(|at| format!("{at:x}")));
    }

    fn size(&mut self, name: &str) {
        self.put("SIZE", name, self.types.size_of(name));
    }

    /// makedumpfile writes `compound_info` (7.1) as `compound_head`.
    fn offset(&mut self, name: &str) {
        let renamed = || (name == "page.compound_head").then(|| self.types.offset_of("page.compound_info"))?;
        self.put("OFFSET", name, self.types.offset_of(name).or_else(renamed));
    }

    fn length(&mut self, name: &str) {
        self.put("LENGTH", name, self.types.length_of(name));
    }

    fn number(&mut self, name: &str) {
        self.put("NUMBER", name, number_by_types(self.types, self.version, name));
    }
}
