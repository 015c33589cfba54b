//! What a Linux dump tells of its kernel: vmcoreinfo, page tables, mem_map, struct page.

#![forbid(unsafe_code)]
