//! The kernel in a Linux dump: where struct pages lie and what each says about its page frame.
//!
//! ```text
//! VMCOREINFO text ──> Vmcoreinfo ──┬──> Arch: page tables ──> KernelMemory: virtual reads
//!                (KernelSymbols)   ├──> MemMap: which struct page is that of which pfn
//! PhysMemory ──────────────────────┤──> PageRules: how this kernel marks pages ──> PageFacts
//!                                  └──> FreeLists: free pages of kernels that mark them no other way
//! ```
//!
//! Nothing here knows a container or a dump level. What differs between kernels is taken from the dump itself
//! (vmcoreinfo), not from a table of versions (with one exception, which is commented); there is no newest supported
//! version. What differs between architectures is in [`arch`], and words are read in the dumped machine's own size and
//! byte order.

#![forbid(unsafe_code)]

pub mod arch;
mod era;
mod footprint;
mod free_list;
mod kernel;
mod keys;
mod mem_map;
mod memory;
mod page;
mod search;
mod standing;
mod symbols;
mod virt;
mod vmcoreinfo;
mod words;
mod xlat;

pub use arch::Arch;
pub use era::{BuddyMark, CompoundMark, PageRules, TailMark, TypeMark, Unknown};
pub use footprint::Footprint;
pub use free_list::FreeLists;
pub use kernel::Kernel;
pub use mem_map::{MemMap, MemMapRun, MemoryModel};
pub use memory::{PhysMemory, PhysReader, SourceMemory};
pub use page::{Block, BlockKind, PageFacts, PageScanner, PageState, PageVisitor, StructPages};
pub use search::{note_order, vmcoreinfo_at};
pub use standing::{Standing, end_in_pages_of};
pub use symbols::KernelSymbols;
pub use virt::KernelMemory;
pub use vmcoreinfo::Vmcoreinfo;
pub use words::{Be32, Be64, Le32, Le64, WordLayout, Words};
pub use xlat::{Mapping, TableCache, TableShape, Translate};
