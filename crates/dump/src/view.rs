//! A kernel with its struct pages found.

use dump_core::{Pfn, Result};
use dump_kernel::{Kernel, MemMap, PageRules, PhysMemory};

/// What a kernel says of its pages.
pub struct KernelView {
    /// The kernel.
    pub kernel: Kernel,
    /// Its struct pages.
    pub map: MemMap,
    /// How they are marked.
    pub rules: PageRules,
}

impl KernelView {
    /// Finds the struct pages of the page frames below `end`, and how they are marked.
    ///
    /// # Errors
    /// Where the dump does not say, or cannot be read there.
    pub fn new(kernel: Kernel, end: Pfn, memory: &dyn PhysMemory) -> Result<KernelView> {
        let rules = kernel.page_rules()?;
        let map = kernel.mem_map(memory, end).map_err(|e| e.within("cannot locate mem_map"))?;
        Ok(KernelView { kernel, map, rules })
    }
}
