//! Which page frames the kernel has in which node and zone.
//!
//! ```text
//! node_data[] or contig_page_data ─> pglist_data.node_start_pfn, node_spanned_pages
//!                                    pglist_data.node_zones[] ─> zone.zone_start_pfn, spanned_pages, name
//! ```
//!
//! Nodes are in vmcoreinfo. `zone_start_pfn` and `name` are in none: the kernel's BTF or a vmlinux has their places, and
//! without those there are no zones.

use crate::nodes::{at, nodes};
use crate::symbols::KernelSymbols;
use crate::virt::KernelMemory;
use dump_core::{Error, Pfn, PfnRange, Result, VirtAddr};

/// Far above any kernel's number of zones (MAX_NR_ZONES is 6 at most).
const MAX_ZONES: u64 = 16;

/// No zone has a longer name.
const MAX_NAME: usize = 16;

/// No machine has page frames beyond (2^64 bytes of pages of 4 KiB).
const MAX_PFN: u64 = 1 << 52;

/// A node's page frames, holes among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSpan {
    /// Its number.
    pub id: u64,
    /// From its first page frame to its last. Those of two nodes may overlap.
    pub pages: PfnRange,
    /// Its zones that have any, in the kernel's order; none where their places are not known.
    pub zones: Vec<ZoneSpan>,
}

/// A zone's page frames, holes among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneSpan {
    /// The kernel's name for it: DMA32, Normal.
    pub name: String,
    /// From its first page frame to its last.
    pub pages: PfnRange,
}

/// Members of `struct pglist_data` (offsets in bytes).
struct NodeLayout {
    start_pfn: u64,
    spanned_pages: u64,
    id: Option<u64>,
}

/// Members of `struct zone`, and where zones are in their node (bytes).
struct ZoneLayout {
    zones: u64,
    count: u64,
    size: u64,
    start_pfn: u64,
    spanned_pages: u64,
    name: u64,
}

/// Offsets far above any structure's size are garbage.
fn offset(symbols: &dyn KernelSymbols, member: &str) -> Option<u64> {
    symbols.offset_of(member).filter(|at| *at < 1 << 32)
}

/// The nodes, without their zones.
///
/// # Errors
/// `MissingInfo` if vmcoreinfo lacks a key; if a node cannot be read, or says what cannot be.
pub(crate) fn node_spans(symbols: &dyn KernelSymbols, memory: &mut KernelMemory<'_>) -> Result<Vec<NodeSpan>> {
    let needed = |member: &str| {
        let lacking = || Error::missing(format!("vmcoreinfo lacks OFFSET({member})"));
        offset(symbols, member).ok_or_else(lacking)
    };
    let layout = NodeLayout {
        start_pfn: needed("pglist_data.node_start_pfn")?,
        spanned_pages: needed("pglist_data.node_spanned_pages")?,
        id: offset(symbols, "pglist_data.node_id"),
    };
    let mut spans = Vec::new();
    for (i, node) in (0..).zip(nodes(symbols, memory)?) {
        let pages = span(memory, node, layout.start_pfn, layout.spanned_pages)?;
        let id = layout.id.map_or(Ok(i), |offset| memory.read_u32(at(node, offset)?).map(u64::from))?;
        spans.push(NodeSpan { id, pages, zones: Vec::new() });
    }
    spans.retain(|node| !node.pages.is_empty());
    Ok(spans)
}

/// Adds to `spans` the zones of each node.
///
/// # Errors
/// `MissingInfo` if the place of a member is not known; if a zone cannot be read, or says what cannot be.
pub(crate) fn add_zones(
    symbols: &dyn KernelSymbols,
    memory: &mut KernelMemory<'_>,
    spans: &mut [NodeSpan],
) -> Result<()> {
    let missing = || Error::missing("the places of zone.zone_start_pfn and zone.name are not known");
    let layout = ZoneLayout::of(symbols).ok_or_else(missing)?;
    let id = offset(symbols, "pglist_data.node_id");
    for (i, node) in (0..).zip(nodes(symbols, memory)?) {
        let number = id.map_or(Ok(i), |offset| memory.read_u32(at(node, offset)?).map(u64::from))?;
        let zones = layout.zones(memory, node)?;
        if let Some(span) = spans.iter_mut().find(|span| span.id == number) {
            span.zones = zones;
        }
    }
    Ok(())
}

impl ZoneLayout {
    fn of(symbols: &dyn KernelSymbols) -> Option<ZoneLayout> {
        Some(ZoneLayout {
            zones: offset(symbols, "pglist_data.node_zones")?,
            count: offset(symbols, "pglist_data.nr_zones")?,
            size: symbols.size_of("zone").filter(|size| *size < 1 << 32)?,
            spanned_pages: offset(symbols, "zone.spanned_pages")?,
            start_pfn: offset(symbols, "zone.zone_start_pfn")?,
            name: offset(symbols, "zone.name")?,
        })
    }

    fn zones(&self, memory: &mut KernelMemory<'_>, node: VirtAddr) -> Result<Vec<ZoneSpan>> {
        let count = u64::from(memory.read_u32(at(node, self.count)?)?);
        if count > MAX_ZONES {
            let text = format!("the node at {node} has {count} zones, expected at most {MAX_ZONES}");
            return Err(Error::corrupt(text));
        }
        let mut zones = Vec::new();
        for i in 0..count {
            let zone = at(node, self.zones + i * self.size)?;
            let pages = span(memory, zone, self.start_pfn, self.spanned_pages)?;
            if !pages.is_empty() {
                let pointer = memory.read_pointer(at(zone, self.name)?)?;
                zones.push(ZoneSpan { name: name(memory, pointer)?, pages });
            }
        }
        Ok(zones)
    }
}

/// The page frames that a node or zone at `base` says it spans.
fn span(memory: &mut KernelMemory<'_>, base: VirtAddr, start: u64, spanned: u64) -> Result<PfnRange> {
    let (first, len) = (memory.read_word(at(base, start)?)?, memory.read_word(at(base, spanned)?)?);
    match first.checked_add(len).filter(|end| *end <= MAX_PFN) {
        Some(end) => Ok(PfnRange::new(Pfn(first), Pfn(end))),
        None => {
            Err(Error::corrupt(format!("{len} page frames from {first:#x} on, as what is at {base} says, cannot be")))
        }
    }
}

/// A zone's name: letters and digits.
fn name(memory: &mut KernelMemory<'_>, at: VirtAddr) -> Result<String> {
    let mut name = String::new();
    for i in 0..MAX_NAME as u64 {
        let mut byte = [0];
        memory.read(crate::nodes::at(at, i)?, &mut byte)?;
        match byte[0] {
            0 if i > 0 => return Ok(name),
            letter if letter.is_ascii_alphanumeric() => name.push(char::from(letter)),
            _ => break,
        }
    }
    Err(Error::corrupt(format!("what is at {at} is no zone's name")))
}
