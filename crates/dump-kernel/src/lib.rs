//! What a Linux dump tells of its kernel: where struct pages lie and what each says of its page frame.
//!
//! ```text
//! VMCOREINFO text ──> Vmcoreinfo ──┬──> Translate: page tables ──> KernelMemory: virtual reads
//!                (KernelSymbols)   ├──> MemMap: which struct page stands for which pfn
//! PhysMemory ──────────────────────┤──> PageRules: how this kernel marks pages ──> PageFacts
//!                                  └──> FreeLists: free pages of kernels that mark them no other way
//! ```
//!
//! Nothing here knows a container or a dump level. All that differs between kernels is told by the dump itself
//! (vmcoreinfo), never by a table of versions, but where a comment says so; there is no newest supported version.

#![forbid(unsafe_code)]

mod era;
mod free_list;
mod kernel;
mod mem_map;
mod memory;
mod page;
mod search;
mod symbols;
mod vmcoreinfo;
mod xlat;

pub use era::{BuddyMark, CompoundMark, PageRules, TailMark, TypeMark, Unknown};
pub use free_list::FreeLists;
pub use kernel::Kernel;
pub use mem_map::{MemMap, MemMapRun, MemoryModel};
pub use memory::{PhysMemory, SourceMemory};
pub use page::{PageFacts, PageScanner, StructPages};
pub use search::vmcoreinfo_at;
pub use symbols::KernelSymbols;
pub use vmcoreinfo::Vmcoreinfo;
pub use xlat::{KernelMemory, Mapping, TableCache, Translate, X86_64};
