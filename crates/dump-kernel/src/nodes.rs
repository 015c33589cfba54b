//! Nodes of memory: `struct pglist_data` of each.

use crate::symbols::KernelSymbols;
use crate::virt::KernelMemory;
use dump_core::{Error, Result, VirtAddr};

/// Far above any kernel's MAX_NUMNODES (1024).
const MAX_NODES: u64 = 4096;

/// The `pglist_data` of each node: `node_data[]` where there can be several, else `contig_page_data`.
///
/// # Errors
/// `MissingInfo` if vmcoreinfo has neither; if `node_data` cannot be read.
pub(crate) fn nodes(symbols: &dyn KernelSymbols, memory: &mut KernelMemory<'_>) -> Result<Vec<VirtAddr>> {
    if let (Some(table), Some(length)) = (symbols.symbol("node_data"), symbols.length_of("node_data")) {
        let (mut nodes, word) = (Vec::new(), memory.words().bytes() as u64);
        for node in 0..length.min(MAX_NODES) {
            let pgdat = memory.read_pointer(at(table, node * word)?)?;
            if pgdat.0 != 0 {
                nodes.push(pgdat);
            }
        }
        return Ok(nodes);
    }
    let one = symbols.symbol("contig_page_data");
    Ok(vec![one.ok_or_else(|| {
        Error::missing("vmcoreinfo lacks SYMBOL(node_data) with LENGTH(node_data), and SYMBOL(contig_page_data)")
    })?])
}

/// The address `offset` bytes into what is at `base`.
pub(crate) fn at(base: VirtAddr, offset: u64) -> Result<VirtAddr> {
    base.checked_add(offset).ok_or_else(|| Error::corrupt(format!("{base} + {offset:#x} exceeds 2^64")))
}
