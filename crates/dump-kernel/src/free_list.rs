//! Free pages by the buddy allocator's own lists, for kernels that mark them no other way (before 3.9).
//!
//! ```text
//! node_data[] ─> pglist_data.node_zones[] ─> zone.free_area[order].free_list[migrate type] ─> page.lru ─> page.lru ...
//! ```

use crate::mem_map::MemMap;
use crate::nodes::{at, nodes};
use crate::page::{Block, BlockKind};
use crate::symbols::KernelSymbols;
use crate::virt::KernelMemory;
use dump_core::{Error, Pfn, Result, VirtAddr};

/// Bounds on what the dump says about its own structures: far above any kernel's values.
const MAX_ZONES: u64 = 16;
const MAX_ORDERS: u64 = 32;
const MAX_LISTS: u64 = 64;

/// Where the lists are, and how they are linked. Offsets and sizes in bytes.
pub struct FreeLists {
    nodes: Vec<VirtAddr>,
    node_zones: u64,
    nr_zones: u64,
    zone_size: u64,
    spanned_pages: u64,
    free_area: u64,
    free_area_size: u64,
    free_list: u64,
    list_size: u64,
    next: u64,
    prev: u64,
    lru: u64,
    orders: u64,
    lists: u64,
}

impl FreeLists {
    /// Locates the nodes and determines the structures' layout.
    ///
    /// # Errors
    /// `MissingInfo`, naming the key that vmcoreinfo lacks.
    pub fn new(symbols: &dyn KernelSymbols, memory: &mut KernelMemory<'_>) -> Result<FreeLists> {
        let offset = |name: &str| needed(symbols.offset_of(name), "OFFSET", name);
        let size = |name: &str| needed(symbols.size_of(name), "SIZE", name);
        let bounded = |n: Option<u64>, name: &str, max| needed(n.filter(|n| *n <= max), "LENGTH", name);
        Ok(FreeLists {
            nodes: nodes(symbols, memory)?,
            node_zones: offset("pglist_data.node_zones")?,
            nr_zones: offset("pglist_data.nr_zones")?,
            zone_size: size("zone")?,
            spanned_pages: offset("zone.spanned_pages")?,
            free_area: offset("zone.free_area")?,
            free_area_size: size("free_area")?,
            free_list: offset("free_area.free_list")?,
            list_size: size("list_head")?,
            next: offset("list_head.next")?,
            prev: offset("list_head.prev")?,
            lru: offset("page.lru")?,
            orders: bounded(symbols.length_of("zone.free_area"), "zone.free_area", MAX_ORDERS)?,
            lists: bounded(symbols.length_of("free_area.free_list"), "free_area.free_list", MAX_LISTS)?,
        })
    }

    /// Calls `free` with each block of free pages. `limit` (pages) is all there can be: a list that goes on longer runs
    /// in a circle.
    ///
    /// # Errors
    /// If a list is broken. What was found before it broke is not reliable either.
    pub fn walk(
        &self,
        memory: &mut KernelMemory<'_>,
        map: &MemMap,
        limit: u64,
        free: &mut dyn FnMut(Block),
    ) -> Result<()> {
        let mut left = limit;
        for node in &self.nodes {
            let zones = u64::from(memory.read_u32(at(*node, self.nr_zones)?)?);
            if zones > MAX_ZONES {
                return Err(Error::corrupt(format!(
                    "the node at {node} has {zones} zones, expected at most {MAX_ZONES}"
                )));
            }
            for zone in 0..zones {
                let zone = at(*node, self.node_zones + zone * self.zone_size)?;
                if memory.read_word(at(zone, self.spanned_pages)?)? == 0 {
                    continue;
                }
                for order in (0..self.orders).rev() {
                    let area = at(zone, self.free_area + order * self.free_area_size + self.free_list)?;
                    for list in 0..self.lists {
                        self.walk_list(memory, map, at(area, list * self.list_size)?, order, &mut left, free)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn walk_list(
        &self,
        memory: &mut KernelMemory<'_>,
        map: &MemMap,
        head: VirtAddr,
        order: u64,
        left: &mut u64,
        free: &mut dyn FnMut(Block),
    ) -> Result<()> {
        let (mut previous, mut entry) = (head, memory.read_pointer(at(head, self.next)?)?);
        while entry != head {
            let back = memory.read_pointer(at(entry, self.prev)?)?;
            let page = VirtAddr(entry.0.wrapping_sub(self.lru));
            let (pfn, pages) = (map.pfn_of(page), 1u64 << order);
            let aligned = |pfn: &Pfn| pfn.0 % pages == 0;
            let Some(pfn) = pfn.filter(|pfn| back == previous && *left >= pages && aligned(pfn)) else {
                return Err(Error::corrupt(format!("the free list of order {order} at {head} is broken at {entry}")));
            };
            *left -= pages;
            free(Block { kind: BlockKind::Free, first: pfn, order: order as u8 });
            (previous, entry) = (entry, memory.read_pointer(at(entry, self.next)?)?);
        }
        Ok(())
    }
}

fn needed(value: Option<u64>, kind: &str, name: &str) -> Result<u64> {
    // far above any structure's size: keeps the arithmetic of addresses from wrapping
    let value = value.filter(|value| *value < 1 << 32);
    value.ok_or_else(|| Error::missing(format!("vmcoreinfo lacks a usable {kind}({name})")))
}
