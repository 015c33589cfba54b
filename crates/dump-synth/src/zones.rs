//! Nodes, zones and free lists: one node with three zones, the middle one spanning all memory.
//!
//! Each order's `free_area` holds one list head per migrate type; the entries are linked through `page.lru` of the
//! first page of each free block. List heads without entries point to themselves.

use crate::config::{FreeLists, KernelConfig};
use crate::facts::{FREE_ORDERS, ZoneLayout};
use crate::memmodel::{MemMap, MemModel};
use crate::site::Site;

/// Zones of the node: DMA (empty), the one that counts, and another empty one.
pub(crate) const ZONES: u64 = 3;
const POPULATED: u64 = 1;

/// Migrate types that free blocks are spread over in turns.
const TYPES_USED: u64 = 3;

/// LENGTH(node_data).
pub(crate) const NODES: u64 = 1024;

/// A list head or entry: where it is for the kernel, and for us.
#[derive(Clone, Copy)]
struct Link {
    virt: u64,
    phys: u64,
}

pub(crate) fn put(site: &mut Site, map: &MemMap) {
    let online = site.variable("node_online_map", site.config.facts().zone.nodemask, 64);
    site.put_word(online, 1);
    let node = put_node(site);
    put_pgdat(site, node, map);
    put_zones(site, node, map);
}

/// Takes memory for `struct pglist_data`.
fn put_node(site: &mut Site) -> Link {
    let size = site.config.facts().zone.pgdat;
    if !site.config.numa {
        let phys = site.variable("contig_page_data", size, 64);
        let virt = site.address_of("contig_page_data");
        return Link { virt, phys };
    }
    let phys = site.arena.take(size, site.config.page_size());
    let virt = site.direct(phys);
    let array = site.variable("node_data", NODES * site.config.word(), 64);
    site.put_word(array, virt);
    Link { virt, phys }
}

/// Offset of `node_start_pfn`: in FLATMEM kernels `node_mem_map` stands before it.
pub(crate) fn start_pfn_offset(config: &KernelConfig) -> u64 {
    config.facts().zone.start_pfn + if config.model == MemModel::Flat { config.word() } else { 0 }
}

fn put_pgdat(site: &mut Site, node: Link, map: &MemMap) {
    let layout = site.config.facts().zone;
    let start = node.phys + start_pfn_offset(&site.config);
    let (end, word) = (site.memory.max_pfn(), site.config.word());
    site.put_u32(node.phys + layout.nr_zones, ZONES as u32);
    if site.config.model == MemModel::Flat {
        let first = map.find(0).map_or(0, |at| at.0);
        site.put_word(start - site.config.word(), first);
    }
    site.put_word(start, 0);
    site.put_word(start + word, end); // node_present_pages
    site.put_word(start + 2 * word, end); // node_spanned_pages
    site.put_u32(start + 3 * word, 0); // node_id
}

fn put_zones(site: &mut Site, node: Link, map: &MemMap) {
    let layout = site.config.facts().zone;
    for index in 0..ZONES {
        let zone = Link { virt: node.virt + index * layout.zone, phys: node.phys + index * layout.zone };
        let blocks = if index == POPULATED { site.free.clone() } else { Vec::new() };
        put_lists(site, &layout, zone, &blocks, map);
        if index == POPULATED {
            let pages: u64 = blocks.iter().map(|(_, order)| 1u64 << order).sum();
            let end = site.memory.max_pfn();
            site.put_word(zone.phys + layout.spanned, end);
            site.put_word(zone.phys + layout.vm_stat, pages); // NR_FREE_PAGES is 0
        }
    }
}

fn put_lists(site: &mut Site, layout: &ZoneLayout, zone: Link, blocks: &[(u64, u32)], map: &MemMap) {
    let area_size = area_size(layout, site.config.word());
    let mut breakage = site.config.free_lists;
    for order in 0..FREE_ORDERS {
        let area = layout.free_area + order * area_size;
        let members: Vec<u64> =
            blocks.iter().filter(|block| u64::from(block.1) == order).map(|block| block.0).collect();
        for kind in 0..layout.migrate_types {
            let offset = area + kind * 2 * site.config.word();
            let head = Link { virt: zone.virt + offset, phys: zone.phys + offset };
            let chosen: Vec<u64> =
                (0u64..).zip(&members).filter(|(turn, _)| turn % TYPES_USED == kind).map(|(_, pfn)| *pfn).collect();
            put_list(site, head, &chosen, map);
            if let (Some(first), Some(last)) = (chosen.first(), chosen.last()) {
                damage(site, breakage, link(site, map, *first), link(site, map, *last));
                breakage = FreeLists::Whole;
            }
        }
        let nr_free = zone.phys + area + layout.migrate_types * 2 * site.config.word();
        site.put_word(nr_free, members.len() as u64);
    }
}

/// SIZE(free_area): the list heads and `nr_free`.
pub(crate) fn area_size(layout: &ZoneLayout, word: u64) -> u64 {
    (layout.migrate_types * 2 + 1) * word
}

fn link(site: &Site, map: &MemMap, pfn: u64) -> Link {
    let lru = site.config.facts().page.lru;
    let (virt, phys) = map.find(pfn).expect("free pages have struct pages");
    Link { virt: virt + lru, phys: phys + lru }
}

fn put_list(site: &mut Site, head: Link, members: &[u64], map: &MemMap) {
    let mut ring = vec![head];
    ring.extend(members.iter().map(|pfn| link(site, map, *pfn)));
    for (index, here) in ring.iter().enumerate() {
        let next = ring[(index + 1) % ring.len()];
        let prev = ring[(index + ring.len() - 1) % ring.len()];
        site.put_word(here.phys, next.virt);
        site.put_word(here.phys + site.config.word(), prev.virt);
    }
}

fn damage(site: &mut Site, breakage: FreeLists, first: Link, last: Link) {
    match breakage {
        FreeLists::Whole => {}
        FreeLists::BrokenPrev => site.put_word(first.phys + site.config.word(), first.virt),
        FreeLists::Loop => site.put_word(last.phys, first.virt),
    }
}
