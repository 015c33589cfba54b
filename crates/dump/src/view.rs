//! A kernel with its struct pages located.

use dump_core::{Pfn, Result};
use dump_kernel::{Kernel, MemMap, PageRules, PhysMemory};

/// What a kernel knows about its pages.
pub struct KernelView {
    /// The kernel.
    pub kernel: Kernel,
    /// Its struct pages.
    pub map: MemMap,
    /// How they are marked.
    pub rules: PageRules,
}

impl KernelView {
    /// Locates the struct pages of the page frames below `end`, and computes how they are marked.
    ///
    /// # Errors
    /// If vmcoreinfo lacks what is needed or is proven wrong, or the dump cannot be read there.
    pub fn new(kernel: Kernel, end: Pfn, memory: &dyn PhysMemory) -> Result<KernelView> {
        let rules = kernel.page_rules(memory)?;
        let map = kernel.mem_map(memory, end).map_err(|e| e.within("cannot locate mem_map"))?;
        let map = kernel.without_shared(memory, map, &rules, end);
        kernel.ask_text(memory, &map, &rules)?;
        Ok(KernelView { kernel, map, rules })
    }
}
