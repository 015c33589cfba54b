//! The kernel in a Linux dump: where struct pages lie and what each says about its page frame.
//!
//! ```text
//! VMCOREINFO text ──> Vmcoreinfo ──┬──> Arch: page tables ──> KernelMemory: virtual reads
//!                (KernelSymbols)   ├──> MemMap: which struct page is that of which pfn
//! PhysMemory ──────────────────────┤──> PageRules: how this kernel marks pages ──> PageFacts
//!                                  └──> FreeLists: free pages of kernels that mark them no other way
//! ```
//!
//! Where vmcoreinfo lacks something, [`Symbols`] asks further: a file of vmcoreinfo, the kernel's own [`Kallsyms`] and
//! [`Btf`] in its memory, a vmlinux.
//!
//! Nothing here knows a container or a dump level. What differs between kernels is taken from the dump itself
//! (vmcoreinfo), not from a table of versions (with one exception, which is commented); there is no newest supported
//! version. What differs between architectures is in [`arch`], and words are read in the dumped machine's own size and
//! byte order.

#![forbid(unsafe_code)]

pub mod arch;
mod btf;
mod era;
mod footprint;
mod free_list;
mod kallsyms;
mod kernel;
mod keys;
mod mapped;
mod mem_map;
mod memory;
mod node_arrays;
mod node_spans;
mod nodes;
mod own;
mod page;
mod process;
mod proof;
mod search;
mod shared;
mod sources;
mod standing;
mod symbols;
mod text_pages;
mod types;
mod virt;
mod vmcoreinfo;
mod vmemmap;
mod words;
mod xlat;

pub use arch::Arch;
pub use btf::Btf;
pub use era::{BuddyMark, CompoundMark, PageRules, TailMark, TypeMark, Unknown};
pub use footprint::Footprint;
pub use free_list::FreeLists;
pub use kallsyms::Kallsyms;
pub use kernel::Kernel;
pub use mem_map::{MemMap, MemMapRun, MemoryModel};
pub use memory::{PhysMemory, PhysReader, SourceMemory};
pub use node_spans::{NodeSpan, ZoneSpan};
pub use page::{Block, BlockKind, PageFacts, PageScanner, PageState, PageVisitor, StructPages};
pub use proof::Mark;
pub use search::{note_order, vmcoreinfo_at};
pub use sources::{Answer, Source, Sources, Symbols};
pub use standing::{Standing, end_in_pages_of};
pub use symbols::KernelSymbols;
pub use types::{KernelTypes, lacks_number_by_types, member_of_array, number_by_types};
pub use virt::KernelMemory;
pub use vmcoreinfo::Vmcoreinfo;
pub use vmemmap::{Holes, StructPageFrame, StructPageFrames};
pub use words::{Be32, Be64, Le32, Le64, WordLayout, Words};
pub use xlat::{Mapping, TableCache, TableShape, Translate};
