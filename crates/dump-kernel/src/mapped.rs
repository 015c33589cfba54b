//! What struct pages are mapped to.

use crate::kernel::Kernel;
use crate::memory::PhysMemory;
use dump_core::{PhysAddr, VirtAddr};

/// The rest of a run of struct pages is passed over where so many pages, one behind the other, are not mapped.
const MAX_UNMAPPED: u32 = 512;

/// Calls `each` with the pieces of `bytes` of virtual memory from `first` on that are mapped: how far into it they begin,
/// where they lie, and how long they are (bytes).
pub(crate) fn each_mapped(
    kernel: &Kernel,
    phys: &dyn PhysMemory,
    (first, bytes): (VirtAddr, u64),
    each: &mut dyn FnMut(u64, PhysAddr, u64),
) {
    let (mut memory, page) = (kernel.memory(phys), kernel.page_size().bytes() as u64);
    let (mut into, mut unmapped) = (0, 0);
    while into < bytes && unmapped < MAX_UNMAPPED {
        let Some(at) = first.checked_add(into) else { return };
        match memory.translate(at) {
            Ok(mapping) => {
                let here = mapping.bytes.clamp(1, bytes - into);
                each(into, mapping.phys, here);
                (into, unmapped) = (into + here, 0);
            }
            Err(_) => {
                unmapped += 1;
                into += page - at.0 % page;
            }
        }
    }
}
